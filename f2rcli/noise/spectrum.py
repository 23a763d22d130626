"""What noise is like: which pixels, channels and frames share it; and more of the same.

All of it is read from what matched frames differ by in flat places, in units of the noise there:
of the scene, hardly anything is left in that.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.frames import Floats, Mask, Singles
from f2rcli.models.flow import Flow
from f2rcli.noise.bound import BLOCK, STEP, Landing, enlarged, filtered, mean, smooth, whole
from f2rcli.noise.estimate import FULL, MOSTLY, NoiseMap
from f2rcli.noise.model import FramePlanes, NoiseModel

SIZE, STRIDE = 32, 16  # pixels per side of a patch, and between them
FLAT, FLAT_SHARE = 0.75, 0.25  # of a frame's blocks, and of its patches, the flattest
FEWEST_PATCHES, MOST_PATCHES = 4, 64  # of a frame
KERNEL = 11  # taps per side
REACH, SURE = 12, 6  # pixels of correlation that are believed at all, and in full
APART = 8  # pixels, up to REACH: noise shares nothing there but the mean that is taken out
WHITE = 0.05  # lag-1 correlation that counts as none
FEWEST = 600  # samples of a channel
COUNTS = 0.1  # correlation of frames, below which it is none
DOUBT = 9.0  # three standard errors of one of N places, times the root of N (five scenes: 7 to 12)
LEAST = 1e-3  # of the noise's variance, that frames differ by


@dataclass(frozen=True, slots=True)
class NoiseLaw:
    """Zero-mean Gaussian noise, level(signal) * mixing @ (kernel * white).

    `kernels` hold one filter per channel, None where the noise is white; `mixing` turns independent
    channels into correlated ones, None where they are independent. Both keep the variance, so the
    level alone says how strong the noise is. Frames are independent of each other.
    """

    level: NoiseModel
    kernels: Floats | None = None  # (C, K, K), K odd, of unit energy each
    mixing: Floats | None = None  # (C, C), rows of unit energy

    def sample(self, signal: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Fresh noise for a signal (B, C, H, W) in 0..1, unclipped; `generator` is the CPU's, so a
        seed gives the same noise on every device."""
        noise = torch.randn(signal.shape, generator=generator, dtype=signal.dtype)
        noise = noise.to(signal.device)
        if self.kernels is not None:
            noise = coloured(noise, self.kernels)
        if self.mixing is not None:
            noise = torch.einsum("dc,bchw->bdhw", noise.new_tensor(self.mixing), noise)
        return noise * self.level.level(signal)

    def values(self) -> dict[str, Any]:
        """The law as JSON values; `curve` at knots that are evenly spaced from black to white."""
        model, parts = self.level, {"kernels": self.kernels, "mixing": self.mixing}
        shown = replace(model, curve=model.at_knots(), dark=model.pedestal)
        known = {name: None if x is None else np.asarray(x).tolist() for name, x in parts.items()}
        return asdict(shown) | known


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The noise's correlation within a frame."""

    power: Floats  # (C, SIZE, SIZE), mean 1 each, zero frequency first
    rho_x: tuple[float, ...]  # lag-1 correlation along rows, per channel
    rho_y: tuple[float, ...]
    mixed: Floats  # (C, C): correlation between channels

    @property
    def white(self) -> bool:
        """Whether neighbouring pixels share no noise worth speaking of."""
        return max(abs(rho) for rho in self.rho_x + self.rho_y) < WHITE

    @property
    def channels_share(self) -> float:
        """Mean correlation between different channels; 0 for a single one."""
        count = len(self.mixed)
        apart = float(np.sum(self.mixed) - np.trace(self.mixed))
        return apart / (count * (count - 1)) if count > 1 else 0.0

    def kernels(self) -> Floats | None:
        """One unit-energy filter per channel that colours white noise so; None for white noise."""
        return None if self.white else np.stack([_kernel(power) for power in self.power])

    def mixing(self) -> Floats | None:
        """The lower triangle, rows of unit energy, that gives independent channels this
        correlation; None if there is none."""
        one = np.eye(len(self.mixed))
        if np.abs(self.mixed - one).max() < WHITE:
            return None
        root = np.linalg.cholesky(self.mixed + 1e-3 * one)
        return np.asarray(root / np.sqrt((root**2).sum(1, keepdims=True)), np.float64)


class Temporal(NamedTuple):
    """Correlation of adjacent frames' noise."""

    kept: float  # as temporal filters leave it, see `PlaneMap.kept`
    fixed: float | None  # at the same pixel: fixed pattern; None: too little that moves

    @property
    def independent(self) -> bool:
        """Whether both are small."""
        return max(self.kept, self.fixed or 0.0) < COUNTS


class Differences(NamedTuple):
    """How a frame differs from another, in units of the noise."""

    apart: Singles  # (C, H, W)
    flow: Singles  # (H, W, 2), into the other
    flat: Mask  # (H, W): smooth places away from black and white

    @classmethod
    def of(
        cls, frame: FramePlanes, other: FramePlanes, flow: Flow, law: NoiseModel
    ) -> "Differences":
        """frame, other: of channels on one grid."""
        centre = np.stack([whole(plane) for plane in frame.planes])
        signal = np.stack([smooth(plane) for plane in centre])
        level = law.level(torch.from_numpy(signal)[None])[0].numpy()
        landing = Landing.of(flow, other.luma.shape)
        moved = np.stack([landing.fetched(plane) for plane in other.planes])
        room = np.minimum(signal, 1 - signal).min(0) > 2 * level.max(0)
        flat = _flattest(signal.mean(0)) & room
        apart = (moved - centre) / np.maximum(level, 1e-4)  # keeps clean clips finite
        return cls(apart, whole(flow[0].numpy()), flat)

    def patches(self, seen: NoiseMap) -> Singles:
        """(P, C, SIZE, SIZE): the flattest of the difference where noise, the
        frame's `seen`, is most of it; of the variance of one frame."""
        trusted = np.min([one.share[FULL] for one in seen.planes], 0) > MOSTLY
        noisy = self.flat & enlarged(np.asarray(trusted), BLOCK)
        tiles, flat = (
            np.lib.stride_tricks.sliding_window_view(one, (SIZE, SIZE), (-2, -1))[
                ..., ::STRIDE, ::STRIDE, :, :
            ]
            for one in (self.apart, noisy)
        )
        share = flat.mean((2, 3)).ravel()
        wanted = min(max(FEWEST_PATCHES, int(FLAT_SHARE * len(share))), MOST_PATCHES)
        order = np.argsort(-share, kind="stable")[:wanted]
        every = tiles.reshape(len(tiles), -1, SIZE, SIZE).swapaxes(0, 1)
        return np.asarray(np.multiply(every[order], 0.5**0.5), np.float32)


def coloured(white: Tensor, kernels: Floats) -> Tensor:
    """White noise (B, C, H, W) through a filter for every channel, (C, K, K); what lies beyond one
    side is that of the other."""
    taps = white.new_tensor(np.asarray(kernels))[:, None]
    rim = taps.shape[-1] // 2
    grown = functional.pad(white, (rim,) * 4, "circular")
    return functional.conv2d(grown, taps, groups=len(taps))


def spectrum_of(patches: Singles) -> Spectrum | None:
    """The spectrum of patches (P, C, SIZE, SIZE); None for too few of them."""
    if len(patches) < FEWEST_PATCHES:
        return None
    power = _power(patches)
    lags = np.fft.ifft2(power).real
    x, y = (lag / np.maximum(lags[:, 0, 0], 1e-12) for lag in (lags[:, 0, 1], lags[:, 1, 0]))
    # Channels share errors of matches; high frequencies have none.
    fine = np.asarray(np.diff(np.diff(patches, axis=2), axis=3) / 2, np.float32)
    means = np.maximum(power.mean((1, 2)), 1e-12)
    return Spectrum(
        power / means[:, None, None], tuple(x.tolist()), tuple(y.tolist()), _mixed(fine)
    )


def fixed_pattern(second: Differences, third: Differences) -> float | None:
    """Correlation of the noise of frames at the same pixel, by a fine band alone, where little of
    the scene is that moves. Of four frames the second, beside the first, and the third, beside the
    fourth: no frame is in both, or grain that is new in every frame would seem shared."""
    past, future = (
        np.stack([filtered(plane, STEP, STEP) for plane in one.apart]) for one in (second, third)
    )
    # Slower, a fixed pattern cannot be told from the scene.
    moving = second.flat & third.flat & (np.abs(second.flow).max(2) > 1.5)
    fixed = _mean(past * future, moving)
    every = _mean((past**2 + future**2) / 4, moving)
    if fixed is None or every is None:
        return None
    found = min(fixed / max(every, LEAST), 1.0)
    return None if max(found, COUNTS) < DOUBT / moving.sum() ** 0.5 else found


def _flattest(luma: Singles) -> Mask:
    """The share of a picture with the least slopes in blocks."""
    steps = np.gradient(smooth(luma))
    power = mean(np.asarray(steps[0] ** 2 + steps[1] ** 2, np.float32), BLOCK)
    return enlarged(np.asarray(power <= np.quantile(power, FLAT)), BLOCK)


def _mean(product: Floats | Singles, chosen: Mask) -> float | None:
    values = product[:, chosen]
    if values.shape[1] < FEWEST:
        return None
    low, high = np.quantile(values[:, :: max(1, values.shape[1] // 2**18)], (0.002, 0.998))
    return float(values[(values >= low) & (values <= high)].mean())


def _power(patches: Singles) -> Floats:
    """Mean power spectrum, corrected for the window: (C, SIZE, SIZE)."""
    line = np.hanning(SIZE + 2)[1:-1]
    window = line[:, None] * line[None]
    means = (patches * window).sum((2, 3), keepdims=True) / window.sum()
    power = (np.abs(np.fft.fft2((patches - means) * window)) ** 2).mean(0)
    own = np.fft.ifft2(np.abs(np.fft.fft2(window)) ** 2).real
    lags = np.fft.ifft2(power).real / own
    lag = np.fft.fftfreq(SIZE, 1 / SIZE)
    distance = np.hypot(lag[:, None], lag[None])
    # The noise's own mean went as well: what lags share where noise has nothing else in common.
    apart = (distance >= APART) & (distance <= REACH)
    lags -= lags[:, apart].mean(1)[:, None, None].clip(None, 0)
    beyond = (distance - SURE).clip(0, REACH - SURE) / (REACH - SURE)  # Tukey
    return np.asarray(np.fft.fft2(lags * (0.5 + 0.5 * np.cos(np.pi * beyond))).real, np.float64)


def _mixed(patches: Singles) -> Floats:
    """Correlation between channels (C, C), one on the diagonal, positive semi-definite."""
    rows = patches.swapaxes(0, 1).reshape(patches.shape[1], -1).astype(np.float64)
    covariance = rows @ rows.T / rows.shape[1]
    scale = np.sqrt(np.diag(covariance))
    silent = scale < 1e-6  # channels that hold no noise at all
    scale[silent] = 1
    mixed = covariance / scale[:, None] / scale[None]
    mixed[np.diag_indices(len(mixed))] = 1
    return np.asarray(mixed)


def _kernel(power: Floats) -> Floats:
    """The zero-phase filter of unit energy with this power, cut to KERNEL taps per side."""
    taps = np.fft.fftshift(np.fft.ifft2(np.sqrt(np.maximum(power, 0.0))).real)
    middle, half = SIZE // 2, KERNEL // 2
    taps = taps[middle - half : middle + half + 1, middle - half : middle + half + 1]
    if not taps.any():  # a channel without noise
        taps[half, half] = 1
    return np.asarray(taps / np.sqrt((taps**2).sum()), np.float64)
