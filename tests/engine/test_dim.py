"""Stacks of a few photons a pixel: frames are summed, as many as restore them best."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

import f2rcli
from f2rcli.engine import stream
from f2rcli.engine.cuts import thumbnail
from f2rcli.engine.dim.choice import (
    ALONE,
    Blend,
    Light,
    _best,
    _coins,
    _off,
    _split,
    _square,
    _sums_restored,
    chosen,
    dim,
)
from f2rcli.engine.dim.missed import Missed
from f2rcli.engine.dim.sums import Estimated, Shown, joined, summed
from f2rcli.engine.dim.written import REACH, _rows, written
from f2rcli.engine.noise.measurement import measure_noise
from f2rcli.engine.stream import denoise_stream, estimate_noise
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.bands import white_shares
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
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


def of_tenths(seed: int, photons: float = 0.1, count: int = 36, side: int = 96) -> list[Frame]:
    """A stack of one code an electron and half an electron of read noise, as it is stored."""
    rng, size = np.random.default_rng(seed), (count, side, side)
    codes = 100 + rng.poisson(photons, size) + rng.normal(0, 0.5, size)
    layout = replace(LAYOUT, levels=(95.0, 105.0 + 2 * photons))
    codes = np.rint(codes).astype(np.uint16)
    return [replace(frame, layout=layout) for frame in frames_of(codes)]


def test_the_law_of_tenths_of_electrons_is_told_by_more_frames(
    monkeypatch: pytest.MonkeyPatch, only_measured: None
) -> None:
    """Rounding included; `f2r info`, `f2r noise` and a run say the same."""
    monkeypatch.setattr(stream, "chosen", lambda *_: ALONE)  # takes ten times as long as the law
    frames = of_tenths(0, side=72)  # 16 % off by six frames
    engine = engine_for(frames)
    model = estimate_noise(iter(frames), info_of(frames), engine)
    assert model is not None
    assert 10.2 * model.gain[0] == pytest.approx(1.0, rel=0.05)
    report = measure_noise(iter(frames), info_of(frames), engine)
    assert report is not None
    assert report.model == model
    for opening in (None, lambda: iter(()), lambda: iter(frames)):  # as arrays and files have it
        run, begun = (
            engine_for(frames),
            frames if opening is None or not [*opening()] else frames[8:],
        )
        next(denoise_stream(iter(begun), info_of(frames), run, opening))
        assert run.noise == model


def test_frames_that_do_not_wait_tell_the_law_anew_once_thirty_two_have_come(
    only_measured: None,
) -> None:
    frames = of_tenths(12, count=34, side=72)
    engine = engine_for(frames)
    engine.prompt = True
    laws = [engine.noise for _ in denoise_stream(iter(frames), info_of(frames), engine)]
    whole = estimate_noise(iter(frames), info_of(frames), engine_for(frames))
    assert laws[0] != laws[-1] == whole


def test_frames_that_do_not_wait_or_hold_more_light_are_few() -> None:
    """Those whose law is told; and those after them come as they are."""
    for photons, prompt, waiting in ((0.1, False, 32), (0.1, True, 6), (10.0, False, 6)):
        frames = of_tenths(0, photons)
        engine = engine_for(frames)
        engine.prompt = prompt
        begun = stream._begun(stream.unique(iter(frames)), engine)
        assert len(begun.waiting) == waiting
        assert [run[0] for run in [*begun.waiting, *begun.rest]] == frames


def test_light_is_told_by_the_line_of_the_plane_that_is_measured() -> None:
    """Its first; the line is none where the noise does not grow with light, or follows a curve."""
    model = NoiseModel((0.04, 0.01), (0.02, 0.1), (0.05, 0.2), dark=(0.2, 0.3))
    light = Light.of(model)
    assert light is not None
    assert (light.gain, light.zero) == pytest.approx((0.04, 0.2 - 0.02**2 / 0.04))
    assert light.electrons([np.full((4, 4), 0.59), np.full((2, 2), 0.79)]) == pytest.approx(12.5)
    assert light.variance(np.array([0.1, 0.29], np.float32)) == pytest.approx([0, 0.004])
    assert Light.of(replace(model, gain=(0.0, 0.01))) is None
    assert Light.of(replace(model, curve=((0.1,) * 17,) * 2)) is None


def test_the_parts_of_thinned_counts_are_independent_and_keep_their_mean() -> None:
    frame = frames_of(counted(np.full((1, 400, 400), 0.7)))[0]
    light = Light.of(MODEL)
    assert light is not None
    whole = (slice(0, 400), slice(0, 400))
    part, judge = _split(frame, whole, light, np.random.default_rng(1))
    assert part.layout.float_samples
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


@pytest.mark.parametrize(("count", "size"), [(7, 1), (8, 4), (15, 4), (16, 8)])
def test_sums_are_chosen_on_eight_frames_at_least_of_which_two_hold_each(
    count: int, size: int
) -> None:
    def copied(pictures: Iterable[list[Frame]], factor: float) -> Iterator[Frame]:
        assert factor == pytest.approx((1 / (0.8 * pictures_a_sum[0])) ** 0.5)
        pictures_a_sum.append(pictures_a_sum.pop(0))
        return (copies[0] for copies in pictures)

    pictures_a_sum = [1, 2, 4, 8]
    found = chosen(frames_of(counted(np.full((count, 40, 40), 1.5))), MODEL, copied)
    assert found.size == size
    assert (found == ALONE) == (count < 8)


def test_networks_and_filter_are_blended_by_the_least_squares() -> None:
    """Networks that return the light and an error: the filter's share falls with their own."""

    def wrong(by: float) -> Blend:
        def restore(pictures: Iterable[list[Frame]], factor: float) -> Iterator[Frame]:
            rng = np.random.default_rng(9)
            for copies in pictures:
                error = gaussian_filter(rng.standard_normal((64, 64)), 2) * by * GAIN
                plane = BLACK + GAIN * light + error
                yield replace(copies[0], planes=(plane,))

        return chosen(frames_of(counted(np.broadcast_to(light, (8, 64, 64)))), MODEL, restore)

    light = 1.5 + scene(1, 0.0)[0]
    shares = [wrong(by).share for by in (0.0, 2.0, 8.0)]
    assert shares[0] > 0.7
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] < 0.5


def test_estimates_are_compared_in_units_of_white() -> None:
    codes = np.random.default_rng(5).uniform(60, 260, (3, 12, 14)).astype(np.float32)
    sums = list(summed(([frame] for frame in frames_of(codes)), 1, 0, lambda a, b: True))
    judges = np.random.default_rng(6).random((3, 12, 14)).astype(np.float32)
    off = _off([one.frame for one in sums], Blend(), judges)
    np.testing.assert_allclose(off, (codes - 60) / 200 - judges, atol=1e-6)


@pytest.mark.parametrize("size", [(150, 141), (129, 90), (60, 200), (128, 128)])
def test_the_brightest_square_is_looked_at(size: tuple[int, int]) -> None:
    """Of 128 pixels a side, or as many as there are, by the mean of all but its border."""
    planes = list(np.random.default_rng(7).random((2, *size)).astype(np.float32))
    rows, columns = (min(128, side) for side in size)
    side = min(rows, columns) // 2 * 2 - 1
    mean = uniform_filter(np.mean(planes, axis=0, dtype=np.float64), side)
    best = max(
        (mean[top + rows // 2, left + columns // 2], top, left)
        for top in range(size[0] - rows + 1)
        for left in range(size[1] - columns + 1)
    )
    found = _square(planes)
    assert [(one.start, one.stop - one.start) for one in found] == [
        (best[1], rows),
        (best[2], columns),
    ]


@pytest.mark.parametrize(
    ("coarseness", "error", "width"),
    [(1, 0.3, 1.0), (2, 0.3, 1.5), (4, 0.3, 2.0), (2.5, None, 2.0), (2.5, 0.0, 0.0)],
)
def test_the_best_blend_is_that_of_least_squares_of_three_filters(
    coarseness: float, error: float | None, width: float
) -> None:
    """Of networks and one filter each, weighed from none to all by what their judges say."""
    rng = np.random.default_rng(20)
    light, wrong = (
        gaussian_filter(rng.standard_normal((8, 40, 44)), (0, size, size)) * size
        for size in (coarseness, 2)
    )
    counts = (150 + 20 * light + 12 * rng.standard_normal(light.shape)).astype(np.float32)
    judges = (90 + 20 * light) / 200 + 0.05 * rng.standard_normal(light.shape)
    filtered = {
        size: gaussian_filter(counts.astype(float), (0, size, size), mode="mirror")
        for size in (1.0, 1.5, 2.0)
    }
    networks = 150 + 20 * light + 40 * (error or 0) * wrong
    if error is None:  # the best lies beyond the filters
        networks = counts + 60.0
    elif not error:  # or beyond the networks
        networks = (60 + 200 * judges + filtered[1.0]) / 2
    told = iter(networks)

    def restore(pictures: Iterable[list[Frame]], factor: float) -> Iterator[Frame]:
        return (replace(copies[0], planes=(next(told),)) for copies in pictures)

    parts = list(zip(frames_of(counts), judges.astype(np.float32), strict=True))
    found, least = _best(parts, 1, MODEL, restore)
    off = (networks - 60) / 200 - judges
    wanted = (float(np.mean(off**2)), 1.0, 0.0)
    for size, plane in filtered.items():
        other = (plane - 60) / 200 - judges
        part = float(np.clip(-np.mean(other * (off - other)) / np.mean((off - other) ** 2), 0, 1))
        if part < 1:
            rest = float(np.mean((part * off + (1 - part) * other) ** 2))
            wanted = min(wanted, (rest, part, size))
    assert (least, found.share) == pytest.approx(wanted[:2], rel=1e-3, abs=1e-4)
    assert (found.size, wanted[2]) == (1, width)
    assert found.share == 1 or found.width == width


@pytest.mark.parametrize("electrons", [0.5, 3.0])
def test_coins_are_as_skewed_as_a_binomial(electrons: float) -> None:
    """Of which each shows eight electrons in ten."""
    coins = _coins(np.full(400_000, electrons, np.float32), np.random.default_rng(21)).astype(float)
    assert coins.mean() == pytest.approx(0, abs=0.01)
    assert coins.var() == pytest.approx(1, rel=0.02)
    skew = (1 - 2 * 0.8) / np.sqrt(electrons * 0.8 * 0.2)
    assert np.mean(coins**3) == pytest.approx(skew, rel=0.04)
    assert np.isfinite(_coins(np.zeros(9, np.float32), np.random.default_rng(0))).all()


@pytest.mark.parametrize("share", [1.0, 0.8])
@pytest.mark.parametrize(("times", "same"), [(2.9, True), (3.1, False)])
def test_noise_alone_parts_no_sum(times: float, same: bool, share: float) -> None:
    """Of pictures that have some of the light: their noise is so much stronger."""
    frames, variance = changed(times)
    model = NoiseModel.gaussian((share * variance) ** 0.5, 1)
    sums = _sums_restored(
        ([frame] for frame in frames), 2, 0, model, lambda p, _: (c[0] for c in p), share
    )
    assert len(list(sums)) == (1 if same else 2)


def changed(times: float) -> tuple[list[Frame], float]:
    """Two pictures, and the variance of noise that makes so little of their change."""
    rng = np.random.default_rng(8)
    before, after = (np.float32(0.5 + 0.12 * rng.standard_normal((36, 64))) for _ in range(2))
    frames = frames_of(60 + 200 * np.stack([before, after]))
    change = float(np.mean((thumbnail(before) - thumbnail(after)) ** 2))
    alone = change / times  # twice the variance of a mean over as many pixels as make one
    return frames, alone / 2 * (36 * 64) / (18 * 32)


@pytest.mark.parametrize(("times", "same"), [(2.9, True), (3.1, False)])
def test_noise_alone_is_no_cut(times: float, same: bool) -> None:
    """Small pictures may change by three times what noise makes of them."""
    frames, variance = changed(times)
    assert joined(variance)(*frames) == same
    assert joined(0.0)(frames[0], frames[0])


@pytest.mark.parametrize(("kind", "exact"), [("u2", "f4"), ("f4", "f8"), ("i4", "f8")])
def test_sums_are_means_as_exact_as_their_samples(kind: str, exact: str) -> None:
    codes = np.random.default_rng(10).integers(0, 60000, (3, 4, 5)).astype(kind)
    (one,) = summed(([frame] for frame in frames_of(codes)), 4, 0, lambda a, b: True)
    assert one.mean[0].dtype == exact
    np.testing.assert_allclose(one.mean[0], codes.mean(0), rtol=1e-6)
    assert (one.middle, one.frame.layout.bits, one.frame.source) == (1.0, 32, one)


Array = np.ndarray


class Reference:
    """What estimates miss, by the definition (DESIGN.md D45)."""

    def __init__(self) -> None:
        self.power = np.ones((8, 13))
        self.places = np.ones((8, 13))

    def of(self, row: list[Array], at: int, estimate: Array, variance: Array) -> Array:
        noise = uniform_filter(variance, 9, mode="mirror")
        high = uniform_filter(estimate, 3) - uniform_filter(estimate, 25)
        edges = 2.0 ** (1 + np.arange(12) / 2)
        classes = np.searchsorted(edges, high / (np.sqrt(uniform_filter(variance, 25)) / 3))
        found, stage = np.zeros_like(estimate), 0
        for length in (8, 4, 2, 1):
            for width in (3.0, 1.5):
                looks = [row[at : at + length], row[max(at - length + 1, 0) : at + 1]]
                told = []
                for span in looks[: 1 if length == 1 else 2]:
                    area = 4 * np.pi * width**2 * len(span)  # pixels that one mean is worth
                    left = gaussian_filter(np.mean(span, axis=0) - found, width, mode="mirror")
                    power = left**2 * area / noise
                    for index in range(13):
                        here = classes == index
                        self.places[stage, index] += here.sum() / area
                        self.power[stage, index] += power[here].sum() / area
                    beyond = np.maximum(1 - self.places[stage] / self.power[stage], 0) ** 0.5
                    beyond[0] = 0
                    share = np.maximum(1 - 9 / power, beyond[classes])
                    told.append((power, left * np.maximum(share, 0)))
                if len(told) > 1:
                    later = told[1][0] > told[0][0]
                    found = found + np.where(later, told[1][1], told[0][1])
                else:
                    found = found + told[0][1]
                stage += 1
        return found


def test_what_is_missed_is_the_definitions() -> None:
    rng, side = np.random.default_rng(11), 48
    rows, columns = np.mgrid[:side, :side] % 24 - 12
    heights = np.kron([[1.5, 6], [15, 60]], np.ones((24, 24)))  # up to far above the last class
    estimate = 0.5 + heights * (np.hypot(rows, columns) < 4) + 0.1 * rng.random((side, side))
    variance = 0.5 + 0.5 * rng.random((side, side))
    light = estimate + 0.4 * (np.hypot(rows, columns) < 4)
    row = [light - estimate + rng.standard_normal((side, side)) * variance**0.5 for _ in range(12)]
    row[6][10:20, 10:20] += 3
    learned, reference = Missed(), Reference()
    for at in range(12):
        given = [one.astype(np.float32) for one in (estimate, variance)]
        found = learned.of([one.astype(np.float32) for one in row], at, *given)
        wanted = reference.of(row, at, estimate, variance)
        np.testing.assert_allclose(found, wanted, atol=2e-3)
    assert np.abs(wanted).max() > 0.3


class Told:
    """Stands in for an engine: notes what it is given, and makes every change."""

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.watched: list[Any] = []

    def new_steady(self, frame: Frame) -> int:
        return 1000 + (frame.pts or 0)  # stands in for what is steady from this frame on

    def watch(self, steady: int, frame: Frame, planes: PlaneNoise) -> None:
        self.watched.append((steady, frame.pts, planes))

    def to_tensor(self, frame: Frame) -> torch.Tensor:
        return torch.from_numpy(np.float32((frame.planes[0] - 60.0) / 200))[None, None]

    def to_frame(self, frame: Frame, picture: Any, change: Any, beside: Any) -> Frame:
        self.given.append((frame.pts, (picture + change)[0, 0].numpy(), beside))
        return replace(frame, planes=((picture + change)[0, 0].numpy(),))


@pytest.mark.parametrize(
    "lengths", [[1, 2], [REACH, 3], [3 * REACH + 2, REACH + 1], [2 * REACH + 1]]
)
def test_every_frame_has_a_row_of_its_shot_with_all_that_may_tell_what_it_misses(
    lengths: list[int],
) -> None:
    names = [(shot, place) for shot, length in enumerate(lengths) for place in range(length)]
    items = [SimpleNamespace(shown=SimpleNamespace(begins=not n[1]), name=n) for n in names]
    found = [([one.name for one in row], at) for row, at in _rows(items)]  # type: ignore[arg-type]  # all it asks for
    assert [row[at] for row, at in found] == names
    for row, at in found:
        shot, place = row[at]
        assert row == [(shot, place - at + step) for step in range(len(row))]  # one after the other
        assert min(place, REACH) <= at <= place
        assert len(row) - at - 1 >= min(lengths[shot] - place - 1, REACH)
        assert (at == 0) is (place == 0)
        assert len(row) <= 2 * REACH + 1


def test_estimates_are_written_with_what_they_miss_beside_the_frames_of_their_shot() -> None:
    rng, light = np.random.default_rng(12), np.full((16, 40, 40), 1.5)
    frames, cut = frames_of(counted(light)), 10
    frames[4] = replace(frames[4], pts=4)
    planes = rng.uniform(90, 140, (16, 40, 40)).astype(np.float32)
    shown = [Shown(t, [frame], t in (0, cut)) for t, frame in enumerate(frames)]
    shown[3].copies.append(replace(frames[3], pts=103))
    engine, law = Told(), PlaneNoise((MODEL,), (white_shares(),))
    noise: Any = SimpleNamespace(measured=MODEL, planes=law)
    estimates = [Estimated(one, (plane,)) for one, plane in zip(shown, planes, strict=True)]
    done = list(written(estimates, engine, noise))  # type: ignore[arg-type]
    assert [[copy.pts for copy in copies] for copies in done][3] == [3, 103]
    assert np.array_equal(done[3][1].planes[0], done[3][0].planes[0])
    assert engine.watched == [(1000 + cut * (t >= cut), t, law) for t in range(16)]
    learned, points = Missed(), engine.given[0][2].points
    for t, (pts, restored, beside) in enumerate(engine.given):
        shot = range(cut, 16) if t >= cut else range(cut)
        assert pts == t
        assert [one.pts for one in beside.frames] == [i for i in (t - 1, t + 1) if i in shot]
        assert beside.flows == (None,) * len(beside.frames)
        assert beside.points is points
        row = [np.float32((frames[i].planes[0] - planes[i]) / 200) for i in shot]
        estimate = np.float32((planes[t] - 60) / 200)
        variance = law.level(0, estimate) ** 2
        wanted = estimate + learned.of(row, shot.index(t), estimate, variance)
        np.testing.assert_allclose(restored, wanted, atol=1e-5)


def test_only_gray_stacks_of_few_photons_are_dim() -> None:
    few, many = (frames_of(counted(np.full((2, 32, 32), light))) for light in (2.0, 10.0))
    assert dim(few, MODEL)
    assert not dim(many, MODEL)
    assert not dim(few, NoiseModel.gaussian(0.05, 1))  # noise that does not grow with light
    video = [replace(f, layout=PlaneLayout(family=Family.GRAY, bits=8)) for f in few]
    assert not dim(video, MODEL)


@pytest.mark.parametrize(("code", "read"), [(139, 0.0), (141, 0.0), (107, 0.08), (109, 0.08)])
def test_less_than_five_electrons_are_few_read_noise_among_them(code: int, read: float) -> None:
    """0.08 of white is the noise of four electrons."""
    model = NoiseModel((GAIN / 200,), (read,), (0.1,), dark=(0.2,))
    few = (code - BLACK) / GAIN + (4 if read else 0) < 5
    assert dim(frames_of(np.full((2, 8, 8), code, np.uint16)), model) == few


def test_sums_are_chosen_on_the_first_32_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "chosen", lambda frames, model, restore: Blend(len(frames)))
    monkeypatch.setattr(stream, "_restore", lambda *_: None)
    pictures = [[frame] for frame in frames_of(counted(np.ones((40, 8, 8))))]
    begin: Any = SimpleNamespace(waiting=pictures[:6], rest=iter(pictures[6:]))
    engine: Any = SimpleNamespace(prompt=False)
    noise: Any = SimpleNamespace(measured=MODEL)
    assert stream._blend(begin, engine, noise).size == 32
    assert [copies[0].pts for copies in begin.waiting] == list(range(32))


def test_a_dim_stack_comes_out_better_than_by_any_gaussian_and_as_bright() -> None:
    light = 2 * scene(16, 0.0, side=40)
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
        for t, f in enumerate(frames_of(counted(scene(16, 0.0, 32))))
    ]
    done = list(denoise_stream(frames, info_of(frames), engine_for(frames)))
    assert [frame.pts for frame in done] == list(range(8, 16))
    assert done[0].planes[0].dtype == np.uint16
