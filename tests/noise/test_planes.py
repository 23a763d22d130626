"""Noise that a user tells, as a file's planes hold it."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from f2rcli import yuv
from f2rcli.frames import Family, Frame, Matrix, PlaneLayout
from f2rcli.noise import planes as module
from f2rcli.noise.bands import _believable, _measured, bands, white_shares
from f2rcli.noise.measurement.blocks import FramePlanes, Pair
from f2rcli.noise.model import KNOTS, NoiseModel
from f2rcli.noise.planes import (
    Anchored,
    PlaneNoise,
    _fewer,
    _measured_models,
    _mixed,
    measure_planes,
    picture_of,
    rgb_factors,
)

HALVED = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)
FULL = PlaneLayout(family=Family.YUV, bits=8, matrix=Matrix.BT709)


def noise(sigma: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sigma, (3, 256, 256)).astype(np.float32)


@pytest.mark.parametrize("layout", [HALVED, FULL])
def test_white_noise_of_a_picture_has_this_strength_in_its_planes(layout: PlaneLayout) -> None:
    planes = PlaneNoise.of(NoiseModel.gaussian(0.1, 3), layout, clipped=False)
    frame = [np.zeros((256, 256), np.float32)] + [
        np.zeros((256 >> layout.log2_chroma[1], 256 >> layout.log2_chroma[0]), np.float32)
    ] * 2
    luma, *chroma = yuv._mix(yuv.matrices(layout.matrix)[1], list(noise()))
    made = [luma, *(yuv._sampled(plane, layout) for plane in chroma)]
    assert [plane.shape for plane in made] == [plane.shape for plane in frame]
    assert planes.shares == (white_shares(),) * 3
    found = [model.sigma[0] for model in planes.models]
    assert found == pytest.approx([plane.std() for plane in made], rel=0.03)


def test_rgb_and_gray_planes_keep_their_channels_laws() -> None:
    model = NoiseModel((0.01, 0.02, 0.03), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3))
    planes = PlaneNoise.of(model, PlaneLayout(family=Family.RGB, bits=8), clipped=True)
    assert [one.gain for one in planes.models] == [(0.01,), (0.02,), (0.03,)]
    gray = PlaneNoise.of(model, PlaneLayout(family=Family.GRAY, bits=8), clipped=True)
    assert len(gray.models) == len(gray.shares) == 1


def test_bands_add_up_and_white_noise_shares_itself_among_them_so() -> None:
    plane = noise()[0]
    parts = bands(plane)
    assert len(parts) == 6
    np.testing.assert_allclose(sum(parts), plane, atol=1e-5)
    power = np.array([np.square(part).mean() for part in parts])
    assert power[:3] / power.sum() == pytest.approx(white_shares()[:3], rel=0.1)
    assert sum(white_shares()) == pytest.approx(1)


def test_coloured_noise_shares_itself_as_its_bands_have_power() -> None:
    """Of places that are flat alone: what is missing counts as missing."""
    rng = np.random.default_rng(1)
    white = rng.standard_normal((400, 402))
    plane = (white[:, :-2] + white[:, 1:-1] + 0.5 * white[:, 2:]).astype(np.float32)
    energy = np.array([np.square(part).mean() for part in bands(plane - plane.mean())])
    whole = _measured(plane)
    np.testing.assert_allclose(whole, energy / energy.sum(), rtol=0.02)
    some = plane.copy()
    some[150:, 100:] = np.nan
    np.testing.assert_allclose(_measured(some)[:4], whole[:4], rtol=0.12)
    rows, columns = np.indices(plane.shape) // 8
    half = np.where((rows + columns) % 2, white[:, 2:], np.nan).astype(np.float32)
    np.testing.assert_allclose(_measured(half)[:3], white_shares()[:3], rtol=0.12)
    hardly = np.full_like(plane, np.nan)
    hardly[:50, :60] = plane[:50, :60]
    assert _measured(hardly) == white_shares()  # less than a fiftieth
    enough = np.full((50, 50), np.nan, np.float32)
    enough[:5, :10] = plane[:5, :10]
    assert _measured(enough) != white_shares()


@pytest.mark.parametrize("strength", [1.0, 1e-5])
def test_power_at_most_doubles_from_band_to_band(strength: float) -> None:
    white = np.array(white_shares())
    power = strength * np.array([1.0, 9.0, 30.0, 31.0, 100.0, 3.0])
    held = np.array([1.0, 9.0, 18.0, 31.0, 62.0, 3.0])  # and their shares sum to one
    np.testing.assert_allclose(_believable(power * white), held * white / (held * white).sum())


def test_no_energy_has_no_shares() -> None:
    assert _believable(np.zeros(6)) == (0.0,) * 6


@pytest.mark.parametrize("cut", [(True, True), (True, False), (False, True)])
def test_noise_moves_in_variance_and_is_told_in_codes(cut: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(5)
    one, two = (
        PlaneNoise(
            tuple(NoiseModel((gain,), (0.02,), (sigma,)) for gain, sigma in rng.random((3, 2))),
            tuple(tuple(row / row.sum()) for row in rng.random((3, 6))),
            clipped,
        )
        for clipped in cut
    )
    between = one.blended(two, 0.25)
    assert between.clipped == all(cut)
    np.testing.assert_allclose(
        between.shares, 0.75 * np.array(one.shares) + 0.25 * np.array(two.shares)
    )
    variances = [[model.sigma[0] ** 2 for model in law.models] for law in (one, two, between)]
    assert variances[2] == pytest.approx(
        0.75 * np.array(variances[0]) + 0.25 * np.array(variances[1])
    )
    bright = rng.random((4, 5)).astype(np.float32)
    for index, told in enumerate(one.values()):
        gain, sigma = one.models[index].gain[0], one.models[index].sigma[0]
        level = np.sqrt(gain * bright + 0.0004)
        np.testing.assert_allclose(one.level(index, bright), level, rtol=1e-5)
        np.testing.assert_allclose(one.scaled(3).level(index, bright), 3 * level, rtol=1e-5)
        assert told["sigma8"] == pytest.approx(255 * sigma)
        knots = np.linspace(0, 1, KNOTS)
        assert told["curve8"] == pytest.approx(255 * np.sqrt(gain * knots + 0.0004))
        assert told["shares"] == list(one.shares[index])


@pytest.mark.parametrize(
    ("count", "side", "kept"), [(9, 100, 9), (9, 700, 4), (9, 2000, 2), (1, 2000, 1)]
)
def test_as_many_pairs_are_compared_as_hold_two_million_pixels(
    count: int, side: int, kept: int
) -> None:
    """Two at least, from the first to the last."""
    luma = np.zeros((side, side), np.float32)
    pairs = [Pair(FramePlanes([luma], luma), FramePlanes([luma], luma)) for _ in range(count)]
    found = _fewer(pairs)
    assert len(found) == kept
    assert found[0] is pairs[0]
    assert found[-1] is pairs[-1 if kept > 1 else 0]
    assert _fewer([]) == []


def coded(picture: np.ndarray, layout: PlaneLayout) -> Frame:
    """A picture (3, H, W) as a file's own planes."""
    planes = []
    for index, plane in enumerate(yuv.split(picture, layout)):
        zero, span = yuv.code_span(layout, chroma=index > 0)
        planes.append(np.clip(np.rint(zero + span * plane), 0, 255).astype(np.uint8))
    return Frame(planes=tuple(planes), layout=layout)


def test_luma_is_how_bright_a_picture_is() -> None:
    picture = np.random.default_rng(2).random((3, 16, 16)).astype(np.float32)
    frame = coded(picture, HALVED)
    frame.planes[0][0, :2] = 0, 255  # beyond black and white
    seen = picture_of(frame)
    assert seen.chroma
    assert (seen.luma.min(), seen.luma.max()) == (0, 1)
    np.testing.assert_array_equal(seen.luma, np.clip(yuv.decoded(frame)[0], 0, 1))
    planes = tuple((255 * picture).astype(np.uint8))
    rgb = picture_of(Frame(planes=planes, layout=PlaneLayout(family=Family.RGB, bits=8)))
    assert not rgb.chroma
    np.testing.assert_allclose(rgb.luma, np.mean(planes, axis=0) / 255, atol=1e-6)


def test_a_channel_of_several_has_the_sum_of_their_variances() -> None:
    model = NoiseModel((0.01, 0.02, 0.03), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3), 7)
    weights = np.array([0.2, 0.5, 0.1])
    one = _mixed(model, weights)
    assert one.gain == pytest.approx((0.002 + 0.01 + 0.003,))
    assert np.square((one.read, one.sigma)).ravel() == pytest.approx([0.031, 0.031])
    assert (one.samples, one.curve) == (7, None)
    bent = NoiseModel(
        (0.0,) * 3, (0.1,) * 3, (0.1,) * 3, 7, tuple((0.1 * i,) * 16 + (0.5,) for i in (1, 2, 3))
    )
    dark = NoiseModel((0.01,) * 3, (0.1,) * 3, (0.1,) * 3, dark=(0.2, 0.2, 0.2))
    for law in (bent, dark):  # neither of which is a line
        curve = _mixed(law, weights).curve
        assert curve is not None
        np.testing.assert_allclose(curve[0], np.sqrt(weights @ np.square(law.at_knots())))


def test_channels_lose_what_their_planes_lose_and_have_no_more_than_these_bring() -> None:
    """Y'CbCr planes bring their variances into each channel, by the matrix and by how chroma
    spreads over pixels; a channel may have 1.1 times the deviation of all together."""
    plane = [NoiseModel.gaussian(sigma, 1) for sigma in (0.1, 0.04, 0.05)]
    model = NoiseModel.gaussian(0.1, 3)
    free = PlaneNoise(tuple(plane), (white_shares(),) * 3)
    weights = np.square(yuv.matrix_to_rgb(HALVED).astype(float))
    weights[:, 1:] *= yuv.stretching_gain(HALVED)
    before = weights @ np.square([0.1, 0.04, 0.05])
    for factors in ((0.5, 1.0, 1.0), (1.0, 0.2, 1.0), (0.0, 0.0, 0.0)):
        held = [one.scaled(factor) for one, factor in zip(plane, factors, strict=True)]
        after = weights @ np.square(np.multiply((0.1, 0.04, 0.05), factors))
        share = np.sqrt(after / before)
        found = rgb_factors(model, free, held, HALVED)
        for row, kept, most in zip(found, share, 1.1 * np.sqrt(after), strict=True):
            assert row.shape == (KNOTS,)
            law = 0.1 * kept
            if law <= most:
                np.testing.assert_allclose(row, kept, rtol=1e-6)
            else:
                assert most / 0.1 * 0.99 < row[0] < kept
    light = [NoiseModel((0.01,), (0.0,), (0.1,), dark=(0.3,))] * 3  # no noise at all in the dark
    counted = NoiseModel((0.001,) * 3, (0.0,) * 3, (0.1,) * 3, dark=(0.3,) * 3)
    kept = rgb_factors(counted, PlaneNoise(tuple(light), (white_shares(),) * 3), light, HALVED)
    np.testing.assert_allclose(kept, 1)
    nothing = [NoiseModel.gaussian(0.0, 1)] * 3
    silent = PlaneNoise(tuple(nothing), (white_shares(),) * 3)
    assert [row.tolist() for row in rgb_factors(model, silent, nothing, HALVED)] == [
        [0.0] * KNOTS
    ] * 3


@pytest.mark.parametrize("layout", [HALVED, FULL])
def test_each_plane_of_a_file_has_the_noise_that_was_put_into_it(layout: PlaneLayout) -> None:
    """Other noise in luma than in chroma, which no noise of RGB channels would leave."""
    rng = np.random.default_rng(3)
    ramp = np.broadcast_to(np.linspace(0.35, 0.65, 256), (3, 256, 256)).astype(np.float32)
    sigmas = (0.02, 0.05, 0.03)

    def recorded() -> Frame:
        clean, planes = coded(ramp, layout), []
        for index, (plane, sigma) in enumerate(zip(clean.planes, sigmas, strict=True)):
            _, span = yuv.code_span(layout, chroma=index > 0)
            noise = rng.normal(0, sigma * span, plane.shape)
            planes.append(np.clip(np.rint(plane + noise), 0, 255).astype(np.uint8))
        return Frame(planes=tuple(planes), layout=layout)

    frames = [recorded() for _ in range(3)]
    near = [torch.from_numpy(ramp + 0.002 * rng.standard_normal(ramp.shape))[None] for _ in "ab"]
    anchored = [Anchored(frames[1], *(one.float() for one in near))]
    pairs = [Pair(picture_of(a), picture_of(b)) for a, b in pairwise(frames)]
    seen = np.stack([yuv.to_rgb(one) for one in frames]) - ramp
    model = NoiseModel((0.0,) * 3, tuple(seen.std((0, 2, 3))), tuple(seen.std((0, 2, 3))), 10_000)
    found = measure_planes(pairs, anchored, model, layout, clipped=False)
    for one, sigma in zip(found.planes.models, sigmas, strict=True):
        assert one.sigma[0] == pytest.approx(sigma, rel=0.06)
    assert found.model.sigma == pytest.approx(model.sigma, rel=0.08)
    assert len(found.bounds) == 3
    alone = measure_planes([], anchored, model, layout, clipped=False)
    assert alone.bounds == []
    assert alone.model is model
    louder = measure_planes(pairs, anchored, model.scaled(3), layout, clipped=False)
    assert louder.model.sigma == pytest.approx(model.sigma, rel=0.15)  # no more than planes bring


@pytest.mark.parametrize(("step", "sigma", "varied"),
                         [(1, 2.1, True), (1, 1.9, False), (1, 40, True), (8, 7, False),
                          (8, 20, True), (64, 60, False)])  # fmt: skip
def test_samples_are_the_same_by_chance_where_a_file_uses_few_codes(
    step: int, sigma: float, varied: bool
) -> None:
    rng, shape = np.random.default_rng(3), (256, 256)
    frames = []
    for _ in range(2):
        noisy = step * np.rint((128 + rng.normal(0, sigma, shape)) / step)
        frames.append(Frame(planes=(noisy.clip(0, 255).astype(np.uint8),), layout=GRAY))
    model = NoiseModel.gaussian(sigma / 255, 1)
    pair = Pair(*map(picture_of, frames))
    found = measure_planes([pair], [], model, GRAY, clipped=False).planes
    assert step - 1e-3 <= 255 * found.steps[0] <= max(step, 0.2 * sigma) + 1e-3
    by_law = PlaneNoise((model,), found.shares, steps=found.steps)
    assert by_law.varied == (varied,)
    assert by_law.shows_sparks == (step == 1 or varied)
    coarse = PlaneNoise((model,), ((0.34, 0.5, 0.16, 0.0, 0.0, 0.0),), steps=(1 / 255,))
    assert not coarse.shows_sparks
    assert by_law.blended(found, 0.5).steps == found.steps


@pytest.mark.parametrize("times", [0.5, 1.25, 2.0])
@pytest.mark.parametrize("coarse", [False, True])
def test_the_finest_band_has_as_much_of_a_law_as_flat_blocks_show(
    coarse: bool, times: float
) -> None:
    """In the median, and no more than all of it; blocks of which nothing is known are left out."""
    rng = np.random.default_rng(5)
    scene = np.full((160, 240), 0.5)
    scene[:, 120:] += 0.3 * (np.arange(120) // 7 % 2)  # bars that move
    both = []
    for at in range(2):
        grains = rng.normal(0, 0.02, scene.shape)
        grains = uniform_filter(grains, 2) if coarse else grains
        plane = np.asarray(np.roll(scene, at, 1) + grains, np.float32)
        both.append(FramePlanes([plane], plane))
    pair, law = Pair(*both), NoiseModel.gaussian(0.02 * times, 1)
    blocks = pair.blocks(0)
    shares = [
        power / law.sigma[0] ** 2
        for power, error, void in zip(blocks.power[-1], blocks.error, blocks.void, strict=True)
        if not void and error < module.FLAT * power
    ]
    assert len(shares) > module.LEAST_FLAT
    found = module._finest([pair], 0, law)
    assert found == pytest.approx(min(float(np.median(shares)), 1))
    assert found == pytest.approx(min((0.034 if coarse else 1) / times**2, 1), rel=0.25)
    assert module._finest([pair], 0, NoiseModel.gaussian(0.0, 1)) == 1


def test_pictures_that_are_the_same_tell_of_no_step() -> None:
    frame = Frame(planes=(np.full((64, 64), 9, np.uint8),), layout=GRAY)
    found = measure_planes([Pair(picture_of(frame), picture_of(frame))], [],
                           NoiseModel.gaussian(0.1, 1), GRAY, clipped=False)  # fmt: skip
    assert found.planes.steps == (0.0,)
    assert PlaneNoise((NoiseModel.gaussian(0.1, 1),), found.planes.shares).varied == (True,)


GRAY = PlaneLayout(family=Family.GRAY, bits=8)
RGB = PlaneLayout(family=Family.RGB, bits=8)
COUNTS = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 100.0))


@pytest.mark.parametrize(
    ("layout", "clipped", "cut_off"),
    [(RGB, True, [True] * 3), (COUNTS, False, [False]), (HALVED, True, [True, False, False]),
     (FULL, False, [False] * 3)],
)  # fmt: skip
def test_laws_are_held_to_their_bounds_at_the_brightness_of_every_fourth_pixel(
    monkeypatch: pytest.MonkeyPatch, layout: PlaneLayout, clipped: bool, cut_off: list[bool]
) -> None:
    """Of all pairs, of which the middle one tells of bands; gray goes through three channels."""
    rng = np.random.default_rng(6)
    lumas = rng.random((4, 18, 21)).astype(np.float32)
    pairs = [Pair(*(FramePlanes([one], one) for one in (luma, 1 - luma))) for luma in lumas]
    model = NoiseModel((0.01,) * 3, (0.1,) * 3, (0.1,) * 3)
    factors = rng.random((len(cut_off), KNOTS))
    asked: list[Any] = []

    def bounds(given: object, cut: object, *, light: bool) -> list[Any]:
        assert (given, cut, light) == (pairs, cut_off, layout is COUNTS)

        def told(index: int) -> Any:
            return lambda law, even: asked.append((index, law, even)) or factors[index]

        return [SimpleNamespace(factors=told(index)) for index in range(len(cut_off))]

    def lowered(law: NoiseModel, rows: Any, bright: Any) -> tuple[Any, ...]:
        np.testing.assert_array_equal(bright, lumas[:, ::4, ::4].ravel())
        return law, np.array(rows).tolist()

    def shares(pair: Pair, bound: Any) -> str:
        assert pair is pairs[2]
        assert len(bound) == len(cut_off)
        return "shares"

    for name, stand_in in (("bounds_of", bounds), ("lowered", lowered), ("shares_of", shares)):
        monkeypatch.setattr(module, name, stand_in)
    monkeypatch.setattr(module, "_finest", lambda *given: 0.5)
    monkeypatch.setattr(module, "least_step", lambda given, plane: 0.1 * (plane + 1))
    monkeypatch.setattr(module, "rgb_factors", lambda *given: [np.full(KNOTS, 0.5)] * 3)
    found = measure_planes(pairs, [], model, layout, clipped=clipped)
    laws = PlaneNoise.of(model, layout, clipped=clipped).models
    even = layout is COUNTS
    assert asked == [(index, law, even) for index, law in enumerate(laws)]
    held = [(law, [row.tolist()]) for law, row in zip(laws, factors, strict=True)]
    assert list(found.planes.models) == held
    assert (found.planes.shares, found.planes.clipped) == ("shares", clipped)
    assert found.planes.steps == tuple(0.1 * (plane + 1) for plane in range(len(cut_off)))
    rows = factors if len(factors) == 3 else np.tile(factors, (3, 1))
    rows = np.full_like(rows, 0.5) if layout.family is Family.YUV else rows
    assert found.model == (model, rows.tolist())
    assert len(found.bounds) == len(cut_off)


@pytest.mark.parametrize("layout", [HALVED, FULL])
def test_planes_of_luma_and_chroma_are_measured_where_luma_is_as_bright(
    monkeypatch: pytest.MonkeyPatch, layout: PlaneLayout
) -> None:
    """By both pictures' mean; chroma is never cut off; another law where nothing is measured."""

    class Samples:
        def __init__(self, channels: int) -> None:
            assert channels == 1
            self.clipped, self.level, self.given = True, [made != [] and len(made) < 2], []
            made.append(self)

        def add(self, *given: torch.Tensor) -> None:
            self.given.append([one[0, 0].numpy() for one in given])

        def model(self) -> NoiseModel:
            return NoiseModel.gaussian(0.3, 1)

    made: list[Samples] = []
    monkeypatch.setattr(module, "NoiseSamples", SimpleNamespace(empty=Samples))
    rng = np.random.default_rng(7)
    pictures = rng.random((2, 3, 16, 20)).astype(np.float32)
    frame = coded(rng.random((3, 16, 20)).astype(np.float32), layout)
    frame.planes[1][...] = 1 + frame.planes[1] // 2
    cut = Frame(planes=(frame.planes[0], *(one[:7] for one in frame.planes[1:])), layout=layout)
    shown = cut if layout is HALVED else frame  # a bottom field may lack a row of chroma
    tensors = [torch.from_numpy(one)[None] for one in pictures]
    free = PlaneNoise.of(NoiseModel.gaussian(0.1, 3), layout, clipped=True)
    found = _measured_models([Anchored(shown, *tensors)], free, layout)
    assert [one.clipped for one in made] == [True, False, False]
    assert [law.sigma[0] for law in found] == [
        free.models[0].sigma[0], 0.3, free.models[2].sigma[0],
    ]  # fmt: skip
    parts = [yuv.split(one, layout) for one in pictures]
    luma = (parts[0][0] + parts[1][0]) / 2
    step = 2 if layout is HALVED else 1
    small = luma.reshape(16 // step, step, 20 // step, step).mean((1, 3))
    for index, one in enumerate(made):
        ((plane, first, second, bright),) = one.given
        rows = len(plane)
        np.testing.assert_array_equal(plane, yuv.decoded(shown)[index])
        np.testing.assert_array_equal(first, parts[0][index][:rows])
        np.testing.assert_array_equal(second, parts[1][index][:rows])
        if rows != 7:  # else brightness is stretched
            np.testing.assert_allclose(bright, small if index else luma, atol=1e-6)
        assert bright.shape == plane.shape
