"""The whole story: frames in, denoised frames out, one for one, in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain, groupby, islice
from typing import NamedTuple

import torch

from f2rcli.engine.coarse import CoarseRemover
from f2rcli.engine.device import lent_threads, threads_given_back
from f2rcli.engine.dim import ALONE, CHOSEN_ON, Restore, chosen, dim, restored_in_sums
from f2rcli.engine.engine import Engine, load_engine
from f2rcli.engine.level import NoiseTracker
from f2rcli.engine.measuring import PREROLL, Opening, lit
from f2rcli.engine.pictures import Copies, given, one_field, to_measure, unique, woven
from f2rcli.engine.resuming import Marks
from f2rcli.engine.rows import LineRemover, remover_for
from f2rcli.engine.settings import EngineSettings, changes_nothing
from f2rcli.engine.window_loop import HERE, Restorer, Worker, network_worker
from f2rcli.frames import ClipInfo, Frame
from f2rcli.samples.defects import searches
from f2rcli.system import give_memory_back
from f2rcli.window import emptied, tee_releasing
from f2rcli.yuv import deepened

__all__ = ["Engine", "EngineSettings", "denoise_stream", "load_engine", "looked_ahead"]

OpeningFrames = Callable[[], Iterable[Frame]]  # of the whole clip; none where frames begin there


def denoise_stream(
    frames: Iterable[Frame], info: ClipInfo, engine: Engine, opening: OpeningFrames = tuple,
    marks: Marks | None = None, *, deepens: bool = False,
) -> Generator[Frame]:  # fmt: skip
    """Restore every frame, yielding one for each that comes in, in order, with its own time.

    Frames that are context are looked at and not given out. opening: gives the whole clip's first
    frames, which the noise is measured on, where `frames` begin elsewhere (`Reader.opening`).
    marks: where streams stand, of a run that can be gone on with (`RunRecord.marks`). deepens:
    whether results have 16 bits, see `deepened`; where nothing changes, frames stay as they are.

    Lanes are clips of their own. Holds one window of frames, two of interlaced clips' fields.
    """
    if changes_nothing(engine.settings):
        yield from (frame for frame in frames if not frame.context)
        return
    if deepens:
        frames, stored = map(deepened, frames), opening
        opening = lambda: map(deepened, stored())  # noqa: E731
    own, marks = torch.get_num_threads(), marks or Marks()
    source = _each(frames, lambda: threads_given_back(own, engine.lent or engine.threads))
    restored = _lanes(source, info, engine, opening, marks)
    try:
        yield from _each(restored, lambda: lent_threads(engine.lent or engine.threads))
    finally:
        with lent_threads(engine.lent or engine.threads):
            restored.close()
        give_memory_back()
    for line in engine.found.aside.lines():
        engine.found.note(line)


def _each(
    frames: Iterable[Frame], within: Callable[[], AbstractContextManager[None]]
) -> Iterator[Frame]:
    """Frames, each asked for within a context of its own."""
    source = iter(frames)
    while True:
        with within():
            frame = next(source, None)
        if frame is None:
            return
        yield frame


def _lanes(
    frames: Iterable[Frame], info: ClipInfo, engine: Engine, opening: OpeningFrames, marks: Marks
) -> Generator[Frame]:
    found = engine.found
    for found.lane, lane in groupby(frames, key=lambda frame: frame.lane):
        layout = None  # of no frame: a lane may hold context alone
        with network_worker(engine) as worker:
            for frame in _denoise_lane(lane, info, engine, opening, worker, marks):
                layout = frame.layout
                yield frame
        if layout is not None and found.noise is not None:
            found.lane_noise[found.lane] = layout, found.noise
    found.lane = None


def _denoise_lane(
    frames: Iterable[Frame], info: ClipInfo, engine: Engine, opening: OpeningFrames,
    worker: Worker, marks: Marks,
) -> Iterator[Frame]:  # fmt: skip
    if not info.interlaced or info.height < 4:
        yield from restore_stream(frames, engine, opening(), worker, marks)
        return
    halves = [partial(map, partial(one_field, parity)) for parity in range(2)]
    fields = [
        restore_stream(half(branch), engine, half(opening()), worker, marks)
        for half, branch in zip(halves, tee_releasing(frames, 2), strict=True)
    ]
    for upper, lower in zip(*fields, strict=True):  # each is asked to its end
        yield woven(upper, lower)


def restore_stream(
    frames: Iterable[Frame], engine: Engine, opening: Iterable[Frame] = (), worker: Worker = HERE,
    marks: Marks | None = None,
) -> Iterator[Frame]:  # fmt: skip
    """Every frame restored that is not context. See `denoise_stream`; worker: runs networks."""
    whole = begun(unique(HERE.done(searches(opening))), engine)
    start = begun(unique(worker.done(searches(frames)), prompt=engine.prompt), engine, whole)
    waiting, pictures, *_ = start
    if not waiting:
        return
    shown = whole if whole.waiting else start
    noise = _noise_of(shown, engine)
    way = ALONE
    if not engine.prompt and dim(shown.frames(PREROLL), noise.planes):  # photons are few
        way = chosen(shown.frames(CHOSEN_ON), noise, _restore(engine, noise, HERE))
    del whole, start, shown, opening  # which closes what was opened for it
    pictures = chain(emptied(waiting), pictures)
    if way.size == 1:
        yield from _restored(pictures, engine, noise, worker, marks or Marks())
        return
    restore = _restore(engine, noise, worker)
    for copies in restored_in_sums(pictures, way, engine, noise, restore):
        yield from given(copies, engine.found.aside)


def _noise_of(begin: "Begun", engine: Engine) -> NoiseTracker:
    """The noise of a stream that begins like this. Counts of a sensor behind a closed shutter tell
    no gain: it is read in the light that comes later, if that is soon."""
    opening = begin.frames(PREROLL)
    noise = NoiseTracker.of(engine, opening[0].layout, opening)
    if not noise.dark or engine.prompt:
        return noise
    return NoiseTracker.of(engine, noise.layout, lit(begin.frames(CHOSEN_ON))[:PREROLL])


def _restore(engine: Engine, noise: NoiseTracker, worker: Worker) -> Restore:
    """A restorer of pictures of floats whose noise is a known multiple of a stream's."""

    def restore(pictures: Iterable[Copies], factor: float) -> Iterator[Frame]:
        source = iter(pictures)
        copies = next(source, None)
        if copies is None:
            return iter(())
        other, even = engine.another(), noise.start.even
        if even is not None:
            even = even._replace(noise=even.noise.scaled(factor))
        start = Opening(noise.planes.scaled(factor), noise.start.found, even=even)
        known = NoiseTracker(other, copies[0].layout, start, noise.low)
        return _restored(chain([copies], source), other, known, worker, Marks())

    return restore


def _restored(
    pictures: Iterator[Copies], engine: Engine, noise: NoiseTracker, worker: Worker, marks: Marks
) -> Iterator[Frame]:
    """Every frame of pictures of known noise restored that is not context."""
    clip = Restorer(engine, noise, worker)
    yield from marks.restored(clip, pictures)
    seen = clip.seen + sum(1 for _ in pictures)  # the reader goes on to its end
    if seen < clip.method.length:
        few = f"{seen} different frame{'s'[: seen != 1]}"
        engine.found.note(f"{few}, where {clip.method.length} serve best: less noise is removed")


class Begun(NamedTuple):
    """A stream of different pictures of which the first wait, without lines and coarse noise."""

    waiting: deque[Copies]
    rest: Iterator[Copies]
    lines: LineRemover
    coarse: CoarseRemover

    def frames(self, count: int) -> list[Frame]:
        """The first so many, and more where they wait already; fewer where there are no more."""
        self.waiting.extend(islice(self.rest, max(count - len(self.waiting), 0)))
        return [copies[0] for copies in self.waiting]


def begun(pictures: Iterator[Copies], engine: Engine, whole: Begun | None = None) -> Begun:
    """The first pictures and the rest. whole: the clip's own beginning, if this is another."""
    waiting = deque(islice(pictures, PREROLL))
    if whole is None or not whole.waiting:
        lines = remover_for([copies[0] for copies in waiting], engine)
        coarse = CoarseRemover(
            engine, lambda small, first: restore_stream(small, engine.another(), first)
        )
    else:
        lines, coarse = whole.lines, whole.coarse
    pictures = coarse.corrected(lines.corrected(chain(emptied(waiting), pictures)))
    return Begun(deque(islice(pictures, PREROLL)), pictures, lines, coarse)


def looked_ahead(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> NoiseTracker | None:
    """A clip's noise as a run finds it in its first frames; None without frames. The engine counts
    in `aside` what is invalid there."""
    with lent_threads(engine.threads):
        begin = begun(to_measure(frames, info), engine)
        for frame in (opening := begin.frames(PREROLL)):
            engine.found.aside.add(frame.aside)
        return _noise_of(begin, engine) if opening else None
