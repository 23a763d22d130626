"""The different pictures of a stream: fields, runs of frames that show the same, and back."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np

from f2rcli.engine.worker import HERE, Worker
from f2rcli.frames import ClipInfo, Frame, is_blank, same_samples
from f2rcli.samples.defects import SetAside, all_aside, put_back, searches

Copies = list[Frame]  # every frame that shows one picture

LONGEST_REPEAT = 64  # copies of one picture that wait for the next; more start a shot of their own


def unique(frames: Iterable[Frame], worker: Worker = HERE) -> Iterator[Copies]:
    """Runs of frames with the same samples, as lists. A copy has its original's noise: it teaches
    nothing as a neighbour, and gets its original's result. So does a frame of a stack in which
    nothing was recorded, but that it comes back as stored: a channel may have been taken at every
    second time point. Invalid samples are set aside, by the worker."""
    run: list[Frame] = []
    for frame in worker.done(searches(frames)):
        if run and len(run) < LONGEST_REPEAT:
            same = same_samples(run[0], frame)
            if same or (frame.layout.levels is not None and is_blank(frame)):
                own = frame if same else all_aside(frame)
                run.append(replace(own, planes=run[0].planes))
                continue
        if run:
            yield run
        run = [frame]
    if run:
        yield run


def to_measure(frames: Iterable[Frame], info: ClipInfo) -> Iterator[Copies]:
    """The frames to measure noise on: runs of `unique`, first lane; one field if interlaced."""
    _, lane = next(groupby(frames, key=lambda frame: frame.lane), (0, iter(())))
    if info.interlaced and info.height >= 4:
        lane = map(partial(one_field, 0), lane)
    return unique(lane)


def wanted(copies: Copies) -> Iterator[Frame]:
    """The frames of a picture that are not context."""
    return (frame for frame in copies if not frame.context)


def given(copies: Copies, aside: SetAside) -> Iterator[Frame]:
    """The same of a restored picture, with what was set aside put back, and counted."""
    for frame in wanted(copies):
        aside.add(frame.aside)
        yield put_back(frame)


def one_field(parity: int, frame: Frame) -> Frame:
    """Every second row of a frame, starting with row `parity`: one of the two moments it holds."""
    return replace(frame, planes=tuple(plane[parity::2] for plane in frame.planes))


def woven(upper: Frame, lower: Frame) -> Frame:
    """A frame from its two fields."""
    planes = []
    for top, bottom in zip(upper.planes, lower.planes, strict=True):
        plane = np.empty((top.shape[0] + bottom.shape[0], top.shape[1]), top.dtype)
        plane[0::2], plane[1::2] = top, bottom
        planes.append(plane)
    return replace(upper, planes=tuple(planes))
