"""What the loop trains: a network, its batches and losses, and how it is examined."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from f2rcli.training.exams import ValidationErrors

VALIDATION_SEED = 977  # of batches that are always the same
B = TypeVar("B")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Settings of one stage.

    A run that was killed and resumed ends with exactly the weights of an uninterrupted one (same
    machine, same number of threads), unless its schedule follows the clock as well.
    """

    steps: int = 2000
    lr: float = 1.5e-3  # peak; falls to a hundredth of it on a cosine
    warmup: int = 100  # steps, but no more than a tenth of the schedule
    clip_grad: float = 1.0  # maximum gradient norm
    ema: float = 0.999  # decay of the averaged weights, the ones that are written
    seed: int = 0
    precision: str = "fp32"  # of autocast: fp32, bf16, or fp16 on CUDA alone
    points: int = 12  # validations on the way
    patience: int | None = None  # validations without improvement before the stage ends


class Stage:
    """One network (or several) and what it learns from; stages do not know the loop.

    Every sample of a batch has a generator of its own, seeded with the run's seed, the step and
    the sample's place in the batch: a batch can be drawn ahead of time, or again after a kill.
    """

    name: str  # of its files in the run folder
    batch: int  # samples of one step
    network: nn.Module  # to train: every parameter that requires a gradient
    progress: float = 0.0  # of the schedule, 0..1; the loop says before every `loss`

    def draw(self, rngs: Sequence[np.random.Generator]) -> Any:
        """One sample per generator, determined by it alone, collated into a batch on the CPU.

        Called in a thread beside the training, without gradients. The batch is a tensor, or tuples,
        lists and dictionaries of tensors and anything else.
        """
        raise NotImplementedError

    def loss(self, batch: Any) -> Tensor:
        """A scalar, the mean over the batch's samples; its tensors lie on the network's device."""
        raise NotImplementedError

    def validate(self) -> ValidationErrors | None:
        """Errors on what was held out; the same weights give the same. None: nothing was held out.

        Called without gradients while the network holds the averaged weights.
        """
        raise NotImplementedError


def on_device(batch: Any, device: torch.device) -> Any:
    """Move a structure's tensors to a device; everything else stays as it is."""
    match batch:
        case Tensor():
            return batch.to(device, non_blocking=True)
        case tuple() if hasattr(batch, "_make"):  # a NamedTuple
            return type(batch)._make(on_device(part, device) for part in batch)
        case tuple() | list():
            return type(batch)(on_device(part, device) for part in batch)
        case dict():
            return {key: on_device(part, device) for key, part in batch.items()}
        case _:
            return batch


def placed(network: nn.Module, batch: B) -> B:
    """A batch on the network's device."""
    there: B = on_device(batch, next(network.parameters()).device)
    return there


def sample_rngs(key: Sequence[int], places: Iterable[int]) -> list[np.random.Generator]:
    """A generator for each of these places in the batch named by `key` (run's seed, step, ...)."""
    return [np.random.default_rng([*key, place]) for place in places]


def fixed_batches(stage: Stage, count: int) -> Iterator[Any]:
    """Batches that are always the same, on the network's device."""
    for number in range(count):
        drawn = stage.draw(sample_rngs((VALIDATION_SEED, number), range(stage.batch)))
        yield placed(stage.network, drawn)
