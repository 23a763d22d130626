"""Quality on mosaics whose clean version is known, through the command line.

    python benchmarks/raw.py NOISY.tif CLEAN.tif [--options ...]

Both are TIFF files of mosaics that say what they are (docs/raw.md). PSNR is over all pixels of a
frame with white - black as the peak, mean over frames: of the noisy mosaic, of the Gaussian filter
that does best when it is chosen by the truth (on the four planes, each sigma from 0.3 to 1.5
pixels), and of what `f2r denoise` writes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Frame
from f2rcli.io import open_reader
from f2rcli.sensor import add_change, to_planes

SIGMAS = np.arange(0.3, 1.51, 0.1)

Mosaics = list[NDArray[np.generic]]


def read(path: Path) -> list[Frame]:
    with open_reader(path) as reader:
        return list(reader)


def psnr(estimate: Mosaics, clean: Mosaics, peak: float) -> float:
    """Decibels, mean over frames."""
    errors = [
        np.mean((one.astype(np.float64) - truth) ** 2)
        for one, truth in zip(estimate, clean, strict=True)
    ]
    return float(np.mean([10 * np.log10(peak**2 / error) for error in errors]))


def filtered(frame: Frame, sigma: float) -> NDArray[np.generic]:
    """A mosaic whose planes went through a Gaussian filter."""
    planes = to_planes(frame)
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), float(sigma)) for plane in planes])
    return add_change(frame, smooth - planes)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("noisy", type=Path)
    parser.add_argument("clean", type=Path)
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
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "clean.tif")
        command = [sys.executable, "-m", "f2rcli", "denoise", str(arguments.noisy), "-o"]
        subprocess.run([*command, str(target), "-q", *arguments.options], check=True)
        result = [f.planes[0] for f in read(target)]
    print(f"f2r       {psnr(result, clean, peak):6.2f} dB")


if __name__ == "__main__":
    main()
