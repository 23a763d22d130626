"""The `f2r` command: its sub-commands, and the end of every run: one line, one exit code."""

import contextlib
import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Iterable, Sequence
from shutil import get_terminal_size
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from f2rcli import __version__
from f2rcli.cli.signals import Stopper, Terminated
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.usage import advice, in_plain_words
from f2rcli.errors import (
    EXIT_BUG,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    F2RError,
)
from f2rcli.system.machine import cramped, number_in

WIDEST = 10_000  # columns or lines of a terminal
TABLE = 76  # columns: in fewer, the tables of --help cut the names of options
COMMANDS = {  # name -> module in f2rcli.cli.commands, and its function
    "denoise": ("denoise", "denoise"),
    "train": ("train", "train"),
    "info": ("info", "info"),
    "noise": ("noise", "noise"),
    "eval": ("eval", "evaluate"),
    "export": ("export", "export"),
    "doctor": ("doctor", "doctor"),
}


def command_line(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands: what others need is not loaded."""
    app = typer.Typer(
        name="f2r",
        epilog="f2r COMMAND --help lists a command's options.",
        no_args_is_help=True,
        rich_markup_mode=None if get_terminal_size().columns < TABLE else "rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(cls=_Group)(options)
    for name in names:
        module, function = COMMANDS[name]
        found = importlib.import_module(f"f2rcli.cli.commands.{module}")
        app.command(name, cls=_Command)(getattr(found, function))
    return app


class _PlainSwitches:
    """Help that names no type for switches, --help among them: Typer writes <bool>."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, --help among them."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of Typer's classes
        for switch in (param for param in params if getattr(param, "is_flag", False)):
            switch.metavar = ""
        return params


class _Command(_PlainSwitches, TyperCommand):
    """A sub-command."""


class _Group(_PlainSwitches, TyperGroup):
    """The command line as a whole."""


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"f2r {__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the version and stop.",
        ),
    ] = False,
) -> None:
    """Denoise real video: colours, timing, sound and metadata stay as they are."""


class ExitHandler:
    """Turn the exception that ends a run into a message and an exit code.

    A context manager rather than a blanket except clause: every known kind has its own line
    below, and only the rest are bugs.
    """

    def __init__(
        self, console: Console, stopper: Stopper | None = None, arguments: Sequence[str] = ()
    ) -> None:
        """stopper: what receives the signals of this process; arguments: the command line."""
        self.console = console
        self.stopper = stopper
        self.arguments = arguments
        self.code: int = EXIT_OK

    def __enter__(self) -> "ExitHandler":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None or isinstance(error, SystemExit):
            return False
        self.console.trace(error)
        self.code = self._report(error)
        _drop_unwritten()
        return True

    def _report(self, error: BaseException) -> int:
        if self.stopper is not None and self.stopper.error is not None:
            error = self.stopper.error()  # a library may have made another one of it
        match error:
            case F2RError():
                self.console.failed(error)
                return error.exit_code
            case TyperException():
                return self._usage(error)
            case KeyboardInterrupt() | typer.Abort():
                return self._stopped("interrupted", EXIT_INTERRUPTED)
            case Terminated():
                return self._stopped("terminated", EXIT_TERMINATED)
            case BrokenPipeError():
                return self._say("standard output was closed by its reader.", None, EXIT_FAILURE)
            case _ if _out_of_memory(error):
                hint = "Pass --tile 256, or close other programs."
                hint = "Allow more address space: ulimit -v." if cramped() else hint
                return self._say("not enough memory.", hint, EXIT_FAILURE)
            case OSError() if error.errno == errno.EBADF and error.filename is None:
                hint = "Send it to a file or a pipe."
                return self._say("standard output is closed.", hint, EXIT_FAILURE)
            case OSError():
                what = (
                    f"{error.filename or 'standard output or a file'}: {error.strerror or error}."
                )
                return self._say(what, "Check the disk; --debug says where.", EXIT_FAILURE)
            case _:
                what = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
                return self._say(
                    what, "This is a bug in f2r: run again with --debug and report it.", EXIT_BUG
                )

    def _usage(self, error: TyperException) -> int:
        message = in_plain_words(error.format_message().strip(), self.arguments)
        if not message:  # no command given: the help is printed already
            return error.exit_code
        context = getattr(error, "ctx", None)
        see = f"See {context.command_path if context else 'f2r'} --help."
        hint = (message.startswith("No such") and advice(self.arguments)) or see
        return self._say(message, hint, error.exit_code)

    def _stopped(self, word: str, code: int) -> int:
        return self._say(f"{word}; {self.console.if_stopped}", None, code)

    def _say(self, message: str, hint: str | None, code: int) -> int:
        self.console.error(" ".join(message.split()), hint=hint, exit_code=code)
        return code


def _out_of_memory(error: BaseException) -> bool:
    """Is it Python's out-of-memory error, torch's, or that of a library with no room to load?"""
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    words = ("can't allocate memory", "bad_alloc", "failed to map segment")
    library = isinstance(error, RuntimeError | ImportError)
    return known or (library and any(word in str(error) for word in words))


def run(arguments: list[str], stopper: Stopper | None = None) -> int:
    """Run one command line; returns its exit code and lets no exception out but SystemExit.

    stopper: what receives the signals of this process; a run that one of them ends says so,
    whatever exception it comes to.
    """
    ignore_odd_sizes()
    with contextlib.closing(Console()) as console:
        ending = ExitHandler(console, stopper, arguments)
        with ending:
            app = command_line(
                [arguments[0]] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS
            )
            result: Any = app(args=arguments, prog_name="f2r", standalone_mode=False, obj=console)
            ending.code = result if isinstance(result, int) else EXIT_OK
            if ending.code == EXIT_INTERRUPTED:  # Typer swallows Ctrl-C and returns this
                raise KeyboardInterrupt
            sys.stdout.flush()
    return ending.code


def _drop_unwritten() -> None:
    """Drop output that standard output cannot take; trying again at exit would end in code 120."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fill_standard_streams() -> None:
    """Give a process that was started without standard streams some, as daemons and cron do.

    Else the next file to be opened would take the place of one, and receive what is meant for it.
    Reading yields nothing and messages go nowhere, but results have to go somewhere: writing to
    standard output fails.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            flags = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            descriptor = os.open(os.devnull, flags)  # the lowest one that is free: `number`
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def ignore_odd_sizes() -> None:
    """Terminals are as wide as COLUMNS says, where that is a width: Rich would take any digits."""
    for name in ("COLUMNS", "LINES"):
        if not 0 < number_in(name, 0) <= WIDEST:
            os.environ.pop(name, None)


def let_threads_sleep() -> None:
    """Before torch is loaded: its waiting threads shall sleep, not spin. Beside an encoder or any
    other busy program spinning costs a factor of ten (0.5 instead of 6 frames/s at 320x180 on two
    shared cores)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def collect_rarely() -> None:
    """Before anything large is imported: what modules are made of is not garbage, but Python looks
    through all of it again and again as it grows, 0.2 to 0.5 of the 1.8 s that torch takes."""
    gc.set_threshold(50_000, *gc.get_threshold()[1:])


def main() -> None:
    """Entry point of `f2r` and of `python -m f2rcli`."""
    collect_rarely()
    fill_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be text
    let_threads_sleep()
    stopper = Stopper()
    stopper.install()
    try:
        code = run(sys.argv[1:], stopper)
    except KeyboardInterrupt:  # in the moment after its own handling ended
        code = EXIT_INTERRUPTED
    except Terminated:
        code = EXIT_TERMINATED
    stopper.remove()
    gc.freeze()  # Python's last collections would take half a second where torch is loaded
    sys.exit(code)
