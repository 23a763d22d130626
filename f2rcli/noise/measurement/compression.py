"""The errors of lossy compression, as noise of a strength that the networks are given.

A codec rounds the transform of every block by a step, and what it rounds off looks like noise to a
network that has seen noise of that strength. Frames do not show it: a codec copies its errors from
frame to frame, so they hardly change where nothing moves. Its quantiser tells how strong they are,
and where that is not known (JPEG, or a file that was written anew since) the edges of its blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from f2rcli.frames import Frame, PlaneLayout
from f2rcli.noise.measurement.blocking import Blocking
from f2rcli.noise.model import NoiseModel, PlaneNoise

# Root mean square error of coded clips as a share of the quantiser's step, H.264 at crf 18 to 32
# and MPEG-4; less is told than serves best, because some scenes hold less error (DESIGN.md D57).
OF_STEP = 0.3
OF_EDGE = 1.7  # the same as multiples of the excess step at block edges: JPEG, all of it intra
# Of 255: no codec that leaves a picture leaves edges of MOST_EDGE8, while drawings on a grid of
# 8 pixels do.
MOST_EDGE8 = 6.0
LEAST8, MOST8 = 1.0, 12.0  # of 255: hardly an error, and the most that is told


@dataclass(frozen=True, slots=True)
class Compression:
    """The errors that compression left in a clip."""

    sigma: float  # their standard deviation, white - black = 1
    # By plane, whether it is the same everywhere, as the colours of gray film: no errors there.
    even: tuple[bool, ...] = ()
    blocking: Blocking | None = None  # the block edges that tell it; None: the quantiser does

    @property
    def sigma8(self) -> float:
        """Their standard deviation, of 255."""
        return 255 * self.sigma

    def exceeds(self, model: NoiseModel) -> bool:
        """Whether the errors are stronger than noise, the mean of its channels."""
        return self.sigma > fmean(model.sigma)

    def noise(
        self, planes: PlaneNoise, layout: PlaneLayout, channels: int
    ) -> tuple[NoiseModel, PlaneNoise]:
        """The errors as white noise of a picture's channels, and of planes whose own noise is this:
        where a plane is even, it keeps that."""
        errors = NoiseModel.gaussian(self.sigma, channels)
        law = PlaneNoise.of(errors, layout, clipped=planes.clipped)
        found = zip(law.models, planes.models, self.even, strict=False)
        return errors, replace(
            law, models=tuple(own if even else error for error, own, even in found)
        )

    def words(self) -> str:
        """Its meaning, for people."""
        if self.blocking is None:
            return f"compression left errors of about {self.sigma8:.1f} of 255, removed as noise"
        return f"{self.blocking.words()}, removed as noise of {self.sigma8:.1f}"


def compression_of(frames: Sequence[Frame], blocking: Blocking | None) -> Compression | None:
    """The coding errors of frames; None if hardly any. blocking: block edges of the clip's first
    frames."""
    steps = [frame.quantiser8 for frame in frames if frame.quantiser8]
    stated = OF_STEP * median(steps) if steps else 0.0
    shown = _shown8(blocking)
    sigma8 = min(max(stated, shown), MOST8)
    if sigma8 < LEAST8:
        return None
    planes = zip(*(frame.planes for frame in frames), strict=True)
    even = tuple(all(plane.min() == plane.max() for plane in same) for same in planes)
    return Compression(sigma8 / 255, even, blocking if shown > stated else None)


def own_share(frame: Frame, blocking: Blocking | None, sigma8: float) -> float:
    """The part of a clip's errors that a frame holds by its own step, no more than 1: encoders give
    some frames more bits, or all from some frame on. 1 where it does not say; sigma8: what was told
    of the clip, of 255."""
    if not frame.quantiser8:
        return 1.0
    own = max(OF_STEP * frame.quantiser8, _shown8(blocking))
    return min(own / sigma8, 1.0)


def _shown8(blocking: Blocking | None) -> float:
    """What block edges tell, of 255."""
    if blocking is None or blocking.edge8 > MOST_EDGE8:
        return 0.0
    return OF_EDGE * blocking.edge8
