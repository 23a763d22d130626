"""Muon: orthogonalised momentum.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the step
size of Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982), section 2.2. Measured
here on the coarse denoiser (DESIGN.md D16): the loss that AdamW reaches in 5,500 steps takes 1,000.
"""

from collections.abc import Iterable
from inspect import unwrap

import torch
from torch import Tensor

ROUNDS = 5  # of the Newton-Schulz iteration
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of its quintic: singular values end in about 0.7..1.2
SHARE = 0.2  # root mean square of an update per unit of learning rate, as Adam's would be
VECTORS = 0.1  # of the learning rate, for biases
MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Updates every parameter by its momentum's nearest (semi-)orthogonal matrix.

    A weight (O, I, K, K) counts as a matrix (O, I K K), a bias (O,) as one of a single column.
    Learning rates are about three times AdamW's, and a tenth of that for biases.
    """

    # The first call of torch's own imports its compiler, which nothing here uses: 1.5 s.
    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)

    def __init__(self, parameters: Iterable[Tensor], lr: float = 2e-3) -> None:
        super().__init__(parameters, {"lr": lr})
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["momentum"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # nothing calls it with a closure
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                mean = self.state[parameter]["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
                ahead = torch.lerp(parameter.grad, mean, MOMENTUM)  # Nesterov's look ahead
                matrix = ahead.reshape(len(ahead), -1)
                change = orthogonalised(matrix).reshape(parameter.shape)
                rate = group["lr"] * (1 if parameter.ndim > 1 else VECTORS)
                parameter.add_(change, alpha=-rate * SHARE * float(max(matrix.shape)) ** 0.5)


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
