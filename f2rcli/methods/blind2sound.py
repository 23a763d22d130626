"""Blind2Sound (arXiv 2303.05183): one frame at a time, by a network that hid pixels to learn.

The network is that of the paper (ICCV 2025) and of its authors' code: the U-Net of Blind2Unblind
(CVPR 2022) with a covariance; it has biases and is blind to the noise level.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.methods.base import Prepared
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.layers import SLOPE, biased, entries, joined, lowered
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Header
from f2rcli.window import Window


class DenoisingUNet(nn.Module):
    """Blind2Unblind's U-Net: max-pooling, nearest upsampling, pooled pictures as skips. Published
    (width 48, wide 96, depth 5): 1.103 M parameters in RGB, 285 GMAC per megapixel."""

    def __init__(self, channels: int = 3, width: int = 48, wide: int = 96, depth: int = 5) -> None:
        """width: channels on the way down; wide: on the way up; depth: halvings."""
        super().__init__()
        self.channels = channels
        self.stride = 2**depth
        # A convolution on each grid on the way down, two on the finest and on all on the way up,
        # each reaching one of its grid's pixels further; and the cell that pooling joins.
        self.reach = 5 * self.stride
        self.head = nn.Sequential(_conv(channels, width), _conv(width, width))
        self.downs = nn.ModuleList(_conv(width, width) for _ in range(depth))
        before = [width, *[wide] * (depth - 1)]  # channels that come from below
        skips = [*[width] * (depth - 1), channels]
        inputs = map(sum, zip(before, skips, strict=True))
        self.ups = nn.ModuleList(nn.Sequential(_conv(n, wide), _conv(wide, wide)) for n in inputs)
        self.mixing = nn.Sequential(_conv(wide, wide, 1), _conv(wide, wide, 1))
        self.tail = nn.Conv2d(wide, channels + entries(channels), 1)
        self._start_near_neighbours()

    def _start_near_neighbours(self) -> None:
        """Begin with the mean of every pixel's neighbours, which training improves on.

        Without the pixel itself: where it was hidden it is that mean, so that nothing would teach
        the network not to copy it where it is noisy.
        """
        last = self.ups[-1]
        layers = [last[0][0], last[1][0], self.mixing[0][0], self.mixing[1][0], self.tail]  # type: ignore[index]  # all of them sequences
        count = self.channels
        with torch.no_grad():
            self.tail.weight.mul_(0.1)
            self.tail.bias.zero_()  # type: ignore[union-attr]  # there is one
            for layer in layers:
                assert isinstance(layer, nn.Conv2d)
                layer.weight[:count] = 0
                centre = layer.kernel_size[0] // 2
                for channel in range(count):
                    if layer is layers[0]:  # the picture is its last input
                        place = layer.in_channels - count + channel
                        layer.weight[channel, place] = around(layer.weight)
                    else:
                        layer.weight[channel, channel, centre, centre] = 1

    def forward(self, noisy: Tensor) -> Tensor:
        """Noisy (B, C, H, W), 0..1, multiples of `stride` -> the clean picture's mean, alike."""
        return self.raw(noisy)[:, : self.channels]

    def raw(self, noisy: Tensor) -> Tensor:
        """Mean and the entries of a triangular matrix, (B, C + entries, H, W), for `Belief.of`."""
        start = lowered(noisy)
        x = self.head(start)
        skips = [start]
        for down in self.downs:
            x = functional.max_pool2d(x, 2)
            skips.append(x)
            x = down(x)
        skips.pop()  # of the coarsest grid, from which the way up begins
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(joined(x, skip))
        x = self.mixing(x)
        with torch.autocast(x.device.type, enabled=False):  # bf16 has no 8 bits to spare
            return self.tail(x.to(self.tail.weight.dtype))


def around(like: Tensor) -> Tensor:
    """The mean of a pixel's eight neighbours, the nearest four counting twice: (3, 3)."""
    # Divided by Python: on a tensor without storage, torch would load its compiler for it.
    near, far = 1 / 6, 1 / 12
    return like.new_tensor([[far, near, far], [near, 0, near], [far, near, far]])


class Blind2SoundNetworks(nn.Module):
    def __init__(self, channels: int, denoiser: dict[str, int]) -> None:
        """denoiser: a table of constructor arguments."""
        super().__init__()
        self.denoiser = DenoisingUNet(channels, **denoiser)


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """A convolution that keeps the size, then LeakyReLU."""
    layer = biased(inputs, outputs, kernel, slope=SLOPE)
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE, inplace=True))


class Blind2Sound(RgbMethod):
    """The visible branch's mean; the masked branch is for training."""

    name: ClassVar[str] = "blind2sound"
    activation_bytes = 820  # of size `small` in fp32, 470 in bf16; `published` 1480
    length = 1
    networks: Blind2SoundNetworks

    @classmethod
    def built(cls, header: Header) -> Blind2SoundNetworks:
        return Blind2SoundNetworks(header.channels, header.config["denoiser"])

    def estimated(self, noisy: Tensor) -> Tensor:
        return self._run(self.networks.denoiser, noisy)

    def restored(self, window: Window[Prepared], noise: NoiseModel) -> Tensor:
        """The estimate that was prepared already; the network learnt to do without the noise."""
        return window.centre.coarse


METHOD = Blind2Sound
