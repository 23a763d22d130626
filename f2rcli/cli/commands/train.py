"""`f2r train`: parse, check, call the library, report."""

import contextlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from f2rcli import __version__
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options import train as topt
from f2rcli.cli.options.derived import Part, with_options
from f2rcli.cli.signals import Terminated
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.train_progress import StepMeter
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_OK, F2RError, OutputError, UsageError
from f2rcli.io.base import ReadOptions
from f2rcli.io.disk_errors import FULL
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import check_run, rank, resumed, running
from f2rcli.training.run.toml import stages_from


@with_options
def train(
    *,
    ctx: typer.Context,
    inputs: topt.Inputs = None,
    lessons: topt.Lessons,
    read: Annotated[ReadOptions, Part("axes", "series", "fields")],
    engine: Annotated[EngineSettings, Part("device", "threads", "precision")],
    session: topt.Session,
    console: Console,
    config: opt.Config = None,
) -> int:
    """Train on noisy CLIPs alone, or fit the bundled weights to them (--adapt)."""
    if rank() > 0:  # one of torchrun's other processes: the first one speaks
        console.silence()
    given = {**ctx.params, "inputs": inputs or (ctx.default_map or {}).get("inputs", [])}
    sources = {name: ctx.get_parameter_source(name) for name in given}
    explicit = {name for name, one in sources.items() if one and one.name != "DEFAULT"}
    if given["inputs"]:
        explicit.add("inputs")
    return run_training(config_of(given, explicit), console)


def config_of(given: dict[str, Any], explicit: set[str]) -> TrainConfig:
    """The run that the options describe; `explicit` are those that were not left at their default.

    Raises UsageError where they clash.
    """
    values = {f.name: given[f.name] for f in fields(TrainConfig) if f.name in given}
    values["inputs"] = tuple(given["inputs"])
    values["stages"] = stages_from(stage_tables(given["stage"] or []), name="--stage")
    explicit = explicit | {"stages"} if "stage" in explicit else explicit
    if given["resume"]:
        if given["run"] is None and given["output"] is None:
            raise UsageError("--resume: which run?", hint="Name its output (-o) or folder (--run).")
        asked = {name: value for name, value in values.items() if name in explicit}
        names = {"run": given["run"], "output": given["output"] or "unnamed.safetensors"}
        return resumed(TrainConfig(inputs=("any",), **names).folder, asked)
    if given["output"] is None:
        raise UsageError("no output.", hint="Pass -o NAME.safetensors.")
    return TrainConfig(**values)


def stage_tables(options: list[str]) -> dict[str, dict[str, Any]]:
    """`["anchor.steps=500", ...]` as tables; raises UsageError for what is written otherwise."""
    tables: dict[str, dict[str, Any]] = {}
    for option in options:
        path, equals, text = option.partition("=")
        name, dot, key = path.strip().rpartition(".")
        if not (equals and dot and name and key):
            raise UsageError(
                f"--stage {option}: not NAME.KEY=VALUE.",
                hint="For example --stage anchor.steps=500.",
            )
        tables.setdefault(name, {})[key] = _value(text)
    return tables


def _value(text: str) -> int | float | str:
    """The number that is written, or else the text, which no stage takes."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


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
    if not result.kept:
        return []  # there is no difference to be seen
    from f2rcli.training.run.crops import compare  # brings torch

    try:
        return compare(config, result.weights, result.run)
    except F2RError as error:
        console.warning(f"the report has no crops: {error}")
        return []
