"""What cameras would have recorded of clean clips, made once and kept."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.noise.codec import to_codes
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.stabilising import VarianceStabiliser
from f2rcli.noise.synthesis.camera import STEPS
from f2rcli.noise.synthesis.sensor import raw_clip, sense
from f2rcli.training.footage.augment import dihedral
from f2rcli.training.footage.clips import Clip, Rendition


def raw_renditions(
    clips: dict[str, Clip], cache: Path, per_clip: int, seed: int, smallest: int
) -> list[Rendition]:
    """Stabilised codes of what cameras would have recorded of every clip, (T, h, w, 4), made when
    they are not in `cache` yet: `per_clip` for each one with `smallest` cells or more per side.

    The clean codes are the mean that stabilised noisy ones have, so that what learns from them is
    undone by the exact unbiased inverse, like everything that learns from noisy frames alone.
    """
    cache.mkdir(parents=True, exist_ok=True)
    made = []
    for index, (name, clip) in enumerate(clips.items()):
        if min(clip.shape[1:3]) < 2 * smallest:
            continue
        for number in range(per_clip):
            base = cache / f"{name}_{number}"
            if not base.with_suffix(".json").exists():
                _record(clip, base, np.random.default_rng([seed, index, number]))
            facts = json.loads(base.with_suffix(".json").read_text())
            noisy, clean = (np.load(f"{base}_{k}.npy", mmap_mode="r") for k in ("noisy", "clean"))
            made.append(Rendition(noisy, clean, facts["sigma"]))
    return made


def _record(clip: Clip, base: Path, rng: np.random.Generator) -> None:
    packed, law = raw_clip(dihedral(clip, int(rng.integers(8))), rng)
    model = NoiseModel((law.gain,) * 4, (law.read,) * 4, (law.read,) * 4)
    space = VarianceStabiliser.of(model)
    places = torch.linspace(0, 1.1, STEPS).view(1, 1, 1, -1).expand(1, 4, 1, -1)
    light = space.back(places)[0, 0, 0].numpy()
    noisy = [_planes_last(space.into(_planes_first(sense(frame, law, rng)))) for frame in packed]
    clean = np.interp(packed, light, places[0, 0, 0].numpy()).astype(np.float32)
    np.save(f"{base}_noisy.npy", to_codes(np.stack(noisy)))
    np.save(f"{base}_clean.npy", to_codes(clean))
    facts = {"sigma": space.sigma, "law": asdict(law)}
    base.with_suffix(".json").write_text(json.dumps(facts))


def _planes_first(frame: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(frame.transpose(2, 0, 1)[None].copy())


def _planes_last(picture: torch.Tensor) -> NDArray[np.float32]:
    return picture[0].permute(1, 2, 0).numpy()
