"""Quality on mosaics whose clean version is known, through the engine that the command uses.

    python benchmarks/raw.py NOISY.tif CLEAN.tif [--models full lite]

Both are TIFF files whose pages are CRVD's mosaics (GBRG, black 240, white 4095). PSNR is over all
pixels of a frame with white - black as the peak, mean over frames: of the noisy mosaic and of f2r's
results.
"""

import argparse
from pathlib import Path

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
    given = parser.parse_args()
    clip = CrvdClip(given.noisy)
    noisy, clean = list(clip), [f.planes[0] for f in CrvdClip(given.clean)]
    print(f"noisy {psnr([f.planes[0] for f in noisy], clean, PEAK):6.2f} dB")
    for model in given.models:
        engine = load_engine(EngineSettings(model=model), clip.info)
        result = [f.planes[0] for f in denoise_stream(noisy, clip.info, engine)]
        print(f"{model:5} {psnr(result, clean, PEAK):6.2f} dB")


if __name__ == "__main__":
    main()
