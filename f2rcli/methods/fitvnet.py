"""FITVNet, first image then video: every frame by itself, then five of them together.

Psi, the U-Net of Noise2Noise with strides in place of pooling, denoises each frame once. Phi,
FastDVDnet's block without batch normalisation, joins three: Phi_1 the triples (t-2..t), (t-1..t+1)
and (t..t+2), each once while it is in use, and Phi_2 the three results. The paper's tables give
channels; its strides contradict each other, and those here are the only ones that fit all five skip
connections. As published nothing is aligned, and the networks have to see past the motion; here
they are shown neighbours that were moved by optical flow between Psi's estimates (DESIGN.md D28).
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.methods.base import Prepared, Run
from f2rcli.methods.flows import FlowBook
from f2rcli.methods.rgb import RgbMethod, as_prepared
from f2rcli.models.filters import smooth
from f2rcli.models.flow import doubled, sample
from f2rcli.models.layers import SLOPE, biased, joined, lowered
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Header
from f2rcli.window import Window

LENGTH = 5  # frames that one result is made of
MIDDLE = LENGTH // 2
LEVELS = 5  # halvings of the image module
TRIPLE = 3  # frames that a block sees


class ImageModule(nn.Module):
    """Psi: one frame in, one frame out, blind to the noise level (paper, table 6).

    Every convolution is 3x3 with ReLU; five of stride 2, nearest-neighbour upsampling, and the
    noisy input itself as the last skip connection.
    """

    stride = 2**LEVELS
    reach = 192  # 158 of convolutions, 31 of nearest upsampling, rounded up to the stride

    def __init__(self, channels: int = 3, width: int = 48) -> None:
        """width: 48 as published; the decoder is twice as wide, its end 4/3 and 2/3 of it."""
        super().__init__()
        wide, ends = 2 * width, (4 * width // 3, 2 * width // 3)
        self.head = biased(channels, width)
        self.encoders = nn.ModuleList(biased(width, width) for _ in range(LEVELS))
        self.downs = nn.ModuleList(biased(width, width, stride=2) for _ in range(LEVELS))
        self.middle = biased(width, width)
        inputs = [2 * width, *[wide + width] * (LEVELS - 2)]
        self.decoders = nn.ModuleList(
            nn.ModuleList([biased(count, wide), biased(wide, wide)]) for count in inputs
        )
        self.tail = nn.ModuleList(
            [biased(wide + channels, ends[0]), biased(ends[0], ends[1]), biased(ends[1], channels)]
        )

    def forward(self, noisy: Tensor) -> Tensor:
        """noisy (B, C, H, W), H and W multiples of `stride` -> the estimate (B, C, H, W)."""
        given = lowered(noisy)
        x, skips = functional.relu(self.head(given)), [given]
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = functional.relu(down(functional.relu(encoder(x))))
            skips.append(x)
        x = functional.relu(self.middle(skips.pop()))
        for decoder in self.decoders:
            x = _through(decoder.children(), joined(x, skips.pop()))
        x = _through(self.tail[:2], joined(x, skips.pop()))
        return functional.leaky_relu(self.tail[2](x), SLOPE)


def _through(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Convolutions in turn, each with ReLU."""
    for layer in layers:
        x = functional.relu(layer(x))
    return x


class FusionBlock(nn.Module):
    """Phi: three frames, each beside its noise map, into one (paper, table 5)."""

    stride = 4
    reach = 40  # 37 of convolutions, 3 of the cells of two PixelShuffles

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = (30, 32, 64, 128)) -> None:
        """widths: of each frame's own convolution, then of the three scales; as published."""
        super().__init__()
        own, fine, half, quarter = widths
        self.embed = biased(TRIPLE * (channels + 1), TRIPLE * own, groups=TRIPLE)
        self.head = biased(TRIPLE * own, fine)
        self.downs = nn.ModuleList(
            nn.ModuleList([biased(a, b, stride=2), biased(b, b), biased(b, b)])
            for a, b in pairwise((fine, half, quarter))
        )
        self.ups = nn.ModuleList(
            nn.ModuleList([biased(a, a), biased(a, a), biased(a, 4 * b)])
            for a, b in ((quarter, half), (half, fine))
        )
        self.tail = nn.ModuleList([biased(fine, fine), biased(fine, channels)])
        nn.init.zeros_(self.tail[1].weight)  # type: ignore[arg-type]  # begins as the reference

    def forward(self, frames: Tensor, level: Tensor) -> Tensor:
        """frames (B, 3, C, H, W); level (B, 1, H, W): the input noise's standard deviation -> the
        middle frame (B, C, H, W). H and W multiples of `stride`.
        """
        maps = level.unsqueeze(1).expand(-1, TRIPLE, -1, -1, -1)
        seen = lowered(torch.cat([frames, maps], 2)).flatten(1, 2)
        skips = [functional.relu(self.head(functional.relu(self.embed(seen))))]
        for down in self.downs:
            skips.append(_through(down.children(), skips[-1]))
        x = skips.pop()
        for up in self.ups:
            *layers, last = up.children()
            x = functional.pixel_shuffle(last(_through(layers, x)), 2) + skips.pop()
        return frames[:, 1] + self.tail[1](functional.relu(self.tail[0](x)))


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
