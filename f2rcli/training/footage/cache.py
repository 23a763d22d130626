"""Training cache: complete folders on disk, found by the content of their sources.

An entry is a folder named by a fingerprint of the files it was made from. It is built beside its
place and renamed once it is complete, so a kill at any moment leaves only a part, which the next
run sweeps away.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from f2rcli import __version__
from f2rcli.errors import OutputError
from f2rcli.io.atomic import flush, unique_part
from f2rcli.io.disk_errors import disk_error
from f2rcli.units import size

LAYOUT = 3  # of the entries; raise it when their files change
EDGE = 1 << 20  # bytes read at either end of a file
SPARE = 1 << 28  # bytes of free disk that are never taken
ELSEWHERE = "choose a cache folder on another disk"


def fingerprint(files: Sequence[Path], *facts: object) -> str:
    """A name for what is made of these files: 32 hex digits.

    It depends on f2r's version, on `facts`, and on size, time of change and the first and last
    mebibyte of every file (of the first and last file only, where there are more than eight);
    not on paths, so a moved clip is found again.
    """
    digest = hashlib.sha256(repr((__version__, LAYOUT, facts)).encode())
    for index, path in enumerate(files):
        state = path.stat()
        digest.update(repr((state.st_size, state.st_mtime_ns)).encode())
        if len(files) <= 8 or index in (0, len(files) - 1):
            with path.open("rb") as file:
                digest.update(file.read(EDGE))
                if state.st_size > 2 * EDGE:
                    file.seek(-EDGE, os.SEEK_END)
                digest.update(file.read(EDGE))
    return digest.hexdigest()[:32]


@contextmanager
def building(entry: Path) -> Iterator[Path]:
    """A folder to fill that becomes `entry` if the block ends well and no other is there, else
    vanishes. Raises OutputError for a full disk."""
    part = unique_part(entry)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        for path in part.iterdir():
            flush(path)
        if not entry.exists():
            part.rename(entry)
    except OSError as error:
        if entry.exists():  # both renamed at once
            return
        raise disk_error(entry.parent, error, ELSEWHERE) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_space(cache: Path, needed: int, limit: int, what: str) -> None:
    """Raise OutputError unless `needed` bytes more fit the limit and the disk."""
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free - SPARE
    short = "Choose fewer or shorter clips, or fewer frames of each."
    if needed > limit:
        raise OutputError(
            f"{what} need {size(needed)} of disk; the limit is {size(limit)}.", hint=short
        )
    if needed > free:
        raise OutputError(
            f"{what} need {size(needed)} of disk; {cache} has {size(max(free, 0))} free.",
            hint=f"{short[:-1]}; or a cache folder on another disk.",
        )
