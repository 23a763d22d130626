"""F2R: what its anchor may see, and how often each part runs."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.errors import WeightsError
from f2rcli.frames import Family, PlaneLayout
from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.methods.flows import FlowBook
from f2rcli.models.flow import Flow
from f2rcli.models.layers import padded
from f2rcli.models.planar import CONFIGS, Networks
from f2rcli.noise.model import PlaneNoise
from f2rcli.planes import LAYOUTS, pack
from f2rcli.weights import Estimate, Header, Weights
from f2rcli.window import Window, windows

LAYOUT, FORM = LAYOUTS["rgb"], PlaneLayout(family=Family.RGB, bits=8)
TOLD = PlaneNoise.even(0.1, FORM, clipped=False)


def untrained(run: Any = padded) -> F2R:
    torch.manual_seed(0)
    networks = Networks({**CONFIGS["lite"], "layouts": ["rgb"]})
    for parameter in networks.parameters():
        torch.nn.init.normal_(parameter, std=0.5 / max(parameter[0].numel(), 1) ** 0.5)
    return F2R(networks.eval(), run, LAYOUT)


def moving_clip(count: int = 5, size: int = 64) -> list[torch.Tensor]:
    """Packed pictures (1, 12, h, w)."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((3, 24, 24)), np.ones((1, 8, 8)))
    frames = [scene[:, 20 : 20 + size, 20 + 2 * t : 20 + 2 * t + size] for t in range(count)]
    noisy = (frame + rng.normal(0, 0.1, (3, size, size)) for frame in frames)
    return [torch.from_numpy(pack(LAYOUT, list(one.astype(np.float32))))[None] for one in noisy]


def window_at(method: F2R, clip: list[torch.Tensor], place: int) -> Window[Prepared]:
    ready = [method.prepare(i, frame, TOLD) for i, frame in enumerate(clip)]
    return list(windows(ready, 5))[place]


@pytest.mark.parametrize("place", [0, 1, 2, 4])
@torch.inference_mode()
def test_what_is_noisy_in_the_centre_does_not_change_a_bit_of_the_anchor(place: int) -> None:
    """Its coarse frame, which flows lead from and the guided anchor stands on, stays."""
    found: dict[Estimate, list[torch.Tensor]] = {Estimate.ANCHOR: [], Estimate.REFINED: []}
    method = untrained()
    window = window_at(method, moving_clip(), place)
    centre = window.centre
    for estimate, louder in product(found, (0.0, 1.0)):
        method.forget()
        method.estimate = estimate
        changed = replace(centre, noisy=centre.noisy + louder)
        seen = Window(changed, window.before, window.after)
        found[estimate].append(method.restore(seen, TOLD))
    assert torch.equal(*found[Estimate.ANCHOR])
    assert not torch.allclose(*found[Estimate.REFINED])


@pytest.mark.parametrize("count", [1, 2, 3, 6, 12])
@torch.inference_mode()
def test_each_part_runs_as_often_as_it_must(count: int) -> None:
    ran = {"coarse": 0, "anchor": 0, "refiner": 0}

    def counting(part: Any, *inputs: object) -> object:
        ran[next(n for n, one in method.networks.named_children() if one is part)] += 1
        return padded(part, *inputs)

    class Counted(FlowBook):
        def _found(self, pairs: Any, starts: Any) -> list[Flow]:
            searched.extend(pairs)
            return super()._found(pairs, starts)

    searched: list[object] = []
    method = untrained(counting)
    method.flows = Counted()
    ready = (method.prepare(i, f, TOLD) for i, f in enumerate(moving_clip(count, 32)))
    for window in windows(ready, 5):
        method.restore(window, TOLD)
    assert ran["coarse"] == count
    assert ran["anchor"] == ran["refiner"] == (count if count > 1 else 0)
    adjacent = 2 * (count - 1)
    neighbours = count * (min(count, 5) - 1)  # every centre to every neighbour of its window
    assert len(searched) == adjacent + neighbours - adjacent


@torch.inference_mode()
def test_a_single_frame_is_left_with_its_coarse_estimate() -> None:
    method = untrained()
    (frame,) = moving_clip(1, 32)
    prepared = method.prepare(0, frame, TOLD)
    assert torch.equal(method.restore(Window(prepared, (), ()), TOLD), prepared.coarse)


def test_weights_whose_header_names_no_layouts_are_refused_in_one_line() -> None:
    header = Header(method="f2r", space=Family.RGB, channels=3, length=7, config={"coarse": {}})
    with pytest.raises(WeightsError, match="layouts that are no names") as caught:
        F2R.from_weights(Weights("old", header, {}), padded, FORM)
    assert "\n" not in str(caught.value)
