"""Weights of one frame as the start of networks of three."""

from dataclasses import replace

import torch
from torch import Tensor

from f2rcli.training.methods.base import TrainingContext
from f2rcli.weights import Weights

PICTURES = ("first.unet.first.0.weight", "first.unet.last.0.weight")  # what sees them


def with_more_frames(context: TrainingContext) -> TrainingContext:
    """The context of a run; weights of one frame are spread over three if windows have three."""
    start = context.start
    if start is None or (start.header.length, context.config.length) != (1, 3):
        return context
    return replace(context, start=spread(start))


def spread(start: Weights) -> Weights:
    """Weights of one frame for three: equal frames give what one gave."""
    header = replace(start.header, length=3)
    tensors = dict(start.tensors)
    for name in PICTURES:
        tensors[name] = _thrice(tensors[name].float(), header.channels)
    return Weights(start.name, header, tensors)


def _thrice(weight: Tensor, channels: int) -> Tensor:
    """A convolution whose last inputs are a picture's, of three pictures in its place."""
    return torch.cat([weight[:, :-channels], *[weight[:, -channels:] / 3] * 3], 1)
