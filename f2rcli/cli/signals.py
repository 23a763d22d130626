"""Ctrl-C and SIGTERM end a run cleanly: part files removed, an exit code of their own."""

import os
import signal
import sys
from types import FrameType

from f2rcli.errors import EXIT_INTERRUPTED, EXIT_TERMINATED


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, nothing but the top level catches it."""


class Stopper:
    """Turn the first signal into an exception, so that every open file is cleaned up.

    The second one only says that this is under way; the third quits at once, in case the
    clean-up itself hangs.
    """

    def __init__(self) -> None:
        self.count = 0
        self.handled: list[int] = []

    def install(self) -> None:
        """Handle the signals that end programs, but those that this process was set to ignore."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)
                self.handled.append(number)

    def remove(self) -> None:
        """Ignore the signals from now on: the run is over and its exit code is known.

        Python would give them back their default while it shuts down, and a late one would
        replace that code.
        """
        for number in self.handled:
            signal.signal(number, signal.SIG_IGN)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        interrupted = number == signal.SIGINT
        if self.count == 1:
            raise KeyboardInterrupt if interrupted else Terminated
        if self.count == 2:
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"\nf2r: cleaning up...\n")
        else:
            os._exit(EXIT_INTERRUPTED if interrupted else EXIT_TERMINATED)
