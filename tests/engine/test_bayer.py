"""Mosaics through the engine: four planes in, the same mosaic out, and the noise a file states."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine import engine as engine_room
from f2rcli.engine import stream
from f2rcli.engine.measuring import opening_noise
from f2rcli.engine.planes_store import Packing
from f2rcli.evaluation.noise import measure_noise
from f2rcli.frames import ClipInfo, Family, Frame, Mosaic
from f2rcli.models.planar import Networks
from f2rcli.yuv import bayer_layout, pack_mosaic, to_rgb
from tests.engine.conftest import estimate_noise, info_of

Engine = engine_room.Engine
EngineSettings = engine_room.EngineSettings
denoise_stream = stream.denoise_stream
load_engine = stream.load_engine

BLACK = (240.0, 244.0, 248.0, 252.0)


def burst(pattern: str = "GBRG", height: int = 67, width: int = 90, count: int = 4) -> list[Frame]:
    mosaic = Mosaic(pattern=pattern, black=BLACK, white=(4095.0,) * 4)
    rng = np.random.default_rng(0)
    return [
        Frame(
            planes=(rng.integers(230, 4095, (height, width)).astype(np.uint16),),
            layout=bayer_layout(mosaic, 12), pts=t, duration=1, time_base=Fraction(1, 25),
        )
        for t in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for mosaics whose networks have learned nothing."""
    torch.manual_seed(0)
    header = weights.load(weights.choose("f2r", Family.BAYER)).header
    path = tmp_path_factory.mktemp("weights") / "bayer.safetensors"
    weights.save(path, header, Networks(header.config).state_dict())
    return path


def engine_of(path: Path, info: ClipInfo, **settings: object) -> Engine:
    return load_engine(EngineSettings(weights=str(path), **settings), info)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_mosaic_goes_in_as_four_planes_and_comes_back(pattern: str, untrained: Path) -> None:
    frames = burst(pattern, count=2)
    engine = engine_of(untrained, info_of(frames))
    planes = engine.store.planes(frames[0])
    size = pack_mosaic(frames[0].planes[0], pattern).shape[1:]
    assert [tuple(plane.shape) for plane in planes] == [size] * 4
    packing = Packing(frames[0].layout, 4)
    next_ = packing.packed(engine.store.planes(frames[1]))
    other = packing.planes(next_, [p.shape for p in planes])
    back = engine.contract.to_frame(frames[0], [b - a for a, b in zip(planes, other, strict=True)])
    left = back.planes[0].astype(int) - frames[1].planes[0]
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # a colour keeps its mean, and no more
        part = left[row::2, column::2]
        assert (np.abs(part - np.median(part)) <= 1).mean() > 0.95  # others met a rail


def test_a_burst_keeps_its_size_levels_and_times(untrained: Path) -> None:
    frames = burst()
    info = info_of(frames)
    done = list(denoise_stream(iter(frames), info, engine_of(untrained, info)))
    assert [(f.pts, f.planes[0].shape, f.planes[0].dtype) for f in done] == [
        (f.pts, f.planes[0].shape, f.planes[0].dtype) for f in frames
    ]
    assert done[0].layout == frames[0].layout
    assert not np.array_equal(done[0].planes[0], frames[0].planes[0])


def test_noise_that_a_file_states_is_believed_and_sigma_replaces_it(untrained: Path) -> None:
    frames = burst()
    profile = ((1e-3, 1e-6), (2e-3, 4e-6), (3e-3, 9e-6), (2e-3, 4e-6))
    info = replace(info_of(frames), noise_profile=profile)
    model = estimate_noise(frames, info, engine_of(untrained, info))
    assert model.gain == (1e-3, 2e-3, 3e-3, 2e-3)
    assert np.allclose(model.read, (1e-3, 2e-3, 3e-3, 2e-3))
    means = to_rgb(frames[0]).clip(0).mean((1, 2))
    wanted = np.sqrt([g * m + v for (g, v), m in zip(profile, means, strict=True)])
    assert np.allclose(model.sigma, wanted, rtol=1e-4)
    told = estimate_noise(frames, info, engine_of(untrained, info, sigma=20))
    assert np.allclose(told.sigma8, 20)


def test_both_greens_of_a_sensor_have_one_law() -> None:
    """Networks learnt from greens that agree: two laws, which chance parted, lost a burst."""
    rng = np.random.default_rng(1)
    light = cv2.GaussianBlur(rng.random((96, 128)), (0, 0), 8)
    light = 300 + 6000 * (light - light.min())
    layout = bayer_layout(Mosaic(pattern="RGGB", black=(240.0,) * 4, white=(4095.0,) * 4), 12)
    noise = rng.normal(size=(6, *light.shape)) * np.sqrt(6 * light + 64)
    codes = np.rint(light + 240 + noise).clip(0, 4095).astype(np.uint16)
    shown = [Frame(planes=(one,), layout=layout) for one in codes]
    model = opening_noise(shown).planes.model
    assert torch.equal(*model.level(torch.full((1, 4, 1, 1), 0.3))[0, 1::2])
    assert model.gain[1] == pytest.approx(6 / 3855, rel=0.15)


def test_a_dark_mosaic_with_codes_below_black_is_not_cut_off(untrained: Path) -> None:
    """The report took all that lies at black for clipped."""
    codes = np.rint(np.random.default_rng(2).normal(250, 12, (6, 96, 128))).astype(np.uint16)
    frames = [replace(burst()[0], planes=(one,)) for one in codes]
    info = info_of(frames)
    report = measure_noise(frames, info, engine_of(untrained, info))
    assert report is not None
    assert report.black < 1e-3
