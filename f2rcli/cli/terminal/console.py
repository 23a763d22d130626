"""Output of a run: standard error for people, events for programs, all of it in the log file.

Standard output is for data alone: a picture stream, JSON, or what a command was asked to print.
"""

import contextlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import typer
from rich.console import Console as RichConsole
from rich.text import Text

from f2rcli.cli.spelling import as_flags, flags_of
from f2rcli.cli.terminal.text import encodable, lines, one_line
from f2rcli.errors import DeviceError, F2RError, OutputError, UsageError, WeightsError
from f2rcli.settings import setting

LOG = logging.getLogger("f2rcli")
RUN = "Run"  # heading in --help
NAMES = 10  # columns of the names in front of results


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbosity:
    """The amount of output, and its readers."""

    json: bool = setting(
        False, "Print JSON on standard output, for programs.", flags=("--json",), group=RUN
    )
    quiet: bool = setting(False, "Warnings and errors only.", flags=("--quiet", "-q"), group=RUN)
    verbose: bool = setting(False, "Verbose output.", flags=("--verbose", "-v"), group=RUN)
    log_file: str | None = setting(
        None, "Append the verbose output to a file.", metavar="PATH", group=RUN
    )
    debug: bool = setting(
        False, "Show tracebacks (or set F2R_DEBUG=1).", flags=("--debug",), group=RUN
    )


class Console:
    """The voice of one run. Made before the options are known; `configure` sets it up."""

    def __init__(self) -> None:
        self.human = RichConsole(stderr=True, highlight=False)
        self.events: EventStream | None = None
        self.context: typer.Context | None = None  # of the running command
        self.if_stopped = "nothing was put at the final path."  # what a signal leaves, in words
        self.quiet = False
        self.verbose = False
        self.debug = bool(os.environ.get("F2R_DEBUG"))
        self.handlers: list[logging.Handler] = []
        self._attach(LOG, logging.NullHandler())  # else Python prints warnings of its own

    @property
    def live(self) -> bool:
        """Whether people watch on a terminal that can take lines back and knows its width."""
        return self.human.is_terminal and not self.human.is_dumb_terminal

    def configure(self, how: Verbosity, check: Callable[[], None] = lambda: None) -> None:
        """Follow a command's options; `check` may refuse the log file first. Raises OutputError."""
        self.events = EventStream(sys.stdout) if how.json else None
        self.quiet = how.quiet
        self.verbose = how.verbose and not how.quiet
        self.debug = self.debug or how.debug
        if how.log_file is not None:
            check()
            self._attach(logging.getLogger(), _log_to(how.log_file))
            LOG.setLevel(logging.DEBUG)

    def silence(self) -> None:
        """Print warnings and errors only, and no events."""
        self.events, self.quiet, self.verbose = None, True, False

    def spelled(self, text: str) -> str:
        """A message with settings named as flags."""
        return text if self.context is None else as_flags(text, flags_of(self.context))

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
        """Print a detail, with --verbose only."""
        text = lines(text)
        LOG.debug(text)
        if self.verbose and self.events is None:
            self._print(text)

    def note(self, text: str) -> None:
        """Print a line, unless the run is quiet."""
        text = lines(self.spelled(text))
        LOG.info(text)
        if not self.quiet and self.events is None:
            self._print(text)

    def warning(self, text: str) -> None:
        """Print a warning, even when quiet."""
        text = lines(self.spelled(text))
        LOG.warning(text)
        if self.events is not None:
            self.events.write("warning", message=text)
        else:
            self._print(text, label="warning", style="yellow")

    def event(self, kind: str, /, **fields: Any) -> None:
        """Write an event, for programs only."""
        LOG.debug("%s %s", kind, fields)
        if self.events is not None:
            self.events.write(kind, **fields)

    def rows(self, rows: Iterable[str]) -> None:
        """Print results as lines on standard output, with their names in a column of a terminal."""
        lines = [one_line(row) for row in rows]
        out = RichConsole(file=sys.stdout)
        if out.is_terminal and not out.is_dumb_terminal and out.width > 2 * NAMES:
            shown = (encodable(line, out.encoding) for line in lines)
            lines = [row.plain for line in shown for row in fitted(Text(line), out, NAMES, NAMES)]
        self.data("\n".join(lines))

    def data(self, text: str) -> None:
        """Print text on standard output as it is."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def error(self, message: str, *, hint: str | None, exit_code: int) -> None:
        """Print the one line that a failed run ends with, and the hint what to do."""
        if self.events is not None:
            with contextlib.suppress(OSError, ValueError):  # this may be what failed
                self.events.write("error", message=message, hint=hint, exit_code=exit_code)
        message, hint = one_line(message), hint and one_line(hint)
        LOG.error("%s (hint: %s; exit code %d)", message, hint, exit_code)
        self._print(message, label="error", style="bold red")
        if hint:
            self._print(hint, label="hint", style="cyan")

    def failed(self, error: F2RError) -> None:
        """Report an error of f2r's own tree, its settings spelled as flags."""
        hint = None if error.hint is None else self.spelled(error.hint)
        about_settings = isinstance(error, UsageError | DeviceError | WeightsError)
        message = self.spelled(str(error)) if about_settings else str(error)  # a file's name stays
        self.error(message, hint=hint, exit_code=error.exit_code)

    def trace(self, error: BaseException) -> None:
        """Log a traceback; print it with --debug only."""
        text = "".join(traceback.format_exception(error))
        LOG.debug(text)
        if self.debug:
            self._print(text.rstrip())

    def _print(self, text: str, *, label: str | None = None, style: str = "") -> None:
        line = Text(encodable(text, self.human.encoding))  # not markup: names may hold brackets
        if label:
            line = Text.assemble((f"{label}:", style), " ", line)
        if self.live:
            line = Text("\n").join(row for one in line.split() for row in self._rows(one))
        self.human.print(line, soft_wrap=True)

    def _rows(self, line: Text) -> Iterator[Text]:
        margin = len(line.plain) - len(line.plain.lstrip(" "))
        return fitted(line, self.human, margin, margin + 2)


def fitted(line: Text, human: RichConsole, start: int, margin: int) -> Iterator[Text]:
    """A line as rows that fit a terminal, broken between words from column `start` on; all but the
    first begin at column `margin`."""
    if line.cell_len <= human.width:
        yield line
        return
    first, *others = line[start:].wrap(human, max(human.width - margin, 1))
    yield line[:start] + first
    yield from (Text(" " * margin) + row for row in others)


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


class EventStream:
    """NDJSON: every line has `event` (start, plan, progress, warning, result, error) and `time`.

    `time` is in seconds since the run began. Text is ASCII with escapes, so that no locale and
    no odd file name can break a line.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock, self.began = stream, clock, clock()

    def write(self, event: str, /, **fields: Any) -> None:
        """Write one event and flush; values are JSON values, NaN excluded."""
        line = {"event": event, "time": round(self.clock() - self.began, 3), **fields}
        self.stream.write(json.dumps(line, allow_nan=False, default=str) + "\n")
        self.stream.flush()
