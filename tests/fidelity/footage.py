"""Clips whose truth is known: planes of limited-range 8-bit Y'CbCr 4:2:0, made, written and read.

A picture is its planes Y, Cb, Cr as float codes, chroma at half the size; a clip is a list of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Plane = NDArray[np.float64]
Planes = list[Plane]
Clip = list[Planes]

RATE = 25  # frames per second
LIMITED, BT709 = 1, 1  # AVColorRange, AVColorSpace
NEUTRAL = 128.0
TO_YUV = np.array(  # BT.709, R'G'B' in 0..1 to codes
    [[46.559, 156.629, 15.812], [-25.664, -86.336, 112.0], [112.0, -101.730, -10.270]]
)
# Codes of the colour bars at 75 %, BT.709: white to black.
BARS75 = (
    (180, 128, 128), (168, 44, 136), (145, 147, 44), (133, 63, 52),
    (63, 193, 204), (51, 109, 212), (28, 212, 120), (16, 128, 128),
)  # fmt: skip
SUPERSAMPLED = 4  # times, per side, before synthetic scenes are reduced by area


def psnr(some: ArrayLike, others: ArrayLike) -> float:
    """Of codes of 8 bits, dB; equal ones have 88."""
    apart = np.square(np.asarray(some, float) - np.asarray(others, float)).mean()
    return float(10 * np.log10(255**2 / max(apart, 1e-4)))


def write(
    path: Path, clip: Clip, codec: str = "ffv1", pix_fmt: str = "yuv420p", **options: str
) -> Path:
    """Write a clip; codes are rounded and kept within 1..254."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.pix_fmt = pix_fmt
        stream.height, stream.width = clip[0][0].shape
        stream.codec_context.color_range = LIMITED
        stream.codec_context.colorspace = BT709
        for index, planes in enumerate(clip):
            container.mux(stream.encode(_packed(planes, index).reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return path


def _packed(planes: Planes, index: int) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.pts, frame.time_base = index, Fraction(1, RATE)
    frame.color_range, frame.colorspace = LIMITED, BT709
    for plane, codes in zip(frame.planes, planes, strict=True):
        held = np.zeros((plane.height, plane.line_size), np.uint8)
        held[:, : plane.width] = np.clip(np.rint(codes), 1, 254)
        plane.update(held.tobytes())
    return frame


def coded(path: Path, clip: Clip) -> Path:
    """x264 at crf 26, as phones and web sites hand it out: smooth places hold hardly any noise."""
    settings = {"x264-params": "mbtree=0:threads=1"}
    return write(path, clip, "libx264", crf="26", preset="medium", **settings)


def planes_of(frame: av.VideoFrame) -> Planes:
    """The codes of a decoded 4:2:0 frame."""
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p", threads=1)
    return [
        np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width].astype(float)
        for p in frame.planes
    ]


def read(path: Path, frames: int | None = None) -> Clip:
    """The first frames of a file, or all."""
    clip: Clip = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            clip.append(planes_of(frame))
            if len(clip) == frames:
                break
    return clip


def stacked(clip: Clip) -> Planes:
    """The planes of a clip over time, (T, H, W) each."""
    return [np.stack(planes) for planes in zip(*clip, strict=True)]


def halved(folder: Path, frames: int, height: int = 192, width: int = 256) -> dict[str, Clip]:
    """The beginnings of a folder's clips by name, halved against their own noise, and cropped."""
    found = {}
    for path in sorted(folder.glob("*.mkv")):
        clip: Clip = []
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                small = frame.reformat(
                    width=max(width, frame.width // 4 * 2),
                    height=max(height, frame.height // 4 * 2),
                    format="yuv420p", dst_color_range=LIMITED, interpolation="AREA",
                )  # fmt: skip
                clip.append(planes_of(small))
                if len(clip) == frames:
                    break
        found[path.stem] = cut(clip, height, width)
    return found


def cut(clip: Clip, height: int, width: int) -> Clip:
    """The middle of every frame; sides are even."""
    rows, columns = clip[0][0].shape
    y, x = (rows - height) // 4 * 2, (columns - width) // 4 * 2
    return [
        [plane[y // k : (y + height) // k, x // k : (x + width) // k] for plane, k in _by_step(f)]
        for f in clip
    ]


def _by_step(planes: Planes) -> Iterator[tuple[Plane, int]]:
    return zip(planes, (1, 2, 2), strict=True)


def noisy(clip: Clip, sigma: float | Sequence[float], seed: int) -> Clip:
    """White Gaussian noise added, nothing clipped or rounded. sigma: in codes, or one per plane."""
    rng = np.random.default_rng(seed)
    each = [sigma] * 3 if isinstance(sigma, int | float) else list(sigma)
    return [
        [p + rng.normal(0, s, p.shape) if s else p.copy() for p, s in zip(f, each, strict=True)]
        for f in clip
    ]


def colour_bars(height: int, patch: int, frames: int) -> Clip:
    """The eight bars, each `patch` pixels wide, without noise."""
    codes = np.repeat(np.array(BARS75, float), patch, axis=0)  # (W, 3)
    luma = np.tile(codes[:, 0], (height, 1))
    chroma = [np.tile(codes[::2, c], (height // 2, 1)) for c in (1, 2)]
    return [[luma.copy(), *(plane.copy() for plane in chroma)] for _ in range(frames)]


def letterboxed(clip: Clip, pad: int) -> Clip:
    """A clip between black bars of `pad` rows."""
    return [
        [
            np.pad(plane, ((pad // k, pad // k), (0, 0)), constant_values=16 if k == 1 else NEUTRAL)
            for plane, k in _by_step(planes)
        ]
        for planes in clip
    ]


def darkened(clip: Clip) -> Clip:
    """A clip in luma codes 16..43."""
    return [
        [16 + (y - 16) * 27 / 219, *(NEUTRAL + 0.3 * (c - NEUTRAL) for c in chroma)]
        for y, *chroma in clip
    ]


def graphics(height: int, width: int, frames: int) -> Clip:
    """A gradient, text-like blocks, a fine checkerboard, thin lines, a falling bar; no noise."""
    rng = np.random.default_rng(4)
    base = np.full((height, width), 60.0)
    quarter, half = width // 4, height // 2
    base[:, :quarter] = np.linspace(16, 235, height)[:, None]
    base[half:, 2 * quarter : 3 * quarter] = np.where(
        np.indices((height - half, quarter)).sum(0) % 2, 200, 40
    )
    base[::8, 3 * quarter :] = 220
    blocks = rng.integers(0, 2, (-(-half // 8), -(-quarter // 8))) * 180 + 30
    base[:half, quarter : 2 * quarter] = np.kron(blocks, np.ones((8, 8)))[:half, :quarter]
    clip: Clip = []
    for index in range(frames):
        luma, shape = base.copy(), (height // 2, width // 2)
        luma[20 + 3 * index : 60 + 3 * index, width * 140 // 256 : width * 180 // 256] = 235
        blue, red = np.full(shape, NEUTRAL), np.full(shape, NEUTRAL)
        blue[:, quarter:] = 90
        red[height // 4 :] = 190
        clip.append([luma, blue, red])
    return clip


def speckle(height: int, width: int, frames: int, *, soft: bool, moving: bool) -> Clip:
    """Random texture of standard deviation 40: white, or blurred; still, or moving."""
    rng = np.random.default_rng(6)
    field = rng.normal(0, 40, (height + 128, width + 144))
    if soft:
        field = cv2.GaussianBlur(field, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    field = np.clip(126 + field * 40 / field.std(), 17, 234)
    dy, dx = (2, 3) if moving else (0, 0)
    shape = (height // 2, width // 2)
    return [
        [
            field[20 + dy * i : 20 + dy * i + height, 20 + dx * i : 20 + dx * i + width],
            np.full(shape, NEUTRAL),
            np.full(shape, NEUTRAL),
        ]
        for i in range(frames)
    ]


LEAVES = 260
OPTICS = 0.4  # pixels: what a lens blurs


def leaves(height: int, width: int, frames: int, seed: int, *, sky: bool = False) -> Clip:
    """Dead leaves, the field's model of natural pictures: textured discs of all sizes that hide
    each other, in three layers that move apart. sky: the upper half is a smooth gradient."""
    rng = np.random.default_rng(seed)
    k = SUPERSAMPLED
    radii = np.minimum(3.0 / rng.power(1.6, LEAVES), height / 3)
    places = rng.random((LEAVES, 2)) * (width + 40, height + 40) - 20
    colours = rng.random((LEAVES, 3)) * 0.7 + 0.15
    rough = rng.uniform(0, 0.03, LEAVES)  # of each leaf's texture, standard deviation
    speed = np.array([(0.5, 0.0), (1.25, 0.4), (2.0, -0.6)])[rng.integers(0, 3, LEAVES)]
    rows, columns = shape = height * k, width * k
    grain = cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 1.2 * k)
    grain = np.tile(grain / grain.std(), (2, 2))
    samples = np.add.outer(2 * columns * np.arange(rows), np.arange(columns))  # of the tiles
    clip: Clip = []
    for index in range(frames):
        corners = np.rint((places + speed * index) * k).astype(int)
        which = _topmost(corners, np.rint(radii * k).astype(int), shape)
        x, y = -corners.T % ((columns,), (rows,))  # texture travels with its leaf
        texture = grain.take(samples + (2 * columns * y + x).take(which))
        canvas = colours.take(which, 0)
        canvas += (rough.take(which) * texture)[..., None]
        if sky:
            ramp = np.linspace(0.75, 0.55, height * k // 2)
            canvas[: height * k // 2] = ramp[:, None, None] * (0.8, 0.9, 1.0)
        canvas = cv2.GaussianBlur(canvas, (0, 0), OPTICS * k)
        clip.append(_reduced(canvas, height, width))
    return clip


def _topmost(
    centres: NDArray[np.int64], radii: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.uint16]:
    """Which leaf is seen at every pixel; the first lies below all and is everywhere."""
    which = np.zeros(shape, np.uint16)
    for index, (centre, radius) in enumerate(zip(centres.tolist(), radii.tolist(), strict=True)):
        cv2.circle(which, centre, radius, index, -1)
    return which


def _reduced(canvas: Plane, height: int, width: int) -> Planes:
    """An R'G'B' canvas (kH, kW, 3) in 0..1 as planes of a smaller picture, by area."""
    full = cv2.resize(np.clip(canvas, 0, 1), (width, height), interpolation=cv2.INTER_AREA)
    half = cv2.resize(full, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    each = zip((full, half, half), TO_YUV, (16, NEUTRAL, NEUTRAL), strict=True)
    return [rgb @ weights + zero for rgb, weights, zero in each]


def filtered(path: Path, name: str, options: str) -> Clip:
    """A file through one of FFmpeg's filters."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        source, sink = graph.add_buffer(template=stream), graph.add("buffersink")
        step = graph.add(name, options)
        source.link_to(step)
        step.link_to(sink)
        graph.configure()
        clip: Clip = []
        for frame in (*container.decode(stream), None):
            source.push(frame)
            clip.extend(planes_of(done) for done in _ready(sink))
    return clip


def _ready(sink: av.filter.context.FilterContext) -> Iterable[av.VideoFrame]:
    while True:
        try:
            yield sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return
