"""The share of a method's removed signal that is noise, learnt by probing the method.

Beside faint noise a network takes out as much texture as noise, and no test of power can tell one
from the other. Stein's unbiased risk estimate can: noise like the measured one is added to a frame
once more, and what of it the method removes says how closely the removed signal follows noise
(Monte-Carlo SURE: Ramani, Blu and Unser, IEEE TIP 2008). Removing that share, and no more, has the
least squared error. Places are told apart by how much is removed around them: flat areas, faint
texture and edges have shares of their own (DESIGN.md D48).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from f2rcli.engine.contract.limits import LEAST, Real, box, power_around
from f2rcli.frames import Floats

WINDOW = 15  # pixels, over which power is counted
# Classes of places: the power that is removed around them, in units of the noise's.
EDGES = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3)
MIDDLES = (0.03, 0.075, 0.15, 0.25, 0.375, 0.525, 0.7, 0.9, 1.15, 1.5)
PRIOR = 2000.0  # samples that the share of a whole plane counts as, in each class
# A share this close to all of it is all: the law may say a little too little, and what flat areas
# would keep of their noise shows.
NEARLY, WHOLE = 0.85, 0.93
BLEND = 0.3  # of a new look in what is known
FIRST_LOOKS = 2  # each replaces the one before: the first window has frames on one side only
LEAST_CERTAIN = 0.3  # of the noise's variance, whatever texture may be in it
STEPS = 256  # of a table


@dataclass
class Shrinkage:
    """The share of noise in what a method removes, by plane and class of places, of one stream."""

    texture: float = 0.0  # variance that moving texture may have added to that of the first plane
    looks: int = 0  # how often it was learnt
    _shares: dict[int, Floats] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether a window with frames on both sides has been looked at."""
        return self.looks >= FIRST_LOOKS

    def learn(
        self,
        removed: Sequence[Real],
        again: Sequence[Real],
        added: Sequence[Real],
        variances: Sequence[Real],
    ) -> None:
        """Learn from a frame's planes (H, W): what is `removed` of it and, with noise `added`,
        `again`."""
        self.looks += 1
        parts = zip(removed, again, added, variances, strict=True)
        for index, (first, second, noise, variance) in enumerate(parts):
            found = _shares_of(first, second - first, noise, variance)
            known = self._shares.get(index)
            if known is not None and self.looks > FIRST_LOOKS:
                found = known + BLEND * (found - known)
            self._shares[index] = found

    def shrunk(self, index: int, removed: Real, variance: Real) -> Real:
        """The part of a plane's `removed` that follows noise of this variance, (H, W); at first
        all."""
        if index not in self._shares:
            return removed
        table = self.table(index)
        if not index:
            table *= self._certain(float(variance.mean()))
        table = np.interp(table, (0, NEARLY, WHOLE), (0, NEARLY, 1))
        place = _power(removed, variance)
        place *= np.float32((STEPS - 1) / MIDDLES[-1])
        np.minimum(place, STEPS - 1, out=place)
        share: Real = table.astype(np.float32)[place.astype(np.uint8)]
        share = box(share, WINDOW)
        share *= removed
        return share

    def table(self, index: int) -> Floats:
        """The share (STEPS,) of a plane's removed signal by the power that is removed around, if
        all of the measured variance is noise; all of it before any probe."""
        if index not in self._shares:
            return np.ones(STEPS)
        return np.interp(np.linspace(0, MIDDLES[-1], STEPS), MIDDLES, self._shares[index])

    def _certain(self, variance: float) -> float:
        """The share of the measured variance that is no texture."""
        return max(1 - self.texture / max(variance, LEAST), LEAST_CERTAIN)

    def values(self) -> dict[str, Any]:
        """All of it as JSON values, for `of`."""
        shares = {index: one.tolist() for index, one in self._shares.items()}
        return {"texture": self.texture, "looks": self.looks, "shares": shares}

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Shrinkage":
        """Shares from the output of `values`."""
        shares = {int(index): np.array(one) for index, one in values["shares"].items()}
        return cls(float(values["texture"]), int(values["looks"]), shares)


def _power(removed: Real, variance: Real) -> Real:
    """Around every sample, the power that is removed in units of the noise's."""
    power = power_around(removed, WINDOW)
    power /= np.maximum(box(variance, WINDOW), LEAST)
    return power


def _shares_of(removed: Real, response: Real, added: Real, variance: Real) -> Floats:
    """Of every class: the covariance of what is removed with its noise, over its own variance."""
    classes = np.digitize(_power(removed, variance), EDGES).ravel()
    count = len(MIDDLES)

    def total(values: Real) -> Floats:
        sums: Floats = np.bincount(classes, values.ravel(), count).astype(np.float64)
        return sums

    follows, strength = total(response * added), total(np.square(added))
    noise, power = total(variance), total(np.square(removed))
    whole = _share(follows.sum(), strength.sum(), noise.sum(), power.sum())
    own = _share(follows, strength, noise, power)  # added noise was rounded: a little stronger
    places = np.bincount(classes, minlength=count).astype(np.float64)
    shares: Floats = (own * places + whole * PRIOR) / (places + PRIOR)
    return shares


def _share(follows: Floats, strength: Floats, noise: Floats, power: Floats) -> Floats:
    covariance = follows / np.maximum(strength, LEAST) * noise
    shares: Floats = np.clip(covariance / np.maximum(power, LEAST), 0, 1)
    return shares
