"""Lines and bands are taken out before anything else sees a frame; nothing else changes."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from f2rcli.engine import stream
from f2rcli.engine.noise import lines as lines_module
from f2rcli.engine.noise.lines import AHEAD, LineRemover, lines_of, remover_for
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.measurement.lines import LineNoise, Lines
from f2rcli.sensor import bayer_layout, to_planes
from tests.engine.conftest import GRAY8, RGB8, engine_for, to_frames
from tests.noise.line_scenes import bands, column_offsets, hum, row_offsets, scene, white

COUNT = 12
ROWS = Lines((LineNoise((0,), 6 / 255, 1.5 / 255, 0.0),))
YUV8 = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1))


def gray(pictures: np.ndarray) -> list[Frame]:
    return to_frames(pictures[:, None], GRAY8)


def corrected(frames: list[Frame], lines: Lines = ROWS, share: float = 1.0) -> list[Frame]:
    return LineRemover(lines, share).alone(frames)


def values(frames: list[Frame]) -> np.ndarray:
    return np.stack([frame.planes[0].astype(float) / 255 for frame in frames])


def left(frames: list[Frame], without: np.ndarray) -> float:
    """Of 255: what rows still have, beside a picture without offsets but with the same noise."""
    return 255 * float((values(frames) - without).mean(2).std())


@pytest.mark.parametrize("speed", [(0, 0), (1, 2)])
def test_a_tenth_of_every_rows_offset_is_left_and_little_is_added(speed: tuple[int, int]) -> None:
    clean, offsets = scene(COUNT, speed) + white(5, COUNT), row_offsets(6, COUNT)
    frames = gray(clean + offsets)
    lines = lines_of(frames[:6])
    assert lines is not None
    out = corrected(frames, lines)
    rows = (values(out) - clean).mean(2, keepdims=True)
    assert float((rows * offsets).sum() / np.square(offsets).sum()) < 0.1
    assert left(out, clean) < 0.3 * left(frames, clean)


def test_a_strobe_brings_no_bands() -> None:
    """Every other frame is dark. Bands of 1.4 of 255 were seen here, of 6.1 in a filmed clip."""
    lit = np.where(np.arange(6) % 2, 0.3, 1.0)[:, None, None]
    assert lines_of(gray(scene(6, (0, 0)) * lit + white(3, 6))) is None


def test_bands_are_seen_though_light_changes_by_a_third() -> None:
    lit = np.where(np.arange(6) % 2, 0.75, 1.0)[:, None, None]
    assert lines_of(gray(scene(6) * lit + white(5, 6) + hum(20, 5, 6))) is not None


def test_strong_offsets_on_a_slope_of_light_are_not_taken_for_motion() -> None:
    """Faint texture pans; the picture is much brighter at its bottom."""
    texture = (scene(COUNT, (0, 2)) - 0.5) / 20
    clean = 0.5 + texture + np.linspace(-0.3, 0.3, 96)[:, None] + white(5, COUNT)
    frames = gray(clean + row_offsets(12, COUNT))
    lines = Lines((LineNoise((0,), 12 / 255, 3 / 255, 0.0),))
    assert left(corrected(frames, lines), clean) < 0.25 * left(frames, clean)


def test_a_still_flat_picture_keeps_no_more_than_the_mean_of_the_frames_would() -> None:
    """The oracle: each frame could at best become the mean of itself and its references."""
    clean = np.full((COUNT, 96, 144), 0.5) + white(2, COUNT)
    out = corrected(gray(clean + row_offsets(6, COUNT)))
    for index, one in enumerate(values(out) - clean):
        seen = 1 + index + min(AHEAD, COUNT - 1 - index)
        assert 255 * one.mean(1).std() < 1.1 * 6 / seen**0.5


def test_bands_are_taken_out() -> None:
    clean = scene(COUNT) + white(5, COUNT)
    frames = gray(clean + bands(5, COUNT))
    lines = lines_of(frames[:6])
    assert lines is not None
    assert left(corrected(frames, lines), clean) < 0.4 * left(frames, clean)


def test_columns_are_taken_out() -> None:
    clean = scene(COUNT) + white(5, COUNT)
    frames = gray(clean + column_offsets(4))
    lines = lines_of(frames[:6])
    assert lines is not None
    before, after = (
        (values(one) - clean).mean((0, 1)).std() for one in (frames, corrected(frames, lines))
    )
    assert after < 0.35 * before


def test_footage_without_lines_is_not_harmed_when_it_is_forced() -> None:
    """At most 0.02 dB of the noisy picture's PSNR."""
    clean = scene(COUNT)
    frames = gray(clean + white(6, COUNT))
    forced = Lines((LineNoise((0,), 4 / 255, 2 / 255, 2 / 255),))
    before, after = (
        10 * np.log10(np.mean((values(one) - clean) ** 2))
        for one in (frames, corrected(frames, forced))
    )
    assert after - before < 0.02


def test_a_cut_begins_anew() -> None:
    first, second = scene(5) * 0.6, scene(7, (0, 1), seed=9)[:, ::-1]
    clean = np.concatenate([first, second])
    frames = gray(clean + row_offsets(6, COUNT) + white(4, COUNT))
    whole = corrected(frames)
    for part in (slice(0, 5), slice(5, None)):
        for one, alone in zip(whole[part], corrected(frames[part]), strict=True):
            np.testing.assert_array_equal(one.planes[0], alone.planes[0])


def test_lines_are_seen_on_both_sides_of_a_cut() -> None:
    shots = [scene(3), 1 - scene(3, seed=9)]
    noisy = np.concatenate(shots) + white(5, 6) + row_offsets(6, 6)
    lines = lines_of(gray(noisy))
    assert lines is not None
    assert 255 * lines.strongest("rows") == pytest.approx(6, rel=0.25)


@pytest.mark.parametrize("cut", [None, 1, 3])
def test_lines_that_stay_are_looked_for_in_the_first_shot(
    cut: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []

    def told(planes: Any, rows: Any, columns: Any) -> tuple[()]:
        looked.extend(round(255 * float(one[0].mean())) for one in planes)
        return ()

    monkeypatch.setattr(lines_module, "find_standing", told)
    rng = np.random.default_rng(3)
    looks = [rng.random((18, 32)).astype(np.float32) for _ in "ab"]
    seen = [looks[cut is not None and at >= cut] for at in range(5)]
    layout = PlaneLayout(family=Family.GRAY, bits=8, full_range=True)
    frames = [Frame(planes=(np.full((4, 4), at, np.uint8),), layout=layout) for at in range(5)]
    assert lines_module._standing(frames, seen) == ()
    assert looked == list(range(cut or 5))


def test_copies_get_their_originals_result_and_times_stay() -> None:
    frames = gray(scene(COUNT) + row_offsets(6, COUNT))
    runs = [[frame, frame] for frame in frames]
    out = list(LineRemover(ROWS).corrected(runs))
    assert [len(run) for run in out] == [2] * COUNT
    assert [run[0].pts for run in out] == [frame.pts for frame in frames]
    assert all(run[0].planes is run[1].planes for run in out)
    late = [one for frame in frames for one in ([frame], [replace(frame, pts=frame.pts)])]
    (first,), (again,), *_ = LineRemover(ROWS).corrected(late)
    assert again.planes is first.planes


def test_a_few_frames_are_held_and_no_more() -> None:
    taken = 0

    def frames() -> Iterator[list[Frame]]:
        nonlocal taken
        for frame in gray(scene(COUNT) + row_offsets(6, COUNT)):
            taken += 1
            yield [frame]

    for given, _ in enumerate(LineRemover(ROWS).corrected(frames()), start=1):
        assert taken == min(given + 6, COUNT)


@pytest.mark.parametrize(("times", "alike"), [(1.45, True), (1.55, False)])
def test_frames_whose_contrast_differs_by_half_are_not_lit_alike(times: float, alike: bool) -> None:
    look = np.random.default_rng(0).random((18, 32)).astype(np.float32)
    assert lines_module._as_lit(look, look * np.float32(times)) == alike
    assert lines_module._as_lit(look * np.float32(times), look) == alike


def test_the_frames_of_a_shot_are_those_up_to_a_cut_that_are_no_copies() -> None:
    def seen(code: int, look: int) -> Any:
        picture = np.random.default_rng(look).random((18, 32)).astype(np.float32)
        frame = Frame(planes=(np.full((4, 4), code, np.uint8),), layout=GRAY8)
        return SimpleNamespace(copies=[frame], look=picture)

    centre, copy, second, third, other, after = (
        seen(*each) for each in ((1, 0), (1, 0), (2, 0), (3, 0), (3, 9), (4, 0))
    )
    ahead = [copy, second, seen(2, 0), third, other, after]
    assert lines_module._of_shot(centre, ahead) == [second, third]
    assert lines_module._of_shot(centre, []) == []


def test_bars_and_clipped_light_stay() -> None:
    pictures = scene(COUNT) + row_offsets(6, COUNT) + white(4, COUNT)
    pictures[:, :, :24], pictures[:, :12] = 0, 1
    for one in values(corrected(gray(pictures))):
        assert not one[16:, :20].any()
        assert (one[:9, 28:] == 1).all()


def test_chroma_without_lines_keeps_its_samples() -> None:
    luma = np.rint(255 * np.clip(scene(COUNT) + row_offsets(6, COUNT), 0, 1)).astype(np.uint8)
    chroma = np.random.default_rng(0).integers(90, 160, (COUNT, 2, 48, 72)).astype(np.uint8)
    frames = [
        Frame(planes=(y, *uv), layout=YUV8, pts=t)
        for t, (y, uv) in enumerate(zip(luma, chroma, strict=True))
    ]
    lines = lines_of(frames[:6])
    assert lines is not None
    assert [group.planes for group in lines.groups] == [(0,)]
    for before, after in zip(frames, corrected(frames, lines), strict=True):
        assert before.planes[0].tobytes() != after.planes[0].tobytes()
        assert all(a is b for a, b in zip(before.planes[1:], after.planes[1:], strict=True)) or all(
            np.array_equal(a, b) for a, b in zip(before.planes[1:], after.planes[1:], strict=True)
        )


def test_planes_of_luma_and_chroma_have_lines_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    for name in ("find_lines", "find_columns"):
        monkeypatch.setattr(lines_module, name, lambda *given: asked.append(given[2]))
    planes = [np.zeros(size, np.uint8) for size in ((32, 32), (16, 16), (16, 16))]
    assert lines_of([Frame(planes=tuple(planes), layout=YUV8)]) is None
    assert lines_of(to_frames(np.zeros((1, 3, 32, 32)), RGB8)) is None
    assert lines_of(gray(np.zeros((1, 32, 32)))) is None
    each = ((0,), (1,), (2,)), ((0, 1, 2),), ((0,),)
    assert asked == [groups for groups in each for _ in "rc"]


def test_a_mosaics_rows_are_those_of_its_sensor() -> None:
    """A row of the sensor holds two colours, which share its offset."""
    layout = bayer_layout(Mosaic(pattern="GRBG", black=(240.0,) * 4, white=(4095.0,) * 4), 12)
    clean = (
        240
        + 1500 * np.kron(scene(8), np.ones((2, 2)))
        + 3000 * np.kron(white(3, 8), np.ones((2, 2)))
    )
    offsets = np.random.default_rng(3).normal(0, 60, (8, clean.shape[1], 1))
    frames = [
        Frame(planes=(np.rint(one).astype(np.uint16),), layout=layout, pts=t)
        for t, one in enumerate(clean + offsets)
    ]
    lines = lines_of(frames[:6])
    assert lines is not None
    assert [group.planes for group in lines.groups] == [(0, 1), (2, 3)]
    out = corrected(frames, lines)
    assert to_planes(out[0]).shape == to_planes(frames[0]).shape
    after = np.stack([one.planes[0] for one in out]) - clean
    assert after.mean(2).std() < 0.3 * offsets.std()


def test_a_share_takes_out_so_much() -> None:
    frames = gray(scene(COUNT) + row_offsets(6, COUNT))
    half, whole = (values(corrected(frames, share=share)) for share in (0.5, 1.0))
    inside = np.abs(values(frames) - 0.5) < 0.4
    apart = half - (values(frames) + whole) / 2
    assert np.abs(apart[inside]).max() <= 1.01 / 255


def test_runs_without_lines_pass_the_very_same_frames() -> None:
    frames = to_frames(np.repeat((scene(8) + white(5, 8))[:, None], 3, 1), RGB8)
    engine = engine_for(frames)
    begun = stream._begun(stream.unique(frames), engine)
    assert begun.remover is None
    assert [run[0] for run in [*begun.waiting, *begun.rest]] == frames
    assert not engine.notes


def test_the_note_says_what_was_taken_out() -> None:
    frames = to_frames(np.repeat((scene(8) + row_offsets(6, 8))[:, None], 3, 1), RGB8)
    engine = engine_for(frames)
    assert remover_for(frames[:6], engine) is not None
    assert len(engine.notes) == 1
    assert engine.notes[0].startswith("removed before anything else: row noise 5.")
    remover_for(frames[:6], engine)  # the other field
    assert len(engine.notes) == 1


@pytest.mark.parametrize(("strength", "share"), [(0.5, 0.5), (1.0, 1.0), (2.0, 1.0)])
def test_no_more_than_the_lines_is_taken_out(strength: float, share: float) -> None:
    frames = gray(scene(6) + row_offsets(6, 6))
    remover = remover_for(frames, engine_for(frames, strength=strength))
    assert remover is not None
    assert remover.share == share
    assert remover.fresh().share == share


def test_columns_are_known_before_the_first_frame_comes_out() -> None:
    clean = scene(COUNT) + white(2, COUNT)
    lines = Lines((LineNoise((0,), 0.0, 0.0, 6 / 255),))
    frames = gray(clean + column_offsets(6))
    first = values(corrected(frames, lines))[0] - clean[0]
    assert first.mean(0).std() < 0.5 * (values(frames)[0] - clean[0]).mean(0).std()


def on_side(pictures: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pictures.swapaxes(1, 2))


@pytest.mark.parametrize("kind", ["single", "hum"])
def test_columns_that_are_new_in_every_frame_are_taken_out_as_rows_are(kind: str) -> None:
    """Of a camera on its side, where the scene does not move across them."""
    clean = scene(COUNT, (0, 0)) + white(5, COUNT)
    more = row_offsets(6, COUNT) if kind == "single" else hum(20, 9, COUNT)
    frames = gray(on_side(clean + more))
    lines = lines_of(frames[:6])
    assert lines is not None
    assert lines.turned
    assert "row noise" not in lines.words()
    after, before = (
        float((values(one) - on_side(clean)).mean(1).std(1).mean())
        for one in (corrected(frames, lines), frames)
    )
    assert after < 0.3 * before


def test_a_mosaics_columns_are_those_of_its_sensor() -> None:
    layout = bayer_layout(Mosaic(pattern="GRBG", black=(240.0,) * 4, white=(4095.0,) * 4), 12)
    clean = 240 + 1500 * np.kron(scene(8, (0, 0)), np.ones((2, 2)))
    clean = clean + 45 * np.random.default_rng(4).standard_normal(clean.shape)
    offsets = np.random.default_rng(3).normal(0, 60, (8, 1, clean.shape[2]))
    frames = [
        Frame(planes=(np.rint(one).astype(np.uint16),), layout=layout, pts=t)
        for t, one in enumerate(clean + offsets)
    ]
    lines = lines_of(frames[:6])
    assert lines is not None
    assert [group.planes for group in lines.groups] == [(0, 3), (1, 2)]
    after = np.stack([one.planes[0] for one in corrected(frames, lines)]) - clean
    assert after.mean(1).std() < 0.3 * offsets.std()


def standing() -> dict[str, np.ndarray]:
    """What stands in a picture, by name: none of it is a sensor's."""
    rng, places = np.random.default_rng(6), np.arange(144)
    quiet, still = white(4), scene(speed=(0, 0))
    shake = rng.normal(0, 0.4, (6, 1, 1))
    near = np.isin(places[None, None] + 3 * np.arange(6)[:, None, None], np.arange(9, 250, 23))
    bars = 0.3 * rng.random(300)
    notes = np.stack([np.roll(bars, -6 * t)[:144] for t in range(6)])[:, None]
    return {
        "fence": 0.5 + 0.3 * (places % 9 < 3) + quiet,
        "blinds that shake": 0.5 + 0.3 * np.sin(2 * np.pi * (places + shake) / 9) + quiet,
        "posts before a still scene": np.where(near, 0.1, still) + quiet,
        "a pan": scene(speed=(0, 2)) + quiet,
        "a pan over a striped wall": 0.3 + quiet
        + np.stack([bars[4 * t :][:144] for t in range(6)])[:, None],
        "columns that stay": still + 0.02 * rng.standard_normal(144) + quiet,
        "a spectrogram that scrolls": 0.2 + notes * np.linspace(1, 0.2, 96)[:, None] + quiet,
        "text": still + 0.4 * (np.indices((96, 144)).sum(0) % 7 < 2) * (places > 70) + quiet,
    }  # fmt: skip


@pytest.mark.parametrize("name", standing())
def test_what_stands_in_a_picture_is_no_column_noise(name: str) -> None:
    assert lines_of(gray(standing()[name])) is None
