"""The trainer as whole processes: killed without warning, and several at work on one run."""

import csv
import itertools
import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from f2rcli.errors import ConfigError
from f2rcli.training.loop import divergence
from f2rcli.training.loop.distributed import ProcessGroup, joined
from f2rcli.training.loop.events import Event
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer

TOY = Path(__file__).with_name("toy.py")
SETTINGS: dict[str, Any] = {
    "steps": 60, "lr": 3e-3, "warmup": 5, "precision": "fp32", "ema": 0.9, "seed": 3,
    "log_every": 1, "validate_every": 15, "save_every": 0.02, "threads": 1,
}  # fmt: skip


def killed_after(
    steps: int, folder: Path, settings: dict[str, Any], toy: dict[str, Any], module: ModuleType
) -> None:
    """SIGKILL a process that trains the toy once it has said so many steps. It may go on for a few
    more, so that it is killed anywhere in them, but not to the end."""
    command = [sys.executable, str(TOY), str(folder), json.dumps(settings), json.dumps(toy)]
    piped: Any = subprocess.PIPE
    with subprocess.Popen([*command, "paced"], stdin=piped, stdout=piped) as process:
        process.stdin.write(b"\n" * (steps + 15))
        process.stdin.flush()
        for _ in range(steps):
            process.stdout.readline()
        process.kill()
    assert process.returncode == -9


class BrokenOff(BaseException):
    """As if the process were not there any more."""


def broken_off_after(
    steps: int, folder: Path, settings: dict[str, Any], toy: dict[str, Any], module: ModuleType
) -> None:
    """The same in this process."""
    said = itertools.count(1)

    def report(event: Event) -> None:
        if next(said) == steps:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        Trainer(module.Toy(**toy), folder, TrainSettings(**settings)).run(report)


def contents(path: Path) -> dict[str, bytes]:
    """The bytes of every tensor in a file."""
    with safe_open(path, framework="np") as file:
        return {key: file.get_tensor(key).tobytes() for key in file.keys()}  # noqa: SIM118


def rows(folder: Path) -> list[dict[str, str]]:
    """The CSV of a run, without its clock."""
    with (folder / "toy.csv").open(newline="") as file:
        return [row | {"seconds": ""} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("optimiser", "end"), [("muon", killed_after), ("adamw", broken_off_after)]
)
def test_a_run_killed_anywhere_ends_with_the_bytes_of_an_uninterrupted_one(
    toy: ModuleType,
    tmp_path: Path,
    one_thread: None,
    monkeypatch: pytest.MonkeyPatch,
    optimiser: str,
    end: Callable[..., None],
) -> None:
    fields = SETTINGS | {"optimiser": optimiser}
    poison = {"poison": 0.04}
    monkeypatch.setattr(divergence, "REFRESH", 16)
    monkeypatch.setattr(divergence, "CALM", 20)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings = TrainSettings(**fields)
    trainer = Trainer(toy.Toy(**poison), whole, settings)
    trainer.run(lambda event: None)
    assert trainer.state.guard.setbacks > 1  # what is hardest to get right is part of the test
    steps = random.Random().randrange(1, 45)
    print("killed after", steps, "lines")
    end(steps, killed, fields, poison, toy)
    (killed / f".toy.last.safetensors.{2**22 + 1}.part").touch()  # as if amid a checkpoint
    resumed = Trainer(toy.Toy(**poison), killed, settings)
    assert resumed.step < SETTINGS["steps"]
    resumed.run(lambda event: None)
    for name in ("toy.last.safetensors", "toy.best.safetensors"):
        assert contents(whole / name) == contents(killed / name)
    assert (whole / "toy.best.safetensors").read_bytes() == (
        killed / "toy.best.safetensors"
    ).read_bytes()
    assert rows(whole) == rows(killed)
    assert not list(killed.glob("*.part"))


def test_a_run_killed_before_its_first_checkpoint_writes_its_first_row_once(
    toy: ModuleType, tmp_path: Path, one_thread: None
) -> None:
    trainer = Trainer(toy.Toy(), tmp_path, TrainSettings(**SETTINGS | {"steps": 4}))
    trainer.run(lambda event: None)
    for left in tmp_path.glob("*.safetensors"):
        left.unlink()  # only the log is there
    Trainer(toy.Toy(), tmp_path, TrainSettings(**SETTINGS | {"steps": 4})).run(lambda event: None)
    assert [row["step"] for row in rows(tmp_path)].count("0") == 1


def test_two_processes_have_the_gradient_of_one_with_the_same_batch(
    toy: ModuleType, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS | {"steps": 6, "validate_every": 3}
    batch = 5  # shares of three and two samples
    pair = tmp_path / "pair"
    pair.mkdir()
    with monkeypatch.context() as lonely:  # a meeting that fails does not spoil the next
        lonely.setenv("WORLD_SIZE", "2")
        with pytest.raises(ConfigError, match="WORLD_SIZE"), joined(torch.device("cpu")):
            pass
    with second_process([str(pair), json.dumps(settings), json.dumps({"batch": batch}), "float64"]):
        for name, value in meeting(0).items():
            monkeypatch.setenv(name, value)
        for name in ("REFRESH", "CALM"):  # main changes them
            monkeypatch.setattr(divergence, name, 1)
        toy.main(pair, settings, {"batch": batch}, torch.float64, lambda event: None)
        for name in meeting(0):
            monkeypatch.delenv(name)
    stage = toy.Toy(toy.tiny_network().to(torch.float64), batch=batch)
    trainer = Trainer(stage, tmp_path / "single", TrainSettings(**settings))
    expected = toy.first_gradient(trainer)
    first, second = (np.load(pair / f"gradient{rank}.npy") for rank in (0, 1))
    assert first.tobytes() == second.tobytes()
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(first, expected, rtol=0, atol=1e-15)
    trainer.run(lambda event: None)
    with safe_open(pair / "toy.last.safetensors", framework="pt") as file:
        for name, mean in zip(trainer.learner.names, trainer.learner.average, strict=True):
            torch.testing.assert_close(file.get_tensor(f"average/{name}"), mean, rtol=0, atol=1e-5)
    assert len(rows(pair)) == 7


@cache
def free_port() -> str:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return str(asked.getsockname()[1])


def meeting(rank: int) -> dict[str, str]:
    """What torchrun tells one of two processes; torchrun itself would be a third."""
    ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    return ranks | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}


@contextmanager
def second_process(arguments: list[str]) -> Iterator[None]:
    """The toy in another process, which meets this one."""
    command = [sys.executable, str(TOY), *arguments]
    with subprocess.Popen(command, env=os.environ | meeting(1)) as process:
        try:
            yield
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0


def test_shares_cover_a_batch_once_and_nobody_is_left_without() -> None:
    shares = [ProcessGroup(rank, 3).share(8) for rank in range(3)]
    assert sorted(place for share in shares for place in share) == list(range(8))
    with pytest.raises(ConfigError, match="batch=2"):
        ProcessGroup(0, 3).share(2)
