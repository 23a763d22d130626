"""Clips of data sets: sequences and still pictures in folders, and pictures read one by one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from f2rcli.evaluation.base import OpenClip
from f2rcli.evaluation.result import FileFacts
from f2rcli.frames import ClipInfo, Frame, Plane, PlaneLayout
from f2rcli.io import readable_suffixes
from f2rcli.io.digest import digest

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
RATE = Fraction(25)  # of pictures that carry no time


@dataclass(frozen=True, slots=True)
class PictureClip:
    """A clip of pictures, read one by one: a `ClipOpener`, and the `OpenClip` it opens."""

    info: ClipInfo
    read: Sequence[Callable[[], Plane]]

    def __call__(self) -> AbstractContextManager[OpenClip]:
        return nullcontext(self)  # type: ignore[arg-type]  # a frozen OpenClip

    def __iter__(self) -> Iterator[Frame]:
        apart = len(self.info.lanes) > 1
        for number, read in enumerate(self.read):
            yield Frame(
                planes=(read(),), layout=self.info.layout, pts=number, duration=1,
                time_base=1 / RATE, lane=number if apart else 0,
            )  # fmt: skip


def pictures(
    name: str,
    layout: PlaneLayout,
    size: tuple[int, int],
    read: Sequence[Callable[[], Plane]],
    *,
    apart: bool = False,
) -> PictureClip:
    """A clip of one-plane pictures of `size` (rows, columns). apart: each in a lane of its own."""
    lanes = tuple(str(number) for number in range(len(read))) if apart else ("",)
    info = ClipInfo(
        name=name, width=size[1], height=size[0], layout=layout, frames=len(read), duration=None,
        rate=RATE, time_base=1 / RATE, lanes=lanes,
    )  # fmt: skip
    return PictureClip(info, read)


def file_facts(role: str, path: Path) -> FileFacts:
    """A report's facts about a file or folder."""
    return FileFacts(role=role, path=str(path), sha256=digest(path))


def sequences(folder: Path) -> dict[str, Path]:
    """Clips in a folder by name: folders of pictures, and video files."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue
        if path.is_dir() and any(p.suffix.lower() in PICTURES for p in path.iterdir()):
            found[path.name] = path
        elif path.is_file() and path.suffix.lower() in readable_suffixes() - PICTURES:
            found[path.stem] = path
    return found


def single_pictures(folder: Path) -> dict[str, Path]:
    """Still pictures in a folder by name."""
    files = (p for p in sorted(folder.iterdir()) if not p.name.startswith("."))
    return {p.stem: p for p in files if p.is_file() and p.suffix.lower() in PICTURES}
