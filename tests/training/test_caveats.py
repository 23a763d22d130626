"""Notes on footage that will not teach all there is to learn."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine.noise.measurement import UNSEEN
from f2rcli.frames import Space
from f2rcli.noise.measurement.independence import Temporal
from f2rcli.training.footage.caveats import caveats
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.noise import measure_footage
from tests.training.test_footage_noise import report_of


def noisy_clip(path: Path, *, contrast: float, frames: int = 8) -> Footage:
    """Broad stripes under white noise of 25 of 255."""
    rng = np.random.default_rng(3)
    stripes = np.where(np.arange(64) // 16 % 2, 0.5 + contrast / 2, 0.5 - contrast / 2)
    noise = rng.normal(0, 25 / 255, (frames, 64, 64, 3))
    pictures = (stripes[None, None, :, None] + noise).astype(np.float16)
    path.write_bytes(pictures.tobytes())
    return Footage(path.stem, Space.RGB, path, pictures.shape, (range(frames),))


@pytest.mark.parametrize(
    ("asked", "contrast", "words"),
    [
        ({}, 0.3, None),
        ({}, 0.0, r"hardly more than noise \(means over 8x8 pixels vary by 3(\.\d)? of 255"),
        ({"share": 0.9}, 0.3, "its channels share 9[0-9]% of their noise"),
        ({"temporal": Temporal(0.3, None)}, 0.3, r"not independent .*\(correlation 0\.30\)"),
        ({"temporal": Temporal(0.1, 0.4)}, 0.3, r"same pixels .*\(correlation 0\.40\).*dark frame"),
        ({"sigma": 1.2 / 255}, 0.3, r"its noise is weak \(sigma 1\.2 of 255\).*denoised before"),
    ],
)
def test_what_weights_will_lack_is_said_with_what_was_measured(
    tmp_path: Path, asked: dict[str, Any], contrast: float, words: str | None
) -> None:
    report = report_of(**{"share": 0.1, "temporal": UNSEEN, "sigma": 25 / 255} | asked)
    found = caveats([noisy_clip(tmp_path / "a", contrast=contrast)], [report])
    assert len(found) == (words is not None)
    if words:
        assert found[0].startswith("a: ")
        assert re.search(words, found[0])
        assert "teaches more" in found[0]


def test_weak_noise_that_pixels_share_is_said_to_be_what_denoising_leaves(tmp_path: Path) -> None:
    """White noise of 25 through non-local means leaves 2 to 3 codes, correlated; grain has 12."""
    clip = noisy_clip(tmp_path / "a", contrast=0.3)
    for sigma8, rho, said in ((3, 0.6, True), (3, 0.3, False), (12, 0.6, False)):
        report = report_of(0.1, UNSEEN, sigma=sigma8 / 255)
        assert report.spectrum is not None
        spectrum = replace(report.spectrum, rho_x=(rho,) * 3, rho_y=(rho,) * 3)
        found = caveats([clip], [replace(report, spectrum=spectrum)])
        assert bool(found) is said
        words = r"weak \(sigma 3\.0 of 255\) and neighbouring pixels share 60% of it, as denoising"
        assert not said or re.search(words, found[0])


@pytest.mark.skipif(not weights.available(), reason="no weights are bundled")
def test_what_a_denoiser_leaves_gets_a_note(tmp_path: Path) -> None:
    """Measured, not told: white noise blurred as by a denoiser."""
    rng = np.random.default_rng(3)
    smooth = cv2.GaussianBlur(rng.random((96, 128, 3), np.float32), (0, 0), 6)
    scene = (smooth - smooth.min()) / np.ptp(smooth)
    noise = rng.normal(0, 25 / 255, (8, 96, 128, 3)).astype(np.float32)
    left = np.stack([cv2.GaussianBlur(scene + one, (0, 0), 1.2) for one in noise])
    pictures = (np.rint(255 * np.clip(left, 0, 1)) / 255).astype(np.float16)
    (tmp_path / "a").write_bytes(pictures.tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "a", pictures.shape, (range(8),))
    _, reports = measure_footage([clip], None, torch.device("cpu"), "fp32")
    (note,) = caveats([clip], reports)
    assert "as denoising and scaling leave it" in note


def test_clips_too_small_to_see_how_coarse_noise_is_get_a_note(tmp_path: Path) -> None:
    clip = noisy_clip(tmp_path / "a", contrast=0.3)
    report = replace(report_of(0.1, UNSEEN, sigma=25 / 255), spectrum=None)
    (note,) = caveats([clip], [report])
    assert "64x64 pixels are too few to see whether neighbouring ones share noise" in note


def test_of_many_clips_three_are_named_and_few_frames_are_counted_together(tmp_path: Path) -> None:
    clips = [noisy_clip(tmp_path / f"{n}", contrast=0, frames=n + 1) for n in range(5)]
    report = report_of(0.1, UNSEEN, sigma=25 / 255)
    found = caveats(clips, [report] * 5)
    assert [line[:3] for line in found[:3]] == ["0: ", "1: ", "2: "]
    assert found[3:] == ["so are 2 more clips"]
    assert caveats(clips[:3], [None] * 3)[0].startswith("6 different frames with neighbours")
