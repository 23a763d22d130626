"""Atomic output: a part file or folder beside the target, renamed onto it at the very end."""

import atexit
import hashlib
import os
import secrets
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from f2rcli.errors import OutputError
from f2rcli.io.disk_errors import disk_errors, exists_error
from f2rcli.io.locks import RENAMES_OPEN, lock, unlock
from f2rcli.system.signals import Interruption

FORGOTTEN = 86_400  # seconds without a write, after which a temporary file is nobody's


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to: its file replaces `target` if the block ends well, else it is removed.

    For files of our own, such as records and checkpoints: what processes write at once does not
    mix, and the last one wins. Raises OSError.
    """
    part = unique_part(target)
    try:
        yield part
        flush(part)
        os.replace(part, target)
    finally:
        with suppress(OSError):
            part.unlink()


def unique_part(target: Path) -> Path:
    """A name beside `target` that no other process uses, on whatever machine shares the disk."""
    return target.with_name(_fitting(f".{target.name}.{secrets.token_hex(8)}.part"))


def sweep(folder: Path) -> None:
    """Remove a folder's temporary files and folders that nobody has written to for a day.

    Their age is all that can be known of them: whoever writes may run on another machine, or in
    another container, where no process can be asked for.
    """
    for part in folder.glob(".*.part"):
        try:
            within = part.rglob("*") if part.is_dir() else ()
            touched = max(path.lstat().st_mtime for path in (part, *within))
        except OSError:  # it was renamed or removed meanwhile
            continue
        if time.time() - touched < FORGOTTEN:
            continue
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with suppress(OSError):
                part.unlink()


def write_text(target: Path, text: str) -> None:
    """Replace a text file in one step. Raises OSError."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_file(target: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a user's file, whole or not at all. Raises OutputError."""
    part = PartFile(target, overwrite=overwrite)
    try:
        part.add(target.name, data)
        part.publish()
    finally:
        part.discard()


class Part(ABC):
    """Output under way, beside its target: `publish` moves it there, `discard` removes it."""

    path: Path
    keep: bool  # leave what is under way behind when the run fails

    def __init__(self, target: Path, *, overwrite: bool, keep: bool = False) -> None:
        """Begin; raises OutputError where another run writes the target, or nothing can be."""
        self.target = target
        self.overwrite = overwrite
        self.keep = keep
        self._lock: int | None = None  # while it is neither published nor discarded
        with disk_errors(target), Interruption():  # a signal is heard once it is known
            try:
                self._lock = self._begin()
            except BlockingIOError as error:
                raise OutputError(
                    f"{target.name}: another run is writing it.",
                    hint="Wait for it, or choose another name with output=.",
                ) from error
            _remember(self)

    @abstractmethod
    def _begin(self) -> int:
        """Make an empty part; the descriptor of its lock. Raises OSError."""

    @abstractmethod
    def file(self, name: str) -> Path:
        """The path at which to write the next file, or the only one."""

    def add(self, name: str, data: bytes) -> Path:
        """Write the next file, or the only one; where it lies for now. Raises OutputError."""
        path = self.file(name)
        with disk_errors(Path(name)):
            path.write_bytes(data)
        return path

    @abstractmethod
    def publish(self) -> int:
        """Move everything to its place; its size in bytes. Raises OutputError."""

    @abstractmethod
    def discard(self) -> None:
        """Remove everything, unless it is published or to be kept."""


class PartFile(Part):
    """A user's file that appears at its target whole or not at all; one run at a time writes it."""

    def _begin(self) -> int:
        self.path = part_path(self.target)
        descriptor = lock(self.path)
        if os.fstat(descriptor).st_nlink > 1:  # a file of someone's, under a second name
            unlock(self.path, descriptor)
            descriptor = lock(self.path)
        os.ftruncate(descriptor, 0)  # what a killed run left behind
        return descriptor

    def file(self, name: str) -> Path:
        """See Part; whatever the name."""
        return self.path

    def publish(self) -> int:
        """See Part; on the disk before it is renamed."""
        with disk_errors(self.target):
            flush(self.path)
            size = self.path.stat().st_size
            if not self.overwrite and self.target.exists():  # it appeared during the run
                raise exists_error(self.target)
            with Interruption():  # else what another run has begun by then would be discarded
                if not RENAMES_OPEN:
                    self._close()
                os.replace(self.path, self.target)
                self._close()
        return size

    def discard(self) -> None:
        unpublished = self._lock is not None
        if not RENAMES_OPEN:
            self._close()
        if unpublished and not self.keep:
            self._unlink()
        self._close()

    def remove(self) -> None:
        """Remove the part file unless it is published; its writer may still have it open."""
        if self._lock is not None:
            self._unlink()

    def _unlink(self) -> None:
        with suppress(OSError):
            self.path.unlink()

    def _close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            _UNDER_WAY.discard(self)


class PartFolder(Part):
    """Files of a folder that appear together or not at all; one run at a time writes it."""

    def _begin(self) -> int:
        self.names: list[str] = []
        self.path = self._place()
        descriptor = lock(lock_path(self.target))
        try:
            shutil.rmtree(self.path, ignore_errors=True)  # a killed run's
            self.path.mkdir()
        except OSError:
            unlock(lock_path(self.target), descriptor)
            raise
        return descriptor

    def _place(self) -> Path:
        return part_folder(self.target)

    def file(self, name: str) -> Path:
        self.names.append(name)
        return self.path / name

    def publish(self) -> int:
        with disk_errors(self.target):
            size = sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())
            if self.target.exists():
                self._move()
            else:
                os.replace(self.path, self.target)
        self._close()
        return size

    def _move(self) -> None:
        """Publish into a target that exists."""
        for name in self.names:
            if not self.overwrite and (self.target / name).exists():
                raise exists_error(self.target / name)
        for name in self.names:
            os.replace(self.path / name, self.target / name)
        self.path.rmdir()

    def discard(self) -> None:
        if self._lock is not None and not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)
        self._close()

    def _close(self) -> None:
        if self._lock is not None:
            with suppress(OSError):
                unlock(lock_path(self.target), self._lock)
            self._lock = None
            _UNDER_WAY.discard(self)


_UNDER_WAY: set[Part] = set()  # of this process and those it was forked from


def _remember(part: Part) -> None:
    """Discard a part at the latest when Python ends, whatever ended the run that began it."""
    if not _UNDER_WAY:
        atexit.unregister(_discard_all)
        atexit.register(_discard_all, os.getpid())
    _UNDER_WAY.add(part)


def _discard_all(process: int) -> None:
    for part in tuple(_UNDER_WAY) if os.getpid() == process else ():
        part.discard()


def part_path(target: Path) -> Path:
    """The file that becomes `target`, while it is written."""
    return target.with_name(_fitting(f".{target.stem}.part{target.suffix}"))


def part_folder(folder: Path) -> Path:
    """The folder that becomes `folder`, or whose files move there, while they are written."""
    beside = folder if folder.is_dir() else folder.parent
    return beside / _fitting(f".{folder.resolve().name}.part")


def lock_path(folder: Path) -> Path:
    """The file that a run locks which writes `folder`."""
    return folder.parent / _fitting(f".{folder.resolve().name}.lock")


def record_folder(target: Path) -> Path:
    """The folder beside a target in which a long run keeps what it has finished."""
    return target.parent / _fitting(f".{target.name}.resume")


LONGEST = 255  # bytes of a file's name, on most disks


def _fitting(name: str) -> str:
    """A name for a while, short enough: of a long one its hash and its suffix."""
    if len(os.fsencode(name)) <= LONGEST:
        return name
    short = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{short}.part{Path(name).suffix}"[:LONGEST]


def flush(path: Path) -> None:
    """Flush a finished file to the disk. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
