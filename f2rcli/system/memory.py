"""What the C library does with freed memory, for processes that are f2r's own."""

import ctypes
from contextlib import suppress

# glibc's mallopt: arrays of every size, of all threads, come from one heap, which gives nothing
# back while the process runs.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
NEVER = -1
KEPT = {M_MMAP_MAX: 0, M_ARENA_MAX: 1, M_TRIM_THRESHOLD: NEVER, M_TOP_PAD: 2**24}


def keep_memory() -> bool:
    """Let the C library keep the memory of freed arrays for the next ones; False where it cannot.
    It cannot be taken back, so commands do it, and no library call does.

    Left alone, glibc maps every array of a few hundred kilobytes anew, and the system clears each
    page of it: a sixth of all time at 1920x1080. Does nothing with other C libraries.
    """
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  # raises where the library is another
        return all(library.mallopt(which, size) for which, size in KEPT.items())
    except (AttributeError, OSError, TypeError):
        return False


def give_memory_back() -> None:
    """Return memory that was kept and nothing uses to the system."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
