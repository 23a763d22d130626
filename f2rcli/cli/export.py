"""`f2r export`: networks as ONNX files, for programs without torch."""

from pathlib import Path
from typing import Annotated

import typer

from f2rcli.cli import options as opt
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_OK


@opt.common("overwrite quiet")
def export(
    ctx: typer.Context,
    weights: Annotated[str, opt.argument("WEIGHTS", "Bundled weights by name, or a file.")],
    output: Annotated[str, opt.result("DIR", "Folder for the files.", "--output -o")],
) -> int:
    """Write F2R's networks as ONNX files, for programs without torch.

      f2r export my.safetensors -o onnx/
      f2r export my.safetensors -o onnx/ -y      replaces what is there
    """  # fmt: skip
    console = opt.begin(ctx)
    EngineSettings(weights=weights)  # checks the name before torch is loaded
    from f2rcli.export import NAMES, export_networks  # brings torch

    size = export_networks(weights, Path(output), overwrite=ctx.params["overwrite"])
    console.note(f"{Path(output)}: {', '.join(NAMES)}; {size / 1e6:.1f} MB")
    console.event("result", path=str(Path(output)), files=NAMES, bytes=size, exit_code=EXIT_OK)
    return EXIT_OK
