"""The noise's spatial correlation and what its channels share, from flat, well-matched patches.

Cross-spectra of two residuals y - a1 and y - a2: the noise of the anchors, and what
it takes from the residuals' correlation, is not in them, because a1 and a2 share none of it.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.frames import Floats
from f2rcli.noise.law import Mixing, NoiseKernel
from f2rcli.noise.model import NoiseModel

SIZE = 32  # pixels per side of a patch
STRIDE = 16
MOST_PATCHES = 64  # per frame
FLAT_SHARE = 0.25  # of a frame's patches, the flattest
FEWEST_PATCHES = 4
KERNEL = 11  # taps per side
REACH = 12  # pixels of correlation that are believed at all
SURE = 6  # and those that are believed in full
APART = 8  # pixels, up to REACH: noise shares nothing there but the mean that is taken out
HIGH = 0.25  # cycles per pixel: errors of the anchors lie below
WHITE = 0.05  # lag-1 correlation that counts as none


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

    def whitened(self) -> "Spectrum":
        """The spectrum of white noise in the same channels."""
        none = (0.0,) * len(self.rho_x)
        return replace(self, power=np.ones_like(self.power), rho_x=none, rho_y=none)

    def kernels(self) -> tuple[NoiseKernel, ...] | None:
        """One unit-energy filter per channel that colours white noise so; None for white noise."""
        return None if self.white else tuple(_kernel(power) for power in self.power)

    def mixing(self) -> Mixing | None:
        """The matrix that gives independent channels this correlation; None if there is none."""
        apart = self.mixed - np.eye(len(self.mixed))
        if np.abs(apart).max() < WHITE:
            return None
        values, vectors = np.linalg.eigh(self.mixed)
        root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
        root /= np.sqrt((root**2).sum(1, keepdims=True))
        return tuple(tuple(float(v) for v in row) for row in root)


@dataclass
class SpectrumSamples:
    """Flat patches of residuals from several frames, in units of the noise's level there."""

    first: list[Tensor] = field(default_factory=list)  # (P, C, SIZE, SIZE)
    second: list[Tensor] = field(default_factory=list)

    def add(
        self, noisy: Tensor, first: Tensor, second: Tensor, rank: Tensor, model: NoiseModel
    ) -> None:
        """Add a frame (1, C, H, W), two anchors of it, and how rough every place is (1, 1, H, W).

        Patches are chosen by the anchors and by `rank`, both blind to the frame's own noise.
        """
        if min(noisy.shape[-2:]) < SIZE:
            return
        mean = (first + second) / 2
        level = model.level(mean).clamp_min(1e-6)
        room = torch.minimum(mean, 1 - mean).amin(1, keepdim=True) > 2 * level.amax(1, keepdim=True)
        inside = functional.avg_pool2d(room.float(), SIZE, STRIDE).flatten()
        rough = functional.avg_pool2d(rank, SIZE, STRIDE).flatten()
        wanted = max(FEWEST_PATCHES, int(FLAT_SHARE * len(rough)))
        order = (rough + 10 * (inside < 0.98)).argsort()[: min(wanted, MOST_PATCHES)]
        for store, anchor in ((self.first, first), (self.second, second)):
            store.append(_patches((noisy - anchor) / level)[order])

    @property
    def count(self) -> int:
        return sum(len(part) for part in self.first)

    def spectrum(self, *, white: bool) -> Spectrum | None:
        """The spectrum; None for pictures too small to hold patches.

        `white`: the noise is known to be white from the middle frequencies on, so what there is
        below them are errors of the anchors; only high frequencies are asked then.
        """
        if self.count < FEWEST_PATCHES:
            return None
        first, second = torch.cat(self.first), torch.cat(self.second)
        power = _cross_spectrum(first, second)
        lags = [_high_lags(p) if white else _lags(p) for p in power]
        if white:
            first, second = (_fine(part) for part in (first, second))
        rows = [max(float(p.mean()), 1e-12) for p in power]
        return Spectrum(
            power / np.array(rows)[:, None, None],
            tuple(x for x, _ in lags),
            tuple(y for _, y in lags),
            _mixed(first, second),
        )


def _patches(picture: Tensor) -> Tensor:
    """(1, C, H, W) -> (P, C, SIZE, SIZE), in the order that pooling has them."""
    tiles = picture[0].unfold(1, SIZE, STRIDE).unfold(2, SIZE, STRIDE)
    return tiles.flatten(1, 2).transpose(0, 1).float().cpu()


def _fine(patches: Tensor) -> Tensor:
    """The finest diagonal detail, of unit energy."""
    diagonal = patches[..., 1:, 1:] - patches[..., :-1, 1:]
    return (diagonal - patches[..., 1:, :-1] + patches[..., :-1, :-1]) / 2


def _hann() -> Tensor:
    line = torch.hann_window(SIZE + 1)[1:].double()
    return line[:, None] * line[None]


def _cross_spectrum(first: Tensor, second: Tensor) -> Floats:
    """Mean Re(F1 conj F2) over patches, corrected for the window: (C, SIZE, SIZE)."""
    window = _hann()
    one, two = (torch.fft.fft2(_centred(part.double()) * window) for part in (first, second))
    power = (one * two.conj()).real.mean(0)
    lags = torch.fft.ifft2(power).real / _window_lags()
    return np.asarray(torch.fft.fft2(_uncentred(lags) * _believed()).real)


def _centred(patches: Tensor) -> Tensor:
    """Patches without their mean under the window: much of it is an error of the anchors."""
    window = _hann()
    means: Tensor = (patches * window).sum((2, 3), keepdim=True) / window.sum()
    return patches - means


def _uncentred(lags: Tensor) -> Tensor:
    """With the noise's own mean put back, which went as well: the same from every lag, so it
    shows where noise that is this far apart shares nothing else."""
    distance = _distance()
    apart = (distance >= APART) & (distance <= REACH)
    return lags - lags[:, apart].mean(1)[:, None, None].clamp_max(0)


def _window_lags() -> Tensor:
    """The window's own circular autocorrelation, which every periodogram's lags are times."""
    lags: Tensor = torch.fft.ifft2(torch.fft.fft2(_hann()).abs() ** 2).real
    return lags


def _believed() -> Tensor:
    """Weights of lags: one up to SURE, falling from there, nothing beyond REACH (Tukey)."""
    beyond = (_distance() - SURE).clamp(0, REACH - SURE) / (REACH - SURE)
    return 0.5 + 0.5 * torch.cos(torch.pi * beyond)


def _distance() -> Tensor:
    lag = torch.fft.fftfreq(SIZE, 1 / SIZE).double()
    distance: Tensor = (lag[:, None] ** 2 + lag[None] ** 2).sqrt()
    return distance


def _lags(power: Floats) -> tuple[float, float]:
    """Lag-1 correlations (x, y) from one channel's spectrum."""
    lags = np.fft.ifft2(power).real
    scale = max(float(lags[0, 0]), 1e-12)
    return float(lags[0, 1] / scale), float(lags[1, 0] / scale)


def _high_lags(power: Floats) -> tuple[float, float]:
    """The same from high frequencies alone: S = a (1 + 2 rx cos 2 pi fx + 2 ry cos 2 pi fy)."""
    line = np.fft.fftfreq(SIZE)
    fy, fx = np.meshgrid(line, line, indexing="ij")
    high = np.hypot(fx, fy) > HIGH
    design = [
        np.ones(high.sum()),
        2 * np.cos(2 * np.pi * fx[high]),
        2 * np.cos(2 * np.pi * fy[high]),
    ]
    base, x, y = np.linalg.lstsq(np.stack(design, 1), power[high], rcond=None)[0]
    return (float(x / base), float(y / base)) if base > 0 else (0.0, 0.0)


def _mixed(first: Tensor, second: Tensor) -> Floats:
    """Correlation between channels (C, C), one on the diagonal, positive semi-definite."""
    one, two = (part.double().transpose(0, 1).flatten(1) for part in (first, second))
    covariance = (one @ two.T + two @ one.T).numpy() / (2 * one.shape[1])
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    mixed = np.clip(covariance / scale[:, None] / scale[None], -1, 1)
    values, vectors = np.linalg.eigh((mixed + mixed.T) / 2)
    mixed = vectors * np.maximum(values, 0.0) @ vectors.T
    silent = np.diag(np.diag(mixed) < 1e-6)  # channels that hold no noise at all
    scale = np.sqrt(np.diag(mixed + silent))
    return np.asarray((mixed + silent) / scale[:, None] / scale[None])


def _kernel(power: Floats) -> NoiseKernel:
    """The zero-phase filter of unit energy with this power, cut to KERNEL taps per side."""
    taps = np.fft.fftshift(np.fft.ifft2(np.sqrt(np.maximum(power, 0.0))).real)
    middle, half = SIZE // 2, KERNEL // 2
    taps = taps[middle - half : middle + half + 1, middle - half : middle + half + 1]
    taps = taps / np.sqrt((taps**2).sum())
    return tuple(tuple(float(tap) for tap in row) for row in taps)
