"""Quality on mosaics whose clean version is known, through the engine that the command uses.

    python benchmarks/raw.py NOISY.tif CLEAN.tif

Both are TIFF files whose pages are CRVD's mosaics (GBRG, black 240, white 4095). PSNR is over all
pixels of a frame with white - black as the peak, mean over frames: of the noisy mosaic, of the
Gaussian filter that does best when it is chosen by the truth (on the four planes, each sigma from
0.3 to 1.5 pixels), and of f2r's result.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from noisy_clips import psnr
from numpy.typing import NDArray

from f2rcli.engine.settings import EngineSettings
from f2rcli.engine.stream import denoise_stream, load_engine
from f2rcli.evaluation.benchmarks import CRVD, CrvdClip
from f2rcli.frames import Frame
from f2rcli.yuv import planes_of, with_changes

SIGMAS = np.arange(0.3, 1.51, 0.1)
PEAK = CRVD.white[0] - CRVD.black[0]


def filtered(frame: Frame, sigma: float) -> NDArray[np.generic]:
    """A mosaic whose planes went through a Gaussian filter."""
    planes = planes_of(frame)
    changes = [cv2.GaussianBlur(plane, (0, 0), float(sigma)) - plane for plane in planes]
    return with_changes(frame, changes).planes[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("noisy", type=Path)
    parser.add_argument("clean", type=Path)
    given = parser.parse_args()
    clip = CrvdClip(given.noisy)
    noisy, clean = list(clip), [f.planes[0] for f in CrvdClip(given.clean)]
    print(f"noisy     {psnr([f.planes[0] for f in noisy], clean, PEAK):6.2f} dB")
    best = max((psnr([filtered(f, s) for f in noisy], clean, PEAK), s) for s in SIGMAS)
    print(f"Gaussian  {best[0]:6.2f} dB at sigma {best[1]:.1f}")
    engine = load_engine(EngineSettings(), clip.info)
    result = [f.planes[0] for f in denoise_stream(noisy, clip.info, engine)]
    print(f"f2r       {psnr(result, clean, PEAK):6.2f} dB")


if __name__ == "__main__":
    main()
