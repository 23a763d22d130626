"""Change by brightness and the flattest place: what they show is what was done."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.measures.change import BLUR, FEW, STEP, ChangeMeter
from f2rcli.evaluation.result import CLEAN, NOISY, PlaneChange
from f2rcli.evaluation.visuals.flattest import SIDE, Flattest, unclamped
from f2rcli.frames import Family, Frame, Matrix, PlaneLayout

Planes = list[NDArray[np.float64]]
VIDEO = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)


def ramp(height: int = 96, width: int = 128) -> Planes:
    """Luma from 20 to 220, neutral chroma."""
    luma = np.tile(np.linspace(20, 220, width), (height, 1))
    return [luma, *(np.full((height // 2, width // 2), 128.0) for _ in range(2))]


def frame(planes: Planes, layout: PlaneLayout = VIDEO) -> Frame:
    kind = np.uint8 if layout.bits == 8 else np.uint16
    return Frame(planes=tuple(np.rint(p).astype(kind) for p in planes), layout=layout)


def frame_set(index: int = 0, **files: Frame) -> FrameSet:
    """`noisy`, `clean` and others by name."""
    names = {"noisy": NOISY, "clean": CLEAN}
    pictures = {name: yuv.to_rgb(file) for name, file in files.items()}
    return FrameSet(
        index,
        noisy=pictures.get("noisy"),
        reference=pictures.get("clean"),
        files={names.get(name, name): file for name, file in files.items()},
    )


def measured(noisy: Frame, estimate: Frame, clean: Frame | None = None) -> tuple[PlaneChange, ...]:
    meter = ChangeMeter("a")
    files = {"noisy": noisy, "a": estimate} | ({} if clean is None else {"clean": clean})
    meter.add(frame_set(**files), np.clip(yuv.to_rgb(estimate), 0, 1))
    return meter.finish()


def test_a_change_of_one_brightness_is_found_there_and_nowhere_else() -> None:
    before = ramp()
    after = [before[0] - 3.0 * (before[0] < 60), *before[1:]]
    luma, blue, red = measured(frame(before), frame(after))
    assert [plane.name for plane in (luma, blue, red)] == ["Y", "Cb", "Cr"]
    at, means = np.array(luma.brightness), np.array(luma.mean)
    near = 3 * BLUR * 200 / 128 + STEP  # brightness is smoothed
    assert means[at < 60 - near] == pytest.approx(-3)
    assert means[at > 60 + near] == pytest.approx(0)
    assert luma.moved is not None
    assert luma.moved[1] == pytest.approx(-3)
    assert blue.moved is None
    assert red.moved is None


def test_a_tint_is_found_in_its_plane() -> None:
    before = ramp()
    after = [before[0], before[1] + 2, before[2]]
    changes = measured(frame(before), frame(after))
    assert [plane.moved is not None for plane in changes] == [False, True, False]
    assert changes[1].mean == pytest.approx([2] * len(changes[1].mean))


def test_samples_below_black_count_as_the_file_has_them() -> None:
    before = [np.full((64, 64), 16.0), *(np.full((32, 32), 128.0) for _ in range(2))]
    after = [before[0] - 8, *before[1:]]
    luma, *_ = measured(frame(before), frame(after))
    assert luma.mean == pytest.approx([-8])


def test_taking_noise_out_moves_no_brightness() -> None:
    rng = np.random.default_rng(3)
    clean = ramp(192, 256)
    noisy = [plane + rng.normal(0, 8, plane.shape) for plane in clean]
    for plane in measured(frame(noisy), frame(clean)):
        assert plane.moved is None
        assert max(map(abs, plane.mean)) < 8 / np.sqrt(FEW) * 4
        assert np.mean(plane.spread) == pytest.approx(8, rel=0.05)


def test_with_a_reference_the_error_is_shown_instead() -> None:
    rng = np.random.default_rng(4)
    clean = ramp()
    noisy = [plane + rng.normal(0, 8, plane.shape) for plane in clean]
    luma, *_ = measured(frame(noisy), frame([clean[0] + 1, *clean[1:]]), frame(clean))
    assert luma.against == CLEAN
    assert luma.mean == pytest.approx([1] * len(luma.mean))
    assert luma.spread == pytest.approx([0] * len(luma.spread), abs=1e-6)


def test_ten_bits_are_told_in_codes_of_eight() -> None:
    before = ramp()
    deep = replace(VIDEO, bits=10)
    found = measured(frame([4 * p for p in before], deep), frame([4 * p + 6 for p in before], deep))
    assert found[0].mean == pytest.approx([1.5] * len(found[0].mean))


def test_other_planes_than_the_inputs_are_compared_as_pictures() -> None:
    before = frame(ramp())
    rgb = np.clip(np.rint(255 * yuv.to_rgb(before)), 0, 255)
    layout = PlaneLayout(family=Family.RGB, bits=8)
    found = measured(before, frame(list(rgb), layout))
    assert [plane.name for plane in found] == ["R", "G", "B"]
    assert all(plane.moved is None for plane in found)


def test_the_flattest_place_is_flat_and_was_changed() -> None:
    rng = np.random.default_rng(5)
    busy = np.kron(rng.uniform(40, 200, (16, 24)), np.ones((8, 8)))
    busy[:, :64] = 16  # a bar that is left alone
    busy[48:112, 120:184] = 90  # the flattest place of the picture
    noise = rng.normal(0, 4, busy.shape) * (busy != 16)
    chroma = [np.full((64, 96), 128.0)] * 2
    noisy, estimate = frame([busy + noise, *chroma]), frame([busy, *chroma])
    seen = frame_set(noisy=noisy, a=estimate)
    assert seen.noisy is not None
    flattest = Flattest()
    flattest.look(0, {NOISY: seen.noisy, "a": yuv.to_rgb(estimate)}, None)
    images = flattest.images()
    assert [image.method for image in images] == [NOISY, "a"]
    assert images[0].box == (120, 48, SIDE, SIDE)
    assert images[0].gain == images[1].gain > 4


def test_a_crushed_black_bar_is_the_flattest_place() -> None:
    sides = {NOISY: np.full((3, 128, 128), 0.5, np.float32)}
    sides[NOISY] += np.random.default_rng(6).normal(0, 0.02, (3, 128, 128)).astype(np.float32)
    sides[NOISY][:, :64] = 0
    sides["a"] = sides[NOISY].copy()
    sides["a"][:, 64:] = 0.5
    for crushed, top in ((False, 64), (True, 0)):
        if crushed:
            sides["a"][:, :64] = -0.03
        flattest = Flattest()
        flattest.look(0, sides, None)
        assert flattest.images()[0].box[1] == top


def test_a_place_of_one_luma_and_two_colours_is_not_flat() -> None:
    picture = np.full((3, 64, 192), 0.5, np.float32)
    picture[:, :, 96:] += np.linspace(0, 0.1, 96, dtype=np.float32)
    picture[:, :32, :96] += np.array([0.299, 0, -1], np.float32)[:, None, None] * 0.1
    picture[:, :32, :96] -= 0.1 * (0.299 * 0.299 - 0.114)
    flattest = Flattest()
    flattest.look(0, {NOISY: picture, "a": picture + 0.01}, None)
    assert flattest.images()[0].box[0] >= 96 - 32


def test_the_flattest_place_shows_what_lies_below_black() -> None:
    flat = [np.full((64, 64), 16.0), *(np.full((32, 32), 128.0) for _ in range(2))]
    noisy, crushed = frame(flat), frame([flat[0] - 8, *flat[1:]])
    seen = frame_set(noisy=noisy, a=crushed)
    shown = {NOISY: np.zeros((3, 64, 64), np.float32), "a": np.zeros((3, 64, 64), np.float32)}
    assert unclamped(seen, shown)["a"].mean() == pytest.approx(-8 / 219, rel=1e-3)


def test_frames_smaller_than_a_cell_have_no_flattest_place() -> None:
    flattest = Flattest()
    flattest.look(0, {NOISY: np.zeros((3, 5, 7), np.float32)}, None)
    assert flattest.images() == []
