"""One training loop for every stage: seeded, resumable at any step, stopped by steps or by time."""

import csv
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How one stage is trained. The schedule follows whichever of steps and minutes ends first."""

    steps: int = 200_000
    minutes: float = 30.0  # of training time, over all sessions of a run
    lr: float = 7e-4  # peak; falls to a hundredth of it on a cosine
    warmup: int = 300  # steps
    clip_grad: float = 1.0  # maximum gradient norm
    ema: float = 0.999  # decay of the averaged weights, the ones that are shipped
    weight_decay: float = 0.0
    seed: int = 0
    save_every: float = 120.0  # seconds
    log_every: int = 100  # steps
    bf16: bool = True


class Stage(Protocol):
    """What a trainer needs to know of a method's stage."""

    name: str

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        ...

    def draw(self, rng: np.random.Generator) -> Any:
        """A batch that this generator alone determines; called in a thread of its own."""
        ...

    def loss(self, batch: Any) -> Tensor:
        """A scalar for a batch."""
        ...


class Trainer:
    """Trains a stage's network; its run folder holds everything needed to go on after a kill."""

    def __init__(self, stage: Stage, folder: Path, settings: TrainSettings) -> None:
        self.stage = stage
        self.folder = folder
        self.settings = settings
        self.step = 0
        self.elapsed = 0.0
        self.names = [n for n, p in stage.network.named_parameters() if p.requires_grad]
        self.parameters: list[Tensor] = [p for p in stage.network.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=settings.lr, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )
        self._drawer = ThreadPoolExecutor(1)
        self._coming: Future[Any] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=2))
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / f"{self.stage.name}.last.safetensors"

    def progress(self) -> float:
        """How much of the run is behind us, 0..1."""
        limits = self.settings
        return min(1.0, max(self.step / limits.steps, self.elapsed / (60 * limits.minutes)))

    def run(self, report: Callable[[str], None] = print) -> None:
        """Train until the schedule ends, then leave the averaged weights in the network."""
        saved = reported = time.monotonic()
        losses: list[float] = []
        while self.progress() < 1:
            started = time.monotonic()
            losses.append(self._update())
            now = time.monotonic()
            self.elapsed += now - started
            if self.step % self.settings.log_every == 0:
                report(self._line(losses, now - reported))
                losses, reported = [], now
            if now - saved > self.settings.save_every:
                self.save()
                saved = now
        self.save()
        self.use_average()

    def _update(self) -> float:
        settings = self.settings
        batch = self._next_batch()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        context = torch.autocast("cpu", torch.bfloat16) if settings.bf16 else nullcontext()
        with context:
            loss = self.stage.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's annotation is missing
        norm = nn.utils.clip_grad_norm_(self.parameters, settings.clip_grad)
        if torch.isfinite(norm):  # a batch that overflowed teaches nothing
            self.optimiser.step()
        decay = min(settings.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        self.step += 1
        return float(loss.detach())

    def _next_batch(self) -> Any:
        """The batch of this step; the next one is drawn while this one is trained on."""
        ready = self._coming or self._drawer.submit(self._draw, self.step)
        batch = ready.result()
        self._coming = self._drawer.submit(self._draw, self.step + 1)
        return batch

    def _draw(self, step: int) -> Any:
        return self.stage.draw(np.random.default_rng([self.settings.seed, step]))

    def _rate(self) -> float:
        settings = self.settings
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return settings.lr * min(1.0, (self.step + 1) / settings.warmup) * (0.01 + 0.99 * cosine)

    def _line(self, losses: list[float], seconds: float) -> str:
        loss = float(np.mean(losses))
        with (self.folder / f"{self.stage.name}.csv").open("a", newline="") as file:
            csv.writer(file).writerow([self.step, f"{self.elapsed:.0f}", f"{loss:.5f}"])
        rate = len(losses) / seconds
        done = f"{self.progress():.1%} {rate:.1f} steps/s"
        return f"{self.stage.name} step {self.step} loss {loss:.4f} {done}"

    def use_average(self) -> None:
        """Copy the averaged weights into the network."""
        with torch.no_grad():
            for parameter, mean in zip(self.parameters, self.average, strict=True):
                parameter.copy_(mean)

    def save(self) -> None:
        """Write everything needed to go on, atomically; tensors and JSON, never a pickle."""
        tensors = {}
        for name, parameter, mean in zip(self.names, self.parameters, self.average, strict=True):
            state = self.optimiser.state.get(parameter, {})
            tensors[f"weight/{name}"] = parameter.detach().contiguous()
            tensors[f"average/{name}"] = mean.contiguous()
            for key in ("exp_avg", "exp_avg_sq", "step"):
                if key in state:
                    tensors[f"{key}/{name}"] = state[key].contiguous()
        part = self._checkpoint.with_suffix(".part")
        header = {"step": str(self.step), "elapsed": str(self.elapsed)}
        save_file(tensors, part, metadata=header)
        part.replace(self._checkpoint)

    def _resume(self) -> None:
        with safe_open(self._checkpoint, framework="pt") as file:
            header = file.metadata()
            stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
        self.step, self.elapsed = int(header["step"]), float(header["elapsed"])
        with torch.no_grad():
            for name, parameter, mean in zip(
                self.names, self.parameters, self.average, strict=True
            ):
                parameter.copy_(stored[f"weight/{name}"])
                mean.copy_(stored[f"average/{name}"])
                if f"exp_avg/{name}" in stored:
                    self.optimiser.state[parameter] = {
                        key: stored[f"{key}/{name}"] for key in ("exp_avg", "exp_avg_sq", "step")
                    }
