"""Neighbours in packed planes brought onto the centre's grid by flows between cells, and rated.

A flow (h, w, 2) float32 lies on the grid of cells and counts them, dx then dy: cell p of the centre
shows what the neighbour shows at p + flow(p). Each plane is sampled on its own grid.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models import motion
from f2rcli.models.constants import kept
from f2rcli.models.flow import Flow, landing
from f2rcli.models.layers import inner_mean
from f2rcli.models.planar import NEAR, Neighbours
from f2rcli.planes import Layout, gathered, spread

MAPS = Layout("map", ((1, 1),))  # of one value a cell
MISMATCH_FLOOR = 2e-3  # half an 8-bit code: coarse frames never agree better than that
MISMATCH_ALLOWED = 3.0  # times the frame's median mismatch; beyond it confidence falls


def warped(layout: Layout, packed: Sequence[Tensor], flow: Flow | Tensor) -> list[Tensor]:
    """Pictures ([B,] C, h, w) where a flow leads, by cubic interpolation of their planes, without
    gradients: with OpenCV by a flow that is an array, for one picture each on the processor; else
    on the pictures' device."""
    planes = [plane for one in packed for plane in spread(layout, one.detach())]
    if not isinstance(flow, Tensor) and planes[0].device.type != "cpu":  # of a device without CUDA
        flow = torch.from_numpy(flow)[None].to(planes[0].device)
    count, moved = len(layout.planes), list(planes)
    for step in dict.fromkeys(layout.planes):
        places = [i for i in range(len(planes)) if layout.planes[i % count] == step]
        chosen = [planes[i] for i in places]
        made = _on_device(chosen, flow, step) if isinstance(flow, Tensor) else (
            _by_opencv(chosen, flow, step))  # fmt: skip
        for i, one in zip(places, made, strict=True):
            moved[i] = one
    return [gathered(layout, moved[i : i + count]) for i in range(0, len(moved), count)]


def _by_opencv(planes: Sequence[Tensor], flow: Flow, step: tuple[int, int]) -> list[Tensor]:
    """Planes ([1,] H, W) with so many samples in a cell, moved by a flow between cells: one by one,
    as OpenCV takes longer for two at once than for each."""
    rows, columns = step
    if step != (1, 1):
        flow = np.asarray(cv2.resize(flow, (columns * flow.shape[1], rows * flow.shape[0])))
        for axis, scale in enumerate((columns, rows)):
            flow[..., axis] *= scale
    places, moved = landing(flow), []
    for plane in planes:
        values = plane.view(plane.shape[-2:]).numpy()
        found = cv2.remap(values, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]  # None is allowed
        moved.append(torch.from_numpy(found).view(*plane.shape[:-2], *found.shape))
    return moved


def _on_device(planes: Sequence[Tensor], flow: Tensor, step: tuple[int, int]) -> list[Tensor]:
    """The same of planes (B, H, W) by flows (B, h, w, 2) on a device."""
    rows, columns = step
    if step != (1, 1):
        wide = functional.interpolate(
            flow.permute(0, 3, 1, 2), scale_factor=step, mode="bilinear", align_corners=False
        )
        flow = (wide * kept((columns, rows), wide).view(1, 2, 1, 1)).permute(0, 2, 3, 1)
    return list(motion.sample(torch.stack(list(planes), 1), flow, "bicubic").unbind(1))


def rated(coarse: Tensor, reference: Tensor, typical: Tensor | None = None) -> Tensor:
    """How well warped coarse neighbours (B, N, C, h, w) match what they should look like, (B, C,
    h, w): (B, N, 1, h, w), 1 where as well as most of the picture does, towards 0 where they show
    something else."""
    mismatch = inner_mean((coarse - reference.unsqueeze(1)).abs().mean(2), NEAR)
    if typical is None:
        typical = motion.median(mismatch[..., ::2, ::2].flatten(1))
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
