"""The options of `f2r train`: their names, their help, and where `--help` lists them."""

from collections.abc import Mapping
from typing import Annotated

import typer

from f2rcli.cli.options.shared import MACHINE, RUN
from f2rcli.training.methods import capabilities_of, trainable
from f2rcli.training.run.config import ADAPT, PRECISIONS, SPACES

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
        help="Noisy footage: videos, folders of them, folders or patterns of pictures.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="NAME.safetensors", help="Where the trained weights go."
    ),
]
Clean = Annotated[
    bool,
    typer.Option(
        "--clean/--noisy",
        help="The clips have no noise; --synthetic adds some.",
        rich_help_panel=FOOTAGE,
    ),
]
Synthetic = Annotated[
    str | None,
    typer.Option(
        "--synthetic",
        metavar="NOISE",
        help="For clean clips: gaussian:5-55, poisson-gaussian:..., correlated:..., "
        "salt-pepper:..., realistic; joined by +.",
        rich_help_panel=FOOTAGE,
    ),
]
Space = Annotated[
    str,
    typer.Option(
        "--space",
        metavar="|".join(SPACES),
        help="Colours to train for; auto: the clips'.",
        rich_help_panel=FOOTAGE,
    ),
]
HeldOut = Annotated[
    int,
    typer.Option(
        "--held-out",
        metavar="N",
        help="Frames per clip that are only looked at to judge.",
        rich_help_panel=FOOTAGE,
    ),
]
Recipe = Annotated[
    str,
    typer.Option("--recipe", metavar="NAME", help=_recipes(), rich_help_panel=LEARNING),
]
Method = Annotated[
    str,
    typer.Option("--method", metavar="NAME", help="What to train.", rich_help_panel=LEARNING),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="NAME|PATH",
        help="Weights to begin from; rgb and gray are the bundled ones. Without it, or as scratch, "
        "none.",
        rich_help_panel=LEARNING,
    ),
]
Adapt = Annotated[
    str | None,
    typer.Option(
        "--adapt",
        metavar="[fast|full]",
        help=f"Fit the bundled weights (or --init) to the clips; alone it means full. "
        f"{_words(ADAPT)}.",
        rich_help_panel=LEARNING,
    ),
]
Size = Annotated[
    str,
    typer.Option(
        "--size",
        metavar="NAME|N,N,N",
        help=f"Of the networks; or their widths. {_by_method('sizes')}.",
        rich_help_panel=LEARNING,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help=f"Of networks and losses. {_by_method('variants') or 'No method has any'}.",
        rich_help_panel=LEARNING,
    ),
]
Length = Annotated[
    int | None,
    typer.Option("--length", metavar="T", help="Frames per window, odd.", rich_help_panel=LEARNING),
]
Stage = Annotated[
    list[str] | None,
    typer.Option(
        "--stage",
        metavar="NAME.KEY=VALUE",
        help="Change steps, lr, batch or crop of one stage; may be repeated.",
        rich_help_panel=LEARNING,
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", help="Same seed, same run.", rich_help_panel=LEARNING),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="|".join(PRECISIONS),
        help="Arithmetic of the networks.",
        rich_help_panel=MACHINE,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", metavar="N", help="Processes that prepare data.", rich_help_panel=MACHINE
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="At most so much for decoded frames.",
        rich_help_panel=MACHINE,
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        help="Stop after 25m or 1h30m with weights that can be used; --resume goes on.",
        rich_help_panel=RUN,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with the run of this OUTPUT or --run.", rich_help_panel=RUN
    ),
]
RunFolder = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="FOLDER",
        help="Checkpoints, curves and the report; without it NAME.run beside the output.",
        rich_help_panel=RUN,
    ),
]
LogEvery = Annotated[
    int,
    typer.Option("--log-every", metavar="STEPS", help="A row in the CSV.", rich_help_panel=RUN),
]
ValidateEvery = Annotated[
    int,
    typer.Option(
        "--validate-every",
        metavar="STEPS",
        help="A look at the held-out frames.",
        rich_help_panel=RUN,
    ),
]
