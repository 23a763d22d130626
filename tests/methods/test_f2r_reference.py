"""What F2R's alignment is made of, by its formulas: ratings and blind flows."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter

from f2rcli.header import Estimate
from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.methods.f2r.alignment import (
    _mean,
    aligned_one_by_one,
    aligned_together,
    mismatches,
    photometric,
    typical_mismatch,
)
from f2rcli.methods.f2r.flows import FlowBook
from f2rcli.methods.f2r.pipeline import level_map
from f2rcli.models.flow import DISFlow, midway
from f2rcli.models.fusion import Aligned, Anchor
from f2rcli.models.large import codes
from f2rcli.models.large.codes import coded, plain
from f2rcli.models.layers import padded
from f2rcli.models.memory import Memory
from f2rcli.noise.model import NoiseModel
from f2rcli.window import Window
from tests.engine.pretend_gpu import PretendGpu

SIZE = (24, 32)
TINY = {
    "coarse": {"widths": (8, 8)},
    "anchor": {"widths": (8, 8), "hidden": 8},
    "refiner": {"widths": (8, 8), "embed": 8},
}
Floats = NDArray[np.float32]


class Drift:
    """Flow of a uniform motion, in pixels of the book's grid; luma holds the index."""

    def __init__(self, speed: tuple[float, float]) -> None:
        self.speed = speed
        self.asked: list[tuple[int, int]] = []

    def __call__(self, source: Floats, target: Floats, start: Floats | None = None) -> Floats:
        here, there = int(source[0, 0]), int(target[0, 0])
        self.asked.append((here, there))
        flow = np.empty((*source.shape, 2), np.float32)
        flow[...] = np.multiply(self.speed, there - here)
        return flow


def frame(index: int) -> Prepared:
    picture = torch.full((1, 3, *SIZE), 0.5)
    return Prepared(index, picture, picture, np.full(SIZE, index, np.float32))


def method(speed: tuple[float, float] = (1.5, -0.5)) -> tuple[F2R, Drift]:
    drift = Drift(speed)
    f2r = F2R(F2RNetworks(3, TINY), padded)
    f2r.flows = FlowBook(drift)
    return f2r, drift


def window(indices: list[int], centre: int) -> Window[Prepared]:
    frames = {index: frame(index) for index in indices}
    before = tuple(frames[i] for i in indices if i < centre)
    return Window(frames[centre], before, tuple(frames[i] for i in indices if i > centre))


def middle(flow: Floats) -> tuple[float, float]:
    x, y = flow[flow.shape[0] // 2, flow.shape[1] // 2]
    return float(x), float(y)


@pytest.mark.parametrize(
    ("indices", "centre"),
    [([0, 1, 2, 3, 4], 2), ([0, 1, 2, 3, 4], 1), ([0, 2, 3], 2), ([0, 1, 3], 1), ([0, 1, 4], 1),
     ([0, 1, 2], 0), ([0, 1, 2], 2), ([3, 4, 5], 5)],
)  # fmt: skip
def test_blind_flows_are_those_of_constant_velocity_whatever_the_gaps(
    indices: list[int], centre: int
) -> None:
    """Also where the frames beside the centre are not equally far from it."""
    f2r, drift = method()
    seen = window(indices, centre)
    flows = f2r._blind_flows(seen)
    for neighbour, flow in zip(seen.neighbours, flows, strict=True):
        wanted = np.multiply(drift.speed, neighbour.index - centre)
        assert middle(flow) == pytest.approx(tuple(wanted), abs=0.02)
    assert all(centre not in pair for pair in drift.asked)


def test_a_blind_flow_with_one_neighbour_is_none() -> None:
    f2r, drift = method()
    (flow,) = f2r._blind_flows(window([4, 5], 4))
    assert not flow.any()
    assert flow.shape == (SIZE[0] // 2, SIZE[1] // 2, 2)  # flows are of half the size
    assert not drift.asked


@pytest.mark.parametrize("part", [Fraction(1, 4), Fraction(1, 2), Fraction(2, 3)])
def test_the_way_from_between_is_its_share_of_the_whole_way(part: Fraction) -> None:
    """Motion that grows across the picture: x -> 1.25 x between a and b, in a straight line."""
    x = np.arange(SIZE[1], dtype=np.float64)
    across = np.zeros((*SIZE, 2), np.float32)
    across[..., 0] = 0.25 * x
    there = midway(across, float(part), rounds=12)[5, 4:20, 0]
    # A point at x in a is at x (1 + 0.25 (1 - part)) now and at 1.25 x in b.
    at_a = x[4:20] / (1 + 0.25 * (1 - float(part)))
    np.testing.assert_allclose(there, 0.25 * at_a * float(part), atol=0.01)


def test_agreement_falls_with_the_square_of_the_mismatch() -> None:
    """1 / (1 + (m / 3 t)^2): a half at three times the typical mismatch, a tenth at nine times."""
    reference = torch.zeros(1, 3, 64, 64)
    warped = torch.full((1, 2, 3, 64, 64), 0.02)
    warped[:, 1, :, :16, :16] = 0.06
    warped[:, 1, :, :16, 48:] = 0.18
    rated = photometric(warped, reference)
    assert rated.shape == (1, 2, 1, 64, 64)
    at = rated[0, :, 0]
    assert float(at[0, 32, 32]) == pytest.approx(1 / (1 + 1 / 9))
    assert float(at[1, 4, 4]) == pytest.approx(1 / 2)
    assert float(at[1, 4, 60]) == pytest.approx(1 / 10)
    told = photometric(warped, reference, torch.tensor([0.06]))
    assert float(told[0, 1, 0, 4, 60]) == pytest.approx(1 / 2)


@pytest.mark.parametrize("size", [(17, 22), (40, 36)])
def test_devices_rate_neighbours_as_processors_do(size: tuple[int, int]) -> None:
    """By the mean distance of channels, smoothed."""
    reference, warped = torch.rand(1, 3, *size), torch.rand(1, 4, 3, *size)
    here = mismatches(warped, reference)
    with PretendGpu():
        there = mismatches(warped.to("cuda"), reference.to("cuda")).to("cpu")
    torch.testing.assert_close(torch.Tensor(there), here)


def test_flows_are_looked_for_on_pictures_of_half_the_size() -> None:
    """Two pixels of these are one of flow, whichever of the two is halved before."""
    scene = gaussian_filter(np.random.default_rng(5).random((96, 128)), 2).astype(np.float32)
    book, empty = FlowBook(), torch.zeros(1, 1, 1, 1)
    looks = [Prepared(at, empty, empty, scene[:, 4 * at : 4 * at + 112]) for at in range(2)]
    (flow,) = book._found([(looks[0], looks[1])], [None])
    whole = DISFlow()(*(one.luma for one in looks))
    assert flow.shape == (48, 56, 2)
    assert np.median(flow[8:-8, 8:-8, 0]) == pytest.approx(-2, abs=0.1)
    np.testing.assert_allclose(2 * flow[4:-4, 4:-4], whole[8:-8:2, 8:-8:2], atol=0.35)


@pytest.mark.parametrize("size", [(16, 18), (256, 258)])
def test_pictures_of_a_batch_are_rated_each_by_itself(size: tuple[int, int]) -> None:
    reference, warped = torch.rand(2, 3, *size), torch.rand(2, 4, 3, *size)
    warped[1] = reference[1:, None] + 0.1 * (warped[1:] - 0.5)  # which match far better
    both = photometric(warped, reference)
    for index in (0, 1):
        alone = photometric(warped[index : index + 1], reference[index : index + 1])
        torch.testing.assert_close(both[index : index + 1], alone)


def test_mismatches_below_half_a_code_are_all_alike() -> None:
    warped = torch.full((1, 1, 3, 8, 8), 1e-3)
    rated = photometric(warped, torch.zeros(1, 3, 8, 8))
    assert float(rated[0, 0, 0, 0, 0]) == pytest.approx(1 / (1 + (1 / 6) ** 2))


@pytest.mark.parametrize("channels", [3, 1])
def test_mismatch_is_the_mean_absolute_difference_around_a_pixel(channels: int) -> None:
    warped, reference = torch.rand(2, 3, channels, 9, 11), torch.rand(2, channels, 9, 11)
    found = mismatches(warped, reference)
    assert found.shape == (2, 3, 9, 11)
    apart = (warped[1, 2] - reference[1]).abs().mean(0)
    assert float(found[1, 2, 4, 5]) == pytest.approx(float(apart[1:8, 2:9].mean()))
    assert float(found[1, 2, 0, 0]) == pytest.approx(float(apart[:4, :4].mean()))
    spread = torch.arange(2 * 3 * 16 * 16, dtype=torch.float32).view(2, 3, 16, 16)
    every_fourth = [spread[i, :, ::4, ::4].median() for i in range(2)]
    assert typical_mismatch(spread).tolist() == every_fourth


def test_large_pictures_are_rated_on_cells_of_four_pixels() -> None:
    """By the mean of three by three of them, and the median of every second."""
    size = (258, 262)
    reference = torch.rand(1, 3, *size)
    warped = reference[:, None] + 0.02 * torch.randn(1, 2, 3, *size)
    warped[:, 1, :, :100] += 0.1
    apart = (warped - reference[:, None]).abs().mean(2)[0].double().numpy()
    cells = [one.reshape(129, 2, 131, 2).mean((1, 3)) for one in apart]
    cells = [uniform_filter(one, 3) for one in cells]
    some = np.sort(np.stack(cells)[:, ::2, ::2].ravel())
    typical = some[(len(some) - 1) // 2]
    places = np.meshgrid(*((np.arange(side) - 0.5) / 2 for side in size), indexing="ij")
    for cell, found in zip(cells, photometric(warped, reference)[0, :, 0], strict=True):
        rated = map_coordinates(
            1 / (1 + (cell / (3 * typical)) ** 2), places, order=1, mode="nearest"
        )
        np.testing.assert_allclose(found, rated, atol=1e-4)


@pytest.mark.parametrize("blind", [False, True])
def test_neighbours_are_aligned_together_as_one_by_one(blind: bool) -> None:
    """By whole pixels, which every way of warping fetches as they are; a memory among them."""
    shown = [prepared(0), prepared(1), prepared(2)]
    count = 0.5 + 5 * torch.rand(1, 1, *SIZE)
    shown[1] = Memory(1, shown[1].noisy, shown[1].coarse, count)
    moves, agree = [(2, -1), (0, 0), (-3, 2)], torch.rand(3, *SIZE)
    flows = [np.full((*SIZE, 2), move, np.float32) for move in moves]
    reference = None if blind else torch.rand(1, 3, *SIZE)
    rated = zip(flows, agree.numpy(), strict=True)
    one = aligned_one_by_one(shown, rated, reference)
    tensors = [
        (torch.from_numpy(f)[None], a[None, None]) for f, a in zip(flows, agree, strict=True)
    ]
    both = aligned_together(shown, tensors, reference)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    coarse = []
    for place, (item, (dx, dy)) in enumerate(zip(shown, moves, strict=True)):
        at = (..., np.clip(y + dy, 0, SIZE[0] - 1), np.clip(x + dx, 0, SIZE[1] - 1))
        torch.testing.assert_close(one.noisy[:, place], item.noisy[at])
        torch.testing.assert_close(one.coarse[:, place], item.coarse[at])
        coarse.append(item.coarse[at])
    like = torch.stack(coarse, 1)
    wanted = photometric(like, like.mean(1) if blind else reference)
    wanted = wanted * agree[None, :, None]
    wanted[:, 1] *= count.clamp_min(1)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(one.confidence, wanted)
    for name in ("noisy", "coarse", "confidence"):
        torch.testing.assert_close(
            getattr(both, name)[inner], getattr(one, name)[inner], atol=2e-3, rtol=2e-3
        )
    alone = aligned_one_by_one(shown[:1], [(flows[0], agree[0].numpy())], reference)
    torch.testing.assert_close(alone.coarse[:, 0], one.coarse[:, 0])


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("size", [SIZE, (256, 260)])
def test_coded_neighbours_are_aligned_as_plain_ones(size: tuple[int, int], blind: bool) -> None:
    rng = torch.Generator().manual_seed(9)
    pictures = torch.rand(3, 2, 1, 3, *size, generator=rng)
    pictures[:, 1] = 0.5 + 0.02 * pictures[:, 1]  # coarse frames that nearly match
    luma = np.zeros(size, np.float32)
    shown = [Prepared(place, *two, luma) for place, two in enumerate(pictures)]
    flows = [np.full((*size, 2), move, np.float32) for move in ((0.5, 0.25), (0, 0), (-1.5, 2))]
    agree = torch.rand(3, *size, generator=rng)
    reference = None if blind else pictures[1, 1]
    both = [
        aligned_one_by_one(some, zip(flows, agree.numpy(), strict=True), like)
        for some, like in (
            (shown, reference),
            ([Prepared(i, coded(f.noisy), coded(f.coarse), luma) for i, f in enumerate(shown)],
             None if blind else coded(reference)),
        )
    ]  # fmt: skip
    assert both[1].noisy.dtype is both[1].coarse.dtype is torch.uint16
    assert both[1].confidence.dtype is torch.float16  # half the memory as well
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, plain(other).float(), atol=3e-3, rtol=0)
    like = both[0].coarse.mean(1) if blind else reference
    wanted = photometric(both[0].coarse, like) * agree[None, :, None]
    torch.testing.assert_close(both[0].confidence, wanted)


def test_beside_coded_frames_a_memory_is_coded_too() -> None:
    frame = prepared(1)
    shown = [
        Memory.of(0, frame.noisy, frame.coarse),
        Prepared(1, coded(frame.noisy), coded(frame.coarse), frame.luma),
    ]
    rated = [(np.zeros((*SIZE, 2), np.float32), np.ones(SIZE, np.float32))] * 2
    found = aligned_one_by_one(shown, rated, None)
    assert found.noisy.dtype is found.coarse.dtype is torch.uint16
    assert torch.equal(found.noisy[:, 0], found.noisy[:, 1])


def prepared(index: int, seed: int = 0) -> Prepared:
    rng = torch.Generator().manual_seed(100 * seed + index)
    noisy, coarse = torch.rand(2, 1, 3, *SIZE, generator=rng)
    return Prepared(index, noisy, coarse, np.full(SIZE, index, np.float32))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_is_prepared_with_the_luma_of_its_coarse_estimate(channels: int) -> None:
    told = []

    def run(network: object, *inputs: torch.Tensor) -> torch.Tensor:
        told.append((network, *inputs))
        return inputs[0] / 2

    f2r = F2R(F2RNetworks(channels, TINY), run, level=0.5)
    noisy = torch.rand(1, channels, *SIZE)
    ready = f2r.prepare(3, noisy, NoiseModel.gaussian(0.1, channels))
    assert ready.index == 3
    assert ready.noisy is noisy
    torch.testing.assert_close(ready.coarse, noisy / 2)
    np.testing.assert_allclose(ready.luma, (noisy / 2)[0].mean(0), rtol=1e-6)
    assert ready.luma.shape == SIZE
    network, shown, level = told[0]
    assert network is f2r.networks.coarse
    assert shown is noisy
    torch.testing.assert_close(level, torch.full_like(noisy, 0.05))
    f2r.prepare(4, noisy, None)
    assert not told[1][2].any()
    f2r.level = 0.0  # weights that are not told
    f2r.prepare(4, noisy, NoiseModel.gaussian(0.1, channels))
    assert not told[2][2].any()


def test_the_past_is_remembered_frame_by_frame_and_begun_anew_where_it_breaks_off() -> None:
    f2r, _ = method((0.0, 0.0))
    noise = NoiseModel.gaussian(0.1, 3)
    frames = [prepared(index) for index in range(4)]
    first = f2r.remember(frames[0], noise)
    assert first.noisy is frames[0].noisy
    assert f2r.remember(frames[0], noise) is first  # once a frame
    assert f2r.remember(frames[1], noise).noisy is frames[1].noisy  # no flow is known
    f2r.flows.chain(frames)
    second = f2r.remember(frames[2], noise)
    wanted = f2r.memory
    assert second is wanted
    assert second.index == 2
    assert second.noisy is not frames[2].noisy
    assert float(second.count.max()) > 1
    assert f2r.remember(frames[3], None).noisy is frames[3].noisy  # the noise is not known
    assert f2r.remember(frames[1], noise).noisy is frames[1].noisy  # after a cut
    f2r.forget()
    assert f2r.memory is None
    assert f2r.flows.known(2, 3) is None


def test_frames_that_are_passed_over_are_remembered_and_followed_as_if_they_were_restored() -> None:
    noise = NoiseModel.gaussian(0.1, 3)
    frames = [prepared(index) for index in range(9)]
    both = [method((0.0, 0.0))[0] for _ in range(2)]
    for centre in range(7):
        around = Window(
            frames[centre], tuple(frames[max(centre - 2, 0) : centre]),
            tuple(frames[centre + 1 : centre + 3]),
        )  # fmt: skip
        both[0].pass_over(around, noise)
        both[1].follow(around, noise)
        places = [f2r.memory and (f2r.memory.index, f2r.memory.count.tolist()) for f2r in both]
        assert places[0] == places[1]
        assert both[0].memory is None or both[0].memory.index == max(centre - 2, 0)
        adjacent = [(a, a + step) for a in range(9) for step in (-1, 1)]
        known = [[pair for pair in adjacent if f2r.flows.known(*pair) is not None] for f2r in both]
        assert known[0] == known[1] == [
            (a, b) for a, b in adjacent if min(a, b) >= centre - 2 and max(a, b) <= centre + 2
            and min(a, b) >= 0
        ]  # fmt: skip


def test_two_anchors_share_the_neighbours_alternately_from_either_side() -> None:
    """Of six, from near to far 2 4 1 5 0 6, in turns of two: both lie around the centre."""
    f2r, _ = method((0.0, 0.0))
    seen = []
    f2r._run = lambda network, aligned: seen.append(aligned) or padded(network, aligned)
    frames = [prepared(index) for index in range(7)]
    around = Window.of(frames, 3)
    pair = f2r.independent_pair(around)
    assert pair is not None
    order = {tuple(f.noisy[0, :, 5, 5].tolist()): f.index for f in frames}
    found = [
        sorted(order[tuple(part.noisy[0, i, :, 5, 5].tolist())] for i in range(part.noisy.shape[1]))
        for part in seen
    ]
    assert found == [[0, 2, 5], [1, 4, 6]]
    assert f2r.independent_pair(Window(frames[0], (), (frames[1],))) is None


def test_the_flow_back_is_looked_up_or_composed() -> None:
    f2r, drift = method()
    frames = [frame(index) for index in range(4)]
    assert f2r.flows.back(frames[0], frames[1]) is None
    ahead = f2r.flows.fresh(frames[0], frames[1])
    assert (f2r.flows.agreement(frames[0], frames[1], ahead) == 1).any()
    assert f2r.motion(frames[0], frames[1]) is None
    f2r.flows.chain(frames)
    assert middle(f2r.motion(frames[1], frames[0])()) == pytest.approx((-3.0, 1.0), abs=0.02)
    assert f2r.motion(frames[1], frames[0])().shape == (*SIZE, 2)  # of whole pixels
    for source, target in ((0, 1), (1, 0), (0, 3), (3, 0)):
        back = f2r.flows.back(frames[source], frames[target])
        assert back is not None
        wanted = np.multiply(drift.speed, source - target)
        assert middle(back) == pytest.approx(tuple(wanted), abs=0.02)
    still, _ = method((0.0, 0.0))
    still.flows.chain(frames)
    ahead = still.flows.flow(frames[0], frames[2])
    assert (still.flows.agreement(frames[0], frames[2], ahead) == 1).all()


def test_the_memory_stands_in_for_its_frame_with_the_weight_of_what_it_is_worth() -> None:
    f2r, _ = method((0.0, 0.0))
    frames = [prepared(index) for index in range(3)]
    around = Window.of(frames, 1)
    plain = f2r.align(around)
    noisy, coarse = torch.rand(2, 1, 3, *SIZE)
    memory = Memory(0, noisy, coarse, torch.full((1, 1, *SIZE), 5.0))
    aligned = f2r.align(around, memory=memory)
    torch.testing.assert_close(aligned.noisy[:, 0], noisy)
    torch.testing.assert_close(aligned.coarse[:, 0], coarse)
    torch.testing.assert_close(aligned.noisy[:, 1], frames[2].noisy)
    agreed = photometric(aligned.coarse, frames[1].coarse)
    torch.testing.assert_close(aligned.confidence[:, 0], 5 * agreed[:, 0])
    torch.testing.assert_close(aligned.confidence[:, 1], agreed[:, 1])
    torch.testing.assert_close(plain.noisy[:, 0], frames[0].noisy)


def test_flows_of_frames_that_are_gone_are_forgotten_and_others_are_not() -> None:
    f2r, drift = method()
    frames = [frame(index) for index in range(4)]
    f2r.flows.chain(frames)
    assert len(drift.asked) == 6
    f2r.flows.forget_before(1)
    kept = [(a, b) for a in range(4) for b in range(4) if f2r.flows.known(a, b) is not None]
    assert kept == [(1, 2), (2, 1), (2, 3), (3, 2)]
    f2r.flows.forget(3)
    assert f2r.flows.known(2, 3) is None
    assert f2r.flows.known(2, 1) is not None


def test_networks_are_told_the_measured_level_as_it_is_unless_the_weights_say_otherwise() -> None:
    f2r = F2R(F2RNetworks(3, TINY), padded)
    assert (f2r.length, f2r.level) == (5, 1.0)
    assert (F2R.can_measure_noise, F2R.wants_sigma) == (True, False)


class Drunk(Drift):
    """Goes back another way than there, and notes where each search starts."""

    def __init__(self) -> None:
        super().__init__((1.5, -0.5))
        self.starts: dict[tuple[int, int], Floats | None] = {}

    def __call__(self, source: Floats, target: Floats, start: Floats | None = None) -> Floats:
        flow = super().__call__(source, target, start)
        self.starts[self.asked[-1]] = start
        return flow if self.asked[-1][1] > self.asked[-1][0] else 0.8 * flow


def test_flows_of_a_window_are_found_once_from_their_parts_and_rated_by_the_way_back() -> None:
    f2r, _ = method()
    f2r.flows = FlowBook(Drunk())
    seen = window([0, 1, 2, 3, 4], 2)
    rated = f2r.flows.rated(seen)
    asked = f2r.flows.estimator.asked
    assert len(asked) == len(set(asked)) == 10  # four adjacent pairs, both ways; two longer flows
    starts = f2r.flows.estimator.starts
    assert all((start is None) == (abs(a - b) == 1) for (a, b), start in starts.items())
    assert middle(starts[2, 4]) == pytest.approx((3.0, -1.0), abs=0.01)
    assert middle(starts[2, 0]) == pytest.approx((-2.4, 0.8), abs=0.01)
    for neighbour, (flow, agreement) in zip(seen.neighbours, rated, strict=True):
        far = neighbour.index - 2
        size = abs(far) * np.hypot(1.5, 0.5)
        assert np.hypot(*middle(flow)) == pytest.approx(size * (1 if far > 0 else 0.8), abs=0.01)
        allowed = 0.25 / 4 + 0.01 * 1.64 * size**2  # a quarter of a pixel, on half the grid
        wanted = 1 / (1 + (0.2 * size) ** 2 / allowed)
        assert float(agreement[6, 8]) == pytest.approx(wanted, rel=0.01)
    for flow, agreement in f2r.flows.enlarged(rated, frame(2)):
        assert flow.shape == (*SIZE, 2)
        assert agreement.shape == SIZE
    whole = f2r.flows.whole(np.full((12, 16, 2), (1.5, -0.5), np.float32), frame(2).noisy.shape)
    assert middle(whole) == pytest.approx((3.0, -1.0))


def test_a_frame_is_searched_as_it_was_prepared_without_its_brightness() -> None:
    f2r, _ = method()
    made = f2r.prepare(0, torch.rand(1, 3, *SIZE), None)
    look = f2r.flows.look(made.luma)
    held = made.without_luma()
    assert held.luma.size == 0
    assert (f2r.flows._look(held) == look).all()
    assert f2r.flows._look(held) is f2r.flows._look(held)


def test_the_mean_of_coded_pictures_is_that_of_what_they_show() -> None:
    pictures = torch.rand(1, 3, 2, 6, 7)
    torch.testing.assert_close(_mean(coded(pictures)), pictures.mean(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(_mean(pictures), pictures.mean(1))


@pytest.mark.parametrize(("asked", "large"), [(True, True), (True, False), (False, True)])
def test_large_frames_are_held_as_codes_where_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: bool, large: bool
) -> None:
    monkeypatch.setattr(codes, "serve", lambda noisy, level: large)
    f2r = F2R(F2RNetworks(3, TINY), lambda network, noisy, level: noisy / 2)
    if asked:
        f2r.hold_codes()
    noisy = torch.rand(1, 3, *SIZE)
    ready = f2r.prepare(0, noisy, NoiseModel.gaussian(0.1, 3))
    for found, wanted in ((ready.noisy, noisy), (ready.coarse, noisy / 2)):
        assert (found.dtype is torch.uint16) == (asked and large)
        torch.testing.assert_close(plain(found), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("coding", [False, True])
@pytest.mark.parametrize("estimate", list(Estimate))
def test_a_window_goes_through_the_networks_as_far_as_they_are_trained(
    estimate: Estimate, coding: bool
) -> None:
    """The refiner is shown the frame, its coarse estimate, the noise there, the guided anchor and
    the neighbours, of which the memory is one."""
    seen = []
    strict, correction = torch.rand(2, 1, 3, *SIZE)

    def run(network: object, *given: object) -> object:
        seen.append((network, *given))
        if network is f2r.networks.anchor:
            return Anchor(strict, correction, torch.full((1, 4, 1, *SIZE), 0.25))
        return torch.full((1, 3, *SIZE), 0.7)

    f2r = F2R(F2RNetworks(3, TINY), run, level=0.5, estimate=estimate)
    f2r.flows = FlowBook(Drift((0.0, 0.0)))
    frames = [prepared(index) for index in range(5)]
    if coding:
        frames = [Prepared(f.index, coded(f.noisy), coded(f.coarse), f.luma) for f in frames]
    centre, noise = frames[2], NoiseModel((0.04,) * 3, (0.1,) * 3, (0.2,) * 3)
    around = Window(centre, tuple(frames[:2]), tuple(frames[3:]))
    found = f2r.restore(around, noise)
    assert f2r.memory is not None
    assert f2r.memory.index == 0
    coarse = plain(centre.coarse)
    if estimate is Estimate.COARSE:
        assert not seen
        assert all(torch.equal(one, coarse) for one in found)
        return
    network, aligned = seen[0]
    assert network is f2r.networks.anchor
    assert isinstance(aligned, Aligned)
    for place, index in enumerate((0, 1, 3, 4)):
        torch.testing.assert_close(plain(aligned.noisy[:, place]), plain(frames[index].noisy))
    guided, near = coarse + correction, {"atol": 1e-4, "rtol": 0.0}
    torch.testing.assert_close(plain(found.anchor), guided, **near)
    torch.testing.assert_close(plain(found.coarse), coarse, **near)
    if estimate is Estimate.ANCHOR:
        assert len(seen) == 1
        torch.testing.assert_close(plain(found.refined), guided, **near)
        return
    network, *given = seen[1]
    assert network is f2r.networks.refiner
    assert given[0] is centre.noisy
    assert given[1] is centre.coarse
    local = np.stack([uniform_filter(one, 7) for one in guided[0].double().numpy()])
    level = 0.5 * np.sqrt(0.04 * np.clip(local, 0, 1) + 0.01)
    inner = (..., slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(given[2][0][inner], level[inner], rtol=1e-4)
    torch.testing.assert_close(plain(given[3].strict), guided, **near)
    torch.testing.assert_close(given[3].correction, correction)
    assert given[4] is aligned
    assert torch.equal(found.refined, torch.full((1, 3, *SIZE), 0.7))


def test_the_noise_of_large_pictures_is_that_of_cells_of_four_pixels() -> None:
    signal = torch.rand(1, 3, 256, 258)
    noise = NoiseModel((0.04, 0.02, 0.01), (0.1,) * 3, (0.2,) * 3)
    cells = signal[0].double().numpy().reshape(3, 128, 2, 129, 2).mean((2, 4))
    local = np.stack([uniform_filter(one, 3) for one in cells])
    levels = np.sqrt(np.array(noise.gain)[:, None, None] * local + 0.01)
    places = np.meshgrid(*((np.arange(side) - 0.5) / 2 for side in (256, 258)), indexing="ij")
    for one, found in zip(levels, level_map(noise, signal)[0], strict=True):
        wanted = map_coordinates(one, places, order=1, mode="nearest")
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert not level_map(None, signal).any()


def test_what_is_remembered_is_recalled_with_the_flows_of_its_window() -> None:
    f2r, _ = method((0.0, 0.0))
    assert f2r.remembered() == (None, {})
    frames = [prepared(index) for index in range(5)]
    around = Window.of(frames, 2)
    noise = NoiseModel.gaussian(0.1, 3)
    f2r.restore(around, noise)
    place, kept = f2r.remembered()
    assert place == 0
    again, _ = method((0.0, 0.0))
    again.recall(around, place, kept)
    assert again.memory is not None
    assert again.memory.index == 0
    for name in ("noisy", "coarse", "count"):
        assert torch.equal(getattr(again.memory, name), getattr(f2r.memory, name))
        np.testing.assert_array_equal(kept[name], getattr(f2r.memory, name))
    pairs = [(a, b) for a in range(5) for b in range(5)]
    known = [pair for pair in pairs if again.flows.known(*pair) is not None]
    assert known == [(a, b) for a, b in pairs if abs(a - b) == 1]
    again.forget()
    again.recall(around, None, {})
    assert again.memory is None
    assert again.flows.known(3, 4) is not None


@pytest.mark.parametrize(
    ("before", "after", "first"), [(1, 3, [0, 4]), (3, 1, [2, 0]), (0, 4, [1, 4]), (2, 2, [1, 4])]
)
def test_anchors_take_turns_from_the_nearest_neighbour_on(
    before: int, after: int, first: list[int]
) -> None:
    """Of two as near the earlier one: the first and the fourth are one anchor's."""
    f2r, _ = method((0.0, 0.0))
    seen = []
    strict = torch.zeros(1, 3, *SIZE)
    f2r._run = lambda network, part: seen.append(part) or Anchor(strict, strict, strict[:, None])
    frames = [prepared(index) for index in range(before + 1 + after)]
    f2r.independent_pair(Window.of(frames, before))
    order = {tuple(one.noisy[0, :, 5, 5].tolist()): one.index for one in frames}
    found = [
        {order[tuple(part.noisy[0, i, :, 5, 5].tolist())] for i in range(part.noisy.shape[1])}
        for part in seen
    ]
    assert found == [set(first), set(range(len(frames))) - {before} - set(first)]
