"""An upper bound of a stream's noise as it goes on: the law measured at its start may not last.

After a cut, or once a camera has more light, noise may be far less than it was. What adjacent
frames differ by bounds it from above, at any time and for little.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.noise.places import drawn, places
from f2rcli.frames import Frame
from f2rcli.models.flow import Flow
from f2rcli.noise.measurement.blocks import Pair
from f2rcli.noise.measurement.bound import Bound, bounds_of, lowered
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise, picture_of

LOOK_EVERY = 4  # pictures
LOOK_BESIDE = 8  # the same beside a device, which is faster than its host looks
ROOM = 1.25  # times its ceiling that a law may be: two frames tell it less well than the opening
CODED_ROOM = 1.5  # the same where a codec leaves each frame another part of its noise
# Of the contrast of the frame before: below it a frame is looked at whatever its number, as noise
# fades with what it lies on.
FADING = 0.94


def fades(before: NDArray[np.float32], look: NDArray[np.float32]) -> bool:
    """Whether a frame is fainter than the one before, by small pictures of both."""
    return bool(look.std() < FADING * before.std())


def one_code(frame: Frame) -> bool:
    """Whether each plane of a frame holds one code alone: the end of a fade, which has no noise."""
    return all(plane.min() == plane.max() for plane in frame.planes)


def ceiling(frame: Frame, other: Frame, flow: Flow | None, noise: PlaneNoise) -> tuple[Bound, ...]:
    """Bounds of every plane's noise from a frame and an adjacent one. flow (H, W, 2); None: found
    here."""
    pair = Pair(picture_of(frame), picture_of(other))
    if flow is not None:  # not estimated again
        pair.flow = flow
    chroma = pair.before.chroma
    clipped = [noise.clipped and not (chroma and index) for index in range(len(noise.models))]
    bounds = bounds_of([pair], clipped, light=frame.layout.counts_light)
    if not noise.finest:
        return tuple(bounds)
    parts = enumerate(zip(noise.models, noise.finest, strict=True))
    there = [places(pair, plane, model, finest) for plane, (model, finest) in parts]
    if chroma:
        shape = pair.before.planes[1].shape
        there[1:] = [drawn(one, there[0], shape) for one in there[1:]]
    return tuple(replace(bound, places=one) for bound, one in zip(bounds, there, strict=True))


def below(noise: PlaneNoise, bounds: Sequence[Bound], *, coded: bool) -> PlaneNoise:
    """The noise of planes, lowered to ROOM times its ceiling where it lies above, and to what each
    place of the picture holds; the noise itself where neither lies below it.

    coded: whether a codec wrote the file. It copies blocks, so frames that hardly differ tell
    nothing, and colours only where there is less in luma, too: their noise is in few frames.
    """
    room = CODED_ROOM if coded else ROOM
    there = () if coded else tuple(bound.places for bound in bounds)
    if any(there):
        noise = replace(noise, places=there)
    if noise.uneven:  # the quietest places say nothing of the part that it is the law of
        return noise
    models: list[NoiseModel] = []
    for model, bound in zip(noise.models, bounds, strict=False):
        factors = np.minimum(room * bound.factors(model), 1)
        known = bool(factors.min() < 1)
        if coded:
            known &= bound.mean > 0 and (not models or models[0] is not noise.models[0])
        models.append(lowered(model, [factors], None) if known else model)
    if all(new is old for new, old in zip(models, noise.models, strict=False)):
        return noise
    return replace(noise, models=(*models, *noise.models[len(models) :]))
