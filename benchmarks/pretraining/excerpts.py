"""Samples as training sees them: windows of packed planes, with today's networks' results."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from degraded import Codec, coded, parted
from material import Sample, layout_of, planes_of, rounded

from f2rcli import weights
from f2rcli.engine.tiles import Runner
from f2rcli.frames import Family
from f2rcli.methods.f2r import F2R
from f2rcli.models.layers import channels_last
from f2rcli.models.planar import Networks
from f2rcli.noise.synthesis.law import Law
from f2rcli.planes import LAYOUTS, ROTATION, Layout, gathered, pack
from f2rcli.window import window_at

CENTRES = (3, 5, 7, 9)  # of windows made of a sample
LIGHT = 16 / 255  # sigma of the noisiest plane below which today's weights for light noise serve
CODED = 0.3  # of the noise that is left: with errors beyond that, those for coded noise serve
FULL, KINDS = "f2r-full", ("-light", "-compressed", "-coded-noise", "-gray")
POOR = 0.7  # of the input's error is left by a result that nothing is to be learnt from

Floats = NDArray[np.float32]


class Shown(NamedTuple):
    """One window, packed, each array float16 but for flows; neighbours: the memory in place of the
    oldest frame, the frame before, and two after."""

    layout: Layout
    clean: Floats  # (4, C, h, w): frames before, centre, two after; so the next two
    noisy: Floats
    single: Floats  # the full networks' coarse frames
    target: Floats  # (C, h, w): their result
    told: Floats  # (4, 2 P, h, w)
    memory: tuple[Floats, Floats, Floats]  # noisy, coarse (C, h, w), worth (1, h, w)
    flows: Floats  # (4, h, w, 2), in cells
    agreement: Floats  # (4, h, w)


@dataclass
class Teachers:
    """Today's full networks, by the footage that they were made for."""

    known: dict[str, Networks]
    length: int

    @classmethod
    def load(cls) -> "Teachers":
        known, length = {}, 0
        for name in (FULL, *(FULL + kind for kind in KINDS)):
            one = weights.load(name)
            known[name], length = Networks(one.header.config), one.header.length
            one.fill(known[name])
            channels_last(known[name].eval())
        return cls(known, length)

    def of(self, sample: Sample) -> F2R:
        return F2R(self.known[FULL + kind_of(sample)], RUN, layout_of_sample(sample), self.length)


def kind_of(sample: Sample) -> str:
    """Which of KINDS serves a sample; "" for the set for everything else."""
    if len(sample.clean) == 1:
        return "-gray"
    noise, errors = (max(map(rms, maps)) for maps in (sample.noise, sample.coding))
    if "then" in sample.kind and errors:
        if sample.kind.startswith("none"):
            return "-compressed"
        if errors > CODED * noise:
            return "-coded-noise"
    return "-light" if noise < LIGHT else ""


def rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


@dataclass(frozen=True, eq=False)
class TrueMaps:
    """What a method is told, as it was made: (1, 2 P, h, w)."""

    known: Tensor

    def scaled(self, factor: float) -> "TrueMaps":
        return TrueMaps(factor * self.known)

    def maps(self, layout: Layout, picture: Tensor) -> Tensor:
        return self.known


def precision() -> str:
    """What convolutions run in: bfloat16 where the processor multiplies matrices of it."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "bf16" if "amx_bf16" in flags else "fp32"


RUN = Runner(torch.device("cpu"), precision(), None)


# Samples as windows ------------------------------------------------------------------------------


def layout_of_sample(sample: Sample) -> Layout:
    family = sample.layout.family
    if family is Family.YUV:
        return LAYOUTS[
            {(1, 1): "yuv420", (1, 0): "yuv422", (0, 0): "yuv444"}[sample.layout.log2_chroma]
        ]
    return LAYOUTS["rgb" if family is Family.RGB else "gray"]


def told_maps(sample: Sample, layout: Layout) -> Floats:
    """The true maps of noise and codec's errors, cell by cell: (T, 2 P, h, w)."""
    both = []
    for maps in (sample.noise, sample.coding):
        variances = [one**2 for one in maps]
        if layout.rotated:
            rows = (ROTATION**2).tolist()
            variances = [sum(w * v for w, v in zip(row, variances, strict=True)) for row in rows]
        cells = gathered(layout, variances)
        both += [np.sqrt(cells[:, part].mean(1)) for part in layout.slices]
    return np.stack(both, 1).astype(np.float32)


def windows_of(sample: Sample, teachers: Teachers, *, all_: bool = False) -> list[Shown]:
    """Today's networks over a sample, and what training needs of it. all_: also results of theirs
    that nothing is to be learnt from."""
    layout, method = layout_of_sample(sample), teachers.of(sample)
    told = told_maps(sample, layout)
    known: Any = [TrueMaps(torch.from_numpy(one)[None]) for one in told]
    pictures, truth = packed_planes(sample.noisy, layout), packed_planes(sample.clean, layout)
    frames = [
        method.prepare(i, torch.from_numpy(one)[None], maps)
        for i, (one, maps) in enumerate(zip(pictures, known, strict=True))
    ]
    method.flows.chain(frames)
    memories = [method.remember(one, maps) for one, maps in zip(frames, known, strict=True)]
    shown = []
    for centre in CENTRES:
        window, near = (window_at(frames, centre, n) for n in (method.length, 5))
        flows, agreement = zip(*method.flows.rated(near), strict=True)
        method.memory = memories[window.before[0].index]
        target = method.restore(window, known[centre]).refined[0].numpy()
        before = float(((pictures[centre] - truth[centre]) ** 2).mean())
        if not all_ and float(((target - truth[centre]) ** 2).mean()) > POOR * before:
            target = truth[centre]
        past, here = memories[centre - 2], [centre - 1, centre, centre + 1, centre + 2]
        single = np.stack([frames[i].coarse[0].numpy() for i in here])
        memory = (one[0].numpy() for one in (past.noisy, past.coarse, past.count))
        small = truth[here], pictures[here], single, target, told[here], *memory
        *centres, maps, noisy, coarse, count = (one.astype(np.float16) for one in small)
        motion, agree = np.stack(flows), np.stack(agreement).astype(np.float16)
        shown.append(Shown(layout, *centres, maps, (noisy, coarse, count), motion, agree))
    return shown


def packed_planes(planes: Sequence[Floats], layout: Layout) -> Floats:
    return np.asarray(pack(layout, list(planes)))


def tested(
    film: NDArray[np.uint8], kind: str, name: str, side: int, frames: int, rng: np.random.Generator
) -> Sample:
    """A square excerpt of a clip (T, H, W, 3), halved where it is large enough, with noise."""
    wide = min(2 * side, *film.shape[1:3]) // 2 * 2
    top, left = (int(rng.integers(n - wide + 1)) for n in film.shape[1:3])
    start = int(rng.integers(len(film) - frames + 1))
    cut = film[start : start + frames, top : top + wide, left : left + wide]
    shown = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in cut]
    return noisy_of(np.stack(shown).astype(np.float32) / 255, kind, name, rng)


def noisy_of(clean: Floats, kind: str, name: str, rng: np.random.Generator) -> Sample:
    """Noise of README's kinds on pictures (T, H, W, 3): in 8-bit RGB first, as the test clips have
    it, then in the planes of a file (a name of `material.LAYOUTS`)."""
    strength = float(kind.lstrip("gcor")) if kind[0] in "gc" else 30.0
    law = Law(0.01, 4 / 255) if kind == "pg" else Law(0.0, strength / 255, 0.8 * (kind[0] == "c"))
    noisy = np.stack([law.add(one, rng) for one in clean]).clip(0, 1)
    noisy = (np.rint(noisy * 255) / 255).astype(np.float32)
    layout = layout_of(name, np.random.default_rng(0))
    truth, given = planes_of(clean, layout), rounded(planes_of(noisy, layout), layout)
    level = []
    for plane, (a, b) in enumerate(zip(given, truth, strict=True)):
        light = truth[plane if layout.family is Family.RGB else 0]
        light = light if light.shape == b.shape else light[:, ::2, ::2]
        shape = np.sqrt(law.gain * light.clip(0, 1) + law.read**2)
        scale = np.sqrt(np.mean((a - b) ** 2) / np.mean(shape**2))
        level.append((scale * shape).astype(np.float32))
    coding = [np.zeros_like(one) for one in truth]
    found = given
    if kind == "h264":
        codec = Codec("libx264", True, ((1, 1),), "crf", 23, 23, ({"preset": "medium"},))
        found = rounded(coded(given, layout, codec, rng), layout)
        level, coding = parted(given, truth, found, level)
        kind = "white, then libx264"
    parts = (tuple(one) for one in (truth, found, level, coding, truth))
    return Sample(layout, *parts, "film", kind, 2.0)
