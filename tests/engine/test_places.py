"""Noise that is not the same everywhere: what is clean stays, and what is noisy is denoised."""

from dataclasses import asdict, replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from f2rcli.engine.contract import residual
from f2rcli.engine.contract.limits import changing, unchanged
from f2rcli.engine.gpu import contract as device_contract
from f2rcli.engine.noise.ceiling import below, ceiling
from f2rcli.engine.noise.excerpts import cut_out
from f2rcli.engine.noise.opening import PREROLL, opening_noise
from f2rcli.engine.noise.places import _filled, _stands_out, _white, drawn, louder_part, places
from f2rcli.engine.noise.tracking import UNEVEN
from f2rcli.engine.resuming.marks import _plane_noise
from f2rcli.engine.stream import denoise_stream
from f2rcli.frames import Frame
from f2rcli.noise.bands import white_shares
from f2rcli.noise.measurement.blocks import FramePlanes, Pair
from f2rcli.noise.measurement.place_factors import spread_out
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from tests.engine.conftest import GRAY8, engine_for, info_of, to_frames
from tests.engine.test_ceiling import law, sliding
from tests.engine.test_noise_measurement import YUV420

HEIGHT, WIDTH = 96, 128
LAW = NoiseModel.gaussian(12 / 255, 1)
LOUD = np.zeros((HEIGHT, WIDTH), bool)
LOUD[:, WIDTH // 2 :] = True


def frames_of(sigma: np.ndarray | float, count: int = 2, *, seed: int = 1) -> list[Frame]:
    """Fine texture that moves, below a smooth sky, with noise of sigma (H, W)."""
    clip = sliding(count, 1)
    noise = np.random.default_rng(seed).standard_normal((count, 1, HEIGHT, WIDTH))
    return to_frames(clip + noise * sigma / 255, GRAY8)


def pair_of(frames: list[Frame]) -> Pair:
    made = [FramePlanes.of_channels([f.planes[0].astype(np.float32) / 255]) for f in frames]
    return Pair(*made[:2])


def uneven(loud: float, quiet: float) -> np.ndarray:
    return np.where(LOUD, loud, quiet)


def test_each_place_gets_what_it_holds() -> None:
    found = np.array(places(pair_of(frames_of(uneven(12, 3))), 0, LAW, 1.0))
    assert found.shape == (12, 16)  # blocks of 8 pixels
    assert np.median(found[:, 9:]) == 1
    assert np.median(found[:, :7]) == pytest.approx(0.25, abs=0.05)


def test_what_is_clean_has_no_noise_though_it_moves() -> None:
    found = np.array(places(pair_of(frames_of(uneven(12, 0))), 0, LAW, 1.0))
    assert np.median(found[:, :7]) == 0
    assert found[:, :7].mean() < 0.1
    assert found[:, 9:].mean() > 0.95


@pytest.mark.parametrize("sigma", [11, 12, 20])
def test_where_noise_is_the_same_everywhere_nothing_is_said(sigma: float) -> None:
    pair = pair_of(frames_of(sigma))
    assert places(pair, 0, LAW, 1.0) == ()
    assert louder_part(pair, NoiseModel.gaussian(sigma / 255, 1)) is None


def test_coarse_noise_is_everywhere_what_its_law_says() -> None:
    """Too little of film grain is in the finest band: what blocks differ by there is texture, and
    gopro_path under grain lost 1.8 dB by it."""
    pair = pair_of(frames_of(uneven(12, 3)))
    assert places(pair, 0, LAW, 0.24) == ()
    assert places(pair, 0, LAW, 0.26) != ()


def test_a_louder_part_is_found_and_not_far_beyond_its_border() -> None:
    part = louder_part(pair_of(frames_of(uneven(12, 0))), NoiseModel.gaussian(0, 1))
    assert part is not None
    assert part.left >= WIDTH // 2 - 8
    assert part.height * part.width > 0.7 * LOUD.sum()
    cut = cut_out(frames_of(12.0)[0], part)
    assert cut.planes[0].shape == (part.height, part.width)


def test_white_blocks_hold_about_as_much_in_every_band() -> None:
    full = [1.0] * 4 + [1.59, 1.61]
    finest = [0.69, 0.71, 1.34, 1.36, 1, 1]
    blocks: Any = SimpleNamespace(power=np.array([full, [1.0] * 6, finest]))
    assert _white(blocks).tolist() == [False, True, True, False, True, False]


@pytest.mark.parametrize(("times", "told"), [(3.8, False), (4.2, True)])
def test_a_louder_part_holds_four_times_the_laws_variance_or_that_of_places_as_bright(
    times: float, told: bool
) -> None:
    level = np.repeat([0.5, 0.5, 0.9], 16)
    loud, silent = (np.repeat(one, 16) for one in ([True, False, False], [False, True, True]))
    power = np.log(np.repeat([times, 1.0, 0.01], 16))
    law = np.zeros(48)
    assert _stands_out(level, power, law, loud, np.zeros(48, bool)) == told
    assert _stands_out(level, power, law + np.log(times), loud, silent) == told
    few = silent & (np.arange(48) != 20)  # fewer than sixteen blocks say nothing
    assert not _stands_out(level, power, law + np.log(times), loud, few)


def test_a_louder_part_is_found_among_blocks_of_it_that_say_nothing() -> None:
    """Every fourth is covered by something else in each frame."""
    rng, (rows, columns) = np.random.default_rng(4), np.mgrid[:HEIGHT, :WIDTH] // 8
    covered = (rows % 2 == 1) & (columns % 2 == 1) & LOUD
    frames = []
    for frame in frames_of(uneven(12, 0)):
        other = np.kron(rng.normal(0, 40, (HEIGHT // 4, WIDTH // 4)), np.ones((4, 4)))
        codes = np.clip(frame.planes[0] + other * covered, 0, 255).astype(np.uint8)
        frames.append(replace(frame, planes=(codes,)))
    part = louder_part(pair_of(frames), NoiseModel.gaussian(0, 1))
    assert part is not None
    assert part.left >= WIDTH // 2 - 8
    assert part.height * part.width > 0.7 * LOUD.sum()


def test_a_louder_part_is_found_beside_one_colour_without_noise() -> None:
    rng = np.random.default_rng(5)
    clip = 0.5 + rng.normal(0, 12 / 255, (2, 1, HEIGHT, WIDTH)) * LOUD
    part = louder_part(pair_of(to_frames(clip, GRAY8)), NoiseModel.gaussian(0, 1))
    assert part is not None
    assert part.left >= WIDTH // 2 - 8


def test_what_a_block_does_not_say_those_near_it_do() -> None:
    share = np.full((24, 24), np.nan)
    share[:, :8] = 0.2
    found = _filled(share)
    assert (found[:, :8] == 0.2).all()
    assert found[:, 8] == pytest.approx(0.2, abs=0.06)
    assert found[:, 20:] == pytest.approx(1, abs=0.01)
    assert (np.diff(found[12, 8:]) >= 0).all()


def test_texture_that_changes_is_no_louder_part() -> None:
    rng = np.random.default_rng(3)
    soft = [np.repeat(np.repeat(rng.normal(0, 20, (48, 64)), 2, 0), 2, 1) for _ in range(2)]
    clip = sliding(2, 1) + np.stack(soft)[:, None] * LOUD / 255
    assert louder_part(pair_of(to_frames(clip, GRAY8)), NoiseModel.gaussian(0, 1)) is None


def test_chroma_has_no_noise_where_luma_has_none() -> None:
    luma = tuple(tuple(row) for row in np.where(LOUD[::16, ::16], 1.0, 0.0).tolist())
    found = np.array(drawn((), luma, (48, 64)))
    assert found.shape == (6, 8)
    assert not found[:, :4].any()
    assert (found[:, 4:] == 1).all()
    assert drawn((), (), (48, 64)) == ()


def test_colours_go_by_the_luma_of_their_own_picture() -> None:
    """Two of colours that are noisy everywhere, where luma is so on the right alone."""
    rng, grid = np.random.default_rng(3), np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) / 255
    sizes = (HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2)

    def frame() -> Frame:
        noise = [12 * rng.standard_normal(size) for size in sizes]
        planes = [80 + 60 * grid + noise[0] * LOUD, 128 + noise[1], 128 + noise[2]]
        codes = tuple(np.rint(plane).astype(np.uint8) for plane in planes)
        return Frame(planes=codes, layout=YUV420)

    one = NoiseModel.gaussian(12 / 219, 1), NoiseModel.gaussian(12 / 224, 1)
    shares = (white_shares(),) * 3
    noise = PlaneNoise((one[0], one[1], one[1]), shares, finest=(1.0,) * 3)
    found = ceiling(frame(), frame(), np.zeros((HEIGHT, WIDTH, 2), np.float32), noise)
    for bound in found[1:]:
        factors = np.array(bound.places)
        assert not factors[:, : factors.shape[1] // 2 - 1].any()
        assert factors[:, factors.shape[1] // 2 + 1 :].all()


def test_no_noise_is_weaker_than_rounding_to_codes() -> None:
    """A quarter of a code is what a picture's own grid leaves of nothing."""
    rng, scene = np.random.default_rng(2), np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) / 510
    sigma = np.where(LOUD, 1.0, 0.3) / 255
    planes = [(scene + sigma * rng.standard_normal(scene.shape)).astype(np.float32) for _ in "ab"]
    pair = Pair(*(FramePlanes.of_channels([plane]) for plane in planes))
    found = np.array(places(pair, 0, NoiseModel.gaussian(1 / 255, 1), 1.0))
    assert not found[:, :7].any()
    assert np.median(found[:, 9:]) == 1


def test_the_law_of_planes_knows_places_of_any_shape() -> None:
    grid = ((0.0, 1.0), (1.0, 1.0))
    shown = spread_out(grid, (13, 15))
    assert shown.shape == (13, 15)
    assert not shown[:8, :8].any()
    assert shown[-1, -1] == 1
    noise = PlaneNoise((LAW,), (white_shares(),), places=(grid,))
    assert noise.level(0, np.full((13, 15), 0.5, np.float32))[0, 0] == 0


def test_the_quiet_part_does_not_lower_the_law_of_the_loud_one() -> None:
    frames, at_rest = frames_of(uneven(12, 0)), np.zeros((HEIGHT, WIDTH, 2), np.float32)
    noise = replace(law(12), finest=(1.0,), uneven=True)
    bounds = ceiling(*frames, at_rest, noise)
    found = below(noise, bounds, coded=False)
    assert found.models == noise.models
    level = found.level(0, np.full((HEIGHT, WIDTH), 0.5, np.float32))
    assert 255 * level[:, 80:].mean() > 11
    assert 255 * level[:, :56].mean() < 1
    assert below(replace(noise, uneven=False), bounds, coded=True).places == ()


def test_a_resumed_run_knows_the_law_of_a_part() -> None:
    noise = PlaneNoise((LAW,), (white_shares(),), False, (0.9,), True, steps=(0.25,))
    assert _plane_noise(asdict(noise)) == noise


def test_letters_over_noise_are_left_alone_sample_by_sample() -> None:
    rng = np.random.default_rng(4)
    planes = [rng.integers(60, 120, (32, 48)).astype(np.float32) for _ in range(3)]
    for plane in planes:
        plane[8:20, 10] = 235
    centre, *near = planes
    same = unchanged(centre, near, [None, None])
    assert same[8:20, 10].all()
    assert same.sum() < 16
    assert not unchanged(centre, near[:1], [None]).any()
    bound = changing(centre, near, [None, None])
    assert bound is not None
    assert bound[12, 10] > 0  # windows are too wide for it


def levels(clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 26 * np.rint((clean + rng.normal(0, 16, clean.shape)) / 26)


def electrons(clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 64 * rng.poisson(clean / 64)


@pytest.mark.parametrize("there", [False, True], ids=["processor", "device"])
@pytest.mark.parametrize("recorded", [levels, electrons])
def test_samples_of_few_codes_are_the_same_by_chance(recorded: Any, there: bool) -> None:
    """Three frames agree in every fifth sample, and many stand out far above their noise."""
    clean = 80 * sliding(PREROLL, 1)[:, 0]
    noisy = np.clip(recorded(clean, np.random.default_rng(1)), 0, 255)
    frames = to_frames(noisy[:, None] / 255, GRAY8)
    engine = engine_for(frames)
    if there:
        engine.stay_on_device()
    done = islice(denoise_stream(frames, info_of(frames), engine), 3)
    codes = np.stack([one.planes[0] for one in done])
    left, before = (np.sqrt(np.square(one - clean[:3]).mean()) for one in (codes, noisy[:3]))
    assert left < (0.25 if recorded is levels else 0.49) * before
    assert np.mean(codes == noisy[:3]) < 0.12


@pytest.mark.parametrize("there", [False, True], ids=["processor", "device"])
@pytest.mark.parametrize("coarse", [False, True])
def test_no_sparks_are_looked_for_in_coarse_grain(
    monkeypatch: pytest.MonkeyPatch, coarse: bool, there: bool
) -> None:
    """A bright blob of it holds many samples, and stayed as dots of colour."""
    rng, clip, looked = np.random.default_rng(2), sliding(PREROLL, 1), []
    noise = rng.standard_normal(clip.shape)
    if coarse:
        noise = np.stack([[cv2.GaussianBlur(one, (0, 0), 1.3) for one in f] for f in noise])
    frames = to_frames(clip + 15 / 255 * noise / noise.std(), GRAY8)

    def look(removed: Any, *_: Any) -> Any:
        looked.append(removed.shape)
        return 1

    module = device_contract if there else residual
    monkeypatch.setattr(module, "noise_share", look)
    engine = engine_for(frames)
    if there:
        engine.stay_on_device()
    next(denoise_stream(frames, info_of(frames), engine))
    assert bool(looked) != coarse


@pytest.mark.parametrize("there", [False, True], ids=["processor", "device"])
def test_a_clean_half_stays_and_the_noisy_one_is_denoised(there: bool) -> None:
    sigma, clean = uneven(12, 0), np.rint(255 * sliding(PREROLL + 1, 1)[:, 0])
    frames = frames_of(sigma, PREROLL + 1)
    engine = engine_for(frames)
    if there:
        engine.stay_on_device()
    done = islice(denoise_stream(frames, info_of(frames), engine), 4)
    off = [one.planes[0] - truth for one, truth in zip(done, clean[:4], strict=True)]
    quiet, loud = (float(np.sqrt(np.mean([np.square(o[m]).mean() for o in off])))
                   for m in (~LOUD, LOUD))  # fmt: skip
    assert loud < 6  # 12 while one law was measured for both
    assert quiet < 0.4
    assert UNEVEN in engine.notes


def test_even_noise_is_measured_as_ever() -> None:
    frames = frames_of(12, PREROLL)
    engine = engine_for(frames)
    assert not opening_noise(frames, engine).planes.uneven
