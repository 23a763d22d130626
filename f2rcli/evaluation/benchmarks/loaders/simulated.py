"""Scenes that are simulated here, with what simple filters make of them; no files are needed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.base import Case
from f2rcli.evaluation.benchmarks.benchmark import Benchmark
from f2rcli.evaluation.clips.datasets import PictureClip, pictures
from f2rcli.evaluation.simulation import filters
from f2rcli.evaluation.simulation.camera import electrons, in_codes, span
from f2rcli.evaluation.simulation.scene import Scene
from f2rcli.frames import Floats
from f2rcli.samples.lanes import lane_layout, measure_lane, surveyed


def cases(benchmark: Benchmark, root: Path | None, frames: int | None) -> list[Case]:
    """A case for each scene of the layout."""
    del root
    make = import_module(f"f2rcli.evaluation.simulation.{benchmark.layout['maker']}").scene
    found = []
    for number, options in enumerate(benchmark.layout["scenes"]):
        rng = np.random.default_rng((benchmark.seed, number))
        chosen = {key: value for key, value in options.items() if key != "group"}
        scene = make(frames or benchmark.frames, rng, **chosen)
        found.append(case_of(scene, benchmark.name, options.get("group", "")))
    return found


def case_of(scene: Scene, name: str, group: str = "") -> Case:
    """A scene as a case: its light, what was recorded, and two filters' results."""
    made = _Filtered(scene)
    low, high = (float(code) for code in in_codes(np.array(span(scene.light))))
    clip = partial(_clip, scene, levels=(low, high))
    looked_at = [scene.codes[place] for place in surveyed(len(scene.codes))]
    return Case(
        name=name, group=group, scene=scene,
        reference=clip("light", lambda: scene.light),
        noisy=_codes_of(scene.codes, measure_lane(looked_at).levels),
        given={
            "median 3x3x3": clip("median", lambda: made.median),
            "Gaussian, by the truth": clip("Gaussian", lambda: made.gaussian),
        },
    )  # fmt: skip


@dataclass
class _Filtered:
    """A scene's filtered versions, made once asked for."""

    scene: Scene

    @cached_property
    def median(self) -> Floats:
        return filters.median(electrons(self.scene.codes))

    @cached_property
    def gaussian(self) -> Floats:
        return filters.best_gaussian(electrons(self.scene.codes), self.scene.light)


def _clip(
    scene: Scene, name: str, light: Callable[[], Floats], *, levels: tuple[float, float]
) -> PictureClip:
    """A clip of light in codes, as floats."""
    layout = lane_layout(np.dtype(np.float32), 1, levels)
    read = [partial(lambda number: in_codes(light()[number]), n) for n in range(len(scene.light))]
    _, rows, columns = scene.light.shape
    return pictures(name, layout, (rows, columns), read)


def _codes_of(codes: NDArray[np.uint16], levels: tuple[float, float]) -> PictureClip:
    """A clip of a camera's codes, as `f2r denoise` takes them from a stack."""
    layout = lane_layout(codes.dtype, 1, levels)
    read = [partial(codes.__getitem__, number) for number in range(len(codes))]
    _, rows, columns = codes.shape
    return pictures("recorded", layout, (rows, columns), read)
