"""Small clips to train on, and runs of a few steps."""

from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import TrainResult, running
from f2rcli.training.session import train
from tests.video import write_video


def pictures(frames: int = 12, size: int = 48, channels: int = 3) -> np.ndarray[Any, Any]:
    """(T, H, W, C) in 0..1: a smooth picture that pans by a pixel per frame."""
    rows, columns = np.indices((size, size + frames)) / 9.0
    waves = [0.5 + 0.3 * np.sin(rows + c) * np.cos(columns / 2) for c in range(channels)]
    wide = np.stack(waves, -1)
    return np.stack([wide[:, index : index + size] for index in range(frames)])


def write_clip(
    path: Path,
    clip: np.ndarray[Any, Any],
    sigma: float = 25,
    *,
    interlaced: bool = False,
    form: str = "bgr0",
) -> Path:
    """The pictures with white noise of so many codes, lossless."""
    rng = np.random.default_rng(0)
    noisy = np.clip(np.rint(255 * clip + sigma * rng.standard_normal(clip.shape)), 0, 255)
    fields, codes = {"flags": "+ildct"} if interlaced else {}, noisy.astype(np.uint8)
    if clip.shape[-1] == 1:
        return write_video(path, codes[..., 0], "gray", given="gray", **fields)
    return write_video(path, codes, form, **fields)


def asked(*clips: Path, **changes: Any) -> TrainConfig:
    """A run of two steps a stage beside the first clip."""
    out = clips[0].with_name("out.safetensors")
    values: dict[str, Any] = {"threads": 1, "precision": "fp32", "steps": 2}
    return TrainConfig(inputs=tuple(map(str, clips)), output=str(out), **(values | changes))


def run(config: TrainConfig, events: list[Any] | None = None) -> TrainResult:
    """Do it."""
    told = [] if events is None else events
    with running(config):
        return train(config, told.append)
