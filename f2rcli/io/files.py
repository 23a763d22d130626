"""Files written whole or not at all: names that may be written, part files, locks; and errors of
disks and of the libraries that read files."""

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType

from f2rcli.errors import F2RError, InputError, OutputError, UsageError
from f2rcli.io.numbering import files_in_order, files_of, is_pattern, matching

ELSEWHERE = "choose another folder with output="
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows knows no quota


@contextmanager
def disk_errors(target: Path, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Turn the file system's errors within the block into OutputError about `target`."""
    try:
        yield
    except OSError as error:
        raise disk_error(target, error, elsewhere) from error


def exists_error(target: Path) -> OutputError:
    hint = "Pass overwrite=True, or another name with output=."
    return OutputError(f"{target.name}: already exists.", hint=hint)


def misread_error(name: str, what: str = "differs when it is read back") -> OutputError:
    hint = "Nothing was written to the target. Check the disk, or try another format."
    return OutputError(f"{name}: {what}.", hint=hint)


def disk_error(target: Path, error: OSError, elsewhere: str = ELSEWHERE) -> OutputError:
    """A file system's error as one that says what to do; elsewhere: how to name another place."""
    denied = "no permission to write there", f"{elsewhere[0].upper()}{elsewhere[1:]}."
    known: dict[int | None, tuple[str, str]] = {
        **dict.fromkeys(FULL, ("the disk is full", f"Free some space, or {elsewhere}.")),
        **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), denied),
        errno.EFBIG: ("the file grew beyond the size limit", "Raise the limit (ulimit -f)."),
        errno.EPIPE: ("the pipe was closed by its reader", "Check the program after the pipe."),
        errno.EBADF: ("it is closed", "Send it to a file or a pipe."),
        errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one with output=."),
    }
    other = error.strerror or str(error), "Check the disk and the path."
    why, hint = known.get(error.errno, other)
    return OutputError(f"{target.name}: cannot be written: {why}.", hint=hint)


# --- What libraries raise on damaged files --------------------------------------------------------
class refusals(AbstractContextManager[object]):
    """Turn what a library raises in the block into InputError about `name`: damaged files make them
    raise anything. An error that a line of f2r itself raises is a mistake in f2r, or in its way to
    call the library: it passes, but for what the disk and the memory refuse."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, F2RError):
            return
        while trace is not None and trace.tb_next is not None:  # to the innermost line
            trace = trace.tb_next
        module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
        if isinstance(error, OSError | MemoryError) or module.partition(".")[0] != "f2rcli":
            raise unreadable(self.name, error) from error


def unreadable(name: str, error: BaseException) -> InputError:
    """The error for a file, or a picture of it, that its library gave up on."""
    said = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    words = said.decode("ascii", "replace") if isinstance(said, bytes) else said  # LibRaw's: bytes
    text = " ".join(words.split()) or type(error).__name__
    text = re.sub(rf"(?:[A-Za-z]:)?[/\\].*[/\\](?={re.escape(name)})", "", text)  # its folders
    if isinstance(error, MemoryError):
        hint = "Free memory, or its header claims more than it holds."
        return InputError(f"{name}: does not fit into memory.", hint=hint)
    hint = "The file is damaged, or of a kind that its library does not read."
    return InputError(f"{name}: cannot be decoded ({text[:160]}).", hint=hint)


@contextmanager
def quiet(library: str = "tifffile") -> Iterator[None]:
    """Keep a library's complaints about this thread's file from being printed."""
    logger, own = logging.getLogger(library), threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != own

    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)


# --- Locks: one process at a time writes a target, works in a folder or on a clip -----------------
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def locked(path: Path, busy: OutputError) -> Iterator[None]:
    """Make a file that this process alone holds, until the block or the process ends. Raises `busy`
    while another one does, and OSError. Windows and some network disks have no such locks."""
    try:
        fcntl = import_module("fcntl")
    except ImportError:  # Windows
        yield
        return
    with ExitStack() as held:  # a lock lasts until every copy of its descriptor is closed
        while True:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise busy from error
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
            with suppress(FileNotFoundError):  # its last holder removed that file: try the next one
                if os.path.samestat(path.stat(), os.fstat(descriptor)):
                    break
        try:
            yield
        finally:  # released last: whoever waits for it finds that the file is gone
            with suppress(OSError):
                path.unlink(missing_ok=True)


def check_not_empty(path: Path) -> None:
    """Raise InputError for a file that cannot be read, or is empty."""
    try:
        with path.open("rb") as handle:
            if handle.read(1):
                return
    except OSError as error:
        what, hint = error.strerror or "cannot be read", "Check the path and its permissions."
        raise InputError(f"{path.name}: {what}.", hint=hint) from error
    raise InputError(f"{path.name}: is empty (0 bytes).", hint="Copy or record it again.")


# --- SHA-256 of files and folders -----------------------------------------------------------------
def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """As file_digest; of a folder or pattern, SHA-256 of names and bytes of its files, in order."""
    if path.is_file():
        return file_digest(path)
    whole = hashlib.sha256()
    for file in sorted(files_of(path) if path.is_dir() else files_in_order(path)):
        whole.update(f"{file.name}\0{file_digest(file)}\n".encode())
    return whole.hexdigest()


# --- Targets: where the output goes by default, and whether it may be written there ---------------
def with_a_name(place: str | Path) -> str | Path:
    """A path that ends in a name: the folders "." and ".." have none to be called by."""
    path = Path(place)
    return path.resolve() if path.name in ("", "..") and path.is_dir() else place


def default_folder(source: Path) -> Path | None:
    """`run_f2r` beside the folder `run`, given itself or as `run/%05d.tif`; None for a file."""
    if source.is_dir():
        return source.parent / f"{source.name}_f2r"  # of the root, too, which has no name
    if is_pattern(str(source)) and not source.exists():
        folder = source.parent.resolve()
        return folder.parent / f"{folder.name}_f2r"
    return None


def check_place(target: Path, sources: list[Path]) -> None:
    """Raise for a target that is one of the sources, or in a folder that does not exist."""
    with disk_errors(target):  # a name that is too long
        target.exists()
    if not target.parent.is_dir():
        file = f"{target.parent} is a file, not a folder"
        what = file if target.parent.exists() else f"the folder {target.parent} does not exist"
        raise OutputError(f"{target.name}: {what}.", hint="Create that folder first.")
    if any(same_file(source, target) for source in sources):
        hint = "Choose another name with output=; the input is never written."
        raise UsageError(f"{target.name}: the output is the input itself.", hint=hint)


def check_target(target: Path, sources: list[Path], *, overwrite: bool) -> None:
    """Raise for a target that cannot or must not be written; touches nothing."""
    check_place(target, sources)
    if target.is_dir():
        raise OutputError(f"{target.name}: is a folder.", hint="Name a file with output=.")
    if target.exists():
        if not overwrite:
            raise exists_error(target)
        if not stat.S_ISREG(target.stat().st_mode):
            hint = "Pass output='-' to write to standard output."
            raise OutputError(f"{target.name}: is not a regular file.", hint=hint)
    _check_open(target.parent, target.name)


def _check_open(folder: Path, name: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "Choose another folder with output=."
        raise OutputError(f"{name}: no permission to write into {folder}.", hint=hint)


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths lead to the same file, whatever links they go through."""
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist
        return a.absolute() == b.absolute()


def check_folder(folder: Path, sources: list[Path], *, pattern: str = "", overwrite: bool) -> None:
    """Raise unless a folder of files can be written; touches nothing. pattern: the files' name or
    pattern; "": their sources' names."""
    single = bool(pattern) and not is_pattern(pattern)
    if single or not folder.exists():
        check_target(folder / pattern if single else folder, sources, overwrite=overwrite)
        return
    if not folder.is_dir():
        raise OutputError(f"{folder.name}: is a file, not a folder.", hint="Name a folder.")
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    named = [path for _, path in matching(folder / pattern)] if pattern else there
    own = sources and same_file(folder, sources[0].parent)
    if own and (not pattern or {path.name for path in sources} & {path.name for path in named}):
        hint = "Name another folder with output=; the input is never written."
        raise UsageError(f"{folder.name}: the output is the input itself.", hint=hint)
    _check_open(folder, folder.name)
    if named and not overwrite:
        raise exists_error(min(named) if pattern else folder)


# --- Part files and folders beside a target, renamed onto it at the very end ----------------------
FORGOTTEN = 86_400  # seconds without a write, after which a temporary file is nobody's


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to, or to make a folder of files at: it replaces `target` if the block ends
    well, else it is removed. For files of our own, such as records and checkpoints: what processes
    write at once does not mix, and the last one wins. Raises OSError."""
    part = unique_part(target)
    try:
        yield part
        for path in part.iterdir() if part.is_dir() else (part,):
            flush(path)
        os.replace(part, target)
    finally:
        delete(part)


def unique_part(target: Path) -> Path:
    """A name beside `target` that no other process uses, on whatever machine shares the disk."""
    return target.with_name(_fitting(f".{target.name}.{secrets.token_hex(8)}.part"))


def sweep(folder: Path) -> None:
    """Remove a folder's temporary files that nobody has written to for a day: who writes may run on
    another machine, where no process can be asked for."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):  # it was renamed or removed meanwhile
            within = part.rglob("*") if part.is_dir() else ()
            touched = max(path.lstat().st_mtime for path in (part, *within))
            if time.time() - touched >= FORGOTTEN:
                delete(part)


def delete(path: Path) -> None:
    """Delete a file or folder, as far as it is there and can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


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


def part_folder(target: Path) -> Path:
    """The folder in which `target` is written, beside it or in a folder that is there."""
    beside = target if target.is_dir() else target.parent
    return beside / _fitting(f".{target.resolve().name}.part")


class PartFile:
    """A user's file under way, in a folder of its own: `publish` moves it to its target whole,
    `discard` removes it. One run at a time writes a target."""

    place = staticmethod(part_folder)

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        """Begin; raises OutputError where another run writes the target, or nothing can be."""
        self.target = target
        self.overwrite = overwrite
        self.folder = self.place(target)  # where everything is written meanwhile
        self._digests: dict[str, str] = {}  # of what was added, by name
        self._done = False  # published or discarded
        hint = "Wait for it, or choose another name with output=."
        busy = OutputError(f"{target.name}: another run is writing it.", hint=hint)
        with disk_errors(target), ExitStack() as held:
            held.enter_context(locked(lock_path(target), busy))
            held.callback(self.remove)
            self._begin()
            self._held = held.pop_all()

    def _begin(self) -> None:
        """Make an empty folder, whatever a killed run left behind. Raises OSError."""
        delete(self.folder)
        self.folder.mkdir()

    @property
    def path(self) -> Path:
        """What becomes the target."""
        return self.folder / self.target.name

    def add(self, name: str, data: bytes, *, read_back: bool = True) -> Path:
        """Write the next file, or the only one; where it lies for now. Raises OutputError."""
        path = self.folder / name
        with disk_errors(Path(name)):
            path.write_bytes(data)
        if read_back:
            self._digests[name] = hashlib.sha256(data).hexdigest()
        return path

    def publish(self) -> int:
        """Read back what is to be, move everything to its place; bytes. Raises OutputError."""
        with disk_errors(self.target):
            for name, digest in self._digests.items():
                if file_digest(self.folder / name) != digest:
                    raise misread_error(name)
            size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
            self._move()
        self.discard()  # nothing is left but the lock
        return size

    def _move(self) -> None:
        flush(self.path)  # on the disk before it is renamed
        self._join(self.target.parent)

    def _join(self, folder: Path) -> None:
        """Move everything into a folder that exists, or nothing."""
        names = sorted(path.name for path in self.folder.iterdir())
        for name in names:
            if not self.overwrite and (folder / name).exists():  # it appeared during the run
                raise exists_error(folder / name)
        for name in names:
            os.replace(self.folder / name, folder / name)
        self.folder.rmdir()

    def discard(self) -> None:
        """Remove everything, unless it is published."""
        self._held.close()
        self._done = True

    def remove(self) -> None:
        """Remove what is there unless it is published; its writer may still have it open."""
        if not self._done:
            delete(self.folder)


class PartFolder(PartFile):
    """Files of a folder that appear together or not at all."""

    @property
    def path(self) -> Path:
        return self.folder

    def _move(self) -> None:
        if self.target.exists():
            self._join(self.target)
        else:
            os.replace(self.folder, self.target)


def lock_path(target: Path) -> Path:
    """The file that a run locks which writes `target`."""
    return target.parent / _fitting(f".{target.resolve().name}.lock")


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
