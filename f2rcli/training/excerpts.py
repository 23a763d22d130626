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
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from f2rcli.errors import WeightsError
from f2rcli.io.files import disk_errors, replacing
from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.models.placing import MAPS, Memory, warped
from f2rcli.noise.model import Told, nothing
from f2rcli.planes import LAYOUTS, Layout, gathered, spread
from f2rcli.training.footage import ELSEWHERE
from f2rcli.training.noise import PlaneLaw
from f2rcli.training.windows import SWAPPED_GREENS
from f2rcli.window import Window, window_at

REACH = 3  # cells around what a flow leads to, that cubic interpolation and chroma's grid look at
PICTURES = ("shown", "coarse", "asked", "told", "cut")  # of an Excerpt
PARTS = ("neighbours", "flows", "agreement", "past", "worth")  # of a Centre


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
        facts = {"layout": self.layout.name, "kind": self.kind.value}
        plain = {name: value.contiguous() for name, value in tensors.items()}
        with disk_errors(path, ELSEWHERE), replacing(path) as part:
            save_file(plain, part, metadata=facts)

    @classmethod
    def load(cls, path: Path) -> "Excerpt":
        """What `save` wrote. Raises WeightsError for a file that is damaged."""
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
            places = sorted({int(key.split("/")[0]) for key in tensors if "/" in key})
            centres = [Centre(n, *(tensors.pop(f"{n}/{name}") for name in PARTS)) for n in places]
            kind, layout = TargetKind(facts["kind"]), LAYOUTS[facts["layout"]]
            return cls(layout, kind, centres=tuple(centres), **tensors)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{path}: prepared training samples that are damaged ({error}).",
                hint="Delete the file: they are made again.",
            ) from error

    def crop(self, centre: Centre, top: int, left: int, height: int, width: int) -> "Crop":
        """A part of a centre, in cells, with its neighbours warped onto it."""
        part = slice(top, top + height), slice(left, left + width)
        own = [one[centre.place, :, *part].float() for one in (self.shown, self.asked, self.told)]
        cut = self.cut[centre.place, :, *part].float() if len(self.cut) else torch.zeros(0)
        moved, worth = [], []
        for place, neighbour in enumerate(centre.neighbours.tolist()):
            flow = centre.flows[place, *part].float().numpy()
            rows, columns, there = _around(flow, part, self.size)
            if place == 0 and len(centre.past):
                pictures, count = centre.past[:, rows, columns].float(), centre.worth
            else:  # in float32 first: autocast on a processor joins no halves
                both = (
                    one[neighbour, :, rows, columns].float() for one in (self.shown, self.coarse)
                )
                pictures, count = torch.cat([*both]), centre.worth[:0]
            moved.append(torch.cat(warped(self.layout, pictures[None].chunk(2, 1), there)))
            one = torch.ones(1, height, width)
            if len(count):
                one = warped(MAPS, [count[None, :, rows, columns].float()], there)[0][0].clamp_min(
                    1
                )
            worth.append(one)
        near = torch.zeros(2, 0, *own[0].shape) if not moved else torch.stack(moved, 1)
        agreement = centre.agreement[:, None, *part].float() / 255
        count = torch.stack(worth) if worth else agreement
        return Crop(self.layout, own[0], own[1], own[2], cut, near[0], near[1], agreement, count)

    def draw(self, centre: Centre, side: int, rng: np.random.Generator) -> "Crop":
        """A square part of a centre at random, flipped and transposed at random."""
        top, left = (int(rng.integers(n - side + 1)) for n in self.size)
        return self.crop(centre, top, left, side, side).turned(int(rng.integers(8)))


def _around(
    flow: NDArray[np.float32], part: tuple[slice, slice], size: tuple[int, int]
) -> tuple[slice, slice, NDArray[np.float32]]:
    """The rows and columns of a neighbour that a crop's flow leads to, and the flow into them."""
    spans, offsets = [], []
    for axis, span in enumerate(part):
        shift = flow[..., 1 - axis]
        low, high = span.start + float(shift.min()), span.stop + float(shift.max())
        first = int(np.clip(np.floor(low) - REACH, 0, size[axis] - 1))
        last = int(np.clip(np.ceil(high) + REACH, first + 1, size[axis]))
        spans.append(slice(first, last))
        offsets.append(span.start - first)
    return spans[0], spans[1], flow + np.array(offsets[::-1], np.float32)


@dataclass(frozen=True, slots=True)
class Crop:
    """One training sample: parts of a centre (C, h, w), and of its neighbours (N, C, h, w)."""

    layout: Layout
    shown: Tensor
    asked: Tensor
    told: Tensor  # (2 P, h, w)
    cut: Tensor  # (C, h, w), or of no channels
    noisy: Tensor
    coarse: Tensor
    agreement: Tensor  # (N, 1, h, w)
    worth: Tensor  # (N, 1, h, w)

    def turned(self, code: int) -> "Crop":
        """One of eight flips and transposes, as far as the layout allows: mosaics are transposed
        only, 4:2:2 is not, whose cells have two samples one above the other."""
        mosaic = self.layout.name == "mosaic"
        code = code & 4 if mosaic else code
        code = code & 3 if self.layout.name == "yuv422" else code

        def plane(x: Tensor) -> Tensor:
            x = x.flip([-2 + axis for axis in (0, 1) if code & (1 << axis)])
            return x.mT if code & 4 else x

        def picture(x: Tensor) -> Tensor:
            planes = [plane(one) for one in spread(self.layout, x)]
            if mosaic and code & 4:
                planes = [planes[place] for place in SWAPPED_GREENS]
            turned: Tensor = gathered(self.layout, planes)
            return turned

        maps = self.told
        if mosaic and code & 4:
            maps = maps[[*SWAPPED_GREENS, *(4 + place for place in SWAPPED_GREENS)]]
        pictures = picture(self.shown), picture(self.asked)
        cut = picture(self.cut) if len(self.cut) else self.cut
        return Crop(
            self.layout, *pictures, plane(maps), cut, picture(self.noisy), picture(self.coarse),
            plane(self.agreement), plane(self.worth),
        )  # fmt: skip


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
        asked = torch.cat([method.restore(window, told).refined.cpu() for window in windows])
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
        views = _views(method, frames, centres, told)
        coarse = torch.cat([frame.coarse.cpu() for frame in frames])
    level, layout = method.level, method.layout
    given = told.scaled(level).maps(layout, coarse) if level else nothing(layout, coarse)
    halves = (one.half() for one in (shown, coarse, asked, given, cut))
    parts = dict(zip(PICTURES, halves, strict=True))
    return Excerpt(layout, kind, centres=tuple(views), **parts)


def _prepared(method: F2R, pictures: Tensor, told: Told) -> list[Prepared]:
    """Every frame as the pipeline prepares it; the flows between them are not known yet."""
    method.forget()
    device = next(method.networks.parameters()).device
    return [method.prepare(i, one[None].to(device), told) for i, one in enumerate(pictures)]


def _views(
    method: F2R, frames: Sequence[Prepared], centres: Sequence[int], told: Told
) -> list[Centre]:
    """The windows of centres with their flows and memory."""
    method.flows.chain(frames)
    memories = [method.remember(frame, told) for frame in frames]
    return [_view(method, window_at(frames, place, method.length), memories) for place in centres]


def _alone(place: int, shown: Tensor) -> Centre:
    """A centre without neighbours."""
    none = torch.zeros(0, *shown.shape[-2:])
    return Centre(place, torch.zeros(0), none[..., None], none, none, none)


def _view(method: F2R, window: Window[Prepared], memories: Sequence[Memory]) -> Centre:
    rated = [tuple(map(torch.as_tensor, pair)) for pair in method.flows.rated(window)]
    size = window.centre.noisy.shape[-2:]
    flows = torch.stack([flow.reshape(*size, 2) for flow, _ in rated]).half().cpu()
    agreement = torch.stack([(255 * sure.reshape(size)).round() for _, sure in rated])
    past, worth = torch.zeros(0, *size), torch.zeros(0, *size)
    if window.before:
        memory = memories[window.before[0].index]
        past, worth = torch.cat([memory.noisy, memory.coarse], 1)[0], memory.count[0]
    indices = torch.tensor([one.index for one in window.neighbours], dtype=torch.int16)
    return Centre(
        window.centre.index, indices, flows, agreement.byte().cpu(), past.half().cpu(),
        worth.half().cpu(),
    )  # fmt: skip
