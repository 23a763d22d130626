"""Clips found in files and folders, and a name for what is made of them."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from f2rcli import __version__
from f2rcli.errors import InputError
from f2rcli.io import is_clip, readable_suffixes
from f2rcli.io.formats import PICTURES
from f2rcli.io.numbering import is_pattern
from f2rcli.io.pictures import find_pictures

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


def clip_sources(inputs: Iterable[str | Path]) -> list[ClipSource]:
    """Clips in the order given, folders searched to the bottom and sorted; none twice.

    A folder that some format reads as a whole (numbered pictures, a burst, a stack of pages) is one
    clip. Raises InputError for a path that is not there, or holds nothing that f2r can read.
    """
    found: dict[tuple[Path, ...], ClipSource] = {}
    for path in map(Path, inputs):
        clips = list(_under(path)) if path.is_dir() and not is_clip(path) else [_named(path)]
        if not clips:
            raise InputError(
                f"{path}: contains no clips that f2r can read.",
                hint="Check the folder, or name the files.",
            )
        for clip in clips:
            found.setdefault(tuple(file.resolve() for file in clip.files), clip)
    return list(found.values())


def _named(path: Path) -> ClipSource:
    if path.exists():
        return ClipSource(str(path), _files_of(path), found=False)
    if is_pattern(str(path)):
        return ClipSource(str(path), tuple(find_pictures(str(path))), found=False)
    hint = "Training reads clips more than once." if str(path) == "-" else "Check the name."
    raise InputError(f"{path}: no such file or folder.", hint=hint)


def _under(folder: Path) -> Iterator[ClipSource]:
    """The clips in a folder, and in those below it; single pictures are none."""
    suffixes = readable_suffixes() - PICTURES.keys()
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.is_dir() and not is_clip(path):
            yield from _under(path)
        elif path.is_dir() or path.suffix.lower() in suffixes:
            yield ClipSource(str(path), _files_of(path), found=True)


def _files_of(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    return tuple(sorted(file for file in path.rglob("*") if file.is_file()))


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
