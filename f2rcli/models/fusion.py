"""F2R's two fusion networks: the blind anchor and the non-blind refiner.

Frames2Residual, arXiv 2603.10417. What differs from the published networks, and why, is in
DESIGN.md: neighbours are warped as pictures, not as features; weights over the
neighbours are a softmax, so any number of them works in any order; no global statistics.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.models.convolutions.fused import convolved, lowered
from f2rcli.models.layers import (
    SHUFFLE,
    SLOPE,
    UNet,
    conv,
    conv_of_cells,
    inner_mean,
    lowered_cat,
    planar,
    shuffled,
    unet_reach,
    unet_stride,
)

SIDE = 7  # pixels, of local means
EPSILON = 1e-4  # keeps ratios of brightness finite; one fortieth of an 8-bit code


class Aligned(NamedTuple):
    """Neighbours on the centre's grid. A missing neighbour has confidence zero everywhere."""

    noisy: Tensor  # (B, N, C, H, W)
    coarse: Tensor  # (B, N, C, H, W)
    # (B, N, 1, H, W): 0..1 for a frame, more for what is worth several
    confidence: Tensor

    @property
    def trust(self) -> Tensor:
        """Each neighbour's share of all confidence, (B, N, 1, H, W); none where none is sure."""
        sure = self.confidence.float()
        return sure / sure.sum(1, keepdim=True).clamp_min(EPSILON)


class Anchor(NamedTuple):
    """Stage 1's estimates of the centre; no noisy pixel of the centre enters them."""

    strict: Tensor  # (B, C, H, W): the anchor made of neighbours alone
    correction: Tensor  # (B, C, H, W): what guided mode adds to the centre's coarse frame
    weights: Tensor  # (B, N, 1, H, W): sum to one over N

    def guided(self, coarse_centre: Tensor) -> Tensor:
        """The anchor with the frozen coarse centre (B, C, H, W) as a skip at the very end."""
        return coarse_centre + self.correction


class BlindAnchor(nn.Module):
    """Stage 1, the blind temporal estimator: sees neighbours and confidence, nothing else.

    A per-pixel softmax weighs the neighbours; the weighted mean of the *noisy* frames is linear
    in their noise. A small U-Net adds a residual, one for each mode: `strict` stands on the
    merged neighbours, `guided` on the coarse centre, which is added outside every trained layer.
    """

    def __init__(
        self, channels: int = 3, widths: tuple[int, ...] = (24, 48, 96), hidden: int = 16
    ) -> None:
        super().__init__()
        cell = SHUFFLE**2
        self.stride = unet_stride(widths)
        self.reach = unet_reach(widths, before=3 + 3 * SHUFFLE)  # smoothing and the weighing
        self.first = nn.Conv2d((channels + 2) * cell, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.logits = nn.Conv2d(hidden, cell, 3, padding=1)
        nn.init.zeros_(self.logits.weight)  # start from confidence alone
        nn.init.zeros_(self.logits.bias)  # type: ignore[arg-type]  # bias=True, so never None
        self.unet = UNet(2 * channels + 1, 2 * channels, widths)

    def forward(self, aligned: Aligned) -> Anchor:
        """See Aligned and Anchor for the shapes; H and W must be multiples of `stride`."""
        weights, noisy, texture, begun = self._seen(aligned)
        strict, guided = self.unet.ended(begun).chunk(2, dim=1)
        return Anchor(noisy + strict, texture + guided, weights)

    def _seen(self, aligned: Aligned) -> tuple[Tensor, ...]:
        """Weights, the noisy neighbours merged by them, their texture, and what the U-Net makes of
        it at first."""
        weights, spread = self._weigh(aligned)
        merged = weighted(weights, aligned.coarse)
        texture = weighted(weights, aligned.noisy) - merged  # what coarse frames lack
        begun = self.unet.begun(lowered_cat([merged, texture, spread]))
        return weights, merged.add_(texture), texture, begun

    def _weigh(self, aligned: Aligned) -> tuple[Tensor, Tensor]:
        """Weights (B, N, 1, H, W), and how far neighbours disagree (B, 1, H, W).

        Disagreement is counted in units of its own local mean: weights do not change when the
        whole clip is made brighter.
        """
        confidence = aligned.confidence
        trust = aligned.trust
        mean = weighted(trust, aligned.coarse)
        distance = torch.stack(  # (B, N, 1, H, W)
            [(one - mean).abs().mean(1, keepdim=True) for one in aligned.coarse.unbind(1)], 1
        )
        spread = smooth(weighted(trust, distance))
        del trust
        scale = 1 / (spread + EPSILON)
        logits = torch.stack(  # one neighbour after the other: pictures may be large
            [
                torch.log(sure + EPSILON)
                + self._logits([(one - mean) * scale, far * scale, sure.clamp_max(1)])
                for one, far, sure in zip(
                    aligned.coarse.unbind(1), distance.unbind(1), confidence.unbind(1), strict=True
                )
            ],
            1,
        )
        logits.masked_fill_(confidence.amax((2, 3, 4), keepdim=True) == 0, -1e4)
        return torch.softmax(logits, dim=1), spread

    def _logits(self, seen: list[Tensor]) -> Tensor:
        x = conv_of_cells(self.first, lowered_cat(seen), slope=SLOPE)
        x = convolved(self.second, x, SLOPE)
        return shuffled(convolved(self.logits, x))


class Refiner(nn.Module):
    """Stage 2, the non-blind spatial refiner: the anchor, the centre itself, and its neighbours.

    It starts at the posterior mean a + g (y - a), g = P / (P + sigma^2) (methods: Gaussian
    posterior; P is the anchor's own error power, from the local power of y - a), and adds a
    spatial residual to it.
    """

    def __init__(
        self, channels: int = 3, widths: tuple[int, ...] = (48, 64, 128), embed: int = 24
    ) -> None:
        super().__init__()
        self.stride = unet_stride(widths)
        self.reach = unet_reach(widths, before=3 + SHUFFLE)  # smoothing and the embedding
        self.embed = conv((2 * channels + 1) * SHUFFLE**2, embed)
        self.unet = UNet(5 * channels, channels, widths, extra=2 * embed)

    def forward(
        self, noisy: Tensor, coarse: Tensor, level: Tensor, anchor: Anchor, aligned: Aligned
    ) -> Tensor:
        """noisy, coarse (B, C, H, W): the centre; level (B, C, H, W): its noise's standard
        deviation, zero where unknown -> the refined centre (B, C, H, W)."""
        start, begun = self._seen(noisy, coarse, level, anchor, aligned)
        return start + self.unet.ended(begun)

    def _seen(
        self, noisy: Tensor, coarse: Tensor, level: Tensor, anchor: Anchor, aligned: Aligned
    ) -> tuple[Tensor, Tensor]:
        """The posterior mean, and what the U-Net makes of everything at first."""
        guided = anchor.guided(coarse)
        start = posterior_mean(noisy, guided, level)
        around = torch.cat(self._neighbours(start, anchor, aligned), 1)  # the most memory: first
        centre = lowered_cat([start, noisy - start, coarse - start, guided - start, level])
        return start, self.unet.begun(centre, around)

    def _neighbours(self, start: Tensor, anchor: Anchor, aligned: Aligned) -> tuple[Tensor, Tensor]:
        """The neighbours' features, as weighted means over them: (B, embed, H/2, W/2) twice."""
        by_anchor, by_trust = lowered(_halve(anchor.weights)), lowered(_halve(aligned.trust))
        first = self._embedded(start, aligned, 0)
        means = by_anchor[:, 0] * first, by_trust[:, 0] * first
        for place in range(1, aligned.coarse.shape[1]):
            features = self._embedded(start, aligned, place)
            means[0].addcmul_(by_anchor[:, place], features)
            means[1].addcmul_(by_trust[:, place], features)
        return means

    def _embedded(self, start: Tensor, aligned: Aligned, place: int) -> Tensor:
        """One neighbour's features: (B, embed, H/2, W/2)."""
        noisy, coarse = aligned.noisy[:, place], aligned.coarse[:, place]
        apart = coarse - start
        seen = lowered_cat([apart, noisy - coarse, apart.abs().mean(1, keepdim=True)])
        return planar(conv_of_cells(self.embed, seen, slope=SLOPE))  # weighs planes next


def posterior_mean(noisy: Tensor, anchor: Tensor, level: Tensor) -> Tensor:
    """anchor + g (noisy - anchor), g = P / (P + level^2), all (B, C, H, W).

    P is estimated as the excess of the local power of noisy - anchor over the noise's.
    Where the level is unknown (zero) this is the noisy picture itself.
    """
    power = smooth((noisy - anchor).square().mean(1, keepdim=True))
    variance = level.square().mean(1, keepdim=True)
    excess = (power - variance).clamp_min(0)
    gain = excess / (excess + variance + EPSILON**2)
    return anchor + gain * (noisy - anchor)


def weighted(weights: Tensor, pictures: Tensor) -> Tensor:
    """Sum over N of weights (B, N, 1, H, W) times pictures (B, N, C, H, W)."""
    total = weights[:, 0] * pictures[:, 0]
    for place in range(1, pictures.shape[1]):
        total.addcmul_(weights[:, place], pictures[:, place])
    return total


def smooth(x: Tensor) -> Tensor:
    """Mean over 7x7 pixels (B, C, H, W), inside ones only; OpenCV's running sums take a tenth of
    the time on a CPU."""
    if x.device.type == "cpu" and not x.requires_grad:
        return _smooth_planes(x)
    return inner_mean(x, SIDE)


def _smooth_planes(x: Tensor) -> Tensor:
    exact = x.detach() if x.dtype is torch.float64 else x.detach().float()
    planes = exact.flatten(0, 1).contiguous().numpy()
    means = np.empty_like(planes)
    for plane, mean in zip(planes, means, strict=True):
        cv2.blur(plane, (SIDE, SIDE), mean, borderType=cv2.BORDER_CONSTANT)
    for lines in (means, means.swapaxes(-1, -2)):
        near, share = _near_border(lines.shape[-1])
        lines[..., near] *= share
    return torch.from_numpy(means).view(x.shape)


@cache
def _near_border(size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Places whose window reaches beyond a line of this size; SIDE over what of it is inside."""
    place = np.arange(size)
    inside = np.minimum(place + SIDE // 2, size - 1) - np.maximum(place - SIDE // 2, 0) + 1
    near = np.flatnonzero(inside < SIDE)
    return near, (SIDE / inside[near]).astype(np.float32)


def _halve(weights: Tensor) -> Tensor:
    """(B, N, 1, H, W) -> (B, N, 1, H/2, W/2) by averaging."""
    upper, lower = weights[..., ::2, :], weights[..., 1::2, :]
    rows = upper + lower
    return (rows[..., ::2] + rows[..., 1::2]) / 4
