"""What of this machine a process may use, on every system that Python runs on."""

import ctypes
import os
import re
import sys
from contextlib import suppress
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


def number_in(variable: str, default: int) -> int:
    """The whole number in an environment variable; the default where it holds anything else."""
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*", os.environ.get(variable, ""))
    return default if found is None else int(found[1])


def cache_folder(name: str) -> Path | None:
    """The folder of this user for what f2r can make again, for one purpose; None for users without
    a home (containers)."""
    if os.path.isabs(os.environ.get("XDG_CACHE_HOME", "")):  # others are void, by its standard
        return Path(os.environ["XDG_CACHE_HOME"]) / "f2r" / name
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if not home.is_absolute():
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "f2r" / name
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "f2r" / name


def load_torch() -> None:
    """Load torch so that its waiting threads sleep instead of spinning: beside any other busy
    program that costs a factor of two to ten. OpenMP asks the environment in that moment alone,
    which is as it was afterwards. Where the caller has loaded torch, or has a wish, that counts."""
    if POLICY in os.environ:
        import_module("torch")
        return
    os.environ[POLICY] = "PASSIVE"
    try:
        import_module("torch")
    finally:
        del os.environ[POLICY]


def memory() -> int:
    """Bytes this process may use: the machine's, or a container's or address space's limit."""
    ask = getattr(os, "sysconf", None)  # not there on Windows
    own = ask("SC_PHYS_PAGES") * ask("SC_PAGE_SIZE") if ask else _windows_memory()
    return min(own, *_limits())


def _limits() -> list[int]:
    """Limits of memory in bytes, where there are any."""
    found = [1 << 62]
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # "max" is no number
            found.append(int(path.read_text()))
    return [limit for limit in (*found, *_address_space()) if limit > 0]


def _address_space() -> list[int]:
    """The limit of this process's addresses in bytes, where there is one."""
    with suppress(ImportError):  # Windows
        resource = import_module("resource")
        space = resource.getrlimit(resource.RLIMIT_AS)[0]
        return [] if space == resource.RLIM_INFINITY else [space]
    return []


class _Status(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_uint32), ("load", ctypes.c_uint32), ("total", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 6),
    )  # fmt: skip


def _windows_memory() -> int:
    status = _Status(length=ctypes.sizeof(_Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return int(status.total)
