"""One window after the other: its centre restored, and held to the contract."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from torch import Tensor

from f2rcli.engine.contract.residual import FrameContext, Past
from f2rcli.engine.contract.shares import NoiseShares
from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import NoiseTracker
from f2rcli.engine.packing import Packing
from f2rcli.engine.probing import ResponseProbe, changes_of
from f2rcli.engine.resuming.marks import Mark
from f2rcli.engine.worker import Worker
from f2rcli.frames import Frame, same_samples
from f2rcli.methods.base import Following, LazyFlow, Method, Prepared, Restored
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
    planes: PlaneNoise | None  # the noise of the centre's
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
        view, method = view_of(window), self.method
        if isinstance(method, Following):
            followed = method.follow(view, self.noise.told)
            motions = self._looked(window)
            told = self.noise.told
            restored = self.worker.start(partial(method.finish, view, told, followed))
        else:
            begun = [method.restore(view, self.noise.told)]  # whose motion is known from then on
            motions = self._looked(window)
            restored = begun.pop
        planes = self.noise.by_now(window.centre.copies[0])
        return Started(window, view, motions, planes, past, restored)

    def finish(self, started: Started) -> list[Frame]:
        """A window's centre, and its copies. A function of its own: no picture outlives it."""
        window, view = started.window, started.view
        copies = window.centre.copies
        restored = started.restored()
        near = _near(window)
        flows = tuple(None if motion is None else motion() for motion in started.motions)
        # after networks have run: what it leaves for the contract takes memory
        self.engine.watch(started.past, copies[0], started.planes, flows)
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
            tuple(entry.copies[0] for entry in near), flows, past, started.planes,
            later=tuple(entry.copies[0] for entry in window.after),
        )  # fmt: skip
        done = self.engine.to_frame(copies[0], changes, context)
        return [done, *(replace(copy, planes=done.planes) for copy in copies[1:])]

    def changes(self, frame: Frame, restored: Tensor) -> list[Tensor]:
        """What a restored packed picture changes in a frame's planes."""
        return changes_of(self.engine.planes(frame), restored, self.noise, self.packing)

    def _looked(self, window: Window[PreparedPicture]) -> tuple[LazyFlow | None, ...]:
        """The motion from a centre into its neighbours, by which its noise is looked at now and
        then."""
        centre, near = window.centre, _near(window)
        self.noise.follow_codec(centre.prepared.index, [entry.copies[0] for entry in window.items])
        motions = tuple(self.method.motion(centre.prepared, one.prepared) for one in near)
        if self.noise.looks(centre.prepared.index, begins=not window.before):
            # A device is not waited for: its host finds the motion in parts of the frames again.
            known = [None if one is None or self.engine.away else one() for one in motions]
            flows = [flow if isinstance(flow, np.ndarray) else None for flow in known]
            self.noise.look(centre.copies[0], [one.copies[0] for one in near], flows)
        return motions

    def led_in(self, window: Window[PreparedPicture], count: int, past: Past) -> None:
        """Look at a window before an excerpt, the `count`th: as the whole run does, but where
        frames are large and nothing stands still, only as far as what follows depends on it."""
        noise, method = self.noise, self.method
        centre = window.centre.copies[0]
        small = window.centre.prepared.noisy[0, 0].numel() <= QUICK_PIXELS
        near = any(not copy.context for one in window.after for copy in one.copies)
        if past.stands or small or near:  # near: a frame that is written is brought closer
            alone = self._replace(worker=Worker(), watch=None)
            alone.finish(alone.start(window, past))
            return
        view = view_of(window)
        method.pass_over(view, noise.told)
        self._looked(window)
        self.engine.watch(past, centre, noise.by_now(centre))

    def ahead_of(self, view: Window[Prepared], shares: NoiseShares | None) -> int:
        """How many windows may be begun and not finished: none beyond one that the method is asked
        on, and none where a record waits for all that is begun to be finished."""
        held = self.engine.marks is not None and self.engine.marks.wanted
        probed = self.probe.due(view, shares)
        return 0 if held or probed else self.worker.ahead


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
