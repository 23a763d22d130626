"""F2R on one clip: coarse, flow, alignment, anchor, refiner."""

from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.header import Estimate
from f2rcli.methods.base import Following, LazyFlow, Method, Prepared, Restored, Run
from f2rcli.methods.f2r.alignment import CELLS, Align, aligned_one_by_one, aligned_together
from f2rcli.methods.f2r.device_flows import DeviceFlows
from f2rcli.methods.f2r.flows import FlowBook, Flows
from f2rcli.methods.f2r.parts import Parts, Plan
from f2rcli.models.coarse import Coarse
from f2rcli.models.flow import carried, compose, inside, midway
from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner, smooth
from f2rcli.models.large import codes, halves
from f2rcli.models.large.codes import alike, coded, plain
from f2rcli.models.memory import Memory
from f2rcli.models.recorded.graphs import Graphs
from f2rcli.noise.model import NoiseModel
from f2rcli.tee import emptied
from f2rcli.weights import Weights
from f2rcli.window import Window


class Followed(NamedTuple):
    """The state of a window before networks run."""

    rated: deque[tuple[Any, Any]]  # per neighbour, see `Flows.rated`; used up
    memory: Memory | None


class F2RNetworks(nn.Module):
    """The three trained parts of F2R."""

    def __init__(self, channels: int, config: dict[str, Any]) -> None:
        """config: a table of constructor arguments for each of coarse, anchor and refiner."""
        super().__init__()
        self.coarse = Coarse(channels, **config["coarse"])
        self.anchor = BlindAnchor(channels, **config["anchor"])
        self.refiner = Refiner(channels, **config["refiner"])


class F2R(Method, Following):
    """The two-stage pipeline on one clip: coarse, flow, align, anchor, refine."""

    name: ClassVar[str] = "f2r"
    can_measure_noise: ClassVar[bool] = True
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
        self._graphs = Graphs()
        self._run = run
        self._aligned: Align = aligned_one_by_one
        self._codes = False

    @classmethod
    def from_weights(cls, weights: Weights, run: Run) -> Self:
        header = weights.header
        networks = weights.network(lambda: F2RNetworks(header.channels, header.config))
        return cls(networks, run, header.length, header.level, header.estimate)

    def stay_on_device(self, graphs: Graphs) -> None:
        self.flows, self._aligned, self._graphs = DeviceFlows(graphs), aligned_together, graphs

    def hold_codes(self) -> None:
        self._codes = True

    def prepare(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        given = self.conditioned_on(noise)
        name = "prepared", id(self.networks), given
        level, coarse, luma = self._graphs(name, partial(self._coarse, given), noisy)
        stays = isinstance(self.flows, DeviceFlows)
        shown = luma.float() if stays else luma.float().cpu().numpy()
        if self._codes and codes.serve(noisy, level):
            noisy, coarse = coded(noisy), coded(coarse)
        return Prepared(index, noisy, coarse, shown, self.flows.look(shown))

    def _coarse(self, given: NoiseModel | None, noisy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The noise's level, the coarse frame and its brightness."""
        level = level_map(given, noisy)
        coarse = self._run(self.networks.coarse, noisy, level)
        picture = coarse[0].detach()
        luma = picture[0] if len(picture) == 1 else picture.mean(0)  # gray's shares its memory
        return level, coarse, luma

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        """Without neighbours only the coarse estimate is left."""
        return self.finish(window, noise, self.follow(window, noise))

    def follow(self, window: Window[Prepared], noise: NoiseModel | None) -> Followed | None:
        """The flows and memory of a window; None where the coarse estimate is the result."""
        memory = self.remember(window.before[0], noise) if window.before else None
        self.flows.forget_before(window.items[0].index)
        if not window.neighbours or self.estimate is Estimate.COARSE:
            return None
        return Followed(deque(self.flows.rated(window)), memory)

    def finish(
        self, window: Window[Prepared], noise: NoiseModel | None, followed: Followed | None
    ) -> Restored:
        if followed is None:
            return Restored.single(plain(window.centre.coarse))
        if not isinstance(self.flows, DeviceFlows):
            return self._finished(window, noise, followed)
        parts = Parts.of(window, followed.rated, followed.memory)
        name = "finished", id(self.networks), noise, parts.plan
        again = partial(self._finished_again, noise, parts.plan)
        done: Restored = self._graphs(name, again, *parts.tensors)
        return done

    def _finished_again(self, noise: NoiseModel | None, plan: Plan, *tensors: Any) -> Restored:
        """`_finished` as a function of tensors."""
        window, rated, memory = Parts(plan, tensors).put_together()
        return self._finished(window, noise, Followed(deque(rated), memory))

    def _finished(
        self, window: Window[Prepared], noise: NoiseModel | None, followed: Followed
    ) -> Restored:
        noisy, coarse = window.centre.noisy, window.centre.coarse
        rated = self.flows.enlarged(emptied(followed.rated), window.centre)
        aligned = self.align(window, rated, followed.memory)
        anchor = self.anchor(aligned)
        guided = anchor.guided(plain(coarse))
        if self.estimate is Estimate.ANCHOR:
            return Restored(coarse, guided, guided)
        level = level_map(self.conditioned_on(noise), guided)
        guided = alike(guided, coarse)
        anchor = anchor._replace(strict=guided)  # not looked at
        refined = self._run(self.networks.refiner, noisy, coarse, level, anchor, aligned)
        return Restored(coarse, guided, refined)

    def pass_over(self, window: Window[Prepared], noise: NoiseModel | None) -> None:
        if window.before:
            self.remember(window.before[0], noise)
        self.flows.forget_before(window.items[0].index)
        self.flows.chain(window.items)

    def remembered(self) -> tuple[int | None, dict[str, NDArray[np.float32]]]:
        """The long memory; not the flows, which are computed again."""
        known = self.memory
        if known is None:
            return None, {}
        parts = {"noisy": known.noisy, "coarse": known.coarse, "count": known.count}
        return known.index, {name: part.cpu().numpy() for name, part in parts.items()}

    def recall(
        self, view: Window[Prepared], place: int | None, kept: dict[str, NDArray[np.float32]]
    ) -> None:
        if place is not None:
            device = view.centre.noisy.device
            parts = (torch.from_numpy(kept[n]).to(device) for n in ("noisy", "coarse", "count"))
            self.memory = Memory(place, *parts)
        self.flows.chain(view.items)

    def remember(self, frame: Prepared, noise: NoiseModel | None) -> Memory:
        """Everything before a frame and itself as a memory on its grid. Frames are to come in
        order; after a cut, or where the noise is not known, it begins anew."""
        known = self.memory
        if known is not None and known.index == frame.index:
            return known
        flow = None
        if known is not None and known.index == frame.index - 1:
            flow = self.flows.known(frame.index, known.index)
        noisy, coarse = plain(frame.noisy), plain(frame.coarse)
        if known is None or flow is None or noise is None:
            self.memory = Memory.of(frame.index, noisy, coarse)
        else:
            old, name = (known.noisy, known.coarse, known.count), ("memory", noise)
            carried = partial(self._carried, noise)
            self.memory = Memory(
                frame.index, *self._graphs(name, carried, old, noisy, coarse, flow)
            )
        return self.memory

    def _carried(
        self, noise: NoiseModel, old: Sequence[Tensor], noisy: Tensor, coarse: Tensor, flow: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A memory's parts with the next frame added."""
        level, whole = level_map(noise, coarse), self.flows.whole(flow, noisy.shape)
        made = Memory(0, *old).carried(0, noisy, coarse, whole, level)
        return made.noisy, made.coarse, made.count

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
    if not halves.serve(signal):
        return noise.level(smooth(signal))
    return halves.doubled(noise.level(halves.halved(signal, CELLS)), signal.shape)
