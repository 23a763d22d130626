"""The errors of lossy compression, as noise of a strength that the networks are given.

A codec rounds the transform of every block by a step, and what it rounds off looks like noise to a
network that has seen noise of that strength. Frames do not show it: a codec copies its errors from
frame to frame, so they hardly change where nothing moves. Its quantiser tells how strong they are,
and where that is not known (JPEG, or a file that was written anew since) the edges of its blocks:
JPEG, MPEG and H.26x quantise squares of 8 pixels or multiples of them on their own. What one square
lost differs from what its neighbour lost, so the picture steps where they meet. A scene has no
reason to step at every eighth pixel: the mean step there, less that of the other seven phases, is
the codec's (after Wang, Sheikh and Bovik, ICIP 2002, but tested against its own scatter).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean
from statistics import median as middle

import numpy as np

from f2rcli.frames import Floats, Frame, Mask, PlaneLayout, is_even
from f2rcli.models.flow import Luma
from f2rcli.noise.model import NoiseModel, PlaneNoise

PERIOD = 8  # pixels of the grid
FEWEST = 4  # blocks beside each other: one edge may be the picture's own
STRIP = 16  # rows that are counted together
ENOUGH = 2_000_000  # pixels that are looked at, of two frames at least
SURE = 6.0  # standard errors
LEAST = 0.1 / 255  # a step below which no eye and no measure is sure
WITHIN = 0.02  # of the excess, that steps within blocks are at least: drawn squares have none


def find_edges(lumas: Sequence[Luma]) -> float | None:
    """By how much the mean step at block edges of frames of one size exceeds that beside, of 255;
    None where the grid does not show both ways."""
    lumas = lumas[: max(ENOUGH // lumas[0].size, 2)]
    across, down = _excess(lumas), _excess([luma.T for luma in lumas])
    return None if across is None or down is None else 255 * (across + down) / 2


def _excess(lumas: Sequence[Luma]) -> float | None:
    """The excess step at the phase of columns where it is largest, if it is there for sure."""
    phases = np.concatenate([_strips(luma) for luma in lumas])
    if len(phases) < 2:
        return None
    best = int(phases.mean(0).argmax())
    apart = phases[:, best] - np.delete(phases, best, 1).mean(1)
    mean, error = float(apart.mean()), float(apart.std(ddof=1)) / len(apart) ** 0.5
    middles = slice(1 + best + PERIOD // 2, None, PERIOD)
    within = fmean(float(np.abs(np.diff(luma))[:, middles].mean()) for luma in lumas)
    return mean if mean > max(SURE * error, LEAST) and within > WITHIN * mean else None


def _strips(luma: Luma) -> Floats:
    """Mean step at every phase of the columns beyond the steps beside it, (strips, PERIOD); from
    the calmer half of the places, where texture does not hide it."""
    step = np.abs(np.diff(luma, axis=1))
    beside = (step[:, :-2] + step[:, 2:]) / 2
    rows, columns = beside.shape[0] // STRIP, beside.shape[1] // PERIOD
    if not rows or columns < FEWEST:
        return np.empty((0, PERIOD))
    shape = (rows, STRIP, columns, PERIOD)
    beside = beside[: rows * STRIP, : columns * PERIOD].reshape(shape)
    excess = step[: rows * STRIP, 1 : 1 + columns * PERIOD].reshape(shape) - beside
    calm = beside <= np.median(beside[:, ::4])  # a quarter of the rows tells
    total = (excess * calm).sum((1, 2), dtype=np.float64)
    return np.asarray(total / np.maximum(calm.sum((1, 2)), 1))


# Root mean square error of coded clips as a share of the quantiser's step, H.264 at crf 18 to 32
# and MPEG-4; less is told than serves best, because some scenes hold less error (DESIGN.md D57).
OF_STEP = 0.3
OF_EDGE = 1.7  # the same as multiples of the excess step at block edges: JPEG, all of it intra
# Of 255: drawings on a grid of 8 pixels have such edges, no codec that leaves a picture does.
MOST_EDGE8 = 6.0
LEAST8, MOST8 = 1.0, 12.0  # of 255: hardly an error, and the most that is told


@dataclass(frozen=True, slots=True)
class Compression:
    """The errors that compression left in a clip."""

    sigma: float  # their standard deviation, white - black = 1
    # By plane, whether it is the same everywhere, as the colours of gray film: no errors there.
    even: tuple[bool, ...] = ()

    @property
    def sigma8(self) -> float:
        """Their standard deviation, of 255."""
        return 255 * self.sigma

    def exceeds(self, model: NoiseModel) -> bool:
        """Whether the errors are stronger than noise, the mean of its channels."""
        return self.sigma > fmean(model.sigma)

    def of(self, frame: Frame, edges8: float | None) -> "Compression":
        """Those that a frame holds by its own step, no more than its clip: encoders give some
        frames more bits, or all from some frame on. All of them where it does not say."""
        if not frame.quantiser8:
            return self
        own = max(OF_STEP * frame.quantiser8, _shown8(edges8)) / 255
        return replace(self, sigma=min(own, self.sigma))

    def words(self) -> str:
        """Its meaning, for people."""
        told = f"compression left errors of about {self.sigma8:.1f} of 255, removed as noise"
        return f"{told}; encoding again may cost what that gains, --lossless does not"


@lru_cache(maxsize=8)  # asked for at every frame, and changes with a look at most
def together(noise: PlaneNoise, coded: Compression, layout: PlaneLayout) -> PlaneNoise:
    """The noise of a file's planes and a codec's errors beside it. They are white, and everywhere;
    where a plane is even there are none."""
    even = np.array((*coded.even, *(False,) * len(noise.shares))[: len(noise.shares)])
    own = PlaneNoise.even(coded.sigma, layout, clipped=noise.clipped)
    model, part = _added(noise.model, own.model, ~even)
    bands = (1 - part[:, None]) * np.array(noise.shares) + part[:, None] * own.shares
    places = [
        tuple(map(tuple, np.sqrt((1 - p) * np.square(grid) + p).tolist()))
        for p, grid in zip(part, noise.places, strict=False)
    ]
    colours = own.colours and _added(noise.picture(layout, 3), own.colours, np.array(True))[0]
    return replace(
        noise, model=model, shares=tuple(map(tuple, bands.tolist())), places=tuple(places),
        colours=colours, errors=tuple(part.tolist()),
    )  # fmt: skip


def _added(noise: NoiseModel, errors: NoiseModel, there: Mask) -> tuple[NoiseModel, Floats]:
    """Noise with errors where there are any, and their share of its variance. What a codec rounded
    off of noise is counted there: the scene's is as much of the errors as they are stronger."""
    power, more = (np.square(one.sigma) for one in (noise, errors))
    more = np.where(there, more * more / (power + more).clip(1e-18), 0)
    curves = np.sqrt(np.square(noise.at_knots()) + more[:, None])
    return NoiseModel.of_curves(curves, np.sqrt(power + more)), more / (power + more).clip(1e-18)


def compression_of(frames: Sequence[Frame], edges8: float | None) -> Compression | None:
    """The coding errors of frames; None if hardly any. edges8: of the clip's first frames."""
    steps = [frame.quantiser8 for frame in frames if frame.quantiser8]
    stated = OF_STEP * middle(steps) if steps else 0.0
    sigma8 = min(max(stated, _shown8(edges8)), MOST8)
    if sigma8 < LEAST8:
        return None
    planes = zip(*(frame.planes for frame in frames), strict=True)
    even = tuple(all(map(is_even, same)) for same in planes)
    return Compression(sigma8 / 255, even)


def _shown8(edges8: float | None) -> float:
    """What block edges tell, of 255."""
    return 0.0 if edges8 is None or edges8 > MOST_EDGE8 else OF_EDGE * edges8
