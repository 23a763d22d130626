"""The ranges of activations that int8 needs, measured on noisy training clips.

    python benchmarks/pretraining/ranges.py CLIPS OUT.safetensors

CLIPS is a folder of clean clips (.mkv). Every fifth is made noisy in each way that f2r has weights
for, and denoised in float32; what is kept is the largest value that each channel of an inner
convolution was given, by the SHA-256 of the weights. Shipped as weights/int8.safetensors
(docs/performance.md, Precision): new weights cannot run in int8 until they are in it. About ten
minutes of one core.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from f2rcli.models.convolutions.int8 import Ranges, watch_ranges
from noisy_clips import clean_clips, make_noisy, read, write

from f2rcli import weights
from f2rcli.engine.engine import Engine
from f2rcli.engine.stream import EngineSettings, load_engine, restore_stream
from f2rcli.evaluation.metrics import LUMA
from f2rcli.frames import Space
from f2rcli.io import open_reader
from f2rcli.methods.base import Method
from f2rcli.models.layers import SLOPE
from f2rcli.weights import Weights

EVERY, FRAMES = 5, 3  # of the clips; of each
# What is denoised: weights to name, None for those that f2r chooses, and kinds of noise.
HEAVY, LIGHT = ("g14", "g30", "g50", "pg", "corr30"), ("g5", "g10")
RUNS: tuple[tuple[str | None, Sequence[str]], ...] = (
    (None, (*HEAVY, *LIGHT, "h264")),
    ("f2r-rgb-compressed", ("g5",)),
    ("f2r-rgb-base", ("g50", "pg", "g10")),
)
GRAY = ((None, (14, 30, 50)), ("f2r-gray-light", (5, 10)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, Ranges]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        for name, path in noisy(clean_clips(given.clips)[::EVERY], Path(folder)):
            watch(name, path, found)
            print(path.name, {sha[:8]: len(own) for sha, own in found.items()}, flush=True)
    measuring = weights.manifest()[str(weights.measuring(Space.RGB))]["sha256"]
    kept = {
        f"{sha}/{block}": torch.stack(tuple(ranges)).half()
        for sha, own in found.items()
        if sha != measuring  # in floats, whatever restores
        for block, ranges in own.items()
    }
    given.out.write_bytes(save(kept))


def noisy(clips: Sequence[Path], folder: Path) -> Iterator[tuple[str | None, Path]]:
    """Every clip in every kind of noise, with the weights to name."""
    rng = np.random.default_rng(0)
    for clip in clips:
        for name, kinds in RUNS:
            for kind in kinds:
                yield name, make_noisy(clip, kind, folder, FRAMES)
        light = read(clip, FRAMES) @ np.array(LUMA)
        for name, sigmas in GRAY:
            for sigma in sigmas:
                codes = np.clip(np.rint(light + rng.normal(0, sigma, light.shape)), 0, 255)
                path = folder / f"{clip.stem}.gray{sigma}.mkv"
                write(path, codes.astype(np.uint8))
                yield name, path


def watch(name: str | None, path: Path, found: dict[str, dict[str, Ranges]]) -> None:
    """Denoise a clip; widen the ranges of all weights that take part."""

    class Watching(Engine):
        def _loaded(self, chosen: Weights, **kind: bool) -> Method:
            method = super()._loaded(chosen, **kind)
            watch_ranges(method.networks, SLOPE, found[chosen.sha256])
            return method

    with open_reader(path) as reader:
        engine = load_engine(EngineSettings(weights=name, threads=1, precision="fp32"), reader.info)
        engine.__class__ = Watching
        for _ in restore_stream(iter(reader), engine):
            pass


if __name__ == "__main__":
    main()
