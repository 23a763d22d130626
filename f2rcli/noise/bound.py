"""What three frames say of a plane's noise, block by block: its upper bound, and how it looks.

Half the power of what matched frames differ by bounds noise that is new in each: what they share is
scene, what a wrong match leaves only adds to it. Each neighbour is fetched where it lies and where
the flow leads, to whole pixels, so that its noise stays as it is; of the two, the one that agrees
better in low frequencies counts, which knows nothing of the high ones. The rest of the evidence is
for a network (`Share`) that tells which share of the bound is noise.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.frames import Singles
from f2rcli.models.flow import Flow, landed, resized
from f2rcli.noise.model import FramePlanes

T = TypeVar("T", np.float32, np.int32, np.bool_)
BLOCK, CELL = 16, 8  # pixels a side: of what is told, and of what is looked at
CODES = np.float32(255)  # evidence is in 8-bit codes, whatever the file holds
LEAST = np.float32(0.004)  # codes squared: below it is nothing, and logarithms end there
RAIL = 1.5 / 255  # of black or white
# Low frequencies of noise alone differ by less than this from one block to another: a match is
# better only if it leaves fewer. Where both are as good, chance must not choose the quieter one.
CLEARLY = 0.6
GAUSS = np.array([0.25, 0.5, 0.25], np.float32)
STEP = np.array([-1, 1, 0], np.float32) / np.float32(2**0.5)
CURVE = np.array([1, -2, 1], np.float32) / np.float32(6**0.5)  # keeps the power of white noise
ONE = np.ones(1, np.float32)
SIDEWAYS = np.array([-0.5, 0, 0.5], np.float32)


class Evidence(NamedTuple):
    """Of one plane, (R, C) blocks."""

    bound: Singles  # (2, R, C), variance at most in all bands and in the finest, of white = 1
    looks: Singles  # (LOOKS, 2 R, 2 C), what a network sees
    level: Singles  # (R, C), its brightness; of chroma, luma's there
    apart: Singles  # (H, W), what it differs by from its first neighbour


class Matched:
    """A plane of a frame with those of its neighbours, matched to it."""

    def __init__(
        self, centre: FramePlanes, others: Sequence[FramePlanes], flows: Sequence[Flow], plane: int
    ) -> None:
        self.plane = whole(centre.planes[plane])
        self.landings = [Landing.of(flow, centre.planes[plane].shape) for flow in flows]
        shown = [other.planes[plane] for other in others]
        self.moved, left = [], []
        for other, landing in zip(shown, self.landings, strict=True):
            there = [whole(other), landing.fetched(other)]
            rough = [variance(smooth(one - self.plane)) for one in there]
            closer = rough[1] < CLEARLY * rough[0]
            self.moved.append(enlarged(closer, BLOCK))
            left.append(np.where(closer, rough[1], rough[0]))
        self.rough = np.stack(left)  # (N, R, C), as the weights of the neighbours
        worth = np.maximum(self.rough, self.rough.min(0) / CLEARLY + 1e-9) ** -2
        self.weights = worth / worth.sum(0)

    def apart(self, centre: Singles, others: Sequence[Singles]) -> list[Singles]:
        """What planes of the neighbours differ by from one of the centre, (H, W) each. Any planes
        that were matched like this one."""
        return [
            np.where(moved, landing.fetched(other), whole(other)) - whole(centre)
            for other, landing, moved in zip(others, self.landings, self.moved, strict=True)
        ]

    def power(self, apart: Sequence[Singles]) -> Singles:
        """Half the power of differences, (2, R, C): of all bands, and of the finest."""
        both = np.stack([powers(one) for one in apart])
        return np.asarray((both * self.weights[:, None]).sum(0) / 2, np.float32)


class Landing(NamedTuple):
    """Where a plane's samples lie in a neighbour."""

    places: NDArray[np.int32]  # (H, W), flat
    flow: Singles  # (H, W, 2), pixels of this plane

    @classmethod
    def of(cls, flow: Flow, shape: tuple[int, ...]) -> "Landing":
        own = resized(flow, shape)
        there = landed(own, shape).view(shape)
        return cls(whole(there.numpy()), whole(own[0].numpy()))

    def fetched(self, plane: Singles) -> Singles:
        """A neighbour's plane, moved by whole pixels."""
        return np.asarray(plane.ravel().take(self.places), np.float32)


def evidence(
    centre: FramePlanes, others: Sequence[FramePlanes], flows: Sequence[Flow], plane: int
) -> tuple[Evidence, Matched]:
    """Of a plane of a frame beside its two neighbours, which may be the same one twice."""
    matched = Matched(centre, others, flows, plane)
    apart = matched.apart(centre.planes[plane], [one.planes[plane] for one in others])
    bound = matched.power(apart)
    colour = centre.chroma and plane > 0
    bright = centre.luma if colour else centre.planes[plane]
    if bright.shape != centre.planes[plane].shape:
        size = centre.planes[plane].shape[::-1]
        bright = np.asarray(cv2.resize(bright, size, interpolation=cv2.INTER_AREA), np.float32)
    light = whole(bright)
    codes, differences = CODES * matched.plane, [CODES * one for one in apart]
    slopes = [filtered(smooth(codes), *way) for way in ((SIDEWAYS, ONE), (ONE, SIDEWAYS))]
    looks = [
        *of_frame(codes, differences, slopes),
        *of_differences(differences),
        *of_matches(matched, slopes),
        *of_light(light, chroma=colour),
    ]
    seen = np.stack(looks).astype(np.float32)
    return Evidence(bound, seen, mean(light, BLOCK), apart[0]), matched


def of_frame(x: Singles, apart: Sequence[Singles], slopes: Sequence[Singles]) -> list[Singles]:
    """How the frame itself looks: energies in three bands, what it shares with its neighbours
    (their noise is not in it), slopes, and samples that are the same as the one beside."""
    fine = bent(x)
    wide = cv2.blur(x, (3, 3)) - cv2.blur(x, (7, 7))
    shared = mean(fine * (fine + of_both(bent(one) for one in apart)))
    same = np.zeros_like(x)
    same[:, 1:] = x[:, 1:] == x[:, :-1]
    return [
        logged(mean(fine**2)), logged(mean(filtered(x, STEP, STEP) ** 2)), logged(mean(wide**2)),
        logged(shared), *(logged(mean(one**2)) for one in slopes), mean(same),
    ]  # fmt: skip


def of_differences(apart: Sequence[Singles]) -> list[Singles]:
    """How differences to both neighbours look: their energies, rare large ones, how they agree."""
    first, second = apart
    fines = [bent(one) for one in apart]
    full = [mean(one**2) for one in apart]
    fine = [mean(one**2) for one in fines]
    one_way = [
        of_both(mean(filtered(one, *way) ** 2) for one in apart)
        for way in ((CURVE, ONE), (ONE, CURVE))
    ]
    middle = of_both(mean(filtered(one, STEP, STEP) ** 2) for one in apart)
    size = of_both(mean(np.abs(one)) ** 2 for one in fines) * np.float32(np.pi / 2)
    both = [mean(first * second), mean(fines[0] * fines[1])]
    shifted = of_both(mean(one) ** 2 for one in apart)
    lines = [
        of_both(mean(cv2.blur(one, side) ** 2) for one in apart) for side in ((CELL, 1), (1, CELL))
    ]
    none = mean(np.asarray((first == 0) & (second == 0), np.float32))
    powers = [full, fine]
    return [
        *(logged(np.minimum(*one)) for one in powers),
        *(logged(np.maximum(*one)) for one in powers),
        logged(middle), *(logged(one) for one in one_way), logged(size), logged(shifted),
        *(logged(one) for one in lines), none,
        *(cross / (np.sqrt(a * b) + LEAST) for cross, (a, b) in zip(both, powers, strict=True)),
        logged(fine[0] + fine[1] - 2 * both[1]),  # of the neighbours among themselves
    ]  # fmt: skip


def of_matches(matched: Matched, slopes: Sequence[Singles]) -> list[Singles]:
    """How good the matches are: what low frequencies differ by, how fast and how unevenly things
    move, and what parts of a pixel that were rounded away leave along slopes."""
    left, speed, uneven = [], [], []
    for landing in matched.landings:
        x, y = (np.ascontiguousarray(landing.flow[..., n]) for n in (0, 1))
        off = [np.rint(one) - one for one in (x, y)]
        left.append(mean((off[0] * slopes[0] + off[1] * slopes[1]) ** 2))
        speed.append(mean(x**2 + y**2))
        uneven.append(
            mean((x - cv2.blur(x, (CELL, CELL))) ** 2 + (y - cv2.blur(y, (CELL, CELL))) ** 2)
        )
    moved = [mean(np.asarray(one, np.float32)) for one in matched.moved]
    rough = [enlarged(CODES**2 * one, BLOCK // CELL) for one in matched.rough]
    return [
        logged(np.minimum(*rough)), logged(np.maximum(*rough)), logged(np.minimum(*left)),
        logged(np.maximum(*left)), np.log1p(2 * of_both(speed)),
        logged(2 * of_both(uneven)), of_both(moved),
    ]  # fmt: skip


def of_light(light: Singles, *, chroma: bool) -> list[Singles]:
    """Its brightness, how near that is to either end, luma's texture, and whether it is chroma."""
    level = mean(light)
    ends = (light < RAIL, light > 1 - RAIL)
    return [
        4 * level - 2, *(mean(np.asarray(one, np.float32)) for one in ends),
        logged(mean(filtered(CODES * light, STEP, STEP) ** 2)), np.full_like(level, chroma),
    ]  # fmt: skip


LOOKS = 34  # of the lists above together


def of_both(values: Iterable[Singles]) -> Singles:
    """The mean of what two neighbours say."""
    first, second = values
    return np.asarray((first + second) * np.float32(0.5), np.float32)


def whole(plane: NDArray[T]) -> NDArray[T]:
    """The whole blocks of a plane."""
    height, width = (size // BLOCK * BLOCK for size in plane.shape[:2])
    return plane[:height, :width]


def mean(plane: NDArray[Any], side: int = CELL) -> Singles:
    """Means over square parts of a plane of whole blocks."""
    size = plane.shape[1] // side, plane.shape[0] // side
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def variance(plane: Singles) -> Singles:
    """Variance within blocks."""
    spread = mean(plane**2, BLOCK) - mean(plane, BLOCK) ** 2
    return np.asarray(spread.clip(0) * np.float32(BLOCK**2 / (BLOCK**2 - 1)), np.float32)


def powers(plane: Singles) -> Singles:
    """Power within blocks, (2, R, C): of all bands, and of the finest."""
    return np.stack([variance(plane), mean(bent(plane) ** 2, BLOCK)])


def enlarged(blocks: NDArray[T], side: int) -> NDArray[T]:
    """Every value `side` times each way."""
    return np.repeat(np.repeat(blocks, side, 0), side, 1)


def filtered(plane: Singles, across: Singles, down: Singles) -> Singles:
    return np.asarray(cv2.sepFilter2D(plane, -1, across, down), np.float32)


def bent(plane: Singles) -> Singles:
    """The finest band."""
    return filtered(plane, CURVE, CURVE)


def smooth(plane: Singles) -> Singles:
    return filtered(plane, GAUSS, GAUSS)


def logged(power: Singles) -> Singles:
    """The logarithm of a power in codes squared, near zero for one code."""
    return np.asarray(np.log(np.maximum(power, 0) + LEAST) / 4, np.float32)


# Of noise in what frames differ by, at most: of noise that frames share, as after cameras' own
# denoising, they differ by less than there is.
MOST_SHARE = 4.0
QUANTILES = 0.05, 0.2, 0.5  # of all that is seen in a picture, which every block is told
ENOUGH = 4096  # cells to take them of: as many as parts of a large picture have
SAME = 18  # of the looks: the share of samples in which neighbours do not differ


class Share(nn.Module):
    """Block by block, how much noise there is beside the bound, and how sure that is.

    A small U-Net on the grid of blocks, at whose lowest level all of the picture votes, each place
    with a weight of its own: the noise of a picture is mostly alike everywhere, and its textures
    are not. How its quietest places look is told to every block. Its output is at most 1 but where
    frames share noise, which flat places tell.
    """

    def __init__(self, looks: int, width: int = 24, low: int = 48) -> None:
        super().__init__()
        self.stem = nn.Conv2d(looks, width, 2, stride=2)
        self.quiet = nn.Linear(len(QUANTILES) * looks, width)
        self.first = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(2)])
        self.down = nn.Conv2d(width, low, 2, stride=2)
        self.middle = nn.ModuleList([nn.Conv2d(low, low, 3, padding=1) for _ in range(3)])
        self.weight = nn.Conv2d(low, low, 1)
        self.over_all = nn.Linear(low, low)
        self.up = nn.Conv2d(low, width, 1)
        self.last = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(2)])
        self.head = nn.Conv2d(width, 6, 1)

    def forward(self, looks: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """looks (B, LOOKS, 2 R, 2 C) -> logarithms (B, 2, R, C) of the share of the variance in all
        bands and in the finest, and of the error that the share's logarithm may have. seen: which
        cells (2 R, 2 C) may be the quietest; None: all."""
        act = functional.silu
        cells = looks.float().flatten(2)
        cells = cells if seen is None else cells[..., seen.flatten()]
        cells = cells[..., :: max(1, cells.shape[2] // ENOUGH)]
        low = torch.quantile(cells, cells.new_tensor(QUANTILES), dim=2)  # (Q, B, LOOKS)
        x = act(self.stem(looks) + self.quiet(low.transpose(0, 1).flatten(1))[..., None, None])
        for layer in self.first:
            x = x + act(layer(x))
        rows, columns = x.shape[-2:]
        even = functional.pad(x, (0, columns % 2, 0, rows % 2), mode="replicate")
        y = act(self.down(even))
        votes = torch.softmax(self.weight(y).flatten(2), 2)
        y = y + self.over_all((votes * y.flatten(2)).sum(2))[..., None, None]
        for layer in self.middle:
            y = y + act(layer(y))
        wide = functional.interpolate(self.up(y), scale_factor=2.0, mode="nearest")
        x = x + wide[..., :rows, :columns]
        for layer in self.last:
            x = x + act(layer(x))
        less, more, error = torch.split(self.head(x), 2, 1)
        share = functional.softplus(more) - functional.softplus(less)
        return share.clamp_max(math.log(MOST_SHARE)), error.clamp(-3, 3)
