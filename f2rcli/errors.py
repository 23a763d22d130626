"""The errors of users, and the exit codes that runs end with."""

import difflib

EXIT_OK = 0
EXIT_FAILURE = 1  # errors that have no code of their own
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_DAMAGED = 4  # finished, but frames were damaged or missing, or what was to be kept was lost
EXIT_BATCH = 5  # a part of it failed
EXIT_BUG = 70
EXIT_INTERRUPTED = 130  # Ctrl-C
EXIT_TERMINATED = 143  # SIGTERM

_SHOWN = 200  # characters of a value that a message shows


class F2RError(Exception):
    """A user's error: one line with what clashes, and a hint. Settings are spelled as in Python,
    `sigma=-1`; the command line respells them."""

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # Python's tracebacks show it


class UsageError(F2RError):
    """Options that do not exist, do not fit together, or are out of range."""

    exit_code = EXIT_USAGE


class InputError(F2RError):
    """The input cannot be read as what it should be."""

    exit_code = EXIT_INPUT


class OutputError(F2RError):
    """The output cannot be written, or writing it would lose something of the user's."""


class WeightsError(F2RError):
    """Weights that are missing, damaged, or do not fit the clip."""


class DeviceError(F2RError):
    """A device or precision that this machine does not have."""


class TrainingError(F2RError):
    """A training run that cannot go on: its loss diverged too often, or its parts disagree."""


class CancelledError(F2RError):
    """The caller's own `cancel` ended the run; nothing is left at the target."""

    exit_code = EXIT_INTERRUPTED


class StaleError(Exception):
    """An earlier run's data are damaged or of another clip; never shown: they are recomputed."""


def shown(value: object) -> str:
    """A value as Python writes it, on one line and cut where it is long: for messages."""
    words = " ".join(repr(value).split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def nearest(word: str, known: list[str], others: str = "") -> str:
    """A hint that names the known word closest to `word`, and all of them; others: in words."""
    close = difflib.get_close_matches(word, known, n=1)
    listed = ", ".join([*known, *([f"or {others}"] if others else [])])
    choose = f"Choose from {listed}." if listed else "Leave it out."
    return f"Did you mean {close[0]}? {choose}" if close else choose
