"""RGB weights as the start of gray networks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from f2rcli.frames import Space
from f2rcli.training.methods.base import TrainingContext

Narrowed = Callable[[Tensor, torch.Size], Tensor]


def with_gray_start(
    context: TrainingContext, build: Callable[[dict[str, Any]], nn.Module], narrowed: Narrowed
) -> TrainingContext:
    """The context of a run; where gray networks begin from RGB weights, with these made gray.

    build: the method's networks of one channel, from the weights' configuration; narrowed: a tensor
    of the RGB weights, in float32, in the shape that it has there.
    """
    start = context.start
    gray = context.config.space == Space.GRAY.value
    if start is None or start.header.channels != 3 or not gray:
        return context
    own = build(start.header.config).state_dict()
    tensors = {n: narrowed(t.float(), own[n].shape) for n, t in start.tensors.items()}
    header = replace(start.header, space=Space.GRAY, channels=1, order="Y")
    return replace(context, start=replace(start, tensors=tensors, header=header))
