"""A network in training: parameters, their running average, the optimiser's moments."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from f2rcli.training.loop.muon import Muon
from f2rcli.training.loop.settings import TrainSettings

KINDS = {"muon": Muon, "adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
ADAMS = {"adamw", "adam"}  # remember the same things


class Learner:
    """Everything of tensors that changes in a run, under names that a checkpoint can hold.

    weight/NAME, average/NAME and what the optimiser remembers (exp_avg/NAME, exp_avg_sq/NAME and
    step/NAME for Adam) of every parameter that is trained; buffer/NAME for every buffer.
    """

    def __init__(self, network: nn.Module, settings: TrainSettings) -> None:
        trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.network = network
        self.names = list(trained)
        self.parameters: list[nn.Parameter] = list(trained.values())
        self.average: list[Tensor] = [p.detach().clone() for p in self.parameters]
        self.buffers = dict(network.named_buffers())
        self.optimiser: torch.optim.Optimizer = KINDS[settings.optimiser](
            list(_groups(trained, settings.rates)),
            lr=settings.lr,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )

    def set_rate(self, rate: float) -> None:
        """The rate of the next update, before the settings' `rates`."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]

    def follow(self, decay: float) -> None:
        """Move the average towards the parameters."""
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.parameters), 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the network holds the averaged weights and is not training."""
        self._swap()
        self.network.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.network.train()
            self._swap()

    def _swap(self) -> None:
        with torch.no_grad():
            for parameter, mean in zip(self.parameters, self.average, strict=True):
                own = parameter.clone()
                parameter.copy_(mean)
                mean.copy_(own)

    def use(self, weights: list[Tensor]) -> None:
        """Copy weights into the network, in the order of `names`."""
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, weights, strict=True):
                parameter.copy_(weight)

    def tensors(self) -> dict[str, Tensor]:
        """Views of everything, by name."""
        found = {f"buffer/{name}": buffer for name, buffer in self.buffers.items()}
        for name, parameter, mean in zip(self.names, self.parameters, self.average, strict=True):
            found[f"weight/{name}"] = parameter.detach()
            found[f"average/{name}"] = mean
            state = self.optimiser.state.get(parameter, {})
            found |= {f"{key}/{name}": value for key, value in state.items()}
        return found

    def restore(self, stored: dict[str, Tensor]) -> None:
        """Copy what `tensors` gave, from here or from a file. Raises KeyError for a missing name.

        Copies keep this network's memory layout: another one rounds differently.
        """
        moments: dict[str, dict[str, Tensor]] = {name: {} for name in self.names}
        for path, value in stored.items():
            key, _, name = path.partition("/")
            if name in moments and key not in ("weight", "average"):
                moments[name][key] = value
        with torch.no_grad():
            for name, buffer in self.buffers.items():
                buffer.copy_(stored[f"buffer/{name}"])
            for name, parameter, mean in zip(
                self.names, self.parameters, self.average, strict=True
            ):
                parameter.copy_(stored[f"weight/{name}"])
                mean.copy_(stored[f"average/{name}"])
                self._remember(parameter, moments[name])

    def _remember(self, parameter: nn.Parameter, moments: dict[str, Tensor]) -> None:
        """Give the optimiser its memory of a parameter; none from before the first update."""
        if not moments:
            self.optimiser.state.pop(parameter, None)
            return
        state = self.optimiser.state[parameter]
        for key, value in moments.items():
            if key not in state:
                like = parameter if value.shape == parameter.shape else value
                state[key] = torch.empty_like(like, requires_grad=False)
            state[key].copy_(value)


def _groups(
    trained: dict[str, nn.Parameter], rates: tuple[tuple[str, float], ...]
) -> Iterator[dict[str, Any]]:
    """The optimiser's groups: parameters with the same factor of the rate."""
    factors = {
        name: next((factor for start, factor in rates if name.startswith(start)), 1.0)
        for name in trained
    }
    for factor in dict.fromkeys(factors.values()):
        yield {"params": [p for n, p in trained.items() if factors[n] == factor], "factor": factor}


def fitting(stored: dict[str, Tensor], before: str, now: str) -> dict[str, Tensor]:
    """Stored tensors that an optimiser can continue from: moments of another one are dropped."""
    if before == now or {before, now} <= ADAMS:
        return stored
    kept = ("weight", "average", "buffer")
    return {name: value for name, value in stored.items() if name.partition("/")[0] in kept}
