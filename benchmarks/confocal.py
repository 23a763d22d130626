"""A simulated confocal stack, its planes restored in three ways: the table of depth in
docs/microscopy.md.

python benchmarks/confocal.py [--photons 2 10 50] [--side 128] [--planes 24]

Photons are those of a pixel that is brighter than 99 in 100. The stack holds cells (shells with
nuclei), filaments and beads in three dimensions, blurred by a Gaussian that is 1.3 pixels wide
across and 5 pixels (1.67 planes, each 3 pixels apart) along the axis, and recorded with photon and
read noise.
"""

import argparse
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from simulated import best_gaussian, electrons, median, psnr, recorded

import f2rcli
from f2rcli.methods.f2r.flows import FlowBook, FramePair
from f2rcli.models.flow import Flow

Floats = NDArray[np.float64]

ACROSS, ALONG = 1.3, 1.67  # pixels, planes: standard deviations of the blur
STEP = 3.0  # pixels from plane to plane
DARK = 0.05  # of the brightest percent: background


def confocal(planes: int, side: int, rng: np.random.Generator) -> Floats:
    """Light (Z, Y, X) with its 99th percentile at 1."""
    light = _cells(planes, side, rng) + _filaments(planes, side, rng) + _beads(planes, side, rng)
    light = gaussian_filter(light, (ALONG, ACROSS, ACROSS))
    return DARK + light / np.percentile(light, 99)


def _cells(planes: int, side: int, rng: np.random.Generator) -> Floats:
    """Ellipsoids with a rough inside, a brighter shell and a dark nucleus."""
    z, y, x = np.ogrid[:planes, :side, :side]
    texture = gaussian_filter(rng.normal(size=(planes, side, side)), (0.7, 2, 2))
    texture /= texture.std()
    volume = np.zeros((planes, side, side))
    for _ in range(side * side // 2700):
        middle = rng.uniform((0, 0, 0), (planes, side, side))
        radii = rng.uniform(12, 22, 3) / (STEP, 1, 1)
        apart = [(a - m) / r for a, m, r in zip((z, y, x), middle, radii, strict=True)]
        radius = np.sqrt(sum(a**2 for a in apart))
        body = np.where(radius < 1, 0.35 + 0.12 * texture, 0)
        body += 0.9 * np.exp(-(((radius - 1) / 0.08) ** 2))
        body *= np.where(radius < 0.45, 0.3, 1)
        volume = np.maximum(volume, rng.uniform(0.5, 1) * body)
    return volume


def _filaments(planes: int, side: int, rng: np.random.Generator) -> Floats:
    """Smooth random curves, one voxel thick."""
    volume = np.zeros((planes, side, side))
    for _ in range(side * side // 1600):
        place = rng.uniform((0, 0, 0), (planes, side, side))
        way = rng.normal(size=3)
        for _ in range(2 * side):
            way += rng.normal(0, 0.08, 3)
            way /= np.linalg.norm(way)
            place = place + way / (STEP, 1, 1) * 0.5
            at = tuple(int(p) for p in place)
            if all(0 <= p < n for p, n in zip(at, volume.shape, strict=True)):
                volume[at] += 1.5
    return volume


def _beads(planes: int, side: int, rng: np.random.Generator) -> Floats:
    """Points of light."""
    volume = np.zeros((planes, side, side))
    for _ in range(planes * side * side // 9000):
        at = tuple(rng.integers(0, n) for n in volume.shape)
        volume[at] += rng.uniform(20, 80)
    return volume


def standing(
    book: FlowBook, pairs: Sequence[FramePair], starts: Sequence[Flow | None]
) -> list[Flow]:
    """What a search would find if nothing moved."""
    return [book.none(source) for source, _ in pairs]


def main() -> None:
    """Print a row for each way, at each brightness."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photons", type=float, nargs="+", default=[2, 10, 50])
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--planes", type=int, default=24)
    given = parser.parse_args()
    shape = confocal(given.planes, given.side, np.random.default_rng(1))
    for photons in given.photons:
        light = photons * shape
        codes = recorded(light, np.random.default_rng(2))

        def row(name: str, estimate: Floats, light: Floats = light) -> None:
            bright = np.percentile(light, 99)
            print(f"{bright:5.1f} photons  {name:24} {psnr(estimate, light):6.2f} dB", flush=True)

        noisy = electrons(codes)
        row("noisy", noisy)
        row("median 3x3x3", median(noisy))
        row("Gaussian, by the truth", best_gaussian(noisy, light))
        row("f2r, single planes", electrons(f2rcli.denoise(codes, axes="PYX")))
        row("f2r, depth", electrons(f2rcli.denoise(codes, axes="ZYX")))
        with patch.object(FlowBook, "_found", standing):
            row("f2r, depth, no flow", electrons(f2rcli.denoise(codes, axes="ZYX")))


if __name__ == "__main__":
    main()
