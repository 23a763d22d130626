"""The residual contract's account: what it gave back, in a few sums over a whole run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 64  # of a map, along its longer side at most


class Account(Protocol):
    """Sums that are kept elsewhere until they are read."""

    def into(self, returned: "Returned") -> None:
        """Add all sums to a `Returned`, and reset."""
        ...


@dataclass
class Returned:
    """The share of what a method removed that the contract gave back, over a run.

    Energies are sums of squares, so shares are of variance, not of amplitude.
    """

    _taken: list[float] = field(default_factory=list)  # energy by plane
    _back: list[float] = field(default_factory=list)
    _taken_map: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    _back_map: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    elsewhere: list[Account] = field(default_factory=list)

    def add(self, plane: int, taken: NDArray[np.float32], kept: NDArray[np.float32]) -> None:
        """Take in one plane of one frame.

        plane: its index in the file. taken, kept: (H, W) each, in units of the plane: what the
        method took out, and what of it stays out.
        """
        back = taken - kept
        self._count(plane, float(np.vdot(taken, taken)), float(np.vdot(back, back)))
        self._need_map(map_shape(*taken.shape))
        self._taken_map += _energy(taken, self._taken_map.shape)
        self._back_map += _energy(back, self._back_map.shape)

    def add_sums(
        self,
        by_plane: Mapping[int, tuple[float, float]],
        taken_map: NDArray[np.float64],
        back_map: NDArray[np.float64],
    ) -> None:
        """Take in energies taken out and given back, by plane and by place, of several frames."""
        for plane, (taken, back) in by_plane.items():
            self._count(plane, taken, back)
        self._need_map(taken_map.shape)
        if taken_map.shape == self._taken_map.shape:  # of a file whose pictures have one size
            self._taken_map += taken_map
            self._back_map += back_map

    def _count(self, plane: int, taken: float, back: float) -> None:
        while len(self._taken) <= plane:
            self._taken.append(0.0)
            self._back.append(0.0)
        self._taken[plane] += taken
        self._back[plane] += back

    def _need_map(self, shape: tuple[int, ...]) -> None:
        if not self._taken_map.size:
            self._taken_map, self._back_map = np.zeros(shape), np.zeros(shape)

    def _settle(self) -> None:
        for account in self.elsewhere:
            account.into(self)

    def values(self) -> dict[str, Any]:
        """All of it as JSON values, for `of`."""
        self._settle()
        maps = self._taken_map.tolist(), self._back_map.tolist()
        return {"taken": self._taken, "back": self._back, "maps": maps}

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Returned":
        """Shares from the output of `values`."""
        taken, back = ([float(v) for v in values[name]] for name in ("taken", "back"))
        maps = (np.array(rows, np.float64) for rows in values["maps"])
        taken_map, back_map = (one if one.size else np.zeros((0, 0)) for one in maps)
        return cls(taken, back, taken_map, back_map)

    @property
    def share(self) -> float:
        """Energy given back over energy taken out, of all planes, 0..1; 0 if nothing was taken."""
        self._settle()
        return _ratio(sum(self._back), sum(self._taken))

    @property
    def by_plane(self) -> tuple[float, ...]:
        """The share for each plane of the file, in its order."""
        self._settle()
        return tuple(_ratio(b, t) for b, t in zip(self._back, self._taken, strict=True))

    @property
    def places(self) -> NDArray[np.float64]:
        """(h, w), 0..1: the share of energy that was given back at each place, over all frames
        and planes; (0, 0) if nothing was seen."""
        self._settle()
        some = self._taken_map > 0
        shares = np.divide(
            self._back_map, self._taken_map, out=np.zeros_like(self._back_map), where=some
        )
        return np.minimum(shares, 1.0)


def _ratio(back: float, taken: float) -> float:
    return min(back / taken, 1.0) if taken > 0 else 0.0


def map_shape(height: int, width: int) -> tuple[int, int]:
    """At most CELLS per side, in the plane's own proportions."""
    step = max(1.0, max(height, width) / CELLS)
    return max(1, round(height / step)), max(1, round(width / step))


def _energy(values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The energy of a plane (H, W) in each cell of a map. Planes of other sizes share the map."""
    density = cv2.resize(values * values, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return density.astype(np.float64) * (values.size / (shape[0] * shape[1]))
