"""Noisy clips as the pipeline will meet them, with their coarse frames and flows, stored once."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.methods.base import Prepared
from f2rcli.methods.f2r import F2R
from f2rcli.noise.codec import to_unit
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage.windows import channels_first
from f2rcli.training.methods.f2r.excerpts import Excerpt, PastMemory, TrainingPair, describe, stored
from f2rcli.window import Window, window_at

ARRAYS = (
    "noisy", "clean", "coarse", "memory_noisy", "memory_coarse", "count",
    "neighbours", "flows", "agreement", "typical",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NoisyPair:
    """A noisy clip, the clean one, its noise, and whether networks are conditioned on it.

    Pictures (T, H, W, C) are 8-bit codes, or numbers from 0, black, to 1, white.
    """

    noisy: NDArray[Any]
    clean: NDArray[Any]
    noise: NoiseModel
    conditioned: bool = True

    @property
    def conditioned_on(self) -> NoiseModel | None:
        """The noise model that networks are given."""
        return self.noise if self.conditioned else None


def precompute(source: NoisyPair, method: F2R, base: Path, rng: np.random.Generator) -> None:
    """Run the pipeline's first half over a clip and store what training needs under `base`."""
    method.forget()
    frames = [
        method.prepare(index, channels_first(to_unit(picture[None])), source.conditioned_on)
        for index, picture in enumerate(source.noisy)
    ]
    method.flows.chain(frames)
    memories = [method.remember(frame, source.noise) for frame in frames]
    windows = [_draw_window(frames, i, method.length, rng) for i in range(len(frames))]
    flows, agreement, typical = zip(
        *(describe(method, w, memories[w.before[0].index] if w.before else None) for w in windows),
        strict=True,
    )
    arrays: dict[str, NDArray[Any]] = {  # of T frames each
        "noisy": to_unit(source.noisy).astype(np.float16),
        "clean": to_unit(source.clean).astype(np.float16),
        "coarse": stored([f.coarse for f in frames]),
        "memory_noisy": stored([m.noisy for m in memories]),
        "memory_coarse": stored([m.coarse for m in memories]),
        "count": stored([m.count for m in memories]),
        "neighbours": np.array([[n.index for n in w.neighbours] for w in windows], np.int16),
        "flows": np.stack(flows),
        "agreement": np.stack(agreement),
        "typical": np.array(typical, np.float32),
    }
    for name, values in arrays.items():
        np.save(f"{base}.{name}.npy", values)
    model = source.conditioned_on
    header = model and {"gain": model.gain, "read": model.read}
    Path(f"{base}.json").write_text(json.dumps(header))


def load_precomputed(folder: Path) -> list[Excerpt]:
    """Every finished clip of a folder, memory-mapped, with a pair on each of its frames."""
    return [_loaded(header) for header in sorted(folder.glob("*.json"))]


def _loaded(header: Path) -> Excerpt:
    base = str(header.with_suffix(""))
    facts = json.loads(header.read_text())
    model = facts and NoiseModel(tuple(facts["gain"]), tuple(facts["read"]), tuple(facts["read"]))
    a: dict[str, Any] = {n: np.load(f"{base}.{n}.npy", mmap_mode="r") for n in ARRAYS}

    def past(centre: int) -> PastMemory | None:
        oldest = int(a["neighbours"][centre][0])
        if oldest > centre:
            return None
        return PastMemory(a["memory_noisy"][oldest], a["memory_coarse"][oldest], a["count"][oldest])

    pairs = [
        TrainingPair(
            a["noisy"][t], a["coarse"][t], a["clean"][t], a["neighbours"][t], a["flows"][t],
            a["agreement"][t], past(t), float(a["typical"][t]), model,
        )
        for t in range(len(a["noisy"]))
    ]  # fmt: skip
    return Excerpt(a["noisy"], a["coarse"], tuple(pairs))


def _draw_window(
    frames: list[Prepared], centre: int, length: int, rng: np.random.Generator
) -> Window[Prepared]:
    """The window of a centre in the middle of a shot, or as it would be near the shot's ends."""
    before = int(rng.integers(length)) if rng.random() < 0.4 else None
    return window_at(frames, centre, length, before)
