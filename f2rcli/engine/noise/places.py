"""Where in the picture the noise is: less of it in some places than a law says, or more in others.

One law per plane says how strong noise is at every brightness, not where. A web camera in the
corner of a screen, a rendered half, or a second camera have noise of their own. What blocks of two
adjacent frames differ by tells them apart: it bounds the noise of each place from
above, and where many neighbouring blocks hold equally much of what looks white, it is noise.
"""

from collections.abc import Iterator, Sequence
from math import log

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.noise.excerpts import Square
from f2rcli.frames import Floats
from f2rcli.noise.measurement.blocks import Blocks, Pair, side_of
from f2rcli.noise.measurement.highpass import FINE, FINEST, FULL
from f2rcli.noise.measurement.place_factors import Places, every_block
from f2rcli.noise.model import NoiseModel, at_levels
from f2rcli.order import MAD_TO_SIGMA

COLOURED = 0.25  # of white noise's power in the finest band: of less, texture drowns what there is
SURE = 0.25  # of a block's power: what a wrong match may add to one that tells its noise
# Of the law's variance in a block: from the first on the law holds, below the second the block
# says how much there is, and between by degrees. One pair of frames tells a block within a sixth.
HOLDS, LESS = 0.6, 0.4
MIDDLE = 0.5  # quantile of blocks around one, that it is taken for
# The same of quiet parts, where texture that moves adds to what blocks differ by, and of noise
# alone: its power there. No noise is weaker than rounding to whole codes.
QUIETEST, QUIETEST_OF_NOISE, ROUNDING = 0.2, 0.86, (0.5 / 255) ** 2
NONE = 0.15**2  # of the law's variance: less is texture that moves between pixels
WRONG = 1.0  # times what a wrong match adds, roughly, that is taken off there
NEAR = 1.5  # blocks: what those beside one that says nothing by itself know
LEAST_AREA = 0.02  # of the blocks: fewer with less noise are chance, or painted over
LOUDER = 4.0  # times the law's variance: blocks with so much belong to a louder part
LEAST_POWER = (1.5 / 255) ** 2  # below it, there is nothing to remove
SIDE = 4  # blocks of 16 pixels: a louder part is a rectangle of at least so many a side,
MOST_STEPS = 40  # across a picture, between which its borders lie
SILENT = 0.05  # of whose blocks hold less,
ALIKE = 0.32  # whose power scatters by no more than this from one block to the next (logarithm),
ABOUT = 0.6  # and differs from most by no more than this (logarithm); they hold white noise:
WHITE = 0.7, 1.35  # the finest band over the fine one
WHITE_ALL = 1.6  # full bandwidth over the finest
WHITE_TOGETHER = 0.88, 1.12  # the finest over either other, medians of the part


def places(pair: Pair, plane: int, model: NoiseModel, finest: float) -> Places:
    """Factors of a law's standard deviation at every block of a plane, no more than 1; empty where
    the noise is the same everywhere, as far as can be seen. Of coarse noise too little lies in the
    finest band, and too few independent samples in a block, to tell places apart.

    finest: the power of the law's noise in the finest band, in units of its variance.
    """
    blocks, shape = pair.blocks(plane), pair.before.planes[plane].shape
    law = np.square(at_levels(model, blocks.level)) * finest
    grid = _grid(blocks, shape)
    if not law.any() or finest < COLOURED:
        return ()
    power = np.where(blocks.void, 0, blocks.power[FINEST])
    seen = (power / np.maximum(law, 1e-18)).reshape(grid)
    # what is less than the law says, though a wrong match may have added to it, is known as well
    known = _known(blocks).reshape(grid) | (seen < LESS)
    share = np.minimum(_filled(_around(np.where(known, seen, np.nan), 3, MIDDLE, known)), 1)
    quiet = share < LESS
    if quiet.mean() < LEAST_AREA:
        return ()
    sure = _known(blocks).reshape(grid) & quiet
    less = np.maximum(power - WRONG * blocks.error, 0).reshape(grid)
    parts = (np.where(sure, power.reshape(grid), np.nan), np.where(quiet, less, np.nan))
    rest, other = (_around(part, 5, QUIETEST, quiet) / QUIETEST_OF_NOISE for part in parts)
    rest = np.where(np.isfinite(rest), rest, other)
    rest /= np.maximum(law.reshape(grid), 1e-18)
    rest[rest < np.maximum(ROUNDING / np.maximum(law.reshape(grid), 1e-18), NONE)] = 0
    share[quiet] = np.minimum(share, rest)[quiet]
    factor = np.sqrt(share + (1 - share) * np.clip((share - LESS) / (HOLDS - LESS), 0, 1))
    return every_block(factor, shape)


def drawn(chroma: Places, luma: Places, shape: tuple[int, int]) -> Places:
    """Chroma's factors where luma shows no noise: none either. shape: of the plane."""
    if not luma:
        return chroma
    side = side_of(shape)
    rows, columns = (-(-length // side) for length in shape)
    own = np.array(chroma) if chroma else np.ones((rows, columns))
    light = cv2.resize(np.array(luma), (columns, rows), interpolation=cv2.INTER_AREA)
    return tuple(tuple(row) for row in np.where(light > 0, own, 0).tolist())


def _side(blocks: Blocks) -> int:
    return round(blocks.samples**0.5)


def _grid(blocks: Blocks, shape: Sequence[int]) -> tuple[int, int]:
    return shape[0] // _side(blocks), shape[1] // _side(blocks)


def _known(blocks: Blocks) -> NDArray[np.bool_]:
    return np.asarray(blocks.void | (blocks.error < SURE * blocks.power[FINEST]))


def _around(values: Floats, side: int, part: float, where: NDArray[np.bool_]) -> Floats:
    """A quantile of the known (not NaN) among side x side blocks around some blocks, NaN elsewhere
    and where none is known; borders between parts stay where they are."""
    around = np.pad(values, side // 2, constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(around, (side, side))
    out = np.full_like(values, np.nan)
    chosen = np.sort(views[where].reshape(-1, side**2), axis=-1)  # NaN comes last
    count = np.isfinite(chosen).sum(-1)
    place = np.round(part * np.maximum(count - 1, 0)).astype(int)
    out[where] = np.take_along_axis(chosen, place[:, None], -1)[:, 0]
    return out


def _filled(share: Floats) -> Floats:
    """What is not known, from what lies near; 1 where nothing does."""
    known = np.isfinite(share)
    weight, total = known.astype(np.float64), np.where(known, share, 0)
    around = [cv2.GaussianBlur(part, (0, 0), NEAR) for part in (total, weight)]
    rest = 0.02  # of a block: of so little nothing is believed
    near = (around[0] + rest) / (around[1] + rest)
    return np.asarray(np.where(known, share, near), np.float64)


def louder_part(pair: Pair, model: NoiseModel) -> Square | None:
    """The loudest rectangle of a picture whose first plane holds far more white noise than its law
    says, or than other places that are as bright; None where there is none."""
    blocks, shape = pair.blocks(0), pair.before.planes[0].shape
    grid, power = _grid(blocks, shape), np.log(np.maximum(blocks.power[FINEST], 1e-18))
    if min(grid) < SIDE:
        return None
    law = 2 * np.log(np.maximum(at_levels(model, blocks.level), 1e-9))
    sure = _known(blocks) | blocks.void
    noisy = sure & ~blocks.void & _white(blocks) & (power > log(LEAST_POWER))
    for loud in _by_loudness(power, noisy):
        silent = (blocks.void | (power < power[loud].min())) & ~loud
        if not _stands_out(blocks.level, power, law, loud, silent):
            continue
        there = _rectangle(loud.reshape(grid), silent.reshape(grid))
        if there is None:
            continue
        chosen = loud & _inside(there, grid).ravel()
        if _even(power.reshape(grid), chosen.reshape(grid)) and _noise(blocks, chosen):
            stands = _stands_out(blocks.level, power, law, chosen, silent)
            return Square(*(_side(blocks) * number for number in there)) if stands else None
    return None


def _noise(blocks: Blocks, chosen: NDArray[np.bool_]) -> bool:
    """Whether the bands of chosen blocks agree as well as their number allows."""
    full, fine, finest = (np.median(blocks.power[band, chosen]) for band in (FULL, FINE, FINEST))
    low, high = WHITE_TOGETHER
    return bool(low < finest / fine < high and low < finest / full < high)


def _white(blocks: Blocks) -> NDArray[np.bool_]:
    full, fine, finest = (blocks.power[band] for band in (FULL, FINE, FINEST))
    low, high = WHITE
    return np.asarray((finest > low * fine) & (finest < high * fine) & (full < WHITE_ALL * finest))


def _by_loudness(power: Floats, noisy: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Noisy blocks that hold about as much as each other, the loudest first. power: logarithms."""
    while noisy.sum() >= SIDE**2:
        some = np.sort(power[noisy])
        count = np.searchsorted(some, some + ABOUT) - np.arange(len(some))
        many = np.flatnonzero(count >= max(SIDE**2, count.max() / 4))
        if not len(many):
            return
        top = some[many[-1]] + ABOUT
        inside = many[some[many] > top - 2 * ABOUT]
        middle = some[inside[int(np.argmax(count[inside]))]] + ABOUT / 2
        yield noisy & (np.abs(power - middle) < ABOUT)
        noisy = noisy & (power < middle - ABOUT)


def _stands_out(
    level: Floats, power: Floats, law: Floats, loud: NDArray[np.bool_], silent: NDArray[np.bool_]
) -> bool:
    """Whether loud blocks hold far more than the law says, or than silent ones as bright do."""
    here = float(np.median(power[loud]))
    if here > float(np.median(law[loud])) + log(LOUDER):
        return True
    low, high = np.quantile(level[loud], (0.1, 0.9))
    alike = silent & (level >= low) & (level <= high)
    return int(alike.sum()) >= SIDE**2 and here > float(np.median(power[alike])) + log(LOUDER)


def _inside(there: tuple[int, int, int, int], grid: tuple[int, int]) -> NDArray[np.bool_]:
    top, left, rows, columns = there
    inside = np.zeros(grid, bool)
    inside[top : top + rows, left : left + columns] = True
    return inside


def _even(power: Floats, loud: NDArray[np.bool_]) -> bool:
    """Whether loud blocks hold as much as those beside them, as noise does. power: logarithms."""
    level = np.where(loud, power, np.nan)
    apart = np.abs(np.concatenate([np.diff(level, axis=axis).ravel() for axis in (0, 1)]))
    apart = apart[np.isfinite(apart)]
    return len(apart) >= SIDE and MAD_TO_SIGMA * float(np.median(apart)) / 2**0.5 < ALIKE


def _rectangle(
    loud: NDArray[np.bool_], silent: NDArray[np.bool_]
) -> tuple[int, int, int, int] | None:
    """Top, left, height and width of the rectangle that holds most loud blocks, at least half of
    it, and hardly a silent one; None where it is too small. Of large pictures on a coarser grid."""
    step = -(-max(loud.shape) // MOST_STEPS)
    sums = [
        np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))[::step, ::step]
        for mask in (loud, silent)
    ]
    rows, columns = (length - 1 for length in sums[0].shape)
    least, area = -(-SIDE // step), step**2
    best, found = 0, None
    for high in range(least, rows + 1):
        for wide in range(least, columns + 1):
            much, none = (
                s[high:, wide:] - s[:-high, wide:] - s[high:, :-wide] + s[:-high, :-wide]
                for s in sums
            )
            size = area * high * wide
            worth = much * ((none <= SILENT * size) & (2 * much >= size))
            if worth.max() > best:
                top, left = (int(n) for n in np.unravel_index(np.argmax(worth), worth.shape))
                best, found = int(worth.max()), (top, left, high, wide)
    if found is None:
        return None
    top, left, high, wide = (step * number for number in found)
    return top, left, high, wide
