"""Rows and columns of a sensor are taken out before anything else sees a frame; nothing else is."""

from dataclasses import replace

import numpy as np
import pytest

from f2rcli.engine import stream
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.yuv import bayer_layout
from tests.engine.conftest import GRAY8, engine_for, info_of, to_frames
from tests.noise.line_scenes import SCENES, column_offsets, row_offsets, scene, white

LONG = 12
YUV8 = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1))
MOSAIC = bayer_layout(Mosaic(pattern="GRBG", black=(240.0,) * 4, white=(4095.0,) * 4), 12)

pytestmark = pytest.mark.usefixtures("only_measured")


def gray(pictures: np.ndarray) -> list[Frame]:
    return to_frames(pictures[:, None], GRAY8)


def corrected(
    frames: list[Frame], *, coded: bool = False, **settings: object
) -> tuple[list[Frame], str]:
    """Frames without their lines, and what was said of these."""
    engine = engine_for(frames, **settings)
    if coded:
        engine = stream.load_engine(engine.settings, replace(info_of(frames), coded=True))
    out = list(stream.denoise_stream(iter(frames), info_of(frames), engine))
    said = [note for note in engine.found.notes if note.startswith("removed before anything else")]
    return out, " ".join(said)


def values(frames: list[Frame]) -> np.ndarray:
    return np.stack([frame.planes[0].astype(float) / 255 for frame in frames])


def uneven(frames: list[Frame], clean: np.ndarray) -> float:
    """Of 255: what rows have beside a picture without offsets."""
    return 255 * float((values(frames) - clean).mean(2).std())


@pytest.mark.parametrize("speed", [(0, 0), (1, 2)])
def test_a_third_at_most_of_row_noise_is_left(speed: tuple[int, int]) -> None:
    clean = scene(LONG, speed) + white(5, LONG)
    frames = gray(clean + row_offsets(6, LONG))
    out, said = corrected(frames)
    assert "row noise 6." in said or "row noise 5." in said
    assert uneven(out, clean) < 0.33 * uneven(frames, clean)
    assert [frame.pts for frame in out] == [frame.pts for frame in frames]


@pytest.mark.parametrize("speed", [(0, 0), (1, 2)])
@pytest.mark.parametrize("columns", [True, False])
def test_two_fifths_at_most_of_lines_are_left(columns: bool, speed: tuple[int, int]) -> None:
    more = column_offsets(8) if columns else column_offsets(14)[..., : scene().shape[1]].mT
    clean = scene(LONG, speed) + white(5, LONG)
    frames = gray(clean + more)
    out, said = corrected(frames)
    assert ("column noise" if columns else "row noise that stays") in said
    before, after = (
        (values(one) - clean).mean((0, 1 if columns else 2)).std() for one in (frames, out)
    )
    assert after < 0.4 * before


@pytest.mark.parametrize("name", SCENES)
def test_what_a_scene_shows_is_no_line_of_its_sensor(name: str) -> None:
    frames = gray(SCENES[name]() + white(3))
    out, said = corrected(frames)
    assert not said
    assert all(a.planes[0] is b.planes[0] for a, b in zip(out, frames, strict=True))


def test_lines_of_files_that_a_codec_wrote_stay() -> None:
    frames = gray(scene(LONG) + row_offsets(6, LONG) + white(5, LONG))
    out, said = corrected(frames, coded=True)
    assert not said
    assert all(a.planes[0] is b.planes[0] for a, b in zip(out, frames, strict=True))


def test_bars_and_clipped_light_stay() -> None:
    pictures = scene(LONG) + row_offsets(6, LONG) + white(4, LONG)
    pictures[:, :, :12], pictures[:, :6] = 0, 1
    out, said = corrected(gray(pictures))
    assert said
    for one in values(out):
        assert not one[9:, :9].any()
        assert (one[:4, 16:] == 1).all()


def test_a_cut_begins_anew() -> None:
    first, second = scene(6) * 0.6, scene(6, (0, 1), seed=9)[:, ::-1]
    clean = np.concatenate([first, second])
    frames = gray(clean + row_offsets(6, LONG) + white(4, LONG))
    whole, _ = corrected(frames)
    alone, _ = corrected(frames[:6])
    for one, other in zip(whole, alone, strict=False):
        np.testing.assert_array_equal(one.planes[0], other.planes[0])
    assert uneven(whole[6:], second) < 0.5 * uneven(frames[6:], second)


def test_copies_get_their_originals_result() -> None:
    frames = [
        replace(one, pts=2 * one.pts + more)
        for one in gray(scene(LONG) + row_offsets(6, LONG))
        for more in (0, 1)
    ]
    out, said = corrected(frames)
    assert said
    assert all(one.planes[0] is two.planes[0] for one, two in zip(out[::2], out[1::2], strict=True))
    assert [frame.pts for frame in out] == [frame.pts for frame in frames]


def test_chroma_without_lines_keeps_its_samples() -> None:
    luma = np.rint(255 * np.clip(scene(LONG) + row_offsets(6, LONG), 0, 1)).astype(np.uint8)
    chroma = np.random.default_rng(0).integers(90, 160, (LONG, 2, 48, 72)).astype(np.uint8)
    frames = [
        Frame(planes=(y, *uv), layout=YUV8, pts=t)
        for t, (y, uv) in enumerate(zip(luma, chroma, strict=True))
    ]
    out, said = corrected(frames)
    assert said
    for before, after in zip(frames, out, strict=True):
        assert not np.array_equal(before.planes[0], after.planes[0])
        for plane, same in zip(before.planes[1:], after.planes[1:], strict=True):
            np.testing.assert_array_equal(plane, same)


@pytest.mark.parametrize("kind", ["rows", "columns"])
def test_a_mosaics_lines_are_those_of_its_sensor(kind: str) -> None:
    """A line of the sensor holds two colours, which share its offset."""
    big, fine = np.ones((2, 2)), np.random.default_rng(4)
    clean = 240 + 1500 * np.kron(scene(8), big) + 3000 * np.kron(white(3, 8), big)
    clean += 30 * fine.standard_normal(clean.shape)
    shape = (8, clean.shape[1], 1) if kind == "rows" else (1, 1, clean.shape[2])
    offsets = np.random.default_rng(3).normal(0, 60, shape)
    frames = [
        Frame(planes=(np.rint(one).astype(np.uint16),), layout=MOSAIC, pts=t)
        for t, one in enumerate(clean + offsets)
    ]
    out, said = corrected(frames)
    assert said
    assert out[0].planes[0].shape == frames[0].planes[0].shape
    left = np.stack([one.planes[0] for one in out]) - clean
    left = left.mean(2) if kind == "rows" else left.mean((0, 1))
    assert left.std() < 0.45 * offsets.std()


def test_half_the_strength_takes_out_half_of_the_lines() -> None:
    frames = gray(scene(LONG) + row_offsets(6, LONG) + white(2, LONG))
    half, whole = (corrected(frames, strength=share)[0] for share in (0.5, 1.0))
    inside = np.abs(values(frames) - 0.5) < 0.4
    apart = values(half) - (values(frames) + values(whole)) / 2
    assert np.abs(apart[inside]).max() <= 1.01 / 255
