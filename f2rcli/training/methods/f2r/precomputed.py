"""Windows as the pipeline will meet them: noisy clips, their coarse frames and flows, stored once.

Coarse frames and flows cost more than a training step on a crop, so they are computed for fixed
noise realisations by the pipeline's own code, and crops are warped from them on the fly.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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
from f2rcli.noise.codec import to_unit
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage.windows import channels_first, channels_last
from f2rcli.window import Window, window_at

CELL = 2  # DIS flow with finest scale 1 holds nothing finer than 2 pixels


@dataclass(frozen=True, slots=True)
class NoisyPair:
    """A noisy clip, the clean one, its noise, and whether networks are conditioned on it.

    Pictures (T, H, W, C) are 8-bit codes, or numbers from 0, black, to 1, white.
    """

    noisy: NDArray[Any]
    clean: NDArray[Any]
    noise: NoiseModel
    conditioned: bool = True

    @property
    def conditioned_on(self) -> NoiseModel | None:
        """The noise model that networks are given."""
        return self.noise if self.conditioned else None


@dataclass(frozen=True, slots=True)
class Precomputed:
    """A clip with coarse frames, and one window for each of its frames."""

    noisy: NDArray[np.float16]  # (T, H, W, C), 0..1 and beyond; so are the next four
    clean: NDArray[np.float16]
    coarse: NDArray[np.float16]
    memory_noisy: NDArray[np.float16]  # everything up to every frame, on its grid
    memory_coarse: NDArray[np.float16]
    count: NDArray[np.float16]  # (T, H, W, 1): frames that the memory is worth
    neighbours: NDArray[np.int16]  # (T, N): frames of the window of each centre
    flows: NDArray[np.float16]  # (T, N, H/2, W/2, 2), pixels
    agreement: NDArray[np.uint8]  # (T, N, H/2, W/2), 255 = forward and backward flow agree
    typical: NDArray[np.float32]  # (T,): median mismatch of the window
    conditioned_on: NoiseModel | None


class Past(NamedTuple):
    """Everything up to a frame, on its grid; see Memory."""

    noisy: NDArray[np.float16]  # (H, W, C)
    coarse: NDArray[np.float16]
    worth: NDArray[np.float16]  # (H, W, 1), frames

    @classmethod
    def of(cls, memory: Memory) -> "Past":
        """The memory (1, C, H, W) as training stores it."""
        return cls(*(stored([part])[0] for part in (memory.noisy, memory.coarse, memory.count)))


ARRAYS = (
    "noisy", "clean", "coarse", "memory_noisy", "memory_coarse", "count",
    "neighbours", "flows", "agreement", "typical",
)  # fmt: skip


def precompute(source: NoisyPair, method: F2R, base: Path, rng: np.random.Generator) -> None:
    """Run the pipeline's first half over a clip and store what training needs under `base`."""
    method.forget()
    frames = [
        method.prepare(index, channels_first(to_unit(picture[None])), source.conditioned_on)
        for index, picture in enumerate(source.noisy)
    ]
    method.flows.chain(frames)
    memories = [method.remember(frame, source.noise) for frame in frames]
    windows = [_draw_window(frames, i, method.length, rng) for i in range(len(frames))]
    flows, agreement, typical = zip(
        *(describe(method, w, memories[w.before[0].index] if w.before else None) for w in windows),
        strict=True,
    )
    arrays: dict[str, NDArray[Any]] = {
        "noisy": to_unit(source.noisy).astype(np.float16),
        "clean": to_unit(source.clean).astype(np.float16),
        "coarse": stored([f.coarse for f in frames]),
        "memory_noisy": stored([m.noisy for m in memories]),
        "memory_coarse": stored([m.coarse for m in memories]),
        "count": stored([m.count for m in memories]),
        "neighbours": np.array([[n.index for n in w.neighbours] for w in windows], np.int16),
        "flows": np.stack(flows),
        "agreement": np.stack(agreement),
        "typical": np.array(typical, np.float32),
    }
    for name in ARRAYS:
        np.save(f"{base}.{name}.npy", arrays[name])
    model = source.conditioned_on
    header = model and {"gain": model.gain, "read": model.read}
    Path(f"{base}.json").write_text(json.dumps(header))


def stored(pictures: Sequence[torch.Tensor]) -> NDArray[np.float16]:
    """Pictures (1, C, H, W) as (T, H, W, C)."""
    return np.concatenate([channels_last(p) for p in pictures]).astype(np.float16)


def load_precomputed(folder: Path) -> list[Precomputed]:
    """Every finished clip of a folder, memory-mapped."""
    found = []
    for header in sorted(folder.glob("*.json")):
        base = str(header.with_suffix(""))
        arrays: dict[str, Any] = {n: np.load(f"{base}.{n}.npy", mmap_mode="r") for n in ARRAYS}
        facts = json.loads(header.read_text())
        model = facts and NoiseModel(
            tuple(facts["gain"]), tuple(facts["read"]), tuple(facts["read"])
        )
        found.append(Precomputed(**arrays, conditioned_on=model))
    return found


def _draw_window(
    frames: list[Prepared], centre: int, length: int, rng: np.random.Generator
) -> Window[Prepared]:
    """The window of a centre in the middle of a shot, or as it would be near the shot's ends."""
    before = int(rng.integers(length)) if rng.random() < 0.4 else None
    return window_at(frames, centre, length, before)


def describe(
    method: F2R, window: Window[Prepared], memory: Memory | None = None
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


def draw_crop(item: Precomputed, size: int, rng: np.random.Generator) -> WindowCrop:
    """A random crop of a random window, neighbours warped onto it. `size` is a multiple of 8."""
    frames, height, width, _ = item.noisy.shape
    centre = int(rng.integers(frames))
    top, left = (int(rng.integers((n - size) // CELL + 1)) * CELL for n in (height, width))
    rows, columns = slice(top, top + size), slice(left, left + size)
    places = item.neighbours[centre]
    pictures = [(item.noisy[n], item.coarse[n]) for n in places]
    oldest, past = int(places[0]), None
    if oldest < centre:
        past = Past(item.memory_noisy[oldest], item.memory_coarse[oldest], item.count[oldest])
    box = (top, left, size, size)
    noisy, coarse, agreement = warped_neighbours(
        pictures, item.flows[centre], item.agreement[centre], box, past
    )
    return WindowCrop(
        item.clean[centre, rows, columns].astype(np.float32),
        item.noisy[centre, rows, columns].astype(np.float32),
        item.coarse[centre, rows, columns].astype(np.float32),
        noisy,
        coarse,
        agreement,
        float(item.typical[centre]),
        item.conditioned_on,
    )


def warped_neighbours(
    pictures: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    flows: NDArray[np.float16],
    agreement: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    past: Past | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Noisy and coarse pictures of each neighbour, warped onto a crop, and how far to trust them.

    box: top, left, height, width of the crop; past: stands in for the first neighbour -> (N, H, W,
    C) twice, in the pictures' own units, and (N, H, W, 1) in 0..1, times what the past is worth.
    """
    top, left, _, _ = box
    noisy, coarse = [], []
    shown = pictures if past is None else [past[:2], *pictures[1:]]
    for (first, second), cells in zip(shown, flows, strict=True):
        flow = _upsampled(cells, *box)
        noisy.append(_warped(first, flow, top, left))
        coarse.append(_warped(second, flow, top, left))
    trust = np.stack([_upsampled(cells, *box) for cells in agreement])[..., None] / np.float32(255)
    if past is not None:
        trust[0] *= np.maximum(_warped(past.worth, _upsampled(flows[0], *box), top, left), 1)
    return np.stack(noisy), np.stack(coarse), trust


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
