"""The training loop, the same for every stage of every method.

Seeded, resumable at any step, ended by steps, time or whoever listens. The best weights
by what is held out are kept, so that what goes wrong later harms nothing.
"""

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from f2rcli.errors import OutputError, TrainingError, WeightsError
from f2rcli.io.files import FULL, disk_errors, replacing, sweep, write_text
from f2rcli.settings import parse_json
from f2rcli.training.folder import ELSEWHERE, Event, EventKind, OnEvent
from f2rcli.training.muon import Muon
from f2rcli.training.stage import Stage, StageSpec, placed, sample_rngs

COLUMNS = ("step", "seconds", "lr", "loss", "norm", "held_out_db")  # of the CSV
HEADER = "header"  # of files: one entry, as safetensors orders several anew each time
WARMING = 0.1  # of a schedule, at most, for the rate to rise
SAVE_EVERY = 60.0  # seconds
LOG_EVERY = 50  # steps
IN_A_ROW = 5  # batches without a number for a loss, before that ends a run
CPU = torch.device("cpu")


@dataclass(slots=True)
class RunState:
    """The numbers of a run; its tensors are the trainer's."""

    step: int = 0
    elapsed: float = 0.0  # seconds, over all sessions
    points: int = 0  # validations on the way
    best: float | None = None  # the lowest one
    best_db: float | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)  # step, dB
    skipped: int = 0  # batches whose loss was no number
    failing: int = 0  # of them in a row
    finished: bool = False  # at the end of its schedule
    late: bool = False  # ended by the clock: in another session it goes on
    pending: list[tuple[float, float]] = field(default_factory=list)  # loss, norm: not logged yet
    rows: list[str] = field(default_factory=list)  # of the CSV


class Trainer:
    """Trains a stage's network; its run folder holds everything needed to go on after a kill.

    One session: make it, `run` it. Made anew on the same folder it goes on from the checkpoint.
    """

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        settings: StageSpec,
        *,
        seconds: float = math.inf,
        exams: int = 1,
        device: torch.device = CPU,
    ) -> None:
        """seconds: after which the schedule ends, if its steps are not done before, with time left
        for so many exams; no two runs then repeat each other. Raises WeightsError for a checkpoint
        that is damaged or of another network."""
        self.stage, self.folder, self.settings, self.device = stage, folder, settings, device
        self.network = stage.network.to(device)
        self.trained = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        self.average = {name: one.detach().clone() for name, one in self.trained.items()}
        self.optimiser = Muon(self.trained.values(), lr=settings.lr)
        self.state = RunState()
        self._last, self._best = checkpoints(folder, settings.name)
        sweep(folder)  # a killed run may have left half a checkpoint
        if self._last.exists():
            self._restore()
        self._csv = folder / f"{settings.name}.csv"
        self._begun = self._saved = time.monotonic()
        self._events = list[Event]()  # that nobody has been told yet
        if self.state.late:  # another session is more time
            self.state.finished = self.state.late = False
        self._before = self.state.elapsed
        self._seconds, self._exams = self._before + seconds, exams
        self._exam = self._step = 0.0  # seconds that the last one took
        self.state.points = min(self.state.points, int(self.progress() * settings.points))

    def progress(self) -> float:
        """Completed share of the schedule, 0..1."""
        state, left = self.state, self._seconds - self._step - self._exams * self._exam
        done = state.step / max(self.settings.steps, 1)
        return min(1.0, max(done, state.elapsed / max(left, 1e-9), float(state.finished)))

    def rate(self) -> float:
        settings, done = self.settings, self.progress()
        warm = max((self.state.step + 1) / settings.warmup, done / WARMING)
        peak = settings.lr * min(1, warm)
        return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def run(self, report: OnEvent) -> None:
        """Train until the schedule ends.

        Leaves the best weights in the network: the averaged ones with the lowest validation; what
        was reached is in `state`. What `report` raises ends the run after the step in hand, once
        that is saved. Raises TrainingError for losses that are no numbers, OutputError.
        """
        self._report = report
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network.train()
        with ThreadPoolExecutor(1, "draw") as pool:
            if not self.state.finished:
                self._loop(pool)
        self.state.finished, self.state.late = True, self.state.step < self.settings.steps
        self._save()
        self._put(read(self._best)[1])
        self.network.eval()
        self._tell(EventKind.ENDED, text="finished")
        self._report_all()

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        """Update after update."""
        state = self.state
        coming: dict[tuple[int, int], Future[Any]] = {}
        if not state.curve:
            self._validate()
            self._save()
            self._report_all()
        while self.progress() < 1:
            for step in (state.step, state.step + 1):
                if (key := (step, state.skipped)) not in coming:
                    coming[key] = pool.submit(self._draw, key)
            self._learn(coming.pop((state.step, state.skipped)).result())
            if time.monotonic() - self._saved >= SAVE_EVERY:
                self._save()
            self._report_all()

    def _learn(self, batch: Any) -> None:
        state, settings, began = self.state, self.settings, time.monotonic()
        # for networks that draw from torch's own generator: a resumed run repeats it
        own = np.random.default_rng([settings.seed, state.step])
        torch.manual_seed(int(own.integers(2**63)))
        self.stage.progress = self.progress()
        self.optimiser.zero_grad(set_to_none=True)
        with self._autocast():
            loss = self.stage.loss(placed(self.network, batch))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's annotation
        norm = float(nn.utils.clip_grad_norm_(self.trained.values(), settings.clip_grad))
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(norm)):
            self._skip()
            return
        state.failing = 0
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.step()
        self._follow()
        state.step += 1
        self._step = self._passed(began)
        state.pending.append((value, norm))
        self._tell(EventKind.PROGRESS, lr=self.rate(), loss=value)
        if int(self.progress() * settings.points) > state.points:
            self._validate()
            self._save()
        elif state.step % LOG_EVERY == 0:
            self._row(None)

    def _skip(self) -> None:
        """Leave out a batch whose loss or gradient is no number; many in a row are a failure."""
        self.state.skipped += 1
        self.state.failing += 1
        if self.state.failing > IN_A_ROW:
            what = f"{self.settings.name}: the loss is not a number at step {self.state.step}."
            hint = "The footage may be damaged; another seed= may help, too."
            raise TrainingError(what, hint=hint)

    def _draw(self, key: tuple[int, int]) -> Any:
        with torch.no_grad():  # a thread's own state
            places = range(self.settings.batch)
            return self.stage.draw(sample_rngs((self.settings.seed, *key), places))

    def _autocast(self) -> AbstractContextManager[object]:
        if self.settings.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _follow(self) -> None:
        """Move averages towards the parameters, first onto them; short runs average over less."""
        done = self.state.step
        decay = min(self.settings.ema, (1 + done) / (10 + done), 1 - 10 / max(20, self._steps()))
        own = [parameter.detach() for parameter in self.trained.values()]
        torch._foreach_lerp_([*self.average.values()], own, 1 - decay if done else 1.0)

    def _passed(self, since: float) -> float:
        """Seconds since then; what the run took is what it is now."""
        now = time.monotonic()
        self.state.elapsed = self._before + now - self._begun
        return now - since

    # What was reached.

    def _validate(self) -> None:
        """Examine the averaged weights on what was held out; keep them when they are the best."""
        state, began = self.state, time.monotonic()
        with self._averaged(), self._autocast():
            errors = self.stage.validate()
        self._exam = self._passed(began)
        state.points = int(self.progress() * self.settings.points)
        score = errors.score
        state.curve.append((state.step, errors.decibels))
        if state.best is None or score < state.best:
            state.best, state.best_db = score, errors.decibels
            write(self._best, self.average, {"step": state.step, "score": score})
        self._row(errors.decibels)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Inside, the network holds the averaged weights and is not training."""
        own = {name: one.detach().clone() for name, one in self.trained.items()}
        self._put(self.average)
        self.network.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.network.train()
            self._put(own)

    def _put(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(weights[name])

    # Saving, going on.

    def _save(self) -> None:
        """Write everything needed to go on, atomically."""
        self._saved = time.monotonic()
        write(self._last, self._tensors(), {"state": asdict(self.state)})
        self._tell(EventKind.SAVED, text="saved")

    def _tensors(self) -> dict[str, Tensor]:
        """Views of everything that changes, by name."""
        found = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        found |= {f"average/{name}": value for name, value in self.average.items()}
        for name, parameter in self.trained.items():
            moments = self.optimiser.state[parameter].items()
            found |= {f"{key}/{name}": value for key, value in moments}
        return found

    def _restore(self) -> None:
        """Copy the last checkpoint; memory layouts stay, for another one rounds differently."""
        header, tensors = read(self._last)
        self.state, own = _state_of(self._last, header), self._tensors()
        names = {name: value.shape for name, value in tensors.items()}
        if names != {name: value.shape for name, value in own.items()}:
            raise foreign(self._last)
        for name, value in tensors.items():
            own[name].copy_(value)

    # Telling.

    def _steps(self) -> int:
        """Steps of the whole schedule: as set, or what the clock will leave time for."""
        return round(self.state.step / self.progress()) if self.state.step else self.settings.steps

    def _tell(self, kind: EventKind, **facts: Any) -> None:
        state, done = self.state, self.progress()
        known = state.step and state.elapsed
        self._events.append(Event(
            kind=kind, stage=self.settings.name, step=state.step, steps=self._steps(),
            best=state.best_db, rate=state.step / state.elapsed if known else 0.0,
            eta=state.elapsed * (1 - done) / done if known else None, **facts,
        ))  # fmt: skip

    def _report_all(self) -> None:
        """Report what has happened, where the run can be left and gone on with."""
        try:
            while self._events:
                self._report(self._events.pop(0))
        except BaseException:
            self._save()
            raise

    def _row(self, decibels: float | None) -> None:
        """A row of the CSV: the steps since the last one, and a validation if there was one."""
        state, lr = self.state, self.rate()
        means = [fmean(part) for part in zip(*state.pending, strict=True)]
        loss, norm = means or (None, None)
        state.pending = []
        facts = (state.step, round(state.elapsed, 1), lr, loss, norm, decibels)
        state.rows.append(",".join("" if value is None else f"{value:.9g}" for value in facts))
        with disk_errors(self._csv, ELSEWHERE):
            write_text(self._csv, "\n".join([",".join(COLUMNS), *state.rows, ""]))
        kind = EventKind.LOG if decibels is None else EventKind.VALIDATED
        self._tell(kind, lr=lr, loss=loss, norm=norm, validation=decibels)


def checkpoints(folder: Path, name: str) -> tuple[Path, Path]:
    """The files of a stage: all that is needed to go on, and its best weights."""
    return folder / f"{name}.last.safetensors", folder / f"{name}.best.safetensors"


def is_finished(folder: Path, name: str, *, for_good: bool = False) -> bool:
    """Whether a stage came to its end; for_good: by itself, and not as its time was over."""
    last, _ = checkpoints(folder, name)
    if not last.exists():
        return False
    state = _state_of(last, read(last)[0])
    return state.finished and not (for_good and state.late)


def _state_of(path: Path, header: dict[str, Any]) -> RunState:
    """The numbers of a checkpoint. Raises WeightsError for those of another version."""
    table = header.get("state")
    if not isinstance(table, dict) or table.keys() != {f.name for f in fields(RunState)}:
        raise foreign(path)
    return RunState(**table)


def foreign(path: Path, what: str = "checkpoint") -> WeightsError:
    """The error of a file that holds other things than it should."""
    hint = "Choose another run folder, or the settings this run began with."
    other = "of another network, or of another version of f2r"
    return WeightsError(f"{path}: a {what} {other}.", hint=hint)


def read(path: Path, what: str = "checkpoint") -> tuple[dict[str, object], dict[str, Tensor]]:
    """Header and tensors; raises WeightsError for a file that is damaged or not a run's."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
            header = parse_json((file.metadata() or {})[HEADER])
        if not isinstance(header, dict):
            raise ValueError("its header is no table")
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        hint = "Choose another run folder, or delete the file to begin again."
        wrong = f"not a {what} of a training run, or damaged ({error})"
        raise WeightsError(f"{path}: {wrong}.", hint=hint) from error
    return header, tensors


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, object]) -> None:
    """Write a file beside its place, and put it there once it is on the disk. Raises OutputError;
    the file that was there before is then as it was."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as part:
            save_file(plain, part, metadata={HEADER: json.dumps(header)})
    except (SafetensorError, OSError) as error:
        full = isinstance(error, OSError) and error.errno in FULL
        why = "the disk is full" if full or "No space left" in str(error) else str(error)
        hint = "Free some space; the previous checkpoint is intact, and resume=True continues."
        raise OutputError(f"{path}: cannot write it ({why}).", hint=hint) from error
