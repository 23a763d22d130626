"""Defects of sensors: how much of them is left once f2r has looked for them. Nothing is denoised.

    python benchmarks/sensor_defects.py [--kinds mosaic stack gray rgb] [--speeds 0 1.3]
        [--defects "hot single" ...] [--strengths 2 5 20] [--frames 16] [--seeds 3]

All is made: leaves that hide each other, 256x384 pixels of them, through optics of 0.6 pixels,
that stay or move by so many pixels a frame, with white noise of a hundredth of the range (8 bits:
4 codes). Strengths are in standard deviations of that noise; a dead pixel's is the light that it
lacks, within a third. Printed: the share of the defect that is left, in percent: of pixels by what
they have more (weighted by it), of lines by the root mean square of means of rows or columns,
without that of the frame. In brackets: sound samples that were changed, in millionths.
"""

import argparse
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.noise.lines import LineRemover, lines_of
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.samples.defects import put_back, without_defects
from f2rcli.samples.lanes import measure_lane, surveyed, without_stuck
from f2rcli.sensor import bayer_layout

Floats = NDArray[np.float64]

SIZE = 256, 384
WAY = 0.6, 0.8  # of motion: down and across
OPTICS = 0.6  # pixels
PIXELS = 60  # defects in a frame


class Kind(NamedTuple):
    """A file's samples."""

    layout: PlaneLayout
    black: float
    white: float
    sigma: float  # of white - black
    planes: int = 1


MOSAIC = Mosaic(pattern="RGGB", black=(240.0,) * 4, white=(4095.0,) * 4)
DEEP = Mosaic(pattern="GBRG", black=(1024.0,) * 4, white=(16383.0,) * 4)
STACK = PlaneLayout(family=Family.GRAY, bits=16, levels=(100, 4100))
KINDS = {
    "mosaic": Kind(bayer_layout(MOSAIC, 12), 240, 4095, 0.01),
    "mosaic14": Kind(bayer_layout(DEEP, 14), 1024, 16383, 0.01),
    "stack": Kind(STACK, 100, 4100, 0.01),
    "gray": Kind(PlaneLayout(family=Family.GRAY, bits=8), 0, 255, 4 / 255),
    "rgb": Kind(PlaneLayout(family=Family.RGB, bits=8), 0, 255, 4 / 255, 3),
}


def main() -> None:
    """Print a row for every kind, speed and defect."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["mosaic", "stack", "gray"])
    parser.add_argument("--speeds", nargs="+", type=float, default=[0, 1.3])
    parser.add_argument("--defects", nargs="+", choices=DEFECTS, default=list(DEFECTS))
    parser.add_argument("--strengths", nargs="+", type=float, default=[2, 5, 20])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(f"| samples | pixels a frame | defect |{''.join(f' {s:g} |' for s in given.strengths)}")
    for name, speed, defect in product(given.kinds, given.speeds, given.defects):
        cells = []
        for strength in given.strengths:
            seeds = range(given.seeds)
            found = [cell(KINDS[name], speed, defect, strength, given.frames, s) for s in seeds]
            left, harm = np.nanmean(found, axis=0)
            cells.append(f"{100 * left:.1f} % ({1e6 * harm:.0f})")
        print(f"| {name} | {speed:g} | {defect} | {' | '.join(cells)} |", flush=True)


def cell(
    kind: Kind, speed: float, defect: str, strength: float, count: int, seed: int
) -> tuple[float, float]:
    """The share that is left, and that of sound samples which were changed."""
    rng = np.random.default_rng(1000 + seed)
    clean = scene(kind, count, speed, seed)
    noisy = clean + kind.sigma * rng.standard_normal(clean.shape)
    more, along = DEFECTS[defect](clean, strength * kind.sigma, kind.sigma, rng)
    plain, spoiled = stored(kind, noisy), stored(kind, noisy + more)
    if along is None:
        after, sound = (without_pixels(kind, one) for one in (spoiled, plain))
        before, good, apart = shown(kind, spoiled), shown(kind, plain), shown(kind, after)
        put = before - good
        mean, left = put.mean(0), (apart - shown(kind, sound)).mean(0)
        changed = (apart != before) & (put == 0)
        whole = np.square(mean).sum()
        return float((left * mean).sum() / whole) if whole else np.nan, float(changed.mean())
    lines = lines_of(spoiled[:6])
    done = spoiled if lines is None else LineRemover(lines).alone(spoiled)
    good, before, apart = (shown(kind, one) for one in (plain, spoiled, done))
    return uneven(apart - good, along) / uneven(before - good, along), 0.0


def scene(kind: Kind, count: int, speed: float, seed: int) -> Floats:
    """(T, H, W) or (T, H, W, 3), 0..1."""
    big = leaves(seed)
    frames = []
    for time in range(count):
        down, across = (20 + way * speed * time for way in WAY)
        move = np.array([[1, 0, across], [0, 1, down]], np.float32)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frames.append(cv2.warpAffine(big, move, SIZE[::-1], flags=how))
    colour = np.clip(np.stack(frames), 0.02, 0.98).astype(np.float64)
    if kind.layout.mosaic is not None:
        seen = colour[..., 1].copy()
        red, blue = kind.layout.mosaic.pattern.index("R"), kind.layout.mosaic.pattern.index("B")
        for plane, place in ((0, red), (2, blue)):
            row, column = divmod(place, 2)
            seen[:, row::2, column::2] = colour[:, row::2, column::2, plane]
        return seen
    return colour if kind.planes == 3 else colour[..., 1]


def leaves(seed: int) -> NDArray[np.float32]:
    """Discs of all sizes that hide each other, mottled: edges and texture as pictures have them."""
    rng, fine = np.random.default_rng(seed), 2
    shape = fine * (SIZE[0] + 80), fine * (SIZE[1] + 80)
    picture = np.full((*shape, 3), 0.25, np.float32)
    for _ in range(700):
        size = 14.0 * rng.random() ** (-1 / 2)  # as many small ones as make pictures of any scale
        tint = 0.25 * np.exp(rng.normal(0, 0.5)) * rng.uniform(0.7, 1.0, 3)
        place = int(rng.integers(shape[1])), int(rng.integers(shape[0]))
        cv2.circle(picture, place, int(min(size, 160)), tint.tolist(), -1)
    mottle = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), 2.5)
    picture *= np.clip(1 + 0.04 * mottle / mottle.std(), 0.3, None)[..., None]
    picture = cv2.GaussianBlur(picture, (0, 0), fine * OPTICS)
    return np.asarray(
        cv2.resize(picture, None, fx=1 / fine, fy=1 / fine, interpolation=cv2.INTER_AREA)
    )


More = tuple[Floats, int | None]  # what a defect adds, and the axis along a line: 1 down, 2 across
Defect = Callable[[Floats, float, float, np.random.Generator], More]


def pixels(shape: tuple[tuple[int, int], ...], *, dead: bool = False) -> Defect:
    """Defects of pixels beside each other, the same in all frames."""

    def add(clean: Floats, size: float, sigma: float, rng: np.random.Generator) -> More:
        where = np.zeros(clean.shape[1:3])
        allowed = np.ones(where.shape, bool)
        if dead:
            light = clean.mean(0) if clean.ndim == 3 else clean.mean((0, 3))
            allowed = np.abs(np.log(light / size)) < np.log(4 / 3)
        allowed[:3] = allowed[-4:] = False
        allowed[:, :3] = allowed[:, -4:] = False
        places = np.argwhere(allowed)
        for row, column in rng.permutation(places):
            if where.sum() >= PIXELS * len(shape):
                break
            if not where[row - 3 : row + 5, column - 3 : column + 5].any():
                for y, x in shape:
                    where[row + y, column + x] = 1
        spread = where[None] if clean.ndim == 3 else where[None, ..., None]
        return (-clean * spread if dead else size * spread + 0 * clean), None

    return add


def lines(*, fixed: bool, columns: bool) -> Defect:
    """Offsets of rows or columns, of their own in every frame or the same in all."""

    def add(clean: Floats, size: float, sigma: float, rng: np.random.Generator) -> More:
        count = 1 if fixed else len(clean)
        shape = (count, 1, clean.shape[2]) if columns else (count, clean.shape[1], 1)
        offsets = size * rng.standard_normal(shape)
        offsets = offsets if clean.ndim == 3 else offsets[..., None]
        return offsets + 0 * clean, 1 if columns else 2

    return add


def one_column(clean: Floats, size: float, sigma: float, rng: np.random.Generator) -> More:
    """Three columns that are brighter, the same in all frames."""
    offsets = np.zeros((1, 1, clean.shape[2]))
    offsets[..., rng.choice(np.arange(20, clean.shape[2] - 20), 3, replace=False)] = size
    return (offsets if clean.ndim == 3 else offsets[..., None]) + 0 * clean, 1


DEFECTS: dict[str, Defect] = {
    "hot single": pixels(((0, 0),)),
    "dead single": pixels(((0, 0),), dead=True),
    "hot pair across": pixels(((0, 0), (0, 1))),
    "hot pair down": pixels(((0, 0), (1, 0))),
    "hot cluster 2x2": pixels(((0, 0), (0, 1), (1, 0), (1, 1))),
    "hot columns": one_column,
    "rows, new": lines(fixed=False, columns=False),
    "columns, new": lines(fixed=False, columns=True),
    "rows, fixed": lines(fixed=True, columns=False),
    "columns, fixed": lines(fixed=True, columns=True),
}


def without_pixels(kind: Kind, frames: list[Frame]) -> list[Frame]:
    """Frames with what is put in place of defects and does not come back."""
    if kind.layout.levels is None:
        return [put_back(one) for one in without_defects(frames)]
    planes = [one.planes[0] for one in frames]
    nine, more = (surveyed(len(frames), between=between) for between in (False, True))
    seen = measure_lane([planes[at] for at in nine], [planes[at] for at in more])
    done = []
    for frame in frames:
        whole = without_stuck(frame.planes[0], seen.stuck).copy()
        whole[seen.kept] = frame.planes[0][seen.kept]
        done.append(Frame(planes=(whole,), layout=frame.layout, pts=frame.pts))
    return done


def uneven(apart: Floats, along: int) -> float:
    """The root mean square of rows' or columns' means, without that of their frame."""
    apart = apart if apart.ndim == 3 else apart.mean(3)
    return float(np.sqrt(apart.mean(along).var(1).mean()))


def stored(kind: Kind, pictures: Floats) -> list[Frame]:
    """Frames as a file holds them."""
    codes = np.rint(kind.black + (kind.white - kind.black) * pictures)
    dtype = np.uint8 if kind.layout.bits == 8 else np.uint16
    codes = codes.clip(0, 65535 if kind.layout.bits == 16 else 2**kind.layout.bits - 1).astype(
        dtype
    )
    split = [(one,) if kind.planes == 1 else tuple(np.moveaxis(one, -1, 0)) for one in codes]
    return [
        Frame(planes=tuple(map(np.ascontiguousarray, planes)), layout=kind.layout, pts=time)
        for time, planes in enumerate(split)
    ]


def shown(kind: Kind, frames: list[Frame]) -> Floats:
    """What frames show, 0..1."""
    codes = np.stack([np.stack(frame.planes, -1) for frame in frames]).astype(np.float64)
    codes = codes[..., 0] if kind.planes == 1 else codes
    return np.asarray((codes - kind.black) / (kind.white - kind.black))


if __name__ == "__main__":
    main()
