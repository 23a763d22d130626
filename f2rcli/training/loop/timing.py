"""Clocks of a session: when to save, when to speak, when to stop, how long it will take."""

import time
from collections import deque

from f2rcli.training.loop.settings import TrainSettings

MEMORY = 50  # steps that the rate is measured over
SPEAK = 1.0  # seconds between reports of progress


class Timing:
    """Measures one session of a run; of the weights it affects only schedules by the clock."""

    def __init__(self, settings: TrainSettings, step: int, elapsed: float) -> None:
        self.settings = settings
        self._before = elapsed  # seconds of earlier sessions
        self._start = self._saved = self._spoke = time.monotonic()
        self._marks = deque([(self._start, step)], maxlen=MEMORY)

    def elapsed(self) -> float:
        """Seconds of training, over all sessions."""
        return self._before + time.monotonic() - self._start

    def overdue(self) -> bool:
        """True once the session's time limit has passed."""
        limit = self.settings.time_limit
        return limit is not None and time.monotonic() - self._start >= 60 * limit

    def save_due(self) -> bool:
        """True if a checkpoint is due; the next interval then begins."""
        now = time.monotonic()
        due = now - self._saved >= self.settings.save_every
        self._saved = now if due else self._saved
        return due

    def progress_due(self, step: int) -> bool:
        """Record that this step is done; True if progress should be reported."""
        now = time.monotonic()
        self._marks.append((now, step))
        due = now - self._spoke >= SPEAK
        self._spoke = now if due else self._spoke
        return due

    def jump(self, step: int) -> None:
        """Measure the rate from here on: the run stepped back."""
        self._marks.clear()
        self._marks.append((time.monotonic(), step))

    def rate(self) -> float:
        """Recent steps per second; 0 while unknown."""
        (start, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - start) if end > start else 0.0

    def steps(self) -> int:
        """Steps of the whole schedule: as set, or what the clock will leave time for."""
        settings, rate = self.settings, self.rate()
        if settings.minutes is None or not rate:
            return settings.steps
        left = max(0.0, 60 * settings.minutes - self.elapsed())
        return min(settings.steps, round(self._marks[-1][1] + left * rate))

    def eta(self) -> float | None:
        """Seconds until the schedule or the time limit ends; None while unknown."""
        if not (rate := self.rate()):
            return None
        left = max(0.0, (self.steps() - self._marks[-1][1]) / rate)
        if self.settings.time_limit is not None:
            session = time.monotonic() - self._start
            left = min(left, max(0.0, 60 * self.settings.time_limit - session))
        return left
