"""The options of `f2r denoise` that concern several clips."""

from typing import Annotated

import typer

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
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive/--no-recursive",
        "-r",
        help="Look into folders of folders; OUTPUT mirrors the tree.",
        rich_help_panel=BATCH,
    ),
]
Pattern = Annotated[
    list[str] | None,
    typer.Option(
        "--pattern",
        metavar="GLOB",
        help="Only files whose name matches, e.g. '*.mkv'; may be repeated.",
        rich_help_panel=BATCH,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="So many clips at a time; without it one.",
        rich_help_panel=BATCH,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="The I-th of N equal parts of the clips, for N machines.",
        rich_help_panel=BATCH,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="tcp://HOST:PORT|local:N",
        help="Hand the clips to a Dask cluster.",
        rich_help_panel=BATCH,
    ),
]
