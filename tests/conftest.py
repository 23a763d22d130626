"""What every test needs before torch is imported."""

import contextlib
import gc
import os
import signal
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # pytest -n: a processor each, for what a test starts too
    # Before numpy is loaded: its inverses wait by spinning, on the processor of the other worker.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

from f2rcli import weights
from f2rcli.frames import Frame
from f2rcli.io.video.encoders import ordinary_scheduling

os.environ.pop("PYTHONUNBUFFERED", None)  # users' output is buffered: what tests start has it too
# Processes that tests start would each compile f2r anew, which takes as long as their work; and
# every worker of `pytest -n` the tests, which takes six seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# As cli/app.py does: waiting threads sleep, or tests crawl on a machine with other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.fsync = os.fstat  # no test ends with a loss of power, for which a disk takes 5 to 20 ms a file
# AMX sums bf16 in an order that depends on the picture's size; everything before it does not, so
# tiles can be compared bit for bit.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
hypothesis.settings.register_profile("f2r", deadline=None)  # machines may be busy with other work
hypothesis.settings.load_profile("f2r")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell leaves it in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW = Path(__file__).with_name("slow.toml")
# The cases of every test that was found, left out or not; see test_slow.py.
FOUND = pytest.StashKey[dict[str, set[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """What slow.toml lists is left out where no file of tests is named and no marker asked for."""
    named = any(given.partition("::")[0].endswith(".py") for given in config.args)
    if not named and not config.option.markexpr:
        config.option.markexpr = "not slow"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before markers choose: marks what slow.toml lists."""
    groups = tomllib.loads(SLOW.read_text(encoding="utf-8"))["left_out"]
    whole = {name for group in groups for name in group["whole"]}
    stays = {name: cases for group in groups for name, cases in group.get("stays", {}).items()}
    found = config.stash.setdefault(FOUND, defaultdict(set))
    for item in items:
        name, _, case = item.nodeid.removeprefix("tests/").rstrip("]").partition("[")
        found[name].add(case)
        if name in whole or (name in stays and case not in stays[name]):
            item.add_marker("slow")


gc.disable()  # what is loaded now stays


def pytest_collection_finish() -> None:
    """No later collection of garbage needs to look at what is loaded by now, and they come as
    rarely as in a run (cli/app.py)."""
    gc.freeze()
    gc.set_threshold(50_000, *gc.get_threshold()[1:])
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """pytest collects garbage ten times at its end; once is enough for what warns as it goes."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_random_numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test draws the same numbers whichever tests ran before it."""
    if isinstance(getattr(request.module, "RNG", None), np.random.Generator):
        monkeypatch.setattr(request.module, "RNG", np.random.default_rng(0))


load = cache(weights.load)


@pytest.fixture
def weights_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundled weights are read and their networks built once, for tests that only run them."""
    bundled, read = weights.available(), weights.load
    monkeypatch.setattr(weights, "load", lambda name: (load if name in bundled else read)(name))


@pytest.fixture
def only_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs measure noise and give out the frames that were asked for as they came, for tests of
    what runs measure, tell or write: what lies behind it takes most of the time."""
    from f2rcli.engine import stream

    def as_they_came(pictures: Iterable[Iterable[Frame]], *_: object) -> Iterator[Frame]:
        return (frame for same in pictures for frame in same if not frame.context)

    monkeypatch.setattr(stream, "_restored", as_they_came)


@pytest.fixture
def coarse_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs give out f2r's coarse estimate and look for no motion, as they do where a frame has no
    neighbours, for tests of what lies around networks: the rest takes most of the time."""
    from f2rcli.methods.f2r import F2R

    for name in ("follow", "motion"):
        monkeypatch.setattr(F2R, name, lambda *_: None)


@pytest.fixture(autouse=True)
def _ordinary_scheduling() -> Iterator[None]:
    """Clips that tests make with SVT-AV1 themselves must not leave the suite in real time."""
    tasks = Path("/proc/self/task")
    if tasks.is_dir() and os.sched_getscheduler(0) != os.SCHED_OTHER:
        for task in tasks.iterdir():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
    with ordinary_scheduling():
        yield
