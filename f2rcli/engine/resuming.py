"""Resuming a killed run: its finished frames, where its streams stand, and the record of both.

The record lies beside the target. The same command goes on with it after a kill, and encodes the
finished frames again: so the result is that of a run that nobody stopped, packet by packet.
Decoding, defects, copies and lines are gone through again from the clip's first frame, which takes
little; what networks and the contract carry along is kept, bit for bit.
"""

import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import cv2
import numpy as np
import torch

from f2rcli import __version__
from f2rcli.engine.contract.memory import Memory
from f2rcli.engine.contract.residual import Past
from f2rcli.engine.contract.shares import NoiseShares
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import SeenLately
from f2rcli.engine.pictures import Copies, given, wanted
from f2rcli.engine.window_loop import Restorer, StreamState
from f2rcli.errors import InputError, StaleError
from f2rcli.frames import ClipInfo, Frame, Plane
from f2rcli.io.base import ReadOptions
from f2rcli.io.files import record_folder, refusals, replacing
from f2rcli.noise.coding import Compression
from f2rcli.noise.model import NoiseModel, PlaneNoise
from f2rcli.samples.defects import SetAside
from f2rcli.units import size

AT_ONCE = 4  # frames that wait to be packed
HELD = 32 << 20  # bytes of packed ones that wait to be written: what a processor makes in a minute


class FrameLog:
    """Frames of one run in a file, in order; packed beside the run, and written many at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = self.size = 0  # of all that are packed; size in bytes
        self.digest: Any = blake2b()  # of these bytes
        self._written = 0  # of them
        self._packing: deque[Future[bytes]] = deque()
        self._packed: list[bytes] = []  # and not written yet
        self._packer = ThreadPoolExecutor(1)

    def add(self, frame: Frame) -> None:
        """Take in the next frame. Raises OSError."""
        self._packing.append(self._packer.submit(_entry, frame))
        self.settle(AT_ONCE)

    def settle(self, most: int = 0) -> None:
        """Pack all frames but the last few, and write them once they are many; all of them down to
        the disk. Raises OSError, also where that would fill the disk."""
        while len(self._packing) > most:
            self._packed.append(entry := self._packing.popleft().result())
            self.frames, self.size = self.frames + 1, self.size + len(entry)
            self.digest.update(entry)
        if most and self.size - self._written < HELD:
            return
        folder = self.path.parent
        free = shutil.disk_usage(folder.parent).free
        if free < max(LEAST_FREE, self.size):
            raise OSError(f"its record takes {size(self.size)}, and {size(free)} are free")
        folder.mkdir(exist_ok=True)
        with self.path.open("ab") as file:
            file.writelines(self._packed)
            self._packed, self._written = [], self.size
            if not most:
                file.flush()
                os.fsync(file.fileno())

    def close(self) -> None:
        """Stop packing."""
        self._packer.shutdown(cancel_futures=True)

    def reopened(self, frames: int, size: int, digest: str) -> Iterator[list[bytes]]:
        """Forget all but the first so many frames, which take `size` bytes, and read those: the
        planes of each. Raises OSError, and StaleError for another size; that of another digest
        comes at the end, as gigabytes are read but once."""
        if self.path.stat().st_size < size:
            raise StaleError
        os.truncate(self.path, size)
        self.frames, self.size, self._written = frames, size, size
        return self._read(frames, digest)

    def _read(self, frames: int, digest: str) -> Iterator[list[bytes]]:
        with self.path.open("rb") as file:
            for _ in range(frames):
                lengths = file.readline()
                try:
                    parts = [file.read(min(int(one), self.size)) for one in lengths.split()]
                except ValueError as error:
                    raise StaleError from error
                self.digest.update(b"".join([lengths, *parts]))
                yield parts
        if self.digest.hexdigest() != digest:
            raise StaleError


def _entry(frame: Frame) -> bytes:
    parts = [packed(plane) for plane in frame.planes]
    return " ".join(str(len(part)) for part in parts).encode() + b"\n" + b"".join(parts)


def filled(frame: Frame, parts: list[bytes]) -> Frame:
    """The frame with planes like its own out of a log. Raises StaleError."""
    if len(parts) != len(frame.planes):
        raise StaleError
    pairs = zip(parts, frame.planes, strict=True)
    return replace(frame, planes=tuple(unpacked(*pair) for pair in pairs))


def packed(plane: Plane) -> bytes:
    """A plane as a PNG of its bytes, compressed fast."""
    kind = "u1" if plane.itemsize == 1 else "u2"
    codes = np.ascontiguousarray(plane).view(kind)
    return cv2.imencode(".png", codes, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def unpacked(data: bytes, like: Plane) -> Plane:
    """The inverse of `packed`, for a plane of this shape and type. Raises StaleError."""
    codes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if codes is None or codes.nbytes != like.nbytes:
        raise StaleError
    return np.ascontiguousarray(codes).view(like.dtype).reshape(like.shape)


class RunState(NamedTuple):
    """Where a run stands: what its frames to come depend on, and what its receipt counts."""

    identity: dict[str, Any]  # see `identity_of`
    frames: int  # that are finished
    size: int  # bytes of these in the log
    digest: str  # of these bytes
    read: int  # frames of the clip, until now
    sources: str  # digest of these
    streams: list[StreamState]
    sums: torch.Tensor  # see `Contract`
    aside: SetAside

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "RunState":
        """What was saved; nothing in the file is executed. Raises InputError and StaleError for
        damage, and for what another f2r or torch wrote."""
        with refusals(path.name), torch.serialization.safe_globals(KNOWN):
            with ZipFile(path) as parts:
                sound = parts.testzip() is None  # torch does not look at checksums
            found = torch.load(path, map_location=device, weights_only=True)
        if not sound or not isinstance(found, cls):
            raise StaleError
        return found


# What a file of a state may hold beside tensors and plain values.
KNOWN: list[Any] = [
    Compression, Memory, NoiseModel, NoiseShares, Past, PlaneNoise, RunState,
    SeenLately, SetAside, StreamState,
]  # fmt: skip


class Marks:
    """Where all streams of a run stand, in the order in which they begin."""

    def __init__(self, before: Iterable[StreamState] = ()) -> None:
        """before: where an earlier run left them."""
        self._before = iter(before)
        # One that has ended is its last state alone: what else it knew is let go of. Of stacks that
        # are restored in sums there are none.
        self.streams: list[Restorer | StreamState] = []

    def restored(self, clip: Restorer, pictures: Iterator[Copies]) -> Iterator[Frame]:
        """The frames of the next stream; those that an earlier run has restored come as read."""
        place = len(self.streams)
        self.streams.append(clip)
        state, found = next(self._before, None), clip.windows(pictures)
        for copies in () if state is None else clip.replayed(state, pictures, found):
            yield from wanted(copies)
        for restored in clip.restored(clip.excerpt(found, begun=state is not None)):
            frames = list(given(restored, clip.engine.found.aside))
            for clip.left in reversed(range(len(frames))):
                yield frames[-1 - clip.left]
        self.streams[place] = clip.end()

    def taken(self) -> list[StreamState]:
        """The states of all streams; none if they cannot be left at this moment, but soon."""
        states = [one.state() if isinstance(one, Restorer) else one for one in self.streams]
        whole = [state for state in states if state is not None]
        waits = not whole or len(whole) < len(states)
        for one in self.streams:
            if isinstance(one, Restorer):
                one.hurry = waits
        return [] if waits else whole


FIRST = 60.0  # seconds of a run before another can go on with it
SHARE = 0.02  # of the time since, that keeping a state may take
LEAST_FREE = 1 << 30  # bytes that a record leaves free on the disk, and as much as it takes
HARMLESS = {"threads", "weights", "device", "precision", "tile"}  # recorded elsewhere


class RunRecord(AbstractContextManager["RunRecord"]):
    """Of one run, which alone writes the target. Closes at the end of `with`; what it has is
    left there unless the run is finished, so that another run goes on."""

    def __init__(
        self, target: Path, engine: Engine, identity: dict[str, Any], say: Callable[[str], None]
    ) -> None:
        """identity: JSON values that runs must share to have the same frames; see `identity_of`."""
        self.folder = record_folder(target)
        self.engine, self.identity = engine, identity
        self.say = self.warn = say
        self.log, self._state = FrameLog(self.folder / "frames"), self.folder / "state"
        self.marks: Marks | None = Marks()  # where the streams stand; None: nothing is kept
        self.begun = 0  # frames of the run that is gone on with
        self.kept = 0  # frames that another run would find
        self.finished = self._going = False
        self.stopped: Callable[[], bool] = lambda: False  # whether the user has asked to stop
        self.stop: Callable[[], None] = lambda: None  # raises what ends the run
        self._entries: Iterator[list[bytes]] = iter(())  # the planes of these
        self._read, self._sources = 0, blake2b()  # frames of the clip; their digest
        self._before: RunState | None = None  # whose clip this is not known to be yet
        self._began = time.monotonic()
        self._due = self._began + FIRST

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.log.close()
        if self.finished or not self.kept or (kind is not None and issubclass(kind, StaleError)):
            self.remove()
        else:
            self.warn(
                f"the same command continues after {self.kept} finished frames "
                f"({self.folder.name}, {size(self._size())})"
            )

    def open(self) -> None:
        """See where the streams begin: where an earlier run of the same stopped, if one did."""
        if not self._state.exists():  # a run that was killed before it kept any leaves frames alone
            self.remove()
            return
        try:
            before = RunState.load(self._state, self.engine.torch_device)
            if before.identity != self.identity:
                raise StaleError
            self._entries = self.log.reopened(before.frames, before.size, before.digest)
        except (OSError, InputError, StaleError):
            self.say(
                f"{self.folder.name}: from another clip, with other settings, or damaged: "
                "starting over"
            )
            self.remove()
            return
        self.begun = self.kept = before.frames
        self._before = before
        self.say(f"continues after the {self.begun} finished frames ({self.folder.name})")
        self.marks = Marks(before.streams)

    def reading(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The clip's frames. Raises StaleError if they are not those of the run that is gone on
        with, as far as that had read."""
        before = self._before
        for self._read, frame in enumerate(frames, start=1):
            if self.marks is not None or self._before is not None:
                self._sources.update(repr((frame.pts, frame.lane)).encode())
                for plane in frame.planes:
                    self._sources.update(np.ascontiguousarray(plane).data)
            if before is not None and self._read == before.read:
                if self._sources.hexdigest() != before.sources:
                    raise StaleError
                self._before = None
            yield frame
        if self._before is not None:
            raise StaleError

    def keeping(self, restored: Iterable[Frame]) -> Iterator[Frame]:
        """The restored frames, those that an earlier run has finished from there; the state is
        kept now and then, when a frame has been written. Raises StaleError."""
        frames, before = iter(restored), self._before
        for parts, frame in zip(self._entries, frames, strict=False):
            yield filled(frame, parts)
        if before is not None:
            # Not before: what is restored in sums was restored again, and counted.
            self.engine.contract.sums, self.engine.found.aside = before.sums, before.aside
        for done, frame in enumerate(frames, start=self.begun + 1):
            self._going = True
            yield frame
            if self.marks is not None:
                try:
                    self.log.add(frame)
                    if time.monotonic() >= self._due or (self.stopped() and self.can_keep):
                        self._keep(self.marks)
                except (OSError, RuntimeError) as error:  # a disk that takes no record ends no run
                    why = getattr(error, "strerror", None) or error
                    self.say(f"this run cannot be resumed: {why}")
                    self.marks = None
                    self.remove()
            if self.stopped() and (self.kept == done or not self.can_keep):
                self.stop()

    @property
    def can_keep(self) -> bool:
        """Whether a run that is asked to stop can be gone on with, and has lasted long enough."""
        lasted, marks = time.monotonic() - self._began >= FIRST, self.marks
        return lasted and self._going and marks is not None and bool(marks.streams)

    def _keep(self, marks: Marks) -> None:
        """Keep the state, where the streams can be left."""
        engine, began = self.engine, time.monotonic()
        streams = marks.taken()
        if not streams or self._before is not None:
            return
        self.log.settle()
        state = RunState(
            self.identity, self.log.frames, self.log.size, self.log.digest.hexdigest(), self._read,
            self._sources.hexdigest(), streams, engine.contract.sums, engine.found.aside,
        )  # fmt: skip
        with replacing(self._state) as part:
            torch.save(state, part)
        if not self.kept:
            self.say(
                f"finished frames are kept in {self.folder.name} until the run ends "
                f"({size(self._size())} now), so that the same command continues after a kill"
            )
        self.kept = self.log.frames
        self._due = time.monotonic() + max(FIRST, (time.monotonic() - began) / SHARE)

    def _size(self) -> int:
        """Bytes on the disk: frames, and the state that is several times a frame."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def remove(self) -> None:
        """Remove it, and whatever lies there."""
        self.kept = 0
        shutil.rmtree(self.folder, ignore_errors=True)


def identity_of(engine: Engine, read: ReadOptions, info: ClipInfo) -> dict[str, Any]:
    """All that determines a run's frames, as JSON values; those of the clip are checked apart."""
    settings = {k: v for k, v in asdict(engine.settings).items() if k not in HARMLESS}
    facts = {
        "f2r": __version__, "torch": version("torch"), "numpy": np.__version__,
        "settings": settings, "weights": engine.weights.sha256, "device": engine.device,
        "precision": engine.precision, "tile": engine.tile,
        "read": asdict(read), "clip": repr(replace(info, name="", notes=())),
    }  # fmt: skip
    return dict(json.loads(json.dumps(facts, default=str)))
