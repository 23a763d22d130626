"""Ctrl-C and SIGTERM end a run cleanly: part files removed, an exit code of their own."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from f2rcli.errors import EXIT_INTERRUPTED, EXIT_TERMINATED
from f2rcli.system.signals import ENDING

AGAIN = 0.05  # seconds after which a signal that was lost is raised again


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, nothing but the top level catches it."""


class Stopper:
    """Turn the first signal into an exception, so that every open file is cleaned up.

    The second one only says that this is under way; the third quits at once, in case the
    clean-up itself hangs.

    Python drops exceptions in the clean-up of objects and in other places that nothing calls. One
    of ours that arrives there is raised again a moment later.
    """

    def __init__(self) -> None:
        self.count = 0
        self.error: type[BaseException] | None = None  # what the first signal raised
        self.handled: list[int] = []
        self.lost: int | None = None  # the signal whose exception Python has dropped
        self._hook: Any = None

    def install(self) -> None:
        """Handle the signals that end programs, but those that this process was set to ignore."""
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)
                self.handled.append(number)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped

    def remove(self) -> None:
        """Ignore the signals from now on: the run is over and its exit code is known.

        Python would give them back their default while it shuts down, and a late one would
        replace that code.
        """
        for number in self.handled:
            signal.signal(number, signal.SIG_IGN)
        sys.unraisablehook = self._hook

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self.lost = self.lost == number, None
        self.count += not again
        interrupted = number == signal.SIGINT
        if self.count == 1:
            self.error = KeyboardInterrupt if interrupted else Terminated
            raise self.error
        if self.count == 2:
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"\nf2r: cleaning up...\n")
        else:
            os._exit(EXIT_INTERRUPTED if interrupted else EXIT_TERMINATED)

    def _dropped(self, what: "sys.UnraisableHookArgs") -> None:
        """Python's hook for exceptions that it drops."""
        if issubclass(what.exc_type, KeyboardInterrupt):
            self.lost = signal.SIGINT
        elif issubclass(what.exc_type, Terminated):
            self.lost = signal.SIGTERM
        else:
            self._hook(what)
            return
        timer = threading.Timer(AGAIN, send, (self.lost,))
        timer.daemon = True
        timer.start()


def send(number: int) -> None:
    """Send this process a signal from any thread: the main thread wakes and handles it."""
    if os.name == "posix":
        os.kill(os.getpid(), number)
    else:  # there os.kill ends a process without a word
        signal.raise_signal(number)
