"""Excerpts of F2R: pieces of shots as networks are shown them, and targets that judge the result.

Every frame of a piece is made noisier than it is, and asked for with noise taken away instead; or
it is restored, and shown with noise of its own again. What is shown goes through the pipeline's own
code once, so that flows and memory are those of a run, and depend on nothing else: the noise of a
target is independent of everything that networks see (Frames2Residual, arXiv 2603.10417;
recorruption: Pang et al., CVPR 2021). Neighbours are warped onto crops as training goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.models.flow import Flow
from f2rcli.models.placing import MAPS, Memory, warped
from f2rcli.noise.model import PlaneNoise
from f2rcli.planes import LAYOUTS, Layout, gathered, spread
from f2rcli.training.loop import foreign, read, write
from f2rcli.training.noise import PlaneLaw
from f2rcli.training.windows import SWAPPED_GREENS, dihedral
from f2rcli.window import Window, window_at

SAMPLE = "training sample"  # in messages
REACH = 3  # cells around what a flow leads to, that cubic interpolation and chroma's grid look at
PICTURES = ("shown", "coarse", "asked", "told", "cut")  # of an Excerpt
PARTS = ("neighbours", "flows", "agreement", "past", "worth")  # of a Centre
# Of a Batch.
OWN, NEAR = ("shown", "asked", "told", "cut"), ("noisy", "coarse", "agreement", "worth")


class TargetKind(StrEnum):
    """What is shown and asked for; y is a noisy frame, n' fresh noise of the measured law."""

    CLEAN = "clean"  # y in, and what is known to be under its noise out; for exams
    RECORRUPTED = "recorrupted"  # y + tau n' in, y - n' / tau out
    EVEN = "even"  # the same, with as much noise in as out: far from what will be shown, but fast
    RENOISED = "renoised"  # every frame restored and noised afresh in, the restored one out


# tau of recorruption: the target has 1 + 1/tau^2 times the noise variance, the input 1 + tau^2
TAU = {TargetKind.RECORRUPTED: 0.5, TargetKind.EVEN: 1.0}


class Centre(NamedTuple):
    """A frame of an excerpt with its window, as the pipeline sees it."""

    place: int  # in the excerpt
    neighbours: Tensor  # (N,) int16, places in the excerpt
    flows: Tensor  # (N, h, w, 2) float16, cells
    agreement: Tensor  # (N, h, w) uint8
    # What stands in for the first neighbour: noisy and coarse (2 C, h, w) float16, and the frames
    # it is worth, (1, h, w); of no channels where nothing is before the centre.
    past: Tensor
    worth: Tensor


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a shot; pictures (T, C, h, w) float16."""

    layout: Layout
    kind: TargetKind
    shown: Tensor
    coarse: Tensor
    asked: Tensor
    told: Tensor  # (T, 2 P, h, w) float16: what networks are told of what is shown
    # Sigma of what is asked for, of the file's planes, where the file's range cut noise off, so
    # that its mean is not the clean value but `clipped_mean` of that; of no frames: nothing is.
    cut: Tensor
    centres: tuple[Centre, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Cells."""
        height, width = self.shown.shape[-2:]
        return height, width

    def save(self, path: Path) -> None:
        """Keep it for a run that goes on. Raises OutputError."""
        tensors = {name: getattr(self, name) for name in PICTURES}
        for one in self.centres:
            tensors |= {f"{one.place}/{name}": getattr(one, name) for name in PARTS}
        write(path, tensors, {"layout": self.layout.name, "kind": self.kind.value})

    @classmethod
    def load(cls, path: Path) -> "Excerpt":
        """What `save` wrote. Raises WeightsError for a file that is damaged."""
        facts, tensors = read(path, SAMPLE)
        try:
            places = sorted({int(key.split("/")[0]) for key in tensors if "/" in key})
            centres = [Centre(n, *(tensors.pop(f"{n}/{name}") for name in PARTS)) for n in places]
            kind, layout = TargetKind(str(facts["kind"])), LAYOUTS[str(facts["layout"])]
            return cls(layout, kind, centres=tuple(centres), **tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise foreign(path, SAMPLE) from error

    def crop(self, centre: Centre, top: int, left: int, height: int, width: int) -> "Batch":
        """A part of a centre, in cells, with its neighbours warped onto it: a batch of one."""
        part = slice(top, top + height), slice(left, left + width)
        own = [one for one in (self.shown, self.asked, self.told, self.cut) if len(one)]
        shown, asked, told, *cut = (one[centre.place, None, :, *part].float() for one in own)
        moved, worth = [], []
        for place, neighbour in enumerate(centre.neighbours.tolist()):
            flow = centre.flows[place, None, *part].float()
            rows, columns, there = _around(flow, part, self.size)
            count = torch.ones(1, height, width)
            both = [one[neighbour, :, rows, columns] for one in (self.shown, self.coarse)]
            if place == 0 and len(centre.past):
                both = [*centre.past[:, rows, columns].chunk(2)]
                seen = [centre.worth[None, :, rows, columns].float()]
                count = warped(MAPS, seen, there)[0][0].clamp_min(1)
            # in float32: autocast on a processor joins no halves
            moved.append(torch.cat(warped(self.layout, [x[None].float() for x in both], there)))
            worth.append(count)
        near = torch.stack(moved, 1) if moved else torch.zeros(2, 0, *shown.shape[1:])
        agreement = centre.agreement[None, :, None, *part].float() / 255
        count = torch.stack(worth)[None] if worth else agreement
        return Batch(
            self.layout, self.kind, shown, asked, told, cut[0] if cut else torch.zeros_like(asked),
            near[0, None], near[1, None], agreement, count,
        )  # fmt: skip

    def draw(self, centre: Centre, side: int, rng: np.random.Generator) -> "Batch":
        """A square part of a centre at random, flipped and transposed at random."""
        top, left = (int(rng.integers(n - side + 1)) for n in self.size)
        return self.crop(centre, top, left, side, side).turned(int(rng.integers(8)))


def _around(
    flow: Flow, part: tuple[slice, slice], size: tuple[int, int]
) -> tuple[slice, slice, Flow]:
    """The rows and columns of a neighbour that a crop's flow leads to, and the flow into them."""
    spans, offsets = [], []
    for axis, span in enumerate(part):
        shift = flow[..., 1 - axis]
        low, high = span.start + float(shift.min()), span.stop + float(shift.max())
        first = int(np.clip(np.floor(low) - REACH, 0, size[axis] - 1))
        last = int(np.clip(np.ceil(high) + REACH, first + 1, size[axis]))
        spans.append(slice(first, last))
        offsets.append(span.start - first)
    return spans[0], spans[1], flow + flow.new_tensor(offsets[::-1])


class Batch(NamedTuple):
    """Parts of centres, with what the pipeline makes of their neighbours before stage 1."""

    layout: Layout
    kind: TargetKind
    shown: Tensor  # (B, C, h, w), like asked
    asked: Tensor
    told: Tensor  # (B, 2 P, h, w)
    cut: Tensor  # (B, C, h, w), sigma of targets that a range clipped; 0: of others
    noisy: Tensor  # (B, N, C, h, w), like coarse: of the neighbours
    coarse: Tensor
    agreement: Tensor  # (B, N, 1, h, w), like worth
    worth: Tensor

    @classmethod
    def of(cls, samples: Sequence["Batch"]) -> "Batch":
        """Samples side by side; what short clips lack of neighbours has no agreement."""
        most = max(one.agreement.shape[1] for one in samples)

        def filled(x: Tensor) -> Tensor:
            return functional.pad(x, (0, 0) * 3 + (0, most - x.shape[1]))

        parts: dict[str, Any] = {n: torch.cat([getattr(one, n) for one in samples]) for n in OWN}
        parts |= {n: torch.cat([filled(getattr(one, n)) for one in samples]) for n in NEAR}
        return samples[0]._replace(**parts)

    @property
    def own(self) -> Tensor:
        """What a blind estimate is asked for: the noisy frame itself, whose noise is that of no
        neighbour, and weaker than a recorrupted target's."""
        tau = TAU.get(self.kind)
        if tau is None:
            return self.asked
        # y = (y + tau n') + w ((y - n' / tau) - (y + tau n'))
        return torch.lerp(self.shown, self.asked, tau**2 / (1 + tau**2))

    def turned(self, code: int) -> "Batch":
        """One of eight flips and transposes, as far as the layout allows."""
        code, order = turn_of(self.layout, code)
        turned = partial(turned_picture, self.layout, code, order)
        pictures, count = ("shown", "asked", "cut", "noisy", "coarse"), len(self.layout.planes)
        parts: dict[str, Any] = {name: turned(getattr(self, name)) for name in pictures}
        parts |= {name: dihedral(getattr(self, name), code) for name in ("agreement", "worth")}
        told = dihedral(self.told[:, [*order, *(count + place for place in order)]], code)
        return self._replace(told=told, **parts)


def turn_of(layout: Layout, code: int) -> tuple[int, Sequence[int]]:
    """One of eight flips and transposes, see `dihedral`, as far as a layout allows, and the order
    of planes: mosaics are transposed only, 4:2:2 is not, whose cells have two samples one above the
    other."""
    mosaic = layout.name == "mosaic"
    code &= 4 if mosaic else 3 if layout.name == "yuv422" else 7
    return code, SWAPPED_GREENS if mosaic and code else range(len(layout.planes))


def turned_picture(layout: Layout, code: int, order: Sequence[int], x: Tensor) -> Tensor:
    """A packed picture (..., C, h, w) turned so."""
    planes = spread(layout, x)
    return gathered(layout, [dihedral(planes[place], code) for place in order])


# Making them -------------------------------------------------------------------------------------


def make_excerpt(
    method: F2R,
    pictures: Tensor,
    centres: Sequence[int],
    kind: TargetKind,
    law: PlaneLaw,
    rng: np.random.Generator,
    reference: Tensor | None = None,
) -> Excerpt:
    """An excerpt with these centres of a piece of a shot (T, C, h, w), with noise of `law`.

    reference: the same without noise, which CLEAN ones ask for.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    told, cut = law.told, torch.zeros(0)
    shown = asked = pictures
    if kind is TargetKind.CLEAN and reference is not None:
        asked = reference
    elif kind is TargetKind.RENOISED:
        frames = _prepared(method, pictures, told)
        windows = (window_at(frames, place, method.length) for place in range(len(frames)))
        asked = torch.cat([method.restore(window, told).cpu() for window in windows])
        shown = law.renoised(asked, generator)
    elif tau := TAU.get(kind):
        fresh = law.fresh(pictures, generator)
        shown, asked = pictures + tau * fresh, pictures - fresh / tau
        told = told.scaled((1 + tau**2) ** 0.5)
        cut = law.cut(pictures) if law.clipped else cut
    if kind is TargetKind.EVEN:  # for the single frames of coarse networks
        coarse, views = shown, [_alone(place, shown) for place in centres]
    else:
        frames = _prepared(method, shown, told)
        method.flows.chain(frames)
        memories = [method.remember(frame, told) for frame in frames]
        at_centres = (window_at(frames, place, method.length) for place in centres)
        views = [_view(method, window, memories) for window in at_centres]
        coarse = torch.cat([frame.coarse.cpu() for frame in frames])
    layout, given = method.layout, told.maps(method.layout, coarse)
    halves = (one.half() for one in (shown, coarse, asked, given, cut))
    parts = dict(zip(PICTURES, halves, strict=True))
    return Excerpt(layout, kind, centres=tuple(views), **parts)


def _prepared(method: F2R, pictures: Tensor, told: PlaneNoise) -> list[Prepared]:
    """Every frame as the pipeline prepares it; the flows between them are not known yet."""
    method.forget()
    device = next(method.networks.parameters()).device
    return [method.prepare(i, one[None].to(device), told) for i, one in enumerate(pictures)]


def _alone(place: int, shown: Tensor) -> Centre:
    """A centre without neighbours."""
    none = torch.zeros(0, *shown.shape[-2:])
    return Centre(place, torch.zeros(0), none[..., None], none, none, none)


def _view(method: F2R, window: Window[Prepared], memories: Sequence[Memory]) -> Centre:
    rated = method.flows.rated(window)
    size = window.centre.noisy.shape[-2:]
    flows = torch.cat([flow for flow, _ in rated]).half().cpu()
    agreement = torch.cat([(255 * sure[:, 0]).round() for _, sure in rated])
    past, worth = torch.zeros(0, *size), torch.zeros(0, *size)
    if window.before:
        memory = memories[window.before[0].index]
        past, worth = torch.cat([memory.noisy, memory.coarse], 1)[0], memory.worth[0]
    indices = torch.tensor([one.index for one in window.neighbours], dtype=torch.int16)
    return Centre(
        window.centre.index, indices, flows, agreement.byte().cpu(), past.half().cpu(),
        worth.half().cpu(),
    )  # fmt: skip
