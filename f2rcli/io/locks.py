"""Locks on files: one process at a time writes a target, works in a folder or on a clip."""

import errno
import os
from importlib import import_module
from pathlib import Path

RENAMES_OPEN = os.name == "posix"  # Windows neither renames nor removes a file that is open
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def lock(path: Path) -> int:
    """Open or create a file for this process alone; returns the descriptor that holds the lock.

    The lock lasts until every copy of the descriptor is closed, as when a process is killed.
    Raises BlockingIOError while another process holds it, and OSError. Windows and some network
    disks have no such locks: every process gets the file there.
    """
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _take(descriptor)
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has moved or removed that file: try the next one


def unlock(path: Path, descriptor: int) -> None:
    """Remove a lock file and release its lock."""
    if not RENAMES_OPEN:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    if RENAMES_OPEN:  # released last: whoever waits for it finds that the file is gone
        os.close(descriptor)


def _take(descriptor: int) -> None:
    try:
        fcntl = import_module("fcntl")
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
