"""A synthetic clip through the engine: does it get better, and is strength 0 the identity?"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from f2rcli.frames import ClipInfo, Family, Frame, PlaneLayout, same_samples

LEVEL = 20.0  # sigma of the noise, 8-bit units
FRAMES, HEIGHT, WIDTH = 7, 80, 112
CLIP = ClipInfo(
    name="self-test", width=WIDTH, height=HEIGHT, layout=PlaneLayout(family=Family.RGB, bits=8),
    frames=FRAMES, duration=FRAMES / 25, rate=Fraction(25), time_base=Fraction(1, 25),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SelfTest:
    """PSNR of a synthetic clip in dB, and whether strength 0 changed no sample of it."""

    noisy: float
    restored: float
    identical: bool


def self_test(denoise: Callable[[list[Frame], float], list[Frame]]) -> SelfTest:
    """Denoise a clip of known noise; `denoise` takes frames of CLIP and a strength."""
    clean, noisy = synthetic_clip()
    restored, untouched = denoise(noisy, 1.0), denoise(noisy, 0.0)
    same = all(same_samples(one, two) for one, two in zip(noisy, untouched, strict=True))
    return SelfTest(psnr(noisy, clean), psnr(restored, clean), same)


def synthetic_clip() -> tuple[list[Frame], list[Frame]]:
    """A drifting picture of soft waves, clean and with white noise; (H, W) uint8 planes."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    clean, noisy = [], []
    for index in range(FRAMES):
        x, y = columns + 1.5 * index, rows + 0.5 * index
        waves = [np.sin(x / a) * np.cos(y / b) for a, b in ((9.0, 13.0), (17.0, 7.0), (11.0, 23.0))]
        picture = [np.clip(128 + 70 * wave, 0, 255) for wave in waves]
        noise = [rng.normal(0.0, LEVEL, plane.shape) for plane in picture]
        clean.append(_frame(picture, index))
        noisy.append(_frame([p + n for p, n in zip(picture, noise, strict=True)], index))
    return clean, noisy


def _frame(picture: list[np.ndarray], index: int) -> Frame:
    planes = tuple(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in picture)
    return Frame(planes=planes, layout=CLIP.layout, pts=index, duration=1, time_base=CLIP.time_base)


def psnr(frames: list[Frame], truth: list[Frame]) -> float:
    """Peak signal-to-noise ratio over all samples, in dB, peak 255."""
    errors = [
        np.mean((a.astype(np.float64) - b) ** 2)
        for one, two in zip(frames, truth, strict=True)
        for a, b in zip(one.planes, two.planes, strict=True)
    ]
    return float(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-9)))
