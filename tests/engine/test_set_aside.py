"""One hot sample, fill value or NaN stays where it is: nothing else of the clip feels it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from f2rcli import weights
from f2rcli.evaluation.noise import measure_noise
from f2rcli.frames import Family, Frame, Mosaic, Plane, PlaneLayout
from f2rcli.yuv import bayer_layout
from tests.engine.conftest import clean_clip, denoised, engine_for, estimate_noise, info_of

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")

FRAMES, HEIGHT, WIDTH = 3, 64, 80
SIGMA = 0.04  # of what 1 means in `KINDS`
AWAY = 0.15  # of the noise, root mean square; one code more at one sample makes up to 0.05
PLACE = (31, 31)
BOX = np.s_[26:36, 26:40]
AROUND = np.s_[14:48, 14:52]

RAW = bayer_layout(Mosaic(pattern="GBRG", black=(64.0,) * 4, white=(4095.0,) * 4), 12)
KINDS = {  # layout, dtype, the codes of 0 and 1, planes, the code of a hot sample
    "gray8": (PlaneLayout(family=Family.GRAY, bits=8), "u1", (0, 255), 1, 255),
    "gray10": (PlaneLayout(family=Family.GRAY, bits=10), "u2", (0, 1023), 1, 1023),
    "rgb8": (PlaneLayout(family=Family.RGB, bits=8), "u1", (0, 255), 3, 255),
    "rgb float": (PlaneLayout(family=Family.RGB, bits=32), "f4", (0, 1), 3, 50),
    "mosaic": (RAW, "u2", (64, 1000), 1, 4095),
    "stack 16": (
        PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 600.0)), "u2", (100, 500), 1, 65535,
    ),
    "stack float": (
        PlaneLayout(family=Family.GRAY, bits=32, levels=(0.0, 600.0)), "f4", (100, 500), 1, 65535,
    ),
}  # fmt: skip
FLOATS = ("rgb float", "stack float")
CASES = [
    *((kind, "hot in every frame") for kind in KINDS if kind != "gray8"),
    *((kind, "hot in one frame") for kind in ("gray8", "mosaic", "stack 16")),
    *((kind, "fill value") for kind in ("mosaic", "stack 16")),
    ("stack float", "NaN"), ("rgb float", "infinite"), ("rgb float", "-1e30"),
    ("stack float", "1e30 once"),
]  # fmt: skip


def noisy(kind: str) -> list[Frame]:
    layout, dtype, (zero, one), planes, _ = KINDS[kind]
    clean = 0.6 * clean_clip(FRAMES, HEIGHT, WIDTH)[:, :planes]
    values = clean + np.random.default_rng(7).normal(0, SIGMA, clean.shape)
    codes = zero + (one - zero) * values
    codes = codes.astype(dtype) if dtype == "f4" else np.rint(codes.clip(0, one * 2)).astype(dtype)
    return [Frame(planes=tuple(p), layout=layout, pts=t) for t, p in enumerate(codes)]


def damaged(kind: str, defect: str) -> list[Frame]:
    """The same with a defect in its first plane."""
    hot = KINDS[kind][4]
    where, value = {
        "hot in every frame": (PLACE, hot), "hot in one frame": (PLACE, hot),
        "fill value": (BOX, hot), "NaN": (BOX, np.nan), "infinite": (BOX, np.inf),
        "-1e30": (BOX, -1e30), "1e30 once": (PLACE, 1e30),
    }[defect]  # fmt: skip
    once = defect in ("hot in one frame", "1e30 once")
    frames = []
    for index, frame in enumerate(noisy(kind)):
        plane = frame.planes[0].copy()
        if not once or index == 2:
            plane[where] = value
        frames.append(replace(frame, planes=(plane, *frame.planes[1:])))
    return frames


def run(frames: list[Frame]) -> list[tuple[Plane, ...]]:
    return [frame.planes for frame in denoised(frames)[0]]


@cache
def undamaged(kind: str) -> list[tuple[Plane, ...]]:
    return run(noisy(kind))


@pytest.mark.parametrize(("kind", "defect"), CASES)
def test_a_defect_comes_back_or_is_repaired_and_felt_nowhere_else(kind: str, defect: str) -> None:
    frames, (zero, one) = damaged(kind, defect), KINDS[kind][2]
    away = np.ones((HEIGHT, WIDTH), bool)
    away[AROUND] = False
    apart = []
    for frame, sound, done, wanted in zip(
        frames, noisy(kind), run(frames), undamaged(kind), strict=True
    ):
        planted = frame.planes[0] != sound.planes[0]
        if kind == "mosaic" and defect.startswith("hot"):  # no other colour sees it: repaired
            off = done[0][planted].astype(float) - wanted[0][planted]
            assert np.abs(off).max(initial=0) < 3 * SIGMA * (one - zero)
        else:
            assert done[0][planted].tobytes() == frame.planes[0][planted].tobytes()
        for plane, its in zip(done, wanted, strict=True):
            assert np.isfinite(plane[np.isfinite(frame.planes[0])]).all()
            apart.append((plane.astype(float) - its)[away])
    assert np.sqrt(np.mean(np.square(apart))) < AWAY * SIGMA * (one - zero)


@pytest.mark.parametrize("kind", FLOATS)
def test_a_defect_moves_no_measurement_of_the_noise(kind: str) -> None:
    wanted, *found = (
        estimate_noise(iter(frames), info_of(frames), engine_for(frames))
        for frames in (noisy(kind), damaged(kind, "NaN"), damaged(kind, "-1e30"))
    )
    for model in found:
        np.testing.assert_allclose(model.sigma, wanted.sigma, rtol=0.05)


def test_the_noise_report_is_that_of_the_picture() -> None:
    frames = damaged("stack float", "NaN")
    report = measure_noise(frames, info_of(frames), engine_for(frames))
    assert report is not None
    assert np.isfinite(report.model.sigma).all()


def test_what_was_set_aside_is_noted_once() -> None:
    _, engine = denoised(damaged("rgb float", "hot in every frame"))
    assert [line for line in engine.found.notes if "hot" in line] == [
        "at most 1 outlier (hot or dead pixel) a picture, in 3 of 3 pictures: kept as stored"
    ]


@pytest.mark.parametrize(("kind", "value"), [("stack 16", 0), ("stack float", np.nan)])
def test_frames_of_a_stack_without_a_picture_are_passed_over(kind: str, value: float) -> None:
    """A channel that was recorded at every second time point, with nothing between."""
    frames = noisy(kind)
    nothing = np.full((HEIGHT, WIDTH), value, KINDS[kind][1])
    blank = replace(frames[0], planes=(nothing,))
    done = run([one for frame in frames for one in (frame, blank)])
    assert all(planes[0].tobytes() == nothing.tobytes() for planes in done[1::2])
    zero, one = KINDS[kind][2]
    for (plane,), (wanted,) in zip(done[::2], undamaged(kind), strict=True):
        apart = np.sqrt(np.mean(np.square(plane.astype(float) - wanted)))
        assert apart < AWAY * SIGMA * (one - zero)


def test_fields_keep_their_hot_samples() -> None:
    frames = [
        replace(frame, planes=((frame.planes[0] // 8 + 40).astype(np.uint8),))
        for frame in noisy("gray8")
    ]
    for frame in frames:
        frame.planes[0][PLACE] = 255
    done, _ = denoised(frames, interlaced=True)
    assert all(frame.planes[0][PLACE] == 255 for frame in done)
