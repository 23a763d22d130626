"""Salt and pepper on clean clips: a 3x3 median, and what f2r makes of it with some weights.

    python benchmarks/impulses.py CLIPS [--weights NAME|PATH ...] [--frames 4]
        [--noise sp salt-pepper:20,0.01 ...]

PSNR in dB, mean over frames; a row a clip, and a mean over the clips.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from noisy_clips import Clip, clean_clips, make_noisy, psnr, read

from f2rcli import weights, yuv
from f2rcli.engine.stream import EngineSettings, load_engine, restore_stream
from f2rcli.io import open_reader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of clean clips")
    parser.add_argument("--weights", nargs="+", default=["f2r-rgb-small", "fitvnet-rgb-small"])
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--noise", nargs="+", default=["sp"])
    given = parser.parse_args()
    print("| noise | clip | noisy | median 3x3 | " + " | ".join(map(str, given.weights)) + " |")
    print("|---" * (len(given.weights) + 4) + "|")
    for noise in given.noise:
        rows = {}
        for path in clean_clips(given.clips):
            rows[path.stem] = measure(path, noise, given)
            print(line(noise, path.stem, rows[path.stem]), flush=True)
        print(line(noise, "**mean**", np.mean(list(rows.values()), 0)))


def line(*cells: Any) -> str:
    """A row of the table: names, then numbers."""
    *names, values = cells
    return "| " + " | ".join([*names, *(f"{value:.2f}" for value in values)]) + " |"


def measure(path: Path, noise: str, given: argparse.Namespace) -> list[float]:
    """PSNR of the noisy clip, of medians of it, and of what each of the weights makes of it."""
    clean = read(path, given.frames)
    with tempfile.TemporaryDirectory() as folder:
        file = make_noisy(path, noise, Path(folder), given.frames)
        noisy = read(file)
        results = [noisy, np.stack([cv2.medianBlur(frame, 3) for frame in noisy])]
        results += [restored(file, name) for name in given.weights]
    return [psnr(result, clean) for result in results]


def restored(file: Path, name: str) -> Clip:
    """What f2r makes of a clip with these weights."""
    method = weights.load(name).header.method
    with open_reader(file) as reader:
        settings = EngineSettings(method=method, weights=name, threads=1)
        done = restore_stream(reader, load_engine(settings, reader.info))
        pictures = [255 * np.moveaxis(yuv.to_rgb(frame), 0, -1) for frame in done]
    return np.clip(np.rint(np.stack(pictures)), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
