"""macOS and Windows lack much that Linux has: f2r loads and works without it."""

import ast
import errno
import importlib
import os
import pkgutil
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import f2rcli
from f2rcli import system as machine
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_OK
from tests.cli.conftest import write_clip
from tests.sources import PACKAGE, nodes_of

EXAMPLE = Path(__file__).parent.parent / "examples" / "noisy_path.mp4"
LINUX_MODULES = ("fcntl", "resource", "pwd", "grp", "termios")
# What Python's documentation marks as not available on Windows or macOS, of what f2r could use.
LINUX_CALLS = {
    "sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "sched_setscheduler",
    "sched_param", "SCHED_OTHER", "sysconf", "fork", "getuid", "geteuid", "killpg", "setsid",
    "mkfifo", "statvfs", "posix_fadvise", "posix_fallocate", "sendfile", "memfd_create",
    "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC", "WNOHANG", "pidfd_open", "setpgid",
    "getpgid", "nice", "getpriority", "setpriority", "getloadavg", "chown", "pread", "pwrite",
    "posix_spawn", "copy_file_range", "eventfd", "wait4", "fork_exec",
}  # fmt: skip
LINUX_SIGNALS = {
    "SIGHUP", "SIGKILL", "SIGPIPE", "SIGALRM", "SIGUSR1", "setitimer", "pthread_sigmask",
    "pthread_kill", "sigwait", "pidfd_send_signal", "SIGXCPU", "SIGXFSZ", "SIGCHLD",
}  # fmt: skip
THE_TESTS_OWN = {"SIGALRM", "setitimer"}  # a test that fails ends its time limit by them
GUARDED = {"io/video/encoders.py"}  # which asks first


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # made before
    """This machine without what only Linux has."""
    free = shutil.disk_usage(tmp_path)
    for name in LINUX_MODULES:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    for holder, names in ((os, LINUX_CALLS), (signal, LINUX_SIGNALS - THE_TESTS_OWN)):
        for name in names:
            monkeypatch.delattr(holder, name, raising=False)
    for name in ("replace", "rename", "unlink", "remove"):
        monkeypatch.setattr(os, name, _of_closed_files(getattr(os, name)))
    monkeypatch.setattr(machine, "_windows_memory", lambda: 8 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)  # asks Windows itself there


def _of_closed_files(call: Callable[..., None]) -> Callable[..., None]:
    """Windows neither renames nor replaces nor removes a file that is open."""

    def checked(*paths: Any, **how: Any) -> None:
        if not how and Path("/proc/self/fd").is_dir():
            opened = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
            for path in paths:
                if os.path.realpath(path) in opened:
                    raise PermissionError(errno.EACCES, "is open in another place", str(path))
        call(*paths, **how)

    return checked


@pytest.fixture
def afresh() -> Iterator[None]:
    """No module of f2r is loaded; those that were are back afterwards."""

    def ours() -> dict[str, object]:
        return {n: m for n, m in sys.modules.items() if n.split(".")[0] == "f2rcli"}

    before = ours()
    for name in before:
        del sys.modules[name]
    yield
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)  # type: ignore[arg-type]


@pytest.mark.usefixtures("afresh", "elsewhere")
def test_every_module_loads_without_what_only_linux_has() -> None:
    names = [found.name for found in pkgutil.walk_packages(f2rcli.__path__, "f2rcli.")]
    without = set() if find_spec("magicgui") else {"f2rcli.napari.widget"}  # needs an extra
    for name in names:
        if not name.endswith("__main__") and name not in without:
            importlib.import_module(name)
    assert len(names) > 100


@pytest.mark.usefixtures("elsewhere")
def test_a_clip_is_denoised_without_what_only_linux_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    out = tmp_path / "out.mp4"
    tile = ("--tile", "auto")  # asks for the memory there is
    code = run(["denoise", str(write_clip(tmp_path / "in.mp4", 2)), "-o", str(out), *tile])
    assert code == EXIT_OK, capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["denoise", "clips", "-o", "out", "--strength", "0"], "out/a.mp4"),
        (["eval", "--clean", "clips/a.mp4", "--noise", "gaussian:20", "--methods", "none",
          "--csv", "out.csv"], "out.csv"),
    ],
    ids=["batch", "eval"],
)  # fmt: skip
def test_so_are_folders_and_evaluation(
    words: list[str], out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    write_clip(tmp_path / "clips" / "a.mp4", 8)
    code = run(words)
    assert code == EXIT_OK, capfd.readouterr().err
    assert (tmp_path / out).stat().st_size


def test_names_that_only_linux_has_are_asked_for_first() -> None:
    bare = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {ast.unparse(node)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if str(path.relative_to(PACKAGE)) not in GUARDED
        for node in nodes_of(path)
        if _names_linux(node)
    ]
    assert not bare, "use getattr, or import_module for modules"


def _names_linux(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        of = {"os": LINUX_CALLS, "signal": LINUX_SIGNALS}.get(node.value.id, set())
        return node.attr in of
    if isinstance(node, ast.Import):
        return any(alias.name in LINUX_MODULES for alias in node.names)
    return isinstance(node, ast.ImportFrom) and node.module in LINUX_MODULES


@pytest.mark.parametrize(
    ("told", "threads"),
    [("3", 3), ("2,1", 2), (" 4 , 2", 4), ("", None), ("many", None), ("0", None), ("-3", None),
     ("9" * 40, machine.MOST_THREADS)],
)  # fmt: skip
def test_odd_omp_threads(monkeypatch: pytest.MonkeyPatch, told: str, threads: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert machine.asked_threads() == threads


def test_the_machine_has_processors_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.processors() >= 1
    assert machine.memory() > 1 << 20
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.processors() == 1


def test_limits_of_address_space_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limits = (tmp_path / "new", tmp_path / "old")
    monkeypatch.setattr(machine, "CONTAINER_LIMITS", limits)
    whole = machine.memory()
    limits[0].write_text("max\n")
    assert machine.memory() == whole
    limits[1].write_text("4000000\n")
    assert machine.memory() == 4_000_000
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (3_000_000, -1))
    assert machine.memory() == 3_000_000
