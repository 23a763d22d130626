"""Published benchmarks: the clips of a folder laid out as published, under the published protocol.

One is a TOML file in `published`; its name is the registry. It has the title, protocol, noises,
where its files lie, and rows that others published. A benchmark is that benchmark: names and
numbers of clips are checked, and other footage is refused unless it is asked for.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
import tifffile

from f2rcli.batch import clips_in
from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation.base import Case, file_facts
from f2rcli.evaluation.result import BenchmarkFacts, Published
from f2rcli.frames import ClipInfo, Frame, Mosaic
from f2rcli.io import ReadOptions, open_reader
from f2rcli.io.files import quiet, refusals
from f2rcli.io.numbering import files_in_order
from f2rcli.samples.lanes import measure_lane, planes_seen
from f2rcli.settings import Setting
from f2rcli.units import count
from f2rcli.yuv import bayer_layout

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
NAMED = 4  # missing clips that an error names
CRVD = Mosaic(pattern="GBRG", black=(240.0,) * 4, white=(4095.0,) * 4)  # 12 bits


def available() -> list[str]:
    """The names of all benchmarks, without reading any of them."""
    names = (entry.name for entry in files("f2rcli.evaluation").joinpath("published").iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load(name: str) -> "Benchmark":
    """A benchmark by name; raises UsageError for an unknown one."""
    Setting(choices=available).check("benchmark", name)
    text = files("f2rcli.evaluation").joinpath("published", f"{name}.toml").read_text("utf-8")
    return Benchmark.parse(name, text)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark: of clean clips if it states noises, else of mosaics with noise of a sensor."""

    name: str
    title: str
    expects: str  # "JPEGImages/480p/<sequence>/00000.jpg and so on"
    where: str  # "the authors publish DAVIS 2017 at davischallenge.org"
    protocol: tuple[str, ...]
    layout: Mapping[str, Any]  # where its files lie
    clips: tuple[str, ...]
    frames: int | None = None  # of a clip, at most
    noises: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    metrics: tuple[str, ...] = ("psnr", "ssim")

    @classmethod
    def parse(cls, name: str, text: str) -> Self:
        """The benchmark that a TOML file describes."""
        found = tomllib.loads(text)
        rows = tuple(row for table in found.pop("published", ()) for row in _rows(table))
        lists = {key: tuple(v) for key, v in found.items() if isinstance(v, list)}
        return cls(name=name, published=rows, **found | lists)

    @property
    def clipped(self) -> bool:
        """Whether noise made on the spot is clipped to codes; the protocols say it is not."""
        return not self.noises

    def cases(
        self, root: Path, noises: tuple[str, ...] = (), frames: int | None = None,
        *, any_clips: bool = False,
    ) -> list[Case]:  # fmt: skip
        """The clips below `root`, once per noise or ISO (`noises` () means the published ones).

        frames: at most this many of a clip, instead of the protocol's own number. any_clips: take
        whatever clips are there. Raises InputError that says what is missing and what is expected.
        """
        if noises and not self.noises:
            what = f"noise={noises[0]!r}: {self.name} has noise of its own."
            raise UsageError(what, hint="Leave noise= out.")
        self._check_folder(root)
        if not self.noises:
            return self._mosaics(root, frames or self.frames)
        found = self._sequences(root, frames or self.frames, any_clips=any_clips)
        from f2rcli.noise.synthesis.spec import parse  # brings codecs

        chosen = [parse(text) for text in noises or self.noises]
        return [replace(case, group=noise.name, noise=noise) for noise in chosen for case in found]

    def facts(self, cases: Sequence[Case], frames: int | None = None) -> BenchmarkFacts:
        """Title, protocol and published rows. frames: a limit that was asked for instead."""
        whole = self._missing({case.name for case in cases}) == ([], [])
        return BenchmarkFacts(
            name=self.name,
            title=self.title if whole else f"{self.title}: not its own clips, or not all of them",
            protocol=self.protocol,
            complete=whole and frames in (None, self.frames),
            published=self.published,
        )

    def _missing(self, names: set[str]) -> tuple[list[str], list[str]]:
        """Clips that are not there, and those that are not the benchmark's."""
        return [c for c in self.clips if c not in names], sorted(names - {*self.clips})

    def _sequences(self, root: Path, frames: int | None, *, any_clips: bool) -> list[Case]:
        """A case for each clip, without noise: the benchmark's own, or with any_clips all."""
        prefix = self.layout.get("prefix", "")
        each = [_sequences_in(folder) for folder in self._folders(root)]
        clips = {n.removeprefix(prefix): p for one in each for n, p in sorted(one.items())}
        if not clips:
            raise self._wrong(root, "has none of its clips")
        missing, others = self._missing({*clips})
        if not any_clips:
            if missing:
                raise self._not_this(root, missing, others)
            clips = {name: clips[name] for name in sorted(self.clips)}
        options = ReadOptions(frames=frames)
        found = list[Case]()
        for name, path in clips.items():
            opener, files = partial(open_reader, path, options), (file_facts("clean", path),)
            found.append(Case(name=name, reference=opener, files=files))
        return found

    def _folders(self, root: Path) -> list[Path]:
        """The folders that hold clips: all that the layout names, or the first with any."""
        found: list[Path] = []
        for pattern in self.layout["folders"]:
            here = [root] if pattern == "." else sorted(root.glob(pattern))
            found += [folder for folder in here if _sequences_in(folder)]
        return found if self.layout.get("together") else found[:1]

    def _mosaics(self, root: Path, frames: int | None) -> list[Case]:
        """A case per scene and ISO value."""
        if not (root / self.layout["noisy"][0]).is_dir():
            raise self._wrong(root, f"has no folder {self.layout['noisy'][0]}")
        every = [(s, iso) for iso in self.layout["isos"] for s in self.layout["scenes"]]
        return [self._scene(root, *each, frames) for each in every]

    def _scene(self, root: Path, scene: int, iso: int, frames: int | None) -> Case:
        sides = {}
        for role in ("clean", "noisy"):
            base, name = self.layout[role]
            inner = Path(f"scene{scene}") / f"ISO{iso}"
            # The download unpacks to one folder more per scene.
            nested = root / base / f"{base}_scene{scene}" / inner
            folder = nested if nested.is_dir() else root / base / inner
            for number in range(1, (self.frames or 0) + 1):
                if not (folder / name.format(number)).is_file():
                    missing = (folder / name.format(number)).relative_to(root)
                    raise self._wrong(root, f"{missing} is missing")
            sides[role] = folder / name.format("%d")
        facts = (file_facts(role, path.parent) for role, path in sides.items())
        return Case(
            name=f"scene{scene}", group=f"ISO {iso}", files=tuple(facts),
            reference=partial(CrvdClip, sides["clean"], frames),
            noisy=partial(CrvdClip, sides["noisy"], frames, noisy=True),
        )  # fmt: skip

    @property
    def _hint(self) -> str:
        return f"f2r downloads nothing: {self.where}."

    def _check_folder(self, root: Path) -> None:
        if not root.is_dir():
            what = "is not a folder" if root.exists() else "there is no such folder"
            raise InputError(f"{root}: {what}.", hint=self._hint)
        if not any(root.iterdir()):
            raise self._wrong(root, "is empty")

    def _wrong(self, root: Path, what: str) -> InputError:
        """The error for a folder that is laid out otherwise."""
        return InputError(f"{root}: {what}; expected {self.expects}.", hint=self._hint)

    def _not_this(self, root: Path, missing: list[str], others: list[str]) -> InputError:
        """The error for a folder with other clips, or with a part of the benchmark."""
        named = ", ".join(missing[:NAMED]) + (" ..." if len(missing) > NAMED else "")
        beside = f"; {count(len(others), 'other clip')} beside" if others else ""
        gone = f"{len(missing)} of the {len(self.clips)} clips of {self.title} are missing"
        hint = f"--any-clips measures what is there, and the report says so. {self._hint}"
        return InputError(f"{root}: {gone}: {named}{beside}.", hint=hint)


class CrvdClip(AbstractContextManager["CrvdClip"]):
    """CRVD's mosaics, seven frames or so: the TIFF files of a pattern, or the pages of one. Where
    they are noisy, lasting defects of the sensor are repaired, as readers of camera raw do."""

    def __init__(self, path: Path, most: int | None = None, *, noisy: bool = False) -> None:
        """Read it. Raises InputError."""
        files = files_in_order(path) if "%" in path.name else [path]
        with refusals(path.name), quiet():
            pages = [page for file in files for page in np.array(tifffile.imread(file), ndmin=3)]
        pages, (height, width) = pages[:most], pages[0].shape
        if noisy:
            seen = measure_lane(pages, (), CRVD)
            pages = [planes_seen(page, seen)[0] for page in pages]
        self._pages = pages
        self.info = ClipInfo(
            name=path.name, width=width, height=height, frames=len(pages),
            layout=bayer_layout(CRVD, 12), duration=None, rate=None, time_base=Fraction(1, 25),
        )  # fmt: skip

    def __iter__(self) -> Iterator[Frame]:
        base, layout = self.info.time_base, self.info.layout
        for n, page in enumerate(self._pages):
            yield Frame(planes=(page,), layout=layout, pts=n, duration=1, time_base=base, index=n)

    def __exit__(self, *error: object) -> None:
        """Nothing stays open."""


def _sequences_in(folder: Path) -> dict[str, Path]:
    """Clips in a folder by name: folders of pictures, and films."""
    every = clips_in(folder) if folder.is_dir() else []
    clips = (path for path in every if path.is_dir() or path.suffix.lower() not in PICTURES)
    return {path.name if path.is_dir() else path.stem: path for path in clips}


def _rows(table: Mapping[str, Any]) -> Iterator[Published]:
    """Rows of one source: a title, and PSNR and SSIM for each column."""
    for title, *cells in table["rows"]:
        each = zip(table["columns"], cells, strict=True)
        values = {column: dict(zip(("psnr", "ssim"), v, strict=False)) for column, v in each if v}
        yield Published(title=title, source=table["source"], values=values)
