"""Large frames' noise is measured on four squares of them, and comes out as that of the whole."""

from fractions import Fraction

import numpy as np
import pytest

from f2rcli.engine.noise import excerpts as module
from f2rcli.engine.noise.excerpts import chosen_squares, excerpts, over_all
from f2rcli.engine.noise.measurement import measure_noise
from f2rcli.engine.noise.opening import opening_noise
from f2rcli.engine.stream import estimate_noise
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.model import NoiseModel
from f2rcli.sensor import bayer_layout, pack
from tests.engine.conftest import clean_clip, engine_for, info_of, to_frames
from tests.engine.test_noise_measurement import noise_like, smooth_clip

BAYER = bayer_layout(Mosaic(pattern="GBRG", black=(0.0,) * 4, white=(4095.0,) * 4), 12)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squares of 64 pixels, so that small frames are large ones."""
    monkeypatch.setattr(module, "SIDE", 64)
    monkeypatch.setattr(module, "MOST_PIXELS", 4 * 64**2)


def frames_of(layout: PlaneLayout, height: int = 203, width: int = 301) -> list[Frame]:
    rng, (x, y) = np.random.default_rng(0), layout.log2_chroma
    chroma = [(-(-height // 2**y), -(-width // 2**x))] * 2
    sizes = [(height, width), *chroma][: layout.colour_planes]
    return [
        Frame(
            planes=tuple(rng.integers(20, 230, size).astype(np.uint8) for size in sizes),
            layout=layout, time_base=Fraction(1, 25),
        )
        for _ in range(2)
    ]  # fmt: skip


@pytest.mark.parametrize("subsampling", [(0, 0), (1, 1), (2, 0), (2, 2)])
def test_planes_are_cut_at_the_same_places(small: None, subsampling: tuple[int, int]) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=subsampling)
    whole = frames_of(layout)
    parts = excerpts(whole)
    squares = chosen_squares(whole[1].planes[0] / np.float32(255))
    for frame, part in zip(whole, parts, strict=True):
        for index, (plane, cut) in enumerate(zip(frame.planes, part.planes, strict=True)):
            x, y = subsampling if index else (0, 0)
            assert cut.shape == (128 >> y, 128 >> x)
            top, left, height, width = squares[3]
            there = plane[top >> y : (top + height) >> y, left >> x : (left + width) >> x]
            assert np.array_equal(cut[64 >> y :, 64 >> x :], there)


def test_a_mosaic_keeps_its_cells(small: None) -> None:
    parts = excerpts(frames_of(BAYER, 403, 501))
    assert parts[0].planes[0].shape == (256, 256)
    phase = np.indices((404, 502)).sum(0)[:403, :501] % 2
    marked = [Frame(planes=(phase.astype(np.uint16),), layout=BAYER)]
    planes = pack(excerpts(marked)[0].planes[0].astype(np.float32), "GBRG")
    assert [float(np.ptp(plane)) for plane in planes] == [0, 0, 0, 0]


def test_small_and_narrow_frames(small: None) -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=8)
    for size in ((128, 128), (30, 4000)):
        frames = frames_of(layout, *size)
        assert all(one is other for one, other in zip(excerpts(frames), frames, strict=True))
    assert excerpts(frames_of(layout, 40, 4000))[0].planes[0].size <= 128**2
    assert excerpts(frames_of(layout, 4000, 40))[0].planes[0].size <= 128**2


def test_squares_show_every_brightness_and_avoid_bars(small: None) -> None:
    luma = np.full((320, 640), 0.0, np.float32)
    luma[64:256] = np.repeat(np.linspace(0.1, 0.9, 10, dtype=np.float32), 64)
    luma[64:256] += np.random.default_rng(0).normal(0, 0.02, (192, 640)).astype(np.float32)
    seen = [luma[y : y + h, x : x + w] for y, x, h, w in chosen_squares(luma)]
    assert min(float(part.min()) for part in seen) > 0
    levels = sorted(float(part.mean()) for part in seen)
    assert levels[0] < 0.35
    assert levels[-1] > 0.65


def test_sigma_is_that_of_the_whole_frame() -> None:
    law = NoiseModel((0.01,), (0.0,), (0.05,))
    bright, dark = (
        to_frames(np.full((1, 3, 32, 32), level), PlaneLayout(family=Family.GRAY, bits=8))[0]
        for level in (0.8, 0.2)
    )
    assert over_all(law, dark, bright).sigma[0] == pytest.approx(0.1, rel=0.01)


def test_run_report_and_first_look_say_the_same_of_large_frames(small: None) -> None:
    clip = smooth_clip(7, 144, 176)
    frames = to_frames(clip + noise_like(clip, 12))
    info, engine = info_of(frames), engine_for(frames)
    report, model = measure_noise(frames, info, engine), estimate_noise(frames, info, engine)
    assert report is not None
    assert model is not None
    assert report.model.sigma8 == model.sigma8
    assert model.sigma8 == pytest.approx((12,) * 3, rel=0.06)


def test_a_scene_that_moves_out_of_the_squares_is_measured_whole(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    clip = clean_clip(4, height=144, width=176)
    frames = to_frames(clip + noise_like(clip))
    engine = engine_for(frames)
    real = type(engine).to_tensor
    monkeypatch.setattr(
        type(engine), "to_tensor", lambda self, f: (sizes.append(f.width), real(self, f))[1]
    )
    monkeypatch.setattr("f2rcli.engine.noise.anchor_pairs.same_shot", lambda *_: sizes[-1] == 176)
    found = opening_noise(frames, engine)
    assert set(sizes) == {128, 176}
    assert found.compared
