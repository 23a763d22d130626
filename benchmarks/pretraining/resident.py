"""Precomputed clips that stay on a device, and batches of crops gathered there.

The same batches as `collated` makes of `Excerpt.draw`, without leaving the device: pieces of
neighbours are warped onto crops by the flows and agreements that `precompute` stored.
"""

import json
import time
from pathlib import Path
from threading import Event

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from f2rcli.methods.f2r.alignment import photometric
from f2rcli.models.fusion import Aligned, smooth
from f2rcli.training.methods.f2r.stages import FusionBatch

SIZE, FRAMES, NEIGHBOURS, CROP = 176, 20, 6, 96
PICTURES = ("noisy", "clean", "coarse", "memory_noisy", "memory_coarse")
PARTS = (*PICTURES, "count", "neighbours", "flows", "agreement", "typical")
LOSING = 0.1  # share of crops that lose some of their neighbours, as in short shots


class Ring:
    """So many clips on a device; a new one takes the place of the oldest."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.count, self.total = count, 0
        frames, half = count * FRAMES, SIZE // 2

        def room(*shape: int, dtype: torch.dtype = torch.float16) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self.parts = {name: room(frames, SIZE, SIZE, 3) for name in PICTURES}
        self.parts["count"] = room(frames, SIZE, SIZE, 1)
        self.parts["flows"] = room(frames, NEIGHBOURS, half, half, 2)
        self.parts["agreement"] = room(frames, NEIGHBOURS, half, half, dtype=torch.uint8)
        self.parts["neighbours"] = room(frames, NEIGHBOURS, dtype=torch.int64)
        self.parts["typical"] = room(frames, dtype=torch.float32)
        self.gain, self.read = (room(count, 3, dtype=torch.float32) for _ in range(2))

    @property
    def filled(self) -> int:
        return min(self.total, self.count)

    def add(self, header: Path) -> None:
        """Take in a clip that `precompute` stored; one of another size is passed over."""
        facts = json.loads(header.read_text()) or {"gain": [0.0] * 3, "read": [0.0] * 3}
        base = header.with_suffix("")
        arrays = {name: np.load(f"{base}.{name}.npy") for name in PARTS}
        if arrays["noisy"].shape != (FRAMES, SIZE, SIZE, 3):
            return
        slot = self.total % self.count
        for name, values in arrays.items():
            kept = self.parts[name][slot * FRAMES : (slot + 1) * FRAMES]
            kept.copy_(torch.from_numpy(np.ascontiguousarray(values)))
        self.gain[slot].copy_(torch.tensor(facts["gain"]))
        self.read[slot].copy_(torch.tensor(facts["read"]))
        self.total += 1

    def follow(self, folder: Path, stop: Event, most: int | None = None) -> None:
        """Take in clips as they appear, and delete them; the first `most` alone, which stay."""
        seen: set[Path] = set()
        while not stop.is_set() and (most is None or len(seen) < most):
            for header in sorted(folder.glob("*.json")):
                if header in seen or (most is not None and len(seen) >= most):
                    continue
                self.add(header)
                seen.add(header)
                if most is None:
                    header.unlink()
                    for part in folder.glob(f"{header.stem}.*.npy"):
                        part.unlink()
            time.sleep(0.3)


def draw_plan(rng: np.random.Generator, batch: int, clips: int) -> NDArray[np.int64]:
    """Random crops (B, 5 + NEIGHBOURS): clip, frame, top, left, turn, 1 for each lost neighbour."""
    plan = np.zeros((batch, 5 + NEIGHBOURS), np.int64)
    plan[:, 0] = rng.integers(clips, size=batch)
    plan[:, 1] = rng.integers(FRAMES, size=batch)
    plan[:, 2:4] = 2 * rng.integers((SIZE - CROP) // 2 + 1, size=(batch, 2))
    plan[:, 4] = rng.integers(8, size=batch)
    for sample in np.flatnonzero(rng.random(batch) < LOSING):
        lost = rng.permutation(NEIGHBOURS)[: rng.integers(1, NEIGHBOURS)]
        plan[sample, 5 + lost] = 1
    return plan


def gathered(ring: Ring, plan: Tensor) -> FusionBatch:
    """The batch of a plan on the ring's device; nothing is asked of the device."""
    clip, frame, top, left, turn = plan[:, :5].unbind(1)
    parts, batch, at = ring.parts, len(plan), clip * FRAMES + frame
    steps = torch.arange(CROP, device=plan.device)
    rows, columns = top[:, None] + steps, left[:, None] + steps
    crop = at[:, None, None], rows[:, :, None], columns[:, None, :]
    centre = [parts[n][crop].float().permute(0, 3, 1, 2) for n in ("clean", "noisy", "coarse")]

    places = parts["neighbours"][at]
    near = clip[:, None] * FRAMES + places
    shown = torch.cat([parts["noisy"][near], parts["coarse"][near]], -1)  # (B, N, H, W, 6)
    past = (places[:, 0] <= frame).view(batch, 1, 1, 1)
    oldest = near[:, 0]
    memory = torch.cat([parts["memory_noisy"][oldest], parts["memory_coarse"][oldest]], -1)
    shown[:, 0] = torch.where(past, memory, shown[:, 0])

    flow = _cells(parts["flows"], at, top, left)
    flow = _enlarged(flow.flatten(0, 1).permute(0, 3, 1, 2)).view(batch, -1, 2, CROP, CROP)
    x, y = columns[:, None, None, :] + flow[:, :, 0], rows[:, None, :, None] + flow[:, :, 1]
    grid = torch.stack([x, y], -1) * (2 / (SIZE - 1)) - 1  # (B, N, CROP, CROP, 2)
    warped = _warped(shown.flatten(0, 1), grid.flatten(0, 1))
    worth = _warped(parts["count"][oldest], grid[:, 0]).clamp_min(1)
    agreement = _enlarged(_cells(parts["agreement"], at, top, left)) / 255
    first = agreement[:, :1] * torch.where(past, worth, torch.ones_like(worth))
    agreement = torch.cat([first, agreement[:, 1:]], 1)

    every = torch.cat([*centre, warped.view(batch, -1, CROP, CROP), agreement], 1)
    clean, noisy, coarse, warped, agreement = _turned(every, turn).split([3, 3, 3, 36, 6], 1)
    warped_noisy, warped_coarse = warped.view(batch, NEIGHBOURS, 6, CROP, CROP).split(3, 2)
    gain, read = (one[clip].view(-1, 3, 1, 1) for one in (ring.gain, ring.read))
    level = (gain * smooth(coarse).clamp(0, 1) + read**2).sqrt()
    match = photometric(warped_coarse, coarse, parts["typical"][at])
    kept = (1 - plan[:, 5:].float()).view(batch, NEIGHBOURS, 1, 1, 1)
    aligned = Aligned(warped_noisy, warped_coarse, agreement[:, :, None] * match * kept)
    return FusionBatch(clean, noisy, coarse, level, aligned)


def _cells(values: Tensor, at: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """The cells of 2x2 pixels (F, N, H / 2, W / 2, ...) that crops cover, and one more around."""
    steps = torch.arange(CROP // 2 + 2, device=at.device) - 1
    rows, columns = ((one[:, None] // 2 + steps).clamp(0, SIZE // 2 - 1) for one in (top, left))
    neighbours = torch.arange(NEIGHBOURS, device=at.device)[None, :, None, None]
    where = rows[:, None, :, None], columns[:, None, None, :]
    return values[at[:, None, None, None], neighbours, *where].float()


def _enlarged(cells: Tensor) -> Tensor:
    """(B, K, r, c) at twice the size, without the outermost cells."""
    full = functional.interpolate(cells, scale_factor=2, mode="bilinear", align_corners=False)
    return full[..., 2:-2, 2:-2]


def _warped(pictures: Tensor, grid: Tensor) -> Tensor:
    """Pictures (B, H, W, C) at places (B, h, w, 2) in -1..1: (B, C, h, w)."""
    planes = pictures.float().permute(0, 3, 1, 2).contiguous()
    return functional.grid_sample(
        planes, grid, mode="bicubic", padding_mode="border", align_corners=True
    )


def _turned(pictures: Tensor, code: Tensor) -> Tensor:
    """Every picture (B, C, H, W) in one of eight turns: see `dihedral`."""
    changes = (lambda p: p.flip(-2), lambda p: p.flip(-1), lambda p: p.transpose(-1, -2))
    for bit, change in enumerate(changes):
        wanted = ((code >> bit) & 1).bool().view(-1, 1, 1, 1)
        pictures = torch.where(wanted, change(pictures), pictures)
    return pictures
