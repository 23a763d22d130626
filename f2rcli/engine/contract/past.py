"""The residual contract's memory from frame to frame."""

from collections.abc import Callable
from dataclasses import dataclass, field

from f2rcli.engine.contract.points import PointLosses
from f2rcli.engine.contract.shrinkage import Shrinkage
from f2rcli.engine.contract.steady import Steady
from f2rcli.engine.gpu.steady import DeviceSteady
from f2rcli.noise.measurement.bound import Bound


@dataclass
class Past:
    """The memory of one shot; `points` is shared by all shots of a clip."""

    steady: Steady | DeviceSteady = field(default_factory=Steady)
    points: PointLosses | None = None  # of a sensor's counts only: light is measured in them
    shrinkage: Shrinkage | None = None  # where the noise is faint: little else is removed then
    bounds: tuple[Bound, ...] = ()  # of the noise by now, see `ceiling`; empty: nobody has looked
    # By index of the picture: looks that the host has begun beside a device; each waits.
    looks: dict[int, Callable[[], tuple[Bound, ...]]] = field(default_factory=dict)
