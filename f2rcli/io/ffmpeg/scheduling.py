"""Undo the real-time priority that some encoders claim.

SVT-AV1, run by root, puts itself and the thread that opened it under SCHED_FIFO: everything else
on the machine waits for it, and torch's threads may wait for each other for ever.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")  # Linux; elsewhere nothing is to be done


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Put every thread of this process back under the policy the calling one had before."""
    if not hasattr(os, "sched_getscheduler") or not _TASKS.is_dir():
        yield
        return
    before = os.sched_getscheduler(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before == os.SCHED_OTHER:
            for task in _TASKS.iterdir():
                with suppress(ProcessLookupError, PermissionError):  # it ended meanwhile
                    os.sched_setscheduler(int(task.name), before, os.sched_param(0))
