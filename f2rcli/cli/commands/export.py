"""`f2r export`: networks as ONNX files, for programs without torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from f2rcli import weights as bundled
from f2rcli.cli.options.derived import Fields, completing, with_options
from f2rcli.cli.terminal.console import Console
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_OK

if TYPE_CHECKING:
    from f2rcli.export.folder import Exported

WeightsName = Annotated[
    str,
    typer.Argument(
        metavar="WEIGHTS",
        show_default=False,
        help="Bundled weights by name, or a file's path.",
        autocompletion=completing(bundled.available),
    ),
]
Folder = Annotated[
    str,
    typer.Option("--output", "-o", metavar="DIR", help="Folder for the files; created if missing."),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite/--no-overwrite",
        show_default=False,
        help="Replace files of these names in DIR.",
    ),
]


@with_options
def export(
    *,
    weights: WeightsName,
    output: Folder,
    overwrite: Overwrite = False,
    console: Annotated[Console, Fields("json", "quiet", "debug")],
) -> int:
    """Write F2R's three networks as ONNX files, with graph.json that says how to use them."""
    EngineSettings(weights=weights)  # checks the name before torch is loaded
    from f2rcli.export.folder import export as write  # brings torch

    _report(write(weights, Path(output), overwrite=overwrite), console)
    return EXIT_OK


def _report(done: "Exported", console: Console) -> None:
    if done.checked is None:
        console.warning(
            "the files were not checked: onnxruntime is not installed "
            "(pip install 'f2rcli[export]')."
        )
    else:
        worst = max(done.checked.values())
        console.note(f"checked with onnxruntime: within {worst:.1g} of torch")
    console.note(f"{done.folder}: {', '.join(done.files)}; {done.bytes / 1e6:.1f} MB")
    console.event(
        "result", path=str(done.folder), files=done.files, bytes=done.bytes, checked=done.checked,
        exit_code=EXIT_OK,
    )  # fmt: skip
