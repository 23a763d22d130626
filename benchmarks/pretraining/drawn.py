"""Drawn scenes for training: what deceives estimators of noise, with random parameters each time.

A scene is a function of a generator of random numbers, a number of frames and a size, and returns
pictures (T, size, size, 3) in 0..1. SCENES lists them by name; those in OVER_FILM are drawn over a
filmed clip and take it as a last argument.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.float32]  # (T, H, W, 3), 0 = black, 1 = white
Picture = NDArray[np.float32]  # (H, W) or (H, W, 3)
Rng = np.random.Generator
Path = list[tuple[float, float, float, float]]  # of each frame: rows, columns, zoom, turn (radians)

FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)


def camera(rng: Rng, frames: int, *, still: float = 0.15) -> Path:
    """Where a camera looks: still, trembling, shaken, panning, coming nearer or turning."""
    time = np.arange(frames, dtype=float)
    zero, one = np.zeros(frames), np.ones(frames)
    move, zoom, turn = np.stack([zero, zero], 1), one, zero
    kind = rng.random()
    if kind >= still:
        speed = np.exp(rng.uniform(np.log(0.1), np.log(5)))
        way = rng.uniform(0, 2 * np.pi)
        move = time[:, None] * speed * np.array([np.sin(way), np.cos(way)])
        if kind > 0.85:
            zoom = 1 + rng.uniform(-0.02, 0.02) * time
        elif kind > 0.7:
            turn = np.cumsum(rng.normal(0, rng.uniform(0.001, 0.02), frames))
        elif kind > 0.5:
            move = rng.normal(0, rng.choice([0.15, 0.4, 1.0, 2.0]), (frames, 2))
    return [(*m, float(z), float(a)) for m, z, a in zip(move.tolist(), zoom, turn, strict=True)]


def filmed(canvas: Picture, path: Path, size: int, finer: int) -> list[Picture]:
    """A canvas `finer` times as fine, seen by a camera; the middle `size` pixels a side."""
    shown, (height, width) = [], canvas.shape[:2]
    for down, across, zoom, turn in path:
        move = cv2.getRotationMatrix2D((width / 2, height / 2), np.degrees(turn), zoom)
        move[0, 2] += finer * across - (width - finer * size) / 2
        move[1, 2] += finer * down - (height - finer * size) / 2
        whole = (finer * size, finer * size)
        moved = cv2.warpAffine(canvas, move, whole, borderMode=cv2.BORDER_REFLECT)
        shown.append(cv2.resize(moved, (size, size), interpolation=cv2.INTER_AREA))
    return shown


def looked_at(
    draw: Callable[[NDArray[Any], NDArray[Any], int], NDArray[Any]],
    path: Path,
    size: int,
    finer: int,
) -> Pictures:
    """A pattern given as a function of rows, columns and time, by `finer` samples a pixel and way:
    1 is what rendered pictures show, 3 nearly what a lens does."""
    rows, columns = np.indices((size, size), np.float32)
    steps = (np.arange(finer) + 0.5) / finer - 0.5
    shown = []
    for time, (down, across, zoom, turn) in enumerate(path):
        total: Any = 0.0
        c, s = np.float32(np.cos(turn) * zoom), np.float32(np.sin(turn) * zoom)
        for i, j in product(steps.astype(np.float32), steps.astype(np.float32)):
            y, x = rows + i - size / 2, columns + j - size / 2
            total = total + draw(
                c * y - s * x + size / 2 + down, s * y + c * x + size / 2 + across, time
            )
        shown.append(total / finer**2)
    return coloured(np.stack(shown))


def coloured(pictures: NDArray[Any]) -> Pictures:
    """Gray pictures in three channels; coloured ones as they are."""
    three = pictures if pictures.shape[-1:] == (3,) else np.repeat(pictures[..., None], 3, -1)
    return np.clip(three, 0, 1).astype(np.float32)


def tones(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values between two random limits."""
    low, high = np.sort(rng.uniform(0, 1, 2))
    return rng.uniform(low, high, shape).astype(np.float32)


def film_on(rng: Rng, frames: int, size: int) -> Pictures:
    """A soft gray picture that drifts: what lamps, glass and screens show; (T, H, W)."""
    side = size + 64
    soft = cv2.GaussianBlur(
        rng.standard_normal((side, side), np.float32), (0, 0), rng.uniform(3, 12)
    )
    edges = (rng.standard_normal((side, side)) > 1.2).astype(np.float32)
    edges = cv2.GaussianBlur(edges, (0, 0), rng.uniform(1, 3))
    big = 0.5 + 0.15 * soft / soft.std() + 0.08 * (edges - edges.mean()) / edges.std()
    speed = rng.uniform(0, 4)
    path = [(0.3 * speed * t, speed * t, 1.0, 0.0) for t in range(frames)]
    return np.stack(filmed(big, path, size, 1)).clip(0.02, 0.98)


def walls(rng: Rng, frames: int, size: int) -> Pictures:
    """Repeated things with a pitch of their own: windows, lamps, boards, books, iron, screens."""
    pitch = np.exp(rng.uniform(np.log(1.7), np.log(17), 2)).astype(np.float32)
    if rng.random() < 0.5:
        pitch[1] = pitch[0]
    open_, gap = rng.uniform(0.15, 0.8), rng.uniform(0.08, 0.3)
    start, of_rows = rng.uniform(0, 9, 2), tones(rng, (512,))
    of_cells, film = tones(rng, (256, 256)), film_on(rng, frames, size)
    back, mix, kind, upright = (
        rng.uniform(0, 1),
        rng.uniform(0, 1),
        rng.integers(9),
        rng.random() < 0.5,
    )

    def draw(y: NDArray[Any], x: NDArray[Any], time: int) -> NDArray[Any]:
        v, u = y / pitch[0] + start[0], x / pitch[1] + start[1]
        v, u = (u, v) if upright else (v, u)
        here = np.floor(v).astype(np.int32), np.floor(u).astype(np.int32)
        inside = v - here[0], u - here[1]
        cell = of_cells[here[0] % 256, here[1] % 256]
        row, shown = of_rows[here[0] % 512], film[time]
        match kind:
            case 0:  # lamps
                round_ = np.square(inside[0] - 0.5) + np.square(inside[1] - 0.5) < open_**2 / 2
                return np.where(round_, mix * shown + (1 - mix) * cell, 0.05)
            case 1:  # windows
                return np.where((inside[0] < open_) & (inside[1] < open_ + gap), cell, back)
            case 2:  # keys
                return np.where((inside[0] > gap) & (inside[1] > gap), cell, 0.1)
            case 3:  # a shutter in which something is mirrored
                return 0.2 + 0.5 * (inside[0] < open_) + 0.3 * mix * (shown - 0.5)
            case 4:  # boards, books
                return row + 0.08 * np.sin(x / 9 + here[0])
            case 5:  # stripes under light that passes
                return row * shown * 1.7
            case 6:  # corrugated
                return 0.5 + 0.35 * np.cos(2 * np.pi * v) + 0.3 * mix * (shown - 0.5)
            case 7:  # a screen with dark lines
                return shown * (1 - mix * (inside[0] < 0.5))
            case _:  # a fence before a scene
                return np.where((inside[0] < gap) | (inside[1] < gap), back, shown)

    pictures = looked_at(
        draw, camera(rng, frames), size, int(rng.choice([1, 2, 3], p=[0.15, 0.35, 0.5]))
    )
    return softened(pictures, rng, 0.7)


def gratings(rng: Rng, frames: int, size: int) -> Pictures:
    """Waves, rings, chirps, weaves and plaids, some with colours of their own."""
    period = np.exp(rng.uniform(np.log(2.0), np.log(14), 3))
    way, phase = rng.uniform(0, np.pi, 3), rng.uniform(0, 6, 3)
    centre, drift = rng.uniform(0, size, 2), rng.normal(0, 1, 2)
    sway, kind = rng.uniform(0, 3), rng.integers(6)
    height, middle, apart = rng.uniform(0.05, 0.45), rng.uniform(0.3, 0.7), rng.random() < 0.5

    def wave(y: NDArray[Any], x: NDArray[Any], n: int) -> NDArray[Any]:
        across = x * np.float32(np.cos(way[n])) + y * np.float32(np.sin(way[n]))
        return np.sin(across * np.float32(2 * np.pi / period[n]) + np.float32(phase[n]))

    def draw(y: NDArray[Any], x: NDArray[Any], time: int) -> NDArray[Any]:
        r = np.hypot(y - centre[0] - drift[0] * time, x - centre[1] - drift[1] * time)
        match kind:
            case 0:
                value = wave(y, x, 0)
            case 1:
                value = np.sin(r * np.float32(2 * np.pi / period[0]))
            case 2:  # rings that grow finer
                value = np.sin(np.square(r) * np.float32(np.pi / (period[0] * size)))
            case 3:  # cloth that sways
                u = x + sway * np.sin(y / 23 + 0.5 * time)
                v = y + sway * np.cos(x / 19 + 0.4 * time)
                value = wave(v, u, 0) * np.sin(
                    v * np.pi / 2 + np.abs(u % period[1] - period[1] / 2)
                )
            case 4:
                value = (wave(y, x, 0) + wave(y, x, 1)) / 2
            case _:
                value = np.sign(wave(y, x, 0)) * np.sign(wave(y, x, 1))
        gray = middle + height * value
        if not apart:
            return gray
        return np.stack(
            [gray, middle + height * wave(y, x, 1), middle + height * wave(y, x, 2)], -1
        )

    pictures = looked_at(draw, camera(rng, frames), size, int(rng.choice([1, 2])))
    return softened(pictures, rng, 0.3)


def sheets(rng: Rng, frames: int, size: int) -> Pictures:
    """Print that a camera sees: words, tables, staves, bar codes, bricks, keys."""
    finer = int(rng.choice([2, 3, 4]))
    side = finer * (size + 48)
    paper, ink = rng.uniform(0.6, 1), rng.uniform(0, 0.4)
    if rng.random() < 0.25:
        paper, ink = ink, paper
    sheet = np.full((side, side), paper, np.float32)
    kind, scale = rng.integers(6), rng.uniform(0.6, 1.6)
    step = max(int(finer * 9 * scale), 6)
    if kind in (0, 1):
        words(sheet, rng, step, ink, 0.024 * step)
    if kind in (1, 2):  # rules, staves
        thick = max(finer // 2, 1)
        for row in range(step, side, step if rng.random() < 0.7 else 2 * step):
            sheet[row : row + thick] = ink
        if kind == 1:
            for column in range(step, side, 5 * step):
                sheet[:, column : column + thick] = ink
        else:
            for _ in range(side * side // (step * step * 12)):
                cv2.ellipse(sheet, spot(rng, side), (step // 3, step // 4), -20, 0, 360, ink, -1)
    if kind == 3:  # bars
        row = 0
        while row < side:
            thick, gap = rng.integers(1, 4 * finer, 2)
            sheet[row : row + thick] = ink
            row += int(thick + gap)
        if rng.random() < 0.5:
            sheet = np.ascontiguousarray(sheet.T)
    if kind in (4, 5):  # bricks, keys
        wide = int(step * rng.uniform(1, 3))
        for course, top in enumerate(range(0, side, step)):
            for left in range(-(wide // 2) * (course % 2 if kind == 4 else 0), side, wide):
                shade = float(np.clip(ink + rng.normal(0, 0.06), 0, 1))
                ends = (left + finer, top + finer), (left + wide - finer, top + step - finer)
                cv2.rectangle(sheet, *ends, shade, -1)
                if kind == 5:
                    key = sheet[top : top + step, left : left + wide]
                    if key.shape == (step, wide):
                        words(key, rng, 3 * step // 4, paper, 0.02 * step)
    sheet = cv2.GaussianBlur(sheet, (0, 0), finer * rng.uniform(0.15, 0.6))
    return coloured(np.stack(filmed(sheet, camera(rng, frames), size, finer)))


def spot(rng: Rng, side: int) -> tuple[int, int]:
    return int(rng.integers(side)), int(rng.integers(side))


def words(sheet: Picture, rng: Rng, step: int, ink: float, size: float) -> None:
    """Fill a sheet with lines of random words."""
    font, thick = FONTS[rng.integers(3)], int(rng.integers(1, 3))
    plate = np.zeros(sheet.shape, np.uint8)
    for row in range(step, sheet.shape[0] + step, step):
        letters = rng.integers(97, 123, sheet.shape[1] // max(step // 3, 1))
        letters[rng.random(len(letters)) < 0.18] = 32
        line = bytes(letters.astype(np.uint8).tolist()).decode()
        cv2.putText(plate, line, (2, row), font, size, 255, thick, cv2.LINE_AA)
    sheet += plate * np.float32(1 / 255) * (np.float32(ink) - sheet)


def graphics(rng: Rng, frames: int, size: int) -> Pictures:
    """Flat parts, ramps, lines, checkerboards and dots, some of which move by whole pixels."""
    canvas = np.empty((size, size, 3), np.float32)
    canvas[:] = rng.random(3)
    for _ in range(int(rng.integers(2, 9))):
        top, left = rng.integers(0, size, 2)
        height, width = rng.integers(8, size, 2)
        painted(canvas[top : top + height, left : left + width], rng)
    blocks = []
    for _ in range(int(rng.integers(0, 5))):
        block = np.empty((*rng.integers(6, max(size // 2, 9), 2), 3), np.float32)
        painted(block, rng)
        blocks.append((block, rng.uniform(0, size, 2), rng.normal(0, 3, 2).round()))
    shown = []
    for time in range(frames):
        frame = canvas.copy()
        for block, place, speed in blocks:
            top, left = (int(v) % size for v in place + time * speed)
            room = frame[top : top + block.shape[0], left : left + block.shape[1]]
            room[:] = block[: room.shape[0], : room.shape[1]]
        shown.append(frame)
    return np.stack(shown)


def painted(part: NDArray[np.float32], rng: Rng) -> None:
    """Fill with a flat colour, a ramp, stripes, a checkerboard, dots or words."""
    first, second = rng.random((2, 3)).astype(np.float32)
    rows, columns = np.indices(part.shape[:2])
    step = int(rng.integers(1, 9))
    across = rows if rng.random() < 0.5 else columns
    match rng.integers(6):
        case 0:
            mask = np.zeros(part.shape[:2])
        case 1:
            mask = across / max(across.max(initial=1), 1)
        case 2:
            mask = across // step % 2
        case 3:
            mask = (rows // step + columns // step) % 2
        case 4:
            dots = rng.integers(0, 2, (part.shape[0] // step + 1, part.shape[1] // step + 1))
            mask = np.kron(dots, np.ones((step, step)))[: part.shape[0], : part.shape[1]]
        case _:
            plate = np.zeros(part.shape[:2], np.float32)
            words(plate, rng, int(rng.integers(8, 18)), 1.0, rng.uniform(0.25, 0.5))
            mask = plate
    part[:] = first + np.asarray(mask, np.float32)[..., None] * (second - first)


def pixels(rng: Rng, frames: int, size: int) -> Pictures:
    """Pixel art, cellular automata and dither: every sample its own, moved by whole ones."""
    cell, side = int(rng.choice([1, 1, 1, 2, 3, 4])), size + 8 * frames
    palette = tones(rng, (int(rng.integers(2, 9)), 3))
    if rng.random() < 0.3:
        palette[:] = palette.mean(1, keepdims=True)
    count, kind = side // cell + 1, rng.integers(4)
    grid = rng.integers(0, len(palette), (count, count))
    if kind == 0:  # shapes instead of single dots
        smooth = cv2.GaussianBlur(rng.standard_normal((count, count)), (0, 0), rng.uniform(0.7, 4))
        grid = np.digitize(smooth / smooth.std(), np.linspace(-1.3, 1.3, len(palette) - 1))
    if kind == 1 and cell == 1:  # life: every frame follows from the last
        live, shown = rng.random((size, size)) < rng.uniform(0.2, 0.5), []
        for _ in range(frames):
            around = cv2.blur(live.astype(np.float32), (3, 3), borderType=cv2.BORDER_REFLECT) * 9
            live = (np.rint(around) == 3) | (live & (np.rint(around) == 4))
            shown.append(palette[live.astype(int)])
        return coloured(np.stack(shown))
    if kind == 2:  # ordered or random dither of a soft picture
        bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
        still = np.tile(bayer, (size // 4 + 1, size // 4 + 1))[:size, :size]
        fresh, levels = rng.random() < 0.3, int(rng.choice([1, 2, 4, 16]))
        shown = []
        for picture in film_on(rng, frames, size):
            limit = rng.random((size, size)) if fresh else still
            shown.append(np.floor(picture * levels + limit) / levels)
        return coloured(np.stack(shown))
    big = np.kron(palette[grid], np.ones((cell, cell, 1), np.float32))
    speed = rng.integers(-3, 4, 2) if rng.random() < 0.8 else np.zeros(2, int)
    at = [4 * frames + t * speed for t in range(frames)]
    return coloured(np.stack([big[y : y + size, x : x + size] for y, x in at]))


def texels(rng: Rng, frames: int, size: int) -> Pictures:
    """A game's ground: a texture sampled at points, in perspective or not, while one walks."""
    texture = tones(rng, (256, 256, 3))
    blur = rng.uniform(0, 2)
    if blur > 0.5:
        texture = cv2.GaussianBlur(texture, (0, 0), blur)
    if rng.random() < 0.5:
        texture = np.repeat(texture[..., :1], 3, -1)
    zoom, walk = np.exp(rng.uniform(np.log(0.3), np.log(4))), rng.normal(0, 1.5, 2)
    tilt = rng.uniform(0, 0.9) * (rng.random() < 0.6)
    rows, columns = np.indices((size, size), np.float64)
    depth = 1 / (1 - tilt * (1 - rows / size))
    shown = []
    for time in range(frames):
        y = (rows * depth + walk[0] * time) * zoom
        x = ((columns - size / 2) * depth + walk[1] * time) * zoom
        shown.append(texture[np.floor(y).astype(int) % 256, np.floor(x).astype(int) % 256])
    return coloured(np.stack(shown))


def textures(rng: Rng, frames: int, size: int) -> Pictures:
    """Random texture, white or soft, gray or coloured, still or moving, everywhere or in spots."""
    side = size + 64
    noise = rng.standard_normal((side, side, 1 if rng.random() < 0.7 else 3), np.float32)
    blur = rng.choice([0, rng.uniform(0.4, 2.5)])
    if blur:
        noise = cv2.GaussianBlur(noise, (0, 0), blur).reshape(noise.shape)
    noise = rng.uniform(0.25, 0.75) + rng.uniform(0.01, 0.2) * noise / noise.std()
    if rng.random() < 0.4:
        noise = np.where(noise > np.quantile(noise, rng.uniform(0.3, 0.9)), noise, noise.mean())
    canvas = np.repeat(noise, 3, -1) if noise.shape[-1] == 1 else noise
    path = camera(rng, frames)
    if rng.random() < 0.4:
        path = [(round(y), round(x), 1.0, 0.0) for y, x, _, _ in path]
    return coloured(np.stack(filmed(canvas.astype(np.float32), path, size, 1)))


def leaves(rng: Rng, frames: int, size: int) -> Pictures:
    """Textured discs of all sizes that hide each other, each swaying its own way."""
    finer = 2
    side = finer * size
    count = int(rng.integers(60, 500))
    radii = np.minimum(finer * rng.uniform(1, 4) / rng.power(1.6, count), side / 3)
    places, shades = rng.random((count, 2)) * side, tones(rng, (count, 3))
    if rng.random() < 0.3:
        shades[:] = shades.mean(1, keepdims=True)
    drift = finer * rng.normal(0, 1.2, (3, 2))[rng.integers(0, 3, count)]
    wind = finer * rng.uniform(0, 2) * (rng.random() < 0.6)
    shape, turn = rng.uniform(0.4, 1, count), rng.uniform(0, 180, count)
    grain = cv2.GaussianBlur(
        rng.standard_normal((side, side), np.float32), (0, 0), rng.uniform(0.8, 3)
    )
    grain *= rng.uniform(0, 0.06) / grain.std()
    shown = []
    for time in range(frames):
        canvas = np.empty((side, side, 3), np.float32)
        canvas[:] = shades[0]
        at = places + drift * time + wind * rng.standard_normal((count, 2))
        for centre, r, s, a, shade in zip(at, radii, shape, turn, shades.tolist(), strict=True):
            middle, axes = (int(centre[0]), int(centre[1])), (max(int(r), 1), max(int(r * s), 1))
            cv2.ellipse(canvas, middle, axes, a, 0, 360, shade, -1)
        canvas += np.roll(grain, np.rint(drift[0] * time).astype(int), (1, 0))[..., None]
        canvas = cv2.GaussianBlur(canvas, (0, 0), finer * 0.4)
        shown.append(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA))
    return coloured(np.stack(shown))


def fireworks(rng: Rng, frames: int, size: int) -> Pictures:
    """Sparks on a dark sky, glitter, stars that twinkle."""
    sky = (
        rng.uniform(0, 0.15)
        * np.linspace(1, rng.uniform(0, 1), size, dtype=np.float32)[:, None, None]
    )
    count = int(np.exp(rng.uniform(np.log(20), np.log(2500))))
    middle = rng.uniform(0, size, (int(rng.integers(1, 6)), 2))
    place = middle[rng.integers(0, len(middle), count)] + rng.normal(
        0, rng.uniform(2, size / 3), (count, 2)
    )
    speed = rng.normal(0, rng.uniform(0, 4), (count, 2))
    shade, twinkle = tones(rng, (count, 3)), rng.uniform(0, 1)
    trail, thick = rng.random() < 0.5, int(rng.choice([1, 1, 2]))
    shown = []
    for time in range(frames):
        frame = np.broadcast_to(sky, (size, size, 3)).copy()
        lit = rng.random(count) > twinkle * 0.8
        at = place + speed * time + np.array([0, 0.1]) * time**2
        for start, end, colour in zip((at - speed)[lit], at[lit], shade[lit].tolist(), strict=True):
            first = start if trail else end
            ends = (int(first[0]), int(first[1])), (int(end[0]), int(end[1]))
            cv2.line(frame, *ends, colour, thick, cv2.LINE_AA)
        shown.append(frame)
    return softened(coloured(np.stack(shown)), rng, 0.5)


def weather(rng: Rng, frames: int, size: int, film: Pictures) -> Pictures:
    """Snow or rain before a scene: flakes that fall, or new ones in every frame."""
    shown, falls, long = film.copy(), rng.random() < 0.6, rng.random() < 0.4
    count = int(np.exp(rng.uniform(np.log(10), np.log(0.03 * size * size))))
    place, shade = rng.uniform(0, size, (count, 2)), float(rng.uniform(0.6, 1))
    wide, speed = int(rng.choice([1, 1, 2, 3])), rng.uniform(1, 14)
    slant = rng.normal(0, 2)
    for time in range(frames):
        at = (
            (place + np.array([slant, speed]) * time) % size
            if falls
            else rng.uniform(0, size, (count, 2))
        )
        layer = np.zeros((size, size), np.float32)
        for x, y in at.astype(int).tolist():
            if long:
                cv2.line(layer, (x, y), (int(x + slant), int(y + speed)), 1.0, 1, cv2.LINE_AA)
            else:
                cv2.circle(layer, (x, y), wide // 2, 1.0, -1)
        layer = cv2.GaussianBlur(layer, (0, 0), 0.6) if wide > 1 else layer
        shown[time] += layer.clip(0, 1)[..., None] * (shade - shown[time])
    return shown


def old_film(rng: Rng, frames: int, size: int, film: Pictures) -> Pictures:
    """Scratches, dust, flicker and an unsteady gate."""
    light = 1 + rng.normal(0, rng.uniform(0, 0.06), frames)
    columns, shown = rng.uniform(0, size, int(rng.integers(0, 6))), []
    unsteady = rng.uniform(0, 0.8)
    for picture, gain in zip(film, light, strict=True):
        move = np.float32([[1, 0, rng.normal(0, unsteady)], [0, 1, rng.normal(0, unsteady)]])
        frame = cv2.warpAffine(
            picture, move, (size, size), borderMode=cv2.BORDER_REFLECT
        ) * np.float32(gain)
        for column in columns + rng.normal(0, 0.7, len(columns)):
            if rng.random() < 0.8:
                tone = [float(rng.choice([0.05, 0.95]))] * 3
                ends = (int(column), int(rng.integers(0, size // 2))), (int(column), size)
                cv2.line(frame, *ends, tone, 1)
        for _ in range(int(rng.poisson(rng.uniform(0, 6)))):
            axes = (int(rng.integers(1, 4)), int(rng.integers(1, 3)))
            tone = [float(rng.choice([0.03, 0.97]))] * 3
            cv2.ellipse(frame, spot(rng, size), axes, rng.uniform(0, 180), 0, 360, tone, -1)
        shown.append(frame)
    return coloured(np.stack(shown))


def softened(pictures: Pictures, rng: Rng, share: float) -> Pictures:
    """As a lens softens them, in so many of the scenes; the others stay as sharp as drawn."""
    if rng.random() > share:
        return pictures
    blur = rng.uniform(0.3, 0.8)
    return np.stack([cv2.GaussianBlur(p, (0, 0), blur) for p in pictures])


Scene = Callable[[Rng, int, int], Pictures]
SceneOverFilm = Callable[[Rng, int, int, Pictures], Pictures]
SCENES: dict[str, Scene] = {
    f.__name__: f
    for f in (walls, gratings, sheets, graphics, pixels, texels, textures, leaves, fireworks)
}
OVER_FILM: dict[str, SceneOverFilm] = {f.__name__: f for f in (weather, old_film)}
