"""F2R, Frames2Residual (arXiv 2603.10417): a blind temporal anchor, then a non-blind refiner."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.header import Estimate
from f2rcli.methods.base import Prepared, Restored, Run
from f2rcli.methods.device_flows import HALF, DeviceFlows
from f2rcli.models import flow as flow_maths
from f2rcli.models import halves, motion
from f2rcli.models.coarse import Coarse
from f2rcli.models.flow import (
    DISFlow,
    Flow,
    FlowEstimator,
    Luma,
    Map,
    compose,
    consistency,
    doubled,
    halved,
    inside,
    warp,
    warp_all,
)
from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner, smooth
from f2rcli.models.memory import Memory
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Weights
from f2rcli.window import Window

CELLS = 3  # of 2x2 pixels, about as wide as what `smooth` averages over
MISMATCH_FLOOR = 2e-3  # half an 8-bit code: coarse frames never agree better than that
MISMATCH_ALLOWED = 3.0  # times the frame's median mismatch; beyond it confidence falls

AnyFlow = Flow | Tensor  # on the processor, or (1, H, W, 2) on the device of the frames
AnyMap = Map | Tensor  # likewise, or (1, 1, H, W)


@dataclass
class FlowBook:
    """Flows between frames of a clip, on grids of half the size and in their pixels: DIS looks no
    finer. Those of adjacent frames are computed once and kept while their frames are; longer ones
    begin from them, serve one window and are not kept."""

    maths: ClassVar[Any] = flow_maths

    estimator: FlowEstimator = field(default_factory=lambda: DISFlow(halved=True))
    calls: int = 0  # estimates made so far
    _known: dict[tuple[int, int], Flow] = field(default_factory=dict)
    _looks: dict[int, tuple[Luma, Luma]] = field(default_factory=dict)  # whole and halved

    def flow(self, source: Prepared, target: Prepared) -> Flow:
        """Flow from `source` into `target`; a longer one starts from adjacent ones, composed."""
        key = (source.index, target.index)
        if key in self._known:
            return self._known[key]
        flow = self.fresh(source, target, self._composed(*key))
        if abs(key[0] - key[1]) == 1:
            self._known[key] = flow
        return flow

    def known(self, source: int, target: int) -> Flow | None:
        """The flow between two adjacent frames by their indices, where it was made."""
        return self._known.get((source, target))

    def fresh(self, source: Prepared, target: Prepared, start: Flow | None = None) -> Flow:
        """A flow that is not looked up and not kept."""
        self.calls += 1
        return self.estimator(self._look(source), self._look(target), start)

    def back(self, source: Prepared, target: Prepared) -> Flow | None:
        """Flow from `target` back into `source` by adjacent ones; None if one is missing."""
        key = (target.index, source.index)
        return self.known(*key) if abs(key[0] - key[1]) == 1 else self._composed(*key)

    def agreement(self, source: Prepared, target: Prepared, flow: Flow | None = None) -> Map:
        """How well the flow there (looked up unless given) agrees with the one back, or lies
        inside if there is none; of the flow's size."""
        flow = self.flow(source, target) if flow is None else flow
        back = self.back(source, target)
        return inside(flow, HALF) if back is None else consistency(flow, back, HALF)

    def chain(self, frames: list[Prepared]) -> None:
        """Make sure that both flows of every adjacent pair of these frames are known."""
        for first, second in pairwise(frames):
            if second.index - first.index == 1:
                self.flow(first, second)
                self.flow(second, first)

    def rated(self, window: Window[Prepared]) -> Iterator[tuple[Flow, Map]]:
        """The flow to every neighbour and how well it agrees with the one back, one by one."""
        centre = window.centre
        self.chain([*window.before, centre, *window.after])
        for neighbour in window.neighbours:
            flow = self.flow(centre, neighbour)
            yield flow, self.agreement(centre, neighbour, flow)

    def enlarged(
        self, rated: Iterable[tuple[Flow, Map]], frame: Prepared
    ) -> Iterator[tuple[Flow, Map]]:
        """What `rated` gave in a frame's own pixels, one by one; from the book it takes nothing."""
        for flow, agreement in rated:
            yield self.whole(flow, frame), doubled(agreement, frame.array.shape)

    def whole(self, flow: Flow, frame: Prepared) -> Flow:
        """A flow in a frame's own pixels."""
        whole = doubled(flow, frame.array.shape)
        whole *= HALF
        return whole

    def none(self, frame: Prepared) -> Flow:
        """The flow of what stands still."""
        return np.zeros((*self._look(frame).shape, 2), np.float32)

    def forget_before(self, index: int) -> None:
        """Drop every flow that touches a frame before this one."""
        self._known = {key: flow for key, flow in self._known.items() if min(key) >= index}
        self._looks = {key: look for key, look in self._looks.items() if key >= index}

    def forget(self, index: int) -> None:
        """Drop every flow that touches this frame."""
        self._known = {key: flow for key, flow in self._known.items() if index not in key}

    def _look(self, frame: Prepared) -> Luma:
        """The frame as the estimator sees it."""
        luma, small = self._looks.get(frame.index, (None, None))
        if small is None or luma is not frame.array:  # a frame may come again, changed
            small = halved(frame.array)
            self._looks[frame.index] = frame.array, small
        return small

    def _composed(self, source: int, target: int) -> Flow | None:
        step = 1 if target > source else -1
        links = [(i, i + step) for i in range(source, target, step)]
        if len(links) < 2 or any(link not in self._known for link in links):
            return None
        *earlier, last = (self._known[link] for link in links)
        return reduce(lambda flow, link: compose(link, flow), reversed(earlier), last)


class Followed(NamedTuple):
    """What is known of a window before networks run."""

    rated: list[tuple[Any, Any]]  # per neighbour, as `FlowBook.rated`; used up
    memory: Memory | None


class F2RNetworks(nn.Module):
    """The three trained parts of F2R."""

    def __init__(self, channels: int, config: dict[str, Any]) -> None:
        """config: a table of constructor arguments for each of coarse, anchor and refiner."""
        super().__init__()
        self.coarse = Coarse(channels, **config["coarse"])
        self.anchor = BlindAnchor(channels, **config["anchor"])
        self.refiner = Refiner(channels, **config["refiner"])


class F2R:
    """The two-stage pipeline on one clip: coarse, flow, align, anchor, refine."""

    name: ClassVar[str] = "f2r"
    can_measure_noise: ClassVar[bool] = True
    wants_sigma: ClassVar[bool] = False
    activation_bytes: ClassVar[int] = 460  # in fp32, measured; 365 in bf16

    def __init__(
        self,
        networks: F2RNetworks,
        run: Run,
        length: int = 5,
        level: float = 1.0,
        estimate: Estimate = Estimate.REFINED,
    ) -> None:
        """level: what the noise's measured level is multiplied by before networks are told it.
        estimate: the one to give out; what comes after it is not trained."""
        self.length = length
        self.level = level
        self.estimate = estimate
        self.networks = networks
        self.flows: FlowBook | DeviceFlows = FlowBook()
        self.memory: Memory | None = None
        self._run = run

    @classmethod
    def from_weights(cls, weights: Weights, run: Run) -> "F2R":
        """See Method.from_weights. Raises WeightsError when header and tensors do not agree."""
        header = weights.header
        networks = weights.network(lambda: F2RNetworks(header.channels, header.config))
        return cls(networks, run, header.length, header.level, header.estimate)

    def stay_on_device(self) -> None:
        """See Resident."""
        self.flows = DeviceFlows()

    def prepare(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        """See Method.prepare."""
        coarse = self._run(self.networks.coarse, noisy, level_map(self.told(noise), noisy))
        picture = coarse[0].detach()
        luma = picture[0] if len(picture) == 1 else picture.mean(0)  # gray's shares its memory
        luma, kept = luma.float(), isinstance(self.flows, DeviceFlows)
        return Prepared(index, noisy, coarse, luma if kept else luma.cpu().numpy())

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        """See Method.restore. Without neighbours only the coarse estimate is left."""
        return self.finish(window, noise, self.follow(window, noise))

    def follow(self, window: Window[Prepared], noise: NoiseModel | None) -> Followed | None:
        """See Following. None where the coarse estimate is the result."""
        memory = self.remember(window.before[0], noise) if window.before else None
        self.flows.forget_before(min(p.index for p in (window.centre, *window.neighbours)))
        if not window.neighbours or self.estimate is Estimate.COARSE:
            return None
        return Followed(list(self.flows.rated(window)), memory)

    def finish(
        self, window: Window[Prepared], noise: NoiseModel | None, followed: Followed | None
    ) -> Restored:
        """See Following."""
        noisy, coarse = window.centre.noisy, window.centre.coarse
        if followed is None:
            return Restored(coarse, coarse, coarse)
        left = followed.rated
        rated = self.flows.enlarged((left.pop(0) for _ in range(len(left))), window.centre)
        aligned = self.align(window, rated, followed.memory)
        anchor = self.anchor(aligned)
        guided = anchor.guided(coarse)
        if self.estimate is Estimate.ANCHOR:
            return Restored(coarse, guided, guided)
        level = level_map(self.told(noise), guided)
        anchor = anchor._replace(merged=guided, texture=guided, strict=guided)  # not looked at
        refined = self._run(self.networks.refiner, noisy, coarse, level, anchor, aligned)
        return Restored(coarse, guided, refined)

    def pass_over(self, window: Window[Prepared], noise: NoiseModel | None) -> None:
        """See Remembering."""
        if window.before:
            self.remember(window.before[0], noise)
        self.flows.forget_before(min(p.index for p in (window.centre, *window.neighbours)))
        self.flows.chain([*window.before, window.centre, *window.after])

    def remembered(self) -> tuple[int | None, dict[str, NDArray[np.float32]]]:
        """See Remembering: flows are found again."""
        known = self.memory
        if known is None:
            return None, {}
        parts = {"noisy": known.noisy, "coarse": known.coarse, "count": known.count}
        return known.index, {name: part.cpu().numpy() for name, part in parts.items()}

    def recall(
        self, view: Window[Prepared], place: int | None, kept: dict[str, NDArray[np.float32]]
    ) -> None:
        """See Remembering."""
        if place is not None:
            device = view.centre.noisy.device
            parts = (torch.from_numpy(kept[n]).to(device) for n in ("noisy", "coarse", "count"))
            self.memory = Memory(place, *parts)
        self.flows.chain([*view.before, view.centre, *view.after])

    def remember(self, frame: Prepared, noise: NoiseModel | None) -> Memory:
        """Everything before a frame and itself as a memory on its grid. Frames are to come in
        order; after a cut, or where the noise is not known, it begins anew."""
        known = self.memory
        if known is not None and known.index == frame.index:
            return known
        flow = None
        if known is not None and known.index == frame.index - 1:
            flow = self.flows.known(frame.index, known.index)
        if known is None or flow is None or noise is None:
            self.memory = Memory.of(frame.index, frame.noisy, frame.coarse)
        else:
            level = level_map(noise, frame.coarse)
            whole = self._whole(flow, frame)
            self.memory = known.carried(frame.index, frame.noisy, frame.coarse, whole, level)
        return self.memory

    def motion(self, centre: Prepared, neighbour: Prepared) -> AnyFlow | None:
        """See Moving."""
        flow = self.flows.known(centre.index, neighbour.index)
        return None if flow is None else self._whole(flow, centre)

    def forget(self) -> None:
        """Begin a new clip: its frames may have the indices of this one's."""
        self.flows.forget_before(2**62)
        self.memory = None

    def told(self, noise: NoiseModel | None) -> NoiseModel | None:
        """The model of the noise that networks are told; None for none."""
        return noise.scaled(self.level) if noise is not None and self.level else None

    def anchor(self, aligned: Aligned) -> Anchor:
        """Stage 1. What it must not see, the centre, is not an argument."""
        anchor: Anchor = self._run(self.networks.anchor, aligned)
        return anchor

    def align(
        self,
        window: Window[Prepared],
        rated: Iterable[tuple[AnyFlow, AnyMap]] | None = None,
        memory: Memory | None = None,
    ) -> Aligned:
        """Neighbours on the centre's grid by flow on the coarse centre (guided mode).

        rated: what `rated` gave for this window, where it is known already. memory: stands in for
        the neighbour it was made at.
        """
        rated = self.rated(window) if rated is None else rated
        return self._warped(window.neighbours, rated, window.centre.coarse, memory)

    def rated(self, window: Window[Prepared]) -> Iterable[tuple[Any, Any]]:
        """The flow to every neighbour and how well it agrees with the one back."""
        found: Iterable[tuple[Any, Any]] = self.flows.rated(window)
        return self.flows.enlarged(found, window.centre)

    @property
    def _warped(self) -> Callable[..., Aligned]:
        return _align_together if isinstance(self.flows, DeviceFlows) else _align

    def _whole(self, flow: Any, frame: Prepared) -> AnyFlow:
        return self.flows.whole(flow, frame)

    def align_strictly(self, window: Window[Prepared]) -> Aligned:
        """The same with nothing of the centre: flows between neighbours, by constant velocity."""
        flows = self._blind_flows(window)
        whole = (self._whole(flow, window.centre) for flow in flows)
        inside = self.flows.maths.inside
        return self._warped(window.neighbours, ((flow, inside(flow)) for flow in whole), None)

    def independent_pair(self, window: Window[Prepared]) -> tuple[Tensor, Tensor] | None:
        """See Method.independent_pair: strict anchors from alternate neighbours on either side."""
        aligned = self.align_strictly(window) if len(window.neighbours) > 1 else None
        if aligned is None:
            return None
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
        midway = self.flows.maths.midway
        before, after = window.before, window.after
        if before and after:
            last, following = before[-1], after[0]
            gap = following.index - last.index
            forward = midway(
                self.flows.fresh(last, following), (following.index - window.centre.index) / gap
            )
            backward = midway(
                self.flows.fresh(following, last), (window.centre.index - last.index) / gap
            )
            return [
                *self._beyond(backward, before[::-1])[::-1],
                *self._beyond(forward, after),
            ]
        near = before[::-1] or after
        if len(near) < 2:
            return [self.flows.none(near[0])]
        onward = self.flows.flow(near[0], near[1])  # the same velocity, one frame earlier
        flows = self._beyond(self.flows.maths.carried(onward), near)
        return flows[::-1] if before else flows

    def _beyond(self, first: Any, side: tuple[Prepared, ...]) -> list[Any]:
        """Flows into every frame of one side, nearest first, by way of its nearest."""
        compose = self.flows.maths.compose
        return [first, *(compose(first, self.flows.flow(side[0], frame)) for frame in side[1:])]


def level_map(noise: NoiseModel | None, signal: Tensor) -> Tensor:
    """The noise's standard deviation at every sample (1, C, H, W); zero where it is not known."""
    if noise is None:
        return torch.zeros_like(signal)
    if not halves.serve(signal):
        return noise.level(smooth(signal))
    return halves.doubled(noise.level(halves.halved(signal, CELLS)), signal.shape)


def _align(
    neighbours: tuple[Prepared, ...],
    rated: Iterable[tuple[Any, Any]],
    reference: Tensor | None,
    memory: Memory | None = None,
) -> Aligned:
    """Warp neighbours and rate them. reference (1, C, H, W): what they should look like; without
    one, the mean of them all. memory: stands in for the neighbour it was made at, with the
    confidence of as many frames as it is worth. One neighbour after the other: pictures may be
    large."""
    like = neighbours[0].coarse
    shape = (1, len(neighbours), *like.shape[1:])
    noisy, coarse = like.new_empty(shape), like.new_empty(shape)
    agreement = like.new_empty((1, len(neighbours), 1, *like.shape[2:]))
    for place, (neighbour, (flow, agree)) in enumerate(zip(neighbours, rated, strict=True)):
        agreement[:, place] = torch.from_numpy(agree).to(like.device)
        shown: Prepared | Memory = neighbour
        if memory is not None and memory.index == neighbour.index:
            shown = memory
            agreement[:, place] *= warp(memory.count, flow).clamp_min(1)[:, 0]
        noisy[:, place], coarse[:, place] = warp_all([shown.noisy, shown.coarse], flow)
    reference = coarse.mean(1) if reference is None else reference
    return Aligned(noisy, coarse, photometric(coarse, reference).mul_(agreement))


def _align_together(
    neighbours: tuple[Prepared, ...],
    rated: Iterable[tuple[Any, Any]],
    reference: Tensor | None,
    memory: Memory | None = None,
) -> Aligned:
    """The same in one call, on the device of the frames."""
    flows, agreement = (torch.cat(part) for part in zip(*rated, strict=True))
    shown: list[Prepared | Memory] = [
        memory if memory is not None and memory.index == one.index else one for one in neighbours
    ]
    noisy, coarse = (torch.cat([getattr(one, p) for one in shown]) for p in ("noisy", "coarse"))
    one = torch.ones_like(noisy[:1, :1])
    counts = torch.cat([item.count if isinstance(item, Memory) else one for item in shown])
    noisy, coarse, worth = motion.warp_all([noisy, coarse, counts], flows)
    agreement = agreement * worth.clamp_min_(1)
    reference = coarse.mean(0, keepdim=True) if reference is None else reference
    confidence = photometric(coarse[None], reference).mul_(agreement)
    return Aligned(noisy[None], coarse[None], confidence)


def photometric(warped: Tensor, reference: Tensor, typical: Tensor | None = None) -> Tensor:
    """How well warped neighbours (B, N, C, H, W) match the reference (B, C, H, W): (B, N, 1, H, W).

    1 where they match as most of the picture does, towards 0 where they show something else.
    `typical` (B,): the median mismatch over the whole picture, where only a crop is given.
    """
    small = halves.serve(warped)
    mismatch = (_small_mismatches if small else mismatches)(warped, reference)
    if typical is None:
        typical = typical_mismatch(mismatch, 2 if small else 4)
    allowed = MISMATCH_ALLOWED * typical.clamp_min(MISMATCH_FLOOR).view(-1, 1, 1)
    if warped.device.type != "cpu":  # a GPU wants few calls, a processor small arrays
        return (mismatch / allowed[:, None]).square_().add_(1).reciprocal_().unsqueeze(2)
    rated = torch.empty_like(mismatch)
    for place, one in enumerate(mismatch.unbind(1)):
        rated[:, place] = (one / allowed).square_().add_(1).reciprocal_()
    return (halves.doubled(rated, warped.shape) if small else rated).unsqueeze(2)


def mismatches(warped: Tensor, reference: Tensor) -> Tensor:
    """How far each warped neighbour is from the reference around every pixel: (B, N, H, W)."""
    if warped.device.type != "cpu":
        return smooth((warped - reference.unsqueeze(1)).abs_().mean(2))
    mismatch = torch.empty_like(warped[:, :, 0])
    for place, one in enumerate(warped.unbind(1)):
        mismatch[:, place] = smooth((one - reference).abs_().mean(1, keepdim=True))[:, 0]
    return mismatch


def _small_mismatches(warped: Tensor, reference: Tensor) -> Tensor:
    """The same on cells of 2x2 pixels, (B, N, H / 2, W / 2)."""
    apart = ((one - reference).abs_().mean(1) for one in warped.unbind(1))
    return torch.stack([halves.halved(one, CELLS) for one in apart], 1)


def typical_mismatch(mismatch: Tensor, step: int = 4) -> Tensor:
    """Median over neighbours and pixels (B,), on every `step`th row and column."""
    return mismatch[..., ::step, ::step].flatten(1).median(1).values


METHOD = F2R
