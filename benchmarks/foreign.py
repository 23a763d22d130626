"""What f2r makes of noise that no weights were trained on, without and with adapting.

    python benchmarks/foreign.py CLIP ... [--materials rows speckle ...] [--frames 16]
        [--size 256] [--adapt MINUTES] [--threads 2] [--keep FOLDER]

CLIP is a clean clip. Every material is made from its frames with a fixed seed, denoised losslessly
by `f2r denoise` with lines left in, as it is, and with `--adapt`, and compared with the clean
frames: PSNR over all pixels and channels of 8-bit RGB, mean over frames. The gain is the last
run's over the first's. Weights are fitted afresh (their cache lies in a temporary folder).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from noisy_clips import psnr, read, write
from numpy.typing import NDArray

Pictures = NDArray[np.float32]  # (T, H, W, 3), 0 = black, 1 = white
Codes = NDArray[np.uint8]
Rng = np.random.Generator

ROOT = Path(__file__).resolve().parents[1]
WITH_LINES = """from f2rcli.engine import rows
rows._found_new = lambda *asked: []
rows._found = lambda *asked, **named: []
from f2rcli.cli.app import main
main()"""
RUNS = (["-c", WITH_LINES], ["-m", "f2rcli"], ["-m", "f2rcli"])  # of Python; the last one adapts


class Pair(NamedTuple):
    """What a material shows, and what it would show without its noise."""

    noisy: Codes  # (T, H, W, 3)
    clean: Codes
    interlaced: bool = False


def rows(clean: Pictures, rng: Rng) -> Pair:
    """A sensor read out row by row, with column offsets that stay: CMOS at high gain."""
    count, height, width, _ = clean.shape
    lines = rng.normal(0, 6 / 255, (count, height, 1, 1))
    columns = rng.normal(0, 3 / 255, (1, 1, width, 1))
    return _codes(clean + lines + columns + _white(clean, 8, rng), clean)


def banding(clean: Pictures, rng: Rng) -> Pair:
    """Broad horizontal bands that run through the picture, as mains light and bad grounding do."""
    count, height, _, _ = clean.shape
    place = np.arange(height)[None, :] / rng.uniform(30, 60) + np.arange(count)[:, None] * 0.37
    wave = 6 / 255 * np.sin(2 * np.pi * place)
    drift = cv2.GaussianBlur(rng.normal(0, 1, (count, height)), (31, 1), 0)
    wave = wave + 4 / 255 * drift / drift.std()
    return _codes(clean + wave[..., None, None] + _white(clean, 8, rng), clean)


def tape(clean: Pictures, rng: Rng) -> Pair:
    """Interlaced analogue tape: luma noise soft along lines, chroma in long streaks."""
    count = len(clean) // 2
    woven = clean[0 : 2 * count : 2].copy()
    woven[:, 1::2] = clean[1 : 2 * count : 2, 1::2]
    luma = _along_lines(rng.normal(0, 1, woven.shape[:3]), 1.0) * 9 / 255
    noisy = woven + luma[..., None]
    for mix in ((0.0, -0.34, 1.77), (1.40, -0.71, 0.0)):  # Cb and Cr, BT.601
        streaks = _along_lines(rng.normal(0, 1, woven.shape[:3]), 9.0) * 8 / 255
        noisy = noisy + streaks[..., None] * np.array(mix)
    return _codes(noisy, woven)._replace(interlaced=True)


def speckle(clean: Pictures, rng: Rng) -> Pair:
    """Coherent light: multiplicative, gamma distributed, ten looks."""
    looks = 10
    gray = _gray(clean)
    return _codes(gray * rng.gamma(looks, 1 / looks, (*gray.shape[:3], 1)), gray)


def film(clean: Pictures, rng: Rng) -> Pair:
    """Coarse grain of pushed film, strongest in the mid-tones, partly shared by the dyes."""
    grain = rng.normal(0, 1, clean.shape) + rng.normal(0, 1, (*clean.shape[:3], 1))
    grain = np.stack([cv2.GaussianBlur(one, (0, 0), 1.3) for one in grain])
    grain *= 26 / 255 / grain.std()
    return _codes(clean + grain * 2 * np.sqrt(np.clip(clean * (1 - clean), 0, None)), clean)


def five_bits(clean: Pictures, rng: Rng) -> Pair:
    """Noisy video kept in 32 levels a channel."""
    noisy = clean + _white(clean, 7, rng)
    return _codes(np.rint(np.clip(noisy, 0, 1) * 31) / 31, clean)


def thermal(clean: Pictures, rng: Rng) -> Pair:
    """An uncooled infrared camera: a fixed pattern of pixels and columns that drifts slowly."""
    gray = _gray(_blurred(clean, 1.2))
    shape = gray.shape[1:3]
    pattern = rng.normal(0, 1, shape) + rng.normal(0, 1, (1, shape[1]))
    frames = []
    for one in gray:
        pattern = 0.97 * pattern + 0.24 * (
            rng.normal(0, 1, shape) + rng.normal(0, 1, (1, shape[1]))
        )
        frames.append(one + (5 / 255 * pattern + rng.normal(0, 6 / 255, shape))[..., None])
    return _codes(np.stack(frames), gray)


def ultrasound(clean: Pictures, rng: Rng) -> Pair:
    """Fully developed speckle after log compression, a few pixels wide across the beam."""
    gray = _gray(clean)
    field = rng.normal(0, 1, (*gray.shape[:3], 2))
    field = np.stack([cv2.GaussianBlur(one, (0, 0), sigmaX=1.6, sigmaY=0.7) for one in field])
    envelope = np.sqrt((field**2).sum(-1) / (2 * field.var()))
    decibels = 20 * np.log10(np.maximum(envelope, 0.05))
    decibels -= decibels.mean()
    return _codes(gray + (decibels / 60)[..., None], gray)


def counts(clean: Pictures, rng: Rng) -> Pair:
    """Electrons one by one: at most about one and a half a pixel, so most codes are 0, 64, 128."""
    gray = _gray(clean)
    electrons = rng.poisson(1.5 * gray)
    return _codes(electrons * 64 / 255, gray * 1.5 * 64 / 255)


MATERIALS: dict[str, Callable[[Pictures, Rng], Pair]] = {
    one.__name__: one
    for one in (rows, banding, tape, speckle, film, five_bits, thermal, ultrasound, counts)
}


def _white(clean: Pictures, sigma8: float, rng: Rng) -> NDArray[np.float64]:
    return rng.normal(0, sigma8 / 255, clean.shape)


def _along_lines(noise: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Noise (T, H, W) blurred along its rows, of unit variance again."""
    soft = np.stack([cv2.GaussianBlur(one, (0, 0), sigmaX=sigma, sigmaY=0.01) for one in noise])
    return np.asarray(soft / soft.std())


def _blurred(clean: Pictures, sigma: float) -> Pictures:
    return np.stack([cv2.GaussianBlur(one, (0, 0), sigma) for one in clean])


def _gray(clean: Pictures) -> Pictures:
    return np.repeat(clean.mean(-1, keepdims=True), 3, -1)


def _codes(noisy: NDArray[np.floating], clean: NDArray[np.floating]) -> Pair:
    made = (np.clip(np.rint(one * 255), 0, 255).astype(np.uint8) for one in (noisy, clean))
    return Pair(*made)


def save(path: Path, pair: Pair) -> None:
    """Write what is seen: FFV1 in RGB, or interlaced lossless H.264 in 4:4:4."""
    if pair.interlaced:
        options = {"x264-params": "qp=0:tff=1"}
        write(path, pair.noisy, encoder="libx264", options=options, pix_fmt="yuv444p")
    else:
        write(path, pair.noisy)


class Row(NamedTuple):
    """One material of one clip: PSNR of the input and of every run; seconds that adapting took."""

    noisy: float
    with_lines: float
    plain: float
    adapted: float
    seconds: float
    said: str


def compare(pair: Pair, folder: Path, given: argparse.Namespace) -> Row:
    """Denoise a material with its lines, without them, and with --adapt."""
    source, target = folder / "in.mkv", folder / "out.mkv"
    save(source, pair)
    count = len(pair.noisy)
    scores, seconds, said = [psnr(read(source, count), pair.clean)], [], ""
    for run, adapting in zip(RUNS, (False, False, True), strict=True):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *run, "denoise", str(source), "-o", str(target), "--lossless",
             "--overwrite", "--threads", str(given.threads),
             *(["--adapt", "--adapt-minutes", given.adapt] if adapting else [])],
            check=True, capture_output=True, text=True, cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        )  # fmt: skip
        seconds.append(time.perf_counter() - start)
        scores.append(psnr(read(target, count), pair.clean))
        said = next((line for line in done.stderr.splitlines() if "adapt:" in line), said)
    return Row(*scores, seconds[-1] - seconds[-2], said.removeprefix("adapt: "))


def clips(given: argparse.Namespace) -> Iterator[tuple[str, Pictures]]:
    """Clean clips, cut to the middle and as long as asked."""
    for path in given.clips:
        whole = read(path, 2 * given.frames)
        side = min(given.size, *whole.shape[1:3]) // 16 * 16
        top, left = ((n - side) // 2 for n in whole.shape[1:3])
        yield path.stem, whole[:, top : top + side, left : left + side].astype(np.float32) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--materials", nargs="+", choices=MATERIALS, default=list(MATERIALS))
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--adapt", default="1", metavar="MINUTES")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="write the materials there, and stop")
    given = parser.parse_args()
    print("| clip | material | noisy | with lines | plain | adapted | gain | s | said |")
    print("|---|---|---|---|---|---|---|---|---|")
    gains = []
    for name, clean in clips(given):
        for material in given.materials:
            frames = clean if material == "tape" else clean[: given.frames]
            pair = MATERIALS[material](
                frames, np.random.default_rng([5, list(MATERIALS).index(material)])
            )
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                save(given.keep / f"{name}_{material}.mkv", pair)
                continue
            with tempfile.TemporaryDirectory() as folder:
                row = compare(pair, Path(folder), given)
            gains.append(row.adapted - row.with_lines)
            figures = " | ".join(f"{score:.2f}" for score in row[:4])
            print(
                f"| {name} | {material} | {figures} | {gains[-1]:+.2f} | {row.seconds:.0f} "
                f"| {row.said} |",
                flush=True,
            )
    if gains:
        print(f"mean gain {np.mean(gains):+.2f} dB, worst {min(gains):+.2f} dB")


if __name__ == "__main__":
    main()
