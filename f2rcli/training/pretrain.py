"""Supervised pre-training of the shipped weights: clean clips, realistic noise (DESIGN.md D10).

    python -m f2rcli.training.pretrain CLIPS --run RUN coarse --minutes 32
    python -m f2rcli.training.pretrain CLIPS --run RUN rehearse
    python -m f2rcli.training.pretrain CLIPS --run RUN fusion --minutes 70
    python -m f2rcli.training.pretrain CLIPS --run RUN export --to weights/f2r_rgb_small.safetensors

Every stage resumes where its run folder says it stopped. `rehearse` prepares what `fusion`
trains on; it may run again with another --seed while `fusion` trains, to add noise realisations.
"""

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from f2rcli.frames import Space
from f2rcli.methods.f2r import F2R, Networks
from f2rcli.models.layers import channels_last, padded
from f2rcli.noise import NoiseModel
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.training.clips import Clip, Rendition, load_clips, renditions
from f2rcli.training.corruption import as_gray, draw_law, luma, recolour
from f2rcli.training.footage import Footage
from f2rcli.training.rawvideo import raw_renditions
from f2rcli.training.recipes.f2r import SIZES
from f2rcli.training.rehearsal import NEIGHBOURS, Source, load_rehearsals, rehearse
from f2rcli.training.renderer import Renderer
from f2rcli.training.settings import TrainSettings
from f2rcli.training.stage import Stage
from f2rcli.training.stages import GRAY_SHARE, RECOLOURED_SHARE, CoarseStage, FusionStage
from f2rcli.training.trainer import Trainer
from f2rcli.weights import Header, save

CHANNELS = {"rgb": 3, "gray": 1, "bayer": 4}
ORDERS = {"rgb": "RGB", "gray": "Y", "bayer": "R G1 B G2"}
CROP = 96  # cells; mosaics of smaller clips teach nothing
RENDITIONS = 4  # compressed ones, of every clip


def build(arguments: argparse.Namespace) -> Networks:
    """The three networks of size `small`, untrained."""
    networks = Networks(CHANNELS[arguments.space], SIZES["small"])
    channels_last(networks)
    return networks


def main() -> None:
    """Run one stage from the command line."""
    parser = argparse.ArgumentParser(description="Supervised pre-training of the shipped weights.")
    parser.add_argument("clips", type=Path, help="folder of clean clips")
    parser.add_argument("stage", choices=["coarse", "rehearse", "fusion", "export"])
    parser.add_argument("--run", type=Path, required=True, help="folder for caches and checkpoints")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="of training, all sessions together"
    )
    parser.add_argument("--space", choices=list(CHANNELS), default="rgb")
    parser.add_argument(
        "--realistic", action="store_true", help="rehearse what cameras and codecs make of clips"
    )
    parser.add_argument("--lr", type=float, default=TrainSettings().lr)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes of `rehearse`")
    parser.add_argument("--to", type=Path, help="file that `export` writes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    {"coarse": train_coarse, "rehearse": make_rehearsals, "fusion": train_fusion, "export": export}[
        arguments.stage
    ](arguments)


def _settings(arguments: argparse.Namespace) -> TrainSettings:
    return TrainSettings(minutes=arguments.minutes, seed=arguments.seed, lr=arguments.lr)


def _sources(arguments: argparse.Namespace) -> tuple[dict[str, Clip], list[Rendition]]:
    clips = load_clips(arguments.clips, arguments.run / "clips")
    if arguments.space == "bayer":
        made = raw_renditions(clips, arguments.run / "raw", RENDITIONS, seed=0, smallest=CROP)
        return {str(i): item.clean for i, item in enumerate(made[::RENDITIONS])}, made
    compressed = renditions(clips, arguments.run / "compressed", RENDITIONS, seed=0)
    if arguments.space == "rgb":
        return clips, compressed
    folder = arguments.run / "luma"
    folder.mkdir(parents=True, exist_ok=True)
    gray = {name: _gray(clip, folder / f"{name}.npy") for name, clip in clips.items()}
    return gray, [
        replace(
            item,
            noisy=_gray(item.noisy, folder / f"compressed_{i}_noisy.npy"),
            clean=_gray(item.clean, folder / f"compressed_{i // RENDITIONS}_clean.npy"),
        )
        for i, item in enumerate(compressed)
    ]


def _gray(clip: Clip, stored: Path) -> Clip:
    """A clip's luma, (T, H, W, 1) codes, memory-mapped from where it is stored."""
    if not stored.exists():
        part = stored.with_suffix(f".{os.getpid()}.npy")
        np.save(part, np.stack([to_codes(luma(to_unit(frame))) for frame in clip]))
        part.replace(stored)
    mapped: Clip = np.load(stored, mmap_mode="r")
    return mapped


def train_coarse(arguments: argparse.Namespace) -> None:
    """Train the coarse denoiser."""
    clips, compressed = _sources(arguments)
    stage = CoarseStage(build(arguments).coarse, list(clips.values()), compressed)
    if arguments.space == "bayer":
        stage.draw_law = lambda rng: None  # what sensors recorded, and nothing else
    Trainer(stage, arguments.run / "coarse", _settings(arguments)).run()


def make_rehearsals(arguments: argparse.Namespace) -> None:
    """One more noise realisation of every clip, through the trained coarse denoiser."""
    clips, _ = _sources(arguments)
    folder = arguments.run / "rehearsals"
    folder.mkdir(parents=True, exist_ok=True)
    made = _cameras(arguments, clips) if arguments.realistic else [None] * len(clips)
    jobs = [
        (arguments, name, index, folder / f"{name}_{arguments.seed}", made[index])
        for index, name in enumerate(clips)
        if not (folder / f"{name}_{arguments.seed}.json").exists()
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for name in pool.imap_unordered(_rehearse_clip, jobs):
            _say(f"rehearsed {name}")


def _cameras(arguments: argparse.Namespace, clips: dict[str, Clip]) -> list[Rendition | None]:
    """What a camera and a codec would have made of every clip."""
    footage = [Footage.of_codes(name, clip) for name, clip in clips.items()]  # type: ignore[arg-type]  # memory-mapped
    cache = arguments.run / "rendered"
    with Renderer(footage, cache, seed=arguments.seed, per_clip=1, jobs=arguments.jobs) as renderer:
        renderer.wait(len(renderer.orders))
        return [renderer.get(index) for index in range(renderer.count)]


def _rehearse_clip(job: tuple[argparse.Namespace, str, int, Path, Rendition | None]) -> str:
    arguments, name, index, base, camera = job
    torch.set_num_threads(1)
    networks = build(arguments)
    trained = _Named("coarse", networks.coarse)
    Trainer(trained, arguments.run / "coarse", TrainSettings()).use_average()

    def run(network: nn.Module, *inputs: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return padded(network, *inputs)

    method = F2R(networks, run)
    clips, compressed = _sources(arguments)
    rng = np.random.default_rng([arguments.seed, index])
    renditions_ = compressed[index * RENDITIONS : (index + 1) * RENDITIONS]
    source = _source(clips[name], renditions_, camera, rng)
    rehearse(source, method, base, rng)
    return base.name


@dataclass
class _Named:
    """A stage that is only looked up, not trained."""

    name: str
    network: nn.Module
    batch: int = 1

    def draw(self, rngs: Sequence[np.random.Generator]) -> None:
        raise NotImplementedError

    def loss(self, batch: None) -> Tensor:
        raise NotImplementedError

    def validate(self) -> None:
        raise NotImplementedError

    def sample(self) -> None:
        raise NotImplementedError


def _source(
    clip: Clip, compressed: list[Rendition], camera: Rendition | None, rng: np.random.Generator
) -> Source:
    """A noisy clip: a camera's where there is one; else two of five compressed, the others freshly
    drawn and rounded to 8 bits."""
    told = rng.random() < 0.7
    channels = clip.shape[-1]
    if camera is not None or channels == CHANNELS["bayer"] or rng.random() < 0.4:
        item = camera or compressed[rng.integers(len(compressed))]
        spread = (0.9, 1.1) if channels == CHANNELS["bayer"] else (0.6, 1.1)
        model = NoiseModel.gaussian(item.sigma * rng.uniform(*spread), channels)
        return Source(item.noisy, item.clean, model, told)
    law = draw_law(rng)
    if channels == 1:
        pass
    elif rng.random() < RECOLOURED_SHARE:
        clip = to_codes(recolour(to_unit(clip), rng))
    elif rng.random() < GRAY_SHARE:
        law = replace(law, shared=1.0)
        clip = to_codes(as_gray(to_unit(clip)))
    codes = np.stack([to_codes(law.add(to_unit(frame), rng)) for frame in clip])
    model = NoiseModel((law.gain,) * channels, (law.read,) * channels, (law.read,) * channels)
    return Source(codes, clip, model.scaled(float(np.exp(rng.normal(0, 0.12)))), told)


def train_fusion(arguments: argparse.Namespace) -> None:
    """Train anchor and refiner on what has been rehearsed so far."""
    networks = build(arguments)
    items = load_rehearsals(arguments.run / "rehearsals")
    _say(f"{len(items)} rehearsals")
    stage = FusionStage(networks.anchor, networks.refiner, items)
    Trainer(stage, arguments.run / "fusion", _settings(arguments)).run()


def export(arguments: argparse.Namespace) -> None:
    """Write the averaged weights of both stages as one file."""
    networks = build(arguments)
    stages: list[Stage] = [
        _Named("coarse", networks.coarse),
        FusionStage(networks.anchor, networks.refiner, []),
    ]
    for stage in stages:
        Trainer(stage, arguments.run / stage.name, TrainSettings()).use_average()
    header = Header(
        method="f2r",
        space=Space(arguments.space),
        channels=CHANNELS[arguments.space],
        length=NEIGHBOURS + 1,
        config=SIZES["small"],
        order=ORDERS[arguments.space],
        trained_on="video/train: 45 clips, see weights/README.md",
    )
    _say(save(arguments.to, header, networks.state_dict()))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
