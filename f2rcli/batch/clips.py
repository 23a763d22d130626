"""The clips of files and folders, and where each goes: folders are mirrored, inputs never written.

A folder that some format reads as a whole (numbered pictures, a burst) is one clip; any other
folder is a folder of clips.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.io import default_target, is_clip, readable_suffixes
from f2rcli.io.files import same_file
from f2rcli.io.formats import PICTURES
from f2rcli.io.numbering import is_pattern, natural_key
from f2rcli.units import count

MARK = "_f2r"  # what default_target adds to a name


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to denoise."""

    source: str  # absolute, as are targets: workers may run elsewhere
    target: str
    place: str  # of the target, below the output folder


def clips_in(folder: Path) -> list[Path]:
    """The clips of a folder, in order of their names, without those of its subfolders."""
    return [path for path, _ in _below(folder, PurePath(), set(), [], recursive=False)]


def find_clips(
    sources: Sequence[str], output: Path, *, recursive: bool = False
) -> tuple[list[Clip], list[str]]:
    """The clips of all sources, in a stable order, each with its target below `output`, and remarks
    on what was left out. Files keep their names, folders mirror their trees, several sources below
    their own names.

    Raises UsageError for targets that meet each other or an input, InputError for no clips, and
    OutputError for an output that is a file.
    """
    _check_output(output, sources)
    remarks, places = list[str](), list[tuple[Path, PurePath]]()
    seen = {output.resolve()}
    for source in sources:
        path = Path(source)
        if source == "-" or (is_pattern(source) and not path.exists()):
            raise UsageError(
                f"{source}: one of several inputs must be a file or a folder.",
                hint="Denoise it in a run of its own.",
            )
        name = PurePath(path.resolve().name)
        if not path.is_dir() or is_clip(path):
            places.append((path, name))
            continue
        root = name if len(sources) > 1 else PurePath()
        below = list(_below(path, root, seen, remarks, recursive=recursive))
        places += sorted(below, key=lambda one: [natural_key(Path(p)) for p in one[1].parts])
    if not places:
        raise InputError(
            f"{', '.join(sources)}: no clips found.", hint="--recursive includes subfolders."
        )
    return _placed(places, output), remarks


def _below(
    folder: Path, place: PurePath, seen: set[Path], remarks: list[str], *, recursive: bool
) -> Iterator[tuple[Path, PurePath]]:
    """The clips of a folder and their places; every folder once, whatever links lead to it."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        paths = sorted(folder.iterdir(), key=natural_key)
    except OSError as error:
        remarks.append(f"{folder}: cannot be read: {error.strerror or error}; left out")
        return
    paths = [path for path in paths if not path.name.startswith(".")]
    clips = [path for path in paths if path.suffix.lower() in readable_suffixes()]
    special = [path for path in clips if not path.is_file() and not path.is_dir()]
    loose = [path for path in clips if path.suffix.lower() in PICTURES and path.is_file()]
    remarks += [f"{path}: is no file; left out" for path in special]
    other = sum(path.is_file() for path in paths) - sum(path.is_file() for path in clips)
    if other:
        remarks.append(f"{folder}: {count(other, 'file')} of other kinds left out")
    if loose and len(loose) < len(clips):
        remarks.append(
            f"{folder}: {count(len(loose), 'picture')} beside other clips left out; put them into "
            "a folder of their own to make them a clip"
        )
        clips = [path for path in clips if path not in loose]
    yield from ((path, place / path.name) for path in clips if path not in special)
    folders = [path for path in paths if path.is_dir() and path not in clips]
    for path in sorted(folders, key=Path.is_symlink):  # a link never stands for its folder
        if is_clip(path):
            yield path, place / path.name
        elif recursive:
            yield from _below(path, place / path.name, seen, remarks, recursive=True)


def _check_output(output: Path, sources: Sequence[str]) -> None:
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
    for source in (Path(source) for source in sources if Path(source).is_dir()):
        if there.is_relative_to(source.resolve()):
            raise UsageError(
                f"{output}: lies in the input folder {source}.",
                hint="Name a folder outside of it with -o; inputs are never written.",
            )


def _placed(places: Sequence[tuple[Path, PurePath]], output: Path) -> list[Clip]:
    """The clips; one that was named twice is one."""
    placed: dict[Path, Clip] = {}
    for source, place in places:
        name = default_target(source).name
        head, mark, tail = name.rpartition(MARK)
        place = place.with_name(head + tail if mark else name)
        clip = Clip(os.path.abspath(source), os.path.abspath(output / place), place.as_posix())
        other = placed.setdefault(output / place, clip)
        if other.source != clip.source:
            raise UsageError(
                f"{other.source} and {source}: both would be written to {output / place}.",
                hint="Rename one, or run them into two folders.",
            )
        if any(same_file(one, output / place) for one, _ in places):
            raise UsageError(
                f"{output / place}: the output of {source} is an input itself.",
                hint="Name another folder with -o; inputs are never written.",
            )
    return list(placed.values())
