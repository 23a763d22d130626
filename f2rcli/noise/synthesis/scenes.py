"""Scenes for degraded footage: moving or still pictures, graphics, texture, and lighting."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Pictures
from f2rcli.noise.codec import to_unit
from f2rcli.noise.synthesis.colour import recolour


def draw_scene(clip: NDArray[Any], frames: int, size: int, rng: np.random.Generator) -> Pictures:
    """A moving, still or drifting scene of `size` pixels a side, graphics or texture; clip: (T, H,
    W, 3), 8-bit codes or 0..1."""
    kind = rng.random()
    if kind < 0.08:
        return _graphics(frames, size, rng)
    if kind < 0.13:
        return _texture(frames, size, rng)
    picture = _moving(clip, frames, size, rng, still=kind < 0.33)
    return recolour(picture, rng) if rng.random() < 0.12 else picture


def _moving(
    clip: NDArray[Any], frames: int, size: int, rng: np.random.Generator, *, still: bool
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
        size, border = picture.shape[1::-1], cv2.BORDER_REFLECT
        moved: Any = cv2.warpAffine(picture, shift, size, flags=cv2.INTER_CUBIC, borderMode=border)
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


def relit(picture: Pictures, rng: np.random.Generator) -> Pictures:
    """The scene as it is, darkened, or in a flat curve that keeps highlights (log, PQ)."""
    kind = rng.random()
    if kind < 0.2:
        return picture * np.float32(np.exp(rng.uniform(np.log(0.05), 0)))
    if kind < 0.25:
        power = np.float32(rng.uniform(0.35, 0.8))
        low, high = rng.uniform(0.0, 0.15), rng.uniform(0.55, 1.0)
        return np.float32(low) + np.float32(high - low) * np.maximum(picture, 0) ** power
    return picture
