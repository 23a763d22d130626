"""From a method's change to planes: what the contract is told of each, and what comes of it."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.engine.contract import residual
from f2rcli.engine.contract.limits import sized
from f2rcli.engine.contract.residual import (
    ALONE,
    CODED,
    COMPRESSED,
    SPARSE,
    STRICT,
    Beside,
    Slack,
    under_contract,
    watched,
)
from f2rcli.engine.contract.returned import Returned
from f2rcli.engine.contract.shift import part_removed, shift_scatter
from f2rcli.engine.contract.shrinkage import Shrinkage
from f2rcli.engine.contract.steady import Steady
from f2rcli.engine.contract.still import Still
from f2rcli.frames import Family, Frame, Matrix, PlaneLayout
from f2rcli.noise.bands import white_shares
from f2rcli.noise.clipping import clipped_moments
from f2rcli.noise.measurement.blocks import whole_landing
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise

Real = NDArray[np.float32]
HEIGHT, WIDTH = 24, 32
GRAY = PlaneLayout(family=Family.GRAY, bits=8)
RGB = PlaneLayout(family=Family.RGB, bits=8)
YUV = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), matrix=Matrix.BT709)
# Louder where it is brighter, in every channel otherwise.
MODEL = NoiseModel((0.01, 0.02, 0.04), (0.02, 0.03, 0.01), (0.07, 0.1, 0.14))


def drawn(layout: PlaneLayout, seed: int = 0, low: int = 60, high: int = 200) -> Frame:
    rng = np.random.default_rng(seed)
    shapes = [(HEIGHT, WIDTH)]
    if layout.colour_planes == 3:
        x, y = layout.log2_chroma if layout.family is Family.YUV else (0, 0)
        shapes += [(HEIGHT >> y, WIDTH >> x)] * 2
    planes = tuple(rng.integers(low, high, shape, np.uint8) for shape in shapes)
    return Frame(planes=planes, layout=layout)


def change_of(layout: PlaneLayout, size: float = 0.05) -> torch.Tensor:
    rng = torch.Generator().manual_seed(3)
    return size * torch.randn(1, layout.colour_planes, HEIGHT, WIDTH, generator=rng)


class Told(list[Any]):
    """Stands in for `held`: notes what it is told, and lets half of what was removed stay."""

    clipped: Any = None  # of the last plane

    def __call__(self, removed: Real, variance: Real, shares: Any, clipped: Any) -> Real:
        self.append((removed.copy(), variance.copy(), shares))
        self.clipped = clipped
        return removed / 2


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr(residual, "held", told)
    monkeypatch.setattr(residual, "smoothed", lambda planes, levels: planes)
    return told


def run(frame: Frame, beside: Beside = ALONE, **options: Any) -> list[Real]:
    change = options.pop("change", change_of(frame.layout))
    noise = options.pop("noise", None)
    model = options.pop("model", MODEL.first_channels(frame.layout.colour_planes))
    noise = noise or PlaneNoise.of(model, frame.layout, clipped=False)
    picture = torch.from_numpy(yuv.to_rgb(frame))[None]
    returned = options.pop("returned", Returned())
    options.setdefault("slack", Slack())
    return under_contract(frame, picture, change, noise, model, beside, returned, **options)


def test_every_plane_is_held_to_its_own_law_at_the_brightness_that_comes_out(told: Told) -> None:
    frame, change = drawn(RGB), change_of(RGB)
    kept = run(frame)
    for index, (removed, variance, shares) in enumerate(told):
        np.testing.assert_array_equal(removed, -change[0, index].numpy())
        restored = frame.planes[index] / 255 + change[0, index].numpy()
        wanted = MODEL.gain[index] * restored.clip(0, 1) + MODEL.read[index] ** 2
        np.testing.assert_allclose(variance, wanted, rtol=1e-4)
        assert shares == white_shares()
        np.testing.assert_allclose(kept[index], change[0, index].numpy() / 2)


@pytest.mark.parametrize(
    ("layout", "plain"),
    [(GRAY, ()), (YUV, (1, 2)), (replace(GRAY, levels=(0.0, 255.0)), (0,))],
    ids=["gray", "chroma", "counts"],
)
def test_sparks_are_looked_for_in_luma_alone(
    told: Told, layout: PlaneLayout, plain: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is held of the others all stays; of luma as much as noise may be."""
    monkeypatch.setattr(residual, "noise_share", lambda removed, variance, cut: np.float32(0.25))
    frame, change = drawn(layout), change_of(layout)
    noise = PlaneNoise.of(MODEL.first_channels(layout.colour_planes), layout, clipped=False)
    assert noise.shows_sparks
    found, planes = run(frame, noise=noise), change[0].numpy()
    if layout is YUV:
        planes = yuv.plane_changes(frame, planes)
    for index, (one, whole) in enumerate(zip(found, planes, strict=True)):
        share = 1 / 2 if index in plain else 1 / 8
        np.testing.assert_allclose(one, whole * share, atol=1e-6)
    coarse = replace(noise, shares=((0.1, 0.1, 0.2, 0.2, 0.2, 0.2),) * len(noise.shares))
    assert not coarse.shows_sparks
    found = run(frame, noise=coarse)
    np.testing.assert_allclose(found[0], planes[0] / 2, atol=1e-6)


def test_chroma_is_as_loud_as_the_luma_beside_it_says(told: Told) -> None:
    frame, change = drawn(YUV), change_of(YUV)
    noise = PlaneNoise.of(MODEL, YUV, clipped=False)
    run(frame, noise=noise)
    planes = yuv.plane_changes(frame, change[0].numpy())
    luma = frame.planes[0] / np.float32(255) + planes[0]
    cells = luma.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3))
    for index, (removed, variance, _) in enumerate(told):
        np.testing.assert_allclose(removed, -planes[index], atol=1e-6)
        level = noise.level(index, (cells if index else luma).astype(np.float32))
        np.testing.assert_allclose(variance, level**2, rtol=1e-4)


@pytest.mark.parametrize("allowance", [(0.5,), (0.5, 2.0, 3.0)])
def test_allowance_is_a_factor_of_the_deviation_of_each_plane_or_of_all(
    told: Told, allowance: tuple[float, ...]
) -> None:
    run(drawn(YUV))
    run(drawn(YUV), allowance=allowance)
    factors = allowance * 3 if len(allowance) == 1 else allowance
    for before, after, factor in zip(told[:3], told[3:], factors, strict=True):
        np.testing.assert_allclose(after[1], before[1] * factor**2, rtol=1e-5)


@pytest.mark.parametrize("layout", [RGB, YUV])
def test_slack_is_of_luma_and_of_chroma_apart(told: Told, layout: PlaneLayout) -> None:
    run(drawn(layout))
    run(drawn(layout), slack=Slack(noise=(2.0, 5.0)))
    factors = (2, 5, 5) if layout is YUV else (2, 2, 2)
    for before, after, factor in zip(told[:3], told[3:], factors, strict=True):
        np.testing.assert_allclose(after[1], before[1] * factor, rtol=1e-5)


def test_slack_of_coded_files_and_of_few_electrons_is_larger_everywhere() -> None:
    assert (SPARSE.noise, SPARSE.change, SPARSE.clipped) == ((2, 2), (4, 4), 1.08)
    assert (STRICT.noise, STRICT.change, STRICT.clipped) == ((1.1, 1.1), (1.32, 1.2), 1.08)
    assert (STRICT.chance, SPARSE.chance, CODED.chance) == (1.1, 1, 1)
    assert (CODED.noise, CODED.change, CODED.clipped) == ((1.4, 3.5), (2.0, 5.0), 1.6)


def box(plane: NDArray[Any], side: int) -> Real:
    return cv2.blur(plane.astype(np.float32), (side, side), borderType=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("layout", [RGB, YUV])
def test_what_does_not_change_in_time_has_no_noise(told: Told, layout: PlaneLayout) -> None:
    """Right half of the neighbour is the same: nothing may be removed there."""
    frame, other = drawn(layout), drawn(layout, 1)
    for mine, theirs in zip(frame.planes, other.planes, strict=True):
        theirs[:, mine.shape[1] // 2 :] = mine[:, mine.shape[1] // 2 :]
    run(frame, Beside(frames=(other,), flows=(None,)), slack=Slack(change=(1.5, 7.0)))
    run(frame)
    for index, ((_, bound, _), (_, free, _)) in enumerate(zip(told[:3], told[3:], strict=True)):
        a, b = (yuv.decoded(one)[index] for one in (frame, other))
        factor = 7.0 if layout is YUV and index else 1.5
        wanted = np.minimum(free, factor * box(np.square(a - b), 9) / 2)
        np.testing.assert_allclose(bound, wanted, rtol=1e-3, atol=1e-7)
        assert bound[:, -2:].max() < 1e-6


@pytest.mark.parametrize("layout", [GRAY, YUV])
def test_flow_says_where_a_place_lies_in_the_neighbour(told: Told, layout: PlaneLayout) -> None:
    """The neighbour is the frame moved by (4, -2); with the flow known nothing changes at all."""
    wide = drawn(layout)
    steps = [(4, -2)] + [(2, -1)] * 2
    moved = tuple(
        np.roll(plane, (y, x), (0, 1)) for plane, (x, y) in zip(wide.planes, steps, strict=False)
    )
    flow = np.empty((HEIGHT, WIDTH, 2), np.float32)
    flow[...] = (4.3, -1.8)  # to whole samples
    flow[:, :2] = (-400, 900)  # beyond the picture: its edge
    run(wide, Beside(frames=(replace(wide, planes=moved),), flows=(flow,)))
    for _, variance, _ in told:
        inside = variance[6:-6, 6:-8] if len(variance) == HEIGHT else variance[5:-5, 5:-6]
        assert inside.size > 9
        assert float(inside.max()) < 1e-7
        assert float(variance.max()) > 1e-4


def test_a_flow_of_another_size_is_brought_to_the_planes() -> None:
    flow = np.zeros((8, 12, 2), np.float32)
    flow[..., 0], flow[..., 1] = 2.0, -1.0
    found = whole_landing(flow, (16, 6))  # twice as high, half as wide
    y, x = np.mgrid[:16, :6]
    wanted = np.clip(y - 2, 0, 15) * 6 + np.clip(x + 1, 0, 5)
    np.testing.assert_array_equal(found, wanted)
    back = whole_landing(-flow, (16, 6))  # over the other borders
    np.testing.assert_array_equal(back, np.clip(y + 2, 0, 15) * 6 + np.clip(x - 1, 0, 5))
    still = whole_landing(np.zeros((16, 6, 2), np.float32), (16, 6))
    np.testing.assert_array_equal(still, y * 6 + x)


def test_sizes_change_by_means_and_by_interpolation() -> None:
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert sized(values, (4, 6)) is values
    halves = values.reshape(2, 2, 3, 2).mean((1, 3))
    np.testing.assert_allclose(sized(values, (2, 3)), halves)
    np.testing.assert_allclose(sized(halves, (4, 6)), cv2.resize(halves, (6, 4)))


ONCE = 0.1 * STRICT.clipped  # what noise of 0.1 is believed to have been when it was clipped


def lifted(frame: Frame, change: torch.Tensor, sigma: float) -> tuple[Real, Real]:
    """By what clipping lifts the mean of gray noise, and what it leaves of its variance."""
    restored = torch.from_numpy(yuv.to_rgb(frame))[None] + change
    small = torch.nn.functional.avg_pool2d(restored, 2)
    moments = clipped_moments(small, torch.full_like(small, sigma))
    shift, left = (cv2.resize(m[0, 0].numpy(), (WIDTH, HEIGHT)) for m in moments)
    return shift, left


def set_apart(removed: Real, shift: Real, variance: Real) -> Real:
    """Of means over 9x9 pixels what lies between none of the shift and all of it, or would where
    noise of these means can explain it: three standard deviations of what coarse bands hold."""
    room = 3 * box(np.sqrt(variance), 9) * sum(white_shares()[2:]) ** 0.5
    return np.clip(box(removed, 9) + room, 0, shift)


def test_what_clipping_moved_means_by_stays_removed_as_far_as_it_was(told: Told) -> None:
    """Noise of 0.1 on black: clipping lifts its mean by 0.04, and a method takes that out again."""
    frame = drawn(GRAY, low=0, high=20)
    model = NoiseModel.gaussian(0.1, 1)
    noise = PlaneNoise.of(model, GRAY, clipped=True)
    for size in (-0.02, 0.02, 0.2, -0.5):
        told.clear()
        change = torch.full((1, 1, HEIGHT, WIDTH), size)
        (kept,) = run(frame, change=change, noise=noise, model=model)
        ((free, variance, _),) = told
        shift, left = lifted(frame, change, ONCE)
        np.testing.assert_allclose(variance, 0.01 * left, rtol=1e-4)
        removed = np.full_like(left, -size)
        taken = set_apart(removed, shift, variance)
        np.testing.assert_allclose(free, removed - taken, atol=1e-6)  # set apart, and not judged
        np.testing.assert_allclose(-kept, (removed - taken) / 2 + taken, atol=1e-6)
        if size in (0.2, -0.5):
            np.testing.assert_array_equal(taken, shift if size < 0 else 0)


def test_noise_in_what_was_removed_leaves_the_shift_whole(told: Told) -> None:
    """Without room for it, the means of noise would return a part of the shift everywhere."""
    frame = drawn(GRAY, low=0, high=20)
    model = NoiseModel.gaussian(0.1, 1)
    noise = PlaneNoise.of(model, GRAY, clipped=True)
    shift, left = lifted(frame, torch.zeros(1, 1, HEIGHT, WIDTH), ONCE)
    rng = np.random.default_rng(1)
    removed = shift + rng.normal(0, 0.1, shift.shape) * np.sqrt(left)
    change = torch.from_numpy(-removed.astype(np.float32))[None, None]
    run(frame, change=change, noise=noise, model=model)
    whole, _ = lifted(frame, change, ONCE)
    assert float(np.abs(removed - told[0][0] - whole).mean()) < 0.002


def test_noise_that_a_codec_weakened_was_clipped_at_its_full_strength(told: Told) -> None:
    frame, model = drawn(GRAY, low=0, high=20), NoiseModel.gaussian(0.1, 1)
    noise = PlaneNoise.of(model, GRAY, clipped=True)
    change = torch.full((1, 1, HEIGHT, WIDTH), -0.5)
    for clipped in (1.0, 1.6):
        run(frame, change=change, noise=noise, model=model, slack=Slack(clipped=clipped))
        whole, _ = lifted(frame, change, 0.1 * clipped)
        np.testing.assert_allclose(0.5 - told[-1][0], whole, rtol=1e-4)


def test_where_less_changes_than_the_law_says_less_was_cut_off(told: Told) -> None:
    frame, model = drawn(GRAY, low=0, high=20), NoiseModel.gaussian(0.1, 1)
    noise = PlaneNoise.of(model, GRAY, clipped=True)
    change = torch.full((1, 1, HEIGHT, WIDTH), -0.5)
    near = Beside(frames=(drawn(GRAY, 1, 0, 20),), flows=(None,))
    run(frame, change=change, noise=noise, model=model)
    run(frame, near, change=change, noise=noise, model=model)
    alone, beside = (0.5 - free for free, _, _ in told)
    a, b = (yuv.decoded(one)[0] for one in (frame, near.frames[0]))
    quiet = box(np.square(a - b), 9) / 2
    seen = np.minimum(1.5 * quiet / told[0][1], 1)
    np.testing.assert_allclose(beside, alone * np.sqrt(seen), rtol=0.02)
    assert float(seen.max()) < 0.7
    loud = Beside(frames=(drawn(GRAY, 1, 0, 255),), flows=(None,))
    run(frame, loud, change=change, noise=noise, model=model)
    np.testing.assert_allclose(0.5 - told[2][0], alone, rtol=1e-5)  # never more than all of it


def test_what_was_taken_of_a_shift_is_the_mean_of_nine_pixels_each_way(told: Told) -> None:
    frame, model = drawn(GRAY, low=0, high=20), NoiseModel.gaussian(0.1, 1)
    noise = PlaneNoise.of(model, GRAY, clipped=True)
    change = 0.01 - change_of(GRAY, 0.005)
    run(frame, change=change, noise=noise, model=model)
    ((free, variance, _),) = told
    shift, _ = lifted(frame, change, ONCE)
    removed = -change[0, 0].numpy()
    taken = set_apart(removed, shift, variance)
    np.testing.assert_allclose(free, removed - taken, atol=1e-6)
    assert float(((taken > 0) & (taken < shift)).mean()) > 0.5


def test_what_was_cut_off_of_colours_is_by_what_their_mean_changes(told: Told) -> None:
    """A picture whose channels are not alike: its brightness is their mean."""
    frame, model = drawn(RGB, low=0, high=20), NoiseModel((0.1,) * 3, (0.04,) * 3, (0.1,) * 3)
    noise = PlaneNoise.of(model, RGB, clipped=True)
    change = torch.full((1, 3, HEIGHT, WIDTH), -0.5)
    change[:, 1] = 1.2
    near = Beside(frames=(drawn(RGB, 1, 0, 20),), flows=(None,))
    run(frame, change=change, noise=noise, model=model)
    run(frame, near, change=change, noise=noise, model=model)
    restored = torch.from_numpy(yuv.to_rgb(frame))[None] + change
    small = torch.nn.functional.avg_pool2d(restored, 2)
    shift, left = clipped_moments(small, model.level(small) * STRICT.clipped)
    a, b = (yuv.decoded(one)[0] for one in (frame, near.frames[0]))
    size = (WIDTH, HEIGHT)
    share = cv2.resize(left[0].mean(0).numpy(), size)
    law = noise.level(0, cv2.resize(small[0].mean(0).numpy(), size)) ** 2 * share
    seen = np.sqrt(np.minimum(1.5 * box(np.square(a - b), 9) / 2 / law, 1))
    assert 0.05 < float(seen.min()) < float(seen.max()) <= 1
    for index in (0, 2):
        whole, part = (0.5 - told[place + index][0] for place in (0, 3))
        np.testing.assert_allclose(whole, cv2.resize(shift[0, index].numpy(), size), atol=1e-5)
        np.testing.assert_allclose(part, whole * seen, atol=1e-5)


@pytest.mark.parametrize("end", [-1, 1])
def test_a_shift_to_either_side_is_taken_as_far_as_the_mean_went(end: int) -> None:
    """At white means fall: what lies between none and all of it by more than noise explains."""
    shape = (20, 24)
    rng = np.random.default_rng(4)
    shift = end * np.float32(0.04) * rng.random(shape).astype(np.float32)
    taken = (end * 0.03 + 0.02 * rng.standard_normal(shape)).astype(np.float32)
    variance = (1e-5 * (1 + rng.random(shape))).astype(np.float32)
    shares = (0.5, 0.3, 0.1, 0.05, 0.03, 0.02)
    room = 3 * box(np.sqrt(variance), 9) * 0.2**0.5
    wanted = end * np.clip(end * box(taken, 9) + room, 0, end * shift)
    np.testing.assert_allclose(part_removed(taken, shift, variance, shares), wanted, atol=1e-6)
    assert shift_scatter((0.9, 0.1, 0, 0, 0, 0)) == pytest.approx(3 / 9)  # of white noise at least


def test_on_large_planes_the_shift_is_taken_on_half_their_grid() -> None:
    rng = np.random.default_rng(4)
    shift = cv2.resize(0.04 * rng.random((80, 85), np.float32), (170, 160))
    taken = (0.03 + 0.02 * rng.standard_normal(shift.shape)).astype(np.float32)
    variance = (1e-5 * (1 + rng.random(shift.shape))).astype(np.float32)
    shares = (0.5, 0.3, 0.1, 0.05, 0.03, 0.02)
    small, most, power = (
        part.reshape(80, 2, 85, 2).mean((1, 3)) for part in (taken, shift, variance)
    )
    room = 3 * box(np.sqrt(power), 5) * 0.2**0.5
    wanted = cv2.resize(np.clip(box(small, 5) + room, 0, most), (170, 160))
    np.testing.assert_allclose(part_removed(taken, shift, variance, shares), wanted, atol=1e-6)


def test_what_stood_still_counts_only_on_planes_of_its_own_size() -> None:
    class Half(Shrinkage):
        def shrunk(self, index: int, removed: Real, variance: Real) -> Real:
            return removed / 2

    removed = [np.full(shape, 0.4, np.float32) for shape in ((8, 8), (4, 4), (8, 8))]
    levels = [np.ones_like(one) for one in removed]
    counts = [np.full((8, 8), 4, np.float32), np.full((8, 8), 4, np.float32)]
    found = residual._shrunk(removed, levels, Half(), counts)
    assert [float(one.mean()) for one in found] == pytest.approx([0.35, 0.2, 0.2])


class Nearer(Still):
    """Stands in for the mean of what stands still: a tenth above what comes out, in two planes."""

    def __init__(self, rests: float) -> None:
        super().__init__()
        self.resting, self.shown = rests, []

    def rests(self, flows: Any) -> float:
        return self.resting

    def nearer(
        self, index: int, restored: Real, variance: Real, near: object = None
    ) -> Real | None:
        self.shown.append((restored.copy(), variance.copy()))
        return None if index == 1 else np.full_like(restored, 0.1)


@pytest.mark.parametrize("rests", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("slack", [STRICT, SPARSE, CODED, COMPRESSED])
def test_what_comes_out_goes_to_the_mean_as_far_as_the_picture_rests(
    told: Told, rests: float, slack: Slack
) -> None:
    """But for a few electrons and a codec's shared errors; clipping's shift is not in the mean."""
    frame, change = drawn(RGB, low=0, high=20), torch.full((1, 3, HEIGHT, WIDTH), -0.5)
    model = NoiseModel.gaussian(0.1, 3)
    noise = PlaneNoise.of(model, RGB, clipped=True)
    options = {"change": change, "noise": noise, "model": model, "slack": slack}
    plain = run(frame, **options)
    still, ones = Nearer(rests), [np.ones((HEIGHT, WIDTH), np.float32)] * 3
    found = run(frame, Beside(steady=Steady(ones, ones, still=still)), **options)
    near = rests if slack in (STRICT, CODED) else 0
    assert len(still.shown) == (3 if near else 0)
    for index, (one, other) in enumerate(zip(found, plain, strict=True)):
        np.testing.assert_allclose(one - other, 0 if index == 1 else 0.1 * near, atol=1e-6)
    for index, (shown, variance) in enumerate(still.shown):
        free, told_variance, _ = told[index]
        shift = 0.5 - free  # all of it was taken out
        wanted = frame.planes[index] / 255 + plain[index] + shift
        np.testing.assert_allclose(shown, wanted, atol=1e-5)
        np.testing.assert_allclose(variance, told_variance / slack.chance, rtol=1e-6)


def test_means_over_time_are_held_to_the_law_itself(told: Told) -> None:
    seen: list[Real] = []
    slack: list[bool] = []

    class Watched(Steady):
        def lost(  # type: ignore[override]
            self, index: int, removed: Real, variance: Real, *rest: Any, counts: bool
        ) -> Real:
            seen.append(variance)
            slack.append(counts)
            return np.zeros_like(removed)

    ones = [np.ones((HEIGHT, WIDTH), np.float32)] * 3
    stack = drawn(replace(GRAY, levels=(0.0, 255.0)))
    run(stack, Beside(steady=Watched(ones[:1], ones[:1], still=None)), slack=STRICT)
    told.clear()
    seen.clear()
    run(drawn(RGB), Beside(steady=Watched(ones, ones, still=None)), slack=STRICT)
    assert slack == [True, False, False, False]  # a sensor's counts alone get some
    assert len(seen) == 3
    for variance, (_, allowed, _) in zip(seen, told, strict=True):
        np.testing.assert_allclose(1.1 * variance, allowed, rtol=1e-6)


@pytest.mark.parametrize("why", ["unclipped", "sensor", "far from both"])
def test_without_clipping_nothing_is_set_apart(told: Told, why: str) -> None:
    model = NoiseModel.gaussian(0.05, 1)
    layout = replace(GRAY, levels=(0.0, 255.0)) if why == "sensor" else GRAY
    low = 100 if why == "far from both" else 0
    frame = drawn(layout, low=low, high=low + 20)
    noise = PlaneNoise.of(model, layout, clipped=why != "unclipped")
    change = torch.full((1, 1, HEIGHT, WIDTH), -0.01)
    run(frame, change=change, noise=noise, model=model)
    ((free, variance, _),) = told
    assert told.clipped is None
    np.testing.assert_allclose(free, 0.01, atol=1e-7)
    np.testing.assert_allclose(variance, 0.05**2, rtol=1e-5)


@pytest.mark.parametrize(("low", "near"), [(35, True), (42, False), (220, True), (205, False)])
def test_three_deviations_from_black_or_white_count_as_near(
    told: Told, low: int, near: bool
) -> None:
    frame = drawn(GRAY, low=low, high=low + 1)
    noise = PlaneNoise.of(NoiseModel.gaussian(0.05, 1), GRAY, clipped=True)
    zero = torch.zeros(1, 1, HEIGHT, WIDTH)
    run(frame, change=zero, noise=noise, model=NoiseModel.gaussian(0.05, 1))
    assert bool((np.abs(told[0][1] - 0.05**2) > 1e-9).any()) is near


def test_only_places_near_black_or_white_count_as_clipped(told: Told) -> None:
    codes = np.full((HEIGHT, WIDTH), 128, np.uint8)
    codes[:, : WIDTH // 2] = 3
    frame = replace(drawn(GRAY), planes=(codes,))
    model = NoiseModel.gaussian(0.05, 1)
    zero = torch.zeros(1, 1, HEIGHT, WIDTH)
    run(frame, change=zero, noise=PlaneNoise.of(model, GRAY, clipped=True), model=model)
    assert (told.clipped[:, : WIDTH // 2 - 2] == 1).all()
    assert (told.clipped[:, WIDTH // 2 + 2 :] == 0).all()


def test_a_rounding_does_not_decide_what_counts_as_clipped() -> None:
    light = np.linspace(180, 250, WIDTH).astype(np.uint8)
    frame = replace(drawn(GRAY), planes=(np.tile(light, (HEIGHT, 1)),))
    model, change = NoiseModel.gaussian(0.08, 1), change_of(GRAY, 0.12)
    noise = PlaneNoise.of(model, GRAY, clipped=True)
    found = [
        run(frame, change=change + step / 16 / 255, noise=noise, model=model)[0]
        for step in range(16)
    ]
    assert abs(np.diff(found, axis=0)).max() < 0.5 / 255


def test_shifts_of_colours_come_to_the_planes_through_the_matrix(told: Told) -> None:
    frame = drawn(YUV, low=16, high=30)
    neutral = [np.full_like(plane, 128) for plane in frame.planes[1:]]
    frame = replace(frame, planes=(frame.planes[0], *neutral))
    model = NoiseModel.gaussian(0.1, 3)
    noise = PlaneNoise.of(model, YUV, clipped=True)
    change = torch.full((1, 3, HEIGHT, WIDTH), -0.5)
    run(frame, change=change, noise=noise, model=model)
    restored = torch.from_numpy(yuv.to_rgb(frame))[None] + change
    small = torch.nn.functional.avg_pool2d(restored, 2)
    shift, _ = clipped_moments(small, model.level(small) * STRICT.clipped)
    wanted = yuv.split(shift[0].numpy(), replace(YUV, log2_chroma=(0, 0)))
    found = 0.5 - told[0][0]
    full = cv2.resize(wanted[0], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found, full, atol=1e-5)
    for free, _, _ in told[1:]:  # gray noise has no colour to shift
        assert float(np.abs(free).max()) < 1e-5


class Lost(Steady):
    """Stands in for what stands still: a quarter of what is removed was no noise."""

    def lost(
        self, index: int, removed: Real, variance: Real, shares: Any,
        clipped: Real | None = None, lasting: float = 0.0, *, counts: bool = False,
    ) -> Real:  # fmt: skip
        assert shares == white_shares()
        return removed / 4


def test_what_stands_still_is_given_back_before_the_rest_is_judged(told: Told) -> None:
    frame = drawn(RGB)
    returned = Returned()
    kept = run(frame, Beside(steady=Lost()), returned=returned)
    removed = -change_of(RGB)[0].numpy()
    for index, (free, _, _) in enumerate(told):
        np.testing.assert_allclose(free, 0.75 * removed[index], rtol=1e-5)
        np.testing.assert_allclose(-kept[index], 0.375 * removed[index], rtol=1e-5)
    assert returned.by_plane == pytest.approx((0.625**2,) * 3, rel=1e-4)


def test_chroma_is_smoothed_by_the_typical_level_of_each_plane(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def smoothed(planes: list[Real], levels: list[float]) -> list[Real]:
        seen.append((planes, levels))
        return [planes[0], planes[1] + 0.01, planes[2] - 0.02]

    monkeypatch.setattr(residual, "smoothed", smoothed)
    frame, noise = drawn(YUV), PlaneNoise.of(MODEL, YUV, clipped=False)
    run(frame, noise=noise, slack=Slack(noise=(4.0, 9.0)), allowance=(0.5, 1.0, 2.0))
    run(drawn(RGB))  # is not smoothed
    ((planes, levels),) = seen
    changes = yuv.plane_changes(frame, change_of(YUV)[0].numpy())
    for index, (plane, change) in enumerate(zip(planes, changes, strict=True)):
        np.testing.assert_allclose(plane, yuv.decoded(frame)[index] + change, atol=1e-6)
        moved = (0, 0.01, -0.02)[index]
        np.testing.assert_allclose(told[index][0], -change - moved, atol=1e-6)
        slack, allowance = (4.0, 9.0, 9.0)[index], (0.5, 1.0, 2.0)[index]
        # What `held` was told holds slack and allowance in variance already.
        told_level = float(np.sqrt(np.mean(told[index][1])))
        assert levels[index] == pytest.approx(told_level, rel=1e-4), (slack, allowance)


def test_what_stands_still_learns_planes_and_their_noise() -> None:
    class Heard(Steady):
        def add(self, planes: Any, variances: Any, shares: Any, *, each: bool = False) -> None:
            assert not each
            self.heard = planes, variances, shares

    frame, noise, steady = drawn(YUV), PlaneNoise.of(MODEL, YUV, clipped=False), Heard()
    watched(steady, frame, noise)
    planes, variances, shares = steady.heard
    assert shares == noise.shares
    light = box(yuv.decoded(frame)[0], 5)
    for index, (plane, variance) in enumerate(zip(planes, variances, strict=True)):
        np.testing.assert_array_equal(plane, yuv.decoded(frame)[index])
        own = light if index == 0 else sized(light, plane.shape)
        np.testing.assert_allclose(variance, noise.level(index, own) ** 2, rtol=1e-5)
    rgb, laws = drawn(RGB), PlaneNoise.of(MODEL, RGB, clipped=False)
    watched(steady, rgb, laws)
    for index, variance in enumerate(steady.heard[1]):
        own = box(yuv.decoded(rgb)[index], 5)
        np.testing.assert_allclose(variance, laws.level(index, own) ** 2, rtol=1e-5)


def test_the_real_contract_gives_back_what_is_no_noise() -> None:
    frame = drawn(GRAY, low=100, high=101)
    model = NoiseModel.gaussian(0.02, 1)
    (kept,) = run(frame, model=model, change=torch.full((1, 1, HEIGHT, WIDTH), 0.3))
    assert float(np.abs(kept).max()) < 0.02  # a shade far beyond the noise
    (small,) = run(frame, model=model, change=change_of(GRAY, 0.02))
    assert float(np.square(small).mean()) > 0.5 * 0.02**2
