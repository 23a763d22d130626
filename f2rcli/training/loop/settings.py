"""Validated settings of one training stage."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from f2rcli.errors import ConfigError

Schedule = Literal["cosine", "constant", "halved"]
Optimiser = Literal["muon", "adamw", "adam"]
Precision = Literal["fp32", "bf16", "fp16"]

AT_LEAST_ONE = ("steps", "log_every", "validate_every", "patience", "threads", "workers")
AT_LEAST_ZERO = ("warmup", "weight_decay", "seed", "save_every")
ABOVE_ZERO = ("lr", "minutes", "time_limit", "clip_grad")


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
        for name in AT_LEAST_ONE:
            self._whole(name, 1)
        for name in AT_LEAST_ZERO:
            self._number(name, lambda value: value >= 0, "0 or more")
        self._whole("warmup", 0)
        self._whole("seed", 0)
        for name in ABOVE_ZERO:
            self._number(name, lambda value: value > 0, "above 0")
        self._number("ema", lambda value: 0 <= value < 1, "from 0 to below 1")
        if not all(math.isfinite(factor) and factor > 0 for _, factor in self.rates):
            raise ConfigError(f"rates = {self.rates}: must be factors above 0.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas = {self.betas}: must be two numbers from 0 to below 1.")
        for name, allowed in (
            ("schedule", get_args(Schedule)),
            ("optimiser", get_args(Optimiser)),
            ("precision", get_args(Precision)),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r}: unknown.",
                    hint=f"Choose one of {', '.join(allowed)}.",
                )

    def _number(self, name: str, fits: Any, range_: str) -> None:
        value = getattr(self, name)
        if value is None and self._optional(name):
            return
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not fits(value):
            raise ConfigError(f"{name} = {value!r}: must be a number {range_}.")

    def _whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is None and self._optional(name):
            return
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{name} = {value!r}: must be a whole number, {least} or more.")

    def _optional(self, name: str) -> bool:
        return any(field.name == name and "None" in str(field.type) for field in fields(self))
