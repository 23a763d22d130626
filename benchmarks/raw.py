"""Quality on mosaics whose clean version is known, through the command line.

    python benchmarks/raw.py NOISY.tif CLEAN.tif [--hot 89] [--rows 25] [--options ...]

Both are TIFF files of mosaics that say what they are (docs/raw.md). PSNR is over all pixels of a
frame with white - black as the peak, mean over frames: of the noisy mosaic, of the Gaussian filter
that does best when it is chosen by the truth (on the four planes, each sigma from 0.3 to 1.5
pixels), and of what `f2r denoise` writes. --hot: pixels of 300 to 3000 codes more in every frame;
--rows: offsets of rows, in codes, new in every frame. How much of either is left is measured
against the result for the same frames without them.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import tifffile
from noisy_clips import psnr
from numpy.typing import NDArray

from f2rcli.frames import Frame
from f2rcli.io import open_reader
from f2rcli.sensor import add_change, to_planes

SIGMAS = np.arange(0.3, 1.51, 0.1)
WHITE = 4095  # of both files

Mosaics = list[NDArray[np.generic]]


def read(path: Path) -> list[Frame]:
    with open_reader(path) as reader:
        return list(reader)


def filtered(frame: Frame, sigma: float) -> NDArray[np.generic]:
    """A mosaic whose planes went through a Gaussian filter."""
    planes = to_planes(frame)
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), float(sigma)) for plane in planes])
    return add_change(frame, smooth - planes)[0]


def restored(noisy: Path, options: list[str]) -> Mosaics:
    """What `f2r denoise` writes."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "clean.tif")
        command = [sys.executable, "-m", "f2rcli", "denoise", str(noisy), "-o", str(target), "-q"]
        subprocess.run([*command, *options], check=True)
        return [f.planes[0] for f in read(target)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("noisy", type=Path)
    parser.add_argument("clean", type=Path)
    parser.add_argument("--hot", type=int, default=0, help="so many hot pixels")
    parser.add_argument("--rows", type=float, default=0, help="offsets, in codes")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="for f2r denoise")
    arguments = parser.parse_args()
    noisy, clean = read(arguments.noisy), [f.planes[0] for f in read(arguments.clean)]
    mosaic = noisy[0].layout.mosaic
    if mosaic is None:
        parser.error(f"{arguments.noisy.name} holds no mosaics")
    peak = mosaic.white[0] - mosaic.black[0]
    print(f"noisy     {psnr([f.planes[0] for f in noisy], clean, peak):6.2f} dB")
    best = max((psnr([filtered(f, s) for f in noisy], clean, peak), s) for s in SIGMAS)
    print(f"Gaussian  {best[0]:6.2f} dB at sigma {best[1]:.1f}")
    result = restored(arguments.noisy, arguments.options)
    print(f"f2r       {psnr(result, clean, peak):6.2f} dB")
    for spoil in (hot, rows):
        if getattr(arguments, spoil.__name__):
            spoil(arguments, np.array(result, np.float64), clean, peak)


def hot(
    given: argparse.Namespace, result: NDArray[np.float64], clean: Mosaics, peak: float
) -> None:
    """Print what is left of hot pixels."""
    rng, shape = np.random.default_rng(0), result.shape
    places = rng.choice(result[0].size, given.hot, replace=False)
    more = np.zeros(result[0].size)
    more[places] = rng.uniform(300, 3000, given.hot)
    put, found = spoiled(given, np.broadcast_to(more.reshape(shape[1:]), shape))
    light, left = (one.reshape(len(result), -1)[:, places].mean(0) for one in (put, found - result))
    many = np.count_nonzero(np.abs(left / light) > 0.05)
    print(
        f"hot       {psnr(list(found), clean, peak):6.2f} dB, {left.sum() / light.sum():.2%} left"
    )
    print(f"          {many} of {given.hot} keep more than 5 %")


def rows(
    given: argparse.Namespace, result: NDArray[np.float64], clean: Mosaics, peak: float
) -> None:
    """Print what is left of the offsets of rows."""
    offsets = np.random.default_rng(7).normal(0, given.rows, (*result.shape[:2], 1))
    _, found = spoiled(given, np.broadcast_to(offsets, result.shape))
    left = (found - result).mean(2).std(1) / offsets.std((1, 2))
    print(f"rows      {psnr(list(found), clean, peak):6.2f} dB, {left.mean():.0%} left")
    print(f"          by frame {' '.join(f'{one:.0%}' for one in left)}")


def spoiled(
    given: argparse.Namespace, more: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What codes were added to the frames, cut off at white, and what f2r writes of their sum."""
    with tifffile.TiffFile(given.noisy) as file:
        codes, description = file.asarray(), file.pages[0].description
    sums = np.rint(codes + more).clip(0, WHITE).astype(codes.dtype)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "spoiled.tif")
        tifffile.imwrite(source, sums, description=description, photometric="minisblack")
        found = np.array(restored(source, given.options), np.float64)
    return sums.astype(np.float64) - codes, found


if __name__ == "__main__":
    main()
