"""What stage 1 and stage 2 learn from noisy footage alone: centres, and what they are taught.

A lesson is one centre as the networks will see it and a target whose noise is independent of
everything they are shown (Frames2Residual, arXiv 2603.10417; recorruption: Pang et al., CVPR 2021).
Whatever depends on the centre (coarse frame, flows) is made from the centre that is shown, by
the pipeline's own code: made from the original it would carry its noise (DESIGN.md D7).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.noise import NoiseModel
from f2rcli.noise.law import NoiseLaw
from f2rcli.training.rehearsal import Crop, describe, upsampled, warped
from f2rcli.window import Window

TAU = 0.5  # of recorruption: the target's noise has 1 + 1/tau^2 times the variance (methods 8.3)
Pictures = NDArray[np.float16]  # (T, H, W, C)


class Teaching(StrEnum):
    """What a centre is shown as, and what is asked for. n' is fresh noise of the measured law."""

    BLIND = "blind"  # the centre itself, for stage 1, which is not shown it
    PSEUDO = "pseudo"  # anchor + n' in, anchor out: the published stage 2
    RECORRUPTED = "recorrupted"  # centre + tau n' in, centre - n' / tau out


@dataclass(frozen=True, slots=True)
class Lesson:
    """One centre: (H, W, C) pictures in 0..1, and its window as the pipeline aligned it."""

    noisy: NDArray[np.float16]  # what the networks are shown
    coarse: NDArray[np.float16]
    target: NDArray[np.float16]
    neighbours: NDArray[np.int16]  # (N,), places in the excerpt
    flows: NDArray[np.float16]  # (N, H/2, W/2, 2), pixels
    agreement: NDArray[np.uint8]  # (N, H/2, W/2)
    typical: float
    told: NoiseModel | None


@dataclass(frozen=True)
class Excerpt:
    """A piece of a shot that lessons are taken from."""

    noisy: Pictures
    coarse: Pictures
    lessons: tuple[Lesson, ...]

    def crop(self, lesson: Lesson, top: int, left: int, height: int, width: int) -> Crop:
        """Part of a lesson with its neighbours warped onto it; sides are multiples of 8."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        noisy, coarse, agreement = [], [], []
        for place, neighbour in enumerate(lesson.neighbours):
            flow = upsampled(lesson.flows[place], top, left, height, width)
            noisy.append(warped(self.noisy[neighbour], flow, top, left))
            coarse.append(warped(self.coarse[neighbour], flow, top, left))
            agree = upsampled(lesson.agreement[place], top, left, height, width)
            agreement.append(agree / np.float32(255))
        return Crop(
            lesson.target[rows, columns].astype(np.float32),
            lesson.noisy[rows, columns].astype(np.float32),
            lesson.coarse[rows, columns].astype(np.float32),
            np.stack(noisy),
            np.stack(coarse),
            np.stack(agreement)[..., None],
            lesson.typical,
            lesson.told,
        )


def take_lessons(
    method: F2R,
    pictures: NDArray[np.float32],
    centres: Sequence[int],
    teaching: Teaching,
    law: NoiseLaw,
    rng: np.random.Generator,
    *,
    told: bool = True,
) -> Excerpt:
    """Lessons on these centres of a piece of one shot (T, H, W, C).

    `law` is drawn from for n', and its level is what the networks are told (unless not `told`).
    """
    model = law.level if told else None
    frames = [method.prepare(i, _planar(picture), model) for i, picture in enumerate(pictures)]
    lessons = []
    for centre in centres:
        window = _window(frames, centre, method.length)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        lessons.append(_lesson(method, window, teaching, law, model, generator))
        method.flows.forget(centre)
    coarse = np.concatenate([_flat(frame.coarse) for frame in frames])
    return Excerpt(pictures.astype(np.float16), coarse, tuple(lessons))


def _lesson(
    method: F2R,
    window: Window[Prepared],
    teaching: Teaching,
    law: NoiseLaw,
    model: NoiseModel | None,
    generator: torch.Generator,
) -> Lesson:
    shown, target = _shown(method, window, teaching, law, generator)
    if teaching is Teaching.RECORRUPTED and model is not None:
        model = model.scaled((1 + TAU**2) ** 0.5)
    centre = window.centre
    if teaching is not Teaching.BLIND:
        method.flows.forget(centre.index)  # they were those of the original
        centre = method.prepare(centre.index, shown, model)
    flows, agreement, typical = describe(method, Window(centre, window.before, window.after))
    return Lesson(
        _flat(shown)[0],
        _flat(centre.coarse)[0],
        _flat(target)[0],
        np.array([n.index for n in window.neighbours], np.int16),
        flows,
        agreement,
        typical,
        model,
    )


def _shown(
    method: F2R,
    window: Window[Prepared],
    teaching: Teaching,
    law: NoiseLaw,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """What the networks are shown and what they are taught, (1, C, H, W) each."""
    noisy = window.centre.noisy
    if teaching is Teaching.BLIND:
        return noisy, noisy
    aligned = method.align(window)
    anchor = method.anchor(aligned).guided(window.centre.coarse)
    fresh = law.sample(anchor, generator)  # its level from the anchor, not from the noisy centre
    if teaching is Teaching.PSEUDO:
        return anchor + fresh, anchor
    return noisy + TAU * fresh, noisy - fresh / TAU


def _window(frames: list[Prepared], centre: int, length: int) -> Window[Prepared]:
    """The window of a centre, shifted inwards at either end, as at run time."""
    first = min(max(centre - length // 2, 0), max(len(frames) - length, 0))
    span = frames[first : first + length]
    place = centre - first
    return Window(frames[centre], tuple(span[:place]), tuple(span[place + 1 :]))


def _planar(picture: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None]


def _flat(picture: Tensor) -> NDArray[np.float16]:
    """(B, C, H, W) -> (B, H, W, C)."""
    return picture.permute(0, 2, 3, 1).cpu().numpy().astype(np.float16)
