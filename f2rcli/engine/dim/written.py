"""A dim stack through sums of its frames: each frame gets what they show, under the contract."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch

from f2rcli.engine.contract.limits import LEAST, Real
from f2rcli.engine.contract.past import Past
from f2rcli.engine.contract.points import Points
from f2rcli.engine.contract.residual import SPARSE, Beside
from f2rcli.engine.dim.sums import Copies, Estimated
from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.tracking import NoiseTracker
from f2rcli.frames import Frame
from f2rcli.noise.planes import planes_of
from f2rcli.samples.defects import put_back
from f2rcli.window import windows
from f2rcli.yuv import code_span

SURE = 2.5  # standard deviations: of 80 places of noise alone one has so much
WIDTHS = (3.0, 1.5)  # pixels, of places where light comes suddenly
SIDE = 9  # pixels, over which the noise is as strong


def written(
    estimates: Iterable[Estimated], engine: Engine, noise: NoiseTracker
) -> Iterator[Copies]:
    """Every picture with its estimate, as far as the residual contract allows; its copies are as
    they were but for their samples."""
    past = Past(points=Points())
    for window in windows(estimates, 3, lambda before, after: not after.shown.begins):
        frame = window.centre.shown.copies[0]
        if not window.before:
            past = Past(engine.new_steady(frame), past.points)
        engine.watch(past.steady, frame, noise.planes)
        adjacent = (*window.before[-1:], *window.after[:1])
        near = tuple(one.shown.copies[0] for one in adjacent)
        beside = Beside(
            near, (None,) * len(near), past.steady, noise.measured, noise.planes, past.points,
            slack=SPARSE,
        )  # fmt: skip
        yield _with(window.centre, engine, beside)


def _with(one: Estimated, engine: Engine, beside: Beside) -> Copies:
    frame = one.shown.copies[0]
    picture = engine.to_tensor(frame)
    black, span = code_span(frame.layout, chroma=False)
    estimate = np.asarray((one.planes[0] - black) / span, np.float32)
    if beside.noise is not None:
        variance = np.square(beside.noise.level(0, estimate))
        estimate += sudden(planes_of(frame)[0] - estimate, variance)
    seen = torch.from_numpy(estimate)[None, None]
    done = engine.to_frame(frame, picture, seen.to(picture.device) - picture, beside)
    return [done, *(replace(copy, planes=done.planes) for copy in one.shown.copies[1:])]


def given(pictures: Iterable[Copies], engine: Engine) -> Iterator[Frame]:
    """The frames of restored pictures that are no context, with what was set aside put back."""
    for copies in pictures:
        for frame in copies:
            if not frame.context:
                engine.aside.add(frame.aside)
                yield put_back(frame)


def sudden(missed: Real, variance: Real) -> Real:
    """What sums miss of a frame (H, W): light that comes or goes in places as wide as a cell, by so
    much that noise alone hardly ever does (a garrote: Gao, JCGS 1998).

    missed: the frame less its estimate; variance: of its noise.
    """
    found = np.zeros_like(missed)
    for width in WIDTHS:
        left = cv2.GaussianBlur(missed - found, (0, 0), width)
        chance = cv2.blur(variance, (SIDE, SIDE)) / np.float32(4 * np.pi * width**2)
        share = 1 - np.float32(SURE**2) * chance / np.maximum(np.square(left), LEAST)
        found += left * np.maximum(share, 0)
    return found
