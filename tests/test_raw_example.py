"""The raw burst among the examples, and its script."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import rawpy

from f2rcli.io import open_reader

EXAMPLES = Path(__file__).parent.parent / "examples"
BURST = EXAMPLES / "raw_burst"


def test_the_burst_is_what_its_page_says() -> None:
    with open_reader(BURST) as reader:
        frames = list(reader)
        assert reader.info.layout.mosaic is not None
        assert reader.info.layout.mosaic.pattern == "GBRG"
    assert [frame.planes[0].shape for frame in frames] == [(160, 224)] * 5


def test_denoise_raw_burst_writes_every_exposure_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, out = EXAMPLES / "denoise_raw_burst.py", tmp_path / "out"
    monkeypatch.setattr(sys, "argv", [str(script), str(BURST), str(out), f"{tmp_path}/look.png"])
    runpy.run_path(str(script), run_name="__main__")
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in BURST.iterdir())
    with (
        rawpy.imread(str(BURST / "swan_3.dng")) as old,
        rawpy.imread(str(out / "swan_3.dng")) as new,
    ):
        assert np.array_equal(new.raw_pattern, old.raw_pattern)
        assert new.black_level_per_channel == old.black_level_per_channel
        assert not np.array_equal(new.raw_image, old.raw_image)
    look = cv2.imread(str(tmp_path / "look.png"))
    assert look.shape == (81, 224, 3)  # a row is mirrored before a mosaic that begins with green
