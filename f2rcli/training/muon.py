"""Muon: orthogonalised momentum for convolutions, Adam for everything that is not a matrix.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the step
size of Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982), section 2.2. Measured
here on the coarse denoiser (DESIGN.md D16): the loss that AdamW reaches in 5,500 steps takes 1,000.
"""

from collections.abc import Iterable
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor

ROUNDS = 5  # of the Newton-Schulz iteration
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of its quintic: singular values end in about 0.7..1.2
SHARE = 0.2  # root mean square of an update per unit of learning rate, as Adam's would be
ADAM_RATE = 0.1  # of the learning rate, for vectors and scalars
MOMENTUM, BETAS = 0.95, (0.9, 0.99)


class Muon(torch.optim.Optimizer):
    """Updates every convolution by its momentum's nearest (semi-)orthogonal matrix.

    A weight (O, I, K, K) counts as a matrix (O, I K K). Learning rates are about three times
    AdamW's. Other parameters take Adam steps at a tenth of the rate.
    """

    # The first call of torch's own imports its compiler, which nothing here uses: 1.5 s.
    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)

    def __init__(self, parameters: Iterable[Tensor], lr: float = 2e-3) -> None:
        super().__init__(parameters, {"lr": lr})
        for parameter in self.param_groups[0]["params"]:
            names = ("momentum",) if parameter.ndim > 1 else ("exp_avg", "exp_avg_sq")
            self.state[parameter] = {name: torch.zeros_like(parameter) for name in names}
            if parameter.ndim <= 1:
                self.state[parameter]["step"] = torch.zeros(())

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # nothing calls it with a closure
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                turn = self._turn if parameter.ndim > 1 else self._adam
                turn(parameter, parameter.grad, self.state[parameter], group["lr"])

    def _turn(self, weight: Tensor, gradient: Tensor, state: dict[str, Any], rate: float) -> None:
        mean = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        ahead = torch.lerp(gradient, mean, MOMENTUM)  # Nesterov's look ahead
        matrix = ahead.reshape(len(ahead), -1)
        change = orthogonalised(matrix).reshape(weight.shape)
        scale = SHARE * float(max(matrix.shape)) ** 0.5
        weight.add_(change, alpha=-rate * scale)

    def _adam(self, bias: Tensor, gradient: Tensor, state: dict[str, Any], rate: float) -> None:
        first, second = BETAS
        state["step"] += 1
        mean = state["exp_avg"].lerp_(gradient, 1 - first)
        power = state["exp_avg_sq"].lerp_(gradient.square(), 1 - second)
        count = float(state["step"])
        root = (power / (1 - second**count)).sqrt() + 1e-8
        bias.addcdiv_(mean, root, value=-ADAM_RATE * rate / (1 - first**count))


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest matrix (m, n) whose singular values are all about one, by Newton and Schulz; of
    several at once (K, m, n) each."""
    a, b, c = COEFFICIENTS
    # A processor without bf16 takes twelve times as long in it: half of a training step.
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrix.dtype)
