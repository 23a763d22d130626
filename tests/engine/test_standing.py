"""Rows and columns that stay are taken out of every frame, and out of nothing else."""

import numpy as np
import pytest

from f2rcli.engine.noise.lines import LineRemover, lines_of
from f2rcli.engine.standing.remover import AHEAD, LONGEST, StandingRemover, kept
from f2rcli.frames import Frame, Mosaic
from f2rcli.noise.measurement.lines import Lines
from f2rcli.sensor import bayer_layout
from tests.engine.conftest import GRAY8, to_frames
from tests.noise.standing_scenes import HEIGHT, WIDTH, filmed, offsets, still_life

COUNT = 10


def gray(pictures: np.ndarray) -> list[Frame]:
    return to_frames(pictures[:, None], GRAY8)


def values(frames: list[Frame]) -> np.ndarray:
    return np.stack([frame.planes[0].astype(float) / 255 for frame in frames])


def removed(pictures: np.ndarray, share: float = 1.0) -> tuple[Lines, np.ndarray]:
    frames = gray(pictures)
    lines = lines_of(frames[:6])
    assert lines is not None
    return lines, values(LineRemover(lines, share).alone(frames))


@pytest.mark.parametrize("speed", [0, 2])
@pytest.mark.parametrize("columns", [False, True])
def test_a_quarter_at_most_is_left_whether_the_scene_moves_or_not(
    columns: bool, speed: int
) -> None:
    shifts = [(-speed * time, -speed * time) for time in range(COUNT)]
    clean = np.stack([np.roll(still_life(), shift, (0, 1)) for shift in shifts])
    more = offsets(WIDTH, 8) if columns else offsets(HEIGHT, 8)[:, None]
    lines, out = removed(filmed(clean + more, count=COUNT))
    assert "column noise" in lines.words() if columns else "row noise that stays" in lines.words()
    left = (out - filmed(clean, count=COUNT)).mean(1 if columns else 2)
    assert left.std(1).max() < 0.25 * more.std()


def test_lines_are_followed_as_they_drift() -> None:
    """A thermal camera: a fifth of every offset is new in every frame."""
    rng, more = np.random.default_rng(1), [offsets(WIDTH, 6)]
    for _ in range(COUNT - 1):
        more.append(0.98 * more[-1] + rng.normal(0, 0.2 * 6 / 255, WIDTH))
    clean = filmed(still_life(), count=COUNT)
    _, out = removed(filmed(still_life() + np.stack(more)[:, None], count=COUNT))
    left = (out - clean).mean(1)
    assert left.std(1).max() < 0.3 * more[0].std()


def test_half_of_them_is_taken_out_at_half_strength() -> None:
    clean, more = filmed(still_life(), count=COUNT), offsets(WIDTH, 8)
    _, out = removed(filmed(still_life() + more, count=COUNT), 0.5)
    level = (out - clean).mean((0, 1))
    assert float(level @ more / (more @ more)) == pytest.approx(0.5, abs=0.06)


def test_a_shot_of_another_camera_is_left_alone_until_it_shows_lines_of_its_own() -> None:
    other = filmed(1 - still_life(9), count=COUNT)
    more = offsets(WIDTH, 8)
    first = filmed(still_life() + more, count=COUNT)
    lines = lines_of(gray(first)[:6])
    assert lines is not None
    out = values(LineRemover(lines).alone(gray(np.concatenate([first, other]))))
    np.testing.assert_allclose(out[COUNT:], other, atol=1e-6)
    new = offsets(WIDTH, 8, seed=20)
    third = filmed(1 - still_life(9) + new, count=COUNT)
    out = values(LineRemover(lines).alone(gray(np.concatenate([first, third]))))
    assert (out[COUNT:] - other).mean(1).std(1).max() < 0.3 * new.std()


def test_what_is_drawn_over_the_picture_stays() -> None:
    pictures = filmed(still_life() + offsets(WIDTH, 8), count=COUNT)
    pictures[:, :20], pictures[:, 60:90, 30:80] = 0, 1
    _, out = removed(pictures)
    assert not out[:, :17].any()
    assert (out[:, 63:87, 33:77] == 1).all()


def test_copies_get_their_originals_result() -> None:
    frames = gray(filmed(still_life() + offsets(WIDTH, 8)))
    lines = lines_of(frames)
    assert lines is not None
    runs = [[frame, frame] for frame in frames]
    for run in StandingRemover(lines.standing).corrected(runs):
        assert len(run) == 2
        assert run[0].planes[0] is run[1].planes[0]


def test_a_few_frames_are_held_and_no_more() -> None:
    frames = gray(filmed(still_life() + offsets(WIDTH, 8), count=2 * AHEAD))
    lines = lines_of(frames[:6])
    assert lines is not None
    taken = []
    source = ([taken.append(frame), frame][1:] for frame in frames)
    for done, _ in enumerate(StandingRemover(lines.standing).corrected(source), start=1):
        assert len(taken) - done <= AHEAD


def test_a_mosaics_columns_are_those_of_its_sensor() -> None:
    layout = bayer_layout(Mosaic(pattern="GRBG", black=(240.0,) * 4, white=(4095.0,) * 4), 12)
    rng = np.random.default_rng(3)
    clean = 240 + 3000 * np.kron(still_life(), np.ones((2, 2)))
    clean = clean + 30 * rng.standard_normal((6, *clean.shape))
    more = rng.normal(0, 120, clean.shape[2])
    frames = [
        Frame(planes=(np.rint(one).clip(0, 4095).astype(np.uint16),), layout=layout, pts=time)
        for time, one in enumerate(clean + more)
    ]
    lines = lines_of(frames)
    assert lines is not None
    assert [one.planes for one in lines.standing] == [(1, 2, 0, 3)]
    out = np.stack([one.planes[0] for one in LineRemover(lines).alone(frames)])
    assert (out - clean).mean((0, 1)).std() < 0.3 * more.std()


@pytest.mark.parametrize(
    ("drift", "least", "most"), [(0, 0.8, LONGEST), (1, 0.3, 0.5), (5, 0, 0.2)]
)
def test_frames_are_averaged_as_far_as_drift_allows(
    drift: float, least: float, most: float
) -> None:
    """With drift as strong as each frame's own errors the best share is 0.38."""
    rng = np.random.default_rng(4)
    walk = np.cumsum(drift * rng.normal(0, 1, (7, 2000)), 0)
    assert least <= kept(list(walk + rng.normal(0, 1, (7, 2000)))) <= most
    assert kept(list(walk[:3])) == LONGEST
