"""What published benchmarks have in common: folders that are laid out as their authors say, clips
in them, and protocols on clean clips with noise made on the spot."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation.base import Case, Clip
from f2rcli.evaluation.clips.pairing import File
from f2rcli.evaluation.result import BenchmarkFacts, FileFacts, Published
from f2rcli.frames import ClipInfo, Frame, Plane, PlaneLayout
from f2rcli.io import ReadOptions, readable_suffixes
from f2rcli.io.digest import digest
from f2rcli.noise.synthesis.spec import parse

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
RATE = Fraction(25)  # of pictures that carry no time


@dataclass(frozen=True, slots=True)
class Layout:
    """How a dataset's files lie, and where its authors publish it."""

    expects: str  # "JPEGImages/480p/<sequence>/00000.jpg and so on"
    where: str  # "DAVIS 2017 test-dev at davischallenge.org"

    def check(self, root: Path) -> None:
        """Raises InputError where `root` is no folder, or an empty one."""
        if not root.exists():
            raise InputError(f"{root}: there is no such folder.", hint=self.hint)
        if not root.is_dir():
            raise InputError(f"{root}: is no folder.", hint=self.hint)
        if not any(root.iterdir()):
            raise self.wrong(root, "is empty")

    def wrong(self, root: Path, what: str) -> InputError:
        """The error for a folder that is laid out otherwise."""
        return InputError(f"{root}: {what}; expected {self.expects}.", hint=self.hint)

    @property
    def hint(self) -> str:
        """Where the data come from."""
        return f"f2r downloads nothing: {self.where}."


@dataclass(frozen=True, slots=True)
class Pictures:
    """A clip of pictures that are read one by one; a `ClipOpener`, and the `Clip` that it opens."""

    info: ClipInfo
    read: tuple[Callable[[], Plane], ...]
    apart: bool = False  # pictures that are not neighbours of each other: a lane for each

    def __call__(self) -> AbstractContextManager[Clip]:
        """See ClipOpener."""
        return nullcontext(self)  # type: ignore[arg-type]  # a frozen Clip

    def __iter__(self) -> Iterator[Frame]:
        for number, read in enumerate(self.read):
            yield Frame(
                planes=(read(),),
                layout=self.info.layout,
                pts=number,
                duration=1,
                time_base=1 / RATE,
                lane=number if self.apart else 0,
            )


def pictures(
    name: str,
    layout: PlaneLayout,
    size: tuple[int, int],
    read: Sequence[Callable[[], Plane]],
    *,
    apart: bool = False,
) -> Pictures:
    """A clip of pictures of `size` (rows, columns), one plane each."""
    info = ClipInfo(
        name=name,
        width=size[1],
        height=size[0],
        layout=layout,
        frames=len(read),
        duration=None,
        rate=RATE,
        time_base=1 / RATE,
        lanes=tuple(str(number) for number in range(len(read))) if apart else ("",),
    )
    return Pictures(info, tuple(read), apart)


def file_facts(role: str, path: Path) -> FileFacts:
    """What a report says of a file or folder."""
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


def refuse_noise(name: str, noises: Sequence[str]) -> None:
    """Raises UsageError where noise is asked for on clips that have their own."""
    if noises:
        raise UsageError(
            f"--noise {noises[0]}: {name} holds noise of its own.", hint="Leave --noise out."
        )


@dataclass
class CleanClips:
    """A benchmark on clean clips, to which its protocol adds noise; a `Benchmark`."""

    name: str
    title: str
    layout: Layout
    find: Callable[[Path], dict[str, Path]]  # the clips below a root, by name; may be none
    whole: Callable[[set[str]], bool]  # whether these are all clips of the published protocol
    noises: tuple[str, ...]
    protocol: tuple[str, ...]
    published: tuple[Published, ...] = ()
    frames: int | None = None
    metrics: tuple[str, ...] = ("psnr", "ssim")
    clipped: bool = False

    def cases(self, root: Path, noises: tuple[str, ...], frames: int | None = None) -> list[Case]:
        """See Benchmark. frames: fewer than the protocol's."""
        self.layout.check(root)
        chosen = [parse(text) for text in noises or self.noises]
        clips = self.find(root)
        if not clips:
            raise self.layout.wrong(root, "holds none of its clips")
        options = ReadOptions(frames=frames or self.frames)
        bare = [
            Case(name=name, reference=File(path, options), files=(file_facts("clean", path),))
            for name, path in clips.items()
        ]
        return [replace(case, group=noise.name, noise=noise) for noise in chosen for case in bare]

    def facts(self, cases: list[Case]) -> BenchmarkFacts:
        """See Benchmark."""
        read = [case.reference.options.frames for case in cases if isinstance(case.reference, File)]
        return BenchmarkFacts(
            name=self.name,
            title=self.title,
            protocol=self.protocol,
            complete=self.whole({case.name for case in cases}) and set(read) == {self.frames},
            published=self.published,
        )


def published(name: str) -> tuple[Published, ...]:
    """The rows of `benchmarks/published.toml` for a benchmark."""
    text = (Path(__file__).parents[1] / "benchmarks" / "published.toml").read_text(encoding="utf-8")
    return tuple(
        Published(
            title=title,
            source=table["source"],
            values={
                column: dict(zip(("psnr", "ssim"), value, strict=False))
                for column, value in zip(table["columns"], values, strict=True)
                if value
            },
        )
        for table in tomllib.loads(text).get(name, ())
        for title, *values in table["rows"]
    )
