"""Find clips in inputs: walk folders without cycles, and report what is skipped.

A folder that some format reads as a whole (numbered pictures, a burst) is one clip; any other
folder is a folder of clips.
"""

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from f2rcli.errors import UsageError
from f2rcli.io import is_clip, readable_suffixes
from f2rcli.io.images.files import PICTURES
from f2rcli.io.numbering import is_pattern, natural_key
from f2rcli.units import count


@dataclass(frozen=True, slots=True)
class FoundClip:
    """A clip and its place below the output folder, under its own name."""

    source: Path
    place: PurePath


@dataclass
class Scan:
    """The clips found, in order; remarks on those left out; and unreadable folders."""

    clips: list[FoundClip] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)  # path and reason


@dataclass(frozen=True, slots=True)
class Choice:
    """Selects files of a folder."""

    recursive: bool = False
    patterns: tuple[str, ...] = ()  # of names, or of places where they hold a slash

    def wants(self, path: Path, place: PurePath) -> bool:
        """Is the file to be denoised, by the patterns or else by its suffix?"""
        if not self.patterns:
            return path.suffix.lower() in readable_suffixes()
        return any(
            fnmatch.fnmatchcase((str(place) if "/" in p else path.name).lower(), p.lower())
            for p in self.patterns
        )


def scan(sources: Sequence[str], choice: Choice = Choice(), avoid: Path | None = None) -> Scan:
    """Find the clips of all sources, in a stable order, outside the folder `avoid`. Files keep
    their names, folders mirror their trees, several sources below their own names. Raises
    UsageError."""
    found = Scan()
    walker = _Walker(choice, found, avoid)
    for source in sources:
        path = Path(source)
        if source == "-" or (is_pattern(source) and not path.exists()):
            raise UsageError(
                f"{source}: one of several inputs must be a file or a folder.",
                hint="Denoise it in a run of its own.",
            )
        name = PurePath(path.resolve().name)
        if not path.is_dir():
            found.clips.append(FoundClip(path, PurePath(path.name)))
        elif is_clip(path) and choice == Choice():
            found.clips.append(FoundClip(path, name))
        else:
            walker.walk(path, name if len(sources) > 1 else PurePath(), name)
    return found


class _Walker:
    """Looks into every folder once, whatever links lead to it."""

    def __init__(self, choice: Choice, found: Scan, avoid: Path | None) -> None:
        self.choice = choice
        self.found = found
        self.seen = {avoid.resolve()} if avoid is not None else set()

    def walk(self, folder: Path, place: PurePath, name: PurePath) -> None:
        """Real folders first, so that a link never stands in for the folder it leads to."""
        pending, linked = [(folder, place, name)], list[tuple[Path, PurePath, PurePath]]()
        while pending or linked:
            path, place, name = pending.pop() if pending else linked.pop()
            if path.resolve() in self.seen:
                if path.is_symlink():
                    self.found.remarks.append(
                        f"{path}: links to a folder that is already included; skipped"
                    )
                continue
            self.seen.add(path.resolve())
            below = list(self._folder(path, place, name))[::-1]  # the first is taken next
            pending += [entry for entry in below if not entry[0].is_symlink()]
            linked += [entry for entry in below if entry[0].is_symlink()]
        parents = {parent for clip in self.found.clips for parent in clip.place.parents}
        self.found.clips = [
            # its pictures would lie among the folders of the clips below it
            replace(clip, place=clip.place / clip.place.name) if clip.place in parents else clip
            for clip in self.found.clips
        ]
        self.found.clips.sort(key=lambda clip: [natural_key(Path(p)) for p in clip.place.parts])

    def _folder(
        self, folder: Path, place: PurePath, name: PurePath
    ) -> Iterator[tuple[Path, PurePath, PurePath]]:
        """Enter the clips of one folder; yields its subfolders."""
        try:
            with os.scandir(folder) as entries:
                paths = [Path(entry.path) for entry in entries if not entry.name.startswith(".")]
            whole = is_clip(folder)
        except OSError as error:
            self.found.unreadable.append((folder, error.strerror or str(error)))
            return
        self.found.remarks += [
            f"{path}: is a pipe or a device, not a file; skipped"
            for path in paths
            if is_special(path) and self.choice.wants(path, place / path.name)
        ]
        paths.sort(key=natural_key)
        folders = [path for path in paths if path.is_dir()]
        files = [path for path in paths if path not in folders and not is_special(path)]
        wanted = [path for path in files if self.choice.wants(path, place / path.name)]
        if whole and wanted:
            self.found.clips.append(FoundClip(folder, place if place.parts else name))
        elif not whole:
            self._files(folder, wanted, place)
        for path in folders:
            file = path.suffix.lower() in readable_suffixes()  # one by its name, as stack.ome.zarr
            if file and self.choice.wants(path, place / path.name):
                self.found.clips.append(FoundClip(path, place / path.name))
            elif self.choice.recursive:
                yield path, place / path.name, PurePath(path.name)

    def _files(self, folder: Path, wanted: list[Path], place: PurePath) -> None:
        """The files of a folder that is not a clip itself. Loose pictures are not clips either."""
        loose = [path for path in wanted if path.suffix.lower() in PICTURES]
        if loose and len(loose) < len(wanted):
            self.found.remarks.append(
                f"{folder}: {count(len(loose), 'picture')} beside other clips left out; put "
                "them into a folder of their own to make them a clip"
            )
            wanted = [path for path in wanted if path not in loose]
        self.found.clips += [FoundClip(path, place / path.name) for path in wanted]


def is_special(path: Path) -> bool:
    """Whether a path leads to a pipe, a device or the like, which may never end."""
    return path.exists() and not path.is_file() and not path.is_dir()
