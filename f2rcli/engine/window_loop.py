"""One window after the other: its centre restored, and held to the contract.

Two pictures of a stream at a time: networks restore one in a thread of their own while the next is
read, its motion found, and the one before written. Two threads that work on one picture each get
further than two in one convolution: flow, colour and the contract hardly use a second. Results come
in order, and bytes are those of one thread.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.limits import Terms, law_of, variances_by, without
from f2rcli.engine.contract.memory import Memory
from f2rcli.engine.contract.residual import FrameContext, Past
from f2rcli.engine.contract.shares import NoiseShares
from f2rcli.engine.device import use_threads
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import NoiseTracker, SeenLately
from f2rcli.engine.measuring import PREROLL
from f2rcli.engine.pictures import Copies
from f2rcli.engine.planes_store import Packing, grouped_planes
from f2rcli.frames import Frame, Singles, same_samples
from f2rcli.methods.base import Following, LazyFlow, Prepared
from f2rcli.models.filters import resized
from f2rcli.noise.following import as_grainy, grain
from f2rcli.noise.model import PlaneNoise, Shares, in_bands
from f2rcli.window import THUMBNAIL, Window, same_shot, thumbnail, windows, with_next

T = TypeVar("T")

# Of the noise, that is added to ask a method by. Shares are of its slope: as much again looks like
# texture to it where noise is coarse. With all of it two filmed clips with grain of 8 and 12 lost
# 0.9 dB of luma (`lite`); less than this gives 0.02 dB more, and nears bf16's rounding.
PROBE = 1 / 4

Motions = tuple[LazyFlow | None, ...]  # into the frames right beside a centre


class Worker:
    """Runs work in the caller's thread."""

    ahead = 0  # windows that may wait for networks: more than one would only hold more frames
    first_out = False  # whether one that is begun is finished before the next is begun

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Start a piece of work; what is returned gives its result once."""
        begun = [work()]
        return begun.pop

    def done(self, pieces: Iterable[Callable[[], T]]) -> Iterator[T]:
        """Results of the host's own pieces of work, one after the other."""
        return (piece() for piece in pieces)


HERE = Worker()


class DeviceWorker(Worker):
    """Starts work of a device, which goes on with it while its host writes the frame before and
    reads on; what the host does by itself is done in a thread beside, a frame ahead."""

    ahead = 1
    first_out = True

    def __init__(self, beside: ThreadPoolExecutor) -> None:
        self._beside = beside

    def done(self, pieces: Iterable[Callable[[], T]]) -> Iterator[T]:
        """See Worker."""
        ahead = with_next(map(self._beside.submit, pieces), 1)
        return (one.result() for one, _ in ahead)


class ThreadWorker(Worker):
    """Runs work in a thread of its own, in order; both threads then share the engine's threads."""

    ahead = 1

    def __init__(self, worker: ThreadPoolExecutor, engine: Engine) -> None:
        self._worker = worker
        self._engine = engine

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """See Worker; an error of the work comes where its result would."""
        if self._engine.lent is None:
            self._engine.lent = _half(self._engine)
            use_threads(self._engine.lent)
        begun = [self._worker.submit(work)]
        return lambda: begun.pop().result()  # pictures that are taken are let go


@contextmanager
def network_worker(engine: Engine) -> Iterator[Worker]:
    """A thread beside the caller's; the caller's own where the engine has only one, or a GPU, whose
    host looks ahead in a thread beside it unless results may not wait. No work is left running."""
    on_device = engine.torch_device.type != "cpu" or engine.store.away
    if engine.prompt if on_device else engine.threads < 2:
        yield HERE
        return
    if on_device:
        with ThreadPoolExecutor(1, "f2r-frames") as beside:
            yield DeviceWorker(beside)
        return
    half = _half(engine)
    with ThreadPoolExecutor(1, "f2r-networks", torch.set_num_threads, (half,)) as worker:
        try:
            yield ThreadWorker(worker, engine)
        finally:
            worker.shutdown(wait=False, cancel_futures=True)
            engine.lent = None


def _half(engine: Engine) -> int:
    """The threads of each of two that work beside each other."""
    return max(engine.threads // 2, 1)


@dataclass(slots=True)
class PreparedPicture:
    """A picture in the window: every frame that shows it, and what was prepared of it."""

    copies: Copies
    prepared: Prepared  # anew where the noise turns out to be another
    look: Singles
    grain: float  # see `grain`

    @property
    def context(self) -> bool:
        """Whether no frame that shows it is written: it is looked at before or after an excerpt."""
        return all(copy.context for copy in self.copies)


class Started(NamedTuple):
    """A window whose centre is being restored."""

    copies: Copies  # of the centre
    view: Window[Prepared]
    context: FrameContext
    restored: Callable[[], Tensor]  # waits
    asked: list[Any]  # what the method began, where it is to be asked on more noise; else nothing


@dataclass
class StreamState:
    """What the pictures to come depend on, once `done` of a stream have been restored."""

    done: int  # pictures
    first: int  # of them, the first that windows to come still hold
    told: dict[int, PlaneNoise]  # by index, of every picture since that is prepared
    noise: SeenLately
    past: Past
    method: tuple[int | None, dict[str, Tensor]]  # see `Method.remembered`


class Restorer:
    """A stream of pictures that is being restored: by its method, with what is known of its noise,
    and with all that is remembered of the pictures before."""

    def __init__(self, engine: Engine, noise: NoiseTracker, worker: Worker) -> None:
        self.engine, self.noise = engine, noise
        self.method = engine.new_method(noise.layout)
        self.worker = worker if isinstance(self.method, Following) else HERE
        self.packing = Packing(noise.layout, self.method.stride)
        self.past = Past(shares=self._new_shares())
        self.left = 0  # frames of the last picture that are not given out yet
        self.hurry = False  # whether nothing may be begun before what is begun is finished
        self.seen = 0  # pictures
        self._begin = 0  # index of the first
        self._told: dict[int, PlaneNoise] = {}
        self._done: tuple[int, int, Past] | None = None  # index of the last centre, of its oldest
        self._started = deque[Started]()  # windows that are begun and not finished

    def _new_shares(self) -> NoiseShares | None:
        """Shares of the noise there is now, yet to be learnt, where it is weak. A codec makes noise
        look weaker than what is left of it: shares of that mean nothing."""
        fits = isinstance(self.method, Following) and not self.engine.coded
        return NoiseShares() if fits and self.noise.weak else None

    # The loop: windows of pictures of one shot, each begun, and finished while the next is begun.

    def restored(self, found: Iterable[Window[PreparedPicture]]) -> Iterator[Copies]:
        """The centres of windows as they are restored, each with its copies."""
        started = self._started
        for window in found:
            ready = []
            if self.worker.first_out and not self.hurry and started:
                ready.append(self.finish(started.popleft()))
            started.append(self.start(window))
            # none is begun before the method has been asked on the last
            probes = not self.worker.first_out and started[-1].asked
            most = 0 if self.hurry or probes else self.worker.ahead
            yield from ready
            while len(started) > most:
                yield self.finish(started.popleft())
        while started:
            yield self.finish(started.popleft())

    def windows(self, pictures: Iterable[Copies]) -> Iterator[Window[PreparedPicture]]:
        """One window of prepared pictures around each."""
        return windows(map(self.prepare, pictures), self.method.length, _joined)

    def prepare(self, copies: Copies) -> PreparedPicture:
        """The next picture, as windows hold it."""
        frame = copies[0]
        prepared = self._prepared(frame, self.pass_by(copies))
        look = thumbnail(resized(prepared.look[0], THUMBNAIL)[0].cpu().numpy())  # small when copied
        return PreparedPicture(copies, prepared, look, grain(frame))

    def _prepared(self, frame: Frame, index: int) -> Prepared:
        told = self._told.setdefault(index, self.noise.told)
        return self.method.prepare(index, self._packed(self.engine.store.planes(frame)), told)

    def _packed(self, planes: list[Tensor]) -> Tensor:
        """A frame's planes (H, W) as networks see them, packed."""
        return self.packing.packed(self.noise.into(planes))

    def _changes(self, planes: list[Tensor], restored: Tensor) -> list[Tensor]:
        """What a restored packed picture changes in a frame's planes."""
        estimate = self.packing.planes(restored, [plane.shape for plane in planes])
        own = self.noise.back(estimate, planes)
        return [after - before for after, before in zip(own, planes, strict=True)]

    def _prepared_again(self, window: Window[PreparedPicture]) -> bool:
        """Prepare anew, of the centre and what follows, what was prepared with noise far from this,
        and all after it: for some frames after noise rises, networks would leave most of it."""
        now, shown = self.noise.told, (window.centre, *window.after)
        stale = [self.noise.another_level(self._told[p.prepared.index], now) for p in shown]
        if True not in stale:
            return False
        shown = shown[stale.index(True) :]
        self.method.forget_from(shown[0].prepared.index)
        for one in shown:
            self._told.pop(index := one.prepared.index)
            one.prepared = self._prepared(one.copies[0], index)
        return True

    def pass_by(self, copies: Copies) -> int:
        """Count a picture; returns its index in the clip."""
        if not self.seen:  # of an excerpt: noise is looked at when the whole run does
            self._begin = copies[0].index or 0
        self.seen += 1
        return self._begin + self.seen - 1

    def start(self, window: Window[PreparedPicture]) -> Started:
        """Let the worker restore a window's centre, if the method can part it from what follows."""
        if not window.before:
            self.past = replace(self.past, memory=Memory())  # a shot begins
        method = self.method
        begin = method.follow if isinstance(method, Following) else method.restore
        view = window.map(lambda one: one.prepared)
        begun: list[Any] = [begin(view, self.noise.told)]  # to be let go of
        motions = self._motions(window)  # known once the method has begun
        self._look(window, motions)
        if self._prepared_again(window):
            self.past = replace(self.past, shares=self._new_shares())
            view = window.map(lambda one: one.prepared)
            begun = [begin(view, self.noise.told)]
            motions = self._motions(window)
        restored: Callable[[], Tensor] = begun.pop
        asked = list[Any]()
        if isinstance(method, Following):
            shares = self.past.shares
            asked = begun.copy() if shares is not None and shares.due(view) else []
            work = partial(method.finish, view, self.noise.told, begun.pop())
            restored = self.worker.start(work)
        return Started(window.centre.copies, view, self._context(window, motions), restored, asked)

    def finish(self, started: Started) -> Copies:
        """A window's centre, and its copies. A function of its own: no picture outlives it."""
        view, (frame, *copies) = started.view, started.copies
        refined, context = started.restored(), started.context
        changes = self._changes(self.engine.store.planes(frame), refined)
        del refined
        if started.asked:
            self._probe(frame, view, started.asked.pop(), changes)
        done = self.engine.contract.to_frame(frame, changes, context)
        assert context.past is not None  # see `_context`
        first = view.items[0].index
        self._told = {index: told for index, told in self._told.items() if index >= first}
        self._done = view.centre.index, first, context.past
        return [done, *(replace(copy, planes=done.planes) for copy in copies)]

    def _context(self, window: Window[PreparedPicture], motions: Motions) -> FrameContext:
        """What is known besides a window's centre."""
        noise, past = self.noise.by_now(window.centre.copies[0]), self.past
        near = tuple(one.copies[0] for one in beside(window))
        most = max((one.grain for one in beside(window)), default=0.0)
        louder = window.centre.grain > most and not as_grainy(window.centre.grain, most)
        return FrameContext(noise, near, motions, past, louder=louder, rough=self.noise.rough)

    def _look(self, window: Window[PreparedPicture], motions: Motions) -> None:
        """Look at the noise of a centre, now and then, by the motion into its neighbours."""
        index, begins = window.centre.prepared.index, not window.before
        self.noise.follow_codec(index, [one.copies[0] for one in window.items])
        seen = (window.centre, *beside(window))
        grains = [one.grain for one in seen]
        opened = not index and len(window.items) >= PREROLL - 1  # with what its noise was read on
        if self.noise.looks(index, grains, begins=begins, opened=opened):
            # A device is not waited for: its host finds the motion in parts of the frames again.
            flows = [None if one is None or self.engine.store.away else one() for one in motions]
            self.noise.look([one.copies[0] for one in seen], flows, grains, begins=begins)

    def _motions(self, window: Window[PreparedPicture]) -> Motions:
        centre = window.centre.prepared
        return tuple(self.method.motion(centre, one.prepared) for one in beside(window))

    # Excerpts: pictures before it are restored, so that it shows the whole run's pixels.

    def excerpt(
        self, found: Iterable[Window[PreparedPicture]], *, begun: bool = False
    ) -> Iterator[Window[PreparedPicture]]:
        """The windows up to the last whose centre is written; begun: whether one has been, by
        another run."""
        for window in found:
            written = not window.centre.context
            if begun and not written:
                return
            begun = begun or written
            yield window

    # Where the noise is faint, the method is asked how it answers to more of it.

    def _probe(
        self, frame: Frame, view: Window[Prepared], begun: Any, changes: list[Tensor]
    ) -> None:
        """Learn from a window's centre, the `frame`, what was begun of it, and changes of its
        planes. Some more noise moves nothing: the motion stays."""
        method, store, shares = self.method, self.engine.store, self.past.shares
        told, noise = self.noise.told, self.noise.planes
        assert isinstance(method, Following)
        assert shares is not None  # see `start`
        layout, shown = frame.layout, store.groups(frame)
        terms = Terms(layout, noise.shares, noise.clipped)
        removed = [-group for group in grouped_planes(changes, layout)]
        variances = variances_by(law_of(noise, terms, shown), without(shown, removed), terms)
        planes, rng = store.planes(frame), np.random.default_rng(view.centre.index)
        levels = [variance.sqrt() for each in variances for variance in each]
        seen = [_noisier(*one, rng) for one in zip(planes, levels, noise.shares, strict=True)]
        centre = method.prepare(view.centre.index, self._packed(seen), told)
        restored = method.finish(Window(centre, view.before, view.after), told, begun)
        after = grouped_planes(self._changes(seen, restored), layout)
        added = without(grouped_planes(seen, layout), shown)
        shares.learn(removed, [-group for group in after], added, variances)

    # What a run that was killed goes on from (`engine.resuming`).

    def state(self) -> StreamState | None:
        """What the pictures to come depend on; None before the first is restored, while others are
        begun, and amid the copies of one."""
        if self._done is None or self._started or self.left:
            return None
        last, first, past = self._done
        return StreamState(
            last + 1 - self._begin, first - self._begin, self._told, self.noise.lately, past,
            self.method.remembered(),
        )  # fmt: skip

    def replayed(
        self, state: StreamState, pictures: Iterator[Copies],
        found: Iterator[Window[PreparedPicture]],
    ) -> Iterator[Copies]:  # fmt: skip
        """The pictures that were restored before, as they are. Those that windows to come hold are
        prepared as they were, and what was carried along is carried on. found: `windows` of these.
        """
        self.past, self._told = state.past, dict(state.told)
        self.noise.recall(state.noise)
        for copies in islice(pictures, state.first):
            self.pass_by(copies)
            yield copies
        for window in islice(found, state.done - state.first):
            yield window.centre.copies
            if window.centre.prepared.index == self._begin + state.done - 1:
                self.method.recall(window.map(lambda one: one.prepared), *state.method)

    def end(self) -> StreamState:
        """What is left to know once no picture is to come."""
        return StreamState(self.seen, self.seen, {}, self.noise.lately, Past(), (None, {}))


def beside(window: Window[T]) -> tuple[T, ...]:
    """What is right beside a window's centre."""
    return (*window.before[-1:], *window.after[:1])


def _joined(before: PreparedPicture, after: PreparedPicture) -> bool:
    """Whether two pictures in a row are of one shot; the same again, after many copies, is not."""
    same = same_samples(before.copies[0], after.copies[0])
    return not same and same_shot(before.look, after.look)


def _noisier(plane: Tensor, level: Tensor, shares: Shares, rng: np.random.Generator) -> Tensor:
    """A plane with `PROBE` of its noise added once more, cut off where the plane is."""
    noise = torch.from_numpy(in_bands(rng.standard_normal(plane.shape, np.float32), shares))
    return (plane + noise.to(plane) * level * PROBE).clamp_(plane.min(), plane.max())
