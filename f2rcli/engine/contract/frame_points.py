"""Light of points given back in whole frames: of every plane, and of mosaics pixel by pixel."""

from collections.abc import Sequence

import cv2
import numpy as np

from f2rcli import sensor
from f2rcli.engine.contract.means import Real, mean_of, without_bias, written_of
from f2rcli.engine.contract.memory import resting
from f2rcli.engine.contract.points import Others, PointLosses
from f2rcli.engine.contract.residual import FrameContext
from f2rcli.engine.contract.terms import SPARSE
from f2rcli.frames import Family, Frame
from f2rcli.noise.planes import PlaneNoise, planes_of, whole_landing

AROUND_POINTS = 15  # samples of a colour, whose mean a point stands on


def corrected(
    changes: list[Real], frame: Frame, noise: PlaneNoise | None, context: FrameContext
) -> list[Real]:
    """The changes of a frame's planes, and of stacks and mosaics without a mean and with the
    light of points. noise: the law of every plane."""
    if not frame.layout.keeps_means:
        return changes
    changes = without_bias(changes, written_of(frame))
    points = None if context.past is None else context.past.points
    if points is None or noise is None:
        return changes
    return with_points(changes, frame, points, noise, context)


def with_points(
    changes: list[Real], frame: Frame, points: PointLosses, noise: PlaneNoise, context: FrameContext
) -> list[Real]:
    """Changes of a frame's planes with points' light given back and means kept; see
    `PointLosses`."""
    planes = planes_of(frame)
    variances = [
        np.square(noise.level(index, plane + change))
        for index, (change, plane) in enumerate(zip(changes, planes, strict=True))
    ]
    others = _others(planes, context)
    removed = [-change for change in changes]
    if frame.layout.family is Family.BAYER:  # a dim point shows on all colours together
        plane, taken, variance = (
            _woven(frame, part) for part in (_above(planes), removed, variances)
        )
        lost = points.lost(0, plane, taken, variance, others=_woven_others(frame, others))
        return (
            changes
            if lost is None
            else _added(changes, list(sensor.pack(lost, _pattern(frame))), frame)
        )
    parted = variances
    if context.tolerance is SPARSE:  # as each sample of a few electrons tells by itself
        parted = [np.square(noise.level(index, plane)) for index, plane in enumerate(planes)]
    parts = zip(planes, removed, variances, parted, others, strict=True)
    return _added(changes, [points.lost(index, *part) for index, part in enumerate(parts)], frame)


def _above(planes: list[Real]) -> list[Real]:
    side, edge = (AROUND_POINTS, AROUND_POINTS), cv2.BORDER_REFLECT
    return [plane - cv2.blur(plane, side, borderType=edge) for plane in planes]


def _others(planes: list[Real], context: FrameContext) -> list[Others | None]:
    """Each plane as other frames show it: the past where it stood still, the next frame where the
    flow leads, and more of them if the picture rests."""
    if context.tolerance is SPARSE:  # their noise is skewed
        return [None] * len(planes)
    assert context.past is not None
    memory = context.past.memory
    means, worths = (
        [plane.cpu().numpy() for group in groups for plane in group]
        for groups in (memory.means, memory.worths)
    )
    flow = (
        context.flows[-1] if context.flows and isinstance(context.flows[-1], np.ndarray) else None
    )
    still = flow is not None and float(resting(memory.motion)) > 0.5
    later = [planes_of(frame) for frame in context.later[: None if still else 1]]
    found: list[Others | None] = []
    for index, plane in enumerate(planes):
        total, frames = np.zeros_like(plane), np.zeros_like(plane)
        if means:
            frames = worths[index] - 1
            total = means[index] * worths[index] - plane
        move = None if flow is None else whole_landing(flow, plane.shape)
        for number, one in enumerate(later):
            total += one[index] if move is None or number else one[index].ravel().take(move)
            frames = frames + 1
        mean = np.divide(total, np.maximum(frames, 1), dtype=np.float32)
        found.append(Others(mean, frames) if frames.any() else None)
    return found


def _woven_others(frame: Frame, others: list[Others | None]) -> Others | None:
    known = [one for one in others if one is not None]
    if len(known) < len(others):
        return None
    means, frames = ([getattr(one, name) for one in known] for name in Others._fields)
    return Others(_woven(frame, _above(means)), _woven(frame, frames))


def _added(changes: list[Real], light: Sequence[Real | None], frame: Frame) -> list[Real]:
    """The changes of a frame's planes with light added to each, and their means kept."""
    return [
        change if one is None else change + (one - mean_of(one, own))
        for change, one, own in zip(changes, light, written_of(frame), strict=True)
    ]


def _woven(frame: Frame, planes: list[Real]) -> Real:
    """The planes of a mosaic, one value a pixel of the sensor."""
    return sensor.unpack(np.stack(planes), _pattern(frame), frame.planes[0].shape)


def _pattern(frame: Frame) -> str:
    if frame.layout.mosaic is None:
        raise ValueError("not a Bayer layout")
    return frame.layout.mosaic.pattern
