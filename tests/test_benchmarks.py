"""The benchmarks count and compare what they say they do."""

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from f2rcli import weights
from f2rcli.models.planar import Networks
from f2rcli.planes import LAYOUTS

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

import cost  # noqa: E402  # found by the path above
import fidelity  # noqa: E402
import noisy_clips  # noqa: E402
import quality  # noqa: E402

LIMIT = 120  # GMAC per megapixel of output, at the weights' own T


def test_the_count_agrees_with_a_count_by_hand() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 1))
    arithmetic, parameters = cost.cost(layers, torch.zeros(1, 2, 16, 24), pixels=16 * 24)
    assert 1000 * arithmetic == pytest.approx(9 * 2 * 4 + 4 * 3)
    assert parameters == 9 * 2 * 4 + 4 + 4 * 3 + 3


@pytest.mark.parametrize(
    "name", [n for n, e in weights.manifest().items() if n.startswith("f2r-full")]
)
def test_shipped_weights_keep_to_their_budget(name: str) -> None:
    chosen = weights.load(name)
    networks = chosen.network(lambda: Networks(chosen.header.config)).eval()
    for layout in networks.layouts:
        parts = cost.budget(networks, LAYOUTS[layout], chosen.header.length)
        assert sum(arithmetic for arithmetic, _ in parts.values()) <= LIMIT


def test_the_last_table_has_a_row_per_noise() -> None:
    reached = {
        noise: {"noisy": quality.Score(20, 0.3), "f2r": quality.Score(30.5, 0.9)}
        for noise in quality.NOISES
    }
    rows = quality.summary(reached, 10).splitlines()[3:]
    assert [row.split("|")[1].strip() for row in rows] == list(quality.NOISES)
    assert rows[0] == "| g20 | 20.00 / 0.300 | 30.50 / 0.900 |"


@pytest.mark.parametrize(("noise", "suffix"), [("g30", ".mkv"), ("h264", ".mp4")])
def test_noisy_inputs_are_what_f2r_eval_makes(noise: str, suffix: str, tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 47, 65, 3), np.uint8)
    clip = tmp_path / "clip.mkv"
    noisy_clips.write(clip, pictures)
    np.testing.assert_array_equal(noisy_clips.read(clip), pictures)
    made = noisy_clips.make_noisy(clip, noise, tmp_path)
    assert made.name == f"clip.{noise}{suffix}"
    rng = np.random.default_rng([0, zlib.crc32(noise.encode())])
    clean = pictures if noise == "g30" else pictures[:, :46, :64]
    noisy = clean / 255 + rng.normal(0, 30 / 255, clean.shape)
    codes = np.rint(255 * np.clip(noisy, 0, 1)).astype(np.uint8)
    if noise == "g30":
        np.testing.assert_array_equal(noisy_clips.read(made), codes)
    else:
        assert noisy_clips.read(made).shape == codes.shape


def test_the_picture_contracts_table_marks_what_falls_short() -> None:
    rows = [
        fidelity.cases.Row("neutral", "chroma samples that left 128, %", 0.0),
        fidelity.cases.Row("light", "sigma 1: mean gain", 1.25),
    ]
    shown = fidelity.table(rows).splitlines()
    assert shown[2].endswith("| 0 | <= 0 |")
    assert shown[3].endswith("| **1.25** | >= 1.5 |")
    assert shown[-1] == "1 of 2 bars held."
