"""The time limit of a session."""

import math

from f2rcli.training.run.config import TrainConfig

# Seconds that a level of adaptation may take on two cores or more, everything included, and the
# share of these that is left for pairs in hand and the last exams.
ADAPT_SECONDS, FOR_EXAMS = {"fast": 60.0}, 0.1
TIME_UP, NO_TIME = "time limit", "no time"  # why a session ended; the second before its first step
NO_STEP = "the time limit came before the first step: pass a longer one"
LATE = (
    "not adapted: time was up before the first step; a less busy machine may be fast enough, or "
    "pass adapt='full', which has no limit"
)


def seconds_of(config: TrainConfig) -> float:
    """Seconds a session may train for, infinite without a limit; one core has twice two's."""
    asked = config.time_limit_seconds or math.inf
    if config.adapt not in ADAPT_SECONDS:
        return asked
    import torch

    cores = min(2, torch.get_num_threads())
    return min(asked, 2 / cores * (1 - FOR_EXAMS) * ADAPT_SECONDS[config.adapt])
