"""Clips for training both stages on a GPU: degraded, with coarse frames, flows and memories.

    python benchmarks/pretraining/clips.py CLIPS OUT --workers 14

Writes clips of heavy noise (OUT/heavy) and of light or unclipped noise (OUT/light) until a file
OUT/stop is there, with so many processes; `fusion.py` reads and deletes them. The first 24 of
either kind are made of held-out clips and stay (OUT/heavy_held, OUT/light_held). CLIPS is a folder
of clean clips; every ninth is held out.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import Process
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a process per core
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from f2rcli import weights  # of this checkout
from f2rcli.engine.tiles import Runner
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.models.layers import channels_last
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.synthesis.camera import Camera
from f2rcli.noise.synthesis.colour import as_gray
from f2rcli.noise.synthesis.degradation import (
    DegradedClip,
    degraded,
    evenly_noisy,
    levels,
    noised,
    through_encoder,
)
from f2rcli.noise.synthesis.law import Law, draw_mixture
from f2rcli.noise.synthesis.scenes import Pictures, draw_scene, relit
from f2rcli.training.footage.footage import open_footage
from f2rcli.training.footage.windows import is_clipped
from f2rcli.training.methods.f2r.degraded_clips import fitted_model
from f2rcli.training.methods.f2r.precomputed import NoisyPair, precompute

SIZE, FRAMES = 176, 20  # of a clip: pixels per side, frames
HELD_OUT, HELD_OUT_EVERY = 24, 9  # clips that stay, and which source clips they are of
CODED_SHARE, CONDITIONED_SHARE, SPREAD = 0.25, 0.8, 0.12  # as in f2r train --noise footage
WAITING = 60  # clips that nobody has read yet, at most
STARTS = {"heavy": "f2r-rgb-small", "light": "f2r-rgb-light"}  # whose coarse network is used
LIGHT, UNCLIPPED_LIGHT = 16.0, 36.0  # sigma below which clips count as light, if clipped or not
LEAST_OF_CAMERAS = 9.0  # sigma

Shots = Sequence[NDArray[Any]]  # each (T, H, W, 3)


def heavy(clip: NDArray[Any], rng: np.random.Generator) -> DegradedClip:
    """A degraded cut of a clip: strong noise, mostly clipped to RGB codes, of cameras or coded."""
    kind, gray = rng.random(), rng.random() < 0.08
    clean = draw_scene(clip, FRAMES, SIZE, rng)
    if rng.random() < 0.25:
        clean = relit(clean, rng)
    if gray:
        clean = as_gray(clean)
    shared = 1.0 if gray else float(rng.uniform(0.2, 1)) if rng.random() < 0.2 else 0.0
    if kind < 0.36:
        law = Law(0.0, rng.uniform(11, 60) / 255, 0.0, shared)
    elif kind < 0.52:
        gain = float(np.exp(rng.uniform(np.log(0.006), np.log(0.05))))
        law = Law(gain, rng.uniform(2, 22) / 255, 0.0, shared)
    elif kind < 0.72:
        law = Law(0.0, rng.uniform(11, 55) / 255, rng.uniform(0.4, 1.3), shared)
    elif kind < 0.86:
        return of_a_camera(clean, rng)
    else:
        law = draw_mixture(rng)
        if law.read * 255 < 8 and law.gain < 0.004:
            blur = rng.uniform(0, 1.0) * (rng.random() < 0.5)
            law = Law(0.0, rng.uniform(10, 50) / 255, blur, shared)
        noisy = noised(clean, replace(law, shared=1.0) if gray else law, rng)
        return through_encoder(noisy, clean, rng)
    clean = to_unit(to_codes(clean))
    noisy = np.stack([to_unit(to_codes(law.add(frame, rng))) for frame in clean])
    return DegradedClip(noisy, clean, levels(law, clean))


def of_a_camera(clean: Pictures, rng: np.random.Generator) -> DegradedClip:
    """A scene shot in little light and developed; most files are coded."""
    codes = to_codes(clean)
    for _ in range(20):
        camera = Camera.draw(rng)
        loud, quiet = (one.shoot(codes[0], rng) for one in (camera, camera.quiet))
        if np.std(loud.astype(np.float32) - quiet) > LEAST_OF_CAMERAS:
            break
    truth = np.stack([to_unit(camera.quiet.shoot(frame, rng)) for frame in codes])
    noisy = np.stack([to_unit(camera.shoot(frame, rng)) for frame in codes])
    coded = rng.random() < 0.7
    return through_encoder(noisy, truth, rng) if coded else evenly_noisy(noisy, truth)


def light(clip: NDArray[Any], rng: np.random.Generator) -> DegradedClip:
    """What the engine gives to the weights for light noise."""
    while True:
        item = degraded(clip, FRAMES, SIZE, rng, coded=bool(rng.random() < CODED_SHARE))
        sigma = 255 * float(np.sqrt(np.mean(item.level**2)))
        if sigma < (LIGHT if is_clipped(item.noisy) else UNCLIPPED_LIGHT):
            return item


MAKERS = {"heavy": heavy, "light": light}


def method_of(name: str) -> F2R:
    """The pipeline with bundled weights, on one core."""
    bundled = weights.load(name)
    header = bundled.header
    networks = bundled.network(lambda: F2RNetworks(header.channels, header.config))
    channels_last(networks)
    return F2R(networks.eval(), Runner(torch.device("cpu"), "bf16", None), header.length)


def make(learnt: Shots, held: Shots, out: Path, worker: int, workers: int) -> None:
    """Clip after clip of either kind in turn, with the numbers of this worker."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    methods = {kind: method_of(name) for kind, name in STARTS.items()}
    number = worker
    while not (out / "stop").exists():
        turn = number // workers
        kind = ("heavy", "light")[turn % 2]
        is_held = turn // 2 * workers + worker < HELD_OUT
        folder = out / (f"{kind}_held" if is_held else kind)
        folder.mkdir(parents=True, exist_ok=True)
        while not is_held and len(list(folder.glob("*.json"))) > WAITING:
            if (out / "stop").exists():
                return
            time.sleep(0.5)
        rng = np.random.default_rng([77, ord("HL"[turn % 2]), number])
        shots = held if is_held else learnt
        item = MAKERS[kind](shots[int(rng.integers(len(shots)))], rng)
        known = bool(rng.random() < CONDITIONED_SHARE)
        noise = fitted_model(item).scaled(float(np.exp(rng.normal(0, SPREAD))))
        pair = NoisyPair(item.noisy, item.clean, noise, known)
        with torch.inference_mode():
            precompute(pair, methods[kind], folder / f"{number:06d}", rng)
        number += workers


def split(clips: Path, cache: Path) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Shots of clips to learn from, and of those that are held out."""
    learnt: list[NDArray[Any]] = []
    held: list[NDArray[Any]] = []
    for place, footage in enumerate(open_footage([clips], cache, noisy=False)):
        if min(footage.shape[1:3]) < SIZE:
            continue
        side = held if place % HELD_OUT_EVERY == HELD_OUT_EVERY // 2 else learnt
        side += [footage.array[s.start : s.stop] for s in footage.shots if len(s) >= 5]
    return learnt, held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    learnt, held = split(arguments.clips, arguments.out / "cache")
    print(f"{len(learnt)} shots to learn from, {len(held)} held out", flush=True)
    given = (learnt, held, arguments.out)
    crew = [
        Process(target=make, args=(*given, worker, arguments.workers))
        for worker in range(arguments.workers)
    ]
    for process in crew:
        process.start()
    for process in crew:
        process.join()


if __name__ == "__main__":
    main()
