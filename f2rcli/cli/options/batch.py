"""The options of `f2r denoise` that concern several clips."""

from dataclasses import dataclass
from typing import Annotated

import typer

from f2rcli.settings import check, setting, settings_of

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
