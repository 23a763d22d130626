"""F2R on one clip: coarse, flow, alignment, anchor, refiner."""

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from f2rcli.header import Estimate
from f2rcli.methods.base import LazyFlow, Prepared, Restored, Run
from f2rcli.methods.flows import FlowBook, Flows
from f2rcli.methods.rgb import RgbMethod
from f2rcli.methods.rgb_f2r.alignment import Align, aligned_one_by_one
from f2rcli.methods.rgb_f2r.memory import Memory
from f2rcli.models.coarse import Coarse
from f2rcli.models.flow import carried, compose, inside, midway
from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner, smooth
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Weights
from f2rcli.window import Window


class F2RNetworks(nn.Module):
    """The three trained parts of F2R."""

    def __init__(self, channels: int, config: dict[str, Any]) -> None:
        """config: a table of constructor arguments for each of coarse, anchor and refiner."""
        super().__init__()
        self.coarse = Coarse(channels, **config["coarse"])
        self.anchor = BlindAnchor(channels, **config["anchor"])
        self.refiner = Refiner(channels, **config["refiner"])


class F2R(RgbMethod):
    """The two-stage pipeline on one clip: coarse, flow, align, anchor, refine."""

    name: ClassVar[str] = "f2r"
    activation_bytes = 460  # in fp32, measured; 365 in bf16
    networks: F2RNetworks

    def __init__(
        self,
        networks: F2RNetworks,
        run: Run,
        length: int = 5,
        level: float = 1.0,
        estimate: Estimate = Estimate.REFINED,
    ) -> None:
        """level: what the noise's measured level is multiplied by before networks are given it.
        estimate: the one to give out; what comes after it is not trained."""
        self.length = length
        self.level = level
        self.estimate = estimate
        self.networks = networks
        self.flows: Flows = FlowBook()
        self.memory: Memory | None = None
        self._run = run
        self._aligned: Align = aligned_one_by_one

    @classmethod
    def of(cls, weights: Weights, run: Run) -> Self:
        header = weights.header
        networks = weights.network(lambda: F2RNetworks(header.channels, header.config))
        return cls(networks, run, header.length, header.level, header.estimate)

    def prepare(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        level = level_map(self.conditioned_on(noise), noisy)
        coarse = self._run(self.networks.coarse, noisy, level)
        shown = coarse[0].detach().mean(0).float().cpu().numpy()
        return Prepared(index, noisy, coarse, shown, self.flows.look(shown))

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        """Without neighbours only the coarse estimate is left."""
        memory = self.remember(window.before[0], noise) if window.before else None
        self.flows.forget_before(window.items[0].index)
        noisy, coarse = window.centre.noisy, window.centre.coarse
        if not window.neighbours or self.estimate is Estimate.COARSE:
            return Restored.single(coarse)
        rated = self.flows.enlarged(self.flows.rated(window), window.centre)
        aligned = self.align(window, rated, memory)
        anchor = self.anchor(aligned)
        guided = anchor.guided(coarse)
        if self.estimate is Estimate.ANCHOR:
            return Restored(coarse, guided, guided)
        level = level_map(self.conditioned_on(noise), guided)
        anchor = anchor._replace(strict=guided)  # not looked at
        refined = self._run(self.networks.refiner, noisy, coarse, level, anchor, aligned)
        return Restored(coarse, guided, refined)

    def remember(self, frame: Prepared, noise: NoiseModel | None) -> Memory:
        """Everything before a frame and itself as a memory on its grid. Frames are to come in
        order; after a cut, or where the noise is not known, it begins anew."""
        known = self.memory
        if known is not None and known.index == frame.index:
            return known
        flow = None
        if known is not None and known.index == frame.index - 1:
            flow = self.flows.known(frame.index, known.index)
        noisy, coarse = frame.noisy, frame.coarse
        if known is None or flow is None or noise is None:
            self.memory = Memory.of(frame.index, noisy, coarse)
        else:
            level, whole = level_map(noise, coarse), self.flows.whole(flow, noisy.shape)
            self.memory = known.carried(frame.index, noisy, coarse, whole, level)
        return self.memory

    def motion(self, centre: Prepared, neighbour: Prepared) -> LazyFlow | None:
        flow = self.flows.known(centre.index, neighbour.index)
        return None if flow is None else partial(self.flows.whole, flow, centre.noisy.shape)

    def forget(self) -> None:
        """Begin a new clip: its frames may have the indices of this one's."""
        self.flows.forget_before(2**62)
        self.memory = None

    def conditioned_on(self, noise: NoiseModel | None) -> NoiseModel | None:
        """The model of the noise that networks are given; None for none."""
        return noise.scaled(self.level) if noise is not None and self.level else None

    def anchor(self, aligned: Aligned) -> Anchor:
        """Stage 1. What it must not see, the centre, is not an argument."""
        anchor: Anchor = self._run(self.networks.anchor, aligned)
        return anchor

    def align(
        self,
        window: Window[Prepared],
        rated: Iterable[tuple[Any, Any]] | None = None,
        memory: Memory | None = None,
    ) -> Aligned:
        """Neighbours on the centre's grid by flow on the coarse centre (guided mode).

        rated: what `rated` gave for this window, where it is known already. memory: stands in for
        the neighbour it was made at.
        """
        rated = self.rated(window) if rated is None else rated
        shown = [
            memory if memory is not None and memory.index == neighbour.index else neighbour
            for neighbour in window.neighbours
        ]
        return self._aligned(shown, rated, window.centre.coarse)

    def rated(self, window: Window[Prepared]) -> Iterable[tuple[Any, Any]]:
        """The flow to every neighbour and how well it agrees with the one back."""
        return self.flows.enlarged(self.flows.rated(window), window.centre)

    def align_strictly(self, window: Window[Prepared]) -> Aligned:
        """Align without using the centre: flows between neighbours, by constant velocity."""
        whole = (
            self.flows.whole(flow, window.centre.noisy.shape) for flow in self._blind_flows(window)
        )
        return self._aligned(window.neighbours, ((flow, inside(flow)) for flow in whole), None)

    def independent_pair(self, window: Window[Prepared]) -> tuple[Tensor, Tensor] | None:
        """Strict anchors from alternate neighbours on either side."""
        if len(window.neighbours) < 2:
            return None
        aligned = self.align_strictly(window)
        early, late = len(window.before), len(window.after)
        order = [*range(early - 1, -1, -1), *range(early, early + late)]
        nearest = sorted(order, key=lambda i: (early - 1 - i) if i < early else (i - early))
        first = [i for place, i in enumerate(nearest) if place % 4 in (0, 3)]
        second = [i for place, i in enumerate(nearest) if place % 4 in (1, 2)]
        one, two = (
            self.anchor(Aligned(*(part[:, i] for part in aligned))) for i in (first, second)
        )
        return one.strict, two.strict

    def _blind_flows(self, window: Window[Prepared]) -> list[Any]:
        before, after = window.before, window.after
        if before and after:
            backward = self._midway(after[0], before[-1], window.centre)
            forward = self._midway(before[-1], after[0], window.centre)
            return [*self._beyond(backward, before[::-1])[::-1], *self._beyond(forward, after)]
        near = before[::-1] or after
        if len(near) < 2:
            return [self.flows.none(near[0])]
        onward = self.flows.flow(near[0], near[1])  # the same velocity, one frame earlier
        flows = self._beyond(carried(onward), near)
        return flows[::-1] if before else flows

    def _midway(self, source: Prepared, target: Prepared, centre: Prepared) -> Any:
        """Flow from a centre between two frames into one of them."""
        part = (target.index - centre.index) / (target.index - source.index)
        return midway(self.flows.fresh(source, target), part)

    def _beyond(self, first: Any, side: tuple[Prepared, ...]) -> list[Any]:
        """Flows into every frame of one side, nearest first, by way of its nearest."""
        return [first, *(compose(first, self.flows.flow(side[0], frame)) for frame in side[1:])]


def level_map(noise: NoiseModel | None, signal: Tensor) -> Tensor:
    """The noise's standard deviation at every sample (1, C, H, W); zero where it is not known."""
    if noise is None:
        return torch.zeros_like(signal)
    return noise.level(smooth(signal))
