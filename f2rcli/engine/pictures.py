"""The different pictures of a stream: fields, runs of frames that show the same, and back."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, groupby, repeat, takewhile
from typing import NamedTuple

import numpy as np

from f2rcli.frames import ClipInfo, Frame, Singles, is_even, same_samples
from f2rcli.noise.bound import BLOCK, bent, mean
from f2rcli.samples.defects import SetAside, all_aside, put_back, searches
from f2rcli.window import look_of, same_shot, with_next

Copies = list[Frame]  # every frame that shows one picture

LONGEST_REPEAT = 64  # copies of one picture that wait for the next; more start a shot of their own

# Times the noise of frames around, that a codec's copy of a picture differs from it by at most: in
# 95 of 100 blocks, and in any. Of 192 coded clips (4 filmed, 8 codecs; every second frame of half
# of them a copy) nothing else is taken for one. With noise of 10 codes 4 of 280 copies are missed,
# and all 40 of a codec that left none of it (x264 at crf 32); with noise of 3 most are.
MOSTLY, ANYWHERE = 0.5, 1.0
AROUND = 3  # frames on either side of a copy that tell their noise
PART = 4  # rows of blocks, of which one is looked at: only of copies the rest


def unique(frames: Iterable[Frame], *, prompt: bool = False) -> Iterator[Copies]:
    """Runs of frames that show the same picture, as lists: with the same samples or, unless results
    may not wait, with what a codec made of the same. A copy has its original's noise: it teaches
    nothing as a neighbour, and gets its original's result. So does a frame of a stack in which
    nothing was recorded, but that it comes back as stored: a channel may have been taken at every
    second time point. Invalid samples have been set aside."""
    run = list[Frame]()
    for frame, copied in zip(frames, repeat(False)) if prompt else with_copies(frames):
        if run and len(run) < LONGEST_REPEAT:
            same = copied or same_samples(run[0], frame)
            if same or (frame.layout.levels is not None and all(map(is_even, frame.planes))):
                own = frame if same else all_aside(frame)
                run.append(replace(own, planes=run[0].planes))
                continue
        if run:
            yield run
        run = [frame]
    if run:
        yield run


class Step(NamedTuple):
    """From one frame to the next: what a part of luma differs by, in codes."""

    frame: Frame
    begins: bool = True  # whether a shot does, as far as the frame before tells
    blocks: Singles = np.zeros((1, 1), np.float32)  # (R, C), root mean squares
    noise: float = 0.0  # the same of the finest detail, in a quarter of the blocks

    @classmethod
    def of(cls, frame: Frame, before: Frame) -> "Step":
        """From the frame before, of one shot."""
        apart = _apart(frame, before, PART)
        return cls(frame, False, _rms(apart), float(np.quantile(_rms(bent(apart)), 0.25)))


def _apart(frame: Frame, before: Frame, step: int = 1) -> Singles:
    """What luma differs by, in whole blocks of every so many rows of them."""
    height, width = (size // BLOCK * BLOCK for size in frame.planes[0].shape)
    first, second = (
        one.planes[0][:height, :width].reshape(-1, BLOCK, width)[::step].reshape(-1, width)
        for one in (frame, before)
    )
    return np.subtract(first, second, dtype=np.float32)


def _rms(apart: Singles) -> Singles:
    return np.sqrt(mean(apart * apart, BLOCK))


def _hardly_differs(blocks: Singles, noise: float) -> bool:
    mostly = float(np.quantile(blocks, 0.95)) < MOSTLY * noise
    return mostly and float(blocks.max()) < ANYWHERE * noise


def with_copies(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Frames of a lane, each with whether it is the one before as a codec wrote it again: hardly
    anything differs, though between some frames around, before and after, noise does. Of sensors'
    counts, which no codec wrote, and of pictures with alpha none is."""
    source = iter(frames)
    for first in source:
        layout = first.layout
        if layout.keeps_means or layout.alpha or min(first.planes[0].shape) < BLOCK:
            yield from zip(chain([first], source), repeat(False))
        else:
            yield from _with_copies(chain([first], source))


def _with_copies(frames: Iterator[Frame]) -> Iterator[tuple[Frame, bool]]:
    before = list[float]()  # noise
    last: Frame | None = None
    for step, following in with_next(_steps(frames), AROUND):
        after = [one.noise for one in takewhile(lambda one: not one.begins, following)]
        noise = min((max(side) for side in (before, after) if side), default=0.0)
        copied = not step.begins and _hardly_differs(step.blocks, noise)
        if copied and last is not None:  # the rest of it as well
            copied = _hardly_differs(_rms(_apart(step.frame, last)), noise)
        yield step.frame, copied
        before, last = [] if step.begins else [*before, step.noise][-AROUND:], step.frame


def _steps(frames: Iterator[Frame]) -> Iterator[Step]:
    before: tuple[Frame, Singles] | None = None
    for frame in frames:
        look = look_of(frame)
        shot = before is not None and same_shot(before[1], look)
        yield Step.of(frame, before[0]) if before is not None and shot else Step(frame)
        before = frame, look


def to_measure(frames: Iterable[Frame], info: ClipInfo) -> Iterator[Copies]:
    """The frames to measure noise on: runs of `unique`, first lane; one field if interlaced."""
    _, lane = next(groupby(frames, key=lambda frame: frame.lane), (0, iter(())))
    if info.interlaced and info.height >= 4:
        lane = map(partial(one_field, 0), lane)
    return unique(search() for search in searches(lane))


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
