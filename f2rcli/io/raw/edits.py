"""Develop settings that raw developers keep in files of their own beside raw files.

`IMG.xmp` is beside `IMG.CR2` as Adobe's programs name it, `IMG.CR2.xmp` as darktable does, and
`IMG.CR2.pp3` as RawTherapee does. A file denoised without them would lose its owner's work.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from f2rcli.io.numbering import files_of

SUFFIXES = frozenset({".xmp", ".pp3"})


class Edit(NamedTuple):
    """A file of develop settings, and the name that it has beside the output."""

    source: Path
    target: Path

    def copy(self) -> bool:
        """Copy it, unless something is there by now; whether that was done."""
        try:
            data = self.source.read_bytes()
            with self.target.open("xb") as file:
                file.write(data)
        except OSError:
            return False
        return True


def edits_beside(files: Iterable[Path]) -> dict[Path, list[Path]]:
    """Files of develop settings by the raw files that they belong to."""
    files = list(files)
    found: dict[Path, list[Path]] = defaultdict(list)
    for folder in {path.parent for path in files}:
        for edit in files_of(folder, SUFFIXES):
            found[edit.with_suffix("")].append(edit)
    return {
        path: sorted(edits)
        for path in files
        if (edits := found.get(path.with_suffix(""), []) + found.get(path, []))
    }


def edits_for(outputs: dict[Path, Path]) -> list[Edit]:
    """Develop settings beside raw files (keys), for their outputs."""
    return [
        Edit(edit, _named_after(outputs[path], edit, whole=edit.stem == path.name))
        for path, edits in edits_beside(outputs).items()
        for edit in edits
    ]


def _named_after(output: Path, edit: Path, *, whole: bool) -> Path:
    return Path(f"{output if whole else output.with_suffix('')}{edit.suffix}")


def words(edits: list[Edit]) -> list[str]:
    """A line that names them; empty if there are none."""
    names = [edit.source.name for edit in edits]
    more = f" and {len(names) - 2} more" if len(names) > 3 else ""
    listed = ", ".join(names[: 2 if more else 3])
    return [f"develop settings beside the source ({listed}{more})"] if names else []
