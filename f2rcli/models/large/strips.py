"""The input of a U-Net, computed in strips of rows: its many pictures are the most memory of all.

Only where pictures are large, on a processor, and no gradient is wanted; elsewhere in one piece.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from f2rcli.models.layers import SHUFFLE, folds, leaves, mapped

PIXELS = 2**19  # of a strip, at most: half as many take a tenth more time


class Span(NamedTuple):
    """A part of one side of a picture."""

    read: slice  # of the picture, with reach on either side
    keep: slice  # of the picture, without
    inner: slice  # of what comes out: where `keep` lies in it


def spans(size: int, part: int, reach: int) -> Iterator[Span]:
    """A side of `size` pixels in parts, the last of which may be smaller."""
    for start in range(0, size, part):
        stop = min(start + part, size)
        low, high = max(start - reach, 0), min(stop + reach, size)
        yield Span(slice(low, high), slice(start, stop), slice(start - low, stop - low))


def even(size: int, most: int, stride: int) -> int:
    """The size of parts, a multiple of the stride, of which as few as of `most` pixels cover a
    picture's side, all of much the same size: the largest takes the least memory."""
    count = -(-size // most)
    return -(-size // (count * stride)) * stride


def in_strips(
    run: Callable[..., tuple[Tensor, ...]], reach: int, *inputs: Any
) -> tuple[Tensor, ...]:
    """What `run` makes of inputs (..., H, W), H even, or tuples of them: tensors of their size or
    half of it, that depend on no more than `reach` rows above and below."""
    height, width = next(leaves(inputs)).shape[-2:]
    most = max(PIXELS // width // SHUFFLE, 1) * SHUFFLE
    if height <= most or not folds(next(leaves(inputs))):
        return run(*inputs)
    reach = -(-reach // SHUFFLE) * SHUFFLE
    whole: list[Tensor] = []
    for rows in spans(height, even(height, most, SHUFFLE), reach):
        parts = run(*mapped(inputs, lambda x: x[..., rows.read, :]))  # noqa: B023  # used at once
        if not whole:
            whole = [_grown(part, height * part.shape[-1] // width) for part in parts]
        for full, part in zip(whole, parts, strict=True):
            step = width // part.shape[-1]
            keep, inner = (slice(s.start // step, s.stop // step) for s in (rows.keep, rows.inner))
            full[..., keep, :] = part[..., inner, :]
        del part, parts
    return tuple(whole)


def _grown(part: Tensor, height: int) -> Tensor:
    """An empty tensor like a part's whole, in the same order."""
    shape = (*part.shape[:-2], height, part.shape[-1])
    last = part.dim() == 4 and part.is_contiguous(memory_format=torch.channels_last)
    kind = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=part.dtype, memory_format=kind)
