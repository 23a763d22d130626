"""The options of `f2r train`: their names, their help, and where `--help` lists them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from f2rcli import methods, weights
from f2rcli.cli.terminal.console import RUN
from f2rcli.engine.settings import MACHINE
from f2rcli.settings import setting
from f2rcli.training.methods import capabilities_of, trainable
from f2rcli.training.run.config import ADAPT, COLOURS, SCRATCH, SPACES

FOOTAGE = "Footage"
LEARNING = "Learning"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CLIP",
        show_default=False,
        help="Footage to learn from: videos, image sequences, stacks, raw bursts, or folders.",
    ),
]


def _words(choices: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {meaning}" for name, meaning in choices.items())


def _by_method(field: str) -> str:
    """The names that every method offers for a field."""
    offered = {method: getattr(capabilities_of(method), field) for method in trainable()}
    return "; ".join(f"{method}: {', '.join(names)}" for method, names in offered.items() if names)


def _all(field: str) -> list[str]:
    """The names that any method offers for a field."""
    return list(dict.fromkeys(n for m in trainable() for n in getattr(capabilities_of(m), field)))


def _beginnings() -> list[str]:
    return [*COLOURS, SCRATCH, *weights.available()]


def _recipes() -> str:
    return " ".join(
        f"For {method}: {_words(capabilities_of(method).recipes)}." for method in trainable()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What is learned, and from what; `TrainConfig` checks it."""

    output: str | None = setting(
        None, "File for the trained weights.", flags=("--output", "-o"), metavar="NAME.safetensors"
    )
    recipe: str = setting(
        "self-supervised",
        _recipes(),
        metavar="NAME",
        group=LEARNING,
        choices=partial(_all, "recipes"),
    )
    method: str = setting(
        methods.DEFAULT, "Method to train.", metavar="NAME", group=LEARNING, choices=trainable
    )
    init: str | None = setting(
        None, "Weights to start from; rgb, gray and bayer are bundled. Default: scratch, or the "
        "bundled ones with --adapt.", metavar="NAME|PATH", group=LEARNING, choices=_beginnings,
    )  # fmt: skip
    adapt: str | None = setting(
        None, "Fit the bundled weights (or --init) to the clips; fast if no level is given. "
        f"{_words(ADAPT)}.", metavar="[fast|full]", group=LEARNING, choices=tuple(ADAPT),
    )  # fmt: skip
    size: str = setting(
        "small", f"Size of the networks, or their channel widths. {_by_method('sizes')}.",
        metavar="NAME|N,N,N", group=LEARNING, choices=partial(_all, "sizes"),
    )  # fmt: skip
    variant: str | None = setting(
        None, f"Variant of networks and losses. {_by_method('variants') or 'No method has any'}.",
        metavar="NAME", group=LEARNING, choices=partial(_all, "variants"),
    )  # fmt: skip
    length: int | None = setting(
        None, "Frames per window, an odd number (default: that of --init; from scratch 5, for "
        "blind2sound 1).", metavar="T", group=LEARNING,
    )  # fmt: skip
    stage: list[str] | None = setting(
        None, "Set steps, minutes, lr, batch, crop or clips of one stage; repeatable.",
        metavar="NAME.KEY=VALUE", group=LEARNING,
    )  # fmt: skip
    minutes: float | None = setting(
        None, "Minutes of training, shared among the stages, in place of their steps.",
        metavar="N", group=LEARNING,
    )  # fmt: skip
    seed: int = setting(
        0, "Random seed; the same seed repeats the run.", metavar="N", group=LEARNING
    )
    inputs_are_clean: bool = setting(
        False, "The clips have no noise; --noise adds some.",
        flags=("--inputs-are-clean",), metavar="<bool>", group=FOOTAGE,
    )  # fmt: skip
    noise: str | None = setting(
        None, "Noise to add to clean clips, as for f2r eval: gaussian:5-55, "
        "poisson-gaussian:0.001-0.04,0-15, correlated:3-50,0.4-1.3, salt-pepper, compressed, "
        "mixture, compressed-mixture; and realistic, sensor (for mosaics) or footage (of every "
        "kind).",
        metavar="KIND[:NUMBERS][+KIND...]", group=FOOTAGE,
    )  # fmt: skip
    space: str = setting(
        "auto", "Colours to train for; auto: those of the clips.",
        group=FOOTAGE, choices=SPACES,
    )  # fmt: skip
    held_out: int = setting(
        4, "Frames per clip reserved for validation and test, 2 or more.",
        metavar="N", group=FOOTAGE,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How a run goes on a machine, and what it leaves there; `TrainConfig` checks it."""

    jobs: int | None = setting(
        None, "Processes that prepare data (default: by the number of cores).",
        metavar="N", group=MACHINE,
    )  # fmt: skip
    memory: str = setting("2GiB", "Memory limit for decoded frames.", metavar="SIZE", group=MACHINE)
    time_limit: str | None = setting(
        None,
        "Stop after this time, such as 25m or 1h30m, with usable weights; --resume continues.",
        metavar="TIME", group=RUN,
    )  # fmt: skip
    resume: bool = setting(
        False, "Continue the run of this OUTPUT or --run.",
        flags=("--resume",), metavar="<bool>", group=RUN,
    )  # fmt: skip
    overwrite: bool = setting(False, "Replace existing files.", group=RUN)
    run: str | None = setting(
        None, "Folder for checkpoints, curves and the report; default: NAME.run beside the output.",
        metavar="FOLDER", group=RUN,
    )  # fmt: skip
    log_every: int = setting(50, "Steps between rows of the CSV.", metavar="STEPS", group=RUN)
    validate_every: int = setting(
        200, "Steps between validations on the held-out frames.", metavar="STEPS", group=RUN
    )
