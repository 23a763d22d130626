"""The different pictures of a stream: runs of frames with the same samples."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from f2rcli.engine.fields import one_field
from f2rcli.engine.worker import Worker
from f2rcli.frames import ClipInfo, Frame, same_samples
from f2rcli.samples.defects import searches

LONGEST_REPEAT = 64  # copies of one picture that wait for the next; more start a shot of their own


def unique(frames: Iterable[Frame], worker: Worker | None = None) -> Iterator[list[Frame]]:
    """Runs of frames with the same samples, as lists. A copy has its original's noise: it teaches
    nothing as a neighbour, and gets its original's result. Invalid samples are set aside, by the
    worker if there is one."""
    run: list[Frame] = []
    for frame in (Worker() if worker is None else worker).done(searches(frames)):
        if run and len(run) < LONGEST_REPEAT and same_samples(run[0], frame):
            run.append(replace(frame, planes=run[0].planes))
            continue
        if run:
            yield run
        run = [frame]
    if run:
        yield run


def to_measure(frames: Iterable[Frame], info: ClipInfo) -> Iterator[list[Frame]]:
    """The frames to measure noise on: runs of `unique`, first lane; one field if interlaced."""
    _, lane = next(groupby(frames, key=lambda frame: frame.lane), (0, iter(())))
    if info.interlaced and info.height >= 4:
        lane = (one_field(frame, 0) for frame in lane)
    return unique(lane)
