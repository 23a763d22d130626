"""The whole command in forked children under limits: what happens to them happens to no one else.

A child costs a fraction of a second, since its parent has loaded everything. Needs fork, so Linux
or macOS.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from f2rcli.cli.app import run
from f2rcli.cli.signals import Stopper, Terminated

CPU_SECONDS, WALL_SECONDS, MEMORY = 60, 120, 6 << 30
UNSAID = 99  # the exit code of a child whose work raised
LOOK = 0.01  # seconds between looks at a child
OVERRIDING = 0b1110  # capabilities of Linux: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    code: int  # its exit code; minus the signal that ended it
    seconds: float
    words: str  # of its standard error
    hung: bool = False


def command(
    words: list[str],
    folder: Path,
    *,
    kill: tuple[int, float] | None = None,
    room: int = 0,
    ready: Callable[[], None] = lambda: None,
    most: float = WALL_SECONDS,
) -> Ended:
    """Run `f2r WORDS` in a folder.

    kill: a signal, and the seconds after which to send it. room: bytes a file may have; 0: any.
    ready: done in the child before the run. most: seconds until it counts as hung.
    """

    def work() -> int:
        ready()
        if room:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        return whole_command(words)

    return forked(work, folder, kill, most)


def whole_command(words: list[str]) -> int:
    """Run `f2r WORDS` in this process; returns its exit code."""
    stopper = Stopper()
    stopper.install()
    try:
        code = run(words, stopper)
    except KeyboardInterrupt:
        code = 130
    except Terminated:
        code = 143
    stopper.remove()
    return code


def forked(
    work: Callable[[], int],
    folder: Path,
    kill: tuple[int, float] | None = None,
    most: float = WALL_SECONDS,
) -> Ended:
    """What `work` returns, in a child."""
    out, err = folder.parent / "out.txt", folder.parent / "err.txt"
    err.touch()
    child = os.fork()
    if not child:
        code = UNSAID
        try:
            code = _child(work, folder, out, err)
        finally:
            os._exit(code)  # whatever happened: this is not the parent
    began = time.monotonic()
    hung, status = False, _wait(child, began + (kill[1] if kill else most))
    if status is None:
        os.kill(child, kill[0] if kill else signal.SIGKILL)
        hung = kill is None
        status = _wait(child, time.monotonic() + WALL_SECONDS)
    if status is None:  # not even a signal ended it
        os.kill(child, signal.SIGKILL)
        hung, status = True, os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    hung |= code in (-signal.SIGXCPU, -signal.SIGKILL) and kill is None
    return Ended(code, time.monotonic() - began, err.read_text(errors="replace"), hung)


def _child(work: Callable[[], int], folder: Path, out: Path, err: Path) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler
        )
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    try:
        code = work()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


def limit_space(gib: float) -> None:
    """From now on this process may have so much address space."""
    most = int(gib * (1 << 30))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def obey_permissions() -> None:
    """From now on this process may do only what permissions allow, even if it is root's."""
    library = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    library.capget(header, sets)
    for place in (0, 1):  # what is in effect, and what may be again
        sets[place] &= ~OVERRIDING
    library.capset(header, sets)


def _wait(child: int, until: float) -> int | None:
    """The status of a child that ended in time."""
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(LOOK)
    return None
