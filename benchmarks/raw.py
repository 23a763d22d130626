"""Quality on mosaics whose clean version is known, through the engine that the command uses.

    python benchmarks/raw.py NOISY.tif CLEAN.tif [--hot 89] [--rows 25] [--sigma S]

Both are TIFF files whose pages are CRVD's mosaics (GBRG, black 240, white 4095). PSNR is over all
pixels of a frame with white - black as the peak, mean over frames: of the noisy mosaic, of the
Gaussian filter that does best when it is chosen by the truth (on the four planes, each sigma from
0.3 to 1.5 pixels), and of f2r's result. --hot: pixels of 300 to 3000 codes more in every frame;
--rows: offsets of rows, in codes, new in every frame. How much of either is left is measured
against the result for the same frames without them.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from noisy_clips import psnr
from numpy.typing import NDArray

from f2rcli.engine.settings import EngineSettings
from f2rcli.engine.stream import denoise_stream, load_engine
from f2rcli.evaluation.benchmarks import CRVD, CrvdClip
from f2rcli.frames import Frame
from f2rcli.sensor import add_change, to_planes

SIGMAS = np.arange(0.3, 1.51, 0.1)
WHITE = int(CRVD.white[0])
PEAK = CRVD.white[0] - CRVD.black[0]

Mosaics = list[NDArray[np.generic]]


def filtered(frame: Frame, sigma: float) -> NDArray[np.generic]:
    """A mosaic whose planes went through a Gaussian filter."""
    planes = to_planes(frame)
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), float(sigma)) for plane in planes])
    return add_change(frame, smooth - planes)[0]


def restored(clip: CrvdClip, frames: list[Frame], sigma: float | None) -> NDArray[np.float64]:
    """What f2r makes of frames of a clip."""
    engine = load_engine(EngineSettings(sigma=sigma), clip.info)
    return np.array([f.planes[0] for f in denoise_stream(frames, clip.info, engine)], np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("noisy", type=Path)
    parser.add_argument("clean", type=Path)
    parser.add_argument("--hot", type=int, default=0, help="so many hot pixels")
    parser.add_argument("--rows", type=float, default=0, help="offsets, in codes")
    parser.add_argument("--sigma", type=float, help="the noise, of 255; else it is measured")
    given = parser.parse_args()
    clip = CrvdClip(given.noisy)()
    noisy, clean = list(clip), [f.planes[0] for f in CrvdClip(given.clean)()]
    print(f"noisy     {psnr([f.planes[0] for f in noisy], clean, PEAK):6.2f} dB")
    best = max((psnr([filtered(f, s) for f in noisy], clean, PEAK), s) for s in SIGMAS)
    print(f"Gaussian  {best[0]:6.2f} dB at sigma {best[1]:.1f}")
    result = restored(clip, noisy, given.sigma)
    print(f"f2r       {psnr(list(result), clean, PEAK):6.2f} dB")

    def spoiled(more: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What codes were added to the frames, cut off at white, and what f2r makes of the sum."""
        codes = np.array([frame.planes[0] for frame in noisy])
        sums = np.rint(codes + more).clip(0, WHITE).astype(codes.dtype)
        frames = [replace(f, planes=(one,)) for f, one in zip(noisy, sums, strict=True)]
        return sums.astype(np.float64) - codes, restored(clip, frames, given.sigma)

    if given.hot:
        rng, shape = np.random.default_rng(0), result.shape
        places = rng.choice(result[0].size, given.hot, replace=False)
        more = np.zeros(result[0].size)
        more[places] = rng.uniform(300, 3000, given.hot)
        put, found = spoiled(np.broadcast_to(more.reshape(shape[1:]), shape))
        light, left = (a.reshape(len(result), -1)[:, places].mean(0) for a in (put, found - result))
        many = np.count_nonzero(np.abs(left / light) > 0.05)
        share = left.sum() / light.sum()
        print(f"hot       {psnr(list(found), clean, PEAK):6.2f} dB, {share:.2%} left")
        print(f"          {many} of {given.hot} keep more than 5 %")
    if given.rows:
        offsets = np.random.default_rng(7).normal(0, given.rows, (*result.shape[:2], 1))
        _, found = spoiled(np.broadcast_to(offsets, result.shape))
        left = (found - result).mean(2).std(1) / offsets.std((1, 2))
        print(f"rows      {psnr(list(found), clean, PEAK):6.2f} dB, {left.mean():.0%} left")
        print(f"          by frame {' '.join(f'{one:.0%}' for one in left)}")


if __name__ == "__main__":
    main()
