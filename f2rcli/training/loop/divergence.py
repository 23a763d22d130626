"""Watches the loss: says when a run has gone wrong and how carefully it goes on afterwards."""

import math
from dataclasses import dataclass, field

import numpy as np

from f2rcli.errors import TrainingError
from f2rcli.order import robust_sigma

WINDOW = 200  # losses that say what is usual
ENOUGH = 50  # of them, before a spike is called one
SPIKE = 8.0  # robust standard deviations above the median
MARGIN = 1.5  # times the largest ordinary loss's distance from the median ...
LATEST = 20  # ... these left out, so that a loss that creeps up does not excuse itself
REPEATED, WITHIN = 3, 10  # that many spikes within so many steps
REFRESH = 200  # steps between copies of the last good state
CALM = 500  # steps at a lower rate after a setback
MOST = 5  # setbacks in a row, each before the calm after the last one was over


@dataclass(slots=True)
class DivergenceGuard:
    """Judges every step's loss; a function of the losses alone, so that a resumed run agrees.

    The rule. A loss or gradient that is not finite is a failure at once. A loss is a spike when it
    lies above the median of the last WINDOW ordinary losses by more than SPIKE robust standard
    deviations (1.4826 times the median absolute deviation, at least 1 % of the median) and by more
    than MARGIN times what the largest of them does (but for the LATEST): clips of very different
    noise make for losses with a long tail. REPEATED spikes within WITHIN steps are a failure;
    spikes that stay alone count as ordinary afterwards. After a failure the run steps back to its
    last good state and goes on with other data, for CALM steps at half the rate, halved again with
    every further failure in that time; more than MOST of those end the run with TrainingError.
    """

    losses: list[float] = field(default_factory=list)  # ordinary ones, latest last
    spikes: list[tuple[int, float]] = field(default_factory=list)  # recent ones: step, loss
    setbacks: int = 0  # of the whole run; names the data drawn since
    strikes: int = 0  # setbacks in a row
    calm_until: int = 0  # step

    def failed(self, step: int, loss: float, norm: float) -> str | None:
        """Why this step, not applied yet, must not be kept; None when all is well."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(norm):
            return f"the gradient is not finite (loss {loss:.4g})"
        while self.spikes and self.spikes[0][0] <= step - WITHIN:
            self._remember(self.spikes.pop(0)[1])
        limit = self._limit()
        if loss <= limit:
            self._remember(loss)
            return None
        self.spikes.append((step, loss))
        if len(self.spikes) < REPEATED:
            return None
        return f"the loss rose to {loss:.4g} ({REPEATED} losses above {limit:.4g})"

    def due(self, step: int) -> bool:
        """True if the state after this step becomes the last good one."""
        return step % REFRESH == 0 and not self.spikes

    def step_back(self, good: "DivergenceGuard", to: int, step: int, reason: str) -> None:
        """Forget the losses since the good state, made at step `to`; be careful from there on.

        Raises TrainingError when this has happened too often in a row.
        """
        self.losses, self.spikes = list(good.losses), list(good.spikes)
        self.setbacks += 1
        self.strikes += 1
        self.calm_until = to + CALM
        if self.strikes > MOST:
            raise TrainingError(
                f"training gave up at step {step}: {reason}, {self.strikes} times in a row.",
                hint="Lower the rate (lr), clip gradients harder, or check the data.",
            )

    def factor(self, step: int) -> float:
        """Factor of the learning rate at this step."""
        if step >= self.calm_until:
            self.strikes = 0
        return 0.5**self.strikes

    def _remember(self, loss: float) -> None:
        self.losses = [*self.losses[-WINDOW + 1 :], loss]

    def _limit(self) -> float:
        if len(self.losses) < ENOUGH:
            return math.inf
        median = float(np.median(self.losses))
        usual = SPIKE * max(robust_sigma(np.array(self.losses) - median), 0.01 * abs(median), 1e-12)
        return median + max(usual, MARGIN * (max(self.losses[:-LATEST]) - median))
