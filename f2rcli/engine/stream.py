"""The whole story: frames in, denoised frames out, one for one, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby, islice
from typing import NamedTuple

import numpy as np

from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.listening import NoiseWatch
from f2rcli.engine.loaded import Engine, EngineSettings, Prediction, load_engine
from f2rcli.fan import fanned
from f2rcli.frames import ClipInfo, Frame
from f2rcli.engine.residual import Beside
from f2rcli.methods.base import Method, Moving, Prepared, Restored
from f2rcli.noise import NoiseModel
from f2rcli.window import Window, windows

__all__ = [
    "Engine",
    "EngineSettings",
    "Prediction",
    "denoise_stream",
    "estimate_noise",
    "load_engine",
    "restore_stream",
]

PREROLL = 6  # unique frames looked at before the first is written
LONGEST_REPEAT = 64  # copies of one picture that wait for the next; more start a shot of their own


def denoise_stream(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> Iterator[Frame]:
    """Restore every frame, yielding one for each that comes in, in order, with its own time.

    Lanes are clips of their own, with their own noise. Holds one window of frames, two at most
    for interlaced clips, whose fields go separate ways.
    """
    if engine.settings.strength == 0:
        yield from frames
        return
    for _, lane in groupby(frames, key=lambda frame: frame.lane):
        for frame in _denoise_lane(lane, info, engine):
            yield frame
        if engine.noise is not None:
            engine.heard.append((frame.layout, engine.noise))


def _denoise_lane(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> Iterator[Frame]:
    if not info.interlaced or info.height < 4:
        yield from restore_stream(frames, engine)
    else:
        first, second = fanned(frames, 2)
        top = restore_stream((one_field(frame, 0) for frame in first), engine)
        bottom = restore_stream((one_field(frame, 1) for frame in second), engine)
        for upper, lower in zip(top, bottom, strict=True):
            yield _woven(upper, lower)


def restore_stream(
    frames: Iterable[Frame], engine: Engine, watch: Callable[[Restored], None] | None = None
) -> Iterator[Frame]:
    """Every frame restored. `watch` is given all estimates of each that is no copy of the one
    before; those of sensor values as networks see them (`Stabiliser`)."""
    method = engine.new_method()
    pictures = unique(frames)
    opening = deque(islice(pictures, PREROLL))
    if not opening:
        return
    noise = NoiseWatch(engine, opening[0][0].layout)
    noise.measure_opening([copies[0] for copies in opening])
    count = 0
    for window in windows(
        _ready(chain(_emptied(opening), pictures), method, engine, noise), method.length, _joined
    ):
        count += 1
        yield from _restored(window, method, engine, noise, watch)
    if count < method.length:
        few = f"{count} different frame{'s'[: count != 1]}"
        engine.note(f"{few}, though windows hold {method.length}: less is taken out")


def _restored(
    window: Window["_Entry"],
    method: Method,
    engine: Engine,
    noise: NoiseWatch,
    watch: Callable[[Restored], None] | None,
) -> list[Frame]:
    """A window's centre, and its copies. A function of its own: no picture outlives it."""
    prepared, copies = window.centre.prepared, window.centre.copies
    view = Window(
        prepared,
        tuple(item.prepared for item in window.before),
        tuple(item.prepared for item in window.after),
    )
    restored = method.restore(view, noise.model)
    shown = (*window.before, window.centre, *window.after)
    noise.refresh(method, view, [item.copies[0] for item in shown])
    if watch is not None:
        watch(restored)
    # the picture is what networks saw, unless they saw it through something
    picture = prepared.noisy if noise.space is None else engine.to_tensor(copies[0])
    change = noise.back(restored.refined) - picture
    change *= min(engine.settings.strength, 1.0)
    done = engine.to_frame(copies[0], picture, change, _beside(window, method))
    return [done, *(replace(copy, planes=done.planes) for copy in copies[1:])]


def _beside(window: Window["_Entry"], method: Method) -> Beside:
    """The frames right before and after a window's centre, with the motion that is known."""
    near = (*window.before[-1:], *window.after[:1])
    centre = window.centre.prepared
    flows = (
        method.motion(centre, entry.prepared) if isinstance(method, Moving) else None
        for entry in near
    )
    return Beside(tuple(entry.copies[0] for entry in near), tuple(flows))


def estimate_noise(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> NoiseModel | None:
    """The noise of a clip from its first frames; None where they hold too little evidence."""
    _, frames = next(groupby(frames, key=lambda frame: frame.lane), (0, iter(())))
    if info.interlaced and info.height >= 4:
        frames = (one_field(frame, 0) for frame in frames)
    opening = [copies[0] for copies in islice(unique(frames), PREROLL)]
    if not opening:
        return None
    noise = NoiseWatch(engine, opening[0].layout)
    noise.measure_opening(opening)
    return noise.measured


def _emptied(items: deque[list[Frame]]) -> Iterator[list[Frame]]:
    while items:  # nothing stays behind once it is taken
        yield items.popleft()


class _Entry(NamedTuple):
    """A picture in the window: every frame that shows it, and what was prepared of it."""

    copies: list[Frame]
    prepared: Prepared
    look: Thumbnail
    fresh: bool  # False: the same picture as the entry before, after too many copies


def _joined(before: _Entry, after: _Entry) -> bool:
    return after.fresh and same_shot(before.look, after.look)


def unique(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Runs of frames with the same samples, as lists. A copy has its original's noise: it teaches
    nothing as a neighbour, and gets its original's result."""
    run: list[Frame] = []
    for frame in frames:
        if run and len(run) < LONGEST_REPEAT and _same_samples(run[0], frame):
            run.append(replace(frame, planes=run[0].planes))
            continue
        if run:
            yield run
        run = [frame]
    if run:
        yield run


def _same_samples(a: Frame, b: Frame) -> bool:
    return all(
        p is q or (p.shape == q.shape and bool(np.array_equal(p, q)))
        for p, q in zip(a.planes, b.planes, strict=True)
    )


def _ready(
    pictures: Iterable[list[Frame]], method: Method, engine: Engine, noise: NoiseWatch
) -> Iterator[_Entry]:
    previous: Frame | None = None
    for index, copies in enumerate(pictures):
        fresh = previous is None or not _same_samples(previous, copies[0])
        seen = noise.into(engine.to_tensor(copies[0]))
        prepared = method.prepare(index, seen, noise.model)
        engine.calls["coarse"] = engine.calls.get("coarse", 0) + 1
        yield _Entry(copies, prepared, thumbnail(prepared.luma), fresh)
        previous = copies[0]


def one_field(frame: Frame, parity: int) -> Frame:
    """Every second row of a frame, starting with row `parity`: one of the two moments it holds."""
    return replace(frame, planes=tuple(plane[parity::2] for plane in frame.planes))


def _woven(upper: Frame, lower: Frame) -> Frame:
    """A frame from its two fields."""
    planes = []
    for top, bottom in zip(upper.planes, lower.planes, strict=True):
        plane = np.empty((top.shape[0] + bottom.shape[0], top.shape[1]), top.dtype)
        plane[0::2], plane[1::2] = top, bottom
        planes.append(plane)
    return replace(upper, planes=tuple(planes))
