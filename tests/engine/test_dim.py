"""Stacks of a few photons a pixel: frames are summed, as many as restore them best."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import f2rcli
from f2rcli.engine.dim.choice import Light, _split, chosen, dim
from f2rcli.engine.dim.missed import Missed
from f2rcli.engine.dim.sums import Sum, between, summed
from f2rcli.engine.stream import denoise_stream
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.model import NoiseModel
from tests.engine.conftest import engine_for, info_of

GAIN, BLACK = 8.0, 100.0
LAYOUT = PlaneLayout(family=Family.GRAY, bits=16, levels=(60.0, 260.0))
MODEL = NoiseModel((GAIN / 200,), (0.0,), (0.05,), dark=(0.2,))  # of counts of GAIN above BLACK


def frames_of(codes: np.ndarray) -> list[Frame]:
    return [
        Frame(planes=(plane,), layout=LAYOUT, pts=t, duration=1, time_base=Fraction(1, 25))
        for t, plane in enumerate(codes)
    ]


def counted(light: np.ndarray, seed: int = 0) -> np.ndarray:
    """Codes (T, H, W) of light in photons."""
    return (BLACK + GAIN * np.random.default_rng(seed).poisson(light)).astype(np.uint16)


def scene(count: int, speed: float, side: int = 64) -> np.ndarray:
    """A texture that moves by so many pixels a frame, a photon a pixel: (T, side, side)."""
    rows, columns = np.mgrid[:side, :side].astype(float)
    shown = [np.sin((columns - speed * t) / 3) * np.cos(rows / 4) for t in range(count)]
    return 1 + 0.8 * np.array(shown)


def members(sums: Iterable[Sum]) -> list[list[int]]:
    return [[one.number for one in found.members] for found in sums]


def runs(count: int) -> Iterator[list[Frame]]:
    return ([frame] for frame in frames_of(np.zeros((count, 2, 2), np.uint16)))


def test_sums_lie_on_one_grid_wherever_an_excerpt_begins() -> None:
    whole = members(summed(runs(12), 4, 0, lambda a, b: True))
    assert whole == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert members(summed(runs(8), 4, 4, lambda a, b: True)) == whole[1:]


def test_what_is_left_of_less_than_half_a_sum_joins_the_one_beside_it() -> None:
    found = members(summed(runs(8), 4, 3, lambda a, b: True))  # pictures 3 to 10
    assert found == [[3, 4, 5, 6, 7], [8, 9, 10]]
    assert members(summed(runs(9), 4, 0, lambda a, b: True)) == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]


def test_no_sum_reaches_across_a_cut() -> None:
    cut = members(summed(runs(9), 4, 0, lambda a, b: b.pts != 6))
    assert cut == [[0, 1, 2, 3], [4, 5], [6, 7, 8]]


def test_light_that_changes_evenly_comes_back_from_sums_as_it_was() -> None:
    ramp = np.ones((12, 2, 2)) * np.arange(12)[:, None, None]
    sums = summed(([frame] for frame in frames_of(ramp)), 4, 0, lambda a, b: b.pts != 8)
    found = list(between(one.frame for one in sums))
    assert [one.shown.number for one in found] == list(range(12))
    values = [float(one.planes[0][0, 0]) for one in found]
    assert values[2:6] == pytest.approx([2, 3, 4, 5])
    assert values[8:] == pytest.approx([9.5] * 4)  # a shot of one sum


def test_the_parts_of_thinned_counts_are_independent_and_keep_their_mean() -> None:
    frame = frames_of(counted(np.full((1, 400, 400), 0.7)))[0]
    light = Light.of(MODEL)
    assert light is not None
    whole = (slice(0, 400), slice(0, 400))
    part, judge = _split(frame, whole, light, np.random.default_rng(1))
    one, two = ((part.planes[0] - BLACK) / GAIN, (200 * judge + 60 - BLACK) / GAIN)
    assert one.mean() == pytest.approx(0.7, abs=0.02)
    assert two.mean() == pytest.approx(0.7, abs=0.02)
    seen, judged = one - one.mean(), two - two.mean()
    assert abs(np.mean(seen * judged)) < 0.02 * np.sqrt(one.var() * two.var())
    assert abs(np.mean(seen**2 * judged)) < 0.05 * 0.7  # skewed noise parts as well


def missed(frames: np.ndarray, estimate: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """What an estimate of all frames (T, H, W) misses of each."""
    learned, row = Missed(), list(np.float32(frames - estimate))
    plane, noise = np.float32(estimate), np.float32(variance)
    return np.stack([learned.of(row, t, plane, noise) for t in range(len(row))])


def test_a_cell_that_flashes_for_a_frame_comes_through_sums_and_noise_does_not() -> None:
    noise, none = np.random.default_rng(2).standard_normal((9, 96, 96)), np.zeros((96, 96))
    rows, columns = np.mgrid[:96, :96] - 48
    cell = np.hypot(rows, columns) < 6
    assert missed(noise, none, none + 1).std() < 0.1
    noise[4] += 3 * cell
    found = missed(noise, none, none + 1)[:, cell].mean(1)
    assert 2.1 < found[4] < 3.3
    assert abs(found[[0, 1, 2, 6, 7, 8]]).max() < 0.4


def test_a_cell_that_stays_bright_keeps_its_photons_though_no_frame_shows_what_it_lost() -> None:
    rows, columns = np.mgrid[:96, :96] % 24 - 12
    cells = np.hypot(rows, columns) < 4
    light, estimate = 0.5 + 2.0 * cells, 0.5 + 1.7 * cells  # sums lost 15 % of what stands out
    codes = np.random.default_rng(3).poisson(light, (40, 96, 96))
    kept = (estimate + missed(codes, estimate, estimate))[10:]
    assert kept[:, cells].mean() == pytest.approx(2.5, rel=0.02)
    assert np.square(kept - light).mean() < 0.8 * np.square(estimate - light).mean()


@pytest.mark.parametrize(("speed", "wanted"), [(0.0, 8), (1.5, 2), (8.0, 1)])
def test_as_many_frames_are_summed_as_motion_leaves_alike(speed: float, wanted: int) -> None:
    def blurred(pictures: Iterable[list[Frame]], factor: float) -> Iterator[Frame]:
        for copies in pictures:
            plane = cv2.GaussianBlur(copies[0].planes[0], (0, 0), 1.0)
            yield replace(copies[0], planes=(plane,))

    found = chosen(frames_of(counted(scene(32, speed))), MODEL, blurred)
    assert found.size == wanted


def test_only_gray_stacks_of_few_photons_are_dim() -> None:
    few, many = (frames_of(counted(np.full((2, 32, 32), light))) for light in (2.0, 10.0))
    assert dim(few, MODEL)
    assert not dim(many, MODEL)
    assert not dim(few, NoiseModel.gaussian(0.05, 1))  # noise that does not grow with light
    video = [replace(f, layout=PlaneLayout(family=Family.GRAY, bits=8)) for f in few]
    assert not dim(video, MODEL)


def test_a_dim_stack_comes_out_better_than_by_any_gaussian_and_as_bright() -> None:
    light = 2 * scene(24, 0.0, side=40)
    codes = counted(light).astype(np.float32)  # nothing is rounded
    done = f2rcli.denoise(codes, threads=1)

    def error(estimate: np.ndarray) -> float:
        return float(np.mean(((estimate - BLACK) / GAIN - light) ** 2))

    widths = ((t, xy) for t in (1, 2, 4) for xy in (1.0, 1.5))
    best = min(error(gaussian_filter(codes, (t, xy, xy))) for t, xy in widths)
    assert error(done) < best
    means = [part.mean((1, 2)) - BLACK for part in (codes, done)]
    assert means[1] == pytest.approx(means[0], rel=1e-3)


def test_every_frame_of_a_dim_excerpt_comes_once_and_in_order() -> None:
    frames = [
        replace(f, index=t, context=t < 8)
        for t, f in enumerate(frames_of(counted(scene(16, 0.0, 40))))
    ]
    done = list(denoise_stream(frames, info_of(frames), engine_for(frames)))
    assert [frame.pts for frame in done] == list(range(8, 16))
    assert done[0].planes[0].dtype == np.uint16
