"""Atomic output: a part file or folder beside the target, renamed onto it at the very end."""

import contextlib
import errno
import importlib
import os
import shutil
from pathlib import Path

from f2rcli.errors import OutputError


class PartFile:
    """A file that appears at its target whole or not at all.

    Write to `path`; call `publish` when it is complete, or `discard` to remove it.
    """

    def __init__(self, target: Path, *, overwrite: bool, keep: bool = False) -> None:
        self.target = target
        self.overwrite = overwrite
        self.keep = keep  # leave the part file behind when the run fails
        self.path = part_path(target)
        self._open = True
        try:
            self._lock = _claim(self.path)
        except BlockingIOError as error:
            raise OutputError(
                f"{target.name}: another run is writing it just now.",
                hint="Wait for it, or choose another name with -o.",
            ) from error
        except OSError as error:
            raise disk_error(target, error) from error

    def publish(self) -> None:
        """Flush to the disk and rename onto the target."""
        try:
            with self.path.open("rb") as handle:
                os.fsync(handle.fileno())
            if not self.overwrite and self.target.exists():  # it appeared during the run
                raise exists_error(self.target)
            os.replace(self.path, self.target)
            self._close()
        except OSError as error:
            raise disk_error(self.target, error) from error

    def discard(self) -> None:
        """Let go of the part file and remove it, unless it is published or to be kept."""
        if not self.keep:
            self.remove()
        self._close()

    def remove(self) -> None:
        """Remove the part file unless it is published; whoever writes it may go on for now."""
        if self._open:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._lock)


def write_file(target: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a whole file or none. Raises OutputError."""
    part = PartFile(target, overwrite=overwrite)
    try:
        part.path.write_bytes(data)
        part.publish()
    except OSError as error:
        raise disk_error(target, error) from error
    finally:
        part.discard()


class PartFolder:
    """Files of a folder that appear together or not at all.

    `add` files, then `publish` them; `discard` removes those that are not published.
    """

    def __init__(self, target: Path, *, overwrite: bool, keep: bool = False) -> None:
        self.target = target
        self.overwrite = overwrite
        self.keep = keep  # leave the part folder behind when the run fails
        self.names: list[str] = []
        self.bytes = 0
        self.path = part_folder(target)
        try:
            shutil.rmtree(self.path, ignore_errors=True)  # a killed run's
            self.path.mkdir()
        except OSError as error:
            raise disk_error(target, error) from error
        self._open = True

    def add(self, name: str, data: bytes) -> Path:
        """Write one more file; where it lies for now."""
        try:
            (self.path / name).write_bytes(data)
        except OSError as error:
            raise disk_error(Path(name), error) from error
        self.names.append(name)
        self.bytes += len(data)
        return self.path / name

    def publish(self) -> None:
        """Move the files to their places."""
        try:
            if self.target.exists():
                self._move()
            else:
                os.replace(self.path, self.target)
        except OSError as error:
            raise disk_error(self.target, error) from error
        self._open = False

    def _move(self) -> None:
        for name in self.names:
            if not self.overwrite and (self.target / name).exists():
                raise exists_error(self.target / name)
        for name in self.names:
            os.replace(self.path / name, self.target / name)
        self.path.rmdir()

    def discard(self) -> None:
        """Remove the part folder, unless it is published or to be kept."""
        if self._open and not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)
        self._open = False


def part_path(target: Path) -> Path:
    """The file that becomes `target`, while it is written."""
    return target.with_name(f".{target.stem}.part{target.suffix}")


def part_folder(folder: Path) -> Path:
    """The folder that becomes `folder`, or whose files move there, while they are written."""
    beside = folder if folder.is_dir() else folder.parent
    return beside / f".{folder.resolve().name}.part"


def remove_parts(target: Path) -> None:
    """Remove what a run that crashed left behind; only for who knows that no other is writing."""
    with contextlib.suppress(OSError):
        part_path(target).unlink(missing_ok=True)
    shutil.rmtree(part_folder(target), ignore_errors=True)


def _claim(path: Path) -> int:
    """Make `path` an empty file of ours and return the descriptor that holds the claim.

    A part file that a killed run left behind carries no lock and is taken over; one that
    another run is writing raises BlockingIOError.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if os.name == "posix":
            fcntl = importlib.import_module("fcntl")  # not there on Windows
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def exists_error(target: Path) -> OutputError:
    """The error for a target that is there already."""
    return OutputError(
        f"{target.name}: exists already.", hint="Pass --overwrite, or another name with -o."
    )


def disk_error(target: Path, error: OSError) -> OutputError:
    """Turn an error of the file system into one that says what to do."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            why, hint = "the disk is full", "Free some space, or write elsewhere with -o."
        case errno.EFBIG:
            why, hint = "the file grew beyond the size limit", "Raise the limit (ulimit -f)."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            why, hint = "no permission to write there", "Choose another folder with -o."
        case errno.EPIPE:
            why, hint = "the reading end of the pipe closed", "Look at the program after the pipe."
        case errno.ENAMETOOLONG:
            why, hint = "the name is too long", "Choose a shorter one with -o."
        case _:
            why, hint = error.strerror or str(error), "Check the disk and the path."
    return OutputError(f"{target.name}: cannot be written: {why}.", hint=hint)
