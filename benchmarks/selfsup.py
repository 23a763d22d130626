"""What self-supervised training reaches from noisy footage alone, against steps and core-minutes.

    python benchmarks/selfsup.py CLIP ... [--noise g30] [--frames 32] [--side 256]
        [--recipe self-supervised] [--stage NAME.KEY=VALUE ...] [--limit 600] [--test CLIP ...]

CLIPs are clean. Each becomes noisy footage (seed 0, 8 bits, lossless; several kinds of noise,
separated by commas, are dealt out in turn), and networks are trained on that from random weights,
by one thread. At every validation the networks restore the clean clips' own held-out frames (or the
first frames of the --test clips) through the pipeline, and a row is printed: seconds of CPU, stage,
step, the held-out loss that training goes by, and PSNR against the clean frames of the coarse
estimate, of stage 1 and of stage 2. `--recipe supervised` is the same with clean targets,
every kind of noise on every clip. `--init scratch` is the default; with another the rows start from
those weights.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from noisy_clips import Clip, make_noisy, read, write

from f2rcli import methods, weights
from f2rcli.engine.noise.measurement import measure_pictures
from f2rcli.engine.tiles import Runner
from f2rcli.frames import Space
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage.windows import channels_first
from f2rcli.training.loop.stage import Stage
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.base import load_recipe
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.overrides import StageOverrides
from f2rcli.training.run.session import gather
from f2rcli.window import window_at

ESTIMATES = ("coarse", "stage 1", "stage 2")


@dataclass
class Case:
    """Noisy frames with the clean ones that nothing is trained on, and the noise's model."""

    noisy: torch.Tensor  # (T, 3, H, W)
    clean: Clip
    shown: range  # frames that count
    model: NoiseModel | None


def cut(clip: Clip, frames: int, side: int) -> Clip:
    """The middle of a clip's first frames."""
    top, left = (max(n - side, 0) // 2 // 8 * 8 for n in clip.shape[1:3])
    return clip[:frames, top : top + side, left : left + side]


def case(noisy: Path, clean: Clip, shown: range) -> Case:
    """A case whose noise is measured as a run would: the networks are told what they would be."""
    frames = channels_first(read(noisy).astype(np.float32) / np.float32(255))
    bundled = weights.load(str(weights.measuring(Space.RGB)))
    method = methods.load("f2r").from_weights(bundled, Runner(torch.device("cpu"), "fp32", None))
    with torch.inference_mode():
        report = measure_pictures([one[None] for one in frames[:8]], method)
    return Case(frames, clean, shown, None if report is None else report.model)


def estimates(networks: F2RNetworks, length: int, case: Case) -> list[float]:
    """PSNR of the three estimates on a case's frames."""
    method = F2R(networks.eval(), Runner(torch.device("cpu"), "bf16", None), length)
    errors: list[list[float]] = []
    with torch.inference_mode():
        frames = [method.prepare(i, one[None], case.model) for i, one in enumerate(case.noisy)]
        for number in case.shown:
            window = window_at(frames, number, length)
            anchor = method.anchor(method.align(window))
            found = (
                window.centre.coarse,
                anchor.guided(window.centre.coarse),
                method.restore(window, case.model).refined,
            )
            truth = channels_first(case.clean[number][None].astype(np.float32) / np.float32(255))
            errors.append([float((e.float().clamp(0, 1) - truth).square().mean()) for e in found])
    return [float(v) for v in (-10 * np.log10(errors)).mean(0)]


@dataclass
class Watched:
    """A stage that tells what its networks are worth whenever they are validated."""

    stage: Stage
    networks: F2RNetworks
    length: int
    cases: list[Case]
    began: float

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stage, name)

    def validate(self) -> float | None:
        """See Stage.validate; prints a row."""
        own = time.process_time()
        score = self.stage.validate()
        found = np.mean([estimates(self.networks, self.length, one) for one in self.cases], axis=0)
        row = " | ".join(f"{value:.2f}" for value in found)
        print(
            f"| {own - self.began:.0f} | {self.stage.name} | {score or 0:.4f} | {row} |", flush=True
        )
        self.began += time.process_time() - own  # looking is not training
        return score


def footage(given: argparse.Namespace, folder: Path) -> Iterator[tuple[Path, Path, Clip]]:
    """Each clip's clean file, its noisy one and its pictures."""
    kinds = given.noise.split(",")
    for number, source in enumerate(given.clips):
        clean = cut(read(source, given.frames), given.frames, given.side)
        path = folder / f"{source.stem}.mkv"
        write(path, clean)
        yield path, make_noisy(path, kinds[number % len(kinds)], folder, given.frames), clean


def run(given: argparse.Namespace, folder: Path) -> None:
    """Train, and print the curve."""
    torch.set_num_threads(1)
    made = list(footage(given, folder))
    supervised = given.recipe == "supervised"
    stages: dict[str, dict[str, float]] = {}
    for text in given.stage:
        name, change = text.split(".", 1)
        key, value = change.split("=")
        stages.setdefault(name, {})[key] = float(value) if key in ("lr", "minutes") else int(value)
    config = TrainConfig(
        inputs=tuple(str(clean if supervised else noisy) for clean, noisy, _ in made),
        output=str(folder / "out.safetensors"), recipe=given.recipe, init=given.init,
        inputs_are_clean=supervised, threads=1, jobs=1,
        noise=given.noise.replace(",", "+") if supervised else None,
        stages={name: StageOverrides.of(name, table) for name, table in stages.items()},
        validate_every=given.validate_every, held_out=given.held_out,
    )  # fmt: skip
    cases = [
        case(noisy, clean, range(len(clean) - given.held_out, len(clean)))
        for _, noisy, clean in made[: given.most]
    ]
    if given.test:
        given.clips = given.test
        cases = [
            case(noisy, clean, range(2, len(clean) - 2, 3))
            for _, noisy, clean in footage(given, folder)
        ]
    began = time.process_time()
    config.folder.mkdir(parents=True)
    context = gather(config, torch.device("cpu"), [], lambda event: None)
    recipe = load_recipe(context)
    assert isinstance(recipe.networks, F2RNetworks)
    print("| CPU s | stage | held-out loss | coarse | stage 1 | stage 2 |")
    print("|---|---|---|---|---|---|")
    for course in recipe.stage_runs():
        if time.process_time() - began > given.limit:
            break
        watched = Watched(course.stage, recipe.networks, recipe.header.length, cases, began)
        Trainer(watched, config.folder, course.settings).run(lambda event: None)
        began = watched.began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--noise", default="g30")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--recipe", default="self-supervised")
    parser.add_argument("--init")
    parser.add_argument("--stage", action="append", default=[], metavar="NAME.KEY=VALUE")
    parser.add_argument(
        "--limit", type=float, default=600, help="CPU seconds; no stage begins later"
    )
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--validate-every", type=int, default=60)
    parser.add_argument("--most", type=int, default=4, help="clips that are looked at")
    parser.add_argument("--test", type=Path, nargs="+", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(given, Path(folder))


if __name__ == "__main__":
    main()
