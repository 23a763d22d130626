"""Training pairs of F2R: a centre as the networks will see it, and a target that judges it.

The noise of a target is independent of everything the networks are shown (Frames2Residual, arXiv
2603.10417; recorruption: Pang et al., CVPR 2021). Whatever depends on the centre (coarse frame,
flows) is made from the centre that is shown, by the pipeline's own code: made from the original it
would carry its noise. That costs more than a training step on a crop: it is done
once, and neighbours are warped onto crops on the fly.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from f2rcli.errors import WeightsError
from f2rcli.io.files import disk_errors, replacing
from f2rcli.methods.base import Prepared
from f2rcli.methods.rgb_f2r import F2R
from f2rcli.methods.rgb_f2r.alignment import mismatches, typical_mismatch
from f2rcli.methods.rgb_f2r.memory import Memory
from f2rcli.models.flow import Flow
from f2rcli.models.fusion import smooth
from f2rcli.noise.clipping import clipped_moments
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage import ELSEWHERE
from f2rcli.training.windows import channels_first, channels_last, is_clipped
from f2rcli.window import Window, window_at

CELL = 2  # DIS flow with finest scale 1 holds nothing finer than 2 pixels
StoredPictures = NDArray[np.float16]  # (T, H, W, C)
ARRAYS = ("noisy", "coarse", "target", "neighbours", "flows", "agreement")  # of a TrainingPair
PAST = ("past_noisy", "past_coarse", "past_worth")


class TargetKind(StrEnum):
    """Input and target made from a centre; n' is fresh noise of the measured law."""

    CLEAN = "clean"  # the centre itself, and what is known to be under its noise; for exams
    BLIND = "blind"  # the centre itself, for stage 1, which is not shown it
    PSEUDO = "pseudo"  # anchor + n' in, anchor out: the published stage 2
    RECORRUPTED = "recorrupted"  # centre + tau n' in, centre - n' / tau out
    EVEN = "even"  # the same, with as much noise in as out: far from what will be shown, but fast
    RENOISED = "renoised"  # every frame restored and noised afresh in, the restored centre out


# tau of recorruption: the target has 1 + 1/tau^2 times the noise variance, the input 1 + tau^2
TAU = {TargetKind.RECORRUPTED: 0.5, TargetKind.EVEN: 1.0}


class PastMemory(NamedTuple):
    """Everything up to a frame, on its grid; see Memory."""

    past_noisy: NDArray[np.float16]  # (H, W, C)
    past_coarse: NDArray[np.float16]
    past_worth: NDArray[np.float16]  # (H, W, 1), frames

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
    kind: TargetKind
    # (H, W, C): sigma of the target's noise where the file's range cut it off, so that its mean is
    # not the clean value but `clipped_mean` of it; None: nothing is cut off
    cut: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class WindowCrop:
    """One training sample, (H, W, C) and (N, H, W, C) float32."""

    target: NDArray[np.float32]
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


def save_excerpt(path: Path, excerpt: Excerpt) -> None:
    """Keep an excerpt for a run that goes on. Raises OutputError."""
    arrays = {"noisy": excerpt.noisy, "coarse": excerpt.coarse}
    facts: list[dict[str, Any]] = []
    for number, pair in enumerate(excerpt.pairs):
        own = {name: getattr(pair, name) for name in ARRAYS}
        own |= {} if pair.past is None else pair.past._asdict()
        own |= {} if pair.cut is None else {"cut": pair.cut}
        arrays |= {f"{number}/{name}": value for name, value in own.items()}
        model = pair.conditioned_on
        known = model and NoiseLaw(model).values()
        facts.append({"typical": pair.typical, "kind": pair.kind.value, "model": known})
    plain = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    with disk_errors(path, ELSEWHERE), replacing(path) as part:
        save_file(plain, part, metadata={"pairs": json.dumps(facts)})


def load_excerpt(path: Path) -> Excerpt:
    """What `save_excerpt` wrote. Raises WeightsError for a file that is damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
            facts = json.loads((file.metadata() or {})["pairs"])
        pairs = []
        for number, fact in enumerate(facts):
            start = f"{number}/"
            own = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            past = [own.pop(name, None) for name in PAST]
            model = fact["model"] and NoiseLaw.from_values(fact["model"]).level
            held = None if past[0] is None else PastMemory(*past)
            pairs.append(
                TrainingPair(
                    **own,
                    past=held,
                    typical=fact["typical"],
                    conditioned_on=model,
                    kind=TargetKind(fact["kind"]),
                )
            )
        return Excerpt(arrays["noisy"], arrays["coarse"], tuple(pairs))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: prepared training pairs that are damaged ({error}).",
            hint="Delete the file: they are made again.",
        ) from error


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
        trust[0] *= np.maximum(_warped(past.past_worth, flows[0], *box[:2]), 1)
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


def make_pairs(
    method: F2R,
    pictures: NDArray[np.float32],
    centres: Sequence[int],
    target_kind: TargetKind,
    law: NoiseLaw,
    rng: np.random.Generator,
    reference: NDArray[np.float32] | None = None,
) -> Excerpt:
    """Pairs on these centres of a piece of a shot (T, H, W, C), with noise n' from `law`, whose
    level the networks get. reference: the same without noise, which CLEAN pairs ask for."""
    maker = _PairMaker(method, law, is_clipped(pictures), rng, reference)
    frames = maker.prepared(pictures)
    if target_kind is TargetKind.RENOISED:
        return maker.renoised(frames, centres)
    maker.remember(frames)
    pairs = tuple(maker.pair(window_at(frames, c, method.length), target_kind) for c in centres)
    return Excerpt(pictures.astype(np.float16), _coarse(frames), pairs)


@dataclass
class _PairMaker:
    """Makes pairs with one method, for one piece of a shot."""

    method: F2R
    law: NoiseLaw
    clipped: bool
    rng: np.random.Generator
    reference: NDArray[np.float32] | None
    memories: list[Memory] = field(default_factory=list)  # of all frames, as they are shown

    def prepared(self, pictures: NDArray[np.float32]) -> list[Prepared]:
        """Every frame, as the pipeline prepares it."""
        self.method.forget()
        return [
            self.method.prepare(index, channels_first(picture[None]), self.law.level)
            for index, picture in enumerate(pictures)
        ]

    def remember(self, frames: list[Prepared]) -> None:
        """Make the memories that the pipeline would have at every frame."""
        self.method.flows.chain(frames)
        self.memories = [self.method.remember(frame, self.law.level) for frame in frames]

    def memory(self, window: Window[Prepared]) -> Memory | None:
        """The memory that stands in for a window's first neighbour."""
        return self.memories[window.before[0].index] if window.before else None

    def pair(self, window: Window[Prepared], target_kind: TargetKind) -> TrainingPair:
        """One training pair on the centre of a window."""
        noisy, centre, model = window.centre.noisy, window.centre, self.law.level
        if target_kind in (TargetKind.BLIND, TargetKind.CLEAN):
            signal, target = centre.coarse, noisy
            if target_kind is TargetKind.CLEAN and self.reference is not None:
                target = channels_first(self.reference[centre.index][None])
        else:
            aligned = self.method.align(window, memory=self.memory(window))
            signal = self.method.anchor(aligned).guided(centre.coarse)
            fresh = self._drawn(signal)  # its level from the anchor, not from the noisy centre
            shown, target = signal + fresh, signal
            if tau := TAU.get(target_kind):
                fresh = fresh * self._share_left(signal)
                shown, target = noisy + tau * fresh, noisy - fresh / tau
                model = model.scaled((1 + tau**2) ** 0.5)
            self.method.flows.forget(centre.index)  # they were those of the original
            centre = self.method.prepare(centre.index, shown, model)
        exact = target_kind in (TargetKind.PSEUDO, TargetKind.CLEAN)
        cut = None if exact else self._cut(signal)
        pair = self.described(centre, window, target, model, target_kind, cut)
        self.method.flows.forget(centre.index)
        return pair

    def renoised(self, frames: list[Prepared], centres: Sequence[int]) -> Excerpt:
        """Training pairs on a clip that is known: the restored one, with noise of its own again."""
        length, level = self.method.length, self.law.level
        windows = [window_at(frames, place, length) for place in range(len(frames))]
        restored = [self.method.restore(window, level).refined for window in windows]
        noisy = [picture + self._drawn(picture) for picture in restored]
        if self.clipped:
            noisy = [picture.clamp(0, 1) for picture in noisy]
        shown = stored(noisy)
        again = self.prepared(shown.astype(np.float32))
        self.remember(again)
        pairs = tuple(
            self.described(
                again[c], window_at(again, c, length), restored[c], level, TargetKind.RENOISED, None
            )
            for c in centres
        )
        return Excerpt(shown, _coarse(again), pairs)

    def described(
        self,
        centre: Prepared,
        window: Window[Prepared],
        target: Tensor,
        model: NoiseModel,
        kind: TargetKind,
        cut: Tensor | None,
    ) -> TrainingPair:
        view = Window(centre, window.before, window.after)
        memory = self.memory(view)
        flows, agreement, typical = describe(self.method, view, memory)
        noisy, coarse, asked = stored([centre.noisy, centre.coarse, target])
        return TrainingPair(
            noisy,
            coarse,
            asked,
            np.array([n.index for n in window.neighbours], np.int16),
            flows,
            agreement,
            None if memory is None else PastMemory.of(memory),
            typical,
            self.method.conditioned_on(model),
            kind,
            None if cut is None else stored([cut])[0],
        )

    def _drawn(self, signal: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(self.rng.integers(2**62)))
        return self.law.sample(smooth(signal), generator)

    def _share_left(self, signal: Tensor) -> Tensor | float:
        """The share of the noise's standard deviation that the file's range left.

        Fresh noise has to be as strong as the noise that is there: else the errors of a recorrupted
        centre and of its target depend on each other.
        """
        sigma = self._cut(signal)
        return 1.0 if sigma is None else clipped_moments(signal, sigma)[1].sqrt()

    def _cut(self, signal: Tensor) -> Tensor | None:
        """Standard deviation of noise before the range clipped it, by a smoothed picture, so that a
        target's noise hardly counts; None if unclipped."""
        return self.law.level.level(smooth(signal)) if self.clipped else None


def _coarse(frames: list[Prepared]) -> StoredPictures:
    return stored([frame.coarse for frame in frames])
