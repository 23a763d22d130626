"""The `f2r` command: its sub-commands, and the end of every run: one line, one exit code."""

import errno
import gc
import importlib
import io
import logging
import os
import platform
import re
import shlex
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from f2rcli import __version__
from f2rcli.cli.console import Console, Stopper, Terminated
from f2rcli.cli.options import Command
from f2rcli.errors import EXIT_BUG, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, F2RError
from f2rcli.system import POLICY

COMMANDS = {  # name -> module of f2rcli.cli, and its function
    "denoise": ("denoise", "denoise"),
    "info": ("info", "info"),
    "noise": ("info", "noise"),
    "train": ("train", "train"),
    "eval": ("eval", "evaluate"),
    "export": ("export", "export"),
}

FFMPEG = {  # what its options are here
    "-i": "INPUT alone", "-c:v": "--codec", "-crf": "--crf", "-ss": "--start", "-to": "--end",
    "-c:a": "--audio-codec", "-an": "--audio-codec none",
}  # fmt: skip
LIBRARIES = ("torch", "av", "numpy", "opencv-python-headless", "rawpy", "tifffile", "safetensors")


def command_line(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands: what others need is not loaded."""
    app = typer.Typer(
        name="f2r", pretty_exceptions_enable=False, rich_markup_mode=None,
        epilog="f2r COMMAND --help lists the usual options, --help-all every one.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )  # fmt: skip
    app.callback()(options)
    for name in names:
        module, function = COMMANDS[name]
        found = importlib.import_module(f"f2rcli.cli.{module}")
        app.command(name, cls=Command)(getattr(found, function))
    return app


def _print_version(value: bool) -> None:
    if value:
        found = (one for one in metadata.distributions() if one.name in LIBRARIES)
        libraries = ", ".join(sorted(f"{one.name} {one.version}" for one in found))
        typer.echo(f"f2r {__version__} (Python {platform.python_version()}, {libraries})")
        raise typer.Exit


def options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Denoise real video: colours, timing, sound and metadata stay as they are.

    \b
    f2r denoise clip.mp4 -o clean.mp4
    f2r info clip.mp4                  what is in it, and what it will take
    """


class ExitHandler(AbstractContextManager["ExitHandler"]):
    """Turns the exception that ends a run into a message and an exit code.

    A context manager rather than a blanket except clause: every known kind has its own line
    below, and only the rest are bugs.
    """

    def __init__(self, console: Console, arguments: Sequence[str] = ()) -> None:
        self.console, self.arguments = console, arguments
        self.code: int = EXIT_OK

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None or isinstance(error, SystemExit):
            return False
        if os.environ.get("F2R_DEBUG"):
            self.console.human.print("".join(traceback.format_exception(error)), markup=False)
        if self.console.stopper.error is not None:
            error = self.console.stopper.error()  # a library may have made another one of it
        message, hint, self.code = self._told(error)
        self.console.error(" ".join(message.split()), hint=hint, exit_code=self.code)
        _drop_unwritten()
        return True

    def _told(self, error: BaseException) -> tuple[str, str | None, int]:
        """What is said of an error, what to do about it, and the exit code."""
        match error:
            case F2RError():
                return str(error), error.hint, error.exit_code
            case TyperException():
                context = getattr(error, "ctx", None)
                see = f"See {context.command_path if context else 'f2r'} --help."
                return error.format_message(), advice(self.arguments) or see, error.exit_code
            case KeyboardInterrupt() | typer.Abort():
                return f"interrupted; {self.console.if_stopped}", None, EXIT_INTERRUPTED
            case Terminated():
                return f"terminated; {self.console.if_stopped}", None, error.exit_code
            case BrokenPipeError():
                return "standard output was closed by its reader.", None, EXIT_FAILURE
            case _ if _out_of_memory(error):
                hint = "Pass --tile 256, or close other programs."
                return "not enough memory.", hint, EXIT_FAILURE
            case OSError() if error.errno == errno.EBADF and error.filename is None:
                return "standard output is closed.", "Send it to a file or a pipe.", EXIT_FAILURE
            case ImportError() | OSError(errno=None):
                hint = "Install f2r and what it needs anew, as its README says."
                return f"a library cannot be loaded: {error}.", hint, EXIT_FAILURE
            case OSError():
                where = error.filename or "standard output or a file"
                return f"{where}: {error.strerror or error}.", "Check name and disk.", EXIT_FAILURE
            case _:
                what = f"internal error: {type(error).__name__}: {error}"
                hint = "This is a bug in f2r: run again with F2R_DEBUG=1 and report it."
                return what, hint, EXIT_BUG


def advice(arguments: Sequence[str]) -> str | None:
    """What to type instead, where habits of other programs lead astray; else None."""
    first, *others = arguments or [""]
    if not first.startswith("-") and os.path.isfile(first):
        return f"Name a command first: f2r denoise {shlex.quote(first)}."
    if first == "denoise" and {"--fast", "--quality", "--speed", "--quick"} & {*others}:
        return "Quicker is --model lite, better --model full."
    if same := next(filter(FFMPEG.get, others), None):
        return f"FFmpeg's {same} is {FFMPEG[same]} here: f2r denoise IN -o OUT."
    for word in others:
        if word.startswith("-") and os.path.isfile(word):
            return f"If it is a file, write {shlex.quote(f'./{word}')}."
    return None


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
    for name in ("COLUMNS", "LINES"):  # rich would take any digits
        if not re.fullmatch(r"[1-9]\d{0,3}", os.environ.get(name, "")):
            os.environ.pop(name, None)
    console = Console(stopper)
    ending = ExitHandler(console, arguments)
    with ending:
        arguments = arguments or ["--help"]
        app = command_line(arguments[:1] if arguments[0] in COMMANDS else COMMANDS)
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
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Entry point of `f2r` and of `python -m f2rcli`."""
    # What modules are made of is not garbage, but Python looks through all of it again and again
    # as it grows: 0.2 to 0.5 of the 1.8 s that loading torch takes.
    gc.set_threshold(50_000, *gc.get_threshold()[1:])
    # Before torch is loaded: its waiting threads shall sleep, not spin. Beside any other busy
    # program spinning costs a factor of ten.
    os.environ.setdefault(POLICY, "PASSIVE")
    if sys.stdout is None:  # closed: what takes no writing, so that this is said where it matters
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be text
    logging.getLogger().addHandler(logging.NullHandler())  # libraries say nothing of their own
    stopper = Stopper()
    stopper.install()
    try:
        code = run(sys.argv[1:], stopper)
    except (KeyboardInterrupt, Terminated) as ended:  # in the moment after its handling ended
        code = getattr(ended, "exit_code", EXIT_INTERRUPTED)
    stopper.remove()
    gc.freeze()  # Python's last collections would take half a second where torch is loaded
    sys.exit(code)
