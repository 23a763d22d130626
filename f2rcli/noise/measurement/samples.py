"""Evidence of noise: products of two residuals that share nothing but the noise itself.

The two-anchor estimate (three-cornered hat): a1 and a2 are estimates of a frame y from disjoint
neighbours, so E[(y - a1)(y - a2)] is the noise's variance plus the covariance of the anchors'
errors. Those errors live at edges and in texture, at low and middle spatial frequencies; hence
the product is taken at full bandwidth and in two high-pass bands, and in flat places only.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.frames import Singles
from f2rcli.noise.measurement.detail import in_bands, painted, roughness
from f2rcli.noise.measurement.fitting import (
    ENOUGH,
    SMALLEST_BIN,
    Levels,
    bins_of,
    fit_model,
    ramp,
    trimmed_mean,
)
from f2rcli.noise.measurement.highpass import FINE, FINEST, FULL
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.photons.counting import counts_events
from f2rcli.order import median, quantile, quantiles

FLATTEST = 0.5  # of a frame is kept at all; what is used of it is chosen at every brightness
MOST_SAMPLES = 400_000  # per frame; larger pictures are thinned
WHITE_TO_THE_END = 0.94, 0.96  # finest band over fine band: above, the noise is white up there
EXCESS_SHARE = 0.05  # of the fine band's variance: full bandwidth may hold so much more,
EXCESS_CODES = 4.0 / 255  # or so much, as errors of the anchors or grain of the source below it
EXCESS_FALLS = 0.5  # errors of the anchors fall off like this towards flatter places; noise stays
STEPS = (0.1, 0.2, 0.35, 0.5, 1.0)  # of roughness, where errors of the anchors are looked for
FEWEST = 4_000  # samples that the shape of the spectrum is read from
PROCESSED, COPIED = (0.27, 0.33), 0.999  # correlation of channels: between is what was Y'CbCr
AT_LIMIT = 0.85, 1.15  # of the excess that is allowed: between is neither white nor coloured
BEYOND = 5e-4  # of all samples
FARTHEST = -5.0  # standard deviations: below it, noise hardly ever lies
CUT_SHARE = 0.5  # of the samples beyond black and white that free noise would leave
INSIDE = 1.5  # times a first guess of sigma that brightness keeps from the rails

Points = tuple[tuple[float, float], ...]


class Bands(NamedTuple):
    """Mean products in three bandwidths, each 1 for white noise of unit variance."""

    full: float
    fine: float
    finest: float

    @property
    def excess(self) -> float:
        """Variance that full bandwidth has and the fine band has not."""
        return self.full - self.fine


@dataclass
class NoiseSamples:
    """Evidence from several frames: brightness, roughness and unbiased products per channel."""

    level: list[list[Singles]]  # per channel, per frame
    roughness: list[Singles] = field(default_factory=list)  # per frame: rank, 0 = flattest
    product: list[list[tuple[Singles, Singles, Singles]]] = field(default_factory=list)
    picture: list[list[Singles]] = field(default_factory=list)  # brightness of the whole picture
    gray: list[Singles] = field(default_factory=list)  # fine products of the channels' mean
    clipped: bool = True  # whether the range cuts noise off: float files and footroom need not
    counted: bool = False  # whether samples are single events, whose noise ends at 0 by itself
    dark: bool = False  # whether light may begin above 0
    # per frame: the shares of samples beyond black and white that there are, and that noise which
    # nothing had cut off would leave
    beyond: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def empty(cls, channels: int, *, dark: bool = False) -> "NoiseSamples":
        """`dark`: of pictures from a file that does not say where black is."""
        several: list[list[list[Singles]]] = [[[] for _ in range(channels)] for _ in range(2)]
        return cls(several[0], [], [[] for _ in range(channels)], several[1], dark=dark)

    def add(
        self, noisy: Tensor, first: Tensor, second: Tensor, bright: Tensor | None = None
    ) -> None:
        """Add a frame (1, C, H, W) and two anchors of it that share no noise with it or each other.

        bright: of the same shape, what counts as brightness, 0..1, of a plane that is not a picture
        by itself; None: the anchors themselves.
        Flat places where both anchors agree are chosen by the anchors alone, which know nothing
        of y's noise: choosing does not bias the variance.
        """
        if min(noisy.shape[-2:]) < 3:
            return
        mean, rank = (first + second) / 2, roughness(first, second)
        mean = mean if bright is None else bright
        residuals = [in_bands(noisy - anchor) for anchor in (first, second)]
        products = [one * two for one, two in zip(*residuals, strict=True)]
        codes = noisy[0].float().cpu().numpy()
        self.counted |= counts_events(codes) or all(map(counts_events, codes))
        room = 1 - mean if self.counted else torch.minimum(mean, 1 - mean)
        kept = _chosen(noisy, room, rank, products[FULL])
        self.roughness.append(_inner(rank)[kept])
        self.clipped = self.clipped and not self.counted and _clipped(noisy, products[FULL])
        if bright is None:
            self.beyond.append(_beyond(noisy, mean, products[FULL]))
        if noisy.shape[1] > 1:
            grays = [residual[FINE].mean(1) for residual in residuals]
            self.gray.append(_flat(grays[0] * grays[1])[kept])
        for channel in range(noisy.shape[1]):
            self.level[channel].append(_inner(mean[0, channel])[kept])
            self.picture[channel].append(mean[0, channel, ::4, ::4].flatten().cpu().numpy())
            self.product[channel].append(
                tuple(_flat(band[0, channel])[kept] for band in products)  # type: ignore[arg-type]  # three bands
            )

    @property
    def cut_off(self) -> bool:
        """Whether black and white cut the noise off before the file was made, as far as pictures
        near them show: coding and chroma's coarser grid may carry some of it beyond again."""
        if self.counted:
            return False
        found, free = np.sum(self.beyond, axis=0) if self.beyond else (0.0, 0.0)
        return bool(found < CUT_SHARE * free or found < BEYOND * len(self.beyond))

    @property
    def count(self) -> int:
        """Samples of one channel."""
        return sum(len(part) for part in self.roughness)

    def bands(self, rougher: float) -> Bands:
        """Mean products of all channels in three bandwidths, in the flattest share of places."""
        rough = np.concatenate(self.roughness)
        chosen = rough <= quantiles(rough, (rougher,))[0]
        return Bands(*(self._mean(band, chosen) for band in (FULL, FINE, FINEST)))

    def excesses(self, steps: tuple[float, ...]) -> list[float]:
        """`Bands.excess` between every two of these shares of the places."""
        rough = np.concatenate(self.roughness)
        parts = [
            (rough >= low) & (rough <= high) for low, high in pairwise(quantiles(rough, steps))
        ]
        return [self._mean(FULL, part) - self._mean(FINE, part) for part in parts]

    def _mean(self, band: int, chosen: NDArray[np.bool_]) -> float:
        """Of the products of a bandwidth."""
        products = (np.concatenate([frame[band] for frame in frames]) for frames in self.product)
        return float(np.mean([trimmed_mean(product[chosen]) for product in products]))

    def shape(self) -> float:
        """Variance at full bandwidth over that in the fine band: 1 for white noise.

        Read in the flattest places. Noise that is white from the fine band upwards is taken to be
        white altogether if the rest is small or grows with roughness as errors of the anchors do.
        Where channels share noise the picture was luma and chroma once, and is taken as it is.
        """
        share = min(1.0, max(0.1, FEWEST / self.count))
        flat = self.bands(share)
        if flat.fine <= 0:
            return 1.0
        white, whole = self._whiteness(flat), max(flat.full / flat.fine, 0.0)
        return float(whole ** (1 - white))

    def _whiteness(self, flat: Bands) -> float:
        """0 where the noise is as coloured as it looks in the flattest places, 1 where it is
        white; in between close to a limit, so that no rounding decides of a few percent."""
        alike = ramp(flat.finest / flat.fine, *WHITE_TO_THE_END)
        if not alike:
            return 0.0
        allowed = EXCESS_SHARE * flat.fine
        shared = self.shared(flat.fine)
        free = 1.0 if shared >= COPIED else 1 - ramp(shared, *PROCESSED)
        if free:
            rougher = max(self.excesses(STEPS))
            more = max(allowed, EXCESS_CODES**2, EXCESS_FALLS * rougher)
            allowed += free * (more - allowed)
        return alike * (1 - ramp(flat.excess / allowed, *AT_LIMIT))

    def shared(self, fine: float) -> float:
        """Correlation between channels, from the variance of one and that of their mean."""
        channels = len(self.level)
        if channels == 1:
            return 1.0
        together = trimmed_mean(np.concatenate(self.gray)) / max(fine, 1e-12)
        return (channels * together - 1) / (channels - 1)

    def model(self) -> NoiseModel | None:
        """The noise model that fits best; None where there is too little evidence."""
        if self.count < SMALLEST_BIN:
            return None
        shape = self.shape()
        return fit_model(
            self._channels(shape), shape, clipped=self.clipped, dark=self.dark, counted=self.counted
        )

    def points(self) -> tuple[Points, ...]:
        """Per channel, brightness and the noise's standard deviation there, both in 0..1."""
        if self.count < SMALLEST_BIN:
            return ()
        binned = [
            bins_of(channel, clipped=self.clipped, counted=self.counted)
            for channel in self._channels(self.shape())
        ]
        return tuple(
            tuple(zip(b.level.tolist(), np.sqrt(b.variance).tolist(), strict=True)) for b in binned
        )

    def _channels(self, shape: float) -> list[Levels]:
        rough = np.concatenate(self.roughness)
        return [
            Levels(
                np.concatenate(level),
                np.float32(shape) * bands[FINE],
                bands[FULL],
                rough,
                np.concatenate(picture),
            )
            for level, bands, picture in zip(
                self.level, map(_joined, self.product), self.picture, strict=True
            )
        ]


def _chosen(noisy: Tensor, room: Tensor, rank: Tensor, product: Tensor) -> NDArray[np.intp]:
    """Indices of the flatter places with room (1, C, H, W) to the rails, if enough have some."""
    flat, level = _inner(rank), room.amin(1)
    guess = max(trimmed_mean(_flat(product.mean(1))[flat <= median(flat)]), 0.0) ** 0.5
    usable = (_inner(level) > min(INSIDE * guess, 0.25)) & ~_inner(painted(noisy)).astype(bool)
    if usable.sum() < max(SMALLEST_BIN, 0.02 * usable.size):
        usable = np.ones_like(usable)
    share = min(1.0, max(FLATTEST, ENOUGH / usable.sum()))
    kept = np.flatnonzero(usable & (flat <= quantile(flat[usable], share)))
    return kept[:: max(1, len(kept) // MOST_SAMPLES)]


def _clipped(noisy: Tensor, product: Tensor) -> bool:
    """Whether hardly a sample lies beyond black and white, by half a standard deviation."""
    return _share_beyond(noisy, float(product.mean().clamp_min(0)) ** 0.5 / 2) < BEYOND


def _beyond(noisy: Tensor, mean: Tensor, product: Tensor) -> tuple[float, float]:
    """The shares of samples half a standard deviation beyond black and white: those there are, and
    those expected of noise around a mean (1, C, H, W) that nothing cuts off."""
    sigma = float(product.mean().clamp_min(1e-12)) ** 0.5
    found = _share_beyond(noisy, sigma / 2)
    near = (-FARTHEST - 0.5) * sigma  # farther from black or white, hardly any noise lies beyond
    ends = mean[mean < near], 1 - mean[mean > 1 - near]
    free = sum(float(torch.special.ndtr(-end / sigma - 0.5).sum()) for end in ends)
    return found, free / mean.numel()


def _share_beyond(noisy: Tensor, margin: float) -> float:
    """The share of samples beyond black and white by more than a margin."""
    return int(((noisy < -margin) | (noisy > 1 + margin)).count_nonzero()) / noisy.numel()


def _joined(frames: list[tuple[Singles, Singles, Singles]]) -> list[Singles]:
    return [np.concatenate(band) for band in zip(*frames, strict=True)]


def _inner(plane: Tensor) -> Singles:
    """A plane (..., H, W) without its border of one pixel, flat."""
    return _flat(plane.squeeze()[1:-1, 1:-1])


def _flat(plane: Tensor) -> Singles:
    values: Singles = plane.reshape(-1).float().cpu().numpy()
    return values
