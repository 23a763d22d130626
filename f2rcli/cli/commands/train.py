"""`f2r train`: parse, check, call the library, report."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from f2rcli import __version__
from f2rcli.cli.options.derived import AsValues, with_options
from f2rcli.cli.signals import Terminated
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.train_progress import StepMeter
from f2rcli.errors import EXIT_FAILURE, EXIT_OK, OutputError, UsageError
from f2rcli.io.disk_errors import FULL
from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import check_run, resumed, running


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
    from f2rcli.training.report import resume_command, summarise
    from f2rcli.training.session import train as session  # brings torch

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
    summary = summarise(result)
    code = EXIT_OK if result.written else EXIT_FAILURE
    console.event("result", **summary.values, exit_code=code)
    for line in summary.lines:
        console.note(line)
    return code
