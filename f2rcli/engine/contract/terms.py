"""What the contract goes by besides pictures: tolerances, and the noise's law as tensors.

Planes of one kind travel together as a group (P, H, W): luma or all planes first, then chroma.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.filters import resized
from f2rcli.frames import Family, PlaneLayout
from f2rcli.models.recorded import constant
from f2rcli.noise.bands import BAND_SIDES, Shares
from f2rcli.noise.model import KNOTS, NoiseModel, PlaneNoise

Groups = list[Tensor]

LEAST = 1e-14  # power below which there is nothing to compare
STEPS = 64 * (KNOTS - 1)  # from black to white, of a law's table


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Room for noise that was measured too low: for luma, and for chroma. Every plane of gray
    pictures and mosaics counts as luma."""

    noise: tuple[float, float]  # factors of the noise's variance
    change: tuple[float, float]  # of the variance of what changes from frame to frame
    # Part of both that is for places where noise is loud by chance: means over time see to that.
    chance: float = 1.0
    lasting: tuple[float, float] = (0.0, 0.0)  # parts of the variance that need not change
    averages: tuple[bool, bool] = (True, True)  # whether frames' means show less noise than one
    clipped: float = 1.0  # times the deviation, that the noise had when black and white cut it off


# Noise is loud by chance in places: one window of the contract in twenty holds a tenth more.
STRICT = Tolerance(noise=(1.1, 1.1), change=(1.3, 1.2), chance=1.1)
# Frames share part of what a codec did to them, most of it in chroma, and what it rounded off is
# copied from frame to frame. They took noise out after it was clipped.
CODED = Tolerance(
    noise=(1.4, 3.5), change=(2.0, 5.0), lasting=(0.25, 0.08), averages=(True, False), clipped=1.8
)

# Of a few electrons a pixel: single samples and small windows hold far more than their share of
# noise by chance, and what changes between frames is counted on too few of them.
SPARSE = Tolerance(noise=(2.0, 2.0), change=(4.0, 4.0), averages=(False, False))


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract's terms for frames of one layout and law; two that are equal mean the same
    work, which a device need not be told twice."""

    layout: PlaneLayout
    shares: tuple[Shares, ...]  # per plane, see `PlaneNoise`
    clipped: bool
    tolerance: Tolerance = STRICT
    allowance: tuple[float, ...] = (1.0,)  # factors of each plane's deviation, or of all planes'

    @property
    def chroma(self) -> bool:
        """Whether planes after the first hold colour alone, whose noise goes by the first's."""
        return self.layout.family is Family.YUV

    def planes(self, kind: int) -> range:
        """The planes that a group holds."""
        if not self.chroma:
            return range(len(self.shares))
        return range(1, 3) if kind else range(1)

    def band_shares(self, kind: int) -> tuple[Shares, ...]:
        """Of every plane of a group, the share of its variance in each band."""
        return tuple(self.shares[plane] for plane in self.planes(kind))

    def allowed(self, kind: int) -> float:
        """The factor of a group's variance that was asked for."""
        return self.allowance[min(self.planes(kind)[0], len(self.allowance) - 1)] ** 2


def left_by_box(shares: Sequence[Shares], side: int, like: Tensor) -> Tensor:
    """(P, 1, 1): the share of each plane's variance that means over side x side samples keep: no
    less than of white noise, and about what lies in the bands that wider filters part."""
    kept = [[sum(one[band + 1 :]) for band in range(len(BAND_SIDES))] for one in shares]
    places, wanted = np.log(BAND_SIDES), np.log(side)
    found = (np.exp(np.interp(wanted, places, np.log(np.maximum(one, LEAST)))) for one in kept)
    return _column(tuple(max(float(one), 1 / side**2) for one in found), like)


def by_band(shares: Sequence[Shares], like: Tensor) -> Tensor:
    """(P, 6, 1, 1)"""
    return _column(tuple(share for one in shares for share in one), like).view(
        len(shares), -1, 1, 1
    )


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return _known(values, like.device).view(-1, 1, 1)


@constant(256)
def _known(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)


class Law(NamedTuple):
    """The variance of every plane's noise, group by group."""

    tables: list[Tensor]  # (P, STEPS + 1), from black to white

    def variance(self, kind: int, bright: Tensor) -> Tensor:
        """(P, H, W), where a group's planes, or luma (1, H, W) for chroma, are so bright."""
        table = self.tables[kind]
        place = bright.clamp(0, 1).mul_(STEPS)
        below = place.int().clamp_max_(STEPS - 1)
        share = place.sub_(below)
        found = []
        for plane, row in enumerate(table):
            index, part = below[plane % len(below)].flatten(), share[plane % len(below)]
            low, step = (some.index_select(0, index) for some in (row[:-1], row.diff()))
            found.append(torch.addcmul(low, part.flatten(), step).view(part.shape))
        return torch.stack(found).clamp_min_(0)

    def variances(self, groups: Groups, removed: Groups | None, terms: Terms) -> Groups:
        """Of all groups, as bright as they are without what is removed."""
        shown = groups if removed is None else [a - b for a, b in zip(groups, removed, strict=True)]
        light = [
            resized(shown[0], group.shape[-2:]) if terms.chroma and kind else group
            for kind, group in enumerate(shown)
        ]
        return [self.variance(kind, bright) for kind, bright in enumerate(light)]


def law_of(noise: PlaneNoise, terms: Terms, groups: Groups) -> Law:
    """The law on the device of a frame's groups."""
    inference = torch.is_inference_mode_enabled()
    return _made(noise.models, terms, len(groups), groups[0].device, inference)


@lru_cache(maxsize=8)  # those of a few steps of an encoder
def _made(
    models: tuple[NoiseModel, ...],
    terms: Terms,
    groups: int,
    device: torch.device,
    _inference: bool,
) -> Law:
    rows = [
        [_table(models[plane], device) for plane in terms.planes(kind)] for kind in range(groups)
    ]
    return Law([torch.stack(row) for row in rows])


def _table(model: NoiseModel, device: torch.device) -> Tensor:
    """The variance (STEPS + 1,) from black to white by a law of one channel."""
    light = torch.linspace(0, 1, STEPS + 1, device=device)
    return model.level(light.view(1, 1, 1, -1))[0, 0, 0].square()
