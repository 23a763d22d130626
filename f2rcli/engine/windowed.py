"""One window after the other: its centre restored, and held to the contract."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor

from f2rcli.engine.contract.residual import STRICT, FrameContext, Past
from f2rcli.engine.contract.shares import NoiseShares
from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.ceiling import LOOK_BESIDE, LOOK_EVERY, below, ceiling, fades, one_code
from f2rcli.engine.noise.tracking import REFRESH_EVERY, NoiseTracker
from f2rcli.engine.packing import Packing
from f2rcli.engine.probing import ResponseProbe, changes_of
from f2rcli.engine.resuming.marks import Mark
from f2rcli.engine.worker import Worker
from f2rcli.frames import Frame, same_samples
from f2rcli.methods.base import Following, LazyFlow, Method, Prepared, Restored
from f2rcli.models.flow import Flow
from f2rcli.noise.planes import PlaneNoise
from f2rcli.noise.told import Told
from f2rcli.window import Window

# Of frames that are restored before an excerpt though nothing stands still.
QUICK_PIXELS = 1_000_000


class PreparedPicture(NamedTuple):
    """A picture in the window: every frame that shows it, and what was prepared of it."""

    copies: list[Frame]
    prepared: Prepared
    look: Thumbnail
    fresh: bool  # False: the same picture as the entry before, after too many copies


class Started(NamedTuple):
    """A window whose centre is being restored."""

    window: Window[PreparedPicture]
    view: Window[Prepared]
    motions: tuple[LazyFlow | None, ...]  # into the frames right beside the centre
    past: Past
    restored: Callable[[], Restored]  # waits


class Restorer(NamedTuple):
    """A method on one stream of frames, with what is known of its noise."""

    method: Method
    engine: Engine
    noise: NoiseTracker
    worker: Worker
    watch: Callable[[Restored], None] | None  # given all estimates of each centre
    packing: Packing

    @property
    def probe(self) -> ResponseProbe:
        """The probe of the method's response to noise."""
        return ResponseProbe(self.method, self.engine, self.noise, self.packing)

    def entries(self, pictures: Iterable[list[Frame]], mark: Mark) -> Iterator[PreparedPicture]:
        """Pictures of the stream as windows hold them."""
        previous: Frame | None = None
        for number, copies in enumerate(pictures, mark.passed):
            if not number:  # of an excerpt: noise is measured again when the whole run does
                mark.begin = copies[0].index or 0
            index = mark.begin + number
            fresh = previous is None or not same_samples(previous, copies[0])
            previous = copies[0]
            yield self._prepared(
                copies, index, mark.conditioned(index, self.noise.told), fresh=fresh
            )

    def _prepared(
        self, copies: list[Frame], index: int, given: Told | None, *, fresh: bool
    ) -> PreparedPicture:
        """A function of its own: no picture is held while the next one is waited for."""
        planes = self.noise.into(self.engine.planes(copies[0]))
        prepared = self.method.prepare(index, self.packing.packed(planes), given)
        look = thumbnail(prepared.luma)
        return PreparedPicture(copies, prepared.without_luma(), look, fresh)

    def start(self, window: Window[PreparedPicture], past: Past) -> Started:
        """Let the worker restore a window's centre, if the method can part it from what follows."""
        view, told, method = view_of(window), self.noise.told, self.method
        if isinstance(method, Following):
            followed = method.follow(view, told)
            restored = self.worker.start(partial(method.finish, view, told, followed))
        else:
            begun = [method.restore(view, told)]  # whose motion is known from then on
            restored = begun.pop
        near = (*view.before[-1:], *view.after[:1])
        motions = tuple(method.motion(view.centre, frame) for frame in near)
        if self.engine.away:
            self._look(window, past)
        return Started(window, view, motions, past, restored)

    def finish(self, started: Started, missed: int = 0) -> list[Frame]:
        """A window's centre, and its copies; missed: how often the whole run has measured the noise
        before an excerpt. A function of its own: no picture outlives it."""
        window, view, noise = started.window, started.view, self.noise
        copies = window.centre.copies
        restored = started.restored()
        near = _near(window)
        flows = tuple(None if motion is None else motion() for motion in started.motions)
        planes = self._by_now(started, flows)
        # after networks have run: what it leaves for the contract takes memory
        self.engine.watch(started.past, copies[0], planes, flows)
        noise.refresh(view, _shown(window), missed)
        if self.watch is not None:
            self.watch(restored)
        refined = restored.refined
        del restored  # what is not written need not wait for what is
        changes = self.changes(copies[0], refined)
        del refined
        past = started.past
        if past.shares is not None and self.probe.due(view, past.shares):
            self.probe.ask(past.shares, copies[0], view, changes)
        context = FrameContext(
            tuple(entry.copies[0] for entry in near), flows, past, planes,
            later=tuple(entry.copies[0] for entry in window.after),
        )  # fmt: skip
        done = self.engine.to_frame(copies[0], changes, context)
        return [done, *(replace(copy, planes=done.planes) for copy in copies[1:])]

    def changes(self, frame: Frame, restored: Tensor) -> list[Tensor]:
        """What a restored packed picture changes in a frame's planes."""
        return changes_of(self.engine.planes(frame), restored, self.noise, self.packing)

    def _by_now(self, started: Started, flows: Sequence[Flow | Tensor | None]) -> PlaneNoise | None:
        """The noise of a centre's planes, no more than frames beside it allow now and then."""
        noise, past, window = self.noise, started.past, started.window
        if noise.planes is None or noise.declared or noise.sensor:
            return noise.planes
        centre = window.centre.copies[0]
        if (look := past.looks.pop(window.centre.prepared.index, None)) is not None:
            past.bounds = look()
        elif (
            (self._due(window.centre, past, LOOK_EVERY) or _fades(window))
            and not noise.compressed
            and flows
            and isinstance(flows[-1], np.ndarray)
        ):
            other = _near(window)[-1].copies[0]
            past.bounds = ceiling(centre, other, flows[-1], noise.planes)
        return self._held(centre, past)

    def _due(self, picture: PreparedPicture, past: Past, every: int) -> bool:
        """Whether frames beside a picture are asked for what its noise is at most."""
        noise = self.noise
        known = noise.planes is None or noise.declared or noise.sensor or noise.compressed
        return not known and (not past.bounds or picture.prepared.index % every == 0)

    def _look(self, window: Window[PreparedPicture], past: Past) -> None:
        """Have the host look at pictures in a window beside the device, so that most looks are done
        once their picture is the centre. Which pictures depends on nothing but their index."""
        pairs = list(pairwise((window.centre, *window.after)))
        pairs = pairs or [(window.centre, one) for one in window.before[-1:]]
        for one, other in pairs[:1] if not past.bounds else pairs:
            index = one.prepared.index
            if index not in past.looks and self._due(one, past, LOOK_BESIDE):
                assert self.noise.planes is not None  # there is something to hold
                pair = one.copies[0], other.copies[0]
                look = partial(ceiling, *pair, None, self.noise.planes)
                past.looks[index] = self.worker.beside(look)

    def _held(self, frame: Frame, past: Past) -> PlaneNoise | None:
        """The noise of a frame's planes, no more than was seen lately."""
        if self.noise.compressed:
            return self.noise.of_errors(frame)
        if self.noise.planes is None or self.noise.declared or self.noise.sensor:
            return self.noise.planes
        if one_code(frame):
            return replace(self.noise.planes.scaled(0), clipped=False)
        if not past.bounds:
            return self.noise.planes
        return below(self.noise.planes, past.bounds, coded=self.engine.slack is not STRICT)

    def led_in(self, window: Window[PreparedPicture], count: int, past: Past) -> None:
        """Look at a window before an excerpt, the `count`th: as the whole run does, but where
        frames are large and nothing stands still, only as far as what follows depends on it."""
        noise, method = self.noise, self.method
        centre = window.centre.copies[0]
        first = count - 1 == method.length // 2  # with frames on both sides
        missed = window.centre.prepared.index // REFRESH_EVERY if first else 0
        small = window.centre.prepared.noisy[0, 0].numel() <= QUICK_PIXELS
        near = any(not copy.context for one in window.after for copy in one.copies)
        if past.stands or small or near:  # near: a frame that is written is brought closer
            alone = self._replace(worker=Worker(), watch=None)
            alone.finish(alone.start(window, past), missed)
            return
        self.engine.watch(past, centre, self._held(centre, past))
        view = view_of(window)
        method.pass_over(view, noise.told)
        if missed or (count > method.length // 2 and noise.due(view)):
            noise.refresh(view, _shown(window), missed)

    def ahead_of(self, view: Window[Prepared], shares: NoiseShares | None) -> int:
        """How many windows may be begun and not finished: none beyond one that the noise is
        measured or the method asked on, and none where a record waits for all that is begun to be
        finished."""
        held = self.engine.marks is not None and self.engine.marks.wanted
        probed = self.probe.due(view, shares)
        return 0 if held or probed or self.noise.due(view) else self.worker.ahead


def _fades(window: Window[PreparedPicture]) -> bool:
    """Whether the centre is fainter than the picture before it, as far as the host can tell."""
    looks = [entry.look for entry in (*window.before[-1:], window.centre)]
    known = [look for look in looks if isinstance(look, np.ndarray)]
    return len(known) == 2 and fades(*known)


def _near(window: Window[PreparedPicture]) -> tuple[PreparedPicture, ...]:
    """The pictures right beside the centre."""
    return (*window.before[-1:], *window.after[:1])


def wanted(copies: list[Frame]) -> list[Frame]:
    """The frames that are not context."""
    return [frame for frame in copies if not frame.context]


def view_of(window: Window[PreparedPicture]) -> Window[Prepared]:
    """A window as methods see it."""
    return window.map(lambda entry: entry.prepared)


def joined(before: PreparedPicture, after: PreparedPicture) -> bool:
    """Whether two pictures in a row are of one shot."""
    return after.fresh and same_shot(before.look, after.look)


def _shown(window: Window[PreparedPicture]) -> list[Frame]:
    """The frames of a window, in their order."""
    return [item.copies[0] for item in window.items]
