"""The target of every clip of a batch; no two of them, nor an input, are the same file."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from f2rcli.batch.scan import FoundClip
from f2rcli.errors import OutputError, UsageError
from f2rcli.io import default_target, readable_suffixes
from f2rcli.io.targets import same_file

MARK = "_f2r"  # what default_target adds to a name


@dataclass(frozen=True, slots=True)
class Placed:
    """A clip with its target."""

    source: Path
    place: PurePath  # of the target, below the output folder
    target: Path


def check_output(output: Path, sources: Sequence[str]) -> None:
    """Raise for an output folder that cannot be one, or that lies inside an input."""
    if output.exists() and not output.is_dir():
        raise OutputError(
            f"{output}: is a file; several clips need a folder.", hint="Name a folder with -o."
        )
    if not output.exists() and output.suffix.lower() in readable_suffixes():
        raise UsageError(
            f"{output}: is named like one clip; several clips need a folder.",
            hint="Name a folder with -o.",
        )
    there = output.resolve()
    for source in sources:
        folder = Path(source).resolve()
        if Path(source).is_dir() and (folder == there or folder in there.parents):
            where = "is" if folder == there else "lies inside"
            raise UsageError(
                f"{output}: the output {where} the input folder {source}.",
                hint="Name a folder outside of it with -o; inputs are never written.",
            )


def place_all(clips: Sequence[FoundClip], output: Path) -> tuple[list[Placed], list[str]]:
    """Every clip with its target, and remarks. Raises UsageError where two of them meet."""
    placed = {(p.source.absolute(), p.target): p for p in (_placed(c, output) for c in clips)}
    unique = list(placed.values())  # a clip that was named twice is one clip
    remarks = _check_apart(unique, output)
    sources = {clip.source.resolve(): clip.source for clip in clips}
    for entry in unique:
        source = sources.get(entry.target.resolve())
        if source is not None or same_file(entry.source, entry.target):
            raise UsageError(
                f"{entry.target}: the output of {entry.source} is an input itself.",
                hint="Name another folder with -o; inputs are never written.",
            )
    return unique, remarks


def _placed(clip: FoundClip, output: Path) -> Placed:
    name = default_target(clip.source).name
    head, mark, tail = name.rpartition(MARK)
    place = clip.place.with_name(head + tail if mark else name)
    return Placed(clip.source, place, output / place)


def _check_apart(placed: list[Placed], output: Path) -> list[str]:
    remarks = []
    known: dict[str, Placed] = {}
    for entry in placed:
        key = unicodedata.normalize("NFC", str(entry.place)).casefold()
        other = known.setdefault(key, entry)
        if other is entry:
            continue
        if other.place == entry.place:
            raise UsageError(
                f"{other.source} and {entry.source}: both would be written to {entry.target}.",
                hint="Choose one with --pattern, rename one, or run them into two folders.",
            )
        if not tells_cases_apart(output):
            raise UsageError(
                f"{other.source} and {entry.source}: their names differ only in case or in the "
                f"spelling of accents, which {output} does not distinguish.",
                hint="Rename one of them, or write to another disk.",
            )
        remarks.append(
            f"{other.place} and {entry.place}: names that differ only in case or in the spelling "
            "of accents; other systems treat them as one"
        )
    return remarks


def tells_cases_apart(folder: Path) -> bool:
    """Are a.mkv and A.mkv two files on the disk of a folder, or of the one that will hold it?"""
    path = folder.absolute()
    while not path.exists():
        path = path.parent
    for part in (path, *path.parents):
        swapped = part.with_name(part.name.swapcase())
        if swapped.name != part.name:
            return not (os.path.lexists(swapped) and same_file(part, swapped))
    return True
