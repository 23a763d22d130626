"""Sigma that cannot be fooled: hard cases of known noise, and whether the stated confidence holds.

    python benchmarks/sigma.py CLIPS [--groups clips walls sheets gratings] [--only NAME]
        [--draws 30] [--size 160] [--frames 7]

CLIPS is a folder of clean clips. They are halved, which takes their own grain away, cropped and
given noise of known strength; graphics, texture, flat and black pictures are made on the spot, the
other groups are scenes of pretraining/drawn.py, no draw of which was trained on, without noise and
with noise of 3. Every case is measured as `f2r noise` does. Truth is the noise before the file's
range clipped it, rounding to 8 bits included, as a root mean square over R, G and B; a case is
within if estimate and truth differ by no more than the stated percentage of the estimate, or by 0.3
of 255, which is what rounding to 8 bits alone adds.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "pretraining"))
import material  # found by the paths above
from noisy_clips import blurred

from f2rcli.engine.stream import Engine, EngineSettings, load_engine
from f2rcli.evaluation.noise import measure_noise
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, PlaneLayout
from f2rcli.noise.synthesis.law import planes_of
from f2rcli.yuv import to_rgb
from tests.fidelity import footage

Codes = NDArray[np.float64]  # (T, H, W) or (T, H, W, 3), 8-bit codes, not rounded
Planes = list[Codes]  # Y, U, V or R, G, B; every plane (T, H, W)

RGB = PlaneLayout(family=Family.RGB, bits=8)
YUV = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)
ROUNDING = 1 / 12
FLOOR = 0.3  # of 255: an error that is none
BLUR = 0.8  # pixels, of correlated noise
LOW, HIGH = 1, 254  # codes that limited-range video may hold


class Case(NamedTuple):
    """A clean clip and the noise to add to it."""

    name: str  # group and name, but of the cases on clips
    layout: PlaneLayout
    clean: Planes
    noise: Planes  # the same shapes, before rounding
    copies: int = 1  # how often every frame is shown


class Row(NamedTuple):
    name: str
    truth: float
    estimate: float
    percent: float

    @property
    def within(self) -> bool:
        allowed = max(self.percent / 100 * self.estimate, FLOOR)
        return abs(self.estimate - self.truth) <= allowed


def clips(folder: Path, size: int, frames: int) -> Iterator[tuple[str, Planes, Planes]]:
    """Name, R, G, B and Y, U, V of every clip, halved and cropped to `size` by 4/3 of it."""
    wide = size * 4 // 3 // 16 * 16
    for path in sorted(folder.glob("*.mkv")):
        with av.open(str(path)) as container:
            shown = [_halved(f, size, wide) for f in islice(container.decode(video=0), frames)]
        colour = np.stack([pair[0].to_ndarray() for pair in shown]).astype(float)
        rgb = [_crop(colour[..., c], size, wide) for c in range(3)]
        sizes = [(size, wide), (size // 2, wide // 2), (size // 2, wide // 2)]
        yuv = [
            _crop(np.stack([planes_of(pair[1])[p].astype(float) for pair in shown]), *sizes[p])
            for p in range(3)
        ]
        yield path.stem, rgb, yuv


def _halved(frame: av.VideoFrame, height: int, width: int) -> tuple[av.VideoFrame, av.VideoFrame]:
    """A frame at half its size, or as large as asked for, as RGB and as limited-range 4:2:0."""
    size = max(width, frame.width // 4 * 2), max(height, frame.height // 4 * 2)
    return (
        frame.reformat(*size, "rgb24", interpolation="AREA"),
        frame.reformat(*size, "yuv420p", interpolation="AREA", dst_color_range=1),
    )


def _crop(plane: Codes, height: int, width: int) -> Codes:
    y, x = (plane.shape[1] - height) // 4 * 2, (plane.shape[2] - width) // 4 * 2
    return plane[:, y : y + height, x : x + width]


def white(planes: Planes, sigma: float | tuple[float, float, float], seed: int) -> Planes:
    rng = np.random.default_rng(seed)
    each = sigma if isinstance(sigma, tuple) else (sigma,) * len(planes)
    return [rng.normal(0, s, plane.shape) for plane, s in zip(planes, each, strict=True)]


def correlated(planes: Planes, sigma: float, seed: int) -> Planes:
    return [sigma * blurred(noise, BLUR) for noise in white(planes, 1, seed)]


def poisson(planes: Planes, seed: int) -> Planes:
    """Variance 0.01 x + (4 / 255)^2."""
    return [
        noise * 255 * np.sqrt(0.01 * np.clip(plane, 0, 255) / 255 + (4 / 255) ** 2)
        for plane, noise in zip(planes, white(planes, 1, seed), strict=True)
    ]


def still(planes: Planes) -> Planes:
    return [np.repeat(plane[:1], len(plane), 0) for plane in planes]


def gray(luma: Codes, chroma: float = 128.0) -> Planes:
    """Y'CbCr planes of gray pictures (T, H, W)."""
    flat = np.full((len(luma), luma.shape[1] // 2, luma.shape[2] // 2), chroma)
    return [luma, flat, flat.copy()]


def snowy(planes: Planes) -> Planes:
    """Flakes of a few pixels, anew in every frame, so that every block has some."""
    rng = np.random.default_rng(9)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    flakes = [cv2.dilate((rng.random(f.shape) < 0.008).astype(float), cross) for f in planes[0]]
    return [planes[0] + np.stack(flakes) * (230 - planes[0]), *planes[1:]]


def slats(frames: int, size: int) -> Planes:
    """Slats of four rows, no two as bright, that shake: nothing but rows."""
    rng = np.random.default_rng(33)
    rows = np.repeat(rng.uniform(60, 220, size // 4 + 4), 4)
    rows[3::4] *= 0.5
    shakes = rng.integers(0, 5, frames)
    wide = size * 4 // 3 // 16 * 16
    return gray(np.stack([np.tile(rows[k : k + size, None], wide) for k in shakes]))


def pixel_art(frames: int, size: int) -> Planes:
    """Dots of six colours that scroll by one pixel a frame, half a sample of chroma's grid."""
    rng = np.random.default_rng(13)
    wide = size * 4 // 3 // 16 * 16
    palette = rng.uniform(40, 215, (6, 3))
    dots = palette[rng.integers(0, 6, (size, wide + frames))]
    shown = np.stack([dots[:, t : t + wide] for t in range(frames)])
    halves = shown.reshape(frames, size // 2, 2, wide // 2, 2, 3).mean((2, 4))
    return [shown[..., 0], halves[..., 1], halves[..., 2]]


def flickering(planes: Planes) -> Planes:
    """Every frame a few codes brighter or darker, as old film is."""
    light = np.random.default_rng(8).normal(0, 4, len(planes[0]))[:, None, None]
    return [planes[0] + light, *planes[1:]]


def faded(planes: Planes) -> Planes:
    """Every frame 4 % darker than the one before."""
    light = (0.96 ** np.arange(len(planes[0])))[:, None, None]
    return [16 + (planes[0] - 16) * light, *(128 + (c - 128) * light for c in planes[1:])]


def letterboxed(case: Case, share: float = 0.15) -> Case:
    """Bars without noise above and below."""
    case = case._replace(clean=[plane.copy() for plane in case.clean])
    for index, (plane, noise) in enumerate(zip(case.clean, case.noise, strict=True)):
        bar = int(plane.shape[1] * share) // 8 * 8
        for rows in (slice(None, bar), slice(plane.shape[1] - bar, None)):
            plane[:, rows], noise[:, rows] = (16 if index == 0 else 128), 0
    return case


def cases(folder: Path, size: int, frames: int) -> Iterator[Case]:
    filmed, wide = list(clips(folder, size, frames)), size * 4 // 3 // 16 * 16
    some = filmed[:: max(1, len(filmed) // 3)][:3]
    for sigma in (0, 0.5, 1, 2, 5, 10, 20, 30, 50):
        for index, (name, rgb, _) in enumerate(some):
            yield Case(f"white {sigma:g}, {name}", RGB, rgb, white(rgb, sigma, 10 + index))
    for index, (name, rgb, yuv) in enumerate(some):
        seed = 100 + index
        yield Case(f"pg, {name}", RGB, rgb, poisson(rgb, seed))
        yield Case(f"correlated 10, {name}", RGB, rgb, correlated(rgb, 10, seed))
        yield Case(f"correlated 30, {name}", RGB, rgb, correlated(rgb, 30, seed))
        yield Case(f"4:2:0 0, {name}", YUV, yuv, white(yuv, 0, seed))
        yield Case(f"4:2:0 1, {name}", YUV, yuv, white(yuv, 1, seed))
        yield Case(f"4:2:0 8, {name}", YUV, yuv, white(yuv, 8, seed))
        yield Case(f"luma only 8, {name}", YUV, yuv, white(yuv, (8, 0, 0), seed))
        yield Case(f"chroma-heavy 3 and 9, {name}", YUV, yuv, white(yuv, (3, 9, 9), seed))
        dark = [16 + (yuv[0] - 16) * 27 / 219, *(128 + (c - 128) * 0.3 for c in yuv[1:])]
        yield Case(f"dark, 8, {name}", YUV, dark, white(dark, 8, seed))
        yield letterboxed(Case(f"letterbox 10, {name}", YUV, yuv, white(yuv, 10, seed)))
        yield Case(f"flicker 0, {name}", YUV, flickering(yuv), white(yuv, 0, seed))
        yield Case(f"flicker 4, {name}", YUV, flickering(yuv), white(yuv, 4, seed))
        yield Case(f"fade 4, {name}", YUV, faded(yuv), white(yuv, 4, seed))
        yield Case(f"still 0.5, {name}", YUV, still(yuv), white(yuv, 0.5, seed))
        yield Case(f"still 10, {name}", YUV, still(yuv), white(yuv, 10, seed))
        yield Case(f"shown twice 5, {name}", YUV, yuv, white(yuv, 5, seed), copies=2)
        yield Case(f"snow 0, {name}", YUV, snowy(still(yuv)), white(yuv, 0, seed))
        other = some[index - 1][2]
        cut = [np.concatenate([a[:3], b[3:]]) for a, b in zip(yuv, other, strict=True)]
        yield Case(f"cut 5, {name}", YUV, cut, white(cut, 5, seed))
        bright = [255 - (255 - p) * 0.5 + 70 for p in rgb]
        yield Case(f"clipped white 20, {name}", RGB, bright, white(bright, 20, seed))
    for soft, word in ((False, "white"), (True, "soft")):
        for moves, how in ((False, "still"), (True, "moving")):
            shown = footage.speckle(size, wide, frames, soft=soft, moving=moves)
            planes = footage.stacked(shown)
            yield Case(f"{word} texture {how}, 10", YUV, planes, white(planes, 10, 17))
            yield Case(f"{word} texture {how}, 2", YUV, planes, white(planes, 2, 18))
    drawn = footage.stacked(footage.graphics(size, wide, frames))
    for sigma in (0, 2, 10):
        yield Case(f"graphics {sigma}", YUV, drawn, white(drawn, sigma, 19))
    for word, planes in (("slats", slats(frames, size)), ("pixel art", pixel_art(frames, size))):
        yield Case(f"{word} 0", YUV, planes, white(planes, 0, 22))
    black = [np.zeros_like(plane) for plane in some[0][1]]
    yield Case("all black 20", RGB, black, white(black, 20, 20))
    flat = gray(np.full((frames, size, wide), 126.0))
    yield Case("flat gray 6", YUV, flat, white(flat, 6, 21))


def drawn(group: str, given: argparse.Namespace) -> Iterator[Case]:
    """Scenes as networks are trained on, clean and noisy."""
    for draw in range(given.draws):
        rng = np.random.default_rng((0, draw))
        pictures = material.SCENES[group](rng, given.frames, given.size)
        codes = enumerate(material.planes_of(pictures, YUV))
        planes = [material.in_codes(p, YUV, chroma=i > 0).astype(float) for i, p in codes]
        for sigma in (0, 3):
            yield Case(f"{group} {sigma}, {draw}", YUV, planes, white(planes, sigma, 1))


def frames_of(case: Case) -> list[Frame]:
    """The case as a file would hold it."""
    limits = (LOW, HIGH) if case.layout is YUV else (0, 255)
    shown = [clean + noise for clean, noise in zip(case.clean, case.noise, strict=True)]
    codes = [np.clip(np.rint(plane), *limits).astype(np.uint8) for plane in shown]
    return [
        Frame(planes=planes, layout=case.layout, pts=index)
        for index, planes in enumerate(
            planes for planes in zip(*codes, strict=True) for _ in range(case.copies)
        )
    ]


def truth_of(case: Case) -> float:
    """Root mean square of the noise in R, G and B, before any clipping."""
    if not any(noise.any() for noise in case.noise):
        return 0.0
    if case.layout is RGB:
        return float(np.mean([np.sqrt(np.mean(n**2) + ROUNDING) for n in case.noise]))
    rng = np.random.default_rng(0)
    spread = []
    for planes in zip(*case.noise, strict=True):
        busy = [p[np.any(p, axis=1)] if np.any(p) else p for p in planes]
        rows = min(len(busy[0]) // 2, *(len(p) for p in busy[1:]))
        parts = [p[: rows * (2 if i == 0 else 1)] for i, p in enumerate(busy)]
        rounded = [p + (rng.random(p.shape) - 0.5 if np.any(p) else 0) for p in parts]
        shown = tuple(p + z for p, z in zip(rounded, (16.0, 128.0, 128.0), strict=True))
        spread.append(np.square(to_rgb(Frame(planes=shown, layout=YUV)) * 255).mean((1, 2)))
    return float(np.sqrt(np.mean(spread, 0)).mean())


def measure(case: Case, engines: dict[PlaneLayout, Engine]) -> Row:
    frames = frames_of(case)
    first = frames[0]
    info = ClipInfo(
        name=case.name, width=first.width, height=first.height, layout=case.layout,
        frames=len(frames), duration=None, rate=Fraction(25), time_base=Fraction(1, 25),
    )  # fmt: skip
    if case.layout not in engines:
        engines[case.layout] = load_engine(EngineSettings(threads=1, device="cpu"), info)
    report = measure_noise(frames, info, engines[case.layout])
    if report is None:
        return Row(case.name, truth_of(case), float("nan"), float("nan"))
    estimate = float(np.mean(report.model.sigma8))
    return Row(case.name, truth_of(case), estimate, report.confidence.percent)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    groups = ["clips", "walls", "sheets", "gratings"]
    parser.add_argument("--groups", nargs="+", choices=groups, default=groups[:1])
    parser.add_argument("--draws", type=int, default=30, help="of each group but clips")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--size", type=int, default=160, help="height of the pictures, pixels")
    parser.add_argument("--frames", type=int, default=7)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    engines: dict[PlaneLayout, Engine] = {}
    rows, started = [], time.monotonic()
    print("| case | truth | estimate | error | stated +-% | within |\n|---|---|---|---|---|---|")
    found = cases(arguments.clips, arguments.size, arguments.frames)
    every = (found if group == "clips" else drawn(group, arguments) for group in arguments.groups)
    for case in (one for one in chain.from_iterable(every) if arguments.only in one.name):
        row = measure(case, engines)
        rows.append(row)
        error = f"{100 * (row.estimate / row.truth - 1):+.0f} %" if row.truth else ""
        print(
            f"| {row.name} | {row.truth:.2f} | {row.estimate:.2f} | {error} "
            f"| {row.percent:.0f} | {'yes' if row.within else '**no**'} |",
            flush=True,
        )
    share = float(np.mean([row.within for row in rows]))
    print(f"\n{100 * share:.1f} % of {len(rows)} within, {time.monotonic() - started:.0f} s")
    none = [row.estimate for row in rows if not row.truth and row.estimate >= 0]  # nan: no report
    if none:
        print(f"without noise: mean {np.mean(none):.2f}, worst {max(none):.2f} of {len(none)}")


if __name__ == "__main__":
    main()
