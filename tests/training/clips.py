"""Small clips to train on, and runs of a few steps."""

from pathlib import Path
from typing import Any

import av
import numpy as np

from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import TrainResult, running
from f2rcli.training.session import train


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
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, channels = clip.shape[1:]
        given, name = ("gray", "gray") if channels == 1 else ("rgb24", form)
        stream.pix_fmt = name
        if interlaced:
            stream.codec_context.flags |= 1 << 18  # FFmpeg's INTERLACED_DCT
        for picture in noisy.astype(np.uint8):
            shown = picture[..., 0] if channels == 1 else picture
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format=given)
            container.mux(stream.encode(frame.reformat(format=name, threads=1)))
        container.mux(stream.encode())
    return path


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
