"""Sampling along optical flow as tensors, on any device: `flow.py` does it with OpenCV.

Flows are (B, H, W, 2) float32 in pixels, dx then dy, of B pairs of pictures at once; pictures and
maps are (B, C, H, W). Functions of the same name in `flow.py` mean the same.
"""

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.constants import constant

Shifts = Tensor  # (B, H, W, 2)

TAPS = 9  # of a blur by one pixel, as OpenCV cuts it off for floats


def halved(luma: Tensor) -> Tensor:
    """Pictures (B, 1, H, W) as flow looks at them: blurred by a pixel, half of both sizes."""
    return half(_blurred(luma))


def half(x: Tensor) -> Tensor:
    """Means over cells of 2x2 pixels: (B, C, H, W) -> half of both sizes, rounded up."""
    rows, columns = (size % 2 for size in x.shape[-2:])
    if rows or columns:
        x = functional.pad(x, (0, columns, 0, rows), "replicate")
    return functional.avg_pool2d(x, 2)


def doubled(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Maps (B, C, h, w) of half the size on pictures of this shape (H, W)."""
    whole = functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    return whole[..., : shape[-2], : shape[-1]]


def doubled_flow(flow: Shifts, shape: tuple[int, ...]) -> Shifts:
    """Flows of half the size in the pixels of pictures of this shape (H, W)."""
    return doubled(flow.permute(0, 3, 1, 2), shape).permute(0, 2, 3, 1) * 2


def landing(flow: Shifts) -> Shifts:
    """Where every pixel p lands, p + flow(p): x, then y."""
    return _grid(flow.shape[1], flow.shape[2], flow.device) + flow


def sample(values: Tensor, flow: Shifts, mode: str = "bilinear") -> Tensor:
    """Backward warp of (B, C, H, W); outside the picture its edge goes on."""
    grid = landing(flow)
    for axis, size in enumerate((flow.shape[2], flow.shape[1])):  # in place: -1 to 1
        grid[..., axis].mul_(2 / max(size - 1, 1)).sub_(1)
    return functional.grid_sample(values, grid, mode, "border", align_corners=True)


def followed(flow: Shifts, by: Shifts) -> Shifts:
    """Flows where others lead."""
    return sample(flow.permute(0, 3, 1, 2), by).permute(0, 2, 3, 1)


def median(x: Tensor) -> Tensor:
    """The lower median along the last axis. On a GPU by sorting, which takes all of it, where
    torch's own gives a whole row to one of its processors."""
    if x.device.type == "cpu":
        return x.median(-1).values
    return x.sort(-1).values[..., (x.shape[-1] - 1) // 2]


def _blurred(luma: Tensor) -> Tensor:
    reach = TAPS // 2
    weights = _gaussian(luma.device)
    wide = functional.pad(luma, (reach,) * 4, "reflect")
    rows = functional.conv2d(wide, weights.view(1, 1, TAPS, 1))
    return functional.conv2d(rows, weights.view(1, 1, 1, TAPS))


@constant(8)
def _gaussian(device: torch.device) -> Tensor:
    places = torch.arange(TAPS, device=device, dtype=torch.float32) - TAPS // 2
    weights = (-0.5 * places.square()).exp()
    return weights / weights.sum()


@constant(16)
def _grid(height: int, width: int, device: torch.device) -> Tensor:
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], -1)[None]
