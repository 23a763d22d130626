"""Noise: what is assumed about it, how it is measured from two blind anchors, how it is drawn."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

BINS = 24  # of intensity, equally filled
SMALLEST_BIN = 400  # samples; fewer say nothing of a variance
RAIL = 0.03  # codes this near to black or white are clipped too often to be trusted
MAD_TO_SIGMA = 1.4826  # of a Gaussian


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Noise with variance gain * x + read^2 in every channel, x in 0..1 (Foi et al., TIP 2008).

    sigma is its root mean square over the picture it was measured on, in units of white - black.
    """

    gain: tuple[float, ...]
    read: tuple[float, ...]
    sigma: tuple[float, ...]
    samples: int = 0  # how many pixels were looked at; 0 for a model that was told

    @classmethod
    def gaussian(cls, sigma: float, channels: int) -> "NoiseModel":
        """The same white noise in every channel."""
        same = (sigma,) * channels
        return cls((0.0,) * channels, same, same)

    @property
    def sigma8(self) -> tuple[float, ...]:
        """sigma in 8-bit codes, as the command line speaks of it."""
        return tuple(255 * sigma for sigma in self.sigma)

    def scaled(self, factor: float) -> "NoiseModel":
        """The model of noise that is `factor` times stronger."""
        return NoiseModel(
            tuple(g * factor**2 for g in self.gain),
            tuple(r * factor for r in self.read),
            tuple(s * factor for s in self.sigma),
            self.samples,
        )

    def variance(self, signal: Tensor) -> Tensor:
        """signal (B, C, H, W) -> the noise's variance at every sample."""
        gain, read = (signal.new_tensor(part).view(1, -1, 1, 1) for part in (self.gain, self.read))
        return gain * signal.clamp(0, 1) + read**2

    def level(self, signal: Tensor) -> Tensor:
        """signal (B, C, H, W) -> the noise's standard deviation at every sample."""
        return self.variance(signal).sqrt()

    def add(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """clean (B, C, H, W) plus fresh noise of this law, unclipped."""
        fresh = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
        return clean + fresh.to(clean.device) * self.level(clean)


def blend(old: NoiseModel, new: NoiseModel, share: float) -> NoiseModel:
    """The old model moved towards the new one by `share` of the way, in variance."""

    def mix(a: tuple[float, ...], b: tuple[float, ...], power: int) -> tuple[float, ...]:
        return tuple(
            ((1 - share) * x**power + share * y**power) ** (1 / power)
            for x, y in zip(a, b, strict=True)
        )

    return NoiseModel(
        mix(old.gain, new.gain, 1),
        mix(old.read, new.read, 2),
        mix(old.sigma, new.sigma, 2),
        old.samples + new.samples,
    )


@dataclass
class NoiseSamples:
    """Evidence from several frames: signal levels and unbiased products of two residuals."""

    signal: list[NDArray[np.float32]]
    product: list[NDArray[np.float32]]

    @classmethod
    def empty(cls, channels: int) -> "NoiseSamples":
        return cls(*([np.empty(0, np.float32)] * channels for _ in range(2)))

    def add(self, noisy: Tensor, first: Tensor, second: Tensor) -> None:
        """Add a frame (1, C, H, W) and two anchors of it that share no noise with it or each other.

        E[(y - a1)(y - a2)] is the noise's variance plus the covariance of the anchors' errors
        (three-cornered hat). Only flat places where both anchors agree are taken, where those
        errors are small; they are chosen by the anchors alone, which know nothing of y's noise.
        """
        mean = (first + second) / 2
        trusted = _flat(mean) & _agreeing(first, second)
        product = (noisy - first) * (noisy - second)
        for channel in range(noisy.shape[1]):
            level = mean[0, channel]
            chosen = trusted[0, 0] & (level > RAIL) & (level < 1 - RAIL)
            if chosen.sum() < SMALLEST_BIN:  # a picture that lies almost all on a rail
                chosen = trusted[0, 0]
            for store, values in ((self.signal, level), (self.product, product[0, channel])):
                kept = values[chosen].float().cpu().numpy()
                store[channel] = np.concatenate([store[channel], kept])

    def model(self) -> NoiseModel | None:
        """The noise model that fits best; None where there is too little evidence."""
        if min(len(part) for part in self.signal) < SMALLEST_BIN:
            return None
        fits = [_fit(s, p) for s, p in zip(self.signal, self.product, strict=True)]
        gain, read, sigma = zip(*fits, strict=True)
        return NoiseModel(gain, read, sigma, min(len(part) for part in self.signal))


def _flat(picture: Tensor) -> Tensor:
    """The flatter half of a picture (1, C, H, W), by local gradient: (1, 1, H, W) bool."""
    steps = [(picture - picture.roll(1, axis)).abs().mean(1, keepdim=True) for axis in (2, 3)]
    return _lower_half(functional.avg_pool2d(steps[0] + steps[1], 5, stride=1, padding=2))


def _agreeing(first: Tensor, second: Tensor) -> Tensor:
    """The half of the picture where two anchors (1, C, H, W) differ least: (1, 1, H, W) bool."""
    apart = (first - second).abs().mean(1, keepdim=True)
    return _lower_half(functional.avg_pool2d(apart, 7, stride=1, padding=3))


def _lower_half(values: Tensor) -> Tensor:
    return values <= values[..., ::2, ::2].median()


def _fit(signal: NDArray[np.float32], product: NDArray[np.float32]) -> tuple[float, float, float]:
    """(gain, read, sigma) by weighted non-negative least squares over bins of intensity.

    A line is only believed where the brightest bin shows clearly more noise than the darkest.
    """
    order = np.argsort(signal, kind="stable")
    bins = np.array_split(order, max(1, min(BINS, len(order) // SMALLEST_BIN)))
    level = np.array([signal[b].mean() for b in bins])
    variance = np.array([_centred_mean(product[b]) for b in bins])
    total = max(float(_centred_mean(product)), 0.0)
    sigma = total**0.5
    if len(bins) < 4 or np.ptp(level) < 0.05:
        return 0.0, sigma, sigma
    weight = np.ones(len(bins))
    gain = read2 = 0.0
    for _ in range(3):
        design = np.stack([level, np.ones_like(level)], 1) * weight[:, None]
        gain, read2 = np.linalg.lstsq(design, variance * weight, rcond=None)[0]
        if gain < 0:
            gain, read2 = 0.0, float(np.average(variance, weights=weight**2))
        elif read2 < 0:
            read2, gain = (
                0.0,
                float(np.sum(weight**2 * level * variance) / np.sum((weight * level) ** 2)),
            )
        weight = 1 / np.maximum(gain * level + read2, 1e-8)
    left = np.average((variance - gain * level - read2) ** 2, weights=weight**2)
    flat = np.average((variance - np.average(variance, weights=weight**2)) ** 2, weights=weight**2)
    if left > 0.5 * flat:  # the line explains less than half of what differs
        return 0.0, sigma, sigma
    return float(gain), float(max(read2, 0.0)) ** 0.5, sigma


def _centred_mean(product: NDArray[np.float32]) -> float:
    """Mean without the largest two thousandths on either side: cuts, dust and wrong flow."""
    low, high = np.quantile(product, [0.002, 0.998])
    kept = product[(product >= low) & (product <= high)]
    return float(kept.mean()) if len(kept) else 0.0


def single_frame_sigma(noisy: Tensor) -> float:
    """A rough standard deviation from one frame (1, C, H, W): median of its finest diagonal detail.

    Donoho and Johnstone, Biometrika 1994. Reads low where noise is spatially correlated.
    """
    height, width = (size // 2 * 2 for size in noisy.shape[-2:])
    if min(height, width) < 2:
        return 0.0
    cells = functional.pixel_unshuffle(noisy[..., :height, :width].flatten(0, 1).unsqueeze(1), 2)
    diagonal = (cells[:, 0] - cells[:, 1] - cells[:, 2] + cells[:, 3]) / 2
    return float(diagonal.abs().median()) * MAD_TO_SIGMA
