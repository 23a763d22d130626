"""Weights for files that a codec has written: how the bundled ones were trained, on one core.

    python benchmarks/pretraining/coded.py make compressed CLIPS OUT [--clips 640] [--share 1/2]
    python benchmarks/pretraining/coded.py coarse compressed CLIPS OUT --minutes 9
    python benchmarks/pretraining/coded.py precompute compressed CLIPS OUT [--share 1/2]
    python benchmarks/pretraining/coded.py fusion compressed CLIPS OUT --minutes 76

One step after the other, each of which can be killed and goes on where it stopped. `make` sends
scenes through encoders of every kind: clean ones, written with the strength of the codec's errors
as f2r tells it (`compressed`), or scenes with strong noise (`noisy`). `coarse` trains the
single-frame network on them and may be left out, `precompute` runs it, flow and memory over them,
and `fusion` trains both stages on that. OUT/fusion.safetensors are averaged weights for
`f2r denoise --weights`. CLIPS is a folder of clean clips; every ninth is held out.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from encoders import at_420, encoded, in_rgb

from f2rcli import weights  # of this checkout
from f2rcli.engine.noise.opening import PREROLL
from f2rcli.engine.tiles import Runner
from f2rcli.frames import Pictures
from f2rcli.header import Header
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.models.layers import channels_last
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.measurement.blocking import find_blocking
from f2rcli.noise.measurement.compression import compression_of
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import picture_of
from f2rcli.noise.synthesis.camera import Camera
from f2rcli.noise.synthesis.degradation import draw_light_law, noised
from f2rcli.noise.synthesis.law import Law
from f2rcli.noise.synthesis.scenes import draw_scene, relit
from f2rcli.training.footage.footage import open_footage
from f2rcli.training.footage.windows import Clip, Sample, WindowSource, cut
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.f2r.precomputed import NoisyPair, load_precomputed, precompute
from f2rcli.training.methods.f2r.stages import CoarseStage, FusionStage

STARTS = {"compressed": "f2r-rgb-light", "noisy": "f2r-rgb-small"}
SIZE, FRAMES, CROP = 176, 20, 96  # of a clip: pixels per side, frames; of a sample
HELD_OUT, HELD_OUT_EVERY = 24, 9  # clips that are validated on, and which source clips they are of
EDGES8 = 0.5  # of 255: with stronger block edges a source clip was compressed itself
NOISY_SHARE, MOST_READ8 = 0.25, 6.0  # of clips with light noise of their own, and how strong
MOST_NOISE = 1.5  # times what is told: with more, a clip's noise is stronger than its compression
SPREADS = {"compressed": 0.05, "noisy": 0.12}  # of the log of the strength that networks are given
KNOWN_SHARE = 0.8  # of noisy clips: networks are given it
LEAST_LEFT8 = 9.0  # of noise after the encoder: less is another kind's
RATES = {"coarse": 1e-3, "fusion": 1.2e-3}

Shots = Sequence[NDArray[Any]]  # each (T, H, W, 3) codes


def main() -> None:
    """Do one step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=list(STEPS))
    parser.add_argument("kind", choices=list(STARTS))
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", dest="count", type=int, default=640, help="to learn from")
    parser.add_argument("--share", default="1/1", help="K/N: the Kth of N")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, help="peak of the learning rate")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    STEPS[arguments.step](arguments)


def numbers(given: argparse.Namespace) -> Iterator[tuple[Path, int]]:
    """Folder and number of every clip of this share, held-out ones first."""
    place, shares = map(int, given.share.split("/"))
    for name, count in (("held", HELD_OUT), ("learnt", given.count)):
        for number in range(place - 1, count, shares):
            yield given.out / name, number


def make(given: argparse.Namespace) -> None:
    """Clips through encoders: OUT/*/NUMBER.npz."""
    sources = dict(zip(("learnt", "held"), split(given.clips, given.out / "cache"), strict=True))
    for folder, number in numbers(given):
        path = folder / f"{number:04d}.npz"
        if path.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([41, *map(ord, folder.name[0] + given.kind[0]), number])
        noisy, clean, sigma = DRAWN[given.kind](sources[folder.name], rng)
        part = path.with_suffix(".part.npz")
        np.savez(part, noisy=noisy.astype(np.float16), clean=clean.astype(np.float16), sigma=sigma)
        part.rename(path)
        print(folder.name, number, f"{255 * np.mean(sigma):.1f}", flush=True)


def split(clips: Path, cache: Path) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Shots of clips to learn from, and of those that are held out. Clips that were compressed
    themselves are halved, which takes most of it away, or left out where they are too small."""
    sides: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    for place, footage in enumerate(open_footage([clips], cache, noisy=False)):
        shots = [footage.array[s.start : s.stop] for s in footage.shots if len(s) >= 5]
        if shots and is_coded(shots[0]):
            shots = [np.stack([halved(picture) for picture in shot]) for shot in shots]
        is_held = place % HELD_OUT_EVERY == HELD_OUT_EVERY // 2
        sides[is_held].extend(shot for shot in shots if min(shot.shape[1:3]) >= SIZE)
    return sides


def is_coded(shot: NDArray[Any]) -> bool:
    """Whether block edges show in a clip."""
    found = find_blocking([to_unit(np.ascontiguousarray(p)).mean(-1) for p in shot[:6]])
    return found is not None and found.edge8 > EDGES8


def halved(picture: NDArray[Any]) -> NDArray[Any]:
    """A picture at half its size, 0..1."""
    height, width = (side // 2 for side in picture.shape[:2])
    whole = to_unit(np.ascontiguousarray(picture))
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))


def draw_compressed(shots: Shots, rng: np.random.Generator) -> tuple[Pictures, Pictures, float]:
    """A compressed scene, the truth at 4:2:0, and the strength of errors that f2r tells of it."""
    while True:
        clean = draw_scene(shots[int(rng.integers(len(shots)))], FRAMES, SIZE, rng)
        if rng.random() < 0.4:
            clean = relit(clean, rng)
        given = clean
        if rng.random() < NOISY_SHARE:
            law = draw_light_law(rng)
            if law.read * 255 < MOST_READ8:
                given = noised(clean, law, rng)
        frames = encoded(given, rng)
        first = frames[:PREROLL]
        told = compression_of(first, find_blocking([picture_of(frame).luma for frame in first]))
        if told is None or len(frames) != FRAMES:
            continue
        pictures, truth = in_rgb(frames), at_420(clean)
        if np.sqrt(np.mean((pictures - truth) ** 2)) < MOST_NOISE * told.sigma:
            return pictures, truth, told.sigma


def draw_noisy(
    shots: Shots, rng: np.random.Generator
) -> tuple[Pictures, Pictures, NDArray[np.floating[Any]]]:
    """An encoded scene with strong noise, its truth in 4:2:0, and the noise left by channel."""
    while True:
        clean = draw_scene(shots[int(rng.integers(len(shots)))], FRAMES, SIZE, rng)
        if rng.random() < 0.25:
            clean = relit(clean, rng)
        kind = rng.random()
        if kind < 0.25:
            camera = Camera.draw(rng)
            codes = to_codes(clean)
            clean = np.stack([to_unit(camera.quiet.shoot(frame, rng)) for frame in codes])
            given = np.stack([to_unit(camera.shoot(frame, rng)) for frame in codes])
        else:
            strength, shared = rng.uniform(11, 60) / 255, float(rng.uniform(0, 1) ** 3)
            gain = float(np.exp(rng.uniform(np.log(0.006), np.log(0.05))))
            law = Law(0.0, strength, 0.0, shared)
            if kind > 0.85:
                law = Law(gain, rng.uniform(2, 22) / 255, 0.0, shared)
            elif kind > 0.65:
                law = Law(0.0, strength, rng.uniform(0.4, 1.3), shared)
            given = to_unit(to_codes(noised(to_unit(to_codes(clean)), law, rng)))
        frames = encoded(given, rng)
        if len(frames) != FRAMES:
            continue
        pictures, truth = in_rgb(frames), at_420(clean)
        left = np.sqrt(np.mean((pictures - truth) ** 2, axis=(0, 1, 2)))
        if 255 * left.mean() > LEAST_LEFT8:
            return pictures, truth, left


DRAWN = {"compressed": draw_compressed, "noisy": draw_noisy}


@dataclass
class Coded(WindowSource):
    """Windows of coded clips."""

    noisy: Sequence[Clip]
    clean: Sequence[Clip]
    sigmas: Sequence[NDArray[Any]]  # of all channels, or of each
    spread: float

    def every_clip(self) -> Sequence[Clip]:
        return self.noisy

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        number = int(rng.integers(len(self.noisy)))
        state = rng.bit_generator.state
        noisy = cut(self.noisy[number], places, crop, rng)
        rng.bit_generator.state = state  # the same place of the clean clip
        clean = cut(self.clean[number], places, crop, rng)
        level = np.broadcast_to(np.float32(self.sigmas[number]), clean.shape)
        return Sample(noisy, noisy, clean, level, self.spread)


def made(folder: Path, spread: float) -> Coded:
    """The clips of a folder that `make` has written."""
    items = [np.load(path) for path in sorted(folder.glob("[0-9]*.npz"))]
    parts = [(item["noisy"], item["clean"], item["sigma"]) for item in items]
    noisy, clean, sigmas = zip(*parts, strict=True)
    return Coded(noisy, clean, sigmas, spread)


def coarse(given: argparse.Namespace) -> None:
    """Train the single-frame network: OUT/coarse.safetensors."""
    networks, header = start(given)
    stage, held = (
        CoarseStage(networks.coarse, source, 16, CROP, relative=True)
        for source in (made(given.out / name, SPREADS[given.kind]) for name in ("learnt", "held"))
    )
    stage.held_out = held
    trained(stage, given)
    weights.save(given.out / "coarse.safetensors", header, networks.state_dict())


def precomputed(given: argparse.Namespace) -> None:
    """Coarse frames, flows and memories of every clip: OUT/*_pairs."""
    networks, header = start(given)
    channels_last(networks)
    method = F2R(networks.eval(), Runner(torch.device("cpu"), "bf16", None), header.length)
    for folder, number in numbers(given):
        base = folder.with_name(f"{folder.name}_pairs") / f"{number:04d}"
        source = folder / f"{number:04d}.npz"
        if base.with_suffix(".json").exists() or not source.exists():
            continue
        base.parent.mkdir(exist_ok=True)
        rng = np.random.default_rng([42, sum(folder.name.encode()), number])
        item = np.load(source)
        sigma = item["sigma"] * np.exp(rng.normal(0, SPREADS[given.kind]))
        told: Any = tuple(np.broadcast_to(sigma, 3).tolist())
        known = given.kind == "compressed" or rng.random() < KNOWN_SHARE
        noisy, clean = (item[name].astype(np.float32) for name in ("noisy", "clean"))
        pair = NoisyPair(noisy, clean, NoiseModel((0.0,) * 3, told, told), known)
        with torch.inference_mode():
            precompute(pair, method, base, rng)


def fusion(given: argparse.Namespace) -> None:
    """Train both stages: OUT/fusion.safetensors."""
    networks, header = start(given)
    stage, held = (
        FusionStage(networks.anchor, networks.refiner, load_precomputed(given.out / name), 8, CROP)
        for name in ("learnt_pairs", "held_pairs")
    )
    stage.held_out = held
    trained(stage, given)
    weights.save(given.out / "fusion.safetensors", header, networks.state_dict())


def start(given: argparse.Namespace) -> tuple[F2RNetworks, Header]:
    """Networks to train, with the header of their file: OUT/coarse.safetensors, or bundled."""
    path = given.out / "coarse.safetensors"
    chosen = weights.load(str(path) if path.exists() else STARTS[given.kind])
    networks = chosen.network(lambda: F2RNetworks(chosen.header.channels, chosen.header.config))
    return networks.train().requires_grad_(True), chosen.header


def trained(stage: CoarseStage | FusionStage, given: argparse.Namespace) -> None:
    """Train a stage, and leave its best averaged weights in the network."""
    settings = TrainSettings(
        minutes=given.minutes,
        lr=given.rate or RATES[stage.name],
        seed=43,
        threads=1,
        validate_every=500,
    )
    trainer = Trainer(stage, given.out / "run", settings)
    trainer.run(lambda event: print(event, flush=True))


STEPS = {"make": make, "coarse": coarse, "precompute": precomputed, "fusion": fusion}

if __name__ == "__main__":
    main()
