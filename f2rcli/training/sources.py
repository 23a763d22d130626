"""Clips found in files and folders, and a name for what is made of them."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from f2rcli import __version__
from f2rcli.errors import F2RError, InputError
from f2rcli.io import readable_suffixes
from f2rcli.io.images.files import PICTURES, find_slots
from f2rcli.io.numbering import is_pattern
from f2rcli.io.raw.exposure import RAW_SUFFIXES
from f2rcli.io.stacks import holds_pages, tiff_files

LAYOUT = 5  # of what is made of clips; raise it when its files change
EDGE = 1 << 20  # bytes read at either end of a file


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A clip to be read: what `open_reader` is given, and the files it consists of."""

    source: str
    files: tuple[Path, ...]
    found: bool  # in a folder; False: named by the user

    @property
    def name(self) -> str:
        """For messages."""
        return Path(self.source).name or self.source


def find_sources(paths: Sequence[Path]) -> list[ClipSource | F2RError]:
    """Clips in the order given, folders searched to the bottom and sorted; none twice.

    A folder is searched for files whose suffix f2r knows; two or more pictures in one folder are
    a sequence, two or more raw files a burst, pictures beside those its previews, and TIFF files of
    one page each a stack. What is wrong with a single find is returned in its place. Raises
    InputError for a path that is not there, and where nothing is found at all.
    """
    found: list[ClipSource | F2RError] = []
    for path in paths:
        clips = list(_under(path)) if path.is_dir() else [_named(path)]
        if not clips:
            raise InputError(
                f"{path}: contains no clips that f2r can read.",
                hint="Check the folder, or name the files.",
            )
        found += clips
    seen: set[tuple[Path, ...]] = set()
    unique: list[ClipSource | F2RError] = []
    for item in found:
        files = tuple(file.resolve() for file in item.files) if isinstance(item, ClipSource) else ()
        if not files or files not in seen:
            unique.append(item)
        seen.add(files)
    return unique


def clip_sources(inputs: Iterable[str]) -> list[ClipSource]:
    """The readable clips among those that `find_sources` finds."""
    found = find_sources([Path(item) for item in inputs])
    return [item for item in found if isinstance(item, ClipSource)]


def _named(path: Path) -> ClipSource:
    if path.exists():
        return ClipSource(str(path), (path,), found=False)
    if is_pattern(str(path)):
        slots = find_slots(str(path))
        return ClipSource(str(path), tuple(slot.path for slot in slots if slot.exists), found=False)
    hint = "Training reads clips more than once." if str(path) == "-" else "Check the name."
    raise InputError(f"{path}: no such file or folder.", hint=hint)


def _under(top: Path) -> Iterator[ClipSource | F2RError]:
    suffixes = readable_suffixes()
    for folder, below, names in os.walk(top):
        below[:] = sorted(name for name in below if not name.startswith("."))
        files = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        raws = [file for file in files if file.suffix.lower() in RAW_SUFFIXES]
        pictures = [file for file in files if file.suffix.lower() in PICTURES]
        if len(pictures) > 1 and not raws:
            yield _sequence(Path(folder), found=Path(folder) != top)
        if len(raws) > 1:  # a burst
            yield ClipSource(folder, tuple(raws), found=Path(folder) != top)
            files = [file for file in files if file not in raws]
        if not raws and holds_pages(Path(folder)):
            pages = tiff_files(Path(folder))
            yield ClipSource(folder, tuple(pages), found=Path(folder) != top)
            files = [file for file in files if file not in pages]
        for file in files:
            if file.suffix.lower() in suffixes and file.suffix.lower() not in PICTURES:
                yield ClipSource(str(file), (file,), found=True)


def _sequence(folder: Path, *, found: bool) -> ClipSource | F2RError:
    try:
        slots = find_slots(str(folder))
    except InputError as error:
        return error
    return ClipSource(str(folder), tuple(slot.path for slot in slots if slot.exists), found)


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
