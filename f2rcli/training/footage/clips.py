"""Clean clips as 8-bit codes and compressed noisy renditions of them, made once and kept."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from f2rcli.io.atomic import replacing
from f2rcli.noise.codec import coded, to_codes, to_unit, uncoded
from f2rcli.noise.synthesis.corruption import draw_law

Clip = NDArray[np.uint8]  # (T, H, W, 3), gamma-encoded RGB codes

CODECS = (  # encoder, presets, range of crf
    ("libx264", ("veryfast", "medium"), (16, 30)),
    ("libx264", ("medium",), (20, 26)),
    ("libx265", ("ultrafast", "fast"), (18, 30)),
)


@dataclass(frozen=True, slots=True)
class Rendition:
    """A noisy clip with the clean one it came from, and the noise's standard deviation."""

    noisy: Clip
    clean: Clip
    sigma: float  # RMS of noisy - clean, in units of white


def load_clips(folder: Path, cache: Path) -> dict[str, Clip]:
    """Every clip of a folder as (T, H, W, 3) RGB with even sizes, memory-mapped from `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    clips = {}
    for path in sorted(folder.glob("*.mkv")):
        stored = cache / f"{path.stem}.npy"
        if not stored.exists():
            _save(stored, _decode(path))
        clips[path.stem] = np.load(stored, mmap_mode="r")
    return clips


def renditions(clips: dict[str, Clip], cache: Path, per_clip: int, seed: int) -> list[Rendition]:
    """Noisy, compressed renditions of every clip, made when they are not in `cache` yet."""
    cache.mkdir(parents=True, exist_ok=True)
    made = []
    for index, (name, clip) in enumerate(clips.items()):
        for number in range(per_clip):
            base = cache / f"{name}_{number}"
            if not base.with_suffix(".json").exists():
                _render(clip, base, np.random.default_rng([seed, index, number]))
            facts = json.loads(base.with_suffix(".json").read_text())
            noisy = np.load(f"{base}_noisy.npy", mmap_mode="r")
            clean = np.load(cache / f"{name}_clean.npy", mmap_mode="r")
            made.append(Rendition(noisy, clean, facts["sigma"]))
    return made


def _decode(path: Path) -> Clip:
    with av.open(str(path)) as container:
        frames: list[Clip] = [
            frame.to_ndarray(format="rgb24")  # type: ignore[misc]  # rgb24 is uint8
            for frame in container.decode(video=0)
        ]
    clip = np.stack(frames)
    return clip[:, : clip.shape[1] // 2 * 2, : clip.shape[2] // 2 * 2]


def _save(path: Path, array: NDArray[Any]) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, array)


def _render(clip: Clip, base: Path, rng: np.random.Generator) -> None:
    law = draw_law(rng)
    codes = np.stack([to_codes(law.add(to_unit(frame), rng)) for frame in clip])
    encoder, presets, (low, high) = CODECS[rng.integers(len(CODECS))]
    preset, crf = str(rng.choice(presets)), int(rng.integers(low, high + 1))
    compressed = np.stack(list(coded(codes, encoder, preset, crf)))
    clean_path = base.parent / f"{base.name.rsplit('_', 1)[0]}_clean.npy"
    if not clean_path.exists():  # the target the file format can hold: chroma at 4:2:0
        _save(clean_path, np.stack([uncoded(frame) for frame in clip]))
    clean = np.load(clean_path, mmap_mode="r")
    error = compressed.astype(np.float32) - clean
    sigma = float(np.sqrt(np.mean(error**2)) / 255)
    _save(Path(f"{base}_noisy.npy"), compressed)
    facts = {"sigma": sigma, "law": str(law), "encoder": encoder, "preset": preset, "crf": crf}
    base.with_suffix(".json").write_text(json.dumps(facts))
