"""Noise: its strength at every brightness, in every plane of a file, and as methods are told; the
scales that it lies at; and what a file's range makes of it.

A law is a line in variance, or a curve where no line fits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli import yuv
from f2rcli.frames import Family, Floats, Frame, PlaneLayout, Singles
from f2rcli.models.filters import bands, inner_mean, resized
from f2rcli.models.flow import Luma
from f2rcli.models.planar import NEAR
from f2rcli.models.recorded import as_constant, constant
from f2rcli.planes import ROTATION, Layout
from f2rcli.units import noise_level, scale_of

# --- At which scales noise lies: the share of its variance in each of six bands -------------------

BAND_SIDES = (3, 7, 15, 31, 63)  # pixels, of the box filters that part the bands

Shares = tuple[float, ...]  # six


def six_bands(plane: Singles) -> list[Singles]:
    """A plane (H, W) in six bands that add up to it, finest first."""
    return [band[0].numpy() for band in bands(torch.from_numpy(plane)[None], BAND_SIDES)]


def shares_of(response: Singles) -> Shares:
    """The share of its energy that every band of a response to an impulse keeps."""
    energy = [float(np.square(band.astype(np.float64)).sum()) for band in six_bands(response)]
    return tuple(e / sum(energy) for e in energy)


@cache
def white_shares() -> Shares:
    """The same of white noise."""
    impulse = np.zeros((257, 257), np.float32)
    impulse[128, 128] = 1.0
    return shares_of(impulse)


def in_bands(white: Singles, shares: Shares) -> Singles:
    """White noise with its variance over the bands as given."""
    if shares == white_shares():
        return white
    gains = np.sqrt(np.array(shares) / white_shares()).astype(np.float32)
    parts = [gain * band for gain, band in zip(gains, six_bands(white), strict=True)]
    return np.sum(parts, axis=0, dtype=np.float32)


def measured_shares(flat: Singles) -> Shares:
    """The share of the noise's variance in every band, from what two adjacent frames differ by,
    (H, W), NaN outside flat places."""
    known = np.isfinite(flat)
    if known.mean() < 0.02:  # too little to believe its own bands
        return white_shares()
    centred = np.where(known, flat - np.float32(flat[known].mean()), 0).astype(np.float32)
    if not centred.any():
        return white_shares()
    energy = [float(np.square(band[known]).mean()) for band in six_bands(centred)]
    return tuple(one / sum(energy) for one in energy)


# --- The effect of a file's range on noise: values beyond black and white are cut off there ------


LEAST_SIGMA = 1e-6  # of white - black: noise below it is none
# Deviations from where on a density is 0: processors take ten times as long for less than float32.
FARTHEST = 10.0


def clipped_moments(signal: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """By how much clipping to 0..1 moves the mean of noise, and what of its variance it leaves.

    signal, sigma (B, C, H, W): the clean values and the noise's standard deviation -> the shift
    in the units of `signal`, and a factor from 0 to 1. Inside the range: 0 and 1.
    """
    sigma, signal = sigma.clamp_min(LEAST_SIGMA), signal.clamp(0, 1)
    mean, inside, above, ends = _clipped(signal, sigma)
    square = (
        (signal.square() + sigma.square()) * inside
        + sigma * (signal * ends[0] - (1 + signal) * ends[1])
        + above
    )
    variance = (square - mean.square()).clamp_min(0) / sigma.square()
    return mean - signal, variance.clamp_max(1)


def clipped_mean(signal: Tensor, sigma: Tensor) -> Tensor:
    """Mean of the clipped noisy values, as a file stores them, where the clean one is `signal`.

    Both (B, C, H, W); where sigma is 0, nothing is clipped and the mean is `signal`. The signal may
    lie beyond 0..1, so that an estimate there still has a gradient. A noisy target that was clipped
    is an unbiased target for this mean, not for the signal itself: a loss between the two needs no
    choice of samples by their noisy values, which would shift the mean of those chosen.
    """
    mean, *_ = _clipped(signal, sigma.clamp_min(LEAST_SIGMA))
    return torch.where(sigma > 0, mean, signal)


def _clipped(signal: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """The mean, the shares inside and above the range, and the densities at black and white."""
    low, high = -signal / sigma, (1 - signal) / sigma
    ends = _density(low), _density(high)
    below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
    inside = 1 - below - above
    return signal * inside + sigma * (ends[0] - ends[1]) + above, inside, above, ends


def _density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.clamp(-FARTHEST, FARTHEST).square()) * 0.3989422804014327


def undo_clipping(level: Floats, held: Floats) -> Floats:
    """Variance before the range clipped it, from means and variances that it left."""
    seen, left = torch.from_numpy(np.stack([level, held]))
    signal, variance = seen, left
    for _ in range(30):
        shift, share = clipped_moments(signal, variance.sqrt())
        signal, variance = seen - shift, left / share.clamp_min(0.2)
    return variance.numpy()


HARDLY_ANY = 0.3 / 255  # sigma below which there is nothing to take out
# Of the samples of a stack, the share that lies below a signal which is LOW noise deviations below
# the darkest light; surveyed stacks have that signal at SURVEYED (`samples/lanes.py`).
TAIL, LOW = 1e-3, 3.0
SURVEYED = 0.25

# --- Models --------------------------------------------------------------------------------------


# Of a codec's errors, told as noise beside them: what it left of a frame's own. Worth 0.15 dB of
# luma in MPEG-2 and JPEG, 0.1 of chroma, and nothing in H.264 (ten filmed clips, `lite`).
AMONG_ERRORS = 0.2
KNOTS = 17  # of a level curve, evenly spaced over 0..1

NoiseCurve = tuple[float, ...]  # standard deviations at the knots


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Noise with variance gain * x + read^2 in every channel, x in 0..1 (Foi et al., TIP 2008),
    or with the standard deviations of a curve, linear between its knots.

    Where a file's zero is not the sensor's black, x counts from `dark`, and is 0 below it.

    sigma is its root mean square over the picture it was measured on, in units of white - black.
    All of it means the noise before a file's range clipped it.
    """

    gain: tuple[float, ...]
    read: tuple[float, ...]
    sigma: tuple[float, ...]
    samples: int = 0  # how many pixels were looked at; 0 for a declared model
    curve: tuple[NoiseCurve, ...] | None = None  # per channel; None where the line is believed
    dark: tuple[float, ...] = ()  # per channel, signal that light adds to; empty for 0
    unsure: float = 0.0  # standard error of the gains, as a share of them; 0 where it is not known

    @classmethod
    def gaussian(cls, sigma: float, channels: int) -> "NoiseModel":
        """The same white noise in every channel."""
        same = (sigma,) * channels
        return cls((0.0,) * channels, same, same)

    @classmethod
    def of_curves(cls, curves: Floats, sigma: Floats, samples: int = 0) -> "NoiseModel":
        """The model with these standard deviations at the knots, (C, KNOTS), and these sigmas."""
        of_all = tuple(sigma.tolist())
        none = (0.0,) * len(of_all)
        return cls(none, of_all, of_all, samples, tuple(map(tuple, curves.tolist())))

    @property
    def sigma8(self) -> tuple[float, ...]:
        """sigma in 8-bit codes, as the command line speaks of it."""
        return tuple(255 * sigma for sigma in self.sigma)

    def scaled(self, factor: float) -> "NoiseModel":
        """The model of noise scaled by a factor."""
        gain, read, sigma = (
            tuple(one * factor**power for one in part)
            for part, power in ((self.gain, 2), (self.read, 1), (self.sigma, 1))
        )
        curve = self.curve and tuple(tuple(one * factor for one in line) for line in self.curve)
        return replace(self, gain=gain, read=read, sigma=sigma, curve=curve)

    @property
    def pedestal(self) -> tuple[float, ...]:
        """`dark` of every channel."""
        return self.dark or (0.0,) * len(self.gain)

    def at_knots(self) -> tuple[NoiseCurve, ...]:
        """The curve, or the line as one."""
        if self.curve is not None:
            return self.curve
        places = torch.linspace(0, 1, KNOTS, dtype=torch.float64).view(1, 1, 1, -1)
        return tuple(map(tuple, self.level(places)[0, :, 0].tolist()))

    def words(self, levels: tuple[float, float] | None) -> str:
        """It in words, of 255; of a stack in its own units, by its levels of black and white."""
        if levels is None:
            return noise_level(round(sum(self.sigma8) / len(self.sigma8), 1))
        return f"{self.in_codes(levels)}, {scale_of(levels)[2]}"

    def in_codes(self, levels: tuple[float, float]) -> str:
        """Standard deviations at up to three codes between the levels of black and white, the
        darkest light and two above, and the line of the variance if it is one, its slope with its
        standard error where that is known, as text; the mean of the channels."""
        if not any(self.sigma):  # of one value: its levels may lie beyond the file's codes
            return "sigma 0"
        black, span = levels[0], levels[1] - levels[0]
        digits = 2 - math.floor(math.log10(span))
        gain, read, dark = (sum(part) / len(part) for part in (self.gain, self.read, self.pedestal))
        low = SURVEYED
        if self.curve is None:  # LOW deviations above the darkest sample, in the stabilised space
            there = (gain * max(low - dark, 0) + read**2 + 0.375 * gain**2) ** 0.5
            low += LOW * there + (LOW / 2) ** 2 * gain
            low = min(low, dark if read and dark else 0.5)
        words = []
        for place in dict.fromkeys((low, 0.5, 0.75)):
            sigma = span * float(self.level(torch.full((1, 1, 1, 1), place)).mean())
            sigma = round(sigma, digits + 3)  # there may be none
            words.append(f"{sigma:.3g} at {round(black + place * span, max(digits, 0)):.5g}")
        curve = f"sigma {', '.join(words)}"
        if self.curve is not None or not gain:
            return curve
        offset = black + span * (dark - read**2 / gain)
        sign = "+" if offset < 0 else "-"
        error = f" +- {self.unsure * gain * span:.2g}" if self.unsure else ""
        return f"{curve}; variance {gain * span:.3g}{error} x (code {sign} {abs(offset):.4g})"

    def level(self, signal: Tensor) -> Tensor:
        """signal (B, C, H, W), or (B, 1, H, W) for every channel -> the noise's standard deviation
        at every sample, (B, C, H, W)."""
        if self.curve is None:
            line = (self.gain, self.read, self.pedestal)
            gain, read, dark = (as_constant(part, signal).view(1, -1, 1, 1) for part in line)
            return (gain * (signal.clamp(0, 1) - dark).clamp_min(0) + read**2).sqrt()
        curves = as_constant(sum(self.curve, ()), signal).view(-1, KNOTS)
        return interpolated(curves, signal.transpose(0, 1)).transpose(0, 1)

    def at(self, bright: NDArray[Any], channel: int = 0) -> NDArray[Any]:
        """The same of a channel that is as bright as an array of any shape."""
        signal = torch.from_numpy(bright.reshape(1, 1, 1, -1))
        return self.level(signal)[0, channel].numpy().reshape(bright.shape)


def interpolated(curves: Tensor, bright: Tensor) -> Tensor:
    """(C, ...): curves (C, N) from black to white, each where its own channel, or the only one, of
    `bright` is so bright."""
    steps = curves.shape[1] - 1
    share = bright.clamp(0, 1).mul_(steps)
    below = share.int().clamp_max_(steps - 1)
    share.sub_(below)
    starts = as_constant(tuple(range(0, curves.numel(), steps + 1)), below)
    places = (below + starts.view(-1, *[1] * (bright.dim() - 1))).flatten()
    low, high = (curves.flatten().index_select(0, place) for place in (places, places + 1))
    shape = len(curves), *bright.shape[1:]
    return torch.lerp(low.view(shape), high.view(shape), share)


def blend(old: NoiseModel, new: NoiseModel, share: Floats) -> NoiseModel:
    """The old law moved towards the new one by a share of the way (C,), in variance."""
    curve, sigma = (
        np.sqrt((1 - share) * np.square(one).T + share * np.square(other).T).T
        for one, other in ((old.at_knots(), new.at_knots()), (old.sigma, new.sigma))
    )
    return NoiseModel.of_curves(curve, sigma, old.samples + new.samples)


class FramePlanes(NamedTuple):
    """One frame as its planes, with the luma that all of them are matched by."""

    planes: list[Singles]  # (H, W), chroma on its own grid, in units of each plane
    luma: Luma  # (H, W), 0 = black, 1 = white
    chroma: bool = False  # whether all planes but the first are chroma, as bright as luma is there

    @classmethod
    def of(cls, planes: list[Singles], layout: PlaneLayout) -> "FramePlanes":
        """The planes of a file's frame."""
        if layout.family is Family.YUV:
            return cls(planes, np.clip(planes[0], 0, 1), chroma=True)
        return cls.of_channels(planes)

    @classmethod
    def of_channels(cls, planes: list[Singles]) -> "FramePlanes":
        """Planes from channels on one grid; luma is their mean."""
        return cls(planes, np.clip(np.mean(planes, axis=0, dtype=np.float32), 0, 1))


Grid = tuple[tuple[float, ...], ...]  # rows from above


@constant(16)  # of the shots that are near
def factors(places: tuple[Grid, ...], device: torch.device) -> Tensor:
    """Grids of planes as a tensor (P, R, C)."""
    return torch.tensor(places, device=device)


@dataclass(frozen=True, slots=True)
class PlaneNoise:
    """Noise of every colour plane, in units of the plane: white - black, and for chroma the
    distance between its extremes. A mosaic counts as four planes, R, G, G, B.

    model: a channel is a plane; brightness is that of luma, for chroma planes as well.
    shares: per plane, the share of its variance in each of six bands; sums to one. The bands are
    what successive box filters of 3, 7, 15, 31 and 63 pixels part, the finest first.
    clipped: whether black and white cut the noise off (never where codes beyond them were seen).
    gamut: whether those of red, green and blue did, and not of luma alone.
    places: per plane, what its standard deviation is times the law's, evenly over the picture; none
    where it is the same everywhere.
    """

    model: NoiseModel
    shares: tuple[Shares, ...]
    clipped: bool = True
    places: tuple[Grid, ...] = ()
    colours: NoiseModel | None = None  # of R, G and B, where theirs was stated and not the planes'
    errors: tuple[float, ...] = ()  # per plane, the share of it that is a codec's errors; none: 0
    kept: float = 1.0  # the most of the planes', see `PlaneMap.kept`
    gamut: bool = True

    @classmethod
    def of(cls, model: NoiseModel, *, clipped: bool) -> "PlaneNoise":
        """White noise in every plane."""
        return cls(model, (white_shares(),) * len(model.sigma), clipped)

    @classmethod
    def even(cls, sigma: float, layout: PlaneLayout, *, clipped: bool) -> "PlaneNoise":
        """White noise, equal and independent by colour, in a file's planes; chroma averaged."""
        count = 4 if layout.family is Family.BAYER else layout.colour_planes
        colours = NoiseModel.gaussian(sigma, count)
        if layout.family is not Family.YUV:
            return cls.of(colours, clipped=clipped)
        weights = np.square(np.linalg.inv(yuv.matrices(layout.matrix)[0]).astype(np.float64))
        weights[1:] *= yuv.sampling_gain(layout)
        found = cls.of(_mixed(colours, weights), clipped=clipped)
        return replace(found, colours=colours)

    def picture(self, layout: PlaneLayout, channels: int) -> NoiseModel:
        """The noise of a frame's picture as networks for R, G, B (or `channels` of gray) see it."""
        if self.colours is not None:
            return self.colours
        if layout.family is not Family.YUV:
            as_many = channels == len(self.model.sigma)
            return self.model if as_many else side_by_side([self.model] * channels)
        weights = np.square(yuv.matrices(layout.matrix)[0].astype(np.float64))
        weights[:, 1:] *= yuv.stretching_gain(layout)
        return _mixed(self.model, weights)

    def scaled(self, factor: float) -> "PlaneNoise":
        """The noise, `factor` times stronger."""
        colours = self.colours and self.colours.scaled(factor)
        return replace(self, model=self.model.scaled(factor), colours=colours)

    def everywhere(self) -> "PlaneNoise":
        """The same at every place."""
        power = [float(np.square(grid).mean()) for grid in self.places]
        curve = np.array(self.model.at_knots()) * np.sqrt(power)[:, None]
        model = NoiseModel.of_curves(curve, np.array(self.model.sigma), self.model.samples)
        return replace(self, model=model, places=())

    def values(self) -> list[dict[str, Any]]:
        """One entry a plane, as JSON values: sigma, and the standard deviations at the knots of
        its curve, in 8-bit codes of the plane's own unit; shares of the six bands."""
        return [
            {"sigma8": sigma8, "curve8": [255 * sigma for sigma in curve], "shares": list(shares)}
            for sigma8, curve, shares in zip(
                self.model.sigma8, self.model.at_knots(), self.shares, strict=True
            )
        ]

    def maps(self, layout: Layout, picture: Tensor) -> Tensor:
        """Standard deviations where a packed picture (1, C, h, w) is as bright as this: of noise in
        every plane, then of a codec's errors, (1, 2 P, h, w)."""
        means = torch.stack([picture[:, part].mean(1) for part in layout.slices], 1)
        bright = inner_mean(means, NEAR)
        rotation = as_constant(tuple(ROTATION.flatten().tolist()), means).view(3, 3)
        if layout.rotated:
            bright = torch.einsum("pc,bphw->bchw", rotation, bright)
        elif layout.name != "mosaic":  # whose colours are each as bright as themselves
            bright = bright[:, :1]
        found = self.model.level(bright)
        if self.places:
            found = found * resized(factors(self.places, found.device), found.shape[-2:])
        if layout.rotated:  # the noise of R, G and B is taken to be independent
            found = torch.einsum("pc,bchw->bphw", rotation.square(), found.square()).sqrt()
        if not self.errors:
            return torch.cat([found, torch.zeros_like(found)], 1)
        share = as_constant(self.errors, found).view(1, -1, 1, 1)
        noise = (1 - share + share * AMONG_ERRORS**2).sqrt()
        return torch.cat([found * noise, found * share.sqrt()], 1)


def picture_of(frame: Frame) -> FramePlanes:
    """A frame's planes in their own units, and its luma."""
    return FramePlanes.of(yuv.planes_of(frame), frame.layout)


def side_by_side(models: Sequence[NoiseModel]) -> NoiseModel:
    """Models of one channel each as one of several: lines if all of them are, else curves."""
    dark = tuple(model.pedestal[0] for model in models)
    gain, read, sigma = (
        tuple(getattr(model, part)[0] for model in models) for part in ("gain", "read", "sigma")
    )
    if any(model.curve is not None for model in models):
        curves = np.array([model.at_knots()[0] for model in models])
        return NoiseModel.of_curves(curves, np.array(sigma), models[0].samples)
    unsure = max(model.unsure for model in models)
    return NoiseModel(gain, read, sigma, models[0].samples, None, dark if any(dark) else (), unsure)


def _mixed(model: NoiseModel, weights: Floats) -> NoiseModel:
    """The channels that independent ones give, by the weights (D, C) of their variances."""
    curves, sigma = (np.sqrt(weights @ np.square(part)) for part in (model.at_knots(), model.sigma))
    return NoiseModel.of_curves(curves, sigma, model.samples)
