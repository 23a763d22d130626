"""The options of `f2r denoise`: the job that they describe, and those of several clips."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from f2rcli.cli.running import preview_target
from f2rcli.cli.terminal.console import RUN
from f2rcli.engine.settings import PICTURE, EngineSettings
from f2rcli.errors import UsageError
from f2rcli.io import default_target
from f2rcli.io.base import SPAN, ReadOptions, WriteOptions
from f2rcli.settings import check, setting, settings_of
from f2rcli.training.run.adaptation import refuse_sigma
from f2rcli.training.run.config import ADAPT

BATCH = "Folders and several clips"

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="Videos, folders, a folder or pattern of pictures (frames/%05d.png), or - for "
        "standard input.",
    ),
]
Preview = Annotated[
    int | None,
    typer.Option(
        "--preview",
        metavar="N",
        min=1,
        max=1,
        help="Write only a comparison, before | after: a PNG still (1).",
        rich_help_panel=SPAN,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """Which clips of several, and how many at a time. Any of these makes a run a batch."""

    recursive: bool = setting(
        False, "Include subfolders; OUTPUT mirrors the tree.",
        flags=("--recursive/--no-recursive", "-r"), group=BATCH,
    )  # fmt: skip
    pattern: list[str] | None = setting(
        None, "Only files whose name matches, e.g. '*.mkv'; may be repeated.",
        metavar="GLOB", group=BATCH,
    )  # fmt: skip
    jobs: int | None = setting(
        None, "Clips processed in parallel (default: 1).",
        flags=("--jobs", "-j"), metavar="N", group=BATCH, low=1,
    )  # fmt: skip
    shard: str | None = setting(
        None, "The I-th of N equal parts of the clips, for N machines.",
        metavar="I/N", group=BATCH,
    )  # fmt: skip
    cluster: str | None = setting(
        None, "Run the clips on a Dask cluster.",
        metavar="tcp://HOST:PORT|FILE.json|local:N", group=BATCH,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)

    @property
    def given(self) -> list[str]:
        """The names of those that were given."""
        return [name for name in settings_of(self) if getattr(self, name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One `f2r denoise`; its fields in the order of --help."""

    source: str = ""
    output: str | None = setting(
        None, "Its suffix picks the format; - is standard output (default: INPUT_f2r).",
        flags=("--output", "-o"), metavar="OUTPUT",
    )  # fmt: skip
    engine: EngineSettings
    adapt: str | None = setting(
        None, "Fit the weights to this clip first: fast (a minute of training on it; --adapt alone "
        "means fast) or full (several minutes). The result is cached.",
        metavar="[fast|full]", group=PICTURE, choices=tuple(ADAPT),
    )  # fmt: skip
    read: ReadOptions
    preview: int | None = None  # frames of a comparison, which takes the place of the output
    write: WriteOptions
    resume: bool = setting(
        True, "After the first minute, keep finished frames beside OUTPUT, so that the same "
        "command continues after a kill; they are removed at the end.",
        flags=("--resume/--no-resume",), group=RUN,
    )  # fmt: skip
    dry_run: bool = setting(
        False, "Print the plan and write nothing.", flags=("--dry-run",), group=RUN
    )
    settings: dict[str, Any] = field(default_factory=dict)  # for the output's provenance

    def __post_init__(self) -> None:
        check(self)

    def check(self, *, json: bool) -> None:
        """Raise UsageError for options that clash; `json`: standard output holds events."""
        if self.adapt is not None:
            refuse_sigma(self.engine.sigma)
            if self.source == "-":
                raise UsageError(
                    "- --adapt: standard input can be read only once.", hint="Adapt to a file."
                )
        if self.preview is not None and self.dry_run:
            raise UsageError("--preview --dry-run: choose one of them.")
        if self.target == "-" and json:
            raise UsageError(
                "-o - --json: both want standard output.",
                hint="Write to a file, or use --log-file.",
            )

    @property
    def target(self) -> str:
        """The path of the result, or "-"."""
        full = str(default_target(self.source)) if self.output is None else self.output
        return full if self.preview is None else preview_target(self.output, full)
