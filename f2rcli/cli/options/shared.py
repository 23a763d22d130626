"""The options that commands share."""

from typing import Annotated

import typer

from f2rcli.cli.options.derived import Fields
from f2rcli.engine.settings import EngineSettings
from f2rcli.io.base import ReadOptions

Source = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="Video, folder or pattern of pictures (frames/%05d.png), or - for standard input.",
    ),
]
StackOptions = Annotated[ReadOptions, Fields("axes", "series")]
MeasuringEngine = Annotated[
    EngineSettings, Fields("method", "weights", "device", "threads", "precision", "tile")
]
