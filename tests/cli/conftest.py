"""The command line, run in this process with the real engine on clips of a few thousand pixels."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from f2rcli.cli.app import run
from tests.video import write_video


class Done(NamedTuple):
    """What a run left: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]  # what `f2r` of a test is


def rgb(path: Path) -> np.ndarray:
    """The frames of a video or picture, (T, H, W, 3)."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def drifting(frames: int, size: tuple[int, int]) -> np.ndarray:
    """Soft shapes that drift to the left, (T, H, W, 3) uint8."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    moving = columns + 2 * np.arange(frames)[:, None, None]
    waves = [np.sin(moving / a) * np.cos(rows / b) for a, b in ((9, 13), (17, 7), (11, 23))]
    return np.clip(128 + 70 * np.stack(waves, -1), 0, 255).astype(np.uint8)


def write_clip(
    path: Path, frames: int = 6, size: tuple[int, int] = (64, 48), sigma: float = 10.0,
    pix_fmt: str = "",
) -> Path:  # fmt: skip
    """`drifting` with white noise; the codec follows the suffix, and .mkv is lossless."""
    codecs = {".y4m": "rawvideo", ".mkv": "ffv1", ".png": "png"}
    codec = codecs.get(path.suffix, "libx264")
    pix_fmt = pix_fmt or {"png": "rgb24", "ffv1": "bgr0"}.get(codec, "yuv420p")
    clean = drifting(frames, size)
    noise = np.random.default_rng(3).normal(0, sigma, clean.shape)
    pictures = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    return write_video(path, pictures, pix_fmt, codec)


@pytest.fixture(autouse=True)
def _own_cache(
    weights_read_once: None,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("F2R_DEBUG", raising=False)
    monkeypatch.setattr("f2rcli.cli.engine.SCHEDULED", Path(os.devnull))  # no other programs


@pytest.fixture
def clip_writer() -> Callable[..., Path]:
    return write_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


@pytest.fixture
def f2r(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    return caller(capfd)


def caller(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """What runs a command line in this process."""

    def call(*arguments: object) -> Done:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return call


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A Matroska file that ends in mid-stream, without a word of it in the container."""
    whole = write_clip(tmp_path / "whole.mkv", frames=24)
    data = whole.read_bytes()
    whole.unlink()
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data[: len(data) * 2 // 3])
    return path
