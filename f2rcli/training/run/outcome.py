"""The outcome of a run, and its messages about it."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from f2rcli.header import Estimate, Header
from f2rcli.noise.report import NoiseReport
from f2rcli.training.methods.validation import ErrorReduction
from f2rcli.training.run.clock import TIME_UP

EARLIER = {
    Estimate.COARSE: "the result is the single-frame estimate: stages 1 and 2 are not better yet",
    Estimate.ANCHOR: "the result is the estimate of stage 1: stage 2 is not better yet",
}
NOTHING_YET = "no estimate is better than the noisy frames yet: train for longer"


@dataclass(kw_only=True)
class Totals:
    """The last stage's outcome; losses are half the log of the held-out mean squared error."""

    start_loss: float = math.nan  # NaN where nothing was held out
    best_loss: float = math.nan
    stopped: str = "finished"
    curve: list[tuple[int, float]] = field(default_factory=list)
    learnt: bool = True  # False: this session made no step
    worthless: bool = False  # from scratch: the noisy frames are better than any estimate yet
    kept: bool = True  # False: no significant improvement, the networks are as they were
    header: Header | None = None  # where it differs from the recipe's
    notes: list[str] = field(default_factory=list)
    fell: ErrorReduction | None = None  # of an adaptation's held-out squared error

    @property
    def idle(self) -> bool:
        """Whether the time limit came before the first step. Nothing is written then: networks from
        scratch know nothing, and of a run that is resumed they may hold only a part."""
        return self.stopped == TIME_UP and not self.learnt

    @property
    def written(self) -> bool:
        """Whether the networks are handed over as weights: never such as make footage worse."""
        return not (self.idle or self.worthless)


@dataclass(kw_only=True)
class TrainResult(Totals):
    """Result of a run."""

    weights: Path
    run: Path
    noise: NoiseReport | None
    seconds: float
