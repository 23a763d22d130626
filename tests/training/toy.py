"""A stage small enough for hundreds of steps a second; as a script, one process that trains it."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.training.loop import divergence
from f2rcli.training.loop.distributed import joined
from f2rcli.training.loop.events import Event
from f2rcli.training.loop.optimiser_step import Clock
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import fixed_loss, sample_rngs
from f2rcli.training.loop.trainer import Trainer


def tiny_network() -> nn.Sequential:
    """Convolutions in the memory layout the real ones use, and something that draws at random."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(8, 3, 3, padding=1)
    )
    return layers.to(memory_format=torch.channels_last)


@dataclass
class Toy:
    """Learns to denoise random squares. A share of its batches is poisoned."""

    network: nn.Module = field(default_factory=tiny_network)
    batch: int = 4
    name: str = "toy"
    poison: float = 0.0  # share of batches whose loss is not a number
    loud: float = 0.0  # share of batches whose loss is a million times as large
    held_out: bool = True

    def draw(self, rngs: Sequence[np.random.Generator]) -> dict[str, Any]:
        clean = np.stack([np.kron(rng.random((3, 4, 4)), np.ones((1, 4, 4))) for rng in rngs])
        noise = np.stack([rng.normal(0, 0.2, clean.shape[1:]) for rng in rngs])
        fate = rngs[0].random()
        factor = np.nan if fate < self.poison else 1e6 if fate < self.poison + self.loud else 1
        dtype = next(self.network.parameters()).dtype
        pair = [torch.from_numpy(part).to(dtype) for part in (clean + noise, clean)]
        return {"pair": pair, "factor": factor}

    def loss(self, batch: dict[str, Any]) -> Tensor:
        noisy, clean = batch["pair"]
        return batch["factor"] * (self.network(noisy) - clean).square().mean()

    def validate(self) -> float | None:
        return fixed_loss(Toy(self.network), 2) if self.held_out else None

    def sample(self) -> NDArray[np.uint8] | None:
        noisy, _ = self.draw(sample_rngs((0,), [0]))["pair"]
        picture = self.network(noisy)[0].permute(1, 2, 0).clamp(0, 1) * 255
        return picture.byte().numpy()


def main(
    folder: Path,
    settings: dict[str, Any],
    toy: dict[str, Any],
    dtype: torch.dtype,
    report: Callable[[Event], None],
) -> None:
    """Train, saying every step; with more than one process, keep the first gradient as well."""
    divergence.REFRESH, divergence.CALM = 16, 20
    with joined(torch.device("cpu")) as (group, device):
        stage = Toy(**(toy | {"network": tiny_network().to(dtype)}))
        trainer = Trainer(stage, folder, TrainSettings(**settings), device=device, group=group)
        if group.world > 1:
            np.save(folder / f"gradient{group.rank}.npy", first_gradient(trainer))
        trainer.run(report if group.first else refuse)
    assert not threads("pt_gloo_runloop")  # else they may abort this process as it ends


def threads(name: str) -> list[Path]:
    """This process's threads of that name, where the system tells."""
    names = Path("/proc/self/task").glob("*/comm")
    return [path for path in names if path.read_text().strip() == name]


def first_gradient(trainer: Trainer) -> NDArray[Any]:
    """Of the first step's batch, without dropout, which differs between processes."""
    stage: Any = trainer.stage
    stage.network.eval()
    stage.network.train = lambda mode=True: stage.network
    batch = stage.draw(sample_rngs((0, 0, 0), trainer.stepper.places))
    trainer.stepper.gradient(batch, Clock(0.0, False), interrupted=False)
    return np.concatenate([p.grad.flatten().numpy() for p in trainer.learner.parameters])


def say(event: Event) -> None:
    """A line that a test can wait for."""
    print(event.step, flush=True)


def say_when_told(event: Event) -> None:
    """The same, but no faster than the test that reads it wants."""
    sys.stdin.readline()
    say(event)


def refuse(event: Event) -> None:
    """Only the first process speaks."""
    raise AssertionError(event)


if __name__ == "__main__":
    folder, settings, toy, *how = sys.argv[1:]
    main(
        Path(folder),
        json.loads(settings),
        json.loads(toy),
        torch.float64 if "float64" in how else torch.float32,
        say_when_told if "paced" in how else say,
    )
