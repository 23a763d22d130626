"""What is compiled is kept and found again, whoever else compiles, is killed, or fills the disk."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")
from numba.core import caching, config

from f2rcli.fast import compiling, support

# Compiles a kernel for a type. Every process waits before each of its files until the other is
# there, too; they take turns at being first.
COMPILE = """
import os, sys, time
from pathlib import Path
import numpy as np
from kernel import first

me, kind = int(sys.argv[1]), sys.argv[2]
here, rename, count = Path(__file__).parent, os.replace, 0

def come_and_see(what, until):
    (here / f"{what}-{count}-{me}").touch()
    end = time.monotonic() + 60
    while until and time.monotonic() < end and not (here / f"{until}-{count}-{1 - me}").exists():
        time.sleep(0.01)

def replace(source, target):
    global count
    come_and_see("ready", "ready")
    if (me + count) % 2:
        come_and_see("second", "done")
    rename(source, target)
    come_and_see("done", None)
    count += 1

os.replace = replace
first(np.ones(1, kind))
"""
KERNEL = """
from f2rcli.fast.compiling import compiled

@compiled
def first(x):
    return x[0]
"""


def test_two_processes_compile_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By numba's own index the third was given one kernel for the other's type."""
    (tmp_path / "kernel.py").write_text(KERNEL)
    (tmp_path / "compile.py").write_text(COMPILE)
    there = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, tmp_path / "compile.py", str(k), kind], env=there)
        for k, kind in enumerate(("float32", "uint16"))
    ]
    assert [one.wait(120) for one in both] == [0, 0]
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    spec = spec_from_file_location("kernel", tmp_path / "kernel.py")
    assert spec is not None
    assert spec.loader is not None
    third = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kernel", third)  # what is kept names its module
    spec.loader.exec_module(third)
    first = third.first  # which finds both
    assert [str(first(np.ones(1, kind))) for kind in "fH"] == ["1.0", "1"]
    assert sum(first.stats.cache_hits.values()) == 2


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A kernel as a new process has it, and a count of how often it was compiled."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))

    def first(x: Any) -> Any:
        return x[0]

    return lambda: compiling.compiled(first)


def compilations(kernel: Any) -> int:
    assert kernel(np.ones(1, np.float32)) == 1
    return sum(kernel.stats.cache_misses.values())


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_kernels_are_compiled_once(made: Callable[[], Any], tmp_path: Path) -> None:
    assert compilations(made()) == 1
    assert compilations(made()) == 0
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("harm", [lambda b: b[:-9], lambda b: b[:9], lambda b: b"", bytearray(9)])
def test_damaged_files_are_not_read(made: Callable[[], Any], tmp_path: Path, harm: Any) -> None:
    assert compilations(made()) == 1
    (kept,) = files(tmp_path)
    whole = kept.read_bytes()
    middle = len(whole) // 2
    kept.write_bytes(harm(whole) if callable(harm) else whole[:middle] + harm + whole[middle + 9 :])
    assert compilations(made()) == 1
    assert compilations(made()) == 0


def test_what_another_version_kept_is_not_read(
    made: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compilations(made()) == 1
    for stamp in (("0.68.9", compiling._stamp()[1]), (compiling._stamp()[0], "other modules")):
        monkeypatch.setattr(compiling, "_stamp", lambda stamp=stamp: stamp)
        assert compilations(made()) == 1


def test_kernels_run_where_they_cannot_be_kept(
    made: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert compilations(made()) == 1
    assert not files(tmp_path)


def test_without_a_folder_the_reference_runs(
    made: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="NUMBA_CACHE_DIR"):
        made()
    assert RuntimeError in support.BROKEN
