"""What stage 2 learns from noisy footage, by what it is taught and how its noise is drawn.

    python benchmarks/teaching.py CLIPS --work WORK [--noise pg corr30]
        [--only gopro_path] [--steps 120] [--lr 2e-4] [--seed 0]

Each trial starts from the shipped weights and trains stage 2 alone on lessons from one noisy clip,
the same number of steps with the same settings; `supervised` is taught the clean frames and is the
upper bound for this network, these steps and these lessons. Judged is PSNR over RGB, clipped and
rounded to 8 bits, on centres that no lesson has. CLIPS are those of quality.py.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from noisy_clips import clean_clips, make_noisy, read
from numpy.typing import NDArray

from f2rcli.engine.noise.measurement import measure_noise
from f2rcli.engine.stream import Engine, EngineSettings, load_engine
from f2rcli.io import open_reader
from f2rcli.methods.f2r import F2R
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.f2r.excerpts import Excerpt
from f2rcli.training.methods.f2r.self_supervised import PairStage
from f2rcli.training.methods.f2r.training_pairs import TargetKind, make_pairs
from f2rcli.window import Window

LESSONS = slice(2, -2, 2)  # centres that are learnt from
JUDGED = slice(3, -3, 4)  # centres that are judged: none of them
SHIPPED = "as shipped"


@dataclass
class Scene:
    """A noisy clip, what was measured of its noise, and the clean clip."""

    engine: Engine
    pictures: NDArray[np.float32]  # (T, H, W, C)
    clean: NDArray[np.uint8]
    law: NoiseLaw
    seed: int

    def method(self) -> F2R:
        """The shipped networks, fresh."""
        method = self.engine.new_method()
        assert isinstance(method, F2R)
        return method

    def taught(self, teaching: TargetKind, law: NoiseLaw) -> Excerpt:
        """Lessons with n' drawn from a law; levels are always those that were measured."""
        centres = range(len(self.pictures))[LESSONS]
        rng = np.random.default_rng(self.seed)
        with torch.inference_mode():
            return make_pairs(self.method(), self.pictures, centres, teaching, law, rng)

    def answers(self) -> Excerpt:
        """Lessons that show the noisy centre and ask for the clean one."""
        blind = self.taught(TargetKind.BLIND, self.law)
        clean = (self.clean[range(len(self.pictures))[LESSONS]] / 255).astype(np.float16)
        lessons = (
            replace(lesson, target=truth)
            for lesson, truth in zip(blind.lessons, clean, strict=True)
        )
        return replace(blind, lessons=tuple(lessons))

    def psnr(self, method: F2R) -> float:
        """Of the refined frames, mean over the judged centres."""
        found, half = [], method.length // 2
        tensors = [torch.from_numpy(p.transpose(2, 0, 1)[None].copy()) for p in self.pictures]
        for centre in range(len(self.pictures))[JUDGED]:
            span = range(centre - half, centre + half + 1)
            frames = [method.prepare(i, tensors[i], self.law.level) for i in span]
            window = Window.of(frames, half)
            refined = method.restore(window, self.law.level).refined[0].clamp(0, 1)
            codes = refined.mul(255).round().permute(1, 2, 0).numpy()
            found.append(10 * np.log10(255**2 / np.mean((codes - self.clean[centre]) ** 2.0)))
        return float(np.mean(found))


def open_scene(noisy: Path, clip: Path, seed: int) -> Scene | None:
    """Read a clip and measure its noise; None where that cannot be done."""
    with open_reader(noisy) as reader:
        engine = load_engine(EngineSettings(threads=1), reader.info)
        frames = list(iter(reader))
        report = measure_noise(iter(frames), reader.info, engine)
    if report is None:
        return None
    pictures = np.stack([engine.to_tensor(f)[0].permute(1, 2, 0).numpy() for f in frames])
    clean = read(clip, len(frames))[:, : pictures.shape[1], : pictures.shape[2]]
    return Scene(engine, pictures, clean, report.law, seed)


Course = list[Callable[[], Excerpt]]


def courses(scene: Scene) -> Iterator[tuple[str, Course]]:
    """Trials: what stage 2 is taught, one part after the other with equal steps."""
    mean = float(np.sqrt(np.mean(np.square(scene.law.level.sigma))))
    white = NoiseLaw(NoiseModel.gaussian(mean, len(scene.law.level.sigma)))
    laws = {"one white level": white, "measured levels, white": NoiseLaw(scene.law.level)}
    laws["measured levels and spectrum"] = scene.law
    for name, law in laws.items():
        yield f"pseudo pairs, {name}", [partial(scene.taught, TargetKind.PSEUDO, law)]
        yield f"recorruption, {name}", [partial(scene.taught, TargetKind.RECORRUPTED, law)]
        yield (
            f"restored clip noised afresh, {name}",
            [partial(scene.taught, TargetKind.RENOISED, law)],
        )
    both = [
        partial(scene.taught, t, scene.law) for t in (TargetKind.PSEUDO, TargetKind.RECORRUPTED)
    ]
    yield "pseudo pairs, then recorruption, measured levels and spectrum", list(both)
    yield "supervised", [scene.answers]


def train(scene: Scene, course: Course, arguments: argparse.Namespace, folder: Path) -> F2R:
    """The shipped method after its stage 2 took a course."""
    method = scene.method()
    settings = TrainSettings(
        steps=arguments.steps // len(course), lr=arguments.lr, warmup=10, seed=arguments.seed
    )
    for part, lessons in enumerate(course):
        stage = PairStage(method.networks, [lessons()], [], f"part{part}", batch=4, part="refiner")
        Trainer(stage, folder, settings).run(lambda event: None)
    return method


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--noise", nargs="+", default=["pg", "corr30"])
    parser.add_argument("--only", nargs="+", default=["gopro_path"])
    parser.add_argument("--trials", nargs="+", default=[""], help="parts of trials' names")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    stored = arguments.work / f"teaching_{arguments.seed}.json"
    results = json.loads(stored.read_text()) if stored.exists() else {}
    for noise in arguments.noise:
        for clip in clean_clips(arguments.clips, *arguments.only):
            noisy = make_noisy(clip, noise, arguments.work, arguments.frames)
            scene = open_scene(noisy, clip, arguments.seed)
            if scene is None:
                print(f"{clip.stem}, {noise}: the noise cannot be measured")
                continue
            row = results.setdefault(noise, {}).setdefault(clip.stem, {})
            row[SHIPPED] = start = scene.psnr(scene.method())
            print(f"{noise} {clip.stem}: {SHIPPED} {start:.2f}; {scene.law.level.sigma8}")
            for number, (name, course) in enumerate(courses(scene)):
                if not any(part in name for part in arguments.trials):
                    continue
                if name not in row:
                    folder = arguments.work / f"{clip.stem}.{noise}.{number}.{arguments.seed}"
                    row[name] = scene.psnr(train(scene, course, arguments, folder))
                    stored.write_text(json.dumps(results, indent=1))
                print(f"{noise} {clip.stem}: {name} {row[name] - start:+.2f}", flush=True)


if __name__ == "__main__":
    main()
