"""A benchmark as its TOML file describes it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation.base import Case
from f2rcli.evaluation.clips.datasets import PictureClip
from f2rcli.evaluation.clips.pairing import File
from f2rcli.evaluation.result import BenchmarkFacts, Published
from f2rcli.noise.synthesis.spec import parse


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark: of clean clips if it states noises, else of clips with noise."""

    name: str
    title: str
    loader: str
    expects: str = ""  # "JPEGImages/480p/<sequence>/00000.jpg and so on"; "": it needs no files
    where: str = ""  # "the authors publish DAVIS 2017 at davischallenge.org"
    protocol: tuple[str, ...]
    layout: Mapping[str, Any]  # what the loader needs
    clips: int | tuple[str, ...]  # of the whole benchmark: how many, or which
    frames: int | None = None
    noises: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    metrics: tuple[str, ...] = ("psnr", "ssim")
    seed: int = 0  # of what is simulated

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

    @property
    def hint(self) -> str:
        """Where to get the data."""
        return f"f2r downloads nothing: {self.where}."

    def wrong(self, root: Path, what: str) -> InputError:
        """The error for a folder that is laid out otherwise."""
        return InputError(f"{root}: {what}; expected {self.expects}.", hint=self.hint)

    def cases(
        self, root: Path | None, noises: tuple[str, ...], frames: int | None = None
    ) -> list[Case]:
        """The clips below `root`, once per noise or ISO (`noises` () means the published ones).
        Simulated ones need no root.

        frames: at most this many of a clip, instead of the protocol's own number. Raises InputError
        that says which file of the layout is missing and what is expected.
        """
        if noises and not self.noises:
            raise UsageError(
                f"noise={noises[0]!r}: {self.name} has noise of its own.", hint="Leave noise= out."
            )
        if root is not None:
            self._check(root)
        chosen = [parse(text) for text in noises or self.noises]
        loader = import_module(f"f2rcli.evaluation.benchmarks.loaders.{self.loader}")
        found: list[Case] = loader.cases(self, root, frames or self.frames)
        if root is not None and not found:
            raise self.wrong(root, "has none of its clips")
        if not chosen:
            return found
        return [replace(case, group=noise.name, noise=noise) for noise in chosen for case in found]

    def facts(self, cases: list[Case]) -> BenchmarkFacts:
        """Protocol and published rows."""
        return BenchmarkFacts(
            name=self.name, title=self.title, protocol=self.protocol,
            complete=self._complete(cases), published=self.published,
        )  # fmt: skip

    def _check(self, root: Path) -> None:
        """Raise InputError where `root` is not a folder, or an empty one."""
        if not root.exists():
            raise InputError(f"{root}: there is no such folder.", hint=self.hint)
        if not root.is_dir():
            raise InputError(f"{root}: is not a folder.", hint=self.hint)
        if not any(root.iterdir()):
            raise self.wrong(root, "is empty")

    def _complete(self, cases: list[Case]) -> bool:
        """Whether these are all clips and frames of the published protocol."""
        clips = [case.reference for case in cases]
        if not self.noises:
            sizes = [clip.info.frames for clip in clips if isinstance(clip, PictureClip)]
            return len(sizes) == self.clips and set(sizes) == {self.frames}
        names = {case.name for case in cases}
        limits = {clip.options.frames for clip in clips if isinstance(clip, File)}
        whole = len(names) == self.clips if isinstance(self.clips, int) else names == {*self.clips}
        return whole and limits == {self.frames}


def _rows(table: Mapping[str, Any]) -> list[Published]:
    """Rows of one source: a title, and PSNR and SSIM for each column."""
    return [
        Published(
            title=title,
            source=table["source"],
            values={
                column: dict(zip(("psnr", "ssim"), value, strict=False))
                for column, value in zip(table["columns"], values, strict=True)
                if value
            },
        )
        for title, *values in table["rows"]
    ]
