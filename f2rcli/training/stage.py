"""What the loop trains: a network, its batches and losses, and how it is examined."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.utils._pytree import tree_map_only

from f2rcli.training.exams import ValidationErrors

B = TypeVar("B")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """Settings of one stage.

    A run that was killed and resumed ends with exactly the weights of an uninterrupted one (same
    machine, same number of threads), unless its schedule follows the clock as well.
    """

    name: str  # of its files in the run folder
    batch: int = 8  # samples of one step
    crop: int = 96  # pixels per side
    share: float = 1.0  # of a run's time, beside the shares of its other stages
    steps: int = 2000
    lr: float = 1.5e-3  # peak; falls to a hundredth of it on a cosine
    warmup: int = 100  # steps, but no more than a tenth of the schedule
    clip_grad: float = 1.0  # maximum gradient norm
    ema: float = 0.999  # decay of the averaged weights, the ones that are written
    seed: int = 0
    precision: str = "fp32"  # of autocast: bf16; every other is fp32
    points: int = 12  # validations on the way


class Stage:
    """One network (or several) and what it learns from; stages do not know the loop.

    Every sample of a batch has a generator of its own, seeded with the run's seed, the step and
    the sample's place in the batch: a batch can be drawn ahead of time, or again after a kill.
    """

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

    def validate(self) -> ValidationErrors:
        """Errors on what was held out; the same weights give the same.

        Called without gradients while the network holds the averaged weights.
        """
        raise NotImplementedError


def placed(network: nn.Module, batch: B) -> B:
    """A batch with its tensors on the network's device."""
    device = next(network.parameters()).device
    return tree_map_only(Tensor, lambda x: x.to(device, non_blocking=True), batch)


def sample_rngs(key: Sequence[int], places: Iterable[int]) -> list[np.random.Generator]:
    """A generator for each of these places in the batch named by `key` (run's seed, step, ...)."""
    return [np.random.default_rng([*key, place]) for place in places]


# --- Losses: the cost of an estimate against its target, a mean over the batch -------------------


def psnr_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of half the log of each picture's squared error.

    Every noise level weighs the same, as it does in a mean of PSNRs; the floor keeps pictures
    that are almost clean from ruling the gradient.
    """
    error = (estimate.float() - target).square().flatten(1).mean(1)
    return 0.5 * torch.log(error + 2e-5).mean()


def gaussian_nll(target: Tensor, mean: Tensor, total: Tensor) -> Tensor:
    """Minus the log-likelihood of noisy values at every pixel, (B, H, W).

    total: the covariance of estimate and noise together, as `noisy_covariance` gives it (Sheth et
    al., ICCV 2021; arXiv 2303.05183).
    """
    with torch.autocast(total.device.type, enabled=False):
        law = MultivariateNormal(mean.movedim(1, -1), total, validate_args=False)
        return -law.log_prob(target.movedim(1, -1))  # type: ignore[no-untyped-call]  # torch's own
