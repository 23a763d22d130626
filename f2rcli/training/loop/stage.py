"""Protocol of a training stage, all that the trainer needs; stages do not know the trainer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.noise.codec import to_codes

VALIDATION_SEED = 977  # of batches that are always the same
B = TypeVar("B")


class Stage(Protocol):
    """One network (or several) and what it learns from.

    Every sample of a batch has a generator of its own, seeded with the run's seed, the step and
    the sample's place in the batch. So a batch can be drawn ahead of time or again after a kill,
    and several processes can draw a share each of one batch.
    """

    name: str  # of its files in the run folder
    batch: int  # samples of one step, of all processes together
    network: nn.Module  # to train: every parameter that requires a gradient

    def draw(self, rngs: Sequence[np.random.Generator]) -> Any:
        """One sample per generator, determined by it alone, collated into a batch on the CPU.

        Called in threads beside the training, without gradients. The batch is a tensor, or tuples,
        lists and dictionaries of tensors and anything else. Randomness that `loss` needs (noise
        added to a network's output, say) travels in it as drawn values or seeds.
        """

    def loss(self, batch: Any) -> Tensor:
        """A scalar: the *mean over the batch's samples* of what each costs, so that shares add up.

        The batch's tensors lie on the network's device.
        """

    def validate(self) -> float | None:
        """Cost on what was held out; lower is better, the same weights give the same number.

        None: nothing was held out. Called without gradients while the network holds the averaged
        weights.
        """

    def sample(self) -> NDArray[np.uint8] | None:
        """An (H, W, 3) RGB picture of what the network does, or None. Called like `validate`."""


@runtime_checkable
class Progressing(Protocol):
    """A stage whose loss changes as training goes on."""

    progress: float  # of the schedule, 0..1; the trainer says before every `loss`


@runtime_checkable
class Divisible(Stage, Protocol):
    """A stage whose `loss` changes nothing and draws nothing: threads may share a batch."""

    def share(self, batch: Any, samples: slice) -> Any:
        """Some samples of a batch, as a batch."""


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


def sample_rngs(key: Sequence[int], places: Iterable[int]) -> list[np.random.Generator]:
    """A generator for each of these places in the batch named by `key` (run's seed, step, ...)."""
    return [np.random.default_rng([*key, place]) for place in places]


def placed(network: nn.Module, batch: B) -> B:
    """A batch on the network's device."""
    there: B = on_device(batch, next(network.parameters()).device)
    return there


def fixed_batches(stage: Stage, count: int) -> Iterator[Any]:
    """Batches that are always the same, on the network's device."""
    for number in range(count):
        drawn = stage.draw(sample_rngs((VALIDATION_SEED, number), range(stage.batch)))
        yield placed(stage.network, drawn)


def shown_batch(stage: Stage) -> Any:
    """The four samples that `sample` shows, on the network's device."""
    return placed(stage.network, stage.draw(sample_rngs((0,), range(4))))


def fixed_loss(stage: Stage, batches: int) -> float:
    """Mean loss over batches that are always the same: what a `validate` may return."""
    return float(np.mean([float(stage.loss(batch)) for batch in fixed_batches(stage, batches)]))


def side_by_side(columns: list[Tensor]) -> NDArray[np.uint8]:
    """(B, C, H, W) pictures in 0..1 as one (B H, columns W, 3) picture of 8-bit codes."""
    rows = torch.cat([_seen(column.float().cpu()) for column in columns], dim=3)
    return to_codes(rows.permute(0, 2, 3, 1).flatten(0, 1).numpy())


def _seen(picture: Tensor) -> Tensor:
    """Three channels of (B, C, H, W): gray three times, a mosaic's greens as one, brightened."""
    if picture.shape[1] != 4:
        return picture.expand(-1, 3, -1, -1)
    red, green, blue, other = picture.clamp(0, 1).unbind(1)
    return torch.stack([red, (green + other) / 2, blue], 1).sqrt()
