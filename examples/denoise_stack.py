"""Denoise a microscopy stack from Python and look at it: the noise in the file's own units, and a
picture of before, after and what was taken out.

python examples/denoise_stack.py examples/calcium_noisy.tif clean.tif look.png
"""

import sys

import cv2
import numpy as np
import tifffile

from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output


def main(source: str, target: str, picture: str) -> None:
    """Denoise `source` into `target`, lane by lane; draw the middle frame into `picture`."""
    with open_reader(source) as reader:
        print(f"lanes: {len(reader.info.lanes)}, {reader.info.frames} frames in all")
        engine = load_engine(EngineSettings(), reader.info)
        plan = plan_output(reader, target, WriteOptions())
        with open_writer(reader, plan) as writer:
            for frame in denoise_stream(reader, reader.info, engine):
                writer.write(frame)
            print(writer.finish().line())
    for layout, noise in engine.lane_noise:
        black, white = layout.levels or (0.0, 1.0)
        print("noise: sigma", ", ".join(f"{s * (white - black):.1f}" for s in noise.sigma), "codes")
    draw(source, target, picture)


def draw(source: str, target: str, picture: str) -> None:
    """Before | after | difference of the first lane's middle frame, three times as large."""
    before, after = (tifffile.imread(path).astype(float) for path in (source, target))
    print(f"largest change of a frame's mean: {largest_drift(before, after):.3%}")
    middle = len(before) // 2
    low, high = np.percentile(before[middle], (1, 99.8))
    shown = [(stack[middle] - low) / (high - low) for stack in (before, after)]
    row = np.hstack([*shown, shown[0] - shown[1] + 0.5])
    codes = np.rint(255 * np.clip(row, 0, 1)).astype(np.uint8)
    cv2.imwrite(picture, cv2.resize(codes, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST))


def largest_drift(before: np.ndarray, after: np.ndarray) -> float:  # type: ignore[type-arg]
    """How far the mean of any frame moved, as a share of it."""
    return float(np.abs(after.mean((1, 2)) / before.mean((1, 2)) - 1).max())


if __name__ == "__main__":
    main(*sys.argv[1:4])
