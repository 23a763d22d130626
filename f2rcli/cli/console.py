"""What a run says and hears: lines on standard error for people, or events on standard output for
programs; and signals that end it.

Standard output is for data alone: a picture stream, JSON, or what a command was asked to print."""

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from rich.console import Console as RichConsole
from rich.text import Text

from f2rcli.errors import EXIT_INTERRUPTED, EXIT_TERMINATED

ENDING = [  # Windows has no SIGHUP
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, nothing but the top level catches it."""

    exit_code = EXIT_TERMINATED


class Stopper:
    """Turns the first signal into an exception, so that every open file is cleaned up; the second
    one ends the process at once."""

    def __init__(self) -> None:
        self.error: type[BaseException] | None = None  # what the first signal raised
        self.patient: Callable[[], str] = lambda: ""  # what a signal waits for, in words
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
        waits = self.patient()
        if interrupted:
            self.words = f"{waits or 'stopping'}; again to stop at once"
            if not self.seen:
                os.write(2, f"\nf2r: {self.words}\n".encode())
        if not waits:
            raise self.error

    def check(self) -> None:
        """Raise again what Python has dropped: exceptions in the clean-up of objects are lost."""
        if self.error is not None:
            raise self.error


# --- What is said --------------------------------------------------------------------------------


# A setting in a message, as Python writes it: strength=-1, overwrite=True, weights='x'.
MENTION = re.compile(r"(?<![\w./\\-])([a-z]\w*)=(?:'([^']*)'|True\b|(?=(\S)))?")


class Console:
    """The voice of one run. Made before the options are known; a command sets it up."""

    def __init__(self, stopper: Stopper | None = None, *, quiet: bool = False) -> None:
        self.human = RichConsole(stderr=True, highlight=False)
        self.stopper = stopper or Stopper()
        self.began = time.monotonic()
        self.json = False  # events for programs, nothing but warnings for people
        self.quiet = quiet  # warnings and errors only
        self.flags: dict[str, str] = {}  # the options of the running command, by setting
        self.if_stopped = "nothing was put at the final path."  # what a signal leaves, in words

    def note(self, *lines: str) -> None:
        """Print lines, unless the run is quiet."""
        for line in () if self.quiet or self.json else lines:
            self._print(self.spelled(line))

    def remark(self, *lines: str) -> None:
        """Print what is to be noted, unless the run is quiet."""
        self.note(*(f"note: {line}" for line in lines))

    def warning(self, *texts: str) -> None:
        """Print warnings, even when quiet."""
        for text in map(self.spelled, texts):
            self.event("warning", message=text)
            if not self.json:
                self._print(text, "warning", "yellow")

    def event(self, kind: str, /, **fields: Any) -> None:
        """Write an event, for programs only. Numbers that are not finite become null."""
        if self.json:
            moment = round(time.monotonic() - self.began, 3)
            text = json.dumps({"event": kind, "time": moment} | fields, default=str)
            self.data(json.dumps(json.loads(text, parse_constant=lambda number: None)))

    def rows(self, *rows: str) -> None:
        """Print results as lines on standard output, for people only."""
        if not self.json:
            self.data("\n".join(plain(row) for row in rows))

    def data(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def error(self, message: str, *, hint: str | None, exit_code: int) -> None:
        """Print the one line that a failed run ends with, and the hint what to do."""
        message, hint = self.spelled(message), self.spelled(hint or "") or None
        with contextlib.suppress(OSError, ValueError):  # standard output may be what failed
            self.event("error", message=message, hint=hint, exit_code=exit_code)
        self._print(message, "error", "bold red")
        if hint:
            self._print(hint, "hint", "cyan")

    def spelled(self, text: str) -> str:
        """A message with settings named as the running command's flags: `--strength -1`."""

        def spell(found: re.Match[str]) -> str:
            name, quoted, follows = found.groups()
            if name not in self.flags:
                return found[0]
            gap = " " if follows and follows not in ".,;:)" else ""
            return self.flags[name] + (f" {quoted}" if quoted is not None else gap)

        return MENTION.sub(spell, text)

    def _print(self, text: str, label: str = "", style: str = "") -> None:
        words = Text(plain(text))  # not markup: names may hold brackets
        line = Text.assemble((f"{label}:", style), " ", words) if label else words
        self.human.print(line, soft_wrap=True)


def plain(text: str) -> str:
    """The text with escapes for what could move a cursor, colour a terminal or turn the direction
    of writing round: names of files may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
