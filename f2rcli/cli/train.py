"""`f2r train`: parse, check, call the library, report."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import TaskID

from f2rcli import __version__
from f2rcli.cli import options as opt
from f2rcli.cli.console import Console
from f2rcli.cli.options import FILES, RESULT, SPAN, option, rare
from f2rcli.cli.progress import EVENT_EVERY, LINE_EVERY, Clock, Meter
from f2rcli.cli.signals import Terminated
from f2rcli.errors import EXIT_OK, F2RError, OutputError, UsageError
from f2rcli.io.disk_errors import FULL
from f2rcli.training.loop.events import Event, EventKind
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import check_run, rank, resumed, running
from f2rcli.training.run.overrides import asked_overrides
from f2rcli.units import span

LEARNING = "Learning"
QUIET_KINDS = {EventKind.PROGRESS, EventKind.LOG, EventKind.SAVED}  # of no interest line by line
FIELDS = ("stage", "step", "steps", "text", "loss", "validation", "best", "lr", "norm", "rate",
          "eta")  # fmt: skip


def train(
    ctx: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLIP",
            show_default=False,
            help="Footage to learn from: videos, pictures, stacks, raw, or folders.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        option("--output -o", RESULT, "NAME.safetensors", "File for the trained weights."),
    ] = None,
    init: Annotated[
        str | None,
        option("--init", LEARNING, "NAME|PATH", "Weights to start from, or scratch."),
    ] = None,
    adapt: Annotated[
        bool, option("--adapt", LEARNING, "", "Fit the bundled weights (or --init) to the clips.")
    ] = False,
    method: Annotated[
        str, option("--method", LEARNING, "NAME", "f2r, fitvnet, udvd or blind2sound.")
    ] = "f2r",
    recipe: Annotated[
        str, rare("--recipe", LEARNING, "NAME", "How the method learns (default: self-supervised).")
    ] = "self-supervised",
    size: Annotated[
        str,
        rare("--size", LEARNING, "NAME|N,N,N", "Size of the networks, or their channel widths."),
    ] = "small",
    variant: Annotated[
        str | None, rare("--variant", LEARNING, "NAME", "Variant of networks and losses.")
    ] = None,
    length: Annotated[
        int | None, rare("--length", LEARNING, "T", "Frames per window, an odd number.")
    ] = None,
    stage: Annotated[
        list[str] | None,
        rare(
            "--stage",
            LEARNING,
            "NAME.KEY=V",
            "Set steps, lr, batch ... of a stage.",
        ),
    ] = None,
    seed: Annotated[int, option("--seed", LEARNING, "N", "The same seed repeats the run.")] = 0,
    time_limit: Annotated[
        str | None,
        option("--time-limit", LEARNING, "TIME", "Such as 25m or 1h30m; --resume goes on later."),
    ] = None,
    inputs_are_clean: Annotated[
        bool, option("--inputs-are-clean", LEARNING, "", "Clean clips, to which --noise is added.")
    ] = False,
    noise: Annotated[
        str | None,
        option(
            "--noise",
            LEARNING,
            "KIND:NUMBERS",
            "Such as gaussian:5-55.",
        ),
    ] = None,
    held_out: Annotated[
        int, rare("--held-out", LEARNING, "N", "Frames per clip for validation and test.")
    ] = 4,
    space: Annotated[str, rare("--space", LEARNING, "KIND", "auto, rgb, gray or bayer.")] = "auto",
    axes: opt.Axes = None,
    series: opt.Series = None,
    fields: Annotated[
        str,
        rare(
            "--fields",
            SPAN,
            "auto|on|off",
            "Fields of interlaced video.",
        ),
    ] = "auto",
    resume: Annotated[bool, option("--resume", FILES, "", "Continue the run of this -o.")] = False,
    run: Annotated[
        str | None,
        rare("--run", FILES, "FOLDER", "Checkpoints, curves and the report (default: NAME.run)."),
    ] = None,
    overwrite: opt.Overwrite = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    precision: opt.Precision = "auto",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    help_all: opt.HelpAll = False,
) -> int:
    """Train on noisy CLIPs alone, from nothing or from bundled weights.

      f2r train takes/ -o my.safetensors --time-limit 1h
      f2r train clip.mkv -o fitted.safetensors --adapt
      f2r train takes/ -o my.safetensors --resume
    """  # fmt: skip
    console = opt.begin(ctx, json=json, quiet=quiet)
    if rank() > 0:  # one of torchrun's other processes: the first one speaks
        console.json, console.quiet = False, True
    asked = opt.given(ctx, "json", "quiet", "help_all", "stage")
    if inputs:
        asked["inputs"] = tuple(inputs)
    if stage:
        asked["stages"] = asked_overrides("stage", stage)
    if "adapt" in asked:
        asked["adapt"] = "fast"
    return run_training(config_of(asked), console)


def config_of(asked: dict[str, Any]) -> TrainConfig:
    """The run that the options describe. Raises UsageError for clashes."""
    if asked.get("resume"):
        names = {name: asked[name] for name in ("run", "output") if name in asked}
        if not names:
            raise UsageError("--resume: which run?", hint="Name its output (-o) or folder (--run).")
        run = TrainConfig(inputs=("any",), **{"output": "unnamed.safetensors", **names})
        return resumed(run.folder, asked)
    if "output" not in asked:
        raise UsageError("no output.", hint="Pass -o NAME.safetensors.")
    return TrainConfig(**{"inputs": (), **asked})


def run_training(config: TrainConfig, console: Console) -> int:
    """Run to the end of the schedule or the time limit; returns the exit code."""
    check_run(config)
    console.event("start", version=__version__, config=asdict(config))
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


class StepMeter(Meter):
    """Shows a training run's events as they come; call it with each of them."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        super().__init__(console, clock)
        self.tasks: dict[str, TaskID] = {}
        self.validation: dict[str, float] = {}  # the latest of every stage

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self.console.stopper.check()
        if event.validation is not None:
            self.validation[event.stage] = event.validation
        if self.console.json:
            if self.due(EVENT_EVERY if event.kind is EventKind.PROGRESS else 0):
                values = {name: getattr(event, name) for name in FIELDS}
                self.console.event(event.kind.value, **values)
        elif event.kind is EventKind.SETBACK:
            self.console.warning(str(event))
        elif not event.steps and event.kind is EventKind.LOG:  # work before the first step
            self.console.note(event.text)
        elif event.kind not in QUIET_KINDS:
            self.console.note(str(event))
        if event.steps and not self.console.json:
            self._show(event)

    def _show(self, event: Event) -> None:
        if self.bars.disable:
            if self.due(LINE_EVERY):
                self.console.note(f"{event.stage}: {self.words(event)}")
            return
        if event.stage not in self.tasks:
            self.tasks[event.stage] = self.add(event.stage)
        task = self.tasks[event.stage]
        self.bars.update(task, completed=event.step, total=event.steps, words=self.words(event))

    def words(self, event: Event) -> str:
        """A stage's progress in words."""
        parts = [f"{event.step}/{event.steps} steps"]
        if event.eta is not None:
            parts.append(f"ETA {span(event.eta)}")
        if event.stage in self.validation:
            parts.append(f"held out {self.validation[event.stage]:.2f}")
        return ", ".join(parts)
