"""The noise of frames, read by the one function that all of f2r asks: bound times learnt share."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.models.flow import dis_flow
from f2rcli.noise import estimate, model
from f2rcli.noise.following import followed
from f2rcli.yuv import code_span

VIDEO = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False)
SIZE = 160, 208
Codes = NDArray[np.float64]
Draw = Callable[[int], Codes]
ROUNDED = 0.3  # codes: what rounding adds, and no error
ROWS, COLUMNS = np.indices(SIZE).astype(float)


def hills(time: int) -> Codes:
    """A soft scene that pans, of many brightnesses: what most of most films is."""
    x, y = COLUMNS + 1.3 * time, ROWS + 0.4 * time
    return 120 + 60 * np.sin(x / 23) * np.cos(y / 31) + 25 * np.sin((x + y) / 11)


def page(time: int) -> Codes:
    """A drawn page of bars and boxes, one of which falls."""
    shown = np.full(SIZE, 200.0)
    shown[::8, :90] = 40
    shown[60:120, 100:180] = 90
    shown[10 + 3 * time : 40 + 3 * time, 120:150] = 30
    return shown


def lattice(time: int) -> Codes:
    """Windows of a facade that pans by fractions of a pixel: their edges never match."""
    tones = np.random.default_rng(3).uniform(40, 220, (64, 64))
    shown = np.zeros((3 * SIZE[0], 3 * SIZE[1]))
    y, x = np.indices(shown.shape) / 3 + np.array([0, 1.37 * time])[:, None, None]
    v, u = y / 7.3, x / 6.1
    lit = (u % 1 < 0.6) & (v % 1 < 0.7)
    shown = np.where(lit, tones[v.astype(int) % 64, u.astype(int) % 64], 130)
    return cv2.resize(shown, SIZE[::-1], interpolation=cv2.INTER_AREA)


def flash(time: int) -> Codes:
    """Leaves that pan below a calm sky, and are lit in one frame."""
    rough = np.random.default_rng(4).normal(90, 85, (SIZE[0], SIZE[1] + 24))
    leaves = cv2.GaussianBlur(rough, (0, 0), 0.7)[:, 7 * time :][:, : SIZE[1]]
    leaves = np.clip(1.9 * leaves + 26, 16, 235) if time == 1 else leaves
    return np.where(ROWS < 56, 40 + hills(time) / 8, leaves)


def read(
    draw: Draw, sigmas: tuple[float, float, float], *, seed: int = 1, frames: int = 3
) -> estimate.NoiseMap:
    """What is found in three frames of 4:2:0 whose planes have white noise, codes."""
    rng = np.random.default_rng(seed)
    shown = []
    for time in range(frames):
        luma = draw(time)
        half = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        small = 128 + (half - 128) / 4
        parts = [
            p + rng.normal(0, s, p.shape)
            for p, s in zip((luma, small, 256 - small), sigmas, strict=True)
        ]
        codes = tuple(np.clip(np.rint(p), 1, 254).astype(np.uint8) for p in parts)
        shown.append(model.picture_of(Frame(planes=codes, layout=VIDEO, pts=time)))
    middle = min(1, frames - 1)
    chosen = [shown[middle], *shown[:middle], *shown[middle + 1 :]]
    flows = [dis_flow(chosen[0].luma, other.luma) for other in chosen[1:]]
    return estimate.estimate(chosen, flows)


def in_codes(found: estimate.NoiseMap, plane: int) -> float:
    """Standard deviation of a plane's noise by its law."""
    return found.planes[plane].law().sigma[0] * code_span(VIDEO, plane)[1]


@pytest.mark.parametrize(("sigma", "frames"), [(1, 3), (3, 3), (10, 3), (30, 3), (5, 2)])
def test_noise_of_a_soft_scene_is_read_within_a_few_per_cent(sigma: float, frames: int) -> None:
    found = read(hills, (sigma, sigma, sigma), frames=frames)
    for plane in range(3):
        truth = (sigma**2 + 1 / 12) ** 0.5
        within = pytest.approx(truth, rel=0.08 if plane else 0.05, abs=ROUNDED)
        assert in_codes(found, plane) == within


@pytest.mark.parametrize(("draw", "w"), [(hills, 0.4), (hills, 0.45), (hills, 0.8), (lattice, 0.8)])
def test_noise_that_was_softened_a_little_is_read_in_whole(draw: Draw, w: float) -> None:
    def softened(time: int) -> Codes:
        noise = cv2.GaussianBlur(np.random.default_rng((9, time)).normal(0, 1, SIZE), (0, 0), w)
        return np.where(64 * (draw is lattice) > ROWS, 16, draw(time) + 10 * noise / noise.std())

    found = read(softened, (0, 0, 0))
    assert in_codes(found, 0) == pytest.approx(10, rel=0.2 if draw is lattice else 0.06)
    assert found.planes[0].shares[0] < 0.97 * model.white_shares()[0]


@pytest.mark.parametrize("draw", [page, lattice, flash])
def test_drawn_scenes_without_noise_hold_hardly_any(draw: Draw) -> None:
    assert in_codes(read(draw, (0, 0, 0)), 0) < 0.5


def test_a_clean_still_holds_none_at_all() -> None:
    found = read(lambda _: lattice(0), (0, 0, 0))
    assert all(plane.law().sigma[0] == 0 for plane in found.planes)


def test_what_a_pattern_adds_is_told_from_its_noise() -> None:
    # Less leaves some of the noise, more takes some of the pattern (whose bound alone is 6).
    assert 1.5 < in_codes(read(lattice, (3, 3, 3)), 0) < 3.75


def test_every_plane_has_a_noise_of_its_own() -> None:
    found = read(hills, (0, 8, 2))
    assert in_codes(found, 0) < 0.5
    assert in_codes(found, 1) == pytest.approx(8, rel=0.08)
    assert in_codes(found, 2) == pytest.approx(2, rel=0.1)


def test_a_map_shows_where_noise_is() -> None:
    def half(time: int) -> Codes:
        noise = np.random.default_rng((7, time)).normal(0, 10, SIZE)
        return hills(time) + np.where(COLUMNS < 104, noise, 0)

    sigma = np.sqrt(read(half, (0, 0, 0)).planes[0].variance) * 219
    assert np.median(sigma[:, :6]) == pytest.approx(10, rel=0.1)
    assert np.median(sigma[:, 7:]) < 1


def test_noise_that_grows_with_light_is_read_at_every_brightness() -> None:
    def shot(time: int) -> Codes:
        clean = np.interp(COLUMNS + time, [0, 210], [20, 230])
        return clean + np.random.default_rng((5, time)).normal(0, 1, SIZE) * np.sqrt(clean / 4)

    law = read(shot, (0, 0, 0)).planes[0].law()
    assert law.curve is not None
    for place, code in ((4, 16 + 219 / 4), (8, 16 + 219 / 2), (12, 16 + 219 * 0.75)):
        assert law.curve[0][place] * 219 == pytest.approx((code / 4) ** 0.5, rel=0.15)


def test_the_share_of_new_noise_only_lowers_and_its_sureness_is_told() -> None:
    plane = read(lattice, (3, 3, 3)).planes[0]
    assert plane.share.max() <= 1
    assert (plane.error > 0).all()
    assert 0 < plane.unsure < np.inf


@pytest.mark.parametrize("draw", [hills, lambda _: page(0)])
def test_noise_that_frames_keep_is_more_than_they_differ_by(draw: Draw) -> None:
    """As after a camera's own denoising, which leaves 0.6 of the noise of the frame before."""
    rng, kept = np.random.default_rng(6), [np.zeros(SIZE)]
    for _ in range(12):
        kept.append(0.6 * kept[-1] + 0.8 * rng.normal(0, 8, SIZE))
    found = read(lambda time: draw(time) + kept[time - 3], (0, 0, 0))
    assert in_codes(found, 0) == pytest.approx(8, rel=0.1)
    assert found.planes[0].kept == pytest.approx(2.5, rel=0.15)
    assert found.noise(chroma=True, clipped=False).kept >= found.planes[0].kept
    assert read(draw, (8, 8, 8)).noise(chroma=True, clipped=False).kept == 1


def test_maps_of_several_frames_are_one() -> None:
    maps = [read(hills, (5, 5, 5), seed=seed) for seed in (1, 2)]
    both = estimate.NoiseMap.joined(maps)
    assert both.planes[0].level.size == 2 * maps[0].planes[0].level.size
    assert in_codes(both, 0) == pytest.approx(5, rel=0.04)


@pytest.mark.parametrize(("sigma", "within"), [(8, 0.02), (200, 0.1)])  # it reads 14, give or take
def test_an_unsure_look_hardly_counts_against_a_sure_start(sigma: float, within: float) -> None:
    rng = np.random.default_rng(8)
    pair = [np.float32((lattice(time) + rng.normal(0, 8, SIZE)) / 255) for time in (0, 20)]
    shown = [model.FramePlanes([one], one) for one in pair]
    law = model.NoiseModel.gaussian(sigma / 255, 1)
    grid = tuple(map(tuple, rng.choice([0.5, 1.4], (3, 4)).tolist()))
    start = replace(model.PlaneNoise.of(law, clipped=False), places=(grid,) if sigma == 8 else ())
    found = followed(start, shown, [None], [1.0, 1.0], coded=False)
    assert found.model.sigma8 == pytest.approx(start.model.sigma8, rel=within)


def test_specks_on_a_page_do_not_speak_for_the_noise_beside_it() -> None:
    def half(time: int) -> Codes:
        rng = np.random.default_rng((7, time))
        noise = cv2.GaussianBlur(rng.normal(0, 26, SIZE), (0, 0), 0.7)
        specks = (COLUMNS < 160) & (rng.random(SIZE) < 0.004)  # of one code
        return np.where(COLUMNS < 112, hills(time) + noise, hills(0) + specks)

    found = in_codes(read(half, (0, 0, 0)), 0)
    assert found == pytest.approx(10.5, rel=0.1)


def test_places_that_differ_by_light_alone_have_the_bands_of_white_noise() -> None:
    assert model.measured_shares(np.full((64, 64), 0.5, np.float32)) == model.white_shares()


def test_a_frame_alone_is_refused() -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=8)
    picture = model.picture_of(Frame(planes=(np.zeros((64, 64), np.uint8),), layout=layout))
    with pytest.raises(ValueError, match="neighbours"):
        estimate.estimate([picture], [])


def test_large_frames_are_read_on_parts_of_them() -> None:
    whole = read(hills, (5, 5, 5))
    rng, shown = np.random.default_rng(1), []
    for time in range(3):
        luma, small = hills(time), np.full((80, 104), 128.0)
        noisy = (p + rng.normal(0, 5, p.shape) for p in (luma, small, small))
        codes = tuple(np.rint(plane).astype(np.uint8) for plane in noisy)
        shown.append(model.picture_of(Frame(planes=codes, layout=VIDEO)))
    flows = [dis_flow(shown[1].luma, shown[k].luma) for k in (0, 2)]
    part = np.r_[0:32, 96:160], np.r_[0:64, 96:160]
    found = estimate.estimate([shown[1], shown[0], shown[2]], flows, part)
    assert found.planes[0].level.shape == (6, 8)
    assert found.planes[1].level.shape == (3, 4)
    assert in_codes(found, 0) == pytest.approx(in_codes(whole, 0), rel=0.1)
