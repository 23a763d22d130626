"""Bands of a sensor that are new in every frame: how much of them f2r leaves.

    python benchmarks/bands.py CLIP [--kinds stack mosaic video] [--periods 8 20 60 200]
        [--speeds 0 0.2 2] [--amplitudes 0.5 1 3] [--frames 16] [--seed 1] [--drift 0.1]

A still, slow or moving scene is made of the clip's first picture, 256x384 pixels of it, with white
noise and a wave down the rows whose phase is new in every frame (or drifts by so much of a period).
Amplitudes are in standard deviations of the noise. Printed for each: the root mean square of what
the means of rows are off by after `LineRemover`, in percent of before (without that of the whole
frame, which is light), and dB of the frames before and after, and of frames that never had bands.
Nothing else is denoised.
"""

import argparse
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_defects import MOSAIC, SIZE, WAY, Kind, shown, stored, uneven

from f2rcli.engine.noise.lines import LineRemover, lines_of
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.sensor import bayer_layout

Floats = NDArray[np.float64]

CORNER = 10, 40


KINDS = {
    "stack": Kind(PlaneLayout(family=Family.GRAY, bits=16, levels=(100, 4100)), 100, 4100, 0.02),
    "mosaic": Kind(bayer_layout(MOSAIC, 12), 240, 4095, 0.02),
    "video": Kind(PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1)), 0, 255, 5 / 255),
}


def main() -> None:
    """Print a row for every kind, speed and period."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--periods", nargs="+", type=float, default=[8, 20, 60, 200])
    parser.add_argument("--speeds", nargs="+", type=float, default=[0, 0.2, 2])
    parser.add_argument("--amplitudes", nargs="+", type=float, default=[0.5, 1, 3])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drift", type=float, help="of a period, a frame")
    given = parser.parse_args()
    with av.open(str(given.clip)) as container:
        decoded = next(islice(container.decode(video=0), 1)).to_ndarray(format="gray")
    picture = 0.08 + 0.84 * decoded / 255
    columns = "".join(f" amplitude {amplitude:g} |" for amplitude in given.amplitudes)
    print(f"| samples | pixels a frame | period |{columns}")
    for name, speed, period in product(given.kinds, given.speeds, given.periods):
        clean = panned(picture, given.frames, speed)
        found = [
            measured(KINDS[name], clean, period, amplitude, given) for amplitude in given.amplitudes
        ]
        print(f"| {name} | {speed:g} | {period:g} | {' | '.join(found)} |", flush=True)


def panned(picture: Floats, count: int, speed: float) -> Floats:
    """Frames that move over a picture."""
    frames = []
    for time in range(count):
        down, across = (at + way * speed * time for at, way in zip(CORNER, WAY, strict=True))
        move = np.array([[1, 0, across], [0, 1, down]], np.float32)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frames.append(
            cv2.warpAffine(picture, move, SIZE[::-1], flags=how, borderMode=cv2.BORDER_REFLECT)
        )
    return np.clip(np.stack(frames), 0.02, 0.98)


def waves(count: int, period: float, rng: np.random.Generator, drift: float | None) -> Floats:
    """(T, H, 1), amplitude 1."""
    phases = rng.uniform(0, 1, count)
    if drift is not None:
        phases = phases[0] + drift * np.arange(count)
    place = np.arange(SIZE[0])[None] / period + phases[:, None]
    return np.asarray(np.sin(2 * np.pi * place)[..., None], np.float64)


def measured(
    kind: Kind, clean: Floats, period: float, amplitude: float, given: argparse.Namespace
) -> str:
    """A cell of the table."""
    rng = np.random.default_rng(given.seed)
    bands = amplitude * kind.sigma * waves(len(clean), period, rng, given.drift)
    noisy = clean + kind.sigma * np.random.default_rng(100 + given.seed).standard_normal(
        clean.shape
    )
    frames = coloured(kind, noisy + bands)
    lines = lines_of(frames[:6])
    done = frames if lines is None else LineRemover(lines).alone(frames)
    plain, before, after = (light(kind, one) for one in (coloured(kind, noisy), frames, done))
    share = 100 * uneven(after - plain, 2) / uneven(before - plain, 2)
    levels = (psnr(one, clean) for one in (before, after, plain))
    return f"{share:.0f} %, {' -> '.join(f'{level:.1f}' for level in levels)}"


def coloured(kind: Kind, pictures: Floats) -> list[Frame]:
    """Frames as a file holds them; colours of video are gray with noise."""
    rng, size, frames = np.random.default_rng(0), (2, SIZE[0] // 2, SIZE[1] // 2), []
    for frame in stored(kind, pictures):
        if kind.layout.family is Family.YUV:
            colours = np.rint(rng.normal(128, 3, size)).clip(0, 255).astype(np.uint8)
            frame = replace(frame, planes=(*frame.planes, *colours))
        frames.append(frame)
    return frames


def light(kind: Kind, frames: list[Frame]) -> Floats:
    """What frames' first plane shows, 0..1."""
    return shown(kind, [replace(frame, planes=frame.planes[:1]) for frame in frames])


def psnr(pictures: Floats, clean: Floats) -> float:
    """Decibels."""
    return float(-10 * np.log10(np.mean(np.square(pictures - clean))))


if __name__ == "__main__":
    main()
