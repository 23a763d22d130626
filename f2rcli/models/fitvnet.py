"""FITVNet's two modules: a picture by itself, then pictures together. No flow anywhere.

First Image Then Video: an image module Psi, the U-Net of Noise2Noise with
its pooling replaced by strides, and a spatio-temporal block Phi, FastDVDnet's without batch
normalisation. The paper's tables give channels; its strides contradict each other, and those here
are the only ones that fit all five skip connections.
"""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.models.layers import SLOPE, biased, joined, lowered

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
