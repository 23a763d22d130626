"""F2R: what each stage may see, and how often each part runs."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch

from f2rcli.methods.base import Prepared
from f2rcli.methods.flows import FlowBook
from f2rcli.methods.rgb_f2r import F2R, F2RNetworks
from f2rcli.methods.rgb_f2r.alignment import photometric
from f2rcli.models.flow import DISFlow, Flow
from f2rcli.models.fusion import Aligned
from f2rcli.models.layers import padded
from f2rcli.noise import model
from f2rcli.window import Window, windows

NoiseModel = model.NoiseModel

TINY = {
    "coarse": {"widths": (8, 8)},
    "anchor": {"widths": (8, 8), "hidden": 8},
    "refiner": {"widths": (8, 8), "embed": 8},
}
NOISE = NoiseModel.gaussian(0.1, 3)


def tiny_f2r(run=padded) -> F2R:  # a Run
    torch.manual_seed(0)
    method = F2R(F2RNetworks(3, TINY), run)
    for parameter in method.networks.parameters():
        torch.nn.init.normal_(parameter, std=0.5 / max(parameter[0].numel(), 1) ** 0.5)
    return method


def moving_clip(count: int = 5, size: int = 64, seed: int = 0) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    scene = np.kron(rng.random((3, 24, 24)), np.ones((1, 8, 8)))
    frames = [scene[:, 20 : 20 + size, 20 + 2 * t : 20 + 2 * t + size] for t in range(count)]
    noise = rng.normal(0, 0.1, (count, 3, size, size))
    return [
        torch.from_numpy((f + n)[None].astype(np.float32))
        for f, n in zip(frames, noise, strict=True)
    ]


def window_at(method: F2R, clip: list[torch.Tensor], place: int) -> Window[Prepared]:
    ready = [method.prepare(i, frame, NOISE) for i, frame in enumerate(clip)]
    return list(windows(ready, 5))[place]


def neighbours(count: int = 4, side: int = 32) -> Aligned:
    noisy, coarse = torch.rand(2, 1, count, 3, side, side)
    return Aligned(noisy, coarse, torch.rand(1, count, 1, side, side))


def other_centre(method: F2R, window: Window[Prepared]) -> Window[Prepared]:
    noise = torch.rand(window.centre.noisy.shape, generator=torch.Generator().manual_seed(9))
    return replace(window, centre=method.prepare(window.centre.index, noise, NOISE))


@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_strict_anchors_do_not_change_by_a_bit_when_the_centre_is_replaced(place: int) -> None:
    with torch.inference_mode():
        method = tiny_f2r()
        window = window_at(method, moving_clip(), place)
        before = method.independent_pair(window)
        fresh = tiny_f2r()  # no flow is remembered
        after = fresh.independent_pair(other_centre(fresh, window))
        assert before is not None
        assert after is not None
        for old, new in zip(before, after, strict=True):
            assert torch.equal(old, new)
        assert torch.equal(
            method.anchor(method.align_strictly(window)).strict,
            fresh.anchor(fresh.align_strictly(other_centre(fresh, window))).strict,
        )


@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_the_strict_anchor_has_no_gradient_to_the_centre(place: int) -> None:
    """Through the whole way from noisy frames: coarse, alignment, stage 1. Guided anchors show
    that a gradient would be seen: theirs is not zero."""
    method = tiny_f2r()
    clip = [frame.requires_grad_() for frame in moving_clip()]
    window = window_at(method, clip, place)
    strict = method.anchor(method.align_strictly(window)).strict
    guided = method.anchor(method.align(window)).guided(window.centre.coarse)
    for anchor, blind in ((strict, True), (guided, False)):
        gradients = torch.autograd.grad(anchor.sum(), clip, retain_graph=True, allow_unused=True)
        reached = [g is not None and bool(g.count_nonzero()) for g in gradients]
        assert reached == [not blind if i == place else True for i in range(5)]


def test_the_guided_anchor_moves_with_the_coarse_centre_one_to_one() -> None:
    method = tiny_f2r()
    anchor = method.anchor(neighbours())
    coarse, change = torch.rand(2, 1, 3, 32, 32)
    moved = anchor.guided(coarse + change) - anchor.guided(coarse)
    torch.testing.assert_close(moved, change, rtol=0, atol=1e-6)
    coarse.requires_grad_()
    (gradient,) = torch.autograd.grad(anchor.guided(coarse)[0, 1, 5, 6], coarse)
    assert gradient[0, 1, 5, 6] == 1
    assert gradient.count_nonzero() == 1


def test_the_order_of_neighbours_does_not_matter() -> None:
    method = tiny_f2r()
    aligned = neighbours()
    shuffled = Aligned(*(part[:, [2, 0, 3, 1]] for part in aligned))
    noisy, coarse, level = torch.rand(3, 1, 3, 32, 32)
    for one, two in zip(method.anchor(aligned)[:2], method.anchor(shuffled)[:2], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)
    refine = method.networks.refiner
    torch.testing.assert_close(
        refine(noisy, coarse, level, method.anchor(aligned), aligned),
        refine(noisy, coarse, level, method.anchor(shuffled), shuffled),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_neighbour_without_confidence_is_the_same_as_none() -> None:
    method = tiny_f2r()
    aligned = neighbours()
    silent = aligned._replace(confidence=aligned.confidence.clone())
    silent.confidence[:, 2] = 0
    fewer = Aligned(*(part[:, [0, 1, 3]] for part in aligned))
    torch.testing.assert_close(method.anchor(silent).strict, method.anchor(fewer).strict)


def test_weights_over_neighbours_sum_to_one() -> None:
    anchor = tiny_f2r().anchor(neighbours(3, 16))
    torch.testing.assert_close(anchor.weights.sum(1), torch.ones(1, 1, 16, 16))
    assert (anchor.weights >= 0).all()


@pytest.mark.parametrize("count", [1, 2, 3, 6, 12])
def test_each_part_runs_as_often_as_it_must(count: int) -> None:
    ran = {"coarse": 0, "anchor": 0, "refiner": 0}

    def counting(network: torch.nn.Module, *inputs: object) -> object:
        ran[next(name for name, n in method.networks.named_children() if n is network)] += 1
        return padded(network, *inputs)

    def search(*given: object) -> Flow:
        searched.append(given)
        return DISFlow(halved=True)(*given)

    searched: list[object] = []
    method = tiny_f2r(counting)
    method.flows = FlowBook(search)
    with torch.inference_mode():
        ready = (method.prepare(i, f, NOISE) for i, f in enumerate(moving_clip(count, 32)))
        for window in windows(ready, 5):
            method.restore(window, NOISE)
    assert ran["coarse"] == count
    assert ran["anchor"] == ran["refiner"] == (count if count > 1 else 0)
    adjacent = 2 * (count - 1)
    neighbours = count * (min(count, 5) - 1)  # every centre to every neighbour of its window
    assert len(searched) == adjacent + neighbours - adjacent


def test_a_single_frame_is_left_with_its_coarse_estimate() -> None:
    method = tiny_f2r()
    (frame,) = moving_clip(1, 32)
    with torch.inference_mode():
        restored = method.restore(Window(method.prepare(0, frame, NOISE), (), ()), NOISE)
    assert torch.equal(restored.refined, restored.coarse)


def test_samples_of_a_batch_are_rated_each_by_its_own_typical_mismatch() -> None:
    torch.manual_seed(0)
    loudness = torch.tensor([0.02, 0.1, 0.4]).view(3, 1, 1, 1, 1)
    warped, reference = loudness * torch.rand(3, 4, 2, 16, 20), torch.zeros(3, 2, 16, 20)
    together = photometric(warped, reference)
    assert together.shape == (3, 4, 1, 16, 20)
    for sample in range(3):
        alone = photometric(warped[sample : sample + 1], reference[sample : sample + 1])
        torch.testing.assert_close(together[sample : sample + 1], alone)


def alive() -> dict[int, int]:
    """Bytes of every tensor's storage, by its place in memory."""
    # by type: a weak proxy of another test says what it stands for, or that this is gone
    tensors = (one for one in gc.get_objects() if issubclass(type(one), torch.Tensor))
    held = [one.untyped_storage() for one in tensors if one.layout is torch.strided]
    return {storage.data_ptr(): storage.nbytes() for storage in held}


@pytest.mark.parametrize(("network", "most"), [("anchor", 82.1), ("refiner", 102.1)])
def test_few_pictures_are_alive_while_networks_run(
    network: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planes of a picture in float32, the window's own included: memory grows by them."""
    method, seen = tiny_f2r(), []
    gc.collect()
    before, clip = alive(), moving_clip()  # what earlier tests and their modules keep
    unet = getattr(method.networks, network).unet
    run = unet.begun

    def watched(*inputs: torch.Tensor) -> torch.Tensor:
        bytes_now = sum(size for at, size in alive().items() if at not in before)
        seen.append(bytes_now / clip[0][0, 0].nbytes)
        return run(*inputs)

    monkeypatch.setattr(unet, "begun", watched)
    with torch.inference_mode():
        method.restore(window_at(method, clip, len(clip) // 2), NOISE)
    assert seen[0] <= most
