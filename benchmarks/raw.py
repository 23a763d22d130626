"""Quality on mosaics whose clean version is known, through the engine that the command uses.

    python benchmarks/raw.py NOISY.tif CLEAN.tif [--models full lite] [--gain CODES]

Both are TIFF files whose pages are CRVD's mosaics (GBRG, black 240, white 4095). PSNR is over all
pixels of a frame with white - black as the peak, mean over frames: of the noisy mosaic and of f2r's
results. --gain: of noise that is made in place of NOISY's, of photons of so many codes and read
noise of 1.4 times that (0.5 is ISO 200 or so, 3.5 CRVD's ISO 1600).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from noisy_clips import psnr

from f2rcli.engine.settings import EngineSettings
from f2rcli.engine.stream import denoise_stream, load_engine
from f2rcli.evaluation.benchmarks import CRVD, CrvdClip

PEAK = CRVD.white[0] - CRVD.black[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("noisy", type=Path)
    parser.add_argument("clean", type=Path)
    parser.add_argument("--models", nargs="+", default=["full", "lite"])
    parser.add_argument("--gain", type=float)
    given = parser.parse_args()
    clip, black = CrvdClip(given.noisy), CRVD.black[0]
    noisy, clean = list(clip), [f.planes[0] for f in CrvdClip(given.clean)]
    if gain := given.gain:
        rng = np.random.default_rng(1)
        light = [np.maximum(one.astype(float) - black, 0) for one in clean]
        seen = [gain * (rng.poisson(x / gain) + rng.normal(0, 2**0.5, x.shape)) for x in light]
        codes = [np.rint(x + black).clip(0, CRVD.white[0]).astype(np.uint16) for x in seen]
        noisy = [replace(f, planes=(one,)) for f, one in zip(noisy, codes, strict=True)]
    print(f"noisy {psnr([f.planes[0] for f in noisy], clean, PEAK):6.2f} dB")
    for model in given.models:
        engine = load_engine(EngineSettings(model=model), clip.info)
        result = [f.planes[0] for f in denoise_stream(noisy, clip.info, engine)]
        print(f"{model:5} {psnr(result, clean, PEAK):6.2f} dB")


if __name__ == "__main__":
    main()
