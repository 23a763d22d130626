"""Where words go: standard error for people, events for programs, everything into the log file.

Standard output is for data alone: a picture stream, JSON, or what a command was asked to print.
"""

import contextlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.text import Text

from f2rcli.errors import F2RError, OutputError

LOG = logging.getLogger("f2rcli")


class Console:
    """The voice of one run. Made before the options are known; `configure` tells it of them."""

    def __init__(self) -> None:
        self.human = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self.events: EventStream | None = None
        self.if_stopped = "nothing was put at the final path."  # what a signal leaves, in words
        self.quiet = False
        self.verbose = False
        self.debug = bool(os.environ.get("F2R_DEBUG"))
        self.handlers: list[logging.Handler] = []
        self._attach(LOG, logging.NullHandler())  # else Python prints warnings of its own

    def configure(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        debug: bool = False,
        log_file: str | None = None,
    ) -> None:
        """Take over a command's options; raises OutputError for an unwritable log file."""
        self.events = EventStream(sys.stdout) if json else None
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self.debug = self.debug or debug
        if log_file is not None:
            self._attach(logging.getLogger(), _log_to(log_file))
            LOG.setLevel(logging.DEBUG)

    def close(self) -> None:
        """Close the log file; Python's logging outlives a run."""
        for handler in self.handlers:
            logging.getLogger().removeHandler(handler)
            LOG.removeHandler(handler)
            handler.close()

    def _attach(self, logger: logging.Logger, handler: logging.Handler) -> None:
        logger.addHandler(handler)
        self.handlers.append(handler)

    def detail(self, text: str) -> None:
        """Something that --verbose asks for."""
        LOG.debug(text)
        if self.verbose and self.events is None:
            self._print(text)

    def note(self, text: str) -> None:
        """Something worth a line in every run that is not quiet."""
        LOG.info(text)
        if not self.quiet and self.events is None:
            self._print(text)

    def warning(self, text: str) -> None:
        """Something the user should know even when quiet."""
        LOG.warning(text)
        if self.events is not None:
            self.events.write("warning", message=text)
        else:
            self._print(text, label="warning", style="yellow")

    def event(self, kind: str, **fields: Any) -> None:
        """Something for programs only."""
        LOG.debug("%s %s", kind, fields)
        if self.events is not None:
            self.events.write(kind, **fields)

    def data(self, text: str) -> None:
        """What the command was asked to print, on standard output."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def error(self, message: str, *, hint: str | None, exit_code: int) -> None:
        """The one line a failed run ends with, and what to do about it."""
        LOG.error("%s (hint: %s; exit code %d)", message, hint, exit_code)
        if self.events is not None:
            self.events.write("error", message=message, hint=hint, exit_code=exit_code)
        self._print(message, label="error", style="bold red")
        if hint:
            self._print(hint, label="hint", style="cyan")

    def failed(self, error: F2RError) -> None:
        """Report an error of f2r's own tree."""
        self.error(str(error), hint=error.hint, exit_code=error.exit_code)

    def trace(self, error: BaseException) -> None:
        """The traceback: always into the log file, on the screen only with --debug."""
        text = "".join(traceback.format_exception(error))
        LOG.debug(text)
        if self.debug:
            self._print(text.rstrip())

    def _print(self, text: str, *, label: str | None = None, style: str = "") -> None:
        line = Text(text)  # not markup: file names may hold brackets
        if label:
            line = Text.assemble((f"{label}:", style), " ", text)
        self.human.print(line)


class _LogFile(logging.FileHandler):
    """A log that cannot be written any more says so once, instead of a traceback per line."""

    def __init__(self, path: str) -> None:
        super().__init__(path, mode="a", encoding="utf-8", errors="backslashreplace")
        self.failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # logging's own name
        if not self.failed:
            sys.stderr.write(f"warning: {self.baseFilename}: the log cannot be written.\n")
        self.failed = True

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what is still in the buffer has nowhere to go
            super().close()


def _log_to(path: str) -> logging.Handler:
    try:
        handler = _LogFile(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write the log file: {error.strerror}.", hint="Check --log-file."
        ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


@dataclass
class EventStream:
    """NDJSON: every line has `event` (start, plan, progress, warning, result, error) and `time`.

    `time` is in seconds since the run began. Text is ASCII with escapes, so that no locale and
    no odd file name can break a line.
    """

    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def write(self, event: str, **fields: Any) -> None:
        """Write one event and flush; values are JSON values, NaN excluded."""
        line = {"event": event, "time": round(self.clock() - self.began, 3), **fields}
        self.stream.write(json.dumps(line, allow_nan=False, default=str) + "\n")
        self.stream.flush()
