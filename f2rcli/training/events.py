"""Events of a training run."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from f2rcli.units import span


class EventKind(StrEnum):
    """Kind of an event."""

    PROGRESS = "progress"  # of every step; for bars
    LOG = "log"  # a line of text, or a row of the CSV
    VALIDATED = "validated"
    SAVED = "saved"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Progress of a run: a line of text for people, numbers for bars and programs."""

    kind: EventKind
    stage: str
    step: int
    steps: int  # of the whole schedule; an estimate where it follows the clock; 0: unknown
    text: str = ""  # what happened, for every kind but progress
    loss: float | None = None  # of the latest step, or the mean since the last row
    validation: float | None = None  # dB of the held-out frames; see `exams.ValidationErrors`
    best: float | None = None  # highest validation so far
    lr: float = 0.0
    norm: float | None = None  # mean gradient norm before clipping
    rate: float = 0.0  # steps per second
    eta: float | None = None  # seconds to the end of the stage

    @property
    def words(self) -> str:
        """How far its stage is, and how good."""
        parts = [f"{self.step}/{self.steps} steps"]
        if self.eta is not None:
            parts.append(f"ETA {span(self.eta)}")
        held_out = self.best if self.validation is None else self.validation
        if held_out is not None:
            parts.append(f"held out {held_out:.2f} dB")
        return ", ".join(parts)

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.stage, self.words, self.text)))


OnEvent = Callable[[Event], None]


def said(text: str) -> Event:
    """A line of text before the first step."""
    return Event(kind=EventKind.LOG, stage="footage", step=0, steps=0, text=text)
