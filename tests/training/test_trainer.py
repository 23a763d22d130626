"""The trainer: what a run leaves behind, how it ends, and how it takes a loss that runs away."""

import csv
import itertools
import math
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

import cv2
import pytest
import torch
from safetensors import safe_open

from f2rcli.errors import DeviceError, OutputError, TrainingError, WeightsError
from f2rcli.training.loop import divergence
from f2rcli.training.loop.divergence import DivergenceGuard
from f2rcli.training.loop.events import Event, EventKind
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer

Make = Callable[..., Trainer]


@pytest.fixture
def make(toy: ModuleType, tmp_path: Path, one_thread: None) -> Make:
    """A trainer of the toy stage; `toy` holds the stage's fields, the rest are settings."""

    def make(
        folder: str = "run", toy_fields: dict[str, Any] | None = None, **fields: Any
    ) -> Trainer:
        known = {"steps": 40, "warmup": 5, "lr": 3e-3, "precision": "fp32", "ema": 0.9}
        settings = TrainSettings(**(known | {"log_every": 10, "validate_every": 20} | fields))
        return Trainer(toy.Toy(**(toy_fields or {})), tmp_path / folder, settings)

    return make


@pytest.fixture
def frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Good states and calm times as short as the toy's runs."""
    monkeypatch.setattr(divergence, "REFRESH", 16)
    monkeypatch.setattr(divergence, "CALM", 20)


def silent(event: Event) -> None:
    """Say nothing."""


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """What a safetensors file holds."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def tensors_of(trainer: Trainer) -> list[torch.Tensor]:
    """The weights before averaging."""
    stored = tensors(trainer.folder / f"{trainer.stage.name}.last.safetensors")
    return [stored[f"weight/{name}"] for name in trainer.learner.names]


def rows(folder: Path) -> list[dict[str, str]]:
    """The CSV of a run."""
    with (folder / "toy.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def calling(step: int, act: Callable[[], Any]) -> Callable[[Event], None]:
    """A report that does something when a step is logged."""

    def report(event: Event) -> None:
        if event.step == step and event.kind is not EventKind.SETBACK:
            act()

    return report


class Stopped(BaseException):
    """What a program may make of a signal."""


def test_a_run_learns_and_leaves_the_best_weights(make: Make, tmp_path: Path) -> None:
    trainer = make()
    assert trainer.run(silent) == "finished"
    curve, best_score = trainer.state.curve, trainer.state.best
    assert [step for step, _ in curve] == [0, 20, 40]
    assert best_score == min(score for _, score in curve) < curve[0][1]
    with torch.no_grad():
        trainer.stage.network.eval()
        assert trainer.stage.validate() == best_score
    best = tensors(tmp_path / "run" / "toy.best.safetensors")
    for name, parameter in trainer.stage.network.named_parameters():
        assert torch.equal(best[f"average/{name}"], parameter)


def test_the_start_is_kept_when_nothing_better_is_found(make: Make) -> None:
    trainer = make()
    trainer.stage.validate = itertools.count().__next__  # worse and worse
    before = [p.detach().clone() for p in trainer.learner.parameters]
    trainer.run(silent)
    assert trainer.state.best_step == 0
    after = trainer.learner.parameters
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_patience_ends_a_run_that_gets_no_better(make: Make) -> None:
    trainer = make(validate_every=5, patience=3)
    trainer.stage.validate = itertools.count().__next__
    assert trainer.run(silent) == "patience"
    assert trainer.step == 15


def test_the_same_seed_gives_the_same_weights_and_another_one_others(make: Make) -> None:
    ends = []
    for folder, seed, workers in (("a", 1, 1), ("b", 1, 3), ("c", 2, 1)):
        trainer = make(folder, seed=seed, workers=workers, steps=12)
        trainer.run(silent)
        ends.append(trainer.learner.tensors())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not torch.equal(ends[0]["weight/0.weight"], ends[2]["weight/0.weight"])


def test_csv_has_every_row_once_and_pictures_are_png(make: Make, tmp_path: Path) -> None:
    make().run(silent)
    written = rows(tmp_path / "run")
    assert [int(row["step"]) for row in written] == [0, 10, 20, 30, 40]
    assert [bool(row["validation"]) for row in written] == [True, False, True, False, True]
    assert all(float(row["loss"]) > 0 and float(row["norm"]) > 0 for row in written[1:])
    picture = cv2.imread(str(tmp_path / "run" / "toy.samples" / "00000020.png"))
    assert picture is not None
    assert picture.shape == (16, 16, 3)


def test_a_resumed_run_drops_rows_it_writes_again(make: Make, tmp_path: Path) -> None:
    make("whole").run(silent)
    trainer = make(save_every=0)
    with pytest.raises(Stopped):
        trainer.run(calling(20, lambda: (_ for _ in ()).throw(Stopped())))
    path = tmp_path / "run" / "toy.csv"
    path.write_text(path.read_text() + "30,9,0.1,0.2,0.3,,0\n40,9,0.1,0.2,0.3,,0\n50,9,0")  # torn
    make().run(silent)
    for one, other in zip(rows(tmp_path / "run"), rows(tmp_path / "whole"), strict=True):
        assert one | {"seconds": ""} == other | {"seconds": ""}


def test_tensorboard_is_written_where_it_is_installed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    writer = SimpleNamespace(
        add_scalar=lambda name, value, step: seen.append((name, step)),
        add_image=lambda name, picture, step, dataformats: seen.append((name, step)),
        close=lambda: seen.append(("closed", 0)),
    )
    monkeypatch.setattr("f2rcli.training.loop.csv_log._tensorboard", lambda folder, step: writer)
    make().run(silent)
    assert {("loss", 40), ("validation", 20), ("sample", 40)} <= set(seen)
    assert seen[-1] == ("closed", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_once_the_step_is_saved(
    make: Make, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    make("whole").run(silent)
    before = signal.signal(number, stop)
    try:
        with pytest.raises(Stopped):
            make().run(calling(30, lambda: signal.raise_signal(number)))
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    resumed = make()
    assert 30 <= resumed.step <= 31
    resumed.run(silent)
    whole, end = make("whole").learner.tensors(), resumed.learner.tensors()
    assert all(torch.equal(whole[n], end[n]) for n in whole if not n.startswith("weight/"))


def test_a_second_signal_does_not_wait(make: Make, tmp_path: Path) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        make().run(calling(20, twice))
    assert not (tmp_path / "run" / "toy.last.safetensors").exists()


def test_the_time_limit_ends_with_usable_weights_and_changes_nothing_else(
    make: Make, tmp_path: Path
) -> None:
    make("whole", steps=12, validate_every=6).run(silent)
    stopped = 0
    while True:
        trainer = make(steps=12, validate_every=6, time_limit=1e-9)
        why = trainer.run(silent)
        if why == "finished":
            break
        stopped += 1
        assert why == "time limit"
        assert trainer.state.curve[-1][0] == trainer.step
    assert stopped > 10
    whole = tensors(tmp_path / "whole" / "toy.last.safetensors")
    pieces = tensors(tmp_path / "run" / "toy.last.safetensors")
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_a_schedule_by_the_clock_ends_with_the_clock(make: Make) -> None:
    trainer = make(steps=10**9, minutes=1 / 300)
    assert trainer.run(silent) == "finished"
    assert 0.2 <= trainer.state.elapsed < 60


def test_rates_warm_up_and_fall_on_a_cosine(make: Make) -> None:
    trainer = make(steps=100, warmup=10, lr=1.0)
    rates = []
    for step in (0, 9, 50, 100):
        trainer.state.step = step
        rates.append(trainer.rate())
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert rates[1] > 0.97
    assert rates[2] == pytest.approx(0.505)
    assert rates[3] == pytest.approx(0.01)
    constant = make(steps=100, warmup=0, lr=1.0, schedule="constant")
    constant.state.step = 99
    assert constant.rate() == 1


def test_halved_rates_fall_four_times(make: Make) -> None:
    trainer = make(steps=100, warmup=0, lr=1.0, schedule="halved")
    rates = []
    for step in (0, 19, 20, 40, 60, 79, 80, 100):
        trainer.state.step = step
        rates.append(trainer.rate())
    assert rates == [1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 8, 1 / 16, 1 / 16]


def test_parameters_may_learn_at_rates_of_their_own(make: Make) -> None:
    names = make().learner.names
    slow = make("slow", optimiser="adam", rates=((names[0], 0.25),), steps=1, warmup=0)
    before = [parameter.detach().clone() for parameter in slow.learner.parameters]
    slow.run(silent)
    moved = [
        float((after.detach() - start).abs().max())
        for after, start in zip(tensors_of(slow), before, strict=True)
    ]
    assert moved[0] == pytest.approx(3e-3 / 4, rel=0.01)  # a first step of Adam is the rate
    assert moved[1] == pytest.approx(3e-3, rel=0.01)


def test_progress_says_how_long_it_will_take(make: Make) -> None:
    events: list[Event] = []
    make(steps=60).run(events.append)
    last = [event for event in events if event.kind is EventKind.LOG][-1]
    assert (last.step, last.steps) == (50, 60)
    assert last.rate > 0
    assert last.eta == pytest.approx(10 / last.rate)
    assert "left" in str(last)
    assert events[-1].kind is EventKind.ENDED


def test_a_poisoned_batch_steps_back_says_so_and_goes_on(
    make: Make, frequent: None, tmp_path: Path
) -> None:
    events: list[Event] = []
    trainer = make(toy_fields={"poison": 0.02}, steps=120, seed=3)
    assert trainer.run(events.append) == "finished"
    setbacks = [event for event in events if event.kind is EventKind.SETBACK]
    assert setbacks
    assert all("the loss is nan" in e.text and "back to step" in e.text for e in setbacks)
    assert all(e.step % divergence.REFRESH == 0 for e in setbacks)
    assert all(parameter.isfinite().all() for parameter in trainer.learner.parameters)
    steps = [int(row["step"]) for row in rows(tmp_path / "run")]
    assert steps == sorted(set(steps))
    assert int(rows(tmp_path / "run")[-1]["setbacks"]) == len(setbacks)


def test_a_run_that_cannot_be_saved_gives_up(make: Make, frequent: None) -> None:
    with pytest.raises(TrainingError, match="gave up at step 0: the loss is nan"):
        make(toy_fields={"poison": 1.0}).run(silent)


def test_ordinary_noise_is_no_spike_and_one_odd_batch_no_failure() -> None:
    rng = torch.Generator().manual_seed(0)
    watch = DivergenceGuard()
    losses = torch.randn(5000, generator=rng).mul(0.3).sub(3.5).tolist()
    losses[2000] = 5.0
    assert [watch.failed(step, loss, 1.0) for step, loss in enumerate(losses)] == [None] * 5000
    assert watch.failed(5000, 5.0, 1.0) is None
    assert watch.failed(5001, 5.0, 1.0) is None
    assert watch.failed(5002, 5.0, 1.0) is not None
    assert "not finite" in str(DivergenceGuard().failed(0, 1.0, math.inf))


@pytest.mark.parametrize("share", [0.03, 0.3])
def test_losses_with_a_long_tail_are_ordinary(share: float) -> None:
    rng = torch.Generator().manual_seed(0)
    quiet = torch.rand(6000, generator=rng) * 0.001 + 0.001
    loud = torch.rand(6000, generator=rng) < share  # crops of a clip with ten times the noise
    watch = DivergenceGuard()
    losses = torch.where(loud, 100 * quiet, quiet).tolist()
    assert not any(watch.failed(step, loss, 1.0) for step, loss in enumerate(losses))


def test_a_loss_that_diverges_slowly_is_noticed() -> None:
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(400, generator=rng).mul(0.02).tolist()
    losses = [0.1 + noise[i] + max(0, i - 300) * 0.01 for i in range(400)]
    watch = DivergenceGuard()
    failures = [i for i, loss in enumerate(losses) if watch.failed(i, loss, 1.0)]
    assert failures
    assert failures[0] < 330


def test_calm_returns_to_the_full_rate() -> None:
    watch = DivergenceGuard()
    watch.step_back(DivergenceGuard(), 100, 150, "the loss is nan")
    watch.step_back(DivergenceGuard(), 100, 150, "the loss is nan")
    assert watch.factor(101) == 0.25
    assert watch.factor(100 + divergence.CALM) == 1
    watch.step_back(DivergenceGuard(), 900, 950, "the loss is nan")
    assert watch.factor(901) == 0.5


def test_a_full_disk_is_one_line_and_the_checkpoint_before_stays(
    make: Make, tmp_path: Path
) -> None:
    make(steps=10).run(silent)
    path = tmp_path / "run" / "toy.last.safetensors"
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    trainer = make(steps=20, validate_every=100)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write the checkpoint"):
            trainer.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.part"))


def test_a_run_goes_on_with_another_optimiser(make: Make) -> None:
    for steps, optimiser in ((5, "muon"), (10, "adam"), (15, "adamw"), (20, "muon")):
        trainer = make(steps=steps, optimiser=optimiser)
        trainer.run(silent)
        assert trainer.step == steps
    assert "momentum/0.weight" in trainer.learner.tensors()
    assert "exp_avg/0.weight" not in trainer.learner.tensors()


def test_a_foreign_or_damaged_checkpoint_is_one_line(make: Make, tmp_path: Path) -> None:
    make(steps=5).run(silent)
    path = tmp_path / "run" / "toy.last.safetensors"
    with pytest.raises(WeightsError, match="another network"):
        make(toy_fields={"network": torch.nn.Conv2d(3, 3, 5, padding=2)})
    whole = path.read_bytes()
    for damaged in (whole[:1000], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="damaged"):
            make()


def test_fp16_needs_cuda(make: Make) -> None:
    with pytest.raises(DeviceError, match="fp16"):
        make(precision="fp16")


def test_memory_holds_one_good_state(make: Make, frequent: None) -> None:
    trainer = make(steps=80, validate_every=80)
    places: list[dict[str, int]] = []

    def look(event: Event) -> None:
        if trainer._good is not None and event.step > divergence.REFRESH:
            places.append({n: t.data_ptr() for n, t in trainer._good.tensors.items()})

    trainer.run(look)
    assert len(places) >= 5
    assert all(place == places[0] for place in places)
