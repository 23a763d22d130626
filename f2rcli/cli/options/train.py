"""The options of `f2r train`: their names, their help, and where `--help` lists them."""

from collections.abc import Mapping
from typing import Annotated

import typer

from f2rcli.cli.terminal.console import RUN
from f2rcli.engine.settings import MACHINE
from f2rcli.training.methods import capabilities_of, trainable
from f2rcli.training.run.config import ADAPT, SPACES

FOOTAGE = "Footage"
LEARNING = "Learning"


def _words(choices: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {meaning}" for name, meaning in choices.items())


def _by_method(field: str) -> str:
    """The names that every method offers for a field."""
    offered = {method: getattr(capabilities_of(method), field) for method in trainable()}
    return "; ".join(f"{method}: {', '.join(names)}" for method, names in offered.items() if names)


def _recipes() -> str:
    """Every method's recipes."""
    return " ".join(
        f"For {method}: {_words(capabilities_of(method).recipes)}." for method in trainable()
    )


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CLIP",
        show_default=False,
        help="Footage to learn from: videos, image sequences, stacks, raw bursts, or folders.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="NAME.safetensors", help="File for the trained weights."
    ),
]
InputsAreClean = Annotated[
    bool,
    typer.Option(
        "--inputs-are-clean",
        help="The clips have no noise; --noise adds some.",
        rich_help_panel=FOOTAGE,
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        "--noise",
        metavar="KIND[:NUMBERS][+KIND...]",
        help="Noise to add to clean clips, as for f2r eval: gaussian:5-55, "
        "poisson-gaussian:0.001-0.04,0-15, correlated:3-50,0.4-1.3, salt-pepper, compressed, "
        "mixture; and realistic, sensor (for mosaics) or footage (of every kind).",
        rich_help_panel=FOOTAGE,
    ),
]
Space = Annotated[
    str,
    typer.Option(
        "--space",
        metavar="|".join(SPACES),
        help="Colours to train for; auto: those of the clips.",
        rich_help_panel=FOOTAGE,
    ),
]
HeldOut = Annotated[
    int,
    typer.Option(
        "--held-out",
        metavar="N",
        help="Frames per clip reserved for validation and test, 2 or more.",
        rich_help_panel=FOOTAGE,
    ),
]
Recipe = Annotated[
    str,
    typer.Option("--recipe", metavar="NAME", help=_recipes(), rich_help_panel=LEARNING),
]
Method = Annotated[
    str,
    typer.Option("--method", metavar="NAME", help="Method to train.", rich_help_panel=LEARNING),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="NAME|PATH",
        help="Weights to start from; rgb, gray and bayer are bundled. Default: scratch, or the "
        "bundled ones with --adapt.",
        rich_help_panel=LEARNING,
    ),
]
Adapt = Annotated[
    str | None,
    typer.Option(
        "--adapt",
        metavar="[fast|full]",
        help=f"Fit the bundled weights (or --init) to the clips; fast if no level is given. "
        f"{_words(ADAPT)}.",
        rich_help_panel=LEARNING,
    ),
]
Size = Annotated[
    str,
    typer.Option(
        "--size",
        metavar="NAME|N,N,N",
        help=f"Size of the networks, or their channel widths. {_by_method('sizes')}.",
        rich_help_panel=LEARNING,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help=f"Variant of networks and losses. {_by_method('variants') or 'No method has any'}.",
        rich_help_panel=LEARNING,
    ),
]
Length = Annotated[
    int | None,
    typer.Option(
        "--length", metavar="T", help="Frames per window, an odd number.", rich_help_panel=LEARNING
    ),
]
Stage = Annotated[
    list[str] | None,
    typer.Option(
        "--stage",
        metavar="NAME.KEY=VALUE",
        help="Set steps, minutes, lr, batch, crop or clips of one stage; repeatable.",
        rich_help_panel=LEARNING,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        help="Random seed; the same seed repeats the run.",
        rich_help_panel=LEARNING,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        help="Processes that prepare data (default: by the number of cores).",
        rich_help_panel=MACHINE,
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory limit for decoded frames.",
        rich_help_panel=MACHINE,
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        help="Stop after this time, such as 25m or 1h30m, with usable weights; --resume continues.",
        rich_help_panel=RUN,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue the run of this OUTPUT or --run.", rich_help_panel=RUN),
]
RunFolder = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="FOLDER",
        help="Folder for checkpoints, curves and the report; default: NAME.run beside the output.",
        rich_help_panel=RUN,
    ),
]
LogEvery = Annotated[
    int,
    typer.Option(
        "--log-every", metavar="STEPS", help="Steps between rows of the CSV.", rich_help_panel=RUN
    ),
]
ValidateEvery = Annotated[
    int,
    typer.Option(
        "--validate-every",
        metavar="STEPS",
        help="Steps between validations on the held-out frames.",
        rich_help_panel=RUN,
    ),
]
