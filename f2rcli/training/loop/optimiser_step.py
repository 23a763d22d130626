"""One step downhill: a batch's loss, its gradient over all processes, the update."""

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from f2rcli.engine.worker import at_once
from f2rcli.errors import DeviceError
from f2rcli.training.loop.distributed import ProcessGroup
from f2rcli.training.loop.learner import Learner
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Divisible, Stage, on_device

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Clock(NamedTuple):
    """The time as one process sees it; the first one's counts."""

    elapsed: float  # seconds of training
    overdue: bool  # the session's time is up


class Gradient(NamedTuple):
    """Result of a backward pass, equal in every process; the parameters hold the gradient."""

    loss: float  # mean over the whole batch
    norm: float  # before clipping
    interrupted: bool  # some process was asked to stop
    clock: Clock


class OptimiserStep:
    """Computes losses and gradients in the chosen precision, and updates a learner by them."""

    def __init__(
        self, stage: Stage, settings: TrainSettings, device: torch.device, group: ProcessGroup
    ) -> None:
        """Raises DeviceError for fp16 without CUDA, ConfigError for more processes than samples."""
        if settings.precision == "fp16" and device.type != "cuda":
            raise DeviceError("precision fp16 needs CUDA.", hint="Use bf16 or fp32.")
        self.stage, self.settings, self.device, self.group = stage, settings, device, group
        self.places = group.share(stage.batch)  # of this process's samples in the batch
        self.learner = Learner(stage.network.to(device), settings)
        self._pool = ThreadPoolExecutor(len(self.places), "f2r-shares")  # begun when first used
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")

    def autocast(self, *, alone: bool = True) -> AbstractContextManager[object]:
        """Inside, networks compute in the run's precision. alone: no other thread does so.

        Threads have one store of lowered weights, which each empties as it leaves: whether uses of
        a weight add up before or after rounding would be a matter of chance.
        """
        if self.settings.precision not in TYPES:
            return nullcontext()
        kind = TYPES[self.settings.precision]
        return torch.autocast(self.device.type, kind, cache_enabled=alone)

    def gradient(self, batch: Any, clock: Clock, *, interrupted: bool) -> Gradient:
        """Leave the whole batch's gradient, not clipped yet, in the parameters.

        batch: this process's share, as drawn; interrupted: whether this process was asked to stop.
        """
        self.learner.optimiser.zero_grad(set_to_none=True)
        loss = self._backward(on_device(batch, self.device))
        for parameter in self.learner.parameters:
            if parameter.grad is None:  # unused here, perhaps not in another process
                parameter.grad = torch.zeros_like(parameter)
        gradients: list[Tensor] = [p.grad for p in self.learner.parameters if p.grad is not None]
        self.group.sum_(gradients)
        self.scaler.unscale_(self.learner.optimiser)
        norm = float(nn.utils.get_total_norm(gradients))
        first = (norm, *map(float, clock)) if self.group.first else (0.0, 0.0, 0.0)
        facts = torch.tensor([loss, float(interrupted), *first], dtype=torch.float64)
        facts = facts.to(self.device)
        self.group.sum_([facts])
        total, stop, norm, elapsed, overdue = facts.tolist()
        return Gradient(total, norm, stop > 0, Clock(elapsed, overdue > 0))

    def _backward(self, batch: Any) -> float:
        """Leave the gradient of this process's share in the parameters; returns its loss."""
        stage, count = self.stage, len(self.places)
        threads = min(torch.get_num_threads(), count)
        if threads > 1 and isinstance(stage, Divisible) and self.device.type == "cpu":
            ends = [count * n // threads for n in range(threads + 1)]
            parts = [stage.share(batch, slice(*pair)) for pair in pairwise(ends)]
            shares = [(b - a) / stage.batch for a, b in pairwise(ends)]
            return self._side_by_side(parts, shares)
        with self.autocast():
            loss = stage.loss(batch) * (count / stage.batch)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's annotation
        return float(loss.detach())

    def _side_by_side(self, parts: list[Any], shares: list[float]) -> float:
        """The same of a batch in parts, each in a thread: two threads that share the convolutions
        of small crops mostly wait for each other."""
        parameters = self.learner.parameters

        def one(part: Any, share: float) -> tuple[float, tuple[Tensor | None, ...]]:
            with self.autocast(alone=False):
                loss = self.stage.loss(part) * share
            return float(loss.detach()), torch.autograd.grad(loss, parameters, allow_unused=True)

        given = zip(parts, shares, strict=True)
        losses, gradients = zip(
            *at_once([partial(one, *g) for g in given], self.device, self._pool), strict=True
        )
        for parameter, *found in zip(parameters, *gradients, strict=True):
            if found[0] is not None:
                parameter.grad = reduce(torch.add, found)
        return sum(losses)

    def overflowed(self, norm: float) -> bool:
        """True if fp16 merely overflowed: the scaler skips such a step, and scales less."""
        return self.scaler.is_enabled() and not math.isfinite(norm) and self.scaler.get_scale() > 1

    def apply(self, norm: float, rate: float, decay: float) -> None:
        """Update the learner by the gradient that lies in its parameters, of this norm."""
        learner, limit = self.learner, self.settings.clip_grad
        learner.set_rate(rate)
        if limit is not None:
            total = torch.tensor(norm, device=self.device)
            nn.utils.clip_grads_with_norm_(learner.parameters, limit, total)
        self.scaler.step(learner.optimiser)
        self.scaler.update()
        learner.follow(decay)
