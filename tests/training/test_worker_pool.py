"""Worker processes: a death costs one item, and nothing outlives its parent."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from f2rcli.errors import F2RError, InputError
from f2rcli.training.footage.worker_pool import spread

WORK = """
import os, signal
from f2rcli.errors import InputError

def work(item):
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 3:
        raise InputError("three.mkv: is odd.", hint="Take two.")
    return 10 * item
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_errors_and_deaths_are_results_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work_of_a_crew.py").write_text(WORK)  # workers import it by name
    monkeypatch.syspath_prepend(tmp_path)
    work = importlib.import_module("work_of_a_crew").work
    results = dict(spread(work, range(6), 2))
    assert sorted(results) == list(range(6))
    assert [results[n] for n in (0, 1, 4, 5)] == [0, 10, 40, 50]
    refused, died = results[3], results[2]
    assert isinstance(refused, InputError)
    assert (str(refused), refused.hint) == ("three.mkv: is odd.", "Take two.")
    assert isinstance(died, F2RError)
    assert "died" in str(died)


ORPHANS = """
import sys, time
from f2rcli.training.footage.worker_pool import spread
if __name__ == "__main__":
    for _ in spread(time.sleep, [0, 0, 600, 600], 2):
        print("busy", flush=True)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    for _ in range(2):
        assert parent.stdout.readline() == b"busy\n"
    workers = [p for p in processes() if parent_of(p) == parent.pid]
    assert len(workers) >= 2
    parent.kill()
    parent.communicate()  # closes its pipe
    deadline = time.monotonic() + 200
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def parent_of(process: int) -> int | None:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
