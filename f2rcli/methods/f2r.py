"""F2R, Frames2Residual (arXiv 2603.10417): a blind temporal anchor, then a non-blind refiner."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from f2rcli.errors import WeightsError
from f2rcli.frames import PlaneLayout
from f2rcli.methods.base import Following, LazyFlow, Method, Prepared, Run
from f2rcli.methods.flows import DeviceFlows, FlowBook
from f2rcli.models.filters import least_around
from f2rcli.models.flow import Flow, doubled, halved
from f2rcli.models.placing import MAPS, Memory, placed, warped
from f2rcli.models.planar import Anchor, CentreFrame, Neighbours, Networks, weighted
from f2rcli.models.recorded import Graphs
from f2rcli.noise.model import PlaneNoise
from f2rcli.planes import Layout, packing, spread
from f2rcli.weights import Estimate, Weights, no_header
from f2rcli.window import Window

# What is shown of a neighbour: noisy and coarse (1, C, h, w), and, of the first alone, the frames
# each cell is worth, (1, 1, h, w); None: one.
Shown = tuple[Tensor, Tensor, Tensor | None]
Rated = tuple[Flow, Tensor]  # the flow into a neighbour, and whether to trust that
Followed = tuple[list[Shown], list[Rated]]  # neighbours of a window before networks run


class F2R(Method, Following):
    """The two-stage pipeline on one clip: coarse, flow, align, anchor, refine."""

    name: ClassVar[str] = "f2r"
    activation_bytes = 460  # in fp32, measured; 365 in bf16
    networks: Networks

    def __init__(
        self,
        networks: Networks,
        run: Run,
        layout: Layout,
        length: int = 5,
        estimate: Estimate = Estimate.REFINED,
    ) -> None:
        """estimate: the one to give out; what comes after it is not trained."""
        self.layout = layout
        self.length = length
        self.estimate = estimate
        self.networks = networks
        self.stride = networks.stride
        self.flows = FlowBook()
        self.memory: tuple[int, Memory] | None = None  # with the frame on whose grid it is
        self._graphs = Graphs()
        self._run = run

    @classmethod
    def from_weights(cls, weights: Weights, run: Run, source: PlaneLayout) -> Method:
        header, layout = weights.header, packing(source)
        known = header.config.get("layouts")
        if not isinstance(known, list) or not all(isinstance(one, str) for one in known):
            raise no_header(weights.name, "layouts that are no names")
        if layout.name not in known:
            has = f"weights for {', '.join(known)}, and the clip is {layout.name}"
            hint = "Train them with footage of that kind, or leave weights= out."
            raise WeightsError(f"{weights.name}: {has}.", hint=hint)
        networks = weights.network(lambda: Networks(header.config))
        return cls(networks, run, layout, header.length, header.estimate)

    def stay_on_device(self, graphs: Graphs) -> None:
        self.flows, self._graphs = DeviceFlows(graphs), graphs

    def prepare(self, index: int, noisy: Tensor, told: PlaneNoise) -> Prepared:
        name = "prepared", id(self.networks), told
        coarse, luma, live = self._graphs(name, partial(self._prepared, told), noisy)
        shown = luma if isinstance(self.flows, DeviceFlows) else luma.cpu()
        return Prepared(index, noisy, coarse, halved(shown[None, None]), live)

    def _prepared(self, told: PlaneNoise, noisy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The coarse frame, its brightness, and where it may hold noise."""
        layout, networks = self.layout, self.networks
        live = uneven(layout, noisy)
        coarse: Tensor = self._run(networks.coarse, layout, noisy, told.maps(layout, noisy) * live)
        return coarse, brightness(layout, coarse.detach())[0], live

    def restore(self, window: Window[Prepared], told: PlaneNoise) -> Tensor:
        """Without neighbours only the coarse estimate is left."""
        return self.finish(window, told, self.follow(window, told))

    def follow(self, window: Window[Prepared], told: PlaneNoise) -> Followed | None:
        """None where the coarse estimate is the result."""
        shown: list[Shown] = [(one.noisy, one.coarse, None) for one in window.neighbours]
        if window.before:  # the memory stands in for the neighbour on whose grid it is
            shown[0] = self.remember(window.before[0], told)
        self.flows.forget_before(window.items[0].index)
        if not shown or self.estimate is Estimate.COARSE:
            return None
        return shown, self.flows.rated(window)

    def finish(
        self, window: Window[Prepared], told: PlaneNoise, followed: Followed | None
    ) -> Tensor:
        one = window.centre
        centre = CentreFrame(one.noisy, one.coarse)
        if followed is None:
            return centre.coarse
        name = "finished", id(self.networks), told, len(followed[0])
        return self._graphs(name, partial(self._finished, told), centre, one.kept, *followed)

    def _finished(
        self, told: PlaneNoise, centre: CentreFrame, live: Tensor, shown: Sequence[Shown],
        rated: Sequence[Rated],
    ) -> Tensor:  # fmt: skip
        """Both stages."""
        coarse, layout, networks = centre.coarse, self.layout, self.networks
        seen = self.aligned(shown, rated, coarse)
        merged = weighted(seen.confidence, seen.coarse) / seen.confidence.sum(1).clamp_min(1e-4)
        anchor: Anchor = self._run(networks.anchor, layout, seen, told.maps(layout, merged) * live)
        del merged  # the refiner takes most memory
        if self.estimate is Estimate.ANCHOR:
            return anchor.given(coarse)
        maps = told.maps(layout, anchor.given(coarse)).mul_(live)
        return self._run(networks.refiner, layout, centre, maps, anchor, seen)

    def aligned(
        self, shown: Sequence[Shown], rated: Sequence[Rated], reference: Tensor
    ) -> Neighbours:
        """Neighbours on the centre's grid, by the flow into each; rated by how well they look like
        the reference (1, C, h, w)."""
        flow, agreement = (torch.cat(one) for one in zip(*rated, strict=True))
        pictures = torch.cat([one for one, _, _ in shown]), torch.cat([one for _, one, _ in shown])
        noisy, coarse = (one[None] for one in warped(self.layout, pictures, flow))
        sure = agreement.to(reference.device)[None]
        worth = torch.ones_like(sure)
        if (frames := shown[0][2]) is not None:  # of the memory
            worth[:, 0] = warped(MAPS, [frames], rated[0][0])[0]
        return placed(noisy, coarse, sure, worth, reference)

    def remembered(self) -> tuple[int | None, dict[str, Tensor]]:
        """The long memory; not the flows, which are computed again."""
        return (None, {}) if self.memory is None else (self.memory[0], self.memory[1]._asdict())

    def recall(self, view: Window[Prepared], place: int | None, kept: dict[str, Tensor]) -> None:
        if place is not None:
            self.memory = place, Memory(**kept)
        self.flows.chain(view.items)

    def remember(self, frame: Prepared, told: PlaneNoise) -> Memory:
        """Everything before a frame and itself as a memory on its grid. Frames are to come in
        order; after a cut it begins anew."""
        index, known = self.memory or (None, None)
        if known is not None and index == frame.index:
            return known
        flow = self.flows.known(frame.index, frame.index - 1)
        if known is None or index != frame.index - 1 or flow is None:
            made = Memory.of(frame.noisy, frame.coarse)
        else:
            name, carried = ("memory", told), partial(self._carried, told)
            made = self._graphs(name, carried, known, frame.noisy, frame.coarse, flow)
        self.memory = frame.index, made
        return made

    def _carried(
        self, told: PlaneNoise, known: Memory, noisy: Tensor, coarse: Tensor, flow: Flow
    ) -> Memory:
        return known.carried(self.layout, noisy, coarse, flow, told.maps(self.layout, coarse))

    def motion(self, centre: Prepared, neighbour: Prepared) -> LazyFlow | None:
        flow = self.flows.known(centre.index, neighbour.index)
        if flow is None:
            return None
        height, width = (2 * side for side in centre.noisy.shape[-2:])
        return partial(doubled, flow, (height, width))

    def forget(self) -> None:
        super().forget()
        self.memory = None

    def forget_from(self, index: int) -> None:
        self.flows.forget_from(index)


EVEN = 9  # cells; a codec's blocks of 16 pixels may be flat by chance


def uneven(layout: Layout, noisy: Tensor) -> Tensor:
    """Where a packed picture (1, C, h, w) may hold noise, as a factor of its maps, (1, 1, h, w): 0
    in windows in which all planes are flat to the last bit, as in bars and graphics, else 1."""
    ends = [(noisy[0, part].amin(0), noisy[0, part].amax(0)) for part in layout.slices]
    low, high = (torch.stack(one) for one in zip(*ends, strict=True))
    apart = (-least_around(-high, EVEN) - least_around(low, EVEN)).amax(0, keepdim=True)
    return (least_around(apart, EVEN) > 0).to(noisy.dtype)[None]


def brightness(layout: Layout, packed: Tensor) -> Tensor:
    """What motion and cuts are looked for in, of a packed picture (1, C, h, w): (1, H, W)."""
    planes = spread(layout, packed)
    if layout.rotated:
        return planes[0] * 3**-0.5  # the mean of R, G and B
    return planes[0] if layout.name != "mosaic" else torch.stack(planes).mean(0)


METHOD = F2R
