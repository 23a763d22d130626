"""The computer a run is on: its processors, memory, and what encoders do wrong there."""

import ctypes
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path

CONTAINER_LIMITS = (  # of Linux's control groups, new and old
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
POLICY = "OMP_WAIT_POLICY"  # of threads that wait for the next piece of work
MOST_THREADS = 1024  # beyond that, starting them takes more than it gives, or fails


def processors() -> int:
    """The number of processors that this process may run on."""
    allowed = getattr(os, "sched_getaffinity", None)  # not there on macOS and Windows
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def asked_threads() -> int | None:
    """OMP_NUM_THREADS, the first if it lists several for nesting; None if it names none."""
    first = re.match(r"\s*0*([1-9]\d*)\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
    return None if first is None else min(int(first[1][:9]), MOST_THREADS)


def threads_for(count: int | None) -> int:
    """How many threads networks, flow and filters may use; by default as many as cores."""
    return count or asked_threads() or processors()


def cache_folder(name: str) -> Path | None:
    """This user's folder for what can be made again; None for users without a home (containers)."""
    for own in ("XDG_CACHE_HOME", "LOCALAPPDATA"):  # the latter on Windows alone
        if os.path.isabs(os.environ.get(own, "")):  # others are void, by XDG's standard
            return Path(os.environ[own], "f2r", name)
    with suppress(RuntimeError):
        home, caches = Path.home(), "Library/Caches" if sys.platform == "darwin" else ".cache"
        return home / caches / "f2r" / name if home.is_absolute() else None
    return None


def load_torch() -> None:
    """Load torch so that its waiting threads sleep instead of spinning: beside any other busy
    program that costs a factor of two to ten. OpenMP asks the environment in that moment alone,
    which is as it was afterwards. Where the caller has loaded torch, or has a wish, that counts.
    OpenCV, loaded beside it, puts its folder where all programs started later look for theirs."""
    before = {name: os.environ.get(name) for name in (POLICY, "LD_LIBRARY_PATH")}
    os.environ.setdefault(POLICY, "PASSIVE")
    try:
        import_module("torch")
        import_module("cv2")
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def memory() -> int:
    """Bytes this process may use: the machine's, or a container's or address space's limit."""
    ask = getattr(os, "sysconf", None)  # not there on Windows
    found = [ask("SC_PHYS_PAGES") * ask("SC_PAGE_SIZE") if ask else _windows_memory()]
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # "max" is no number
            found.append(int(path.read_text()))
    with suppress(ImportError):  # Windows
        resource = import_module("resource")
        found.append(resource.getrlimit(resource.RLIMIT_AS)[0])  # -1: none
    return min(limit for limit in found if limit > 0)


def most_memory() -> int | None:
    """Bytes this process has held at most so far; None where the system does not tell."""
    try:
        resource = import_module("resource")
    except ImportError:  # Windows
        return None
    most = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return most if sys.platform == "darwin" else 1024 * most


def _windows_memory() -> int:
    status = (ctypes.c_uint64 * 8)(64)  # MEMORYSTATUSEX: its length and the load, then all there is
    ctypes.windll.kernel32.GlobalMemoryStatusEx(status)  # type: ignore[attr-defined]
    return status[1]


# --- What the C library does with freed memory ---------------------------------------------------


# glibc's mallopt: arrays of every size come from heaps that give nothing back.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -3, -4, -8
KEPT = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1, M_TOP_PAD: 2**24}  # -1: never
ONE_HEAP = {M_ARENA_MAX: 1}  # of all threads, for good: in processes that are f2r's own
# What glibc has by itself once a program has freed an array of 32 MB.
OWN = {M_MMAP_MAX: 2**16, M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**26, M_TOP_PAD: 2**17}


def keep_memory(settings: dict[int, int] = KEPT | ONE_HEAP) -> bool:
    """Let the C library keep the memory of freed arrays for the next ones; False where it cannot.

    Left alone, glibc maps every array of a few hundred kilobytes anew, and the system clears each
    page of it: a sixth of all time at 1920x1080. Does nothing with other C libraries.
    """
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  # raises where the library is another
        return all(library.mallopt(which, size) for which, size in settings.items())
    except (AttributeError, OSError, TypeError):
        return False


@contextmanager
def kept_memory() -> Iterator[None]:
    """The same while a call from Python lasts, unless the caller has settings of its own."""
    wishes = any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ)
    kept = not wishes and keep_memory(KEPT)
    try:
        yield
    finally:
        if kept:
            keep_memory(OWN)
            give_memory_back()


def give_memory_back() -> None:
    """Return memory that was kept and nothing uses to the system."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


CancelCheck = Callable[[], None]  # called now and then by long work; raises to end it


def never_cancelled() -> None:
    """The check of work that nobody can cancel."""


# --- What encoders are kept from ------------------------------------------------------------------


_AVX2 = 11  # OpenCV's CV_CPU_AVX2
_NARROW = 64  # pixels; 56 and more were clean under valgrind
_SHORT = 32  # pixels a side; with 25 and more all came to an end


@cache
def x264_assembly() -> str:
    """Settings that make x264 give the same bytes each time; empty where none is needed.

    The AVX-512 code for B-frames in PyAV 18.1's x264 reads memory that it has not written: five
    streams in five runs; the AVX2 code gives the same stream each time, and as fast.
    """
    import cv2

    if platform.machine() not in ("x86_64", "AMD64"):
        return ""
    return "asm=AVX2" if cv2.checkHardwareSupport(_AVX2) else "asm=SSE4.2"


def x265_assembly(width: int) -> tuple[str, ...]:
    """The parameters that keep x265 from writing beyond its memory, for pictures of a width.

    The AVX2 code of its look-ahead (cuTree) overruns rows of few blocks: pictures 40 and 48 pixels
    wide corrupted the heap of PyAV 18.1's x265. So small, they are coded as fast without.
    """
    return ("asm=0",) if width < _NARROW else ()


def svt_threads(width: int, height: int) -> tuple[str, ...]:
    """The parameters that keep SVT-AV1's threads from waiting for each other for ever: PyAV 18.1's
    do at 96x24 and 20x65, where one side is below 25 pixels and the other above 64."""
    return ("lp=1",) if min(width, height) < _SHORT else ()
