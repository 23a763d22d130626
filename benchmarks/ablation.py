"""What each choice in the pipeline is worth: the shipped weights with one thing changed at a time.

    python benchmarks/ablation.py CLIPS MAKE_NOISY --work WORK [--noise g30 corr30 h264]
        [--only NAME ...] [--weights NAME]

CLIPS and MAKE_NOISY are those of quality.py. Of the first eight frames of each clip the fourth and
the fifth are judged, whose windows are full up to T = 7: PSNR over RGB, clipped and rounded to 8
bits, told what the command measures. Networks are not trained again: what they have not met (a
confidence of one everywhere, T = 3 or 7) is judged at a disadvantage. The package is changed from
outside. Nothing is random but the noise (seed 0 of MAKE_NOISY). A killed run goes on where WORK
says it stopped; the tables go to standard output.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from quality import make_input, read
from torch import Tensor

from f2rcli.engine.stream import Engine, EngineSettings, estimate_noise, load_engine
from f2rcli.io import open_reader
from f2rcli.methods.base import Prepared, Restored
from f2rcli.methods.f2r import F2R, FlowBook, level_map, photometric
from f2rcli.models.flow import Flow, Luma
from f2rcli.models.fusion import Aligned, Anchor
from f2rcli.noise import NoiseModel
from f2rcli.window import Window

FRAMES, CENTRES = 8, (3, 4)
CLIPS = ("davis_blackswan", "davis_paragliding", "davis_rollercoaster", "gopro_path", "flutter")


@dataclass
class Search:
    """DIS with its parameters laid open; the defaults are those of f2rcli.models.flow.DISFlow."""

    finest: int = 2
    patch: int = 16
    alpha: float = 60.0
    blur: float = 1.0  # pixels; 0 for none

    def __call__(self, source: Luma, target: Luma, start: Flow | None = None) -> Flow:
        """See FlowEstimator."""
        white = max(float(np.quantile(source[::4, ::4], 0.995)), 1e-3)
        first, second = (self._codes(luma, white) for luma in (source, target))
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        search.setFinestScale(self.finest)
        search.setPatchSize(self.patch)
        search.setPatchStride(4)
        search.setGradientDescentIterations(16)
        search.setVariationalRefinementIterations(5)
        search.setVariationalRefinementAlpha(self.alpha)
        flow: Any = search.calc(first, second, None if start is None else start.copy())
        return np.ascontiguousarray(flow)

    def _codes(self, luma: Luma, white: float) -> NDArray[np.uint8]:
        blurred = cv2.GaussianBlur(luma, (0, 0), self.blur) if self.blur else luma
        return np.clip(blurred * np.float32(255 / white), 0, 255).astype(np.uint8)


def standing(source: Luma, target: Luma, start: Flow | None = None) -> Flow:
    """A flow estimator that sees no motion."""
    return np.zeros((*source.shape, 2), np.float32)


class DirectBook(FlowBook):
    """Longer flows are estimated from nothing."""

    def flow(self, source: Prepared, target: Prepared) -> Flow:
        key = (source.index, target.index)
        if key not in self._known:
            self._known[key] = self.fresh(source, target)
        return self._known[key]


class ComposedBook(FlowBook):
    """Longer flows are compositions of adjacent ones and nothing else."""

    def flow(self, source: Prepared, target: Prepared) -> Flow:
        composed = self._composed(source.index, target.index)
        return super().flow(source, target) if composed is None else composed


Rate = Callable[[F2R, Window[Prepared], Aligned], Tensor]


def everywhere(method: F2R, window: Window[Prepared], aligned: Aligned) -> Tensor:
    return torch.ones_like(aligned.confidence)


def by_flow(method: F2R, window: Window[Prepared], aligned: Aligned) -> Tensor:
    maps = [method.flows.agreement(window.centre, other) for other in window.neighbours]
    return torch.from_numpy(np.stack(maps))[None, :, None]


def by_looks(method: F2R, window: Window[Prepared], aligned: Aligned) -> Tensor:
    return photometric(aligned.coarse, window.centre.coarse)


class Trial(F2R):
    """F2R whose confidence or anchor is replaced."""

    rate: Rate | None = None
    strict = False

    def align(self, window: Window[Prepared]) -> Aligned:
        aligned = super().align(window)
        if self.rate is None:
            return aligned
        return aligned._replace(confidence=type(self).rate(self, window, aligned))  # type: ignore[misc]

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        if not self.strict:
            return super().restore(window, noise)
        noisy, coarse = window.centre.noisy, window.centre.coarse
        aligned = self.align(window)
        blind = self.anchor(self.align_strictly(window))
        anchor = Anchor(*blind)._replace(correction=blind.strict - coarse)
        level = level_map(noise, blind.strict)
        refined = self._run(self.networks.refiner, noisy, coarse, level, anchor, aligned)
        return Restored(coarse, blind.strict, refined)


@dataclass(frozen=True)
class Change:
    """One thing that is different from the shipped pipeline."""

    length: int | None = None
    book: Callable[[], FlowBook] = FlowBook
    rate: Rate | None = None
    strict: bool = False

    def method(self, engine: Engine) -> F2R:
        """The engine's method, changed."""
        plain = engine.new_method()
        assert isinstance(plain, F2R)
        kind = type("Changed", (Trial,), {"rate": self.rate, "strict": self.strict})
        method: F2R = kind(plain.networks, plain._run, self.length or plain.length)
        method.flows = self.book()
        return method


SHIPPED = "as shipped"
CHANGES: dict[str, dict[str, Change]] = {
    "anchor": {"strict anchor handed to stage 2": Change(strict=True)},
    "confidence": {
        "off: one everywhere": Change(rate=everywhere),
        "forward-backward agreement alone": Change(rate=by_flow),
        "photometric agreement alone": Change(rate=by_looks),
    },
    "window": {"T = 3": Change(length=3), "T = 7": Change(length=7)},
    "longer flows": {
        "direct, from scratch": Change(book=DirectBook),
        "composed alone": Change(book=ComposedBook),
    },
    "DIS": {
        name: Change(book=partial(FlowBook, search))
        for name, search in {
            "patch 8, alpha 20, not blurred (OpenCV's preset fast)": Search(2, 8, 20.0, 0),
            "patch 8, alpha 20": Search(2, 8, 20.0),
            "patch 8": Search(patch=8),
            "patch 12": Search(patch=12),
            "alpha 20": Search(alpha=20.0),
            "not blurred": Search(blur=0),
            "finest scale 3": Search(finest=3),
            "finest scale 1": Search(finest=1),
            "finest scale 1, patch 8": Search(finest=1, patch=8),
            "no motion at all": standing,
        }.items()
    },
}
ANCHORS = {  # estimates of the shipped pipeline, beside what it writes
    "coarse": lambda method, window, noise: window.centre.coarse,
    "strict anchor": lambda method, window, noise: (
        method.anchor(method.align_strictly(window)).strict
    ),
    "strict head on guided alignment": lambda method, window, noise: (
        method.anchor(method.align(window)).strict
    ),
    "guided anchor": lambda method, window, noise: method.restore(window, noise).anchor,
}


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
    """Everything that is measured on a scene, by name."""

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
    """Run what WORK does not hold yet."""
    stored = arguments.work / "ablation.json"
    results: Results = json.loads(stored.read_text()) if stored.exists() else {}
    arguments.frames = FRAMES
    for noise in arguments.noise:
        for clip in clips:
            row = results.setdefault(noise, {}).setdefault(clip.stem, {})
            missing = [(name, trial) for name, trial in trials() if name not in row]
            if not missing:
                continue
            noisy = make_input(clip, noise, arguments, arguments.work)
            scene = open_scene(noisy, clip, arguments.weights)
            for name, trial in missing:
                row[name] = round(trial(scene), 3)
                stored.write_text(json.dumps(results, indent=1))
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("make_noisy", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--noise", nargs="+", default=["g30", "corr30", "h264"])
    parser.add_argument("--only", nargs="+", default=list(CLIPS), help="parts of clips' names")
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    clips = [
        clip
        for clip in sorted(arguments.clips.glob("*.mkv"))
        if any(part in clip.stem for part in arguments.only)
    ]
    results = measure(arguments, clips)
    names = ", ".join(clip.stem for clip in clips)
    print(f"{len(clips)} clips ({names}), frames {[c + 1 for c in CENTRES]} of {FRAMES}.\n")
    print(table(results, "estimate", [*ANCHORS, SHIPPED]))
    for title, changes in CHANGES.items():
        print("\n" + table(results, title, [SHIPPED, *changes]))


if __name__ == "__main__":
    main()
