"""Salt and pepper mixed with white noise: medians, and what networks make of it by themselves.

    python benchmarks/impulses.py CLIPS [--weights NAME|PATH ...] [--frames 4] [--noise sp]

What `f2r eval --noise sp` gives is what the contract lets through, which takes impulses for
details and gives most of them back. Here it is off. PSNR in dB, mean over frames and clips.
"""

import argparse
import tempfile
from pathlib import Path

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
    parser.add_argument("--noise", default="sp")
    given = parser.parse_args()
    print("| clip | noisy | median 3x3 | " + " | ".join(map(str, given.weights)) + " |")
    print("|---" * (len(given.weights) + 3) + "|")
    rows = []
    for path in clean_clips(given.clips):
        rows.append(measure(path, given))
        print(f"| {path.stem} | " + " | ".join(f"{v:.2f}" for v in rows[-1]) + " |", flush=True)
    print("| **mean** | " + " | ".join(f"{v:.2f}" for v in np.mean(rows, 0)) + " |")


def measure(path: Path, given: argparse.Namespace) -> list[float]:
    """PSNR of the noisy clip, of medians of it, and of what each of the weights makes of it."""
    clean = read(path, given.frames)
    with tempfile.TemporaryDirectory() as folder:
        file = make_noisy(path, given.noise, Path(folder), given.frames)
        noisy = read(file)
        results = [noisy, np.stack([cv2.medianBlur(frame, 3) for frame in noisy])]
        results += [freely(file, name) for name in given.weights]
    return [psnr(result, clean) for result in results]


def freely(file: Path, name: str) -> Clip:
    """What weights make of a clip, without the contract."""
    method = weights.load(name).header.method
    with open_reader(file) as reader:
        settings = EngineSettings(method=method, weights=name, threads=1, contract=False)
        done = restore_stream(reader, load_engine(settings, reader.info))
        pictures = [255 * np.moveaxis(yuv.to_rgb(frame), 0, -1) for frame in done]
    return np.clip(np.rint(np.stack(pictures)), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
