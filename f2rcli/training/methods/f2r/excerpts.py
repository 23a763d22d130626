"""Pieces of shots with windows as the pipeline aligned them, and crops warped from those.

Coarse frames and flows cost more than a training step on a crop: they are made once, by the
pipeline's own code, and neighbours are warped onto crops on the fly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.methods.f2r.alignment import mismatches, typical_mismatch
from f2rcli.models.flow import Flow
from f2rcli.models.memory import Memory
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage.windows import channels_last
from f2rcli.window import Window

CELL = 2  # DIS flow with finest scale 1 holds nothing finer than 2 pixels
StoredPictures = NDArray[np.float16]  # (T, H, W, C)


class PastMemory(NamedTuple):
    """Everything up to a frame, on its grid; see Memory."""

    noisy: NDArray[np.float16]  # (H, W, C)
    coarse: NDArray[np.float16]
    worth: NDArray[np.float16]  # (H, W, 1), frames

    @classmethod
    def of(cls, memory: Memory) -> "PastMemory":
        """The memory (1, C, H, W) as training stores it."""
        return cls(*(stored([part])[0] for part in (memory.noisy, memory.coarse, memory.count)))


def stored(pictures: Sequence[torch.Tensor]) -> NDArray[np.float16]:
    """Pictures (1, C, H, W) as (T, H, W, C)."""
    return np.concatenate([channels_last(p) for p in pictures]).astype(np.float16)


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """One centre: (H, W, C) pictures in 0..1, and its window as the pipeline aligned it."""

    noisy: NDArray[np.float16]  # what the networks are shown
    coarse: NDArray[np.float16]
    target: NDArray[np.float16]
    neighbours: NDArray[np.int16]  # (N,), places in the excerpt
    flows: NDArray[np.float16]  # (N, H/2, W/2, 2), pixels
    agreement: NDArray[np.uint8]  # (N, H/2, W/2)
    past: PastMemory | None  # in place of the first neighbour; None: nothing before the centre
    typical: float
    conditioned_on: NoiseModel | None
    # (H, W, C): sigma of the target's noise where the file's range cut it off, so that its mean is
    # not the clean value but `clipped_mean` of it; None: nothing is cut off
    cut: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class WindowCrop:
    """One training sample, (H, W, C) and (N, H, W, C) float32."""

    clean: NDArray[np.float32]
    noisy: NDArray[np.float32]
    coarse: NDArray[np.float32]
    warped_noisy: NDArray[np.float32]
    warped_coarse: NDArray[np.float32]
    agreement: NDArray[np.float32]  # (N, H, W, 1), times the frames a memory is worth
    typical: float
    conditioned_on: NoiseModel | None
    cut: NDArray[np.float32] | None = None  # (H, W, C): see TrainingPair


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a shot that pairs are taken from; so is a clip that was stored."""

    noisy: StoredPictures
    coarse: StoredPictures
    pairs: tuple[TrainingPair, ...]

    def crop(self, pair: TrainingPair, top: int, left: int, height: int, width: int) -> WindowCrop:
        """Part of a pair with its neighbours warped onto it; sides are multiples of 8."""
        part = slice(top, top + height), slice(left, left + width)
        shown = [(self.noisy[n], self.coarse[n]) for n in pair.neighbours]
        noisy, coarse, agreement = _warped_neighbours(shown, pair, (top, left, height, width))
        return WindowCrop(
            pair.target[part].astype(np.float32),
            pair.noisy[part].astype(np.float32),
            pair.coarse[part].astype(np.float32),
            noisy,
            coarse,
            agreement,
            pair.typical,
            pair.conditioned_on,
            None if pair.cut is None else pair.cut[part].astype(np.float32),
        )

    def draw(self, pair: TrainingPair, size: int, rng: np.random.Generator) -> WindowCrop:
        """A square part of a pair at random."""
        top, left = (int(rng.integers((n - size) // CELL + 1)) * CELL for n in pair.noisy.shape[:2])
        return self.crop(pair, top, left, size, size)


def _warped_neighbours(
    pictures: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    pair: TrainingPair,
    box: tuple[int, int, int, int],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Noisy and coarse pictures of each neighbour, warped onto a crop, and how far to trust them.

    box: top, left, height, width of the crop -> (N, H, W, C) twice, in the pictures' own units, and
    (N, H, W, 1) in 0..1, times what the past is worth.
    """
    past, flows = pair.past, [_upsampled(cells, *box) for cells in pair.flows]
    shown = pictures if past is None else [past[:2], *pictures[1:]]
    noisy, coarse = (
        np.stack([_warped(one, flow, *box[:2]) for one, flow in zip(side, flows, strict=True)])
        for side in zip(*shown, strict=True)
    )
    trust = np.stack([_upsampled(cells, *box) for cells in pair.agreement])[..., None]
    trust /= np.float32(255)
    if past is not None:
        trust[0] *= np.maximum(_warped(past.worth, flows[0], *box[:2]), 1)
    return noisy, coarse, trust


def describe(
    method: F2R, window: Window[Prepared], memory: Memory | None
) -> tuple[NDArray[np.float16], NDArray[np.uint8], float]:
    """Flows to the neighbours and their agreement, per cell, and the window's median mismatch."""
    centre, neighbours = window.centre, window.neighbours
    method.flows.forget_before(min(centre.index, neighbours[0].index))
    rated = list(method.rated(window))
    aligned = method.align(window, rated, memory)
    flows, agreement = [], []
    for flow, agree in rated:
        flows.append(_cells(flow).astype(np.float16))
        agreement.append(np.rint(255 * _cells(agree)).astype(np.uint8))
    typical = float(typical_mismatch(mismatches(aligned.coarse, centre.coarse))[0])
    return np.stack(flows), np.stack(agreement), typical


def _cells(values: Flow) -> Flow:
    """Means over cells of 2x2 pixels."""
    rows, columns = (-size % CELL for size in values.shape[:2])
    pad = [(0, rows), (0, columns)] + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, pad, mode="edge")
    size = (padded.shape[1] // CELL, padded.shape[0] // CELL)
    cells: Flow = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # float32 stays
    return cells


def _upsampled(
    cells: NDArray[Any], top: int, left: int, height: int, width: int
) -> NDArray[np.float32]:
    """The part of a cell map that covers a crop, at full size."""
    rows = np.clip(np.arange(top // CELL - 1, (top + height) // CELL + 1), 0, cells.shape[0] - 1)
    columns = np.clip(
        np.arange(left // CELL - 1, (left + width) // CELL + 1), 0, cells.shape[1] - 1
    )
    part = cells[rows[:, None], columns].astype(np.float32)
    full: Any = cv2.resize(part, None, fx=CELL, fy=CELL, interpolation=cv2.INTER_LINEAR)
    cropped: NDArray[np.float32] = full[CELL:-CELL, CELL:-CELL]
    return cropped


def _warped(frame: NDArray[Any], flow: Flow, top: int, left: int) -> NDArray[np.float32]:
    """Backward-warp a crop out of a whole frame, reading only the part that is needed."""
    height, width = frame.shape[:2]
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    x, y = columns + left + flow[..., 0], rows + top + flow[..., 1]
    x0, x1 = _span(x, width)
    y0, y1 = _span(y, height)
    part = np.ascontiguousarray(frame[y0:y1, x0:x1], np.float32)
    moved: Any = cv2.remap(part, x - x0, y - y0, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.atleast_3d(np.asarray(moved, np.float32))


def _span(positions: NDArray[np.float32], size: int) -> tuple[int, int]:
    low = int(np.clip(np.floor(positions.min()) - 2, 0, size - 1))
    return low, int(np.clip(np.ceil(positions.max()) + 3, low + 1, size))
