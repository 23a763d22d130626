"""Whether the blind score of held-out frames orders weights as PSNR against clean frames does.

    python benchmarks/ranking.py CLIP ... [--noise g30,pg,corr30] [--frames 12] [--side 192]
        [--method f2r] [--list]

CLIPs are clean. Their noisy versions (seed 0) are restored by many versions of the bundled F2R
weights: mixtures of `f2r-rgb-small` and `f2r-rgb-light` and beyond them, both with random changes
of their tensors, told wrong noise levels, and ending after the coarse estimate or stage 1. The
blind score is the one that training tests its gains by: half the log of the mean squared error to
recorrupted targets. It knows the noisy clip alone. For every clip and noise a row: Spearman's rank
correlation of the two scores over the weights; and in the end that of the differences of all pairs
of weights, and how often the better of a pair is named rightly, by how far they are apart.

`--method fitvnet`, `udvd` or `blind2sound`: the same for every stage of that method, by the score
that its stage validates with, over the bundled weights and random changes of those.
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from noisy_clips import Clip, make_noisy, read, write
from numpy.typing import ArrayLike
from selfsup import cut

from f2rcli import methods, weights
from f2rcli.engine.noise.measurement import measure_pictures
from f2rcli.engine.tiles import Runner
from f2rcli.header import Estimate
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.training.footage.windows import channels_first
from f2rcli.training.methods.base import load_recipe
from f2rcli.training.methods.f2r.self_supervised import errors_of, served
from f2rcli.training.methods.f2r.stages import FusionBatch
from f2rcli.training.methods.f2r.training_pairs import TargetKind, make_pairs
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.session import gather
from f2rcli.window import window_at

RUN = Runner(torch.device("cpu"), "bf16", None)
CENTRES = (4, 7)  # frames that are judged
HELD_OUT = 4  # frames of another method's clips
STRENGTHS, DRAWS = (0.01, 0.02, 0.04, 0.08), 3  # of random changes, and how many of each


class Version(NamedTuple):
    """Weights, a factor of the level they are told, and which estimate is given out."""

    name: str
    tensors: dict[str, torch.Tensor]
    level: float = 1.0
    estimate: Estimate = Estimate.REFINED


class Scores(NamedTuple):
    blind: float  # half a log; lower is better
    psnr: float  # dB


def versions() -> Iterator[Version]:
    """The weights that are compared; all share the coarse network of `f2r-rgb-small`."""
    small, light = (weights.load(f"f2r-rgb-{name}").tensors for name in ("small", "light"))
    for share in (-0.3, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3):
        yield Version(f"light {share:g}", {n: t.lerp(light[n], share) for n, t in small.items()})
    generator = torch.Generator().manual_seed(0)
    for strength in (0.01, 0.02, 0.04, 0.08):
        changed = {
            name: tensor + strength * tensor.std(unbiased=False)
            * torch.randn(tensor.shape, generator=generator)
            for name, tensor in small.items()
        }  # fmt: skip
        yield Version(f"changed by {strength:g}", changed)
    for factor in (0.5, 0.7, 0.85, 1.2, 1.5):
        yield Version(f"level {factor:g}", small, factor)
    yield Version("stage 1", small, estimate=Estimate.ANCHOR)
    yield Version("coarse", small, estimate=Estimate.COARSE)


def compare(noisy: Path, clean: Clip) -> list[Scores]:
    """Both scores of every version on one clip."""
    pictures = read(noisy).astype(np.float32) / np.float32(255)
    start = weights.load("f2r-rgb-small")
    networks = F2RNetworks(3, start.header.config).eval()
    start.fill(networks)
    measurer = methods.load("f2r").from_weights(start, RUN)
    with torch.inference_mode():
        report = measure_pictures([one[None] for one in channels_first(pictures)], measurer)
    assert report is not None
    truth = channels_first(clean.astype(np.float32) / np.float32(255))
    shown, found = [one[None] for one in channels_first(pictures)], []
    method = F2R(networks, RUN, start.header.length)
    with torch.inference_mode():
        pairs = make_pairs(
            method, pictures, CENTRES, TargetKind.RECORRUPTED, report.law, np.random.default_rng(1)
        )
        for version in versions():
            fill(networks, version)
            estimate = partial(served, networks, estimate=version.estimate)
            blind = errors_of(networks, [pairs], partial(judged, estimate, version.level))
            method = F2R(networks, RUN, method.length, version.level, version.estimate)
            frames = [method.prepare(i, one, report.model) for i, one in enumerate(shown)]
            errors = []
            for centre in range(max(CENTRES) + 1):
                window = window_at(frames, centre, method.length)
                if centre not in CENTRES:
                    method.pass_over(window, report.model)
                    continue
                refined = method.restore(window, report.model).refined
                errors.append(float((refined.float().clamp(0, 1) - truth[centre]).square().mean()))
            found.append(Scores(blind.score, float(-10 * np.log10(np.mean(errors)))))
    return found


def changes(start: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Weights and random changes of them."""
    yield start
    generator = torch.Generator().manual_seed(0)
    for strength in STRENGTHS * DRAWS:
        yield {
            name: tensor + strength * tensor.std(unbiased=False)
            * torch.randn(tensor.shape, generator=generator)
            for name, tensor in start.items()
        }  # fmt: skip


def compare_stages(method: str, noisy: Path, clean: Clip) -> Iterator[tuple[str, list[Scores]]]:
    """Every stage of another method, and both scores of every version of its weights."""
    config = TrainConfig(
        inputs=(str(noisy),), output=str(noisy.with_suffix(".safetensors")), method=method,
        init=f"{method}-rgb-small", threads=1, jobs=1, held_out=HELD_OUT,
    )  # fmt: skip
    config.folder.mkdir(parents=True)
    context = gather(config, torch.device("cpu"), [], lambda event: None)
    recipe = load_recipe(context)
    assert context.noise[0] is not None
    model = context.noise[0].model
    start = {name: tensor.clone() for name, tensor in recipe.networks.state_dict().items()}
    pictures = channels_first(read(noisy).astype(np.float32) / np.float32(255))
    truth = channels_first(clean.astype(np.float32) / np.float32(255))
    for course in recipe.stage_runs():
        found = []
        for version in changes(start):
            recipe.networks.load_state_dict(version)
            recipe.networks.eval()
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                blind = course.stage.validate()
            made = methods.load(method)(recipe.networks, RUN)  # type: ignore[call-arg]  # all take them
            errors = []
            with torch.inference_mode():
                frames = [made.prepare(i, one[None], model) for i, one in enumerate(pictures)]
                for centre in range(len(frames) - HELD_OUT, len(frames)):
                    restored = made.restore(window_at(frames, centre, made.length), model)
                    one = restored.coarse if course.stage.name == "image" else restored.refined
                    errors.append(float((one.clamp(0, 1) - truth[centre]).square().mean()))
            assert blind is not None
            found.append(Scores(blind, float(-10 * np.log10(np.mean(errors)))))
        yield course.stage.name, found


def judged(
    estimate: Callable[[FusionBatch], torch.Tensor], factor: float, batch: FusionBatch
) -> torch.Tensor:
    """The estimate of a batch by networks that are told another level."""
    return estimate(batch._replace(level=batch.level * factor))


def fill(networks: F2RNetworks, version: Version) -> None:
    """Take over stage 1 and stage 2 of a version."""
    for name in ("anchor", "refiner"):
        own = getattr(networks, name)
        state = {key: version.tensors[f"{name}.{key}"].float() for key in own.state_dict()}
        own.load_state_dict(state)


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's."""
    ranks = [np.argsort(np.argsort(np.asarray(one))) for one in (first, second)]
    return float(np.corrcoef(ranks)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--noise", default="g30,pg,corr30")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--method", default="f2r")
    parser.add_argument("--list", action="store_true", help="print the scores of all weights")
    given = parser.parse_args()
    print("| clip | noise | stage | weights | rank correlation |\n|---|---|---|---|---|")
    pairs: list[tuple[float, float]] = []
    for source, noise in itertools.product(given.clips, given.noise.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            clean = cut(read(source, given.frames), given.frames, given.side)
            write(Path(folder) / source.name, clean)
            made = make_noisy(Path(folder) / source.name, noise, Path(folder))
            if given.method == "f2r":
                stages = [("all", compare(made, clean))]
            else:
                stages = list(compare_stages(given.method, made, clean))
        for stage, found in stages:
            rank = rank_correlation([-s.blind for s in found], [s.psnr for s in found])
            print(f"| {source.stem} | {noise} | {stage} | {len(found)} | {rank:.3f} |", flush=True)
            if given.list:
                for number, scores in enumerate(found):
                    print(f"    {number}: {scores.blind:.5f}, {scores.psnr:.2f} dB")
            both = itertools.combinations(found, 2)
            pairs += [(b.blind - a.blind, a.psnr - b.psnr) for a, b in both]
    blind, clean_db = np.array(pairs).T
    rank = rank_correlation(blind, clean_db)
    print(f"{len(pairs)} pairs of weights: rank correlation {rank:.3f}")
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 1), (1, 100)):
        these = (np.abs(clean_db) >= low) & (np.abs(clean_db) < high)
        if these.any():
            right = np.mean(np.sign(blind[these]) == np.sign(clean_db[these]))
            share = f"{100 * right:.0f} % of {these.sum()} pairs in the right order"
            print(f"{low} to {high} dB apart: {share}")


if __name__ == "__main__":
    main()
