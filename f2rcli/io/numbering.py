"""Numbered files: patterns such as `frames/%05d.png`, their order, and missing numbers."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from f2rcli.errors import InputError

MAX_GAP = 100  # missing numbers in a row; beyond it the files are hardly one clip
_PATTERN = re.compile(r"%0?(\d*)d")
# Letters and words in names that number a file along an axis, as Micro-Manager, ImageXpress,
# CellProfiler and tifffile write them.
_AXES = {"t": "T", "time": "T", "z": "Z", "slice": "Z", "c": "C", "ch": "C", "channel": "C",
         "w": "C", "p": "P", "s": "P", "pos": "P", "position": "P"}  # fmt: skip
_NUMBERED = re.compile(rf"(?<![a-z])({'|'.join(sorted(_AXES, key=len, reverse=True))})[_-]?(\d+)")
_ORDER = "PTCZ"  # of axes, slowest first


@dataclass(frozen=True, slots=True)
class Slot:
    """One frame of a sequence: its file, or the name of a missing one."""

    path: Path
    exists: bool = True


def is_pattern(source: str) -> bool:
    """Whether a name is a pattern such as `frames/%05d.png`."""
    return len(_PATTERN.findall(Path(source).name)) == 1


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts `im 2` before `im 10`."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def files_of(folder: Path, suffixes: Collection[str] | None = None) -> Iterator[Path]:
    """The visible files of a folder, or those with one of these suffixes, in no order."""
    for path in folder.iterdir():
        wanted = suffixes is None or path.suffix.lower() in suffixes
        if wanted and not path.name.startswith(".") and path.is_file():
            yield path


def check_one_kind(folder: Path, files: Iterable[Path], what: str, hint: str) -> None:
    """Raise InputError for files with several suffixes. what: they are, hint: what to do."""
    kinds = Counter(path.suffix.lower() for path in files)
    if len(kinds) > 1:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise InputError(f"{folder.name}: holds {what} of several kinds ({counts}).", hint=hint)


def matching(pattern: Path) -> list[tuple[int, Path]]:
    """Number and path of every file that matches a pattern, in no order."""
    before, width, after = _split(pattern.name)
    number = re.compile(re.escape(before) + rf"(\d{{{max(width, 1)},}})" + re.escape(after))
    files = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    return [(int(match[1]), path) for path in files if (match := number.fullmatch(path.name))]


def no_match(pattern: Path) -> InputError:
    """The error for a pattern without files."""
    return InputError(
        f"{pattern}: no file matches.", hint="Check the folder and the number of digits."
    )


def pattern_slots(pattern: Path) -> list[Slot]:
    """The frames of a pattern by number. Raises InputError for none, and for too wide a gap."""
    found = dict(matching(pattern))
    if not found:
        raise no_match(pattern)
    return with_gaps(found)


def with_gaps(files: dict[int, Path]) -> list[Slot]:
    """Every number from first to last, missing files marked. Raises InputError for wide gaps."""
    numbers = sorted(files)
    slots: list[Slot] = []
    for before, number in zip([numbers[0], *numbers], numbers, strict=False):
        if number - before - 1 > MAX_GAP:
            raise InputError(
                f"{files[number].name}: the numbers jump from {before} to {number}.",
                hint="Denoise the two parts separately.",
            )
        for missing in range(before + 1, number):
            slots.append(Slot(_renumbered(files[before], before, missing), exists=False))
        slots.append(Slot(files[number]))
    return slots


def folder_slots(files: list[Path]) -> list[Slot]:
    """A folder's frames: by the one number that differs, where most numbers follow each other; else
    by name, as of files named by time. Raises InputError for gaps too wide to be lost frames."""
    ordered = sorted(files, key=natural_key)
    stems = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in ordered]
    by_name = [Slot(path) for path in ordered]
    if any(stem is None for stem in stems) or len({stem[1] for stem in stems if stem}) > 1:
        return by_name
    found = {int(stem[2]): path for stem, path in zip(stems, ordered, strict=True) if stem}
    steps = [after - before for before, after in pairwise(sorted(found))]
    counted = 2 * steps.count(1) >= len(steps) and len(found) == len(ordered)
    return with_gaps(found) if counted else by_name


def _renumbered(path: Path, number: int, other: int) -> Path:
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.name)
    if match is None or int(match[2]) != number:
        return path.with_name(f"{other}{path.suffix}")
    return path.with_name(f"{match[1]}{other:0{len(match[2])}d}{match[3]}")


def numbered(pattern: Path, number: int) -> Path:
    """The file of a pattern with this number."""
    before, width, after = _split(pattern.name)
    return pattern.with_name(f"{before}{number:0{width}d}{after}")


def _split(name: str) -> tuple[str, int, str]:
    match = _PATTERN.search(name)
    if match is None:
        raise ValueError(f"{name}: not a pattern")
    return name[: match.start()], int(match[1] or 0), name[match.end() :]


def axes_in_names(files: list[Path]) -> tuple[dict[str, int], list[Path | None]] | None:
    """Axes that names of files count, `exp_T0000_C01_Z03.tif`, with their sizes, and the file at
    each place, None for a missing one. None where names count less than two axes, or a depth."""
    found: dict[tuple[int, ...], Path] = {}
    letters = ""
    for path in files:
        marks = {_AXES[word]: int(number) for word, number in _NUMBERED.findall(path.stem.lower())}
        letters = letters or "".join(axis for axis in _ORDER if axis in marks)
        if "".join(axis for axis in _ORDER if axis in marks) != letters:
            return None
        found[tuple(marks[axis] for axis in letters)] = path
    values = [sorted({key[n] for key in found}) for n in range(len(letters))]
    sizes = {axis: len(one) for axis, one in zip(letters, values, strict=True) if len(one) > 1}
    if len(found) < len(files) or (len(sizes) < 2 and "Z" not in sizes):  # a letter, not an axis
        return None
    every = [()]  # type: list[tuple[int, ...]]
    for one in values:
        every = [(*before, value) for before in every for value in one]
    if len(every) > 2 * len(found):  # hardly a grid
        return None
    return sizes, [found.get(key) for key in every]
