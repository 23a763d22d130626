"""FITVNet, first image then video: every frame by itself, then five of them together.

Psi denoises each frame once. Phi_1 joins the triples (t-2..t), (t-1..t+1) and (t..t+2), each once
while it is in use, and Phi_2 joins the three results. As published nothing is aligned, and the
networks have to see past the motion; `aligned` networks are shown neighbours that were moved by
optical flow between Psi's estimates (DESIGN.md D28).
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from f2rcli.methods.base import Prepared, Restored, Run
from f2rcli.methods.flows import FlowBook
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.fitvnet import FusionBlock, ImageModule
from f2rcli.models.flow import doubled_flow, warp
from f2rcli.models.layers import smooth
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Weights
from f2rcli.window import Window

LENGTH = 5  # frames that one result is made of
MIDDLE = LENGTH // 2


class FITVNetNetworks(nn.Module):
    """The image module, the block on triples of frames, and the block on its three results."""

    def __init__(self, channels: int, config: dict[str, Any]) -> None:
        """config: tables of constructor arguments `image` and `block`; whether the reference is
        `hidden` from both blocks, and whether they see `aligned` neighbours (not of a hidden
        one: flow would look at it)."""
        super().__init__()
        self.hidden = bool(config.get("hidden", False))
        self.aligned = bool(config.get("aligned", False)) and not self.hidden
        self.image = ImageModule(channels, **config["image"])
        self.triple = FusionBlock(channels, **config["block"])
        self.merge = FusionBlock(channels, **config["block"])

    def forward(self, frames: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """frames (B, 5, C, H, W) noisy; level (B, 5, 1, H, W), their noise's standard deviation,
        zero where it is not known -> Psi of all five (B, 5, C, H, W), and the middle one restored
        (B, C, H, W). H and W must be multiples of 32.
        """
        batch = frames.shape[0]
        estimates = self.image(frames.flatten(0, 1)).float().unflatten(0, (batch, LENGTH))
        return estimates, self.joined(estimates, level)

    def joined(self, estimates: Tensor, level: Tensor) -> Tensor:
        """Both blocks over five estimates (B, 5, C, H, W), with `level` as for `forward`."""
        if self.aligned:
            return self._aligned(estimates, level)
        shown = self.shown(estimates)
        first = range(LENGTH - 2)
        triples = torch.stack([shown[:, i : i + 3] for i in first], 1).flatten(0, 1)
        levels = level[:, 1:-1].flatten(0, 1)
        results = self.triple(triples, levels).float().unflatten(0, (-1, len(first)))
        merged: Tensor = self.merge(results, level[:, MIDDLE])
        return merged

    def _aligned(self, estimates: Tensor, level: Tensor) -> Tensor:
        windows = [(FlowBook(), in_order(window)) for window in torch.split(estimates, 1)]
        triples = [
            on_middle(book, frames[i : i + 3], [frame.coarse for frame in frames[i : i + 3]])
            for book, frames in windows
            for i in range(LENGTH - 2)
        ]
        results = self.triple(torch.cat(triples), level[:, 1:-1].flatten(0, 1)).float()
        moved = [
            on_middle(book, frames[1:-1], list(torch.split(three, 1)))
            for (book, frames), three in zip(windows, torch.split(results, LENGTH - 2), strict=True)
        ]
        merged: Tensor = self.merge(torch.cat(moved), level[:, MIDDLE])
        return merged

    def shown(self, estimates: Tensor) -> Tensor:
        """The blocks' view of (B, 5, C, H, W); a `hidden` reference is its neighbours' mean."""
        if not self.hidden:
            return estimates
        before, after = estimates[:, MIDDLE - 1], estimates[:, MIDDLE + 1]
        between = (before + after) / 2
        return torch.cat(
            [estimates[:, :MIDDLE], between.unsqueeze(1), estimates[:, MIDDLE + 1 :]], 1
        )


class FITVNet(RgbMethod):
    """Both modules on one clip. One result costs one Psi, one Phi_1 and one Phi_2."""

    name: ClassVar[str] = "fitvnet"
    activation_bytes = 1140  # size `small` in fp32, measured
    length = LENGTH
    networks: FITVNetNetworks

    def __init__(self, networks: FITVNetNetworks, run: Run, level: float = 1.0) -> None:
        """level: what the noise's measured level is multiplied by before networks are given it."""
        self.networks = networks
        self.level = level
        self.flows = FlowBook()
        self._run = run
        self._triples: dict[tuple[int, ...], Tensor] = {}

    @classmethod
    def of(cls, weights: Weights, run: Run) -> Self:
        header = weights.header
        networks = weights.network(lambda: FITVNetNetworks(header.channels, header.config))
        return cls(networks, run, header.level)

    def prepare(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        coarse = self._run(self.networks.image, noisy)
        luma = coarse[0].detach().mean(0).float().cpu().numpy()
        look = self.flows.look(luma) if self.networks.aligned else None
        return Prepared(index, noisy, coarse, luma, look)

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        """A shot's first and last frames see it mirrored about them."""
        oldest = window.items[0].index
        self._triples = {k: v for k, v in self._triples.items() if min(k) >= oldest}
        self.flows.forget_before(oldest)
        frames = five(window, blind=self.networks.hidden)
        level = self._level(window.centre.coarse, noise)
        places = [slice(i, i + 3) for i in range(LENGTH - 2)]
        if self.networks.hidden:  # the reference is another frame in every window: nothing is kept
            shown = self.networks.shown(torch.stack([frame.coarse for frame in frames], 1))
            triples = [self._run(self.networks.triple, shown[:, at], level) for at in places]
        else:
            triples = [self._joined(frames[at], noise) for at in places]
        if self.networks.aligned:
            results = on_middle(self.flows, frames[1:-1], triples)
        else:
            results = torch.stack(triples, 1)
        refined = self._run(self.networks.merge, results, level)
        return Restored(window.centre.coarse, results[:, 1], refined)

    def _joined(self, triple: list[Prepared], noise: NoiseModel | None) -> Tensor:
        """Phi_1 of three frames, computed once while they are in the window."""
        key = tuple(frame.index for frame in triple)
        if key not in self._triples:
            estimates = [frame.coarse for frame in triple]
            if self.networks.aligned:
                pictures = on_middle(self.flows, triple, estimates)
            else:
                pictures = torch.stack(estimates, 1)
            level = self._level(triple[1].coarse, noise)
            self._triples[key] = self._run(self.networks.triple, pictures, level)
        return self._triples[key]

    def forget(self) -> None:
        """Begin a new clip: its frames may have the indices of this one's."""
        self.flows.forget_before(2**62)
        self._triples = {}

    def _level(self, signal: Tensor, noise: NoiseModel | None) -> Tensor:
        """The noise's standard deviation over all channels, (1, 1, H, W); zero where unknown."""
        if noise is None or not self.level:
            return torch.zeros_like(signal[:, :1])
        variance = noise.scaled(self.level).level(smooth(signal)).square()
        return variance.mean(1, keepdim=True).sqrt()


def in_order(window: Tensor) -> list[Prepared]:
    """Estimates (1, T, C, H, W) of frames that follow each other, for flow to look at."""
    frames = window.unbind(1)
    lumas = [frame[0].detach().mean(0).float().cpu().numpy() for frame in frames]
    return [Prepared(i, f, f, y) for i, (f, y) in enumerate(zip(frames, lumas, strict=True))]


def on_middle(flows: FlowBook, triple: Sequence[Prepared], pictures: Sequence[Tensor]) -> Tensor:
    """Pictures (1, C, H, W) of three frames on the grid of the middle one, (1, 3, C, H, W). What
    flow cannot follow, and what a frame does not show, is left to the blocks."""
    middle, moved = triple[1], []
    for frame, picture in zip(triple, pictures, strict=True):
        if frame.index != middle.index:
            flow = doubled_flow(flows.flow(middle, frame), picture.shape)
            moved.append(warp(picture, flow))
        else:
            moved.append(picture)
    return torch.stack(moved, 1)


def five(window: Window[Prepared], *, blind: bool = False) -> list[Prepared]:
    """The centre with two frames on either side, mirrored about the ends of its shot.

    A mirrored place may be the centre again; `blind` takes the frame beside it instead. A shot of
    fewer frames than the mirror asks for gives its farthest.
    """
    frames = window.items
    centre, last = len(window.before), len(frames) - 1
    places = [mirrored(centre + step, last) for step in range(-MIDDLE, MIDDLE + 1)]
    if blind:
        beside = min(centre + 1, last) if centre < last else max(centre - 1, 0)
        places = [
            beside if place == centre and step != MIDDLE else place
            for step, place in enumerate(places)
        ]
    return [frames[place] for place in places]


def mirrored(place: int, last: int) -> int:
    """A place before 0 or after `last` mirrored about it, and no farther than the other end."""
    if place < 0:
        return min(-place, last)
    return max(2 * last - place, 0) if place > last else place


METHOD = FITVNet
