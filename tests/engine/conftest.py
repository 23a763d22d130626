"""Small synthetic clips with known motion and noise, and an engine with the shipped weights."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch

from f2rcli.engine.stream import Engine, denoise_stream, looked_ahead
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, PlaneLayout
from f2rcli.noise.model import NoiseModel
from tests.engine.made import engine_for as engine_for
from tests.engine.made import info_of as info_of

RGB8 = PlaneLayout(family=Family.RGB, bits=8)
GRAY8 = PlaneLayout(family=Family.GRAY, bits=8)
YUV420 = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def read_once(weights_read_once: None) -> None:
    """Tests that change networks name a fixture of their own like this one."""


def clean_clip(count: int, height: int = 32, width: int = 48, seed: int = 0) -> np.ndarray:
    """A textured scene that moves by two pixels per frame: (T, 3, H, W) in 0..1."""
    rng = np.random.default_rng(seed)
    rows, columns = height // 8 + 3, (width + 2 * count) // 8 + 3
    light = np.kron(rng.random((1, rows, columns)), np.ones((1, 8, 8)))
    tint = np.kron(rng.random((3, rows // 4 + 1, columns // 4 + 1)), np.ones((1, 32, 32)))
    scene = 0.15 + 0.55 * light + 0.15 * tint[:, : light.shape[1], : light.shape[2]]
    return np.stack([scene[:, 4 : 4 + height, 4 + 2 * t : 4 + 2 * t + width] for t in range(count)])


def to_frames(pictures: np.ndarray, layout: PlaneLayout = RGB8) -> list[Frame]:
    codes = np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)
    if layout.family is Family.GRAY:
        codes = codes[:, :1]
    return [
        Frame(
            planes=tuple(picture),
            layout=layout,
            pts=40 * t,
            duration=40,
            time_base=Fraction(1, 1000),
        )
        for t, picture in enumerate(codes)
    ]


def frames_of(codes: np.ndarray, layout: PlaneLayout) -> list[Frame]:
    """Codes (T, H, W) of one plane, 25 frames a second."""
    return [
        Frame(planes=(plane,), layout=layout, pts=t, duration=1, time_base=Fraction(1, 25))
        for t, plane in enumerate(codes)
    ]


def noisy_clip(count: int, *, sigma: float = 25, seed: int = 0, **size: int) -> list[Frame]:
    clean = clean_clip(count, seed=seed, **size)
    noise = np.random.default_rng(seed + 1).normal(0, sigma / 255, clean.shape)
    return to_frames(clean + noise)


def psnr(frames: list[Frame], clean: np.ndarray) -> float:
    error = np.stack([np.stack(f.planes) for f in frames]) / 255 - clean
    return float(-10 * np.log10(np.mean(error**2)))


def estimate_noise(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> NoiseModel:
    """The noise of a clip by its first frames."""
    noise = looked_ahead(frames, info, engine)
    assert noise is not None
    return noise.measured


def denoised(
    frames: list[Frame], *, interlaced: bool = False, **settings: object
) -> tuple[list[Frame], Engine]:
    """What becomes of frames, and the engine that it became by."""
    engine = engine_for(frames, interlaced=interlaced, **settings)
    info = info_of(frames, interlaced=interlaced)
    return list(denoise_stream(iter(frames), info, engine)), engine
