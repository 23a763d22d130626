"""Ctrl-C and SIGTERM end a run cleanly: part files removed, an exit code of their own."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from f2rcli.errors import EXIT_INTERRUPTED, EXIT_TERMINATED
from f2rcli.system import ENDING


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, nothing but the top level catches it."""


class Stopper:
    """Turns the first signal into an exception, so that every open file is cleaned up; the second
    one ends the process at once."""

    def __init__(self) -> None:
        self.error: type[BaseException] | None = None  # what the first signal raised
        self.patient: Callable[[], bool] = lambda: False  # may Ctrl-C wait for the frame in hand?
        self.seen = False  # whether a bar on the terminal shows `words`
        self.words = ""  # of what Ctrl-C has begun

    def install(self) -> None:
        """Handle the signals that end programs, but those that this process was set to ignore."""
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)

    def remove(self) -> None:
        """Ignore the signals from now on: the run is over and its exit code is known."""
        for number in ENDING:
            if signal.getsignal(number) is self:
                signal.signal(number, signal.SIG_IGN)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        interrupted = number == signal.SIGINT
        if self.error is not None:
            os._exit(EXIT_INTERRUPTED if interrupted else EXIT_TERMINATED)
        self.error = KeyboardInterrupt if interrupted else Terminated
        waits = interrupted and self.patient()
        if interrupted:
            self.words = f"{'finishing this frame' if waits else 'stopping'}; again to stop at once"
            if not self.seen:
                os.write(2, f"\nf2r: {self.words}\n".encode())
        if not waits:
            raise self.error

    def check(self) -> None:
        """Raise again what Python has dropped: exceptions in the clean-up of objects are lost."""
        if self.error is not None:
            raise self.error
