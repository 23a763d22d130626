"""Settings of one training stage."""

from dataclasses import dataclass
from typing import Literal

Schedule = Literal["cosine", "constant", "halved"]
Optimiser = Literal["muon", "adamw", "adam"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Settings of one stage: what recipes say, and what `TrainConfig` has checked.

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
