"""Supervised pre-training of the shipped weights: clean clips made into every kind of footage.

    PRETRAIN="python -m f2rcli.training.methods.f2r.pretrain CLIPS --run RUN --init f2r-rgb-small"
    $PRETRAIN coarse --minutes 24
    $PRETRAIN rehearse --count 270
    $PRETRAIN fusion --minutes 80
    $PRETRAIN export --to FILE

--init: weights to begin with; those of RGB may begin GRAY. Every stage resumes where its run
folder says it stopped. `rehearse` prepares what `fusion` trains on: colour and gray footage from
noise/synthesis/degradation.py, of mosaics what sensors recorded (one more noise realisation of
every clip for each --seed). Every ninth clip is held out.
"""

import argparse
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from f2rcli import weights
from f2rcli.engine.tiles import Runner
from f2rcli.frames import Space
from f2rcli.methods.f2r import F2R, Networks
from f2rcli.models.layers import channels_last
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage.clips import Clip, Rendition, load_clips
from f2rcli.training.footage.raw_renditions import raw_renditions
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Stage
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.f2r.footage_stages import (
    CoarseFootageStage,
    coded_pool,
    footage_source,
)
from f2rcli.training.methods.f2r.precomputed import NEIGHBOURS, Source, load_precomputed, precompute
from f2rcli.training.methods.f2r.recipe import SIZES
from f2rcli.training.methods.f2r.stages import CoarseStage, FusionStage
from f2rcli.weights import Header, save

CHANNELS = {"rgb": 3, "gray": 1, "bayer": 4}
ORDERS = {"rgb": "RGB", "gray": "Y", "bayer": "R G1 B G2"}
CROP = 96  # cells; mosaics of smaller clips teach nothing
RENDITIONS = 4  # recordings of every mosaic
CODED = 300  # pieces of coded footage for the coarse stage
NINTH = 9  # every so many clips one is held out
LENGTH = 20  # frames of a rehearsal
HELD_OUT = 24  # rehearsals of clips held out


def build(arguments: argparse.Namespace) -> Networks:
    """The three networks of size `small`, untrained or as --init names them."""
    networks = Networks(CHANNELS[arguments.space], SIZES["small"])
    if arguments.init:
        start = weights.load(arguments.init)
        if start.header.channels == 3 and arguments.space == "gray":
            networks.load_state_dict(summed(start.tensors, networks))
        else:
            start.fill(networks)
    channels_last(networks)
    return networks


def summed(tensors: dict[str, Tensor], gray: Networks) -> dict[str, Tensor]:
    """RGB weights for networks of one channel: what the three channels of a gray picture would
    make together, inputs summed and outputs averaged.

    Channels come in blocks of three, each of as many cells of a pixel-unshuffled grid as there
    are; what has no colour (confidence, spread) comes as it is.
    """
    own = gray.state_dict()
    return {name: _narrowed(t.float(), own[name].shape) for name, t in tensors.items()}


def _narrowed(wide: Tensor, shape: torch.Size) -> Tensor:
    if wide.shape == shape:
        return wide
    if wide.shape[0] != shape[0]:  # a tail: channel by channel, 4 cells each
        groups = wide.view(-1, 3, 4, *wide.shape[1:])
        return groups.mean(1).flatten(0, 1)
    # A head: pictures of three channels first, each of 4 cells, then what has no colour, then
    # features. `count` pictures become one channel each.
    lost = wide.shape[1] - shape[1]
    count = lost // 8
    colour = wide[:, : 12 * count].view(wide.shape[0], count, 3, 4, *wide.shape[2:])
    return torch.cat([colour.sum(2).flatten(1, 2), wide[:, 12 * count :]], 1)


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
    parser.add_argument("--init", help="weights to begin with")
    parser.add_argument("--count", type=int, default=270, help="rehearsals of colour or gray")
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


def _clips(arguments: argparse.Namespace) -> tuple[list[Clip], list[Clip]]:
    """Clips to learn from, and those that are held out."""
    clips = list(load_clips(arguments.clips, arguments.run / "clips").values())
    held = clips[NINTH // 2 :: NINTH]
    return [c for i, c in enumerate(clips) if i % NINTH != NINTH // 2], held


def _recordings(arguments: argparse.Namespace) -> list[Rendition]:
    clips = load_clips(arguments.clips, arguments.run / "clips")
    return raw_renditions(clips, arguments.run / "raw", RENDITIONS, seed=0, smallest=CROP)


def train_coarse(arguments: argparse.Namespace) -> None:
    """Train the coarse denoiser."""
    network = build(arguments).coarse
    stage: Stage
    if arguments.space == "bayer":
        made = _recordings(arguments)
        stage = CoarseStage(network, [item.clean for item in made[::RENDITIONS]], made)
        stage.draw_law = lambda rng: None  # what sensors recorded, and nothing else
    else:
        learnt, held = _clips(arguments)
        gray = arguments.space == "gray"
        pool = coded_pool(learnt, arguments.run / "coded", CODED, seed=1)
        stage = CoarseFootageStage(network, learnt, pool, gray=gray)
        stage.held_out = CoarseFootageStage(network, held, [], gray=gray)
    Trainer(stage, arguments.run / "coarse", _settings(arguments)).run()


def make_rehearsals(arguments: argparse.Namespace) -> None:
    """What `fusion` learns from, through the trained coarse denoiser."""
    jobs: list[tuple[argparse.Namespace, Path, int]] = []
    if arguments.space == "bayer":
        count = len(_recordings(arguments)) // RENDITIONS
        folder = arguments.run / "rehearsals"
        jobs = [(arguments, folder / f"{i}_{arguments.seed}", i) for i in range(count)]
    else:
        for name, count in (("rehearsals", arguments.count), ("held", HELD_OUT)):
            folder = arguments.run / name
            jobs += [(arguments, folder / f"{i:04d}_{arguments.seed}", i) for i in range(count)]
    for name in ("rehearsals", "held"):
        (arguments.run / name).mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not job[1].with_suffix(".json").exists()]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for done in pool.imap_unordered(_rehearse_one, missing):
            _say(f"rehearsed {done}")


def _rehearse_one(job: tuple[argparse.Namespace, Path, int]) -> str:
    arguments, base, index = job
    torch.set_num_threads(1)
    networks = build(arguments)
    Trainer(
        _Named("coarse", networks.coarse), arguments.run / "coarse", TrainSettings()
    ).use_average()
    method = F2R(networks.eval(), Runner(torch.device("cpu"), "bf16", None), NEIGHBOURS + 1)
    learnt = base.parent.name == "rehearsals"
    rng = np.random.default_rng([arguments.seed, index, learnt])
    if arguments.space == "bayer":
        source = _recorded(_recordings(arguments)[index * RENDITIONS :][:RENDITIONS], rng)
    else:
        clips = _clips(arguments)[0 if learnt else 1]
        clip = clips[int(rng.integers(len(clips)))]
        source = footage_source(clip, LENGTH, rng, gray=arguments.space == "gray")
    with torch.inference_mode():
        precompute(source, method, base, rng)
    return base.name


def _recorded(made: list[Rendition], rng: np.random.Generator) -> Source:
    """One of a mosaic's recordings, its noise told roughly or not at all."""
    item = made[rng.integers(len(made))]
    model = NoiseModel.gaussian(item.sigma * rng.uniform(0.9, 1.1), CHANNELS["bayer"])
    return Source(item.noisy, item.clean, model, bool(rng.random() < 0.7))


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


def train_fusion(arguments: argparse.Namespace) -> None:
    """Train anchor and refiner on what has been rehearsed so far."""
    networks = build(arguments)
    items = load_precomputed(arguments.run / "rehearsals")
    _say(f"{len(items)} rehearsals")
    stage = FusionStage(networks.anchor, networks.refiner, items)
    held = load_precomputed(arguments.run / "held")
    if held:
        stage.held_out = FusionStage(networks.anchor, networks.refiner, held)
    Trainer(stage, arguments.run / "fusion", _settings(arguments)).run()


def export(arguments: argparse.Namespace) -> None:
    """Write the averaged weights of both stages, the best by validation, as one file."""
    networks = build(arguments)
    stages: list[Stage] = [
        _Named("coarse", networks.coarse),
        FusionStage(networks.anchor, networks.refiner, []),
    ]
    for stage in stages:
        Trainer(stage, arguments.run / stage.name, TrainSettings()).use_best()
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
