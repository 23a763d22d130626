"""The loop: a toy learns, steps back, and is the same whoever stopped it."""

import csv
import gc
import math
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from f2rcli.errors import OutputError, TrainingError, WeightsError
from f2rcli.training.exams import SampleErrors, ValidationErrors
from f2rcli.training.loop import Trainer
from f2rcli.training.muon import Muon
from f2rcli.training.stage import Stage, StageSpec


class Toy(Stage):
    """Learns to denoise random squares; a share of its batches is poisoned."""

    def __init__(self, poison: float = 0.0) -> None:
        torch.manual_seed(0)
        one, two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        layers = nn.Sequential(one, nn.ReLU(), nn.Dropout(0.1), two)
        self.network = layers.to(memory_format=torch.channels_last)
        self.poison = poison

    def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Tensor, Tensor, float]:
        clean = np.stack([np.kron(rng.random((3, 4, 4)), np.ones((1, 4, 4))) for rng in rngs])
        noise = np.stack([rng.normal(0, 0.2, clean.shape[1:]) for rng in rngs])
        factor = math.nan if rngs[0].random() < self.poison else 1.0
        noisy, wanted = (torch.from_numpy(part).float() for part in (clean + noise, clean))
        return noisy, wanted, factor

    def loss(self, batch: tuple[Tensor, Tensor, float]) -> Tensor:
        noisy, clean, factor = batch
        return factor * (self.network(noisy) - clean).square().mean()

    def validate(self) -> ValidationErrors:
        noisy, clean, _ = self.draw([np.random.default_rng(n) for n in range(4)])
        with torch.no_grad():
            return ValidationErrors.of([SampleErrors((self.network(noisy) - clean).square())])


def settings(**changes: Any) -> StageSpec:
    return StageSpec(
        **({"name": "toy", "batch": 4, "steps": 60, "warmup": 5, "lr": 1e-2} | changes)
    )


def trained(folder: Path, stage: Toy | None = None, **changes: Any) -> Trainer:
    trainer = Trainer(stage or Toy(), folder, settings(**changes))
    trainer.run(lambda event: None)
    return trainer


def weights_of(trainer: Trainer) -> bytes:
    state = trainer.network.state_dict()
    return b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state))


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "toy.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run that nobody stopped."""
    return trained(tmp_path_factory.mktemp("whole"))


def test_a_toy_learns_and_its_curve_has_ten_points_and_more(whole: Trainer) -> None:
    trainer = whole
    start, best = trainer.state.curve[0][1], trainer.state.best_db
    assert best is not None
    assert best > start + 3
    errors = trainer.stage.validate()  # of the weights that are left: the best
    assert errors.decibels == pytest.approx(best, abs=1e-3)
    points = [row for row in table(trainer.folder) if row["held_out_db"]]
    assert len(points) >= 10
    assert [float(row["held_out_db"]) for row in points] == pytest.approx(
        [level for _, level in trainer.state.curve], rel=1e-6
    )


def test_a_batch_is_drawn_once(tmp_path: Path) -> None:
    """Once what had been drawn ahead was drawn again when its turn came."""
    drawn = []

    class Counted(Toy):
        def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Tensor, Tensor, float]:
            drawn.append(len(rngs))
            return super().draw(rngs)

        def validate(self) -> ValidationErrors:
            return ValidationErrors.of([SampleErrors(torch.ones(1, 3, 16, 16))])

    trained(tmp_path, Counted(), steps=20)
    assert len(drawn) == 20 + 1  # one ahead


def interrupting(at: int) -> Any:
    """A listener that presses Ctrl-C once."""
    pressed = []

    def listen(event: Any) -> None:
        if event.step >= at and not pressed:
            pressed.append(at)
            os.kill(os.getpid(), signal.SIGINT)

    return listen


@pytest.mark.parametrize("at", [5, 37])
def test_a_run_broken_off_ends_as_a_whole_one(tmp_path: Path, whole: Trainer, at: int) -> None:
    broken = Trainer(Toy(), tmp_path, settings())
    with pytest.raises(KeyboardInterrupt):
        broken.run(interrupting(at))
    assert 0 < broken.state.step < 60
    resumed = trained(tmp_path)
    assert weights_of(resumed) == weights_of(whole)
    rows, others = ([row | {"seconds": ""} for row in table(f)] for f in (whole.folder, tmp_path))
    assert rows == others
    assert weights_of(trained(tmp_path)) == weights_of(whole)  # finished is finished
    told = list[Any]()
    Trainer(Toy(), tmp_path, settings(steps=600)).run(told.append)
    assert {(one.steps, one.eta) for one in told} == {(60, 0.0)}  # and not two hours to go


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_loop import Toy, settings
from f2rcli.training.loop import Trainer
import f2rcli.training.loop as loop
loop.SAVE_EVERY = 0.0
trainer = Trainer(Toy(), Path(sys.argv[1]), settings(steps=10**6))
trainer.run(lambda event: print(event.step, flush=True))
"""


def test_a_killed_run_leaves_a_whole_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    script = KILLED.format(tests=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 20:
            pass
        process.kill()
    going_on = Trainer(Toy(), tmp_path, settings())
    assert going_on.state.step >= 19


def test_a_batch_whose_loss_is_no_number_is_left_out(tmp_path: Path) -> None:
    trainer = trained(tmp_path, Toy(poison=0.3), steps=20)
    assert trainer.state.step == 20
    assert trainer.state.skipped > 3
    assert all(torch.isfinite(p).all() for p in trainer.network.parameters())


def test_what_cannot_be_trained_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the loss is not a number"):
        trained(tmp_path, Toy(poison=1.0))


def test_the_schedule_follows_the_clock_where_it_is_told_to(tmp_path: Path) -> None:
    trainer = Trainer(Toy(), tmp_path, settings(steps=10**6, warmup=10**5), seconds=0.5)
    trainer.run(lambda event: None)
    rates = [float(row["lr"]) for row in table(tmp_path)]
    assert max(rates) > 0.5 * 1e-2  # it rose, however few the steps were ...
    assert trainer.rate() < 0.1 * 1e-2  # ... and the cosine came to its end
    again = Trainer(Toy(), tmp_path, settings(steps=10**6, warmup=10**5), seconds=0.5)
    again.run(lambda event: None)
    assert again.state.step > trainer.state.step  # another session goes on ...
    assert len(again.state.curve) > len(trainer.state.curve)  # ... and is examined


def test_a_limit_holds_what_exams_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they began when the time was up: UDVD took 134 s of 40."""
    clock = [0.0]
    monkeypatch.setattr("f2rcli.training.loop.time", SimpleNamespace(monotonic=lambda: clock[0]))

    class Slow(Toy):
        def loss(self, batch: tuple[Tensor, Tensor, float]) -> Tensor:
            clock[0] += 1
            return super().loss(batch)

        def validate(self) -> ValidationErrors:
            clock[0] += 10
            return super().validate()

    for limit, most in ((60, 60), (15, 0)):
        clock[0] = 0
        trainer = Trainer(Slow(), tmp_path / str(limit), settings(), seconds=limit, exams=3)
        trainer.run(lambda event: None)
        assert bool(most) == bool(trainer.state.step)
        assert not most or clock[0] + 2 * 10 <= limit  # two are still to come


def test_damaged_and_foreign_checkpoints_are_told_in_one_line(tmp_path: Path) -> None:
    trained(tmp_path, steps=1)
    last = tmp_path / "toy.last.safetensors"
    other = Toy()
    other.network = nn.Conv2d(3, 3, 1)
    with pytest.raises(WeightsError, match="of another network"):
        Trainer(other, tmp_path, settings())
    for damage in (last.read_bytes()[:-100], b"", b"\0" * 64):
        last.write_bytes(damage)
        with pytest.raises(WeightsError, match="or damaged") as caught:
            Trainer(Toy(), tmp_path, settings())
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    trainer = Trainer(Toy(), tmp_path, settings())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        trainer.run(lambda event: None)


def test_lower_precision_learns_as_well(tmp_path: Path) -> None:
    state = trained(tmp_path, precision="bf16").state
    assert (state.best_db or 0) > state.curve[0][1] + 3


def test_muon_turns_a_convolution_by_an_orthogonal_matrix() -> None:
    """Against the nearest orthogonal matrix by singular values."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, bias=False)
    before = layer.weight.detach().clone()
    gradient = torch.randn_like(before)
    layer.weight.grad = gradient.clone()
    Muon(layer.parameters(), lr=0.1).step()
    change = (before - layer.weight.detach()).reshape(6, -1)
    left, _, right = torch.linalg.svd(gradient.reshape(6, -1), full_matrices=False)
    wanted = left @ right
    assert float(nn.functional.cosine_similarity(change.ravel(), wanted.ravel(), 0)) > 0.95


def test_what_a_stage_learnt_from_goes_with_its_trainer(tmp_path: Path) -> None:
    """Once it stayed until the garbage collector came: 3.4 GB for 24 frames of 320x192."""
    gc.disable()
    try:
        stage = Toy()
        left = weakref.ref(stage)
        trained(tmp_path, stage, steps=1)
        del stage
        assert left() is None
    finally:
        gc.enable()
