"""Still bursts of camera raw: f2r's frame against the mean of the frames so far.

    python benchmarks/still_mosaics.py CLIP ... [--frames 40] [--gain 8] [--side 192]

The middle of each clip's first picture, in linear light and dimmed to 35 %, as a Bayer sensor sees
it without optics: no lens shows so much detail in single pixels. Noise of photons (--gain codes an
electron) and of reading (as much as one electron). PSNR is that of white - black. Printed after 8
frames and after all: f2r's frame minus the mean; which samples f2r took for defects, and the share
of f2r's error that these make.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from raw import restored

from f2rcli.frames import Frame, Mosaic
from f2rcli.io import open_reader
from f2rcli.samples.defects import without_defects
from f2rcli.sensor import bayer_layout
from f2rcli.yuv import to_rgb

BLACK, WHITE, DIMMED = 240, 4095, 0.35
FACTS = {"cfa": "RGGB", "black": BLACK, "white": WHITE}
MOSAIC = Mosaic(pattern="RGGB", black=(float(BLACK),) * 4, white=(float(WHITE),) * 4)
LAYOUT = bayer_layout(MOSAIC, 12)
SITES = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2))  # row and column in a cell, channel

Floats = NDArray[np.float64]


def light_of(clip: Path, side: int) -> Floats:
    """(side, side) codes above black."""
    with open_reader(clip) as reader:
        picture = to_rgb(next(iter(reader)))
    top, left = ((size - side) // 2 for size in picture.shape[1:])
    linear = np.clip(picture[:, top : top + side, left : left + side], 0, 1) ** 2.2
    light = np.zeros((side, side))
    for row, column, channel in SITES:
        light[row::2, column::2] = linear[channel, row::2, column::2]
    return DIMMED * (WHITE - BLACK) * light


def burst(light: Floats, count: int, gain: float) -> NDArray[np.uint16]:
    """(count, H, W)"""
    rng = np.random.default_rng(3)
    shape = (count, *light.shape)
    codes = BLACK + gain * (rng.poisson(light / gain, shape) + rng.normal(0, 1, shape))
    return np.rint(codes).clip(0, WHITE).astype(np.uint16)


def denoised(codes: NDArray[np.uint16]) -> Floats:
    """What `f2r denoise` writes."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "burst.tif")
        tifffile.imwrite(source, codes, description=json.dumps(FACTS), photometric="minisblack")
        return np.array(restored(source, []), np.float64)


def defects(codes: NDArray[np.uint16]) -> dict[int, int]:
    """Samples that were repaired, and in how many frames."""
    frames = (Frame(planes=(one,), layout=LAYOUT, pts=time) for time, one in enumerate(codes))
    found: dict[int, int] = {}
    for done in without_defects(frames):
        for place in done.aside[0].repaired.tolist() if done.aside else ():
            found[place] = found.get(place, 0) + 1
    return found


def psnr(estimate: Floats, truth: Floats) -> float:
    return float(10 * np.log10((WHITE - BLACK) ** 2 / np.square(estimate - truth).mean()))


def main() -> None:
    """Print a line for every clip."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--gain", type=float, default=8, help="codes an electron")
    parser.add_argument("--side", type=int, default=192)
    given = parser.parse_args()
    for clip in given.clips:
        light = light_of(clip, given.side)
        codes, truth = burst(light, given.frames, given.gain), light + BLACK
        repaired, found = defects(codes), denoised(codes)
        parts = []
        for count in sorted({min(8, given.frames), given.frames}):
            mean, own = codes[:count].mean(0), found[count - 1]
            more = psnr(own, truth) - psnr(mean, truth)
            parts.append(f"frame {count}: {more:+.2f} dB ({psnr(own, truth):.2f})")
        error = np.square(found[-1] - truth)
        share = error.flat[list(repaired)].sum() / error.sum()
        parts.append(f"{len(repaired)} samples repaired, {share:.0%} of the last frame's error")
        print(f"{clip.stem} {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
