"""An upper bound of white noise from how much nearby samples of single frames differ.

Texture that no two frames share, as that of games, looks like new noise in each. But whatever a
picture shows, noise of a law spreads the differences of its samples at least as wide as it would
alone (Anderson, Proc. Amer. Math. Soc. 1955). Where most places hold many pairs that are more
alike, the law is wrong.
"""

from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Family, PlaneLayout, Singles
from f2rcli.noise.measurement.blocks import FramePlanes, side_of
from f2rcli.noise.model import KNOTS, NoiseModel, at_levels
from f2rcli.noise.planes import VARIED_STEPS, Measured, PlaneNoise
from f2rcli.order import median

# Steps (rows, columns) between the samples of a pair: beyond what noise of a pixel or so shares.
STEPS = (
    (0, 5), (0, 6), (0, 7), (3, -6), (4, -4), (4, 4),
    (5, 0), (5, 5), (6, 0), (6, -6), (6, 3), (7, 0),
)  # fmt: skip
REACH = 7  # the longest of them, either way
AROUND = 5  # pixels a side, whose mean is the brightness of a sample
ALIKE = 0.1  # quantile of a block's differences
FAR_LESS = 0.85  # times the law: noise of any kind that was tried has 0.89 and more
# The same quantile over the median, where Gaussian noise has 1: noise over textures, and with long
# tails, has 0.93 and more, textures that were taken for noise 0.1 to 0.7.
GAUSSIAN = 0.9
ROOM = 1.5  # times the law, from black and white: nearer, noise may be cut off,
RAILED = 0.5  # where so many of the samples that it puts there are there
HALF_CODE = 0.5 / 255
# What quantile ALIKE and median of the sizes of Gaussian values are multiplied by to tell sigma.
UNITS = np.array([1 / NormalDist().inv_cdf((1 + share) / 2) for share in (ALIKE, 0.5)])
WHITE = 0.25  # of the variance in the finest band; coarse noise is alike nearby
LEAST_KNOWN, LEAST_BLOCKS = 0.2, 24  # share and number of blocks, of which fewer say nothing
LOOKED_AT, BLOCKS, SAMPLES = 2, 100, 8  # frames, blocks of each, and samples a side of each


class _Sampled(NamedTuple):
    """Where a plane is looked at: flat indices (B, N), and those of the other sample of pairs."""

    here: NDArray[np.int64]
    there: list[NDArray[np.int64]]


def held_nearby(found: Measured, pictures: Sequence[FramePlanes], layout: PlaneLayout) -> Measured:
    """What was measured, lowered to what samples nearby allow; where luma's noise turns out to be
    texture, so does that of the colours. Sensors' counts, which are no white noise, stay."""
    if layout.counts_light or not pictures:
        return found
    factors = most_nearby(pictures, found.planes)
    if layout.family is Family.YUV:
        factors = [min(factors[0], one) for one in factors]
    if min(factors) == 1:
        return found
    rows = [np.full(KNOTS, factor) for factor in factors]
    return found.lowered(rows, layout, None)


def most_nearby(pictures: Sequence[FramePlanes], noise: PlaneNoise) -> list[float]:
    """Per plane, the factor of its law's standard deviation that single frames allow, at most 1;
    1 where they cannot tell: too little of the picture, coarse noise, few codes."""
    places = np.linspace(0, len(pictures) - 1, min(LOOKED_AT, len(pictures)))
    chosen = [pictures[round(place)] for place in places]
    factors = []
    for plane, model in enumerate(noise.models):
        factors.append(1.0)
        if noise.varied[plane] and noise.shares[plane][0] >= WHITE:
            factors[-1] = float(np.mean([_most(one, plane, model) for one in chosen]))
    return factors


def _most(picture: FramePlanes, plane: int, model: NoiseModel) -> float:
    """The factor of one plane in one frame: the median of the quantiles ALIKE of blocks, and less
    where what blocks hold is not Gaussian at all: then the law is of texture, and how much noise
    lies below it nobody knows. 1 where they allow the law, or too little is known."""
    values = picture.planes[plane]
    at = _places(values)
    if at is None:
        return 1.0
    colour, (height, width) = bool(picture.chroma and plane), values.shape
    light = picture.luma if colour else values
    if light.shape != values.shape:
        light = np.asarray(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA))
    bright = cv2.blur(light, (AROUND, AROUND)).ravel()
    law = np.square(at_levels(model, bright.astype(np.float64))).astype(np.float32)
    room = np.minimum(bright, 1 - bright).clip(0)
    clear = np.square(room) > ROOM**2 * law
    clear |= not _cut_off(values.ravel()[at.here], (room / np.sqrt(law.clip(1e-18)))[at.here])
    apart = np.stack(list(_apart(_unrounded(values, at.here, model), law, at)), 1)
    drawn = np.ptp(values.ravel()[at.here], axis=1) == 0
    known = ~drawn & (law[at.here] > 0).all(1) & (colour | clear[at.here].all(1))
    if known.sum() < max(LEAST_BLOCKS, LEAST_KNOWN * (~drawn).sum()):
        return 1.0
    blocks = apart[known].reshape(int(known.sum()), -1)
    ranks = [round(share * (blocks.shape[1] - 1)) for share in (ALIKE, 0.5)]
    alike, half = np.partition(blocks, ranks, axis=1)[:, ranks].T * UNITS[:, None]
    most = float(median(alike))
    shape = float(median(alike / half.clip(1e-9)))
    return most * min(shape / GAUSSIAN, 1) if most < FAR_LESS else 1.0


def _cut_off(values: Singles, room: Singles) -> bool:
    """Whether about as many samples lie on black and white, or beyond, as noise of the law would
    put there. room: from there to the brightness around each, in units of the law."""
    railed = float(((values < HALF_CODE) | (values > 1 - HALF_CODE)).mean())
    tail = 1 / (1 + np.exp(1.702 * room.clip(0, 20)))  # the normal distribution's, nearly
    return railed > RAILED * float(tail.mean())


def _unrounded(values: Singles, looked_at: NDArray[np.int64], model: NoiseModel) -> Singles:
    """A plane (H, W), flat, with random values within half the step of its codes, or what this may
    be beside such noise: rounded ones would be the same by chance."""
    codes = np.unique(values.ravel()[looked_at])
    step = float(np.diff(codes).min()) if len(codes) > 1 else 0.0
    step = min(step, model.sigma[0] / VARIED_STEPS)
    rounding = np.random.default_rng(0).random(values.size, np.float32) - np.float32(0.5)
    return np.asarray(values.ravel() + np.float32(step) * rounding)


def _places(values: Singles) -> _Sampled | None:
    """Samples of some blocks, evenly over a plane; None where it is too small."""
    height, width = values.shape
    side = side_of(values.shape)
    tops, lefts = (np.arange(REACH, n - side - REACH + 1, side) for n in (height, width))
    if len(tops) * len(lefts) < LEAST_BLOCKS:
        return None
    corners = (tops[:, None] * width + lefts).ravel()
    corners = corners[np.linspace(0, len(corners) - 1, min(BLOCKS, len(corners))).astype(np.int64)]
    inner = np.arange(0, side, side // SAMPLES)
    here = corners[:, None] + (inner[:, None] * width + inner).ravel()
    return _Sampled(here, [here + down * width + across for down, across in STEPS])


def _apart(values: Singles, law: Singles, at: _Sampled) -> Iterator[Singles]:
    """What pairs of samples differ by, in units of what noise of a law (its variance at every
    sample) makes them differ by; (B, N) for each of STEPS."""
    first, variance = values[at.here], law[at.here]
    for there in at.there:
        yield np.abs(values[there] - first) / np.sqrt((variance + law[there]).clip(1e-18))
