"""Bursts of camera raw as footage to train on."""

from pathlib import Path

import numpy as np
import pytest

from f2rcli.frames import Mosaic, Space
from f2rcli.io import open_reader
from f2rcli.io.raw_dng import new_dng
from f2rcli.io.raw_shot import Shot
from f2rcli.sensor import to_planes
from f2rcli.training.footage import open_footage
from f2rcli.training.sources import Source, find_sources

SIZE = (48, 64)


@pytest.fixture
def burst(tmp_path: Path) -> Path:
    folder = tmp_path / "burst"
    folder.mkdir()
    mosaic = Mosaic(pattern="GBRG", black=(240.0,) * 4, white=(4095.0,) * 4)
    rng = np.random.default_rng(0)
    scene = np.kron(rng.uniform(500, 3000, (6, 8)), np.ones((8, 8)))
    for index in range(5):
        path = folder / f"a{index}.dng"
        shot = Shot(path=path, name=path.stem, shape=SIZE, active=(0, 0, *SIZE), mosaic=mosaic)
        path.write_bytes(new_dng(shot, (scene + rng.normal(0, 50, SIZE)).astype(np.uint16)))
        path.with_suffix(".jpg").write_bytes(b"a preview")
    return folder


def test_a_burst_is_one_clip_and_its_previews_are_none(burst: Path) -> None:
    (found,) = find_sources([burst])
    assert isinstance(found, Source)
    assert found.source == str(burst)
    assert [file.name for file in found.files] == [f"a{n}.dng" for n in range(5)]


def test_its_pictures_are_packed_planes(burst: Path, tmp_path: Path) -> None:
    (clip,) = open_footage([burst], tmp_path / "cache")
    with open_reader(burst) as reader:
        seen = np.stack([to_planes(frame).transpose(1, 2, 0) for frame in reader])
    assert clip.space is Space.BAYER
    assert clip.shape == seen.shape == (5, 25, 32, 4)
    assert np.abs(clip.read(slice(None)) - seen).max() < 1e-3
