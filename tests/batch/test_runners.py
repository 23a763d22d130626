"""Dask: nothing lost and nothing twice, whoever dies."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from f2rcli.batch.runners import check_address, run_on_cluster
from f2rcli.batch.work import Outcome, Task
from f2rcli.errors import UsageError

distributed = pytest.importorskip("distributed")
FAKE = Path(__file__).parents[1] / "cli" / "fake_engine.py"
CLIP = Path(__file__).parents[2] / "examples" / "noisy_path.mp4"


def tasks_of(folder: Path, count: int) -> list[Task]:
    out = folder / "out"
    return [
        Task(
            source=str(CLIP),
            target=str(out / f"{number}.mkv"),
            place=f"{number}.mkv",
            output=str(out),
            options=("--codec=ffv1", "--frames=12"),
            command=(sys.executable, str(FAKE), "--child"),
        )
        for number in range(count)
    ]


def until(found) -> None:
    """Wait as long as it takes; pytest's own limit ends what never comes."""
    while not found():
        time.sleep(0.05)


@pytest.mark.slow
def test_a_worker_killed_in_mid_job_loses_nothing_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("F2R_FAKE_DELAY", "0.15")
    monkeypatch.setenv("PYTHONPATH", str(FAKE.parents[2]))
    out, outcomes = tmp_path / "out", list[Outcome]()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        run = threading.Thread(
            target=lambda: outcomes.extend(
                run_on_cluster(tasks_of(tmp_path, 5), cluster.scheduler_address, gpu=False)
            )
        )
        run.start()
        until(lambda: len(list(out.glob(".*.part.mkv"))) == 2)
        pids = client.run(os.getpid)
        assert len(pids) == 2
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        run.join(timeout=240)
        assert not run.is_alive()
    assert sorted(outcome.place for outcome in outcomes) == [f"{n}.mkv" for n in range(5)]
    assert {outcome.status for outcome in outcomes} <= {"done", "skipped"}, outcomes
    assert sorted(path.name for path in out.iterdir()) == [
        ".f2r", *(f"{n}.mkv" for n in range(5)),
    ]  # fmt: skip
    records = [json.loads(path.read_text()) for path in (out / ".f2r").iterdir()]
    assert [record["finished"] for record in records] == [True] * 5
    assert len({outcome.where for outcome in outcomes}) >= 2


@pytest.mark.parametrize("address", ["local", "local:0", "http://x:1", "tcp://x", "10.0.0.1:8786"])
def test_what_is_no_cluster_is_said_at_once(address: str) -> None:
    with pytest.raises(UsageError, match="not a cluster"):
        check_address(address)


def test_dask_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        check_address("local:2")
    assert "f2rcli[cluster]" in str(caught.value.hint)
