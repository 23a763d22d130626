"""A dim stack through sums of its frames: each frame gets what they show, under the contract."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from f2rcli.engine.contract.limits import SPARSE
from f2rcli.engine.contract.means import Real
from f2rcli.engine.contract.residual import FrameContext, Past
from f2rcli.engine.dim.missed import LENGTHS, missed
from f2rcli.engine.dim.sums import Copies, Estimated, Shown
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import NoiseTracker
from f2rcli.noise.model import planes_of
from f2rcli.yuv import code_span

REACH = max(LENGTHS) - 1  # frames before and after one, that tell what it misses


class Looked(NamedTuple):
    """A picture with its estimate, and what that misses: planes (H, W) in units of white."""

    shown: Shown
    estimate: Real
    missed: Real


def written(
    estimates: Iterable[Estimated], engine: Engine, noise: NoiseTracker
) -> Iterator[Copies]:
    """Every picture with its estimate, as far as the residual contract allows; its copies are as
    they were but for their samples."""
    past = Past()
    for row, at in _rows(_looked(one) for one in estimates):
        one = row[at]
        if not at:
            past = Past()
        near = tuple(other.shown.copies[0] for other in (*row[at - 1 : at], *row[at + 1 : at + 2]))
        context = FrameContext(near, (None,) * len(near), past, noise.planes, SPARSE)
        estimate = one.estimate
        if context.noise is not None:
            variance = np.square(context.noise.level(0, estimate))
            estimate = estimate + missed([each.missed for each in row], at, variance)
        yield _with(one.shown, estimate, engine, context)


def _looked(one: Estimated) -> Looked:
    frame = one.shown.copies[0]
    black, span = code_span(frame.layout, chroma=False)
    estimate = np.asarray((one.planes[0] - black) / span, np.float32)
    return Looked(one.shown, estimate, planes_of(frame)[0] - estimate)


def _rows(items: Iterable[Looked]) -> Iterator[tuple[list[Looked], int]]:
    """Each as its place in a row of its shot, with REACH before and after it as far as there are
    so many. The place is 0 for the first of a shot only."""
    row: list[Looked] = []
    at = 0
    for one in items:
        if one.shown.begins:
            yield from ((row, place) for place in range(at, len(row)))
            row, at = [], 0
        row.append(one)
        if len(row) > at + REACH:
            yield row, at
            at += 1
        if at > REACH:
            row, at = row[1:], at - 1
    yield from ((row, place) for place in range(at, len(row)))


def _with(shown: Shown, estimate: Real, engine: Engine, context: FrameContext) -> Copies:
    frame = shown.copies[0]
    change = torch.from_numpy(estimate - planes_of(frame)[0]).to(engine.torch_device)
    done = engine.contract.to_frame(frame, [change], context)
    return [done, *(replace(copy, planes=done.planes) for copy in shown.copies[1:])]
