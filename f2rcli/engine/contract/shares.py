"""The share of a method's removed signal that is noise, learnt by probing the method.

Beside faint noise a network takes out as much texture as noise, and no test of power can tell one
from the other. Stein's unbiased risk estimate can: some more noise like the measured one is added
to a frame, and what of it the method removes says how closely the removed signal follows noise
(Monte-Carlo SURE: Ramani, Blu and Unser, IEEE TIP 2008). Removing that share, and no more, has the
least squared error. Places are told apart by how much is removed around them: flat areas, faint
texture and edges have shares of their own (DESIGN.md D48). Worth 0.3 to 0.4 dB of luma at sigma 1
to 4 (four filmed clips, `lite`); beyond, see `WEAK8`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.limits import LEAST, Terms
from f2rcli.engine.planes_store import Groups
from f2rcli.frames import Floats
from f2rcli.methods.base import Prepared
from f2rcli.models.filters import box
from f2rcli.models.recorded import as_constant
from f2rcli.window import Window

WINDOW = 15  # samples, over which power is counted
# Classes of places: the power that is removed around them, in units of the noise's.
EDGES = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3)
MIDDLES = (0.03, 0.075, 0.15, 0.25, 0.375, 0.525, 0.7, 0.9, 1.15, 1.5)
PRIOR = 2000.0  # samples that the share of a whole plane counts as, in each class
# A share this close to all of it is all: the law may say a little too little, and what flat areas
# would keep of their noise shows.
NEARLY, WHOLE = 0.85, 0.93
FIRST_LOOKS = 2  # each replaces the one before: the first window has frames on one side only
LEARN_EVERY = 48  # frames
STEPS = 256  # of a table


@dataclass
class NoiseShares:
    """The share of noise in what a method removes, by plane and class of places, of one stream."""

    looks: int = 0  # how often it was learnt
    by_plane: list[list[float]] = field(default_factory=list)  # one number a class

    def due(self, view: Window[Prepared]) -> bool:
        """Whether to learn from this window's centre: from the first, from the first with as many
        frames before it as after it, and every LEARN_EVERY frames."""
        if self.looks < FIRST_LOOKS:
            return not self.looks or len(view.before) >= len(view.after) > 0
        index = view.centre.index
        return index > 0 and index % LEARN_EVERY == 0

    def learn(self, removed: Groups, again: Groups, added: Groups, variances: Groups) -> None:
        """Learn from a frame's groups: what is `removed` of it and, with noise `added`, `again`."""
        self.looks += 1
        found = [
            _shares_of(*(one.cpu().numpy() for one in planes))
            for parts in zip(removed, again, added, variances, strict=True)
            for planes in zip(*(torch.unbind(part) for part in parts), strict=True)
        ]
        if self.by_plane and self.looks > FIRST_LOOKS:
            found = [
                np.array(old) + 0.3 * (new - old)  # a new look counts as so much
                for old, new in zip(self.by_plane, found, strict=True)
            ]
        self.by_plane = [one.tolist() for one in found]

    def tables(self, terms: Terms, like: Tensor) -> Groups:
        """Per group, the share (P, STEPS) by the power removed around; none before any look."""
        if not self.by_plane:
            return []
        steps = np.linspace(0, MIDDLES[-1], STEPS)
        rows = [np.interp(steps, MIDDLES, one) for one in self.by_plane]
        parts = (tuple(np.concatenate(rows[part]).tolist()) for part in terms.parts)
        return [as_constant(part, like).view(-1, STEPS) for part in parts]


def shrunk(removed: Tensor, variance: Tensor, table: Tensor) -> Tensor:
    """The part of what is removed from a group that follows noise of this variance; table (P,
    STEPS): see `NoiseShares.tables`."""
    steep = NEARLY + (table - NEARLY) * ((1 - NEARLY) / (WHOLE - NEARLY))
    table = torch.maximum(table, steep).clamp_max_(1)
    place = box(removed.square(), WINDOW) / box(variance, WINDOW).clamp_min_(LEAST)
    place = place.mul_((STEPS - 1) / MIDDLES[-1]).clamp_(0, STEPS - 1).long()
    return box(table.gather(1, place.flatten(1)).view_as(removed), WINDOW) * removed


def _shares_of(removed: Floats, again: Floats, added: Floats, variance: Floats) -> Floats:
    """Of every class: the covariance of what is removed with its noise, over its own variance."""
    power, around = (
        box(torch.from_numpy(one)[None], WINDOW) for one in (np.square(removed), variance)
    )
    classes = np.digitize((power / around.clamp_min(LEAST))[0].numpy(), EDGES).ravel()
    count = len(MIDDLES)
    sums = [(again - removed) * added, np.square(added), variance, np.square(removed)]
    by_class = [np.bincount(classes, values.ravel(), count) for values in sums]
    whole = _share(*(one.sum() for one in by_class))
    own = _share(*by_class)  # added noise is weaker than the frame's
    places = np.bincount(classes, minlength=count).astype(np.float64)
    return (own * places + whole * PRIOR) / (places + PRIOR)


def _share(follows: Any, strength: Any, noise: Any, power: Any) -> Any:
    covariance = follows / np.maximum(strength, LEAST) * noise
    return np.clip(covariance / np.maximum(power, LEAST), 0, 1)
