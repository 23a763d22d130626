"""UDVD, unsupervised deep video denoising (Sheth et al., ICCV 2021): a blind spot in space-time.

Every output pixel is made from all frames without that very pixel in any of them: four branches
see the half planes above, below, left and right of it. A branch is the picture turned so that its
half plane lies above, through convolutions that look up and sideways only, shifted down one row.

The release pads frames to squares so that four rotations fit one batch; here two pairs of
rotations are two batches, and frames stay as they are. What lies beyond the border is zero; the
release repeats the border's columns there.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.methods.base import Prepared, Run
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.filters import smooth
from f2rcli.models.layers import SLOPE, Belief, entries, joined, lowered
from f2rcli.models.matching import Following, Matching
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Header
from f2rcli.window import Window

STRIDE = 4  # of the grid: two poolings
LENGTH = 5  # frames of a window
# Channels of a blind U-Net as published: encoders at 1/1, 1/2 and 1/4, decoders at 1/2 and 1/1.
WIDTHS = 48, 48, 96, 96, 96
TRIPLES = ((0, 1, 2), (1, 2, 3), (2, 3, 4))  # frames that the first stage sees together
SMALL_BREADTH, SMALL_BYTES = 72, 2900  # channels at full size of size `small`, bytes per pixel
SEARCH_BYTES = 780  # of the search for neighbours


class Causal(nn.ModuleList):
    """3x3 convolutions, each followed by LeakyReLU, whose output row i sees input rows up to i.

    Convolutions see one row ahead each; n rows of zeros on top and an answer read n rows late make
    up for it. (Two rows of zeros above every convolution would say the same, and run at a quarter
    of the speed backwards.) With `shift` output row i sees input rows up to i - 1.
    """

    def __init__(self, *widths: int, shift: bool = False) -> None:
        """widths: channels from the first input to the last output."""
        convs = [nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths)]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, a=SLOPE)
        super().__init__(convs)
        self.late = len(convs) + shift

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C', H + n, W), of which the first H rows are meant."""
        x = functional.pad(x, (0, 0, self.late, 0))
        for conv in self:
            x = functional.leaky_relu_(conv(x), SLOPE)
        return x


class BlindUNet(nn.Module):
    """A U-Net of causal convolutions: output row i sees input rows up to i, and all columns.

    Pooled row j is the maximum over rows 2 j - 1 and 2 j, of which none lies below.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], *, shift: bool) -> None:
        """shift: output row i sees input rows up to i - 1."""
        super().__init__()
        a, b, c, d, e = widths
        self.first = Causal(inputs, a, a, a, shift=True)
        self.second = Causal(a, b, b, b, shift=True)
        self.third = Causal(b, c, c, b)
        self.upper = Causal(b + a, d, d, d, d)
        self.last = Causal(d + inputs, e, e, e, outputs, shift=shift)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W), H and W multiples of STRIDE -> (B, outputs, H, W)."""
        rows = x.shape[-2]
        half = functional.max_pool2d(self.first(x), 2)[..., : rows // 2, :]
        quarter = functional.max_pool2d(self.second(half), 2)[..., : rows // 4, :]
        y = joined(self.third(quarter)[..., : rows // 4, :], half)
        y = joined(self.upper(y)[..., : rows // 2, :], x)
        return self.last(y)[..., :rows, :]


class Branches(nn.Module):
    """A blind U-Net over four rotations; what it gives of each is turned back.

    Branch 0 sees what is above a pixel, 1 what is right of it, 2 below, 3 left; all of them its
    own row or column too, unless `shift` takes that away.
    """

    stride = 1  # pads by itself: a border repeated outside could show a pixel to itself
    aligned = STRIDE  # where tiles begin and end

    def __init__(
        self, inputs: int, outputs: int, widths: Sequence[int], moved: Matching | Following, *,
        shift: bool = False,
    ) -> None:  # fmt: skip
        """moved: what moves neighbours before the U-Net; what it says of it comes after the
        outputs of a branch that does not `shift`."""
        super().__init__()
        self.moved, self.shift = moved, shift
        self.unet = BlindUNet(inputs, outputs, widths, shift=shift)
        # rows: two for each of 3 + 4 convolutions at 1/1, 3 + 4 at 1/2, 3 at 1/4; shifts and cells
        self.reach = 2 * 7 + 2 * 2 * 7 + 2 * 4 * 3 + 2 + 2 + 4
        self.reach += moved.reach

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W), the same for every branch -> (B, 4, outputs, H, W)."""
        return self.each([x] * 4)

    def each(self, branches: list[Tensor]) -> Tensor:
        """An input (B, inputs, H, W) for every branch -> (B, 4, outputs, H, W)."""
        height, width = branches[0].shape[-2:]
        room = (0, -width % STRIDE, 0, -height % STRIDE)
        grown = [functional.pad(x, room) for x in branches] if any(room) else branches
        square = grown[0].shape[-2] == grown[0].shape[-1]
        parts = list(grown)
        for group in ((0, 1, 2, 3),) if square else ((0, 2), (1, 3)):
            turned = torch.cat([turn(grown[k], k) for k in group])
            out = self._of(turned.contiguous(memory_format=torch.channels_last))
            for k, part in zip(group, out.chunk(len(group)), strict=True):
                parts[k] = turn(part, -k)[..., :height, :width]
        return torch.stack(parts, 1)

    def _of(self, x: Tensor) -> Tensor:
        x, how = self.moved(x)
        out: Tensor = self.unet(lowered(x))
        return out if self.shift else torch.cat([out, how.to(out.dtype)], 1)


def turn(x: Tensor, quarters: int) -> Tensor:
    """Rotate pictures (..., H, W) by quarter turns."""
    return torch.rot90(x, quarters, (-2, -1)) if quarters % 4 else x


class Head(nn.Module):
    """1x1 convolutions over the four half planes: the only place where they meet."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(4 * inputs, 4 * inputs, 1, bias=False)
        self.second = nn.Conv2d(4 * inputs, inputs, 1, bias=False)
        self.third = nn.Conv2d(inputs, outputs, 1, bias=False)
        for layer, gain in ((self.first, 1.0), (self.second, 1.0), (self.third, 0.5)):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            with torch.no_grad():
                layer.weight.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 4, inputs, H, W) -> (B, outputs, H, W), float32: pictures need more digits."""
        x = functional.leaky_relu(self.first(x.flatten(1, 2)), SLOPE)
        x = functional.leaky_relu(self.second(x), SLOPE)
        with torch.autocast(x.device.type, enabled=False):
            return self.third(x.to(self.third.weight.dtype))


class Second(nn.Module):
    """The second stage: a blind U-Net over three results of the first, then the head."""

    stride = 1
    aligned = STRIDE

    def __init__(
        self, outputs: int, middle: int, last: int, widths: Sequence[int], radius: int
    ) -> None:
        """radius: of the first stage's search, whose shifts its results follow."""
        super().__init__()
        self.middle = middle
        self.branches = Branches(3 * middle, last, widths, Following(radius), shift=True)
        self.head = Head(last, outputs)
        self.reach = self.branches.reach

    def forward(self, *results: Tensor) -> Tensor:
        """Results of the first stage, (B, 4, C, H, W) each -> (B, outputs, H, W)."""
        parts = [part[:, :, : self.middle] for part in results]
        parts.append(results[1][:, :, self.middle :])  # its shifts
        x = torch.cat([lowered(part) for part in parts], dim=2)
        return self.head(self.branches.each(list(x.unbind(1))))


class UDVDNet(nn.Module):
    """Five frames -> mean and covariance, C + C (C + 1) / 2 maps, of the middle one given all but
    itself.

    first: the U-Net that is shared by three frames at a time; second: see Second.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        widths: Sequence[int] = WIDTHS,
        middle: int = 32,
        last: int = 96,
        radius: int = 3,
    ) -> None:
        """radius: of the search for where neighbours show the same, in pixels, which the published
        networks do without. Raises ValueError for windows of other than five frames."""
        if length != LENGTH:
            raise ValueError(f"length = {length}: UDVD sees {LENGTH} frames.")
        super().__init__()
        self.channels, self.length = channels, length
        *_, upper, lower = widths
        self.breadth = upper + lower + last  # channels that full size has to hold at once
        outputs = channels + entries(channels)
        self.first = Branches(3 * channels, middle, widths, Matching(radius))
        self.second = Second(outputs, middle, last, widths, radius)

    def forward(self, frames: Tensor) -> Tensor:
        """frames (B, T, C, H, W) in order -> (B, outputs, H, W)."""
        groups = torch.cat([frames[:, list(t)].flatten(1, 2) for t in TRIPLES])
        return self.second(*self.first(groups).split(len(frames)))


class UDVD(RgbMethod):
    """Mean and covariance of a pixel from all around it, and the posterior mean with itself."""

    name: ClassVar[str] = "udvd"
    wants_sigma: ClassVar[bool] = True
    activation_bytes = SMALL_BYTES  # in fp32, measured; of other sizes in proportion
    networks: UDVDNet

    def __init__(self, network: UDVDNet, run: Run) -> None:
        super().__init__(network, run)
        self.length = network.length
        self.activation_bytes = SEARCH_BYTES + SMALL_BYTES * network.breadth // SMALL_BREADTH

    @classmethod
    def built(cls, header: Header) -> UDVDNet:
        return UDVDNet(header.channels, header.length, **header.config)

    def estimated(self, noisy: Tensor) -> Tensor:
        """Hardly: noise of a small flat picture would look like a cut."""
        return smooth(noisy)

    def restored(self, window: Window[Prepared], noise: NoiseModel) -> Tensor:
        """What is mirrored at a shot's ends may be the centre again, which does no harm: a pixel is
        hidden from itself in every frame."""
        belief = Belief.of(self._run(self.networks.second, *self.by_threes(window, self._first)))
        variance = noise.level(belief.mean).square()
        return belief.posterior_mean(window.centre.noisy, variance)

    def _first(self, triple: Sequence[Prepared]) -> Tensor:
        return self._run(self.networks.first, torch.cat([frame.noisy for frame in triple], 1))


METHOD = UDVD
