"""Noise of every kind and codecs of every family, in a file's planes, with maps of the truth."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

os.environ.setdefault("SVT_LOG", "1")  # errors only
import av
import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Family, PlaneLayout
from f2rcli.io.video.encoders import ordinary_scheduling
from f2rcli.noise.synthesis.law import DECODERS, Law, through_codec
from f2rcli.yuv import code_span

Stack = NDArray[np.float32]  # (T, h, w), one plane of a clip in units of the plane
Planes = list[Stack]
Rng = np.random.Generator

LIGHTEST, HEAVIEST = 0.3, 55.0  # standard deviations of noise, 8-bit codes
NEAR = 9  # pixels: how far around errors of coding are averaged to tell their strength


class Noise(NamedTuple):
    """What kind of noise was drawn, and its standard deviation at every sample."""

    kind: str
    level: Planes  # before any clipping
    added: Planes


def draw_noise(clean: Planes, layout: PlaneLayout, loud: Stack | None, rng: Rng) -> Noise:
    """Noise for the planes of a clip. loud (T, H, W): what its strength is multiplied by."""
    sigma = float(np.exp(rng.uniform(np.log(LIGHTEST), np.log(HEAVIEST)))) / 255
    if layout.family is Family.YUV:
        factors = [1.0, *np.exp(rng.uniform(np.log(0.3), np.log(2.0), 2))]
        if rng.random() < 0.6:  # both colours alike, as nearly always
            factors[2] = factors[1]
    else:
        factors = [1.0] * len(clean)
    kind = str(rng.choice(KINDS, p=SHARES))
    gain, blur, bell = 0.0, 0.0, 0.0
    if kind == "shot":
        part = rng.uniform(0.2, 0.97)
        gain, sigma = 2 * part * sigma**2, sigma * (1 - part) ** 0.5
    elif kind == "coarse":
        blur = rng.uniform(0.4, 1.6)
    elif kind == "film":
        blur, bell = rng.uniform(0.3, 1.2), rng.uniform(0.5, 1)
        factors[1:] = [f * rng.uniform(0, 0.5) for f in factors[1:]]
    if kind == "of luma":
        factors[1:] = [0.0] * len(factors[1:])
    if kind == "by place" and loud is None:
        loud = places(clean[0].shape, rng)
    luma = clean[0]
    keeping = keeping_of(luma, rng) if kind == "filtered in time" else None
    coarse_chroma = rng.uniform(0.4, 1.5) if rng.random() < 0.25 else blur
    rows = sigma * rng.uniform(0.2, 1) if kind == "rows" else 0.0
    curve = by_light(rng) if kind == "by light" else None
    levels, added = [], []
    for index, (plane, factor) in enumerate(zip(clean, factors, strict=True)):
        light = resized(luma, plane.shape) if layout.family is Family.YUV else plane
        level = np.sqrt(gain * np.clip(light, 0, 1) + sigma**2).astype(np.float32)
        if curve is not None:
            level = level * np.exp(np.interp(light, *curve)).astype(np.float32)
        if bell:
            level = level * (1 - bell + bell * 4 * np.clip(light, 0, 1) * np.clip(1 - light, 0, 1))
        if loud is not None:
            level = level * resized(loud, plane.shape)
        level = np.asarray(level * np.float32(factor), np.float32)
        unit = Law(0, 1, coarse_chroma if index else blur)
        noise = level * np.stack([unit.sample((*plane.shape[1:], 1), rng)[..., 0] for _ in plane])
        if keeping is not None:
            noise, less = kept(noise, resized(keeping, plane.shape))
            level = level * less
        if rows and not index:
            noise += rows * rng.standard_normal((*plane.shape[:2], 1), np.float32)
            level = np.sqrt(level**2 + np.float32(rows**2))
        levels.append(level)
        added.append(noise.astype(np.float32))
    return Noise(kind, levels, added)


KINDS = ("white", "shot", "coarse", "film", "of luma", "by place", "rows", "filtered in time",
         "by light")  # fmt: skip
SHARES = (0.25, 0.13, 0.12, 0.06, 0.03, 0.07, 0.02, 0.2, 0.12)


def keeping_of(scene: Stack, rng: Rng) -> Stack:
    """How much of the frame before a camera's own denoising over time keeps, (T, H, W): in most
    cameras less where the scene changes."""
    part = rng.uniform(0.2, 0.8)
    change = np.abs(np.diff(scene, axis=0, prepend=scene[:1]))
    near = np.stack([cv2.blur(one, (7, 7)) for one in change])
    limit = np.exp(rng.uniform(np.log(0.008), np.log(0.08))) if rng.random() < 0.7 else np.inf
    return np.asarray(part * np.exp(-np.square(near / np.float32(limit))), np.float32)


def kept(noise: Stack, keeping: Stack) -> tuple[Stack, Stack]:
    """Noise (T, ..) of which every frame keeps some of the one before, and how much weaker it is
    by that."""
    least = np.float32((1 - keeping[0]) / (1 + keeping[0]))  # the power after many frames
    found, powers = [least**0.5 * noise[0]], [least]
    for new, part in zip(noise[1:], keeping[1:], strict=True):
        found.append(part * found[-1] + (1 - part) * new)
        powers.append(part**2 * powers[-1] + (1 - part) ** 2)
    return np.stack(found), np.sqrt(powers)


def by_light(rng: Rng) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Brightness and the logarithm of a factor for the noise there: up to seven times as much at
    one end as at the other, as tone curves make of a sensor's; from one to the other steadily, or
    within a tenth."""
    steep = np.exp(rng.uniform(np.log(0.005), np.log(1)))
    ends = rng.permutation([0.0, -rng.uniform(0.3, 2)])
    middle = rng.uniform(0.15, 0.85)
    return np.array([middle - steep / 2, middle + steep / 2]), ends


def places(shape: tuple[int, ...], rng: Rng) -> Stack:
    """Factors (1, H, W) for the noise: less in a half, a box or the middle, as insets, bars and
    lenses have it, or changing from frame to frame, as in a fade between shots (T, H, W)."""
    count, height, width = shape
    rows, columns = np.ogrid[: 1 : height * 1j, : 1 : width * 1j]
    little = float(rng.choice([0, 0, 0.25, 0.5]))
    kind = rng.random()
    if kind < 0.35:
        where = (columns if rng.random() < 0.5 else rows) < rng.uniform(0.2, 0.8)
        mask = where + 0 * (rows + columns)
    elif kind < 0.6:
        top, left = rng.uniform(0, 0.6, 2)
        inside = (rows > top) & (rows < top + 0.4) & (columns > left) & (columns < left + 0.4)
        mask = inside if rng.random() < 0.5 else ~inside
    elif kind < 0.8:
        far = (rows - 0.5) ** 2 + (columns - 0.5) ** 2
        return (1 + rng.uniform(0.5, 4) * far)[None].astype(np.float32)
    else:
        ramp = np.linspace(*rng.permutation([1.0, little]), count)[:, None, None]
        return np.broadcast_to(ramp, shape).astype(np.float32)
    return (little + (1 - little) * mask)[None].astype(np.float32)


def resized(stack: Stack, shape: tuple[int, ...]) -> Stack:
    """A stack on the grid of planes of another size."""
    if stack.shape[1:] == shape[1:]:
        return stack
    size = shape[2], shape[1]
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in stack])


# Codecs -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Codec:
    """An encoder with what it takes and how coarsely it may round."""

    name: str
    deep: bool  # whether it takes 10 bits
    chroma: tuple[tuple[int, int], ...]  # log2 of the subsamplings that it takes
    rate: str  # the option that sets the rate; "q": a fixed quantiser
    least: int
    most: int
    choices: tuple[dict[str, str], ...] = ({},)


ALL, OF_420 = ((1, 1), (1, 0), (0, 0)), ((1, 1),)
FAST = ("ultrafast", "superfast", "veryfast", "veryfast", "medium")
TUNED = ({"preset": "fast", "tune": "zerolatency"}, {"preset": "medium", "tune": "grain"})
VP9 = {"deadline": "realtime", "cpu-used": "6", "b": "0"}
CODECS = (
    Codec("libx264", True, ALL, "crf", 16, 36, tuple({"preset": p} for p in FAST)),
    Codec("libx264", True, ALL, "crf", 18, 32, ({"preset": "veryfast"}, *TUNED)),
    Codec("libx265", True, ALL, "crf", 18, 36, ({"preset": "ultrafast"}, {"preset": "fast"})),
    Codec("libvpx-vp9", False, OF_420, "crf", 18, 50, (VP9,)),
    Codec("libsvtav1", True, OF_420, "crf", 20, 52, ({"preset": "10", "svtav1-params": "lp=1"},)),
    Codec("mpeg4", False, OF_420, "q", 2, 16),
    Codec("mpeg2video", False, ((1, 1), (1, 0)), "q", 2, 14),
    Codec("mjpeg", False, ALL, "q", 2, 14),
    Codec("prores_ks", True, ((1, 0),), "bits_per_mb", 250, 1500),
)
DECODERS |= {"libvpx-vp9": "vp9", "libsvtav1": "libdav1d", "prores_ks": "prores"}
NAMES = {(1, 1): "420p", (1, 0): "422p", (0, 0): "444p"}


def draw_codec(layout: PlaneLayout, rng: Rng) -> Codec:
    """A codec that takes such planes, every family as likely as its places in the list."""
    fit = [
        codec
        for codec in CODECS
        if layout.log2_chroma in codec.chroma
        and (codec.deep if layout.bits == 10 else codec.name != "prores_ks")
    ]
    return fit[rng.integers(len(fit))]


def coded(planes: Planes, layout: PlaneLayout, codec: Codec, rng: Rng) -> Planes:
    """Y'CbCr planes through a codec of the layout's depth and subsampling."""
    value = int(rng.integers(codec.least, codec.most + 1))
    options = dict(codec.choices[rng.integers(len(codec.choices))])
    if codec.rate == "q":  # the same quantiser for all; 118 is FFmpeg's FF_QP2LAMBDA
        options |= {"flags": "+qscale", "global_quality": str(118 * value)}
        options |= {"qmin": str(value), "qmax": str(value)}
    else:
        options[codec.rate] = str(value)
    if codec.name not in ("mjpeg", "prores_ks") and rng.random() < 0.4:
        options["g"] = str(rng.integers(2, 13))
    name = NAMES[layout.log2_chroma] + ("10le" if layout.bits == 10 else "")
    name = ("yuvj" if codec.name == "mjpeg" else "yuv") + name
    codes = [in_codes(plane, layout, chroma=i > 0) for i, plane in enumerate(planes)]
    with ordinary_scheduling():
        found = list(through_codec(pictures(codes, name), codec.name, options))
    stacks = zip(*(samples(frame, codes) for frame in found), strict=True)
    return [in_units(np.stack(one), layout, chroma=i > 0) for i, one in enumerate(stacks)]


def pictures(codes: Sequence[NDArray[Any]], name: str) -> Iterator[av.VideoFrame]:
    """Frames of PyAV from stacks of codes."""
    for each in zip(*codes, strict=True):
        frame = av.VideoFrame(each[0].shape[1], each[0].shape[0], name)
        for plane, data in zip(frame.planes, each, strict=True):
            held = np.zeros((plane.height, plane.line_size // data.itemsize), data.dtype)
            held[:, : plane.width] = data
            plane.update(held.tobytes())
        yield frame


def samples(frame: av.VideoFrame, like: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The planes of a decoded frame."""
    return [
        np.frombuffer(memoryview(p), one.dtype).reshape(p.height, -1)[:, : p.width].copy()
        for p, one in zip(frame.planes, like, strict=True)
    ]


def in_codes(plane: Stack, layout: PlaneLayout, *, chroma: bool) -> NDArray[Any]:
    """As the file holds it: rounded, and clipped where the file's range or its depth ends."""
    zero, span = code_span(layout, int(chroma))
    top = 2**layout.bits - 1
    edge = 0 if layout.full_range else top // 255  # codes that limited range may not use
    codes = np.clip(np.rint(plane * np.float32(span) + np.float32(zero)), edge, top - edge)
    return codes.astype(np.uint8 if layout.bits == 8 else np.uint16)


def in_units(codes: NDArray[Any], layout: PlaneLayout, *, chroma: bool) -> Stack:
    """Codes in units of the plane."""
    zero, span = code_span(layout, int(chroma))
    return (codes.astype(np.float32) - np.float32(zero)) * np.float32(1 / span)


def parted(given: Planes, clean: Planes, found: Planes, level: Planes) -> tuple[Planes, Planes]:
    """What a codec left of the noise, and its own errors: standard deviations at every sample.

    given: what it was handed; found: what came out. Its output holds a share of the noise (a
    regression on it, locally), and the rest of what is off is the codec's own.
    """
    left, errors = [], []
    for a, b, c, sigma in zip(given, clean, found, level, strict=True):
        noise, off = a - b, c - b
        power, both, all_ = near(noise * noise), near(noise * off), near(off * off)
        share = np.clip(both / np.maximum(power, 1e-12), 0, 1)
        left.append((share * sigma).astype(np.float32))
        errors.append(np.sqrt(np.maximum(all_ - share**2 * power, 0)).astype(np.float32))
    return left, errors


def spread_of(off: Planes) -> Planes:
    """The local root mean square of errors."""
    return [np.sqrt(near(one * one).clip(0)).astype(np.float32) for one in off]


def near(stack: Stack) -> Stack:
    """Means over NEAR pixels and the adjacent frames."""
    soft = np.stack([cv2.blur(one, (NEAR, NEAR)) for one in stack])
    return (
        soft + np.concatenate([soft[:1], soft[:-1]]) + np.concatenate([soft[1:], soft[-1:]])
    ) / 3
