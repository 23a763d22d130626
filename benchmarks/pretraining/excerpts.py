"""Samples as training sees them: windows of packed planes, with today's networks' results."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from degraded import Codec, coded, parted
from material import Sample, layout_of, planes_of, rounded

from f2rcli import weights, yuv
from f2rcli.engine.tiles import Runner
from f2rcli.frames import Family
from f2rcli.methods.rgb_f2r import F2R, F2RNetworks
from f2rcli.methods.rgb_f2r.pipeline import level_map
from f2rcli.models.layers import channels_last
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.law import Law
from f2rcli.planes import LAYOUTS, ROTATION, Layout, gathered, pack
from f2rcli.window import window_at

CENTRES = (3, 5, 7, 9)  # of windows made of a sample
LIGHT = 16 / 255  # sigma below which today's weights for light noise serve
CODED = 0.3  # of the noise that is left: with errors beyond that, those for coded noise serve
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
    """Today's networks, by the footage that they were made for."""

    known: dict[str, F2R]

    @classmethod
    def load(cls) -> "Teachers":
        names = (
            "rgb-small",
            "rgb-light",
            "rgb-compressed",
            "rgb-coded_noise",
            "gray-small",
            "gray-light",
        )
        return cls({name: method_of(f"f2r-{name.replace('_', '-')}") for name in names})

    def of(self, sample: Sample, sigma: float) -> F2R:
        if len(sample.clean) == 1:
            return self.known["gray-light" if sigma < LIGHT else "gray-small"]
        through = "then" in sample.kind and sum(float(c.mean()) for c in sample.coding) > 0
        if sample.kind.startswith("none") and through:
            return self.known["rgb-compressed"]
        if through and float(sample.coding[0].mean()) > CODED * float(sample.noise[0].mean()):
            return self.known["rgb-coded_noise"]
        return self.known["rgb-light" if sigma < LIGHT else "rgb-small"]


def method_of(name: str) -> F2R:
    bundled = weights.load(name)
    header = bundled.header
    networks = bundled.network(lambda: F2RNetworks(header.channels, header.config))
    channels_last(networks)
    return F2R(networks.eval(), Runner(torch.device("cpu"), precision(), None), header.length)


def precision() -> str:
    """What convolutions run in: bfloat16 where the processor multiplies matrices of it."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "bf16" if "amx_bf16" in flags else "fp32"


# Samples as windows ------------------------------------------------------------------------------


def layout_of_sample(sample: Sample) -> Layout:
    family = sample.layout.family
    if family is Family.YUV:
        return LAYOUTS[
            {(1, 1): "yuv420", (1, 0): "yuv422", (0, 0): "yuv444"}[sample.layout.log2_chroma]
        ]
    return LAYOUTS["rgb" if family is Family.RGB else "gray"]


def rgb_of(planes: Sequence[Floats], sample: Sample) -> Floats:
    """Planes (T, h, w) each -> (T, C, H, W): RGB, or gray."""
    if sample.layout.family is Family.YUV:
        return np.stack(
            [yuv.joined(list(each), sample.layout) for each in zip(*planes, strict=True)]
        )
    return np.stack(planes, 1)


def packed_rgb(pictures: Floats, sample: Sample, layout: Layout) -> Floats:
    """(C, H, W) RGB or gray -> packed planes of the sample's file."""
    if sample.layout.family is Family.YUV:
        return np.asarray(pack(layout, yuv.split(np.ascontiguousarray(pictures), sample.layout)))
    return np.asarray(pack(layout, list(pictures)))


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


def fitted(noisy: Floats, clean: Floats) -> NoiseModel:
    """The line in variance nearest to what was added to pictures (T, C, H, W), per channel."""
    gains, reads, sigmas = [], [], []
    for channel in range(noisy.shape[1]):
        light = clean[:, channel, ::2, ::2].ravel().clip(0, 1)
        power = (noisy - clean)[:, channel, ::2, ::2].ravel() ** 2
        gain = float(np.polyfit(light, power, 1)[0]) if light.std() > 0.03 else 0.0
        gain = max(gain, 0.0) if gain * light.mean() > 0.2 * power.mean() else 0.0
        reads.append(max(float(power.mean() - gain * light.mean()), 1e-9) ** 0.5)
        gains.append(gain)
        sigmas.append(float(power.mean()) ** 0.5)
    return NoiseModel(tuple(gains), tuple(reads), tuple(sigmas))


def windows_of(sample: Sample, teachers: Teachers, *, all_: bool = False) -> list[Shown]:
    """Today's networks over a sample, and what training needs of it. all_: also results of theirs
    that nothing is to be learnt from."""
    layout = layout_of_sample(sample)
    noisy, clean = rgb_of(sample.noisy, sample), rgb_of(sample.clean, sample)
    model = fitted(noisy, clean)
    method = teachers.of(sample, max(model.sigma))
    method.forget()
    frames = [
        method.prepare(i, torch.from_numpy(np.ascontiguousarray(one)[None]), model)
        for i, one in enumerate(noisy)
    ]
    method.flows.chain(frames)
    memories = [method.remember(frame, model) for frame in frames]
    told = told_maps(sample, layout)
    pictures, truth = packed_planes(sample.noisy, layout), packed_planes(sample.clean, layout)
    shown = []
    for centre in CENTRES:
        window = window_at(frames, centre, method.length)
        near = window_at(frames, centre, 5)
        rated = list(method.flows.rated(near))
        wide = method.flows.enlarged(method.flows.rated(window), window.centre)
        aligned = method.align(window, wide, memories[window.before[0].index])
        anchor = method.anchor(aligned)
        level = level_map(model, anchor.guided(window.centre.coarse))
        parts = window.centre.noisy, window.centre.coarse, level, anchor, aligned
        full = method._run(method.networks.refiner, *parts)[0].numpy()
        past = memories[centre - 2]
        memory = [packed_rgb(one[0].numpy(), sample, layout) for one in (past.noisy, past.coarse)]
        worth = functional.avg_pool2d(past.count[0], 2).numpy()
        target = packed_rgb(full, sample, layout)
        before = float(((pictures[centre] - truth[centre]) ** 2).mean())
        if not all_ and float(((target - truth[centre]) ** 2).mean()) > POOR * before:
            target = truth[centre]
        here = [centre - 1, centre, centre + 1, centre + 2]
        flows, agreement = zip(*rated, strict=True)
        single = [packed_rgb(frames[i].coarse[0].numpy(), sample, layout) for i in here]
        small = truth[here], pictures[here], np.stack(single), target, told[here], *memory, worth
        *centres, maps, past_noisy, past_coarse, count = (one.astype(np.float16) for one in small)
        motion, agree = np.stack(flows), np.stack(agreement).astype(np.float16)
        kept = past_noisy, past_coarse, count
        shown.append(Shown(layout, *centres, maps, kept, motion, agree))
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
