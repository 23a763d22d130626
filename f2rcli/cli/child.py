"""`python -m f2rcli.cli.child ARGUMENTS`: the `f2r` command for as long as its parent lives."""

import atexit
import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

from f2rcli.batch.child import ALONE
from f2rcli.batch.warm import SERVE
from f2rcli.cli.app import let_threads_sleep, main
from f2rcli.cli.fork_server import serve
from f2rcli.cli.signals import send
from f2rcli.errors import EXIT_BUG


def watch_parent() -> None:
    """End this process, as SIGTERM does, once the other end of its standard input closes.

    That happens when the parent ends, even where it was killed and could send no signal. Part
    files are removed as ever.
    """
    with contextlib.suppress(OSError, ValueError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    send(signal.SIGTERM)


def begin() -> None:
    """Be a child, or with SERVE the process that children are forked from."""
    os.environ[ALONE] = "1"
    if sys.argv[1:2] == [SERVE]:
        let_threads_sleep()
        sys.argv[1:] = serve(int(sys.argv[2]))
    threading.Thread(target=watch_parent, name="parent", daemon=True).start()


def end(code: int) -> NoReturn:
    """End this process without taking apart all that it has loaded, which takes Python a second."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    begin()
    try:
        main()
    except SystemExit as ended:
        end(ended.code if isinstance(ended.code, int) else EXIT_BUG)
