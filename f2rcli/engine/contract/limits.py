"""The residual contract: what is taken out must look like the measured noise, or it goes back.

Whatever a method returns, what it removed is noise plus an error that does not depend on it. In
every band, at every place and brightness, the noise's power is known from the measured law; where
more was removed, the best linear estimate of the noise in it is that much smaller (Wiener, 1949).
So no place, scale or brightness loses more than the noise that was measured there (DESIGN.md D32).
"""

from collections.abc import Sequence
from operator import mul
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.noise.bands import BAND_SIDES, bands
from f2rcli.order import quantile

Real = NDArray[np.float32]  # (H, W), in units of a plane
F = TypeVar("F", float, Real)

WINDOWS = (15, 15, 25, 31, 41, 41)  # pixels, over which the power of a band is counted
# Planes of at least so many pixels on either side are judged on coarser grids, by box filters and
# windows of (nearly) the same width: their two finest bands on a grid of half the size, the next
# two are parted there, too, the two coarsest on a grid of a quarter.
LARGE, FINE = 160, 2
FINE_WINDOWS = (7, 7)
HALF_SIDES, HALF_WINDOWS = (7, 15), (13, 15)
QUARTER_SIDES, QUARTER_WINDOWS = (15,), (11, 11)
# Of white noise's power, in the coarse bands of these grids.
GAINS = (0.8378, 1.1497, 1.0478, 1.0981)
WIDE = 31  # pixels, of a second window for what was averaged over time
# Times the noise's power in the quietest wide window: below is noise, beyond is detail for sure.
# The least of many windows of noise alone has 0.93 times the noise's power.
EVIDENT = 0.95, 1.0
QUIETEST = 0.1  # of a picture's places: if even they hold more than noise, the law says too little
TOLERANCE = 1.2  # times the noise's power before anything goes back
# The same of the bands where black and white cut noise off: its law is known less well there, and
# networks were trained for it. Of white noise alone fewer than one window in 200 has so much power
# (one in 17 in the coarsest band), but 3 to 30 of 100 have more than 1.2 times their mean.
CLIPPED_TOLERANCES = (1.4, 1.7, 2.2, 3.0, 3.8, 3.8)
SMALL = 5  # pixels: within so few no more goes than
SMALL_TOLERANCE = 4.0  # times the noise's power
MOST = 4.0  # standard deviations: more at one sample is not noise
# The same where black or white cut noise off: of the tail on the other side, which is still whole,
# four standard deviations are seven of the remainder of one (0.58 at black and white themselves).
CLIPPED_MOST = 7.0
LEAST = 1e-14  # power below which there is nothing to compare
CHANGE_SIDE = 9  # pixels, over which differences of frames are counted


def held(
    removed: Real,
    variance: Real,
    shares: Sequence[float],
    lasting: Real | None = None,
    clipped: Real | None = None,
) -> Real:
    """The part of `removed` (noisy - restored, one plane) that may stay removed.

    variance: of the noise at every sample; shares: the part of it that every band holds, finest
    first, see `bands`; lasting: of a mean over time, the share (H, W) of what shows only in a wide
    window that goes back, see `_lasting_share`; clipped: 1 where black or white cut the noise off,
    0 elsewhere, and between at the border; None: nowhere.
    """
    if not variance.any():
        return np.zeros_like(removed)
    kept = _kept(removed, _Held(variance, lasting, clipped), shares)
    allowed = box(variance, SMALL)
    allowed *= np.float32(SMALL_TOLERANCE)
    allowed /= np.maximum(box(np.square(kept), SMALL), LEAST)
    kept *= np.sqrt(np.clip(allowed, 0, 1, out=allowed), out=allowed)
    most = np.sqrt(variance)
    most *= np.float32(MOST)
    if clipped is not None:
        most *= 1 + np.float32(CLIPPED_MOST / MOST - 1) * clipped
    np.minimum(kept, most, out=kept)
    return np.maximum(kept, np.negative(most, out=most), out=kept)


class _Held(NamedTuple):
    """The limits of a plane, on one grid; see `held`."""

    variance: Real
    lasting: Real | None
    clipped: Real | None

    def halved(self) -> "_Held":
        return _Held(*(None if plane is None else on_half(plane) for plane in self))  # type: ignore[arg-type]  # a variance stays one


def _kept(removed: Real, to: _Held, shares: Sequence[float]) -> Real:
    """The sum of what may stay of every band. Of large planes, bands are judged on coarser grids:
    their power changes slowly from one sample to the next, and what goes back of coarse ones is as
    smooth as they are."""
    if min(removed.shape) < LARGE:
        return _of_bands(bands(removed), to, shares, WINDOWS, CLIPPED_TOLERANCES, WIDE)
    half, there = to.halved(), [*shares[:FINE], *map(mul, shares[FINE:], GAINS)]
    loose, middle = CLIPPED_TOLERANCES, FINE + len(HALF_SIDES)
    *fine, low = bands(removed, BAND_SIDES[:FINE])
    kept = _of_bands(fine, half, there[:FINE], FINE_WINDOWS, loose[:FINE], WIDE // 2)
    small = on_half(low)
    *parts, lower = bands(small, HALF_SIDES)
    stays = _of_bands(parts, half, there[FINE:middle], HALF_WINDOWS, loose[FINE:middle], WIDE // 2)
    tiny = on_half(lower)
    rest = tiny - _of_bands(
        bands(tiny, QUARTER_SIDES), half.halved(), there[middle:], QUARTER_WINDOWS, loose[middle:],
        WIDE // 4,
    )  # fmt: skip
    back = small - stays - lower + sized(rest, small.shape)
    kept += low
    kept -= sized(back, low.shape)
    return kept


def on_half(plane: Real) -> Real:
    """Means over cells of 2x2 samples."""
    size = tuple((length + 1) // 2 for length in plane.shape[::-1])
    small: Real = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # float32 stays
    return small


def sized(values: Real, shape: tuple[int, ...]) -> Real:
    """A plane on the grid of another: means where that is coarser, else linear between samples."""
    if values.shape == shape:
        return values
    way = cv2.INTER_AREA if shape < values.shape else cv2.INTER_LINEAR
    new: Real = cv2.resize(values, shape[::-1], interpolation=way)  # type: ignore[assignment]  # float32 stays
    return new


def _of_bands(
    parts: list[Real],
    to: _Held,
    shares: Sequence[float],
    windows: Sequence[int],
    tolerances: Sequence[float],
    wide: int,
) -> Real:
    """The sum of what may stay of some bands, judged on their own grid or one of half the size.
    wide: the second window, see `WIDE`."""
    kept = np.zeros_like(parts[0])
    shortest = min(to.variance.shape)
    side, around = 0, to.variance
    sought = None if to.lasting is None else _sought(to.variance, to.lasting, wide)
    for band, share, window, loose in zip(parts, shares, windows, tolerances, strict=True):
        fits = min(window, (shortest - 1) // 2 * 2 + 1)
        if fits != side:  # neighbouring bands share a window
            side, around = fits, box(to.variance, fits)
        allowed = around * np.float32(share)
        if to.clipped is not None:
            allowed *= 1 + np.float32(loose / TOLERANCE - 1) * to.clipped
        power = np.square(band)
        if power.shape != around.shape:
            power = on_half(power)
        near = np.maximum(box(power, side), LEAST)
        if to.lasting is not None:
            stays = _lasting_share(power, near, allowed, share, sought)
        else:
            stays = _share(allowed, near)
        band *= sized(stays, band.shape)
        kept += band
    return kept


def _share(noise: Real, power: Real) -> Real:
    """The share of a band that may stay removed, from the noise's power in it and its own."""
    noise /= power
    noise *= np.float32(TOLERANCE)
    return np.minimum(noise, 1, out=noise)


class _Sought(NamedTuple):
    """Detail that shows only in wide windows."""

    share: Real  # (H, W), of it that goes back
    side: int  # of the windows
    variance: Real  # of the noise, mean over each


def _sought(variance: Real, share: Real, wide: int) -> _Sought | None:
    """None where nothing would go back."""
    if not share.any():
        return None
    side = min(wide, (min(variance.shape) - 1) // 2 * 2 + 1)
    return _Sought(share, side, box(variance, side))


def _lasting_share(
    power: Real, near: Real, allowed: Real, share: float, sought: _Sought | None
) -> Real:
    """The same of a mean over time: the square of Wiener's share, so that much less than noise
    stays where far more was removed. Where even the quietest of the wide windows around a place
    holds more than noise, there is weak detail everywhere, and at least the share that is sought
    goes back.

    power: of a band at every sample; near: around it.
    """
    stays = np.divide(allowed, near, out=allowed)
    stays *= stays * np.float32(TOLERANCE)
    if sought is None:
        return np.minimum(stays, 1, out=stays)
    wide = sought.side
    far = box(power, wide) / np.maximum(sought.variance * np.float32(share), LEAST)
    far = np.asarray(cv2.erode(far, np.ones((wide, wide), np.uint8)), np.float32)
    quiet, sure = EVIDENT
    wrong = max(float(quantile(far[::4, ::4], QUIETEST)) / quiet, 1.0)
    seen = np.clip((far / np.float32(wrong) - np.float32(quiet)) / np.float32(sure - quiet), 0, 1)
    return np.minimum(stays, 1 - sought.share * seen, out=stays)


def box(plane: Real, side: int) -> Real:
    """Mean over side x side pixels (odd), mirrored beyond the border."""
    mean: Real = cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT)  # type: ignore[assignment]  # float32 stays
    return mean


def power_around(plane: Real, side: int, least: float = 0.0) -> Real:
    """Mean square over side x side pixels, as `box`; never less than `least`."""
    mean: Real = cv2.sqrBoxFilter(plane, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT)  # type: ignore[assignment]  # float32 as asked
    return np.maximum(mean, least, out=mean)  # running sums may end a rounding below


def falling(value: F, limits: tuple[float, float]) -> F:
    """1 up to the first limit, 0 from the second on."""
    share: F = np.clip((limits[1] - value) / (limits[1] - limits[0]), 0, 1)
    return share


def changing(
    centre: Real, near: Sequence[Real], moves: Sequence[NDArray[np.int32] | None]
) -> Real | None:
    """The variance of what differs between a plane and its neighbours around every place: an upper
    bound of its noise. None without neighbours.

    near: the same plane of frames beside it; moves: where each of its pixels lies there, as flat
    indices (H, W), or None: only the same place is compared.
    """
    mean: Real | None = None
    for other, move in zip(near, moves, strict=True):
        found = power_around(centre - other, CHANGE_SIDE)
        if move is not None:
            there = other.ravel().take(move)
            np.subtract(centre, there, out=there)
            np.minimum(found, power_around(there, CHANGE_SIDE), out=found)
        mean = found if mean is None else np.add(mean, found, out=mean)
    return None if mean is None else np.divide(mean, np.float32(2 * len(near)), out=mean)
