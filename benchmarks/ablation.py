"""Ablations: the gain of each choice in the pipeline, with the shipped weights.

    python benchmarks/ablation.py CLIPS --work WORK [--noise g30 corr30 h264]
        [--only NAME ...] [--weights NAME]

CLIPS are those of quality.py. PSNR (RGB, clipped and rounded to 8 bits) is that of the fourth and
fifth of each clip's first eight frames, whose windows are full up to T = 7, with the noise level
that the command measures. One choice is changed at a time, from outside the package. Networks are
not trained again, so choices they were not trained with (a confidence of one everywhere, T = 3 or
7) are at a disadvantage. Only the noise is random (seed 0). A killed run resumes from WORK; the
tables go to standard output.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from changes import ANCHORS, CHANGES, SEARCHES, SHIPPED, Change, Search
from noisy_clips import clean_clips, make_noisy, read
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.engine.stream import Engine, EngineSettings, estimate_noise, load_engine
from f2rcli.io import open_reader
from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.models.flow import halved
from f2rcli.noise.model import NoiseModel
from f2rcli.window import Window

FRAMES, CENTRES = 8, (3, 4)
CLIPS = ("davis_blackswan", "davis_paragliding", "davis_rollercoaster", "gopro_path", "flutter")


@dataclass
class Scene:
    """A noisy clip, ready for every trial."""

    engine: Engine
    noise: NoiseModel | None
    frames: list[Prepared]
    clean: NDArray[np.uint8]
    windows: list[int] = field(default_factory=lambda: list(CENTRES))

    def window(self, centre: int, length: int) -> Window[Prepared]:
        half = length // 2
        before = tuple(self.frames[centre - half : centre])
        return Window(self.frames[centre], before, tuple(self.frames[centre + 1 :][:half]))

    def psnr(self, method: F2R, estimate: Callable[[F2R, Window[Prepared], Any], Tensor]) -> float:
        found = []
        for centre in self.windows:
            picture = estimate(method, self.window(centre, method.length), self.noise)
            codes = picture[0].clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
            found.append(10 * np.log10(255**2 / np.mean((codes - self.clean[centre]) ** 2.0)))
        return float(np.mean(found))


def open_scene(noisy: Path, clip: Path, weights: str | None) -> Scene:
    """Measure the noise and make the coarse frames as the command does."""
    with open_reader(noisy) as reader:
        engine = load_engine(EngineSettings(weights=weights, threads=1), reader.info)
        frames = list(iter(reader))
        noise = estimate_noise(iter(frames), reader.info, engine)
    method = engine.new_method()
    prepared = [method.prepare(i, engine.to_tensor(f), noise) for i, f in enumerate(frames)]
    height, width = prepared[0].luma.shape
    return Scene(engine, noise, prepared, read(clip, FRAMES)[:, :height, :width])


def trials() -> Iterator[tuple[str, Callable[[Scene], float]]]:
    """All trials on a scene, by name."""

    def refined(change: Change) -> Callable[[Scene], float]:
        return lambda scene: scene.psnr(
            change.method(scene.engine), lambda m, window, noise: m.restore(window, noise).refined
        )

    yield SHIPPED, refined(Change())
    for name, estimate in ANCHORS.items():
        yield name, lambda s, e=estimate: s.psnr(Change().method(s.engine), e)  # type: ignore[misc]
    for changes in CHANGES.values():
        for name, change in changes.items():
            yield name, refined(change)


Results = dict[str, dict[str, dict[str, float]]]  # noise -> clip -> trial -> PSNR


def measure(arguments: argparse.Namespace, clips: list[Path]) -> Results:
    """Run the trials whose results are not in WORK yet."""
    stored = arguments.work / "ablation.json"
    results: Results = json.loads(stored.read_text()) if stored.exists() else {}
    arguments.frames = FRAMES
    for noise in arguments.noise:
        for clip in clips:
            row = results.setdefault(noise, {}).setdefault(clip.stem, {})
            missing = [(name, trial) for name, trial in trials() if name not in row]
            if not missing:
                continue
            noisy = make_noisy(clip, noise, arguments.work, FRAMES)
            scene = open_scene(noisy, clip, arguments.weights)
            for name, trial in missing:
                row[name] = round(trial(scene), 3)
                part = stored.with_suffix(".part")
                part.write_text(json.dumps(results, indent=1))
                part.replace(stored)
    return results


def table(results: Results, title: str, names: list[str]) -> str:
    """Mean PSNR of each trial, with its gain over the shipped pipeline and the gain's spread."""
    lines = [f"| {title} | {' | '.join(results)} |", "|---" * (1 + len(results)) + "|"]
    for name in names:
        cells = []
        for rows in results.values():
            values = np.array([row[name] for row in rows.values()])
            gains = values - np.array([row[SHIPPED] for row in rows.values()])
            spread = f" ({gains.mean():+.2f}; {gains.min():+.2f} to {gains.max():+.2f})"
            cells.append(f"{values.mean():.2f}{'' if name == SHIPPED else spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def flow_times(scene: Scene, rounds: int = 5) -> str:
    """CPU milliseconds per flow of every search on a scene, the fastest of several rounds."""
    whole = scene.frames[CENTRES[0]].luma
    first, second = (halved(scene.frames[i].luma) for i in CENTRES)
    lines = [f"| CPU ms per flow at {whole.shape[1]}x{whole.shape[0]} | |", "|---|---|"]
    for name, search in {SHIPPED: Search(), **SEARCHES}.items():
        taken = []
        for _ in range(rounds):
            started = time.process_time()
            search(first, second)
            taken.append(time.process_time() - started)
        lines.append(f"| {name} | {1000 * min(taken):.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--noise", nargs="+", default=["g30", "corr30", "h264"])
    parser.add_argument("--only", nargs="+", default=list(CLIPS), help="parts of clips' names")
    parser.add_argument("--weights")
    parser.add_argument("--times", action="store_true", help="only how long each flow takes")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    clips = clean_clips(arguments.clips, *arguments.only)
    if arguments.times:
        noisy = make_noisy(clips[0], arguments.noise[0], arguments.work, FRAMES)
        print(flow_times(open_scene(noisy, clips[0], arguments.weights)))
        return
    results = measure(arguments, clips)
    names = ", ".join(clip.stem for clip in clips)
    print(f"{len(clips)} clips ({names}), frames {[c + 1 for c in CENTRES]} of {FRAMES}.\n")
    print(table(results, "estimate", [*ANCHORS, SHIPPED]))
    for title, changes in CHANGES.items():
        print("\n" + table(results, title, [SHIPPED, *changes]))


if __name__ == "__main__":
    main()
