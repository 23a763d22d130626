"""Samples with noise, and the frames and windows of them that networks learn from.

A draw is twelve frames of an excerpt in packed planes, more where it stands still: clean, noisy,
and what is told of the noise. Three of four show the noise that the tests of quality have, on
filmed excerpts, the others what `material.py` draws. A window is a centre with its neighbours on
its grid, as the engine brings them there by a coarse network.
"""

import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from degraded import Codec, Stack, coded, draw_codec, parted, resized
from material import BARS_SHARE, Material, Sample, layout_of, letterboxed, planes_of, rounded

from f2rcli import weights
from f2rcli.engine.device import LARGE, Runner, choose_precision
from f2rcli.frames import Family
from f2rcli.methods.f2r import F2R
from f2rcli.models.layers import channels_last
from f2rcli.models.planar import Networks
from f2rcli.noise.bound import bent
from f2rcli.noise.coding import LEAST8, MOST8
from f2rcli.noise.estimate import COLOURED, binned
from f2rcli.noise.model import AMONG_ERRORS, NoiseModel, PlaneNoise
from f2rcli.noise.stabilising import VarianceStabiliser
from f2rcli.noise.synthesis.law import Law
from f2rcli.planes import LAYOUTS, ROTATION, Layout, gathered, pack, packing
from f2rcli.window import window_at

SIDE, FRAMES = 160, 12  # of a draw: pixels, frames
CENTRES = 9  # of windows made of a draw, its first and last among them
# Of films, shots that stand still for so many frames: of others a memory is worth eight at most.
STILL, LONG = 0.25, 30
CARDS = 0.22  # of films have flat patches of strong colour before them, as titles and cards have
HELD_OUT_EVERY, TAKES = 9, 5  # clips; samples of each kind that is held out
SHARES = {"rgb": 0.45, "420": 0.34, "444": 0.04, "422": 0.04, "gray": 0.13}
ON_SENSOR = 240  # pixels of a mosaic's draw, whose cells are 4x4 of them
DIM = 0.16  # of films are darkened, a half of them with shot noise ...
DARKEST, MOST_GAIN = 0.03, 0.06  # ... down to a photon a pixel
ROOM = 0.5  # of gray draws have room below black, as a camera's offset leaves it
FAINT = 2.5, 12.0  # times the noise: of light that flies through
OF_MATERIAL = 0.25  # of the draws are `material.py`'s
OWN = 0.4  # of the others in RGB have noise that channels share, in 4:2:0 noise of its planes' own
# The other draws' noise: shares, and from where to where sigma (of 255) is drawn log-uniformly; in
# half of them from STRONG on: of noise that is seldom drawn, networks learn the windows by heart.
KINDS = {"white": 0.34, "shot": 0.12, "coarse": 0.24, "coded": 0.12, "compressed": 0.18}
# Chroma's own noise, as of phones and tape: times luma's, and so many pixels wide in half of them.
COLOURS, WIDE = (0.5, 6.0), (0.4, 2.0)
TAPE, ALONG = 0.2, (0.7, 6.0)  # of noise of planes' own runs along rows, for so many pixels
TWICE = 0.15  # of films that hold a codec's errors alone are compressed again
# As a logarithm, what the engine reads of such errors beside theirs in luma: 1.1 times to 0.5.
OFF = 0.3
SIGMA = {"white": (1, 60), "coarse": (4, 45), "coded": (4, 45)}
STRONG = {"white": 20, "coarse": 15, "coded": 15}
HELD_OUT = {  # kinds that are held out: law, whether x264 comes after
    **{f"g{sigma}": (Law(0, sigma / 255), False) for sigma in (1, 3, 5, 10, 30, 50)},
    "pg": (Law(0.01, 4 / 255), False), "corr30": (Law(0, 30 / 255, 0.8), False),
    "h264": (Law(0, 30 / 255), True),
}  # fmt: skip

ALONE = "clean", "noisy", "told", "small"  # of a centre
Floats = NDArray[np.float32]
Draw = dict[str, Any]  # arrays, and the layout's name


class Draws:
    """An endless list of samples, each of its seed and number alone."""

    def __init__(self, clips: Path, seed: int, small: float = 0.0, *, mosaic: bool = False) -> None:
        """small: the share of films in which small things fly; mosaic: whether all are mosaics."""
        self.seed, self.small, self.mosaic = seed, small, mosaic
        material = Material(clips, seed, ON_SENSOR if mosaic else SIDE, FRAMES)
        material.layouts = ["mosaic"] if mosaic else None
        held = range(HELD_OUT_EVERY // 2, len(material.films), HELD_OUT_EVERY)
        self.held = copy.copy(material)
        self.held.films = [material.films[i] for i in held]
        material.films = [film for i, film in enumerate(material.films) if i not in held]
        self.material, self.long = material, copy.copy(material)
        self.long.frames, self.long.still = LONG, True

    def __getitem__(self, number: int) -> Sample:
        rng = np.random.default_rng((self.seed, 1, number))
        if self.mosaic:
            return (self.long if rng.random() < STILL else self.material)[number]
        shares = np.array([*SHARES.values()])
        name = [*SHARES][rng.choice(len(shares), p=shares / shares.sum())]
        if rng.random() < OF_MATERIAL:
            material = copy.copy(self.material)
            material.layouts = ["420 10" if name == "420" and rng.random() < 0.25 else name]
            return material[number]
        material = self.long if rng.random() < STILL else self.material
        clean = np.clip(material.film(rng), 0, 1).astype(np.float32)
        if rng.random() < CARDS:
            clean = behind_cards(clean, rng)
        kind, most = str(rng.choice([*KINDS], p=[*KINDS.values()])), 0.03
        if rng.random() < DIM:
            clean = clean * np.float32(log_uniform(rng, DARKEST, 0.7))
            kind, most = "shot" if rng.random() < 0.5 else kind, MOST_GAIN
        if kind == "compressed":
            return compressed(clean, name if name in ("422", "444") else "420", rng)
        if kind == "shot":
            law = Law(log_uniform(rng, 0.001, most), rng.uniform(0.5, 10) / 255)
        else:
            low, high = SIGMA[kind]
            sigma = log_uniform(rng, STRONG[kind] if rng.random() < 0.5 else low, high)
            law = Law(0.0, sigma / 255, rng.uniform(0.4, 1.3) if kind == "coarse" else 0.0)
        scene = clean
        if rng.random() < self.small:
            clean = flown_through(scene, rng, float(law.level(scene).mean()))
        sample = self._noised(clean, law, name, rng, kind)
        return sample._replace(small=np.abs(clean - scene).max(-1))

    def _noised(
        self, clean: Floats, law: Law, name: str, rng: np.random.Generator, kind: str
    ) -> Sample:
        codec = x264(17, 30) if kind == "coded" else None
        name = "420" if codec else name
        apart = {"rgb": 0.0, "gray": ROOM}.get(name, 0.0 if codec else OWN)
        loud = None
        if rng.random() < BARS_SHARE:
            clean, loud = letterboxed(clean, None, rng)
        if apart and rng.random() < apart:
            return in_planes(clean, law, name, rng, loud)
        shared = rng.uniform(0.3, 1.7) if name == "rgb" and rng.random() < OWN else 0.0
        return noised(clean, law, name, rng, codec, min(shared, 1.0), loud)

    def held_out(self) -> Iterator[tuple[str, Sample]]:
        """Kind of noise and layout, and TAKES samples of each."""
        if self.mosaic:
            yield from (("sensor", self.held[take]) for take in range(3 * TAKES))
            return
        for place, (kind, (law, after)) in enumerate(HELD_OUT.items()):
            for name in ("420",) if after else ("rgb", "420"):
                for take in range(TAKES):
                    rng = np.random.default_rng((99, place, take))
                    clean = np.clip(self.held.film(rng), 0, 1).astype(np.float32)
                    codec = x264(23, 23) if after else None
                    yield f"{kind} {name}", noised(clean, law, name, rng, codec)
        for take in range(3 * TAKES):
            rng = np.random.default_rng((99, take))
            yield "compressed", compressed(self.held.film(rng).astype(np.float32), "420", rng)


def flown_through(pictures: Floats, rng: np.random.Generator, sigma: float) -> Floats:
    """Pictures (T, H, W, 3) through which birds, balls, stars and satellites fly: spots of 1 to 9
    pixels with soft edges, up to 14 pixels a frame, of which networks that see few lose a part. A
    half of them is light that is so many times as strong as the noise (FAINT)."""
    frames, height, width, _ = pictures.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    shown = pictures.copy()
    for _ in range(rng.integers(2, 9)):
        radius = log_uniform(rng, 0.6, 4.5)
        stretched, turn = rng.uniform(1, 2.5), rng.uniform(0, np.pi)
        colour = rng.uniform(0, 1, 3) if rng.random() < 0.3 else np.full(3, rng.random())
        opaque, light = log_uniform(rng, 0.15, 1), 0.0
        if rng.random() < 0.5:
            light = sigma * log_uniform(rng, *FAINT) * (1 if rng.random() < 0.7 else -1)
        speed = log_uniform(rng, 0.3, 14) * (rng.random() < 0.8)
        way, middle = rng.uniform(0, 2 * np.pi), rng.integers(frames)
        begin = rng.uniform(0.1, 0.9, 2) * (height, width)
        for index in range(frames):
            y, x = begin + (index - middle) * speed * np.array([np.sin(way), np.cos(way)])
            down, across = rows - np.float32(y), columns - np.float32(x)
            along = down * np.sin(turn) + across * np.cos(turn)
            off = down * np.cos(turn) - across * np.sin(turn)
            far = np.hypot(along / stretched, off)
            share = (1 / (1 + np.exp(np.clip((far - radius) / 0.35, -30, 30))))[..., None]
            shown[index] += share * (light if light else opaque * (colour - shown[index]))
    return shown.clip(0, 1).astype(np.float32)


def behind_cards(pictures: Floats, rng: np.random.Generator) -> Floats:
    """Pictures (T, H, W, 3) behind flat patches of strong colour: cameras in daylight hardly ever
    show one, and networks that saw none leave noise there."""
    frames, height, width, _ = pictures.shape
    shown = pictures.copy()
    for _ in range(rng.integers(3, 14)):
        side, place = rng.integers(12, 100, 2), rng.uniform(-20, (height, width))
        colour = np.where(rng.random(3) < 0.5, rng.uniform(0, 0.2, 3), rng.uniform(0.3, 1, 3))
        speed = rng.normal(0, 2, 2).round() * (rng.random() < 0.3)
        for index in range(frames):
            here = place + index * speed
            ends = np.rint([here, here + side]).astype(int).clip(0)
            shown[index, ends[0, 0] : ends[1, 0], ends[0, 1] : ends[1, 1]] = colour
    return shown


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def x264(best: int, worst: int) -> Codec:
    return Codec("libx264", True, ((1, 1),), "crf", best, worst, ({"preset": "medium"},))


def noised(
    clean: Floats, law: Law, name: str, rng: np.random.Generator, codec: Codec | None,
    shared: float = 0.0, loud: Stack | None = None,
) -> Sample:  # fmt: skip
    """Noise on pictures (T, H, W, 3), in 8-bit RGB first, as the test clips have it, then in the
    planes of a file (a name of `material.LAYOUTS`), at last through a codec. shared: of its power
    R, G and B have alike, which nobody tells networks. loud: where there is noise."""
    whole = np.stack([added(one, law, shared, rng) for one in clean])
    if loud is not None:
        whole = np.where(loud[..., None] > 0, whole, clean)
    noisy = (np.rint(whole.clip(0, 1) * 255) / 255).astype(np.float32)
    layout = layout_of(name, np.random.default_rng(0))
    truth, given = planes_of(clean, layout), rounded(planes_of(noisy, layout), layout)
    if layout.family is Family.RGB:  # the noise before black and white cut it off, as it is told
        apart = planes_of(whole - clean, layout)
        light = truth
    else:
        apart = [a - b for a, b in zip(given, truth, strict=True)]
        light = [resized(truth[0], one.shape) for one in truth]
    level = [as_read(a) * by_light(a, b, loud) for a, b in zip(apart, light, strict=True)]
    coding, found, kind = [np.zeros_like(one) for one in truth], given, "white"
    if codec is not None:
        found = rounded(coded(given, layout, codec, rng), layout)
        level, coding = parted(given, truth, found, level)
        kind = "white, then libx264"
    parts = (tuple(one) for one in (truth, found, level, coding, truth))
    return Sample(layout, *parts, "film", kind)


def compressed(clean: Floats, name: str, rng: np.random.Generator) -> Sample:
    """Pictures (T, H, W, 3) without noise in planes of a file that some codec wrote, and its errors
    as the engine tells them: one strength for all places."""
    layout = layout_of(name, np.random.default_rng(0))
    truth = rounded(planes_of(clean, layout), layout)
    found = truth
    for _ in range(1 + (rng.random() < TWICE)):
        found = rounded(coded(found, layout, draw_codec(layout, rng), rng), layout)
    error = float(np.square(found[0] - truth[0]).mean() ** 0.5) * np.exp(rng.normal(0, OFF))
    told = PlaneNoise.even(float(np.clip(error, LEAST8 / 255, MOST8 / 255)), layout, clipped=True)
    errors = [np.full_like(p, one) for p, one in zip(truth, told.model.sigma, strict=True)]
    among = [AMONG_ERRORS * one for one in errors]
    return Sample(layout, *map(tuple, (truth, found, among, errors, truth)), "film", "compressed")


def by_light(apart: Stack, light: Stack, loud: Stack | None) -> Stack:
    """Standard deviations of noise by brightness, as the engine measures them: in equally filled
    bins, and straight lines between these. loud: where there is noise."""
    there = np.ones_like(light) * (1 if loud is None else resized(loud, light.shape))
    inside = there.ravel() > 0.5
    seen, power = light.ravel()[inside], apart.ravel()[inside] ** 2
    return (there * np.sqrt(np.interp(light, *binned(seen, power)))).astype(np.float32)


def as_read(apart: Stack) -> float:
    """How strong the engine takes noise (T, H, W) for that is nearly white: it reads the finest
    band, which chroma's own lacks where R, G and B had the noise (0.88 of it on ten clips)."""
    fine, whole = (sum(float(np.square(one).sum()) for one in each) for each in (
        map(bent, apart), apart))  # fmt: skip
    ratio = fine / max(whole, 1e-12)
    white = float(np.clip((ratio - COLOURED[0]) / (COLOURED[1] - COLOURED[0]), 0, 1))
    return float(1 - white + white * ratio) ** 0.5


def added(picture: Floats, law: Law, shared: float, rng: np.random.Generator) -> Floats:
    if not shared:
        return np.asarray(law.add(picture, rng))
    one, other = (law.sample(picture.shape, rng, np.float32) for _ in range(2))
    noise = shared**0.5 * one[..., :1] + (1 - shared) ** 0.5 * other
    return np.asarray(picture + noise * law.level(picture), np.float32)


def in_planes(
    clean: Floats, law: Law, name: str, rng: np.random.Generator, loud: Stack | None
) -> Sample:
    """Noise that was never in RGB: planes have their own, chroma's weaker or stronger and wider. A
    gray picture's no end of a range cuts off, nor any code rounds. loud: where there is noise."""
    layout = layout_of(name, np.random.default_rng(0))
    truth, noisy, level = planes_of(clean, layout), [], []
    most = SIGMA["white"][1] / 255 / float(law.level(truth[0]).mean())
    times = log_uniform(rng, COLOURS[0], max(1.0, min(COLOURS[1], most)))
    wide = replace(law, blur=rng.uniform(*WIDE)) if rng.random() < 0.5 else law
    along = log_uniform(rng, *ALONG) if name != "gray" and rng.random() < TAPE else 0.0
    for plane, (factor, of) in zip(truth, [(1.0, law), *[(times, wide)] * 2], strict=False):
        there = 1 if loud is None else resized(loud, plane.shape) > 0.5
        light = law.level(resized(truth[0], plane.shape))
        level.append((there * factor * light).astype(np.float32))
        noise = np.stack([of.sample((*one.shape, 1), rng, np.float32)[..., 0] for one in plane])
        if along:
            long = gaussian_filter1d(noise, along, mode="mirror")
            noise = long * (noise.std() / long.std())
        noisy.append((plane + noise * level[-1]).astype(np.float32))
    found = noisy if name == "gray" else rounded(noisy, layout)
    parts = (tuple(one) for one in (truth, found, level, [0 * one for one in truth], truth))
    return Sample(layout, *parts, "film", "white")


# What networks learn from -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TrueMaps:
    """What a method is told, as it was made: (1, 2 P, h, w)."""

    known: Tensor

    def maps(self, layout: Layout, picture: Tensor) -> Tensor:
        return self.known


def bundled(size: str, file: str | None = None) -> Networks:
    """The bundled networks of a size, or a file's, to run."""
    held = weights.load(file or f"f2r-{size}")
    networks = held.network(lambda: Networks(held.header.config))
    channels_last(networks.eval())
    return networks


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


def followed(method: F2R, draw: Draw) -> tuple[list[Any], list[Any], list[Any]]:
    """What is told, the prepared frames, and the memory at each."""
    given = ([torch.from_numpy(one)[None] for one in draw[k]] for k in ("noisy", "told"))
    pictures, told = given
    known: list[Any] = [TrueMaps(one) for one in told]
    frames = [
        method.prepare(i, one, maps)
        for i, (one, maps) in enumerate(zip(pictures, known, strict=True))
    ]
    method.flows.chain(frames)
    memories = [method.remember(one, maps) for one, maps in zip(frames, known, strict=True)]
    return known, frames, memories


def evened(sample: Sample) -> Sample:
    """A sensor's sample in the space in which its noise is even, as networks see counts."""
    clean, noisy, level = (np.stack(one, 1) for one in (sample.clean, sample.noisy, sample.noise))
    gain, offset = np.polyfit(clean.ravel(), level.ravel() ** 2, 1).clip(0).tolist()
    space = VarianceStabiliser.of(NoiseModel((gain,) * 4, (offset**0.5,) * 4, (0.0,) * 4))
    grid = torch.linspace(0, 1.2, 1 << 14)
    light = space.back(grid.view(1, 1, -1, 1))[0, 0, :, 0].numpy()
    mean = np.interp(clean, light, grid.numpy()).astype(np.float32)  # of noisy samples there
    parts = mean, space.into(torch.from_numpy(noisy)).numpy(), np.full_like(mean, space.sigma)
    clean, noisy, level = (tuple(np.moveaxis(one, 1, 0)) for one in parts)
    return sample._replace(clean=clean, noisy=noisy, noise=level)


def drawn(sample: Sample) -> Draw:
    """A sample in packed planes: clean, noisy, told, small, (T, ..) each, and the layout's name."""
    layout = packing(sample.layout)
    frames, height, width = sample.clean[0].shape
    sample = evened(sample) if layout.name == "mosaic" else sample
    small = np.zeros((frames, height, width), np.float32) if sample.small is None else sample.small
    return {
        "small": small.reshape(frames, 1, height // 2, 2, width // 2, 2).max((3, 5)),
        "clean": np.asarray(pack(layout, [*sample.clean])), "told": told_maps(sample, layout),
        "noisy": np.asarray(pack(layout, [*sample.noisy])), "layout": layout.name,
    }  # fmt: skip


def windows(draw: Draw, networks: Networks, length: int) -> list[Draw]:
    """The windows of a draw: centres clean, noisy, told and, by a coarse network, `single`; their
    neighbours' noisy and coarse pictures on their grid, `near` and `nearby` (N, ..), with
    confidence and worth (N, 1, ..)."""
    layout = LAYOUTS[draw["layout"]]
    device = torch.device("cpu")
    run = Runner(device, choose_precision("auto", device, LARGE), None)
    method = F2R(networks, run, layout, length)
    known, frames, memories = followed(method, draw)
    made = []
    for centre in np.linspace(0, len(frames) - 1, CENTRES).round().astype(int).tolist():
        window = window_at(frames, centre, length)
        oldest = window.items[0].index
        method.memory = (oldest, memories[oldest]) if window.before else None
        following = method.follow(window, known[centre])
        assert following is not None
        seen = method.aligned(*following, window.centre.coarse)
        found = {
            "single": window.centre.coarse, "near": seen.noisy, "nearby": seen.coarse,
            "confidence": seen.confidence, "worth": seen.worth,
        }  # fmt: skip
        one = {key: draw[key][centre] for key in ALONE}
        made.append(one | {key: value[0].numpy() for key, value in found.items()})
    return made


cv2.setNumThreads(1)
torch.set_num_threads(1)
