"""Whether a cluster's worker can do the clips: the same f2r, and the same folders."""

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from f2rcli import __version__
from f2rcli.batch.records import FOLDER
from f2rcli.batch.work import Task
from f2rcli.io.atomic import write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a worker must have."""

    version: str  # of f2r
    mark: str  # a file in the output folder, written by the command
    secret: str  # its content
    sources: tuple[tuple[str, int], ...]  # a clip of each folder, and its size (-1: a folder)


@contextlib.contextmanager
def needed(tasks: Sequence[Task]) -> Iterator[Needs]:
    """What the workers must have for these tasks; the mark is there meanwhile."""
    if not tasks:
        yield Needs(version=__version__, mark="", secret="", sources=())
        return
    secret = secrets.token_hex(16)
    mark = Path(tasks[0].output) / FOLDER / f"seen-{secret[:8]}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_text(mark, secret)
    first = {str(Path(task.source).parent): task.source for task in reversed(tasks)}
    sources = tuple((source, size_of(source)) for source in sorted(first.values()))
    try:
        yield Needs(version=__version__, mark=str(mark), secret=secret, sources=sources)
    finally:
        mark.unlink(missing_ok=True)


def probe(needs: Needs) -> str:
    """What this process lacks, in words; "" for nothing."""
    if __version__ != needs.version:
        return f"has f2r {__version__}, this is {needs.version}"
    if not needs.mark:
        return ""
    folder = Path(needs.mark).parent
    try:
        seen = Path(needs.mark).read_text()
    except OSError as error:
        return f"does not see {folder.parent} ({error.strerror})"
    if seen != needs.secret:
        return f"sees another {folder.parent}"
    if not os.access(folder, os.W_OK):
        return f"may not write in {folder.parent}"
    unseen = (source for source, size in needs.sources if size_of(source) != size)
    return next((f"does not see {source} as it is here" for source in unseen), "")


def size_of(path: str) -> int:
    """Bytes of a file; -1 for a folder, -2 where nothing is to be seen."""
    try:
        return -1 if os.path.isdir(path) else os.path.getsize(path)
    except OSError:
        return -2
