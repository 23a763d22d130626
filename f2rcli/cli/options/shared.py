"""The options that commands share and no dataclass holds."""

from typing import Annotated

import typer

from f2rcli.cli.options.derived import completing
from f2rcli.cli.options.run_file import load_config
from f2rcli.cli.provenance import load_like
from f2rcli.cli.terminal.console import RUN
from f2rcli.engine.settings import PICTURE
from f2rcli.io.base import SPAN
from f2rcli.training.run.config import ADAPT

Source = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="Video, folder or pattern of pictures (frames/%05d.png), or - for standard input.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUTPUT",
        help="Its suffix picks the format; - is standard output (default: INPUT_f2r).",
    ),
]
Adapt = Annotated[
    str | None,
    typer.Option(
        "--adapt",
        metavar="[fast|full]",
        help="Fit the weights to this clip first: fast (a minute of training on it; --adapt alone "
        "means fast) or full (several minutes). Kept for the next time.",
        rich_help_panel=PICTURE,
        autocompletion=completing(lambda: list(ADAPT)),
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
ReportTo = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="OUT.html",
        help="Write a page about the run: before and after, what was removed, what is left.",
        rich_help_panel=RUN,
    ),
]
JsonFile = Annotated[
    str | None,
    typer.Option(
        "--json-file", metavar="OUT.json", help="Write the results as JSON.", rich_help_panel=RUN
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite/--no-overwrite",
        metavar="",
        help="Replace existing files.",
        rich_help_panel=RUN,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        metavar="",
        help="After the first minute, keep finished frames beside OUTPUT, so that the same "
        "command continues after a kill; they are removed at the end.",
        rich_help_panel=RUN,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", metavar="", help="Print the plan, write nothing.", rich_help_panel=RUN
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
