"""`python -m f2rcli.cli.child ARGUMENTS`: the `f2r` command for as long as its parent lives."""

import contextlib
import os
import signal
import sys
import threading

from f2rcli.batch.child import ALONE
from f2rcli.cli.app import main
from f2rcli.cli.signals import send


def watch_parent() -> None:
    """End this process, as SIGTERM does, once the other end of its standard input closes.

    That happens when the parent ends, even where it was killed and could send no signal. Part
    files are removed as ever.
    """
    with contextlib.suppress(OSError, ValueError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    send(signal.SIGTERM)


def start_watching() -> None:
    """Watch the parent from a thread of its own."""
    threading.Thread(target=watch_parent, name="parent", daemon=True).start()


if __name__ == "__main__":
    os.environ[ALONE] = "1"
    start_watching()
    main()
