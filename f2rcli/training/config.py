"""A training run as its user asks for it: the options of `f2r train`."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from f2rcli import __version__, methods, weights
from f2rcli.batch import clips_in, is_one_clip
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import InputError, UsageError, WeightsError
from f2rcli.frames import Family
from f2rcli.io.base import FieldMode, ReadOptions
from f2rcli.io.formats import PICTURES
from f2rcli.io.numbering import is_pattern
from f2rcli.io.pictures import find_pictures
from f2rcli.settings import check, clock, like, parse_json, read_text, setting

SCRATCH = "scratch"
ADAPTABLE = ("f2r", "udvd")  # methods whose weights can be fitted to one clip
ADAPTING = 60.0  # seconds, unless more are asked for
NOT_STORED = frozenset({"resume", "overwrite"})


def beginnings() -> list[str]:
    return [SCRATCH, *weights.available()]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One `f2r train`. Every field but the paths has a default; text is kept as it was written.

    Raises UsageError for what is unknown, out of range, or contradicts itself.
    """

    inputs: tuple[str, ...]  # files, folders or patterns, as for `f2r denoise`
    output: str  # .safetensors
    method: str = setting(methods.DEFAULT, choices=methods.available)
    init: str | None = setting(  # weights to start from; None: scratch, or bundled ones to adapt
        None, choices=beginnings, pattern=r"(?s).*[./\\].*",
        others="the path of a .safetensors file",
    )  # fmt: skip
    adapt: bool = False  # fit the bundled weights, or those of `init`, to the clips
    steps: int | None = setting(None, low=1, high=10**7)  # at most so many of every stage
    seed: int = setting(0, low=0, high=2**63 - 1)  # the same one repeats the run
    noise: str | None = setting(None)  # to be added, to clips that have none
    axes: str | None = like(ReadOptions, "axes")
    series: str | None = like(ReadOptions, "series")
    fields: str = like(ReadOptions, "fields")
    start_at: float | None = None  # seconds
    end_at: float | None = None  # seconds
    frames: int | None = None  # of every clip
    device: str = like(EngineSettings, "device")
    threads: int | None = like(EngineSettings, "threads")
    precision: str = setting("auto", choices=("auto", "fp32", "bf16"))
    # Of the session, such as 25m; the schedule is fitted to it. To adapt, a minute.
    time_limit: str | None = setting(None)
    resume: bool = False  # continue the run of this output, or of `run`
    overwrite: bool = False  # replace existing files
    run: str | None = None  # folder of checkpoints and curves; None: NAME.run beside the output

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError("no clips to train on.", hint="Name one: f2r train CLIP -o NAME.")
        check(self)
        _ = self.read  # checks itself
        if self.time_limit_seconds == 0:
            raise UsageError(f"time_limit={self.time_limit!r}: must be longer than 0 s.")
        if Path(self.output).suffix != ".safetensors":
            what = f"output={self.output!r}: weights are written as .safetensors."
            hint = f"For example output='{Path(self.output).stem or 'my'}.safetensors'."
            raise UsageError(what, hint=hint)
        if self.adapt and self.method not in ADAPTABLE:
            what = f"adapt=True: not with method {self.method}."
            raise UsageError(what, hint=f"Choose {' or '.join(ADAPTABLE)}, or train without it.")
        if self.adapt and self.init == SCRATCH and self.method == methods.DEFAULT:
            what = f"init={SCRATCH!r}: method {self.method} can adapt existing weights only."
            raise UsageError(what, hint="Leave it out.")

    @property
    def clean(self) -> bool:
        """Whether the clips have no noise of their own."""
        return self.noise is not None

    @property
    def read(self) -> ReadOptions:
        """Range of the clips to read, and how to read them."""
        return ReadOptions(
            start=self.start_at, end=self.end_at, frames=self.frames, axes=self.axes,
            series=self.series, fields=cast(FieldMode, self.fields),
        )  # fmt: skip

    def begun_from(self, space: Family) -> str | None:
        """The weights that a run on such clips begins from, for `weights.load`: those asked for, or
        bundled ones for an adaptation; None: scratch. Raises WeightsError if it needs bundled ones
        and there are none."""
        if self.init is not None or not self.adapt:
            return None if self.init == SCRATCH else self.init
        try:
            return weights.choose(self.method, space)
        except WeightsError:
            if self.method == methods.DEFAULT:
                raise
            return None

    @property
    def time_limit_seconds(self) -> float | None:
        """Time limit of this session in seconds; None without one."""
        if self.time_limit is None:
            return ADAPTING if self.adapt else None
        return clock("time_limit", self.time_limit)

    @property
    def folder(self) -> Path:
        if self.run is not None:
            return Path(self.run)
        output = Path(self.output)
        return output.with_name(f"{output.stem}.run")

    @property
    def located(self) -> "TrainConfig":
        """The same with absolute paths, so that it means the same from any folder."""

        def whole(path: str | None) -> Any:
            return None if path is None else str(Path(path).absolute())

        return replace(
            self, inputs=tuple(map(whole, self.inputs)), output=whole(self.output),
            init=self.init if self.init in beginnings() else whole(self.init), run=whole(self.run),
        )  # fmt: skip

    def to_json(self) -> str:
        """The run for its folder: absolute paths, and not the folder itself."""
        table = asdict(self.located)
        kept = {k: v for k, v in table.items() if k not in NOT_STORED | {"run"} and v is not None}
        return json.dumps(kept, indent=2, ensure_ascii=False) + "\n"


def read_config(path: Path) -> TrainConfig:
    """The run that `to_json` wrote. Raises UsageError for none, or another version's."""
    try:
        return from_table(parse_json(read_text(path, errors="surrogateescape")))
    except (OSError, ValueError, UsageError) as error:
        what = f"{path}: not the file of a training run: {str(error).removesuffix('.')}."
        raise UsageError(what, hint="Begin the run anew: -y.") from error


def from_table(table: Any) -> TrainConfig:
    """The run that the values of its file describe. Raises UsageError for values of no run."""
    try:
        return TrainConfig(**table | {"inputs": tuple(map(str, table["inputs"]))})
    except (AttributeError, KeyError, TypeError) as error:
        what = f"no table of its settings ({error})."
        raise UsageError(what, hint="Give the run another folder.") from error


# --- Clips found in files and folders, and a name for what is made of them -----------------------


LAYOUT = 8  # of what is made of clips; raise it when its files change
EDGE = 1 << 20  # bytes read at either end of a file


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A clip to be read: what `open_reader` is given, and the files it consists of."""

    source: str
    files: tuple[Path, ...]
    found: bool  # in a folder; False: named by the user

    @property
    def name(self) -> str:
        return Path(self.source).name or self.source


def clip_sources(inputs: Iterable[str | Path]) -> list[ClipSource]:
    """Clips in the order given, folders searched to the bottom and sorted; none twice.

    A folder that is one clip (numbered pictures, a burst, a stack of pages) counts as one. Raises
    InputError for a path that is not there, or holds nothing that f2r can read.
    """
    found: dict[tuple[Path, ...], ClipSource] = {}
    for path in map(Path, inputs):
        clips = [_named(path)]
        if path.is_dir() and not is_one_clip(path):  # single pictures in a folder are no clips
            below = clips_in(path, recursive=True)
            films = [one for one in below if one.is_dir() or one.suffix.lower() not in PICTURES]
            clips = [ClipSource(str(one), _files_of(one), found=True) for one in films]
        if not clips:
            what = f"{path}: contains no clips that f2r can read."
            raise InputError(what, hint="Check the folder, or name the files (%04d.png).")
        for clip in clips:
            found.setdefault(tuple(file.resolve() for file in clip.files), clip)
    return list(found.values())


def _named(path: Path) -> ClipSource:
    if path.exists():
        return ClipSource(str(path), _files_of(path), found=False)
    if is_pattern(str(path)):
        return ClipSource(str(path), tuple(find_pictures(str(path))), found=False)
    hint = "Training reads clips more than once." if str(path) == "-" else "Check the name."
    raise InputError(f"{path}: no such file or folder.", hint=hint)


def _files_of(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    return tuple(sorted(file for file in path.rglob("*") if file.is_file()))


def fingerprint(files: Sequence[Path], *facts: object) -> str:
    """A name for what is made of these files: 32 hex digits.

    It depends on f2r's version, on `facts`, and on size, time of change and the first and last
    mebibyte of every file (of the first and last file only, where there are more than eight);
    not on paths, so a moved clip is found again.
    """
    digest = hashlib.sha256(repr((__version__, LAYOUT, facts)).encode())
    for index, path in enumerate(files):
        state = path.stat()
        digest.update(repr((state.st_size, state.st_mtime_ns)).encode())
        if len(files) <= 8 or index in (0, len(files) - 1):
            with path.open("rb") as file:
                digest.update(file.read(EDGE))
                if state.st_size > 2 * EDGE:
                    file.seek(-EDGE, os.SEEK_END)
                digest.update(file.read(EDGE))
    return digest.hexdigest()[:32]
