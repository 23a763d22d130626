"""`f2r train`: parse, check, call the library, report."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from f2rcli import __version__
from f2rcli.cli.options.derived import AsValues, with_options
from f2rcli.cli.signals import Terminated
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.train_progress import StepMeter
from f2rcli.errors import EXIT_OK, F2RError, OutputError, UsageError
from f2rcli.io.disk_errors import FULL
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import check_run, rank, resumed, running


@with_options
def train(
    *,
    ctx: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLIP",
            show_default=False,
            help="Footage to learn from: videos, image sequences, stacks, raw bursts, or folders.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="NAME.safetensors", help="File for the trained weights."
        ),
    ] = None,
    settings: Annotated[dict[str, Any], AsValues(TrainConfig)],
    console: Console,
) -> int:
    """Train on noisy CLIPs alone, or fit the bundled weights to them (--adapt)."""
    if rank() > 0:  # one of torchrun's other processes: the first one speaks
        console.silence()
    sources = {name: ctx.get_parameter_source(name) for name in ("output", *settings)}
    asked = {name for name, source in sources.items() if source and source.name != "DEFAULT"}
    if output is not None:
        settings["output"] = output
    if inputs:
        settings["inputs"] = tuple(inputs)
        asked.add("inputs")
    return run_training(config_of(settings, asked), console)


def config_of(settings: dict[str, Any], asked: set[str]) -> TrainConfig:
    """The run described by the options, `asked` being those set. Raises UsageError for clashes."""
    if settings["resume"]:
        names = {name: settings[name] for name in ("run", "output") if name in settings}
        if not names:
            raise UsageError("--resume: which run?", hint="Name its output (-o) or folder (--run).")
        run = TrainConfig(inputs=("any",), **{"output": "unnamed.safetensors", **names})
        return resumed(run.folder, {name: settings[name] for name in asked})
    if "output" not in settings:
        raise UsageError("no output.", hint="Pass -o NAME.safetensors.")
    return TrainConfig(**{"inputs": (), **settings})


def run_training(config: TrainConfig, console: Console) -> int:
    """Run to the end of the schedule or the time limit; returns the exit code."""
    check_run(config)
    console.event("start", version=__version__, config=asdict(config))
    console.detail(f"f2r {__version__}: {config}")
    from f2rcli.training.run.report import resume_command, summarise
    from f2rcli.training.run.session import train as session  # brings torch

    try:
        with running(config), StepMeter(console) as meter:
            result = session(config, meter)
    except (KeyboardInterrupt, Terminated):
        console.warning(f"the run is saved; continue with: {resume_command(config)}")
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        hint = f"Free some space, then continue: {resume_command(config)}"
        raise OutputError(f"{config.folder}: the disk is full.", hint=hint) from error
    if rank():
        return EXIT_OK
    summary = summarise(result, config, _crops(result, config, console))
    console.event("result", **summary.values, report=str(summary.page), exit_code=EXIT_OK)
    for line in summary.lines:
        console.note(line)
    return EXIT_OK


def _crops(result: Any, config: TrainConfig, console: Console) -> list[Path]:
    """Pictures before and after; a run that went well does not fail for want of them."""
    if not (result.written and result.kept) or config.inputs_are_clean:
        return []  # no difference to be seen, or no noise
    from f2rcli.training.run.crops import compare  # brings torch

    try:
        return compare(config, result.weights, result.run)
    except F2RError as error:
        console.warning(f"the report has no crops: {error}")
        return []
