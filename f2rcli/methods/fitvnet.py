"""FITVNet, first image then video: every frame by itself, then five of them together.

Psi denoises each frame once. Phi_1 joins the triples (t-2..t), (t-1..t+1) and (t..t+2), each once
while it is in use, and Phi_2 joins the three results. As published nothing is aligned, and the
networks have to see past the motion; here they are shown neighbours that were moved by optical flow
between Psi's estimates (DESIGN.md D28).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from f2rcli.methods.base import Prepared, Run
from f2rcli.methods.flows import FlowBook
from f2rcli.methods.rgb import RgbMethod, as_prepared
from f2rcli.models.filters import smooth
from f2rcli.models.fitvnet import FusionBlock, ImageModule
from f2rcli.models.flow import doubled, sample
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Header
from f2rcli.window import Window

LENGTH = 5  # frames that one result is made of
MIDDLE = LENGTH // 2


class FITVNetNetworks(nn.Module):
    """The image module, the block on triples of frames, and the block on its three results."""

    def __init__(self, channels: int, config: dict[str, Any]) -> None:
        """config: tables of constructor arguments `image` and `block`."""
        super().__init__()
        self.image = ImageModule(channels, **config["image"])
        self.triple = FusionBlock(channels, **config["block"])
        self.merge = FusionBlock(channels, **config["block"])

    def forward(self, frames: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """frames (B, 5, C, H, W) noisy; level (B, 5, 1, H, W), their noise's standard deviation
        -> Psi of all five (B, 5, C, H, W), and the middle one restored (B, C, H, W). H and W must
        be multiples of 32.
        """
        estimates = self.image(frames.flatten(0, 1)).float().unflatten(0, (frames.shape[0], LENGTH))
        return estimates, self.joined(estimates, level)

    def joined(self, estimates: Tensor, level: Tensor) -> Tensor:
        """Both blocks over five estimates (B, 5, C, H, W), with `level` as for `forward`."""
        windows = [
            (FlowBook(), [as_prepared(i, one, one) for i, one in enumerate(window.unbind(1))])
            for window in torch.split(estimates, 1)
        ]
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
        return self.merge(torch.cat(moved), level[:, MIDDLE])


class FITVNet(RgbMethod):
    """Both modules on one clip. One result costs one Psi, one Phi_1 and one Phi_2."""

    name: ClassVar[str] = "fitvnet"
    activation_bytes = 1140  # size `small` in fp32, measured
    length = LENGTH
    networks: FITVNetNetworks

    def __init__(self, networks: FITVNetNetworks, run: Run) -> None:
        super().__init__(networks, run)
        self.flows = FlowBook()

    @classmethod
    def built(cls, header: Header) -> FITVNetNetworks:
        return FITVNetNetworks(header.channels, header.config)

    def estimated(self, noisy: Tensor) -> Tensor:
        return self._run(self.networks.image, noisy)

    def restored(self, window: Window[Prepared], noise: NoiseModel) -> Tensor:
        self.flows.forget_before(window.items[0].index)
        triples = self.by_threes(window, partial(self._joined, noise))
        results = on_middle(self.flows, window.around(1), triples)
        return self._run(self.networks.merge, results, self._level(window.centre.coarse, noise))

    def _joined(self, noise: NoiseModel, triple: Sequence[Prepared]) -> Tensor:
        """Phi_1 of three frames."""
        pictures = on_middle(self.flows, triple, [frame.coarse for frame in triple])
        return self._run(self.networks.triple, pictures, self._level(triple[1].coarse, noise))

    def forget_from(self, index: int) -> None:
        super().forget_from(index)
        self.flows.forget_from(index)

    def _level(self, signal: Tensor, noise: NoiseModel) -> Tensor:
        """The noise's standard deviation over all channels, (1, 1, H, W)."""
        return noise.level(smooth(signal)).square().mean(1, keepdim=True).sqrt()


def on_middle(flows: FlowBook, triple: Sequence[Prepared], pictures: Sequence[Tensor]) -> Tensor:
    """Pictures (1, C, H, W) of three frames on the grid of the middle one, (1, 3, C, H, W). What
    flow cannot follow, and what a frame does not show, is left to the blocks."""
    middle, moved = triple[1], []
    for frame, picture in zip(triple, pictures, strict=True):
        if frame.index != middle.index:
            flow = doubled(flows.flow(middle, frame), picture.shape[-2:])
            picture = sample(picture.float(), flow.to(picture.device), cubic=True)
        moved.append(picture)
    return torch.stack(moved, 1)


METHOD = FITVNet
