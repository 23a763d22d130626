"""`contract/shrinkage.py` as tensors: what is removed, as far as it follows noise."""

import torch
from torch import Tensor

from f2rcli.engine.contract.limits import LEAST
from f2rcli.engine.contract.shrinkage import LEAST_CERTAIN, MIDDLES, NEARLY, STEPS, WHOLE, WINDOW
from f2rcli.engine.gpu.filters import box, power_around


def shrunk(
    removed: Tensor, variance: Tensor, tables: Tensor, texture: float | None, still: Tensor | None
) -> Tensor:
    """The part of what is removed from a group (P, H, W) that follows noise; see `Shrinkage.shrunk`
    and `contract.residual._shrunk`.

    tables (P, STEPS): `Shrinkage.table` of every plane; texture: variance in that of the first one,
    None in groups of chroma; still (P, H, W): frames that places have stood still for.
    """
    if texture is not None:
        sure = (1 - texture / variance[:1].mean().clamp_min(LEAST)).clamp_min(LEAST_CERTAIN)
        tables = torch.cat([tables[:1] * sure, tables[1:]])
    steep = NEARLY + (tables - NEARLY) * ((1 - NEARLY) / (WHOLE - NEARLY))
    tables = torch.maximum(tables, steep).clamp_max_(1)
    place = power_around(removed, WINDOW) / box(variance, WINDOW).clamp_min_(LEAST)
    place = place.mul_((STEPS - 1) / MIDDLES[-1]).clamp_max_(STEPS - 1).long()
    share = box(tables.gather(1, place.flatten(1)).view_as(removed), WINDOW)
    less = share * removed
    return less if still is None else removed + (less - removed) / still
