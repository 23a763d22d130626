"""Dask: nothing lost and nothing twice, whoever dies; workers are waited for and looked at."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from f2rcli import __version__
from f2rcli.batch.cluster import (
    Needs,
    _outcome,
    check_address,
    needed,
    probe,
    run_on_cluster,
    scheduler_of,
)
from f2rcli.batch.work import Outcome, Task
from f2rcli.errors import UsageError

distributed = pytest.importorskip("distributed")
FAKE = Path(__file__).parents[1] / "cli" / "fake_engine.py"
CLIP = Path(__file__).parents[2] / "examples" / "noisy_path.mp4"
DEATHS = 1  # of workers that a clip may cause before it is given up; Dask's own number is 3


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


def no_work(folder: Path) -> Task:
    """A clip that fails at once, for what comes before it."""
    return replace(tasks_of(folder, 1)[0], command=(sys.executable, "-c", ""))


def until(found) -> None:
    """Wait as long as it takes; pytest's own limit ends what never comes."""
    while not found():
        time.sleep(0.02)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs wait: see fake_engine."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def cluster(gate: Path) -> Iterator[Any]:
    """A scheduler and two worker processes on the loopback that are replaced when they die."""
    import dask

    patch = pytest.MonkeyPatch()
    patch.setenv("F2R_FAKE_GATE", str(gate))
    patch.setenv("PYTHONPATH", str(FAKE.parents[2]))
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as made,
    ):
        yield made
    patch.undo()


@pytest.fixture
def lonely() -> Iterator[Any]:
    """A scheduler without workers; `scale(1)` brings one, a thread of this process."""
    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as made:  # fmt: skip
        yield made


def test_a_worker_killed_in_mid_job_loses_nothing_and_repeats_nothing(
    tmp_path: Path, cluster: Any, gate: Path
) -> None:
    out, outcomes = tmp_path / "out", list[Outcome]()
    gate.unlink(missing_ok=True)
    before = len(list(gate.parent.iterdir()))

    def runs() -> int:
        return len(list(gate.parent.iterdir())) - before

    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        run = threading.Thread(
            target=lambda: outcomes.extend(
                run_on_cluster(tasks_of(tmp_path, 3), cluster.scheduler_address, gpu=False)
            )
        )
        run.start()
        until(lambda: runs() == 2)
        assert len(list(out.glob(".*.part.mkv"))) == 2
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        until(lambda: runs() == 3)  # the other worker is at the gate: its successor began this one
        gate.touch()
        run.join(timeout=240)
        assert not run.is_alive()
    assert sorted(outcome.place for outcome in outcomes) == [f"{n}.mkv" for n in range(3)]
    assert {outcome.status for outcome in outcomes} <= {"done", "skipped"}, outcomes
    assert sorted(path.name for path in out.iterdir()) == [
        ".f2r", *(f"{n}.mkv" for n in range(3)),
    ]  # fmt: skip
    records = [json.loads(path.read_text()) for path in (out / ".f2r").iterdir()]
    assert [record["finished"] for record in records] == [True] * 3
    assert len({outcome.where for outcome in outcomes}) >= 2


@pytest.mark.parametrize("others", [0, 1])
def test_a_clip_that_kills_its_workers_fails_alone(
    tmp_path: Path, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker has them all, and Dask blames those that wait there too."""
    import dask

    monkeypatch.setenv("PYTHONPATH", str(FAKE.parents[2]))
    poison, *sound = tasks_of(tmp_path, 1 + others)
    kill = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    poison = replace(poison, command=(sys.executable, "-c", kill))
    said: list[str] = []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as made,
    ):
        run = run_on_cluster([poison, *sound], made.scheduler_address, gpu=False, tell=said.append)
        outcomes = {outcome.place: outcome for outcome in run}
    died = outcomes.pop("0.mkv")
    assert died.failed
    assert died.reason == "every worker that took it died."
    assert [one.status for one in outcomes.values()] == ["done"] * others
    assert len(said) == others


def test_a_scheduler_without_workers_is_waited_for(tmp_path: Path, lonely: Any) -> None:
    """It adapts: it starts workers once there is work. Its address comes from a scheduler file."""
    file, said = tmp_path / "scheduler.json", list[str]()
    with distributed.Client(lonely) as client:
        client.write_scheduler_file(str(file))

    def tell(line: str) -> None:
        said.append(line)
        lonely.adapt(minimum=0, maximum=1, interval="50ms")

    (outcome,) = run_on_cluster([no_work(tmp_path)], str(file), gpu=False, tell=tell)
    assert said == [f"{file}: no workers yet; waiting for the first (Ctrl-C ends this)"]
    assert outcome.where.startswith("tcp://")


@pytest.mark.parametrize("status", ["cancelled", "lost"])  # of Dask's futures, by then
def test_a_scheduler_that_goes_away_is_said_in_words(status: str, tmp_path: Path) -> None:
    outcome = _outcome(SimpleNamespace(status=status), no_work(tmp_path))
    assert outcome.reason == "the scheduler went away, or cancelled it."


def test_unfit_workers_get_no_clips(
    tmp_path: Path, lonely: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lonely.scale(1)
    monkeypatch.setattr("f2rcli.batch.cluster.__version__", "0.0.1")
    with pytest.raises(
        UsageError, match=r"worker tcp://\S+: has f2r .*, this is 0\.0\.1"
    ) as caught:
        list(run_on_cluster([no_work(tmp_path)], lonely.scheduler_address, gpu=False))
    assert "environment of this command" in str(caught.value.hint)
    assert list((tmp_path / "out").rglob("*")) == [tmp_path / "out" / ".f2r"]


@pytest.mark.parametrize("others", [0, 1])
def test_a_worker_that_joins_later_and_is_unfit_sends_clips_back(
    tmp_path: Path, lonely: Any, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Another one does them; where there is none, they fail and say why."""
    lonely.scale(1 + others)
    unfit = list[str]()

    def probed(needs: Needs) -> str:
        here = distributed.get_worker().address
        unfit.append(here)
        return "does not see /data" if here == unfit[0] else ""

    monkeypatch.setattr("f2rcli.batch.cluster._check_workers", lambda client, needs: None)
    monkeypatch.setattr("f2rcli.batch.cluster.probe", probed)
    with distributed.Client(lonely) as client:
        client.wait_for_workers(1 + others)
    (outcome,) = run_on_cluster([no_work(tmp_path)], lonely.scheduler_address, gpu=False)
    assert outcome.status == "failed"
    assert (outcome.where != unfit[0]) == bool(others)
    assert (outcome.reason == f"worker {unfit[0]}: does not see /data.") == (not others)


def test_a_worker_is_fit_by_version_and_by_what_it_sees(tmp_path: Path) -> None:
    task, folder = tasks_of(tmp_path, 1)[0], tmp_path / "out" / ".f2r"
    with needed([task]) as needs:
        assert probe(needs) == ""
        assert needs.sources == ((str(CLIP), CLIP.stat().st_size),)
        assert asdict(needs) == {
            name: getattr(needs, name) for name in ("version", "mark", "secret", "sources")
        }
        lacking = {
            "has f2r": replace(needs, version="0"),
            "sees another": replace(needs, secret="else"),
            f"does not see {folder.parent} (": replace(needs, mark=str(folder / "none")),
            "does not see /none": replace(needs, sources=(("/none", 3),)),
            f"does not see {CLIP} as it is here": replace(needs, sources=((str(CLIP), 3),)),
        }
        for words, asked in lacking.items():
            assert probe(asked).startswith(words)
    assert not list(folder.iterdir())
    with needed([]) as none:
        assert none == Needs(version=__version__, mark="", secret="", sources=())
        assert probe(none) == ""


@pytest.mark.parametrize("address", ["local", "local:0", "http://x:1", "tcp://x", "10.0.0.1:8786"])
def test_what_is_no_cluster_is_said_at_once(address: str) -> None:
    with pytest.raises(UsageError, match="not a cluster"):
        check_address(address)


def test_scheduler_files_are_read_or_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"address": "tcp://10.0.0.1:8786", "workers": {}}')
    assert scheduler_of(str(good)) == "tcp://10.0.0.1:8786"
    assert scheduler_of("tls://x:1") == "tls://x:1"
    for text in ("", "[]", '{"id": 3}'):
        bad.write_text(text)
        with pytest.raises(UsageError, match="is not a scheduler file"):
            check_address(str(bad))
    with pytest.raises(UsageError, match="there is no such file"):
        check_address(str(tmp_path / "none.json"))


def test_dask_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        check_address("local:2")
    assert "f2rcli[cluster]" in str(caught.value.hint)
