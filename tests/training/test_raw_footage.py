"""Bursts of camera raw as footage to train on."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_OK, WeightsError
from f2rcli.frames import Mosaic, Space
from f2rcli.header import Header
from f2rcli.io import open_reader
from f2rcli.io.raw.dng import new_dng
from f2rcli.io.raw.exposure import Exposure
from f2rcli.methods.f2r import F2RNetworks
from f2rcli.sensor import to_planes
from f2rcli.training.footage import split
from f2rcli.training.footage.footage import open_footage
from f2rcli.training.footage.sources import ClipSource, find_sources
from f2rcli.training.methods.f2r import recipe
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.overrides import StageOverrides
from f2rcli.training.run.session import train

pytestmark = pytest.mark.usefixtures("measured_once")

SIZE = (48, 64)
TINY = {
    "coarse": {"widths": (8, 8)},
    "anchor": {"widths": (8, 8), "hidden": 8},
    "refiner": {"widths": (8, 8), "embed": 8},
}


def write_burst(folder: Path, count: int = 5, size: tuple[int, int] = SIZE) -> Path:
    folder.mkdir()
    mosaic = Mosaic(pattern="GBRG", black=(240.0,) * 4, white=(4095.0,) * 4)
    rng = np.random.default_rng(0)
    scene = np.kron(rng.uniform(500, 3000, (size[0] // 8, size[1] // 8)), np.ones((8, 8)))
    for index in range(count):
        path = folder / f"a{index}.dng"
        exposure = Exposure(
            path=path, name=path.stem, shape=size, active=(0, 0, *size), mosaic=mosaic
        )
        path.write_bytes(new_dng(exposure, (scene + rng.normal(0, 50, size)).astype(np.uint16)))
        path.with_suffix(".jpg").write_bytes(b"a preview")
    return folder


@pytest.fixture
def burst(tmp_path: Path) -> Path:
    return write_burst(tmp_path / "burst")


def test_a_burst_is_one_clip_and_its_previews_are_none(burst: Path) -> None:
    (found,) = find_sources([burst])
    assert isinstance(found, ClipSource)
    assert found.source == str(burst)
    assert [file.name for file in found.files] == [f"a{n}.dng" for n in range(5)]


def test_its_pictures_are_packed_planes(burst: Path, tmp_path: Path) -> None:
    (clip,) = open_footage([burst], tmp_path / "cache")
    with open_reader(burst) as reader:
        seen = np.stack([to_planes(frame).transpose(1, 2, 0) for frame in reader])
    assert clip.space is Space.BAYER
    assert clip.shape == seen.shape == (5, 25, 32, 4)
    assert np.abs(clip.read(slice(None)) - seen).max() < 1e-3
    assert clip.floor == pytest.approx(-240 / (4095 - 240))  # code 0, below black


def test_weights_for_mosaics_adapt_to_a_burst_and_denoise_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On few pairs: preparing them is what takes the time here."""
    monkeypatch.setattr(split, "LONGEST", 3)
    few = {"LEAST_PIXELS": 1, "REPEATS": 10**6, "HELD_OUT_CENTRES": 4, "PROBE_STEPS": 2}
    for name, value in few.items():
        monkeypatch.setattr(recipe, name, value)
    burst = write_burst(tmp_path / "burst", 8, (96, 128))
    torch.manual_seed(0)
    start, fitted = tmp_path / "start.safetensors", tmp_path / "fitted.safetensors"
    header = Header(
        method="f2r", space=Space.BAYER, channels=4, length=5, config=TINY, order="RGBG"
    )
    weights.save(start, header, F2RNetworks(4, TINY).state_dict())
    asked = TrainConfig(
        inputs=(str(burst),), output=str(fitted), adapt="full", init=str(start), threads=1, jobs=1,
        stages={
            "anchor": StageOverrides(steps=4, batch=2, crop=32),
            "pseudo": StageOverrides(steps=4, batch=2, crop=32),
            "recorruption": StageOverrides(steps=0),
        },
        validate_every=4,
    )  # fmt: skip
    asked.folder.mkdir()
    result = train(asked, lambda event: None)
    assert weights.load(str(fitted)).header.space is Space.BAYER
    assert result.best_loss <= result.start_loss
    out = tmp_path / "out"
    arguments = ["denoise", str(burst), "-o", str(out), "--weights", str(fitted), "-q"]
    assert run(arguments) == EXIT_OK
    assert sorted(os.listdir(out)) == [f"a{n}.dng" for n in range(8)]


def test_without_weights_to_measure_with_a_burst_says_so(
    burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = weights.manifest()
    others = {name: entry for name, entry in shipped.items() if entry["space"] != "bayer"}
    monkeypatch.setattr(weights, "manifest", lambda: others)
    asked = TrainConfig(inputs=(str(burst),), output=str(tmp_path / "a.safetensors"))
    with pytest.raises(WeightsError, match="noise in bayer pictures"):
        train(asked, lambda event: None)
