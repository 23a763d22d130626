"""Noise too coarse for networks goes at a quarter of the size, and nothing else does."""

from functools import cache

import cv2
import numpy as np
import pytest

from f2rcli.engine.coarse import coarse_noise
from f2rcli.engine.stream import Engine
from f2rcli.evaluation.noise import measure_noise
from f2rcli.frames import Family, Frame, PlaneLayout
from tests.engine.conftest import denoised, engine_for, info_of
from tests.fidelity import footage
from tests.fidelity.footage import Clip, psnr

HEIGHT, WIDTH, FRAMES = 256, 384, 6
YUV = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False)
BAR = HEIGHT // 8  # rows of luma above and below, of blotches without noise
# Kind of noise: its deviation and that of coarse noise, of luma and of colours, and how wide that
# is; the gain in dB of luma and of Cb.
KINDS = {
    "grain": ((0, 8), (0, 8), 2, (7.0, 8.3)),
    "blotches": ((6, 6), (6, 6), 3, (7.4, 9.1)),
    "colours": ((6, 0), (0, 8), 4, (11.8, 6.9)),
}


@cache
def clean() -> Clip:
    return footage.leaves(HEIGHT, WIDTH, FRAMES, seed=2, sky=True)


def noisy(luma: tuple[float, float], colours: tuple[float, float], width: float) -> list[Frame]:
    rng = np.random.default_rng(1)

    def one(plane: np.ndarray, white: float, coarse: float) -> np.ndarray:
        wide = cv2.GaussianBlur(rng.normal(0, 1, plane.shape), (0, 0), width)
        noise = white * rng.normal(0, 1, plane.shape) + coarse * wide / wide.std()
        return np.clip(np.rint(plane + noise), 0, 255).astype(np.uint8)

    return [
        Frame(planes=(one(y, *luma), *(one(c, *colours) for c in both)), layout=YUV, pts=t)
        for t, (y, *both) in enumerate(clean())
    ]


def run(frames: list[Frame]) -> tuple[list[Frame], Engine]:
    return denoised(frames, model="lite", threads=1)


def gained(frames: list[Frame], done: list[Frame], plane: int) -> float:
    """In dB, where there are no bars."""
    rows = slice(2 * BAR >> (plane > 0), -2 * BAR >> (plane > 0))
    truth = [planes[plane][rows] for planes in clean()]
    before, after = ([frame.planes[plane][rows] for frame in some] for some in (frames, done))
    return psnr(after, truth) - psnr(before, truth)


@pytest.mark.parametrize("kind", KINDS)
def test_coarse_noise_goes_by_as_many_decibels_as_it_did(kind: str) -> None:
    """Between bars, of one kind, which stay."""
    *noise, least = KINDS[kind]
    frames = noisy(*noise)
    if bars := kind == "blotches":
        for plane in (plane for frame in frames for plane in frame.planes):
            rows = len(plane) // 8
            plane[:rows] = plane[-rows:] = 128
    done, engine = run(frames)
    if bars:
        luma = np.stack([frame.planes[0] for frame in done])
        assert (np.delete(luma, np.s_[BAR:-BAR], 1) == 128).all()
    both = [gained(frames, done, plane) for plane in (0, 1)]
    assert np.all(np.array(both) > least)
    assert any("in blotches" in note for note in engine.found.notes)
    report = measure_noise(frames, info_of(frames), engine_for(frames, threads=1))
    assert report is not None
    assert report.coarse8 == engine.found.coarse8
    assert any("is removed first" in line for line in report.meaning())


def test_snow_is_no_coarse_noise() -> None:
    rng, snow = np.random.default_rng(2), []
    for frame in noisy((3, 0), (3, 0), 1):
        luma = frame.planes[0].copy()
        for x, y in rng.integers(4, (WIDTH - 4, HEIGHT - 4), (600, 2)):
            cv2.circle(luma, (int(x), int(y)), 1, 220, -1)
        snow.append(Frame(planes=(luma, *frame.planes[1:]), layout=YUV, pts=frame.pts))
    assert not run(snow)[1].found.coarse8


def test_light_that_changes_is_no_coarse_noise() -> None:
    rng, (rows, columns) = np.random.default_rng(0), np.mgrid[:HEIGHT, :WIDTH]
    hills, colour, lit = 60 * np.sin(columns / 40), 40 * np.sin(columns[::2, ::2] / 40), []
    for light in (0.5, 1.5, 0.5):
        luma = light * (130 + hills * np.sin(rows / 30)) + rng.normal(0, 0.5, hills.shape)
        planes = (luma, 128 + light * colour, 128 + colour)
        codes = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes)
        lit.append(Frame(planes=tuple(codes), layout=YUV))
    assert coarse_noise(lit, coded=False) is None


def test_shots_without_coarse_noise_beside_one_with_it_stay() -> None:
    scene = footage.graphics(HEIGHT, WIDTH, 9)
    quiet = [Frame(planes=tuple(np.rint(p).astype("u1") for p in ps), layout=YUV) for ps in scene]
    loud = noisy(*KINDS["blotches"][:3])
    done, _ = run([*quiet, *loud, *quiet])
    assert gained(loud, done[9:-9], 0) > 7
    for before, after in zip(quiet * 2, done[:9] + done[-9:], strict=True):
        assert np.abs(after.planes[0].astype(float) - before.planes[0]).mean() < 0.2
