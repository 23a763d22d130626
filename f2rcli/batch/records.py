"""Records of finished clips: one small file per clip in a hidden folder of the output.

Records are files of their own, so that shards on several machines never write to the same one.
A record is written before a clip is begun and again when it is finished; each time whole or not
at all. So after a kill at any moment it is known whether what lies at a target is a finished
result.
"""

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any, get_origin

from f2rcli import weights
from f2rcli.batch.scan import is_special
from f2rcli.documents import parse_json, read_text
from f2rcli.errors import OutputError
from f2rcli.io.atomic import write_text
from f2rcli.io.locks import lock, unlock
from f2rcli.io.numbering import files_of

FOLDER = ".f2r"
FORMAT = 1
CLAIM_STEP = 0.5  # seconds between looks at a claim that another process holds
# Options that do not change a result: a batch may go on with other values of these.
NEUTRAL = {"overwrite", "keep_partial", "resume", "device", "tile", "threads"}
CHUNK = 1 << 20  # bytes read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The identity of a clip by its bytes."""

    digest: str  # SHA-256 of the bytes; of names and bytes for a folder
    stamp: str  # of sizes, times and inodes: while it stays, so do the bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRecord:
    """One clip's result."""

    source: str
    target: str
    settings: str  # hash of every option that changes the result
    content: Content
    finished: bool = False
    fresh: bool = True  # nothing was at the target when the clip was begun
    made: str = ""  # stamp of the finished target
    facts: dict[str, Any] = field(default_factory=dict)  # of the run, for the report
    format: int = FORMAT


class Records:
    """The records of an output folder."""

    def __init__(self, output: Path) -> None:
        self.folder = output / FOLDER

    def prepare(self) -> None:
        """Make the folder. Raises OutputError where nothing can be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / "writable", "")
            (self.folder / "writable").unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.folder.parent}: cannot be written: {error.strerror or error}.",
                hint="Choose another folder with -o.",
            ) from error

    def find(self, place: PurePath) -> ClipRecord | None:
        """The record of a place; None where there is none, or none that can be read."""
        try:
            document = parse_json(read_text(self._path(place)))
            if document["format"] != FORMAT:
                return None
            record = ClipRecord(**document | {"content": Content(**document["content"])})
            return record if _typed(record) and _typed(record.content) else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, place: PurePath, record: ClipRecord) -> None:
        """Write a record, whole or not at all. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self._path(place), json.dumps(asdict(record)))

    def forget(self, place: PurePath) -> None:
        """Remove a record: the target counts as unknown again."""
        with contextlib.suppress(OSError):
            self._path(place).unlink()

    @contextlib.contextmanager
    def claimed(self, place: PurePath, stopped: threading.Event) -> Iterator[int | None]:
        """Work on a place alone; waits for whoever does so now, whatever process that is.

        Yields the descriptor that holds the claim, for a child to inherit: where this process is
        killed, the claim lasts until the child has cleaned up too. None where the system knows no
        such claims. Raises OSError, and InterruptedError once `stopped` is set.
        """
        if os.name != "posix":
            yield None
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(place).with_suffix(".claim")
        descriptor = None
        while descriptor is None:
            with contextlib.suppress(BlockingIOError):  # another process has it
                descriptor = lock(path)
            if descriptor is None and stopped.wait(CLAIM_STEP):
                raise InterruptedError
        try:
            yield descriptor
        finally:
            unlock(path, descriptor)

    def _path(self, place: PurePath) -> Path:
        name = hashlib.sha256(os.fsencode(place.as_posix())).hexdigest()[:32]
        return self.folder / f"{name}.json"


def _typed(record: ClipRecord | Content) -> bool:
    """Whether each field holds what its annotation says."""
    kinds: dict[str, Any] = {f.name: get_origin(f.type) or f.type for f in fields(record)}
    return all(isinstance(getattr(record, name), kind) for name, kind in kinds.items())


def settings_hash(options: Mapping[str, list[str]], weights_name: str | None) -> str:
    """The SHA-256 of every option that changes a result, and of the weights' bytes."""
    telling = {name: words for name, words in options.items() if name not in NEUTRAL}
    telling["weights"] = [weights.mark(weights_name)]
    return hashlib.sha256(json.dumps(telling, sort_keys=True).encode()).hexdigest()


def content_of(
    source: Path, known: Content | None, stopped: threading.Event | None = None
) -> Content:
    """A clip's identity; its bytes are read only if its stamp is new. Raises OSError, and
    InterruptedError once `stopped` is set."""
    if is_special(source):
        raise OSError(errno.EINVAL, "is a pipe or a device: give it a run of its own", str(source))
    stamp = stamp_of(source)
    if known is not None and known.stamp == stamp:
        return known
    whole = hashlib.sha256()
    for path in _files(source):
        content = _digest(path, stopped or threading.Event())
        whole.update(os.fsencode(path.relative_to(source)) + b"\0" + content)
    return Content(digest=whole.hexdigest(), stamp=stamp)


def _digest(path: Path, stopped: threading.Event) -> bytes:
    """SHA-256 of a file, which may take minutes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            if stopped.is_set():
                raise InterruptedError
            digest.update(chunk)
    return digest.digest()


def stamp_of(path: Path) -> str:
    """Changes whenever a file, or any file of a folder, is written. Raises OSError."""
    facts = hashlib.sha256()
    for file in _files(path):
        stat = file.stat()
        times = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        facts.update(os.fsencode(file.relative_to(path)) + repr(times).encode())
    return facts.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or every file in a folder, hidden ones apart. A folder that is one file by
    its name is looked into all the way down; in others there may be clips of their own."""
    if not path.is_dir():
        yield path
        return
    if path.suffix != ".zarr":
        yield from sorted(files_of(path))
        return
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))
