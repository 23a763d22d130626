"""Bands that are new in every frame are taken out; light that changes stays as it is."""

import numpy as np
import pytest

from f2rcli.engine.noise.line_offsets import relit
from f2rcli.engine.noise.lines import LineRemover, lines_of
from f2rcli.frames import Frame
from f2rcli.noise.measurement.lines import LineNoise, Lines
from tests.engine.conftest import GRAY8, to_frames
from tests.noise.line_scenes import hum, scene, white

COUNT = 10


def gray(pictures: np.ndarray) -> list[Frame]:
    return to_frames(pictures[:, None], GRAY8)


def rows(frames: list[Frame], without: np.ndarray) -> np.ndarray:
    """What the means of rows are off by, of 255."""
    shown = np.stack([frame.planes[0].astype(float) for frame in frames])
    return np.asarray((shown - 255 * without).mean(2))


def uneven(apart: np.ndarray) -> float:
    return float(np.sqrt(apart.var(1).mean()))


@pytest.mark.parametrize(("period", "speed"), [(8, (0, 0)), (20, (1, 2)), (60, (1, 2))])
def test_less_than_a_third_of_a_hum_is_left_after_ten_frames(
    period: float, speed: tuple[int, int]
) -> None:
    clean = scene(COUNT, speed) + white(5, COUNT)
    frames = gray(clean + hum(period, 8, COUNT))
    lines = lines_of(frames[:6])
    assert lines is not None
    out = LineRemover(lines).alone(frames)
    assert uneven(rows(out, clean)) < 0.33 * uneven(rows(frames, clean))


@pytest.mark.parametrize("kind", ["factor", "offset", "fade"])
def test_light_that_changes_beside_a_hum_stays(kind: str) -> None:
    rng = np.random.default_rng(8)
    light = {
        "factor": lambda: scene(COUNT, (0, 0)) * rng.normal(1, 0.06, (COUNT, 1, 1)),
        "offset": lambda: scene(COUNT, (0, 0)) + rng.normal(0, 0.04, (COUNT, 1, 1)),
        "fade": lambda: scene(COUNT, (0, 0)) * np.linspace(1, 0.7, COUNT)[:, None, None],
    }[kind]()
    clean = light + white(3, COUNT)
    frames = gray(clean + hum(60, 6, COUNT))
    known = Lines((LineNoise((0,), 0.0, 4 / 255, 0.0, hum=True),))
    left = rows(LineRemover(known).alone(frames), clean)
    assert np.abs(left.mean(1) - rows(frames, clean).mean(1)).max() < 0.1
    assert uneven(left) < 0.4 * uneven(rows(frames, clean))


def test_frames_that_hum_no_more_are_let_alone_after_a_few() -> None:
    clean = scene(24, (0, 0)) + white(3, 24)
    bands = hum(40, 6, 24)
    bands[8:] = 0
    frames = gray(clean + bands)
    known = Lines((LineNoise((0,), 0.0, 4 / 255, 0.0, hum=True),))
    remover = LineRemover(known)
    out = [copies[0] for copies in remover.corrected([frame] for frame in frames)]
    assert remover.groups[0].present < 0.1
    assert uneven(rows(out, clean)[20:]) < 0.3


def test_a_picture_is_relit_by_what_lies_beside_each_other() -> None:
    picture = np.asarray(scene(1)[0], np.float32)
    weights = np.full_like(picture, 255**2)
    own = picture * 1.08 + np.asarray(hum(30, 20, 1)[0], np.float32)
    np.testing.assert_allclose(relit(picture, own, weights), picture * 1.08, rtol=0.01)
    flat = np.full_like(picture, 0.5)  # nothing beside each other tells
    np.testing.assert_array_equal(relit(flat, flat * np.float32(1.1), weights), flat)
