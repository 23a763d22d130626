"""`f2r train`: parse, check, call the library, report."""

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer
from rich.progress import Task

from f2rcli import __version__
from f2rcli.cli import options as opt
from f2rcli.cli.console import Console, Terminated
from f2rcli.cli.options import Text, Texts, Whole, files, option, result
from f2rcli.cli.progress import Meter
from f2rcli.errors import EXIT_FAILURE, EXIT_OK, OutputError, UsageError
from f2rcli.io.files import FULL
from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import Event, EventKind, resume_command, resumed, running, summarise

learning = partial(option, "Learning")


@opt.common("axes series fields overwrite device threads quiet")
def train(
    ctx: typer.Context,
    inputs: Annotated[Texts, opt.argument("CLIP", "Footage, or folders of it.")] = None,
    output: Annotated[Text, result("NAME.safetensors", "The weights.", "--output -o")] = None,
    init: Annotated[Text, learning("NAME|PATH", "Weights to start from, or scratch.")] = None,
    adapt: Annotated[
        bool, learning("", "Fit the bundled weights (or --init) to the clips.", "--adapt")
    ] = False,
    method: Annotated[str, learning("NAME", "f2r, fitvnet, udvd or blind2sound.")] = "f2r",
    steps: Annotated[Whole, learning("N", "At most N steps of a stage.", more=True)] = None,
    seed: Annotated[int, learning("N", "The same seed repeats a run without --time-limit.")] = 0,
    time_limit: Annotated[Text, learning("TIME", "25m or 1h30m: the schedule fits it.")] = None,
    noise: Annotated[Text, learning("KIND:NUMBERS", "Noise to add to clean clips.")] = None,
    resume: Annotated[bool, files("", "Continue the run of this -o.", "--resume")] = False,
    run: Annotated[Text, files("FOLDER", "Checkpoints, curves (NAME.run).", more=True)] = None,
    precision: Annotated[str, opt.machine("KIND", "auto, fp32 or bf16.", more=True)] = "auto",
) -> int:
    """Train on noisy CLIPs alone, from nothing or bundled weights.

      f2r train takes/ -o my.safetensors --time-limit 1h
      f2r train clip.mkv -o fitted.safetensors --adapt
      f2r train takes/ -o my.safetensors --resume
    """  # fmt: skip
    console = opt.begin(ctx)
    asked = opt.given(ctx, "json", "quiet", "help_all")
    if inputs:
        asked["inputs"] = tuple(inputs)
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
    try:
        with running(config), StepMeter(console) as meter:
            console.event("start", version=__version__, config=asdict(config))
            from f2rcli.training.session import train as session  # brings torch

            result = session(config, meter, console.began)
    except (KeyboardInterrupt, Terminated):
        console.warning(f"the run is saved; continue with: {resume_command(config)}")
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        hint = f"Free some space, then continue: {resume_command(config)}"
        raise OutputError(f"{config.folder}: the disk is full.", hint=hint) from error
    lines, values = summarise(result)
    code = EXIT_OK if result.written else EXIT_FAILURE
    console.event("result", **values, exit_code=code)
    console.note(*lines)
    if console.quiet and code:
        console.warning(lines[-1])
    return code


class StepMeter(Meter):
    """Shows a training run's events as they come; call it with each of them."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.stages: dict[str, Task] = {}

    def __call__(self, event: Event) -> None:
        """Show one event, where a run can be left and gone on with."""
        console, kind, stage = self.console, event.kind, event.stage
        console.stopper.check()
        waits = "" if event.loss is None else "finishing this step"  # which is not saved yet
        console.stopper.patient = lambda: waits
        if console.json:
            if kind is not EventKind.PROGRESS or self.due():
                console.event(kind, **{k: v for k, v in asdict(event).items() if k != "kind"})
            return
        if kind is EventKind.LOG and not event.steps:  # work before the first step
            console.note(event.text)
        elif kind in (EventKind.VALIDATED, EventKind.ENDED):
            console.note(str(event))
        if not event.steps:
            return
        bar = self.stages.get(stage) or self.stages.setdefault(stage, self.add(stage))
        self.show(bar, event.step, event.steps, event.words)
        if self.bars.disable and self.due():
            console.note(f"{stage}: {event.words}")
