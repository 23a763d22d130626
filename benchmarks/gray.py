"""Gray clips: gray weights against RGB weights, which get the gray picture in all three channels.

    python benchmarks/gray.py CLIPS [--sigma 30] [--frames 8] [--weights NAME|PATH ...]

The luma (BT.601) of every clip with white noise, rounded and clipped to 8 bits, seed 0, through
the engine, blind; PSNR in dB, mean over frames and clips. Beside weights with an estimator of
their own stands the sigma that it finds in the first frame.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from noisy_clips import clean_clips, psnr, read, write

from f2rcli import methods, weights, yuv
from f2rcli.engine.stream import EngineSettings, load_engine, restore_stream
from f2rcli.evaluation.metrics import LUMA
from f2rcli.io import open_reader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--sigma", type=float, default=30)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--weights", nargs="+", default=["f2r-rgb-small", "f2r-gray-small"])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    columns = ["clip", "noisy", *(name for own in given.weights for name in titles(own))]
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    rows = []
    for path in clean_clips(given.clips):
        row = measure(path, given)
        rows.append(row)
        print(f"| {path.stem} | " + " | ".join(f"{v:.2f}" for v in row) + " |", flush=True)
    print("| **mean** | " + " | ".join(f"{v:.2f}" for v in np.mean(rows, 0)) + " |")


def titles(name: str) -> list[str]:
    """Columns of these weights."""
    own = methods.load(weights.load(name).header.method)
    return [name, "its sigma"] if hasattr(own, "estimate_noise") else [name]


def measure(path: Path, given: argparse.Namespace) -> list[float]:
    """PSNR of the noisy luma, and of the result with each of the weights, which may tell sigma."""
    rng = np.random.default_rng(0)
    clean = [np.rint(f @ np.array(LUMA)) for f in read(path, given.frames)]
    noise = [given.sigma * rng.standard_normal(c.shape) for c in clean]
    noisy = [np.clip(np.rint(c + n), 0, 255) for c, n in zip(clean, noise, strict=True)]
    row = [psnr(noisy, clean)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gray.mkv"
        write(file, np.stack(noisy).astype(np.uint8))
        for name in given.weights:
            with open_reader(file) as reader:
                method = weights.load(name).header.method
                settings = EngineSettings(method=method, weights=name, threads=given.threads)
                engine = load_engine(settings, reader.info)
                frames = list(reader)
                done = [
                    np.rint(yuv.to_rgb(f)[0] * 255) for f in restore_stream(iter(frames), engine)
                ]
            row.append(psnr(done, clean))
            if len(titles(name)) > 1:
                first = engine.to_tensor(frames[0])
                row.append(engine.new_method().estimate_noise(first).sigma8[0])
    return row


if __name__ == "__main__":
    main()
