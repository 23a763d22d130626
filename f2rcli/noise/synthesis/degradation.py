"""Clean clips made into the noisy footage that people own, with the truth beside it.

Daylight with strong, clipped noise taught networks to harm everything else (DESIGN.md D32). So
every sample draws what it shows (a moving scene, a still one, graphics, texture), how it is lit,
how strong its noise is (light noise as often as heavy), and what holds it: RGB codes clipped at
black and white, limited-range Y'CbCr 4:2:0 with room beyond both, or numbers that are not rounded.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.frames import Family, Matrix, PlaneLayout
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.synthesis.corruption import Law, as_gray, draw_law, recolour

Pictures = NDArray[np.float32]  # (T, H, W, 3), 0 = black, 1 = white

LIGHTEST, HEAVIEST = 0.3, 55.0  # standard deviations of log-uniform noise, 8-bit codes
SPANS = ((16, 219.0), (128, 224.0), (128, 224.0))  # code of zero and codes of one unit, Y Cb Cr
OLD_SHARE = 0.45  # of the noise is drawn as for the first weights, evenly up to strong

VIDEO = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)

# Encoder, its options with the range of the one that sets the rate. Old codecs at low rates too.
CODERS: tuple[tuple[str, str, tuple[int, int], dict[str, str]], ...] = (
    ("libx264", "crf", (16, 35), {"preset": "veryfast"}),
    ("libx264", "crf", (18, 32), {"preset": "medium"}),
    ("libx265", "crf", (18, 32), {"preset": "ultrafast"}),
    ("mpeg4", "q", (2, 12), {}),
    ("mpeg2video", "q", (2, 10), {}),
    ("mjpeg", "q", (2, 9), {}),
)


class Footage(NamedTuple):
    """A degraded clip, its truth, and its noise's standard deviation before any clipping."""

    noisy: Pictures
    clean: Pictures
    level: Pictures


def degraded(
    clip: NDArray[np.uint8], frames: int, size: int, rng: np.random.Generator, *, coded: bool
) -> Footage:
    """Footage of `frames` square pictures, cut from a clip (T, H, W, 3).

    coded: whether it goes through a video encoder at the end.
    """
    clean = _lit(_content(clip, frames, size, rng), rng)
    gray = rng.random() < 0.1
    if gray:
        clean = as_gray(clean)
    law = draw_light_law(rng) if rng.random() > OLD_SHARE else draw_law(rng)
    if coded:
        return _coded(clean, replace(law, shared=1.0) if gray else law, rng)
    holder = rng.random()
    if holder < 0.4:
        return _in_video(clean, law, rng, gray=gray)
    if gray:
        law = replace(law, shared=1.0)
    noisy = _noised(clean, law, rng)
    if holder < 0.82:
        noisy = to_unit(to_codes(noisy))
    return Footage(noisy, clean, _levels(law, clean))


def draw_light_law(rng: np.random.Generator) -> Law:
    """Noise of any strength, every octave as likely: white, with shot noise, or correlated."""
    sigma = float(np.exp(rng.uniform(np.log(LIGHTEST), np.log(HEAVIEST)))) / 255
    shared = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.2 else 0.0
    kind = rng.random()
    if kind < 0.5:
        return Law(0.0, sigma, 0.0, shared)
    if kind < 0.75:  # the variance at middle grey is sigma's, part of it from light
        part = rng.uniform(0.2, 0.95)
        return Law(2 * part * sigma**2, sigma * (1 - part) ** 0.5, 0.0, shared)
    return Law(0.0, sigma, rng.uniform(0.4, 1.3), shared)


def _noised(clean: Pictures, law: Law, rng: np.random.Generator) -> Pictures:
    """Every frame with its own noise; in a twentieth of clips a camera's filter has mixed it with
    that of the frame before."""
    if rng.random() > 0.05:
        return np.stack([law.add(frame, rng) for frame in clean])
    memory = np.float32(rng.uniform(0.2, 0.6))
    kept, out = law.sample(clean[0].shape, rng), []
    for frame in clean:
        kept = memory * kept + np.sqrt(1 - memory**2) * law.sample(frame.shape, rng)
        out.append(frame + kept * law.level(frame))
    return np.stack(out)


def _levels(law: Law, clean: Pictures) -> Pictures:
    return np.stack([law.level(frame) for frame in clean])


def _in_video(clean: Pictures, law: Law, rng: np.random.Generator, *, gray: bool) -> Footage:
    """Noise of planes of limited-range 4:2:0: below black and above white, chroma's apart."""
    chroma = replace(
        law,
        gain=0.0,
        read=law.read if not law.gain else float(np.sqrt(law.read**2 + law.gain / 4)),
        blur=float(rng.choice([0.0, law.blur, rng.uniform(0.5, 1.5)])),
        shared=0.0,
    )
    factor = 0.0 if gray else float(np.exp(rng.uniform(np.log(0.3), np.log(2.0))))
    truth, noisy = [], []
    for frame in clean:
        planes = _planes(frame)
        if gray:
            planes[1:] = [np.zeros_like(plane) for plane in planes[1:]]
        truth.append(_rgb(planes))
        loud = [law.add(planes[0][..., None], rng)[..., 0]]
        for plane in planes[1:]:
            added = chroma.sample((*plane.shape, 1), rng)[..., 0] * np.float32(factor * chroma.read)
            loud.append(plane + added)
        noisy.append(_rgb(_units(_codes(loud)) if rng.random() < 0.8 else loud))
    found, true = np.stack(noisy), np.stack(truth)
    luma = _levels(law, true.mean(-1, keepdims=True))
    measured = np.sqrt(np.mean((found - true) ** 2, axis=(0, 1, 2)))  # of every channel
    typical = np.sqrt(np.mean(luma**2)) + 1e-6
    return Footage(found, true, (luma * (measured / typical)).astype(np.float32))


def _planes(picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """A picture (H, W, 3) as planes of VIDEO, not rounded."""
    return yuv.split(np.ascontiguousarray(picture.transpose(2, 0, 1)), VIDEO)


def _rgb(planes: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return yuv.joined(planes, VIDEO).transpose(1, 2, 0)


def _content(clip: NDArray[np.uint8], frames: int, size: int, rng: np.random.Generator) -> Pictures:
    """What a sample shows: a scene that moves, stands still or drifts, graphics, or texture."""
    kind = rng.random()
    if kind < 0.08:
        return _graphics(frames, size, rng)
    if kind < 0.13:
        return _texture(frames, size, rng)
    picture = _moving(clip, frames, size, rng, still=kind < 0.33)
    return recolour(picture, rng) if rng.random() < 0.12 else picture


def _moving(
    clip: NDArray[np.uint8], frames: int, size: int, rng: np.random.Generator, *, still: bool
) -> Pictures:
    """A cut of a clip, halved where it is large enough (which takes its own noise away); every
    second frame at times; or one frame of it, quite still or drifting by parts of a pixel."""
    count, height, width, _ = clip.shape
    half = min(height, width) >= 2 * size and rng.random() < 0.6
    side = 2 * size if half else size
    room = 8 if still and min(height, width) >= side + 8 else 0
    top, left = (int(rng.integers(n - side - room + 1)) for n in (height, width))
    rows, columns = slice(top, top + side + room), slice(left, left + side + room)
    step = 2 if not still and rng.random() < 0.15 else 1
    if still:
        start = int(rng.integers(count))
        chosen: list[Any] = [clip[start, rows, columns]] * frames
    else:
        span = [i * step for i in range(frames)]
        start = int(rng.integers(max(count - span[-1], 1)))
        places = [_bounced(start + i, count) for i in span]
        chosen = [clip[i, rows, columns] for i in places]
        if rng.random() < 0.5:
            chosen.reverse()
    pictures = [to_unit(np.ascontiguousarray(c)) for c in chosen]
    if still:
        pictures = _drifting(pictures, room, rng)
    if half:
        pictures = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures]  # type: ignore[misc]  # float32 stays
    return np.stack(pictures)


def _bounced(index: int, count: int) -> int:
    """Place of a frame in a clip that is played forwards and backwards for ever."""
    if count == 1:
        return 0
    place = index % (2 * count - 2)
    return place if place < count else 2 * count - 2 - place


def _drifting(
    pictures: list[NDArray[np.float32]], room: int, rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    """Still pictures without their room around; a third of them hang on an unsteady tripod."""
    side = pictures[0].shape[0] - room
    inner = slice(room // 2, room // 2 + side)
    if not room or rng.random() < 0.67:
        return [p[inner, inner] for p in pictures]
    path = np.clip(np.cumsum(rng.normal(0, rng.uniform(0.02, 0.3), (len(pictures), 2)), 0), -3, 3)
    out = []
    for picture, (dx, dy) in zip(pictures, path, strict=True):
        shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        moved: Any = cv2.warpAffine(
            picture,
            shift,
            picture.shape[1::-1],
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        out.append(moved[inner, inner])
    return out


def _graphics(frames: int, size: int, rng: np.random.Generator) -> Pictures:
    """Flat areas, blocks, lines, checkerboards and ramps in any colours, some of which move."""
    canvas = np.empty((size, size, 3), np.float32)
    canvas[:] = rng.random(3) ** 2
    for _ in range(int(rng.integers(2, 8))):
        top, left = rng.integers(0, size, 2)
        height, width = rng.integers(8, size, 2)
        part = canvas[top : top + height, left : left + width]
        _painted(part, rng)
    blocks = []
    for _ in range(int(rng.integers(0, 4))):
        block = np.empty((*rng.integers(8, max(size // 3, 9), 2), 3), np.float32)
        block[:] = rng.random(3)
        _painted(block, rng)
        blocks.append((block, rng.uniform(0, size, 2), rng.normal(0, 3, 2).round()))
    out = []
    for time in range(frames):
        frame = canvas.copy()
        for block, place, speed in blocks:
            top, left = (int(v) % size for v in place + time * speed)
            room = frame[top : top + block.shape[0], left : left + block.shape[1]]
            room[:] = block[: room.shape[0], : room.shape[1]]
        out.append(frame)
    return np.stack(out)


def _painted(part: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Fill a part of a canvas with a flat colour, a ramp, stripes, a checkerboard or dots."""
    first, second = (rng.random(3).astype(np.float32) for _ in range(2))
    rows, columns = np.indices(part.shape[:2], np.int64)
    kind, step = rng.integers(5), int(rng.integers(1, 9))
    mask: NDArray[Any] = np.zeros(part.shape[:2], np.float32)
    if kind == 1:
        mask = np.asarray(rows / max(part.shape[0], 1), np.float32)
    elif kind == 2:
        mask = np.asarray((rows if rng.random() < 0.5 else columns) // step % 2, np.float32)
    elif kind == 3:
        mask = np.asarray((rows // step + columns // step) % 2, np.float32)
    elif kind == 4:
        coarse = rng.integers(0, 2, (part.shape[0] // step + 1, part.shape[1] // step + 1))
        mask = np.kron(coarse, np.ones((step, step)))[: part.shape[0], : part.shape[1]]
    part[:] = first + mask[..., None].astype(np.float32) * (second - first)


def _texture(frames: int, size: int, rng: np.random.Generator) -> Pictures:
    """Random texture, sharp or soft, gray or coloured, that stands still or moves."""
    speed = rng.integers(-3, 4, 2) if rng.random() < 0.6 else np.zeros(2, int)
    room = 3 * frames
    shape = (size + 2 * room, size + 2 * room, 1 if rng.random() < 0.7 else 3)
    noise: NDArray[Any] = rng.standard_normal(shape, np.float32)
    blur = rng.uniform(0, 1.6)
    if blur > 0.4:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), blur), np.float32).reshape(shape)
    noise /= noise.std()
    picture: NDArray[Any] = rng.uniform(0.3, 0.7) + rng.uniform(0.02, 0.18) * noise
    if rng.random() < 0.3:  # sand, leaves: more where something is
        picture = np.where(noise > 0.5, picture, picture.mean())
    tops, lefts = (room + np.arange(frames) * part for part in speed)
    cut = [picture[t : t + size, s : s + size] for t, s in zip(tops, lefts, strict=True)]
    return np.broadcast_to(np.clip(np.stack(cut), 0, 1), (frames, size, size, 3)).astype(np.float32)


def _lit(picture: Pictures, rng: np.random.Generator) -> Pictures:
    """As dark as cameras see it, or in a curve that keeps highlights (log, PQ) and looks flat."""
    kind = rng.random()
    if kind < 0.2:
        return picture * np.float32(np.exp(rng.uniform(np.log(0.05), 0)))
    if kind < 0.25:
        power = np.float32(rng.uniform(0.35, 0.8))
        low, high = rng.uniform(0.0, 0.15), rng.uniform(0.55, 1.0)
        return np.float32(low) + np.float32(high - low) * np.maximum(picture, 0) ** power
    return picture


def _coded(clean: Pictures, law: Law, rng: np.random.Generator) -> Footage:
    """Noisy footage through an encoder; the truth at 4:2:0, as the file could have held it."""
    noisy = _noised(clean, law, rng)
    name, rate, (low, high), options = CODERS[rng.integers(len(CODERS))]
    setting = int(rng.integers(low, high + 1))
    planes = [_codes(_planes(f)) for f in noisy]
    files = _transcoded(planes, name, {**options, rate: str(setting)})
    truth = np.stack([_rgb(_planes(f)) for f in clean])
    found = np.stack([_rgb(_units(frame)) for frame in files])
    spread = np.sqrt(np.mean((found - truth) ** 2, axis=(0, 1, 2)))
    return Footage(found, truth, np.broadcast_to(spread, truth.shape).astype(np.float32))


def _codes(planes: list[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """Planes as 8 bits hold them: 1..254, black at 16, chroma's zero at 128."""
    return [
        np.clip(np.rint(p * np.float32(span) + zero), 1, 254).astype(np.uint8)
        for p, (zero, span) in zip(planes, SPANS, strict=True)
    ]


def _units(planes: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    return [
        ((p.astype(np.float32) - zero) / np.float32(span))
        for p, (zero, span) in zip(planes, SPANS, strict=True)
    ]


def _transcoded(
    frames: list[list[NDArray[np.uint8]]], name: str, options: dict[str, str]
) -> list[list[NDArray[np.uint8]]]:
    """Planes of 4:2:0 frames through an encoder and its decoder, one for one, on one thread."""
    codec: Any = av.CodecContext.create(name, "w")
    codec.height, codec.width = frames[0][0].shape
    codec.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
    codec.time_base = Fraction(1, 25)
    codec.framerate = 25
    codec.thread_count = 1
    if "q" in options:
        options = dict(options)
        quality = int(options.pop("q"))
        codec.flags |= 2  # FFmpeg's QSCALE: a fixed quantiser
        codec.global_quality = quality * 118  # FF_QP2LAMBDA
        options |= {"qmin": str(quality), "qmax": str(quality)}
    if name == "libx265":
        options = {**options, "x265-params": "log-level=none:pools=1:frame-threads=1"}
    codec.options = options
    decoders = {"libx264": "h264", "libx265": "hevc"}
    decoder: Any = av.CodecContext.create(decoders.get(name, name), "r")
    out: list[list[NDArray[np.uint8]]] = []

    def take(packets: Any) -> None:
        for packet in packets:
            out.extend(_planes_of(f) for f in decoder.decode(packet))

    for index, planes in enumerate(frames):
        frame = av.VideoFrame(codec.width, codec.height, codec.pix_fmt)
        frame.pts = index
        for plane, data in zip(frame.planes, planes, strict=True):
            buffer = np.zeros((plane.height, plane.line_size), np.uint8)
            buffer[:, : plane.width] = data
            plane.update(buffer.tobytes())
        take(codec.encode(frame))
    take(codec.encode(None))
    out.extend(_planes_of(f) for f in decoder.decode(None))
    return out


def _planes_of(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    return [
        np.frombuffer(memoryview(p), np.uint8).reshape(p.height, -1)[:, : p.width].copy()
        for p in frame.planes
    ]
