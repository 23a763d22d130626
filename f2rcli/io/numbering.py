"""Numbered files: patterns such as `frames/%05d.png`, their order, and what is missing."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import pairwise, product
from math import prod
from pathlib import Path

from f2rcli.errors import InputError
from f2rcli.units import count

_PATTERN = re.compile(r"%0?(\d*)d")
# Letters and words in names that number a file along an axis, as Micro-Manager, ImageXpress,
# CellProfiler and tifffile write them.
_AXES = {"t": "T", "time": "T", "z": "Z", "slice": "Z", "c": "C", "ch": "C", "channel": "C",
         "w": "C", "p": "P", "s": "P", "pos": "P", "position": "P", "xy": "P"}  # fmt: skip
_NUMBERED = re.compile(rf"(?<![a-z])({'|'.join(sorted(_AXES, key=len, reverse=True))})[_-]?(\d+)")
# Names without such letters: of Micro-Manager 1, by moment, channel's name and depth; of Opera and
# Operetta, by row, column and field, plane, channel and moment.
_WORDED = re.compile(r"^img_(\d{9})_(.*)_(\d{3})$")
_PLATE = re.compile(r"r(\d+)c(\d+)f(\d+)p(\d+)-ch(\d+)sk(\d+)fk1fl1")
_ORDER = "PTCZ"  # of axes, slowest first
_RESULT = re.compile(r"(.+)_f2r(\..+)?")  # what f2r calls its own


def is_pattern(source: str) -> bool:
    return len(_PATTERN.findall(Path(source).name)) == 1


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts `im 2` before `im 10`."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def results_in(folder: Path) -> list[str]:
    """Names of a folder's earlier results beside their sources: `a_f2r.png` beside `a.tif`."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    heads = {name[: dot.start()] for name in names for dot in re.finditer(r"\.|$", name)}
    found = ((name, _RESULT.fullmatch(name)) for name in names)
    return sorted(name for name, own in found if own and own[1] in heads)


def tell_results(names: list[str]) -> list[str]:
    """A note on earlier results, which are no part of their folder's clip."""
    first = f"({names[0]}{', ...' * (len(names) > 1)})" if names else ""
    return [f"{count(len(names), 'earlier result')} left out {first}"] if names else []


def files_of(folder: Path, suffixes: Collection[str] | None = None) -> Iterator[Path]:
    """The visible files of a folder, of these suffixes, but for earlier results; in no order."""
    results = set(results_in(folder))
    for path in folder.iterdir():
        wanted = (suffixes is None or path.suffix.lower() in suffixes) and path.name not in results
        if wanted and not path.name.startswith(".") and path.is_file():
            yield path


def clip_files(source: str, suffixes: Collection[str], what: str) -> list[Path]:
    """The files of a folder, a pattern or one file, in order; what: those with these suffixes are.
    Raises InputError for files of several kinds, and for a pattern of none."""
    path = Path(source)
    if not path.is_dir():
        return files_in_order(path) if not path.exists() and is_pattern(source) else [path]
    files = sorted(files_of(path, suffixes), key=natural_key)
    kinds = Counter(file.suffix.lower() for file in files)
    if len(kinds) > 1:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        hint = f"Pass a pattern, e.g. folder/%05d{files[0].suffix}, or denoise them separately."
        raise InputError(f"{path.name}: holds {what} of several kinds ({counts}).", hint=hint)
    return files


def matching(pattern: Path) -> list[tuple[int, Path]]:
    """Number and path of every file that matches a pattern, in no order."""
    before, width, after = _PATTERN.split(pattern.name)
    number = re.compile(re.escape(before) + rf"(\d{{{width or 1},}})" + re.escape(after))
    files = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    return [(int(match[1]), path) for path in files if (match := number.fullmatch(path.name))]


def files_in_order(pattern: Path) -> list[Path]:
    """The files of a pattern by number. Raises InputError for none."""
    found = [path for _, path in sorted(matching(pattern))]
    if not found:
        raise InputError(f"{pattern}: no file matches.", hint="Check folder and number of digits.")
    return found


def missing_numbers(files: list[Path]) -> tuple[int, str]:
    """How many files the numbers of the others promise, and the first one's name. Only names that
    count promise any: they differ in their last number, most of which follow each other. Names by
    time do not."""
    stems = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in files]
    if len({None if stem is None else stem[1] for stem in stems}) != 1 or stems[0] is None:
        return 0, ""
    numbers = sorted(int(stem[2]) for stem in stems if stem)
    follow = sum(after - before == 1 for before, after in pairwise(numbers))
    count = numbers[-1] - numbers[0] + 1 - len(numbers)
    if 2 * follow < len(numbers) - 1 or not 0 < 2 * count <= len(numbers):
        return 0, ""
    first = next(before + 1 for before, after in pairwise(numbers) if after - before > 1)
    width = min(len(stem[2]) for stem in stems if stem)
    return count, f"{stems[0][1]}{first:0{width}d}{files[0].suffix}"


def numbered(pattern: str, number: int) -> str:
    """The name of a pattern's file with this number."""
    return _PATTERN.sub(lambda width: f"{number:0{width[1] or 1}d}", pattern)


def axes_in_names(files: list[Path]) -> tuple[dict[str, int], list[Path | None]] | None:
    """Axes that names of files count, `exp_T0000_C01_Z03.tif`, with their sizes, and the file at
    each place, None for a missing one. None where names count less than two axes, or a depth."""
    found: dict[tuple[int, ...], Path] = {}
    letters, words = "", dict[str, int]()
    for path in files:
        stem = _PLATE.sub(r"p\1\2\3_z\4_c\5_t\6", path.stem.lower())
        stem = _WORDED.sub(lambda m: f"t{m[1]}_c{words.setdefault(m[2], len(words))}_z{m[3]}", stem)
        marks = {_AXES[word]: int(number) for word, number in _NUMBERED.findall(stem)}
        letters = letters or "".join(axis for axis in _ORDER if axis in marks)
        if "".join(axis for axis in _ORDER if axis in marks) != letters:
            return None
        found[tuple(marks[axis] for axis in letters)] = path
    values = [sorted({key[n] for key in found}) for n in range(len(letters))]
    sizes = {axis: len(one) for axis, one in zip(letters, values, strict=True) if len(one) > 1}
    if len(found) < len(files) or (len(sizes) < 2 and "Z" not in sizes):  # a letter, not an axis
        return None
    if prod(map(len, values)) > 2 * len(found):  # hardly a grid
        return None
    return sizes, [found.get(key) for key in product(*values)]
