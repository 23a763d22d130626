"""Neighbours in packed planes brought onto the centre's grid by flows between cells, and rated.

A flow (h, w, 2) float32 lies on the grid of cells and counts them, dx then dy: cell p of the centre
shows what the neighbour shows at p + flow(p). Each plane is sampled on its own grid.
"""

from collections.abc import Sequence
from itertools import groupby

import cv2
import numpy as np
import torch
from torch import Tensor

from f2rcli.models.flow import Flow, landing
from f2rcli.models.planar import NEAR, Neighbours, box
from f2rcli.planes import Layout, gathered, spread

MISMATCH_FLOOR = 2e-3  # half an 8-bit code: coarse frames never agree better than that
MISMATCH_ALLOWED = 3.0  # times the frame's median mismatch; beyond it confidence falls


def warped(layout: Layout, packed: Sequence[Tensor], flow: Flow) -> list[Tensor]:
    """Pictures (C, h, w) where a flow leads, by cubic interpolation of their planes; on the
    processor and without gradients."""
    planes = [plane.numpy() for one in packed for plane in spread(layout, one.detach())]
    steps = layout.planes * len(packed)
    moved: list[torch.Tensor | None] = [None] * len(planes)
    order = sorted(range(len(planes)), key=lambda i: steps[i])
    for (rows, columns), group in groupby(order, key=lambda i: steps[i]):
        places = landing(_at(flow, rows, columns))
        several = list(group)
        for i in range(0, len(several), 3):  # OpenCV takes twice as long for four
            chosen = several[i : i + 3]
            stacked = cv2.merge([planes[j] for j in chosen])
            found = cv2.remap(
                stacked, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )  # type: ignore[call-overload]  # None is allowed
            for j, one in zip(chosen, cv2.split(found), strict=True):
                moved[j] = torch.from_numpy(np.asarray(one, np.float32))
    count = len(layout.planes)
    return [gathered(layout, moved[i : i + count]) for i in range(0, len(moved), count)]


def _at(flow: Flow, rows: int, columns: int) -> Flow:
    """A flow on the grid of a plane with so many samples in a cell, and in them."""
    if rows == columns == 1:
        return flow
    size = (columns * flow.shape[1], rows * flow.shape[0])
    return np.asarray(cv2.resize(flow, size) * np.array([columns, rows], np.float32), np.float32)


def rated(coarse: Tensor, reference: Tensor, typical: Tensor | None = None) -> Tensor:
    """How well warped coarse neighbours (B, N, C, h, w) match what they should look like, (B, C,
    h, w): (B, N, 1, h, w), 1 where as well as most of the picture does, towards 0 where they show
    something else."""
    mismatch = box((coarse - reference.unsqueeze(1)).abs().mean(2), NEAR)
    if typical is None:
        typical = mismatch[..., ::2, ::2].flatten(1).median(1).values
    allowed = MISMATCH_ALLOWED * typical.clamp_min(MISMATCH_FLOOR).view(-1, 1, 1, 1)
    return (1 / (1 + (mismatch / allowed).square())).unsqueeze(2)


def placed(
    noisy: Tensor, coarse: Tensor, agreement: Tensor, worth: Tensor, reference: Tensor
) -> Neighbours:
    """Neighbours that are warped already, (B, N, C, h, w) twice, with the agreement of their flows
    there and back and the frames each is worth, (B, N, 1, h, w); reference: the coarse centre."""
    worth = worth.clamp_min(1)
    confidence = agreement * rated(coarse, reference) * worth
    return Neighbours(noisy, coarse, confidence, worth)
