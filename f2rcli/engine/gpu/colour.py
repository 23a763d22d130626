"""`yuv.py` as tensors: codes of groups of planes, their values, and the picture of these."""

import torch
from torch import Tensor

from f2rcli.frames import Family, PlaneLayout
from f2rcli.models.recorded import as_constant
from f2rcli.yuv import coarser, code_span, matrices

Groups = list[Tensor]  # (P, H, W) each: luma or all planes, then chroma


def decoded(codes: Groups, layout: PlaneLayout) -> Groups:
    """Codes of groups in units of each plane; see `yuv.decoded`."""
    found = []
    for kind, group in enumerate(codes):
        zero, span = code_span(layout, chroma=kind > 0)
        found.append(_unsigned(group).float().sub_(zero).mul_(1 / span))
    return found


def encoded(codes: Groups, changes: Groups, layout: PlaneLayout) -> Groups:
    """New codes: those of groups plus a change of each in its units, rounded once and clipped."""
    if layout.float_samples:
        return [group + change for group, change in zip(codes, changes, strict=True)]
    found = []
    for kind, (group, change) in enumerate(zip(codes, changes, strict=True)):
        _, span = code_span(layout, chroma=kind > 0)
        moved = (change * span).round_().int().add_(_unsigned(group))
        found.append(moved.clamp_(0, 2**layout.bits - 1).to(group.dtype))
    return found


def _unsigned(group: Tensor) -> Tensor:
    """torch knows few operations on uint16, so its samples travel as int16."""
    return group.int() & 0xFFFF if group.dtype is torch.int16 else group


def to_rgb(groups: Groups, layout: PlaneLayout) -> Tensor:
    """The picture (1, C, H, W) of decoded groups."""
    if layout.family is not Family.YUV:
        return groups[0][None]
    luma, chroma = groups
    whole = torch.cat([luma, _upsample(chroma, luma.shape[-2:], layout)])
    return _mix(matrices(layout.matrix)[0], whole)[None]


def _mix(matrix: object, planes: Tensor) -> Tensor:
    rows = tuple(float(weight) for row in matrix for weight in row)  # type: ignore[attr-defined]  # (3, 3)
    weights = as_constant(rows, planes).view(3, 3)
    return (weights @ planes.flatten(1)).view_as(planes)


def _stretch(values: Tensor, axis: int, factor: int, site: float, size: int) -> Tensor:
    """See `yuv._stretch`: sample i of `values` lies at factor * i + site."""
    count = values.shape[axis]
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, count - 1, 1)
    phases = []
    for phase in range(factor):
        offset = (phase - site) / factor
        if not offset:
            phases.append(values)
            continue
        inner = values.narrow(axis, int(offset > 0), count - 1)
        other = torch.cat([inner, last] if offset > 0 else [first, inner], axis)
        phases.append(values.lerp(other, abs(offset)))
    whole = torch.stack(phases, axis).flatten(axis - 1, axis)
    if whole.shape[axis] < size:  # a bottom field may lack the last cell
        whole = torch.cat([whole, *[last] * (size - whole.shape[axis])], axis)
    return whole.narrow(axis, 0, size)


def _upsample(chroma: Tensor, size: torch.Size, layout: PlaneLayout) -> Tensor:
    for axis, factor, site in coarser(layout):
        chroma = _stretch(chroma, axis - 2, factor, site, size[axis])
    return chroma
