"""Validated settings of one training stage."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from f2rcli.errors import ConfigError

Schedule = Literal["cosine", "constant", "halved"]
Optimiser = Literal["muon", "adamw", "adam"]
Precision = Literal["fp32", "bf16", "fp16"]

WHOLE, REAL = int, int | float
COUNT = (WHOLE, lambda value: value >= 1, "whole number, 1 or more")
INDEX = (WHOLE, lambda value: value >= 0, "whole number, 0 or more")
AMOUNT = (REAL, lambda value: value >= 0, "number 0 or more")
POSITIVE = (REAL, lambda value: value > 0, "number above 0")
CHECKS: dict[str, tuple[Any, Callable[[float], bool], str]] = {
    **dict.fromkeys(
        ("steps", "log_every", "validate_every", "patience", "threads", "workers"), COUNT
    ),
    **dict.fromkeys(("warmup", "seed"), INDEX),
    **dict.fromkeys(("weight_decay", "save_every"), AMOUNT),
    **dict.fromkeys(("lr", "minutes", "time_limit", "clip_grad"), POSITIVE),
    "ema": (REAL, lambda value: 0 <= value < 1, "number from 0 to below 1"),
}
CHOICES: dict[str, Any] = {"schedule": Schedule, "optimiser": Optimiser, "precision": Precision}
OPTIONAL = {"minutes", "time_limit", "clip_grad", "patience", "threads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Settings of one stage. Raises ConfigError that names an invalid field.

    With a schedule by steps alone a run that was killed and resumed ends with exactly the weights
    of an uninterrupted one (same machine, same number of threads). `minutes` makes the schedule
    follow the clock as well, whichever ends first, which no two runs repeat.
    """

    steps: int = 200_000
    minutes: float | None = None  # schedule by the clock, over all sessions; not reproducible
    time_limit: float | None = None  # minutes of this session; the schedule stays as it is
    lr: float = 1.5e-3  # peak; Adam wants about half of it
    # cosine: falls to a hundredth of the peak; halved: after 20, 40, 60 and 80 %
    schedule: Schedule = "cosine"
    rates: tuple[tuple[str, float], ...] = ()  # beginning of parameters' names, times the rate
    warmup: int = 300  # steps
    clip_grad: float | None = 1.0  # maximum gradient norm; None: no clipping
    ema: float = 0.999  # decay of the averaged weights, the ones that are shipped
    optimiser: Optimiser = "muon"
    betas: tuple[float, float] = (0.9, 0.99)  # of Adam
    weight_decay: float = 0.0
    seed: int = 0
    precision: Precision = "bf16"  # of autocast; fp16 with loss scaling, on CUDA only
    save_every: float = 120.0  # seconds
    log_every: int = 100  # steps
    validate_every: int = 1000  # steps
    patience: int | None = None  # validations without improvement before the stage ends
    threads: int | None = None  # of torch on the CPU; None: as they are
    workers: int = 1  # threads that draw batches ahead of time

    def __post_init__(self) -> None:
        """Check every field."""
        for name, (kind, fits, words) in CHECKS.items():
            value = getattr(self, name)
            number = isinstance(value, kind) and not isinstance(value, bool)
            missing = value is None and name in OPTIONAL
            if not missing and not (number and math.isfinite(value) and fits(value)):
                raise ConfigError(f"{name} = {value!r}: must be a {words}.")
        if not all(math.isfinite(factor) and factor > 0 for _, factor in self.rates):
            raise ConfigError(f"rates = {self.rates}: must be factors above 0.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas = {self.betas}: must be two numbers from 0 to below 1.")
        for name, literal in CHOICES.items():
            allowed = get_args(literal)
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r}: unknown.",
                    hint=f"Choose one of {', '.join(allowed)}.",
                )
