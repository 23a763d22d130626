"""The options that commands share and no dataclass holds."""

from typing import Annotated

import typer

from f2rcli.cli.options.run_file import load_config
from f2rcli.cli.provenance import load_like
from f2rcli.cli.terminal.console import RUN
from f2rcli.io.base import SPAN

Source = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="Video, folder or pattern of pictures (frames/%05d.png), or - for standard input.",
    ),
]
Preview = Annotated[
    int | None,
    typer.Option(
        "--preview",
        metavar="N",
        min=1,
        help="Only a comparison, before | after: a PNG still (1) or a clip of N frames.",
        rich_help_panel=SPAN,
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="run.toml",
        help="Options from a file, by their long names; flags override it.",
        callback=load_config,
        is_eager=True,
        rich_help_panel=RUN,
    ),
]
Like = Annotated[
    str | None,
    typer.Option(
        "--like",
        metavar="EARLIER",
        help="Take the settings from a video that f2r wrote; --config and flags override them.",
        callback=load_like,
        is_eager=True,
        rich_help_panel=RUN,
    ),
]
