"""One window after the other: its centre restored, and held to the contract."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from torch import Tensor

from f2rcli.engine.contract.past import Past
from f2rcli.engine.contract.residual import Beside
from f2rcli.engine.contract.shrinkage import Shrinkage
from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.tracking import REFRESH_EVERY, NoiseTracker
from f2rcli.engine.probing import Probe
from f2rcli.engine.resuming.marks import Mark
from f2rcli.engine.worker import Worker
from f2rcli.frames import Frame, same_samples
from f2rcli.methods.base import Following, Method, Moving, Prepared, Remembering, Restored
from f2rcli.models.flow import Flow
from f2rcli.window import Window

# Of frames that are restored before an excerpt though nothing stands still.
QUICK_PIXELS = 1_000_000


class Entry(NamedTuple):
    """A picture in the window: every frame that shows it, and what was prepared of it."""

    copies: list[Frame]
    prepared: Prepared
    look: Thumbnail
    fresh: bool  # False: the same picture as the entry before, after too many copies


def wanted(copies: list[Frame]) -> list[Frame]:
    """Those that are no context."""
    return [frame for frame in copies if not frame.context]


class Started(NamedTuple):
    """A window whose centre is being restored."""

    window: Window[Entry]
    view: Window[Prepared]
    flows: tuple[Flow | Tensor | None, ...]  # into the frames right beside the centre
    past: Past
    restored: Callable[[], Restored]  # waits


def start(
    window: Window[Entry], method: Method, noise: NoiseTracker, past: Past, worker: Worker
) -> Started:
    """Let the worker restore a window's centre, if the method can part it from what follows."""
    view, model = view_of(window), noise.model
    if isinstance(method, Following):
        restored = worker.start(partial(method.finish, view, model, method.follow(view, model)))
    else:
        restored = partial(method.restore, view, model)
    return Started(window, view, _motion(view, method), past, restored)


def finish(
    started: Started,
    method: Method,
    engine: Engine,
    noise: NoiseTracker,
    watch: Callable[[Restored], None] | None,
    missed: int = 0,
) -> list[Frame]:
    """A window's centre, and its copies; `missed`: see `_missed`. A function of its own: no picture
    outlives it."""
    window, view = started.window, started.view
    prepared, copies = window.centre.prepared, window.centre.copies
    restored = started.restored()
    noise.refresh(method, view, _shown(window), missed)
    if watch is not None:
        watch(restored)
    refined = restored.refined
    del restored  # what is not written need not wait for what is
    # the picture is what networks saw, unless they saw it through something
    picture = prepared.noisy if noise.space is None else engine.to_tensor(copies[0])
    change = noise.back(refined) - picture
    del refined
    near = tuple(entry.copies[0] for entry in (*window.before[-1:], *window.after[:1]))
    past, probe = started.past, Probe(method, engine, noise)
    if past.shrinkage is not None and probe.due(view, past.shrinkage):
        probe.ask(past.shrinkage, copies[0], view, change)
    beside = Beside(
        near, started.flows, past.steady, noise.measured, noise.planes, past.points,
        past.shrinkage, later=tuple(entry.copies[0] for entry in window.after),
    )  # fmt: skip
    done = engine.to_frame(copies[0], picture, change, beside)
    return [done, *(replace(copy, planes=done.planes) for copy in copies[1:])]


def watched(window: Window[Entry], engine: Engine, noise: NoiseTracker, past: Past) -> None:
    """Let what stands still learn of a window's centre."""
    if noise.planes is not None and engine.settings.contract:
        engine.watch(past.steady, window.centre.copies[0], noise.planes)


def _motion(view: Window[Prepared], method: Method) -> tuple[Flow | Tensor | None, ...]:
    """The motion from a centre into the frames right before and after it, where it is known."""
    near = (*view.before[-1:], *view.after[:1])
    if not isinstance(method, Moving):
        return (None,) * len(near)
    return tuple(method.motion(view.centre, frame) for frame in near)


def _missed(window: Window[Entry], count: int, method: Method) -> int:
    """How often the whole run has measured the noise before an excerpt: 0 in all but the first of
    the windows that lead in and have frames on both sides, the `count`th."""
    first = count - 1 == method.length // 2
    return window.centre.prepared.index // REFRESH_EVERY if first else 0


def led_in(
    window: Window[Entry],
    count: int,
    method: Method,
    engine: Engine,
    noise: NoiseTracker,
    past: Past,
) -> None:
    """Look at a window before an excerpt, the `count`th: as the whole run does, but where frames
    are large and nothing stands still, only as far as what follows depends on it."""
    watched(window, engine, noise, past)
    missed = _missed(window, count, method)
    if past.steady.stands or window.centre.prepared.noisy[0, 0].numel() <= QUICK_PIXELS:
        finish(start(window, method, noise, past, Worker()), method, engine, noise, None, missed)
        return
    view = view_of(window)
    if isinstance(method, Remembering):
        method.pass_over(view, noise.model)
    if missed or (count > method.length // 2 and noise.due(view)):
        method.restore(view, noise.model)  # finds the flows that measuring begins from
        noise.refresh(method, view, _shown(window), missed)


def _shown(window: Window[Entry]) -> list[Frame]:
    """The frames of a window, in their order."""
    return [item.copies[0] for item in (*window.before, window.centre, *window.after)]


def view_of(window: Window[Entry]) -> Window[Prepared]:
    """A window as methods see it."""
    return window.map(lambda entry: entry.prepared)


def joined(before: Entry, after: Entry) -> bool:
    """Whether two pictures in a row are of one shot."""
    return after.fresh and same_shot(before.look, after.look)


def entries(
    pictures: Iterable[list[Frame]],
    method: Method,
    engine: Engine,
    noise: NoiseTracker,
    mark: Mark,
) -> Iterator[Entry]:
    """Pictures of a stream as windows hold them."""
    previous: Frame | None = None
    for number, copies in enumerate(pictures, mark.passed):
        if not number:  # of an excerpt: noise is measured again when the whole run does
            mark.begin = copies[0].index or 0
        index = mark.begin + number
        fresh = previous is None or not same_samples(previous, copies[0])
        seen = noise.into(engine.to_tensor(copies[0]))
        prepared = method.prepare(index, seen, mark.told(index, noise.model))
        engine.calls["coarse"] = engine.calls.get("coarse", 0) + 1
        yield Entry(copies, prepared, thumbnail(prepared.luma), fresh)
        previous = copies[0]


def ahead_of(
    view: Window[Prepared], probe: Probe, shrinkage: Shrinkage | None, worker: Worker
) -> int:
    """How many windows may be begun and not finished: none beyond one that the noise is measured
    or the method asked on, and none where a record waits for all that is begun to be finished."""
    held = probe.engine.marks is not None and probe.engine.marks.wanted
    probed = probe.due(view, shrinkage)
    return 0 if held or probed or probe.noise.due(view) else worker.ahead
