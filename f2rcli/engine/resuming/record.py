"""The record of a long run, beside its target: its finished frames, and where its streams stand.

The same command goes on with it after a kill, and encodes the finished frames again: so the result
is that of a run that nobody stopped, packet by packet.
"""

import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli import __version__
from f2rcli.documents import parse_json, read_text
from f2rcli.engine.engine import Engine
from f2rcli.engine.resuming.frame_log import FrameLog, digest_of, filled
from f2rcli.engine.resuming.marks import Marks, RunState
from f2rcli.errors import StaleError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import ReadOptions
from f2rcli.io.files import file_digest, record_folder, replacing, write_text
from f2rcli.units import size

FORMAT = 2
FIRST = 60.0  # seconds of a run before anything is kept
SHARE = 0.02  # of the time since, that keeping a state may take
WAITING = 32 << 20  # bytes of frames that wait in memory
LEAST_FREE = 1 << 30  # bytes that a record leaves free on the disk
MOST_OF_FREE = 0.5  # of what is free, that a record may grow to
HARMLESS = {"threads", "weights", "device", "precision", "tile"}  # recorded elsewhere
UNREADABLE = OSError, RuntimeError, ValueError, TypeError, LookupError, StaleError


class RunRecord:
    """Of one run, which alone writes the target. Closes at the end of `with`; what it has is
    left there unless the run is finished, so that another run goes on."""

    def __init__(
        self,
        target: Path,
        engine: Engine,
        identity: dict[str, Any],
        total: int | None,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """identity: JSON values that runs must share to have the same frames; see `identity_of`.
        total: frames to come, where that is known."""
        self.folder = record_folder(target)
        self.engine, self.identity, self.total = engine, identity, total
        self.say, self.clock = say, clock
        self.log = FrameLog(self.folder / "frames")
        self.begun = 0  # frames of the run that is gone on with
        self.kept = 0  # frames that another run would find
        self.finished = self.given_up = self._going = False
        self.stopped: Callable[[], bool] = lambda: False  # whether the user has asked to stop
        self.stop: Callable[[], None] = lambda: None  # raises what ends the run
        self._sources: deque[str] = deque()  # digests of frames that are read and not restored yet
        self._ahead: list[str] = []  # of those that the other run had read
        self._number = 0  # of the last state
        self._began = self.clock()
        self._due = self._began + FIRST

    def __enter__(self) -> "RunRecord":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.log.close()
        if self.finished or not self.kept or (kind is not None and issubclass(kind, StaleError)):
            self.remove()
        else:
            self.say(
                f"the same command continues after {self.kept} finished frames "
                f"({self.folder.name}, {size(self._size())})"
            )

    def open(self) -> Marks:
        """Where the streams begin: where an earlier run of the same stopped, if there was one."""
        if not self.folder.exists():
            return Marks()
        try:
            document = parse_json(read_text(self.folder / "record.json", 1 << 24))
            facts = document["facts"]
            if document["digest"] != _digest(facts) or facts["identity"] != self.identity:
                raise StaleError
            path = self._state(int(facts["number"]))
            if file_digest(path) != facts["state"]:
                raise StaleError
            marks = Marks(RunState.load(path, self.engine.torch_device))
            self._entries = self.log.reopened(facts["frames"], facts["bytes"])
        except UNREADABLE:
            self.say(
                f"{self.folder.name}: from another clip, with other settings, or damaged: "
                "starting over"
            )
            self.remove()
            return Marks()
        self.begun = self.kept = facts["frames"]
        self._number, self._ahead = facts["number"], facts["ahead"]
        self.say(f"continues after the {self.begun} finished frames ({self.folder.name})")
        return marks

    def reading(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The clip's frames, each remembered until it is restored."""
        for frame in frames:
            if not frame.context and not self.given_up:
                self._sources.append(digest_of(frame))
            yield frame

    def keeping(self, restored: Iterable[Frame]) -> Iterator[Frame]:
        """The restored frames, those that an earlier run has finished from there; the state is
        kept now and then, when a frame has been written. Raises StaleError."""
        frames = iter(restored)
        for _, frame in zip(range(self.begun), frames, strict=False):
            source, parts = next(self._entries)
            if source != self._sources.popleft():
                raise StaleError
            yield filled(frame, parts)
        if any(now != then for now, then in zip(self._sources, self._ahead, strict=False)):
            raise StaleError
        for done, frame in enumerate(frames, start=self.begun + 1):
            self._going = True
            if not self.given_up:
                self.log.add(frame, self._sources.popleft())
            yield frame
            try:
                self._look()
            except (OSError, RuntimeError) as error:  # a disk that takes no record ends no run
                self.give_up(getattr(error, "strerror", None) or str(error))
            if self.stopped() and (self.kept == done or not self.can_keep):
                self.stop()

    @property
    def can_keep(self) -> bool:
        """Whether a run that is asked to stop has lasted long enough, and has the means, to be gone
        on with from the frame in hand."""
        lasted = self.clock() - self._began >= FIRST
        return lasted and self._going and not self.given_up and self.engine.found.marks is not None

    def _look(self) -> None:
        """See whether something is to be written."""
        if not self.given_up and (self.clock() >= self._due or (self.stopped() and self.can_keep)):
            self._keep()
        if not self.given_up and self.log.waiting > WAITING and self._fits():
            self.log.write()

    def _keep(self) -> None:
        """Keep the state, where the streams can be left and the disk has room."""
        taken = (
            None if self.engine.found.marks is None else self.engine.found.marks.taken(self.engine)
        )
        if taken is None:
            return
        began = self.clock()
        self.log.settle()
        if not self._fits():
            return
        self._number += 1
        with replacing(self._state(self._number)) as part:
            taken.save(part)
        self.log.write(sync=True)
        written = {
            "format": FORMAT, "identity": self.identity, "number": self._number,
            "state": file_digest(self._state(self._number)), "frames": self.log.frames,
            "bytes": self.log.size, "ahead": list(self._sources),
        }  # fmt: skip
        whole = {"digest": _digest(written), "facts": written}
        write_text(self.folder / "record.json", json.dumps(whole))
        self._state(self._number - 1).unlink(missing_ok=True)
        if not self.kept:
            self._announce()
        self.kept = self.log.frames
        self._due = self.clock() + max(FIRST, (self.clock() - began) / SHARE)

    def _state(self, number: int) -> Path:
        return self.folder / f"state{number}.pt"

    def _fits(self) -> bool:
        """Make the folder, unless the record would take too much of the disk: then give it up."""
        free = shutil.disk_usage(self.folder.parent).free
        to_come = self._to_come()
        if free < LEAST_FREE or to_come > MOST_OF_FREE * free:
            self.give_up(f"it would take about {size(self.log.size + to_come)} of {size(free)}")
            return False
        self.folder.mkdir(exist_ok=True)
        return True

    def _to_come(self) -> float:
        """Bytes of frames to come, as far as their number is known."""
        return max((self.total or 0) / max(self.log.frames, 1) - 1, 0) * self.log.size

    def _announce(self) -> None:
        now = self._size()
        whole = f", about {size(now + self._to_come())} at the end" if self.total else ""
        self.say(
            f"finished frames are kept in {self.folder.name} until the run ends ({size(now)} now"
            f"{whole}), so that the same command continues after a kill"
        )

    def _size(self) -> int:
        """Bytes on the disk: frames, and the state that is several times a frame."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def give_up(self, why: str) -> None:
        """Keep nothing more, and nothing of what was kept."""
        self.say(f"this run cannot be resumed: {why}")
        self.given_up, self.engine.found.marks = True, None
        self.remove()

    def remove(self) -> None:
        """Remove it, and whatever lies there."""
        self.kept = 0
        shutil.rmtree(self.folder, ignore_errors=True)


def identity_of(engine: Engine, read: ReadOptions, info: ClipInfo) -> dict[str, Any]:
    """All that determines a run's frames, as JSON values; those of the clip are checked apart."""
    settings = {k: v for k, v in asdict(engine.settings).items() if k not in HARMLESS}
    facts = {
        "f2r": __version__, "torch": version("torch"), "numpy": np.__version__,
        "settings": settings, "weights": engine.weights_sha256, "device": engine.device,
        "precision": engine.precision, "tile": engine.tile,
        "read": asdict(read), "clip": repr(replace(info, name="", notes=())),
    }  # fmt: skip
    return dict(json.loads(json.dumps(facts, default=str)))


def _digest(facts: Any) -> str:
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()
