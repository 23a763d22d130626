"""Row noise, bands and column noise are found where they are, and nowhere else."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from f2rcli.noise.hum.views import Cut, View, middle
from f2rcli.noise.measurement import lines as measured
from f2rcli.noise.measurement.agreement import Agreement, destriped
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.lines import (
    LineNoise,
    Lines,
    _differences,
    _of_group,
    _Votes,
    find_lines,
)
from tests.noise.line_scenes import COUNT, SIZE, bands, column_offsets, row_offsets, scene, white

JOINED = [True] * (COUNT - 1)


def found(pictures: np.ndarray, joined: list[bool] = JOINED) -> LineNoise | None:
    codes = np.rint(np.clip(pictures, 0, 1) * 255).astype(np.float32) / 255
    lines = find_lines([FramePlanes([one], one) for one in codes], joined, [(0,)])
    return None if lines is None else lines.groups[0]


@pytest.mark.parametrize("sigma8", [1.5, 6.0])
def test_the_offsets_of_rows_are_measured(sigma8: float) -> None:
    one = found(scene() + white(5) + row_offsets(sigma8))
    assert one is not None
    assert 255 * one.rows == pytest.approx(sigma8, rel=0.25)
    assert not one.columns


def test_bands_that_move_are_found() -> None:
    one = found(scene() + white(5) + bands(5))
    assert one is not None
    assert 255 * one.bands == pytest.approx(5, rel=0.4)


def test_columns_that_stay_are_found_where_the_scene_moves() -> None:
    one = found(scene() + white(5) + column_offsets(4))
    assert one is not None
    assert 255 * one.columns == pytest.approx(4, rel=0.3)
    assert not one.rows
    assert not one.bands


def test_columns_that_stay_look_like_a_scene_that_stays() -> None:
    assert found(scene(speed=(0, 0)) + white(5) + column_offsets(4)) is None


def flickering() -> np.ndarray:
    light = np.random.default_rng(4).normal(1, 0.1, (COUNT, 1, 1))
    return scene() * light * np.linspace(0.7, 1, SIZE[0])[:, None]


def letterboxed() -> np.ndarray:
    picture = scene() + white(8)
    picture[:, :16], picture[:, -16:] = 0, 0
    return picture


def woven() -> np.ndarray:
    """Two moments in every frame."""
    picture = scene(2 * COUNT)
    return np.where(np.arange(SIZE[0])[:, None] % 2, picture[1::2], picture[::2]) + white(3)


def blinds() -> np.ndarray:
    """Stripes across the whole width that shake."""
    shake = np.random.default_rng(5).normal(0, 0.7, (COUNT, 1, 1))
    return 0.5 + 0.3 * np.sin(2 * np.pi * (np.arange(SIZE[0])[:, None] + shake) / 7) + white(4)


def slats() -> np.ndarray:
    """Slats of four rows, no two as bright, across the whole width, that shake."""
    rows = np.repeat(np.random.default_rng(33).uniform(0.3, 0.9, SIZE[0] // 4 + 4), 4)
    rows[3::4] *= 0.5
    shown = [rows[8 + shake :][: SIZE[0], None] for shake in (0, 2, 0, 2, 1, 3)]
    return np.stack(shown) + 0.03 * (scene() - 0.5) + white(1)


def sheet(step: float = 0, zoom: float = 1, turn: float = 0) -> np.ndarray:
    """Thin lines across a sheet, as a camera shows it: each lies between rows."""
    fine = np.full((4 * SIZE[0], 4 * SIZE[1]), 0.8, np.float32)
    at = np.cumsum(np.random.default_rng(6).integers(12, 40, 13))
    fine[at], fine[at + 1] = 0.2, 0.2
    move = cv2.getRotationMatrix2D((2 * SIZE[1], 2 * SIZE[0]), turn, zoom)
    move[1, 2] += 4 * step
    how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT}
    shown = cv2.warpAffine(cv2.GaussianBlur(fine, (0, 0), 1.6), move, fine.shape[::-1], **how)
    return cv2.resize(shown, SIZE[::-1], interpolation=cv2.INTER_AREA)


def sheets(kind: str) -> np.ndarray:
    """In a hand that trembles by 0.3 rows, comes nearer, or turns."""
    if kind == "zoom":
        return np.stack([sheet(zoom=1 + 0.015 * time) for time in range(COUNT)]) + white(1)
    waves = np.sin(2.1 * np.arange(COUNT))
    return np.stack([sheet(**{kind: 0.4 * wave}) for wave in waves]) + white(1)


def streaks() -> np.ndarray:
    """Noise that neighbours in a row share."""
    noise = [cv2.GaussianBlur(one, (0, 0), sigmaX=5, sigmaY=0.01) for one in white(40)]
    return scene() + np.stack(noise)


CLEAN = {
    "clean": scene,
    "still": lambda: scene(speed=(0, 0)),
    "white noise": lambda: scene() + white(20),
    "flat": lambda: 0.5 + white(5),
    "flicker": lambda: flickering() + white(4),
    "fade": lambda: scene() * np.linspace(1, 0.3, COUNT)[:, None, None] + white(4),
    "letterbox": letterboxed,
    "interlaced": woven,
    "blinds": blinds,
    "slats": slats,
    "sheet trembles": lambda: sheets("step"),
    "sheet comes nearer": lambda: sheets("zoom"),
    "sheet turns": lambda: sheets("turn"),
    "streaks": streaks,
    "rows that stay": lambda: scene(speed=(0, 0)) + row_offsets(6, 1) + white(4),
    "dark": lambda: 0.01 * scene() + white(4),
}


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_else_is_taken_for_lines(name: str) -> None:
    assert found(CLEAN[name]()) is None


def filmed(wall: Callable[[np.ndarray], np.ndarray], step: float, zoom: float = 0) -> np.ndarray:
    """A wall of rows, before a camera that moves down by so much a frame, and comes nearer."""
    shown, rows = [], (np.arange(4 * 192) + 0.5) / 4
    across = 0.08 * np.sin(np.arange(256) / 9)
    for time in range(COUNT):
        place = (rows - 96) * (1 + zoom * time) + 116 + step * time
        fine = wall(place)[:, None] + across * np.cos(place / 5)[:, None]
        whole = cv2.resize(fine, (256, 192), interpolation=cv2.INTER_AREA)
        shown.append(cv2.GaussianBlur(whole, (0, 0), 0.5))
    return np.stack(shown)


def boards(height: float) -> Callable[[np.ndarray], np.ndarray]:
    """Siding, books: each board has its own brightness."""
    tones = np.random.default_rng(1).uniform(0.16, 0.86, 300)
    return lambda place: tones[(place / height).astype(int)]


def shutter(height: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda place: 0.24 + 0.47 * (place / height % 1 < 0.5)


@pytest.mark.parametrize(
    ("height", "step", "zoom"), [(4.3, 1.6, 0), (7.7, 0.3, 0), (7.7, 0, 0.008)]
)
def test_boards_across_the_picture_are_no_row_noise(
    height: float, step: float, zoom: float
) -> None:
    assert found(filmed(boards(height), step, zoom)) is None


@pytest.mark.parametrize(("height", "step"), [(5.3, 0.7), (9.2, 1.3), (12.4, 2.3)])
def test_a_shutter_that_passes_is_no_hum(height: float, step: float) -> None:
    assert found(filmed(shutter(height), step)) is None


def test_a_picture_on_a_wall_of_lamps_is_no_column_noise() -> None:
    lit = np.array([0, 1, 0.6, 0.6, 1])
    wall = np.outer(lit[np.arange(SIZE[0]) % 5], lit[np.arange(SIZE[1]) % 5])
    assert found(0.06 + 0.9 * wall * scene()) is None


def test_frames_are_not_compared_across_a_cut() -> None:
    other = np.concatenate([scene(3), scene(3, seed=9)])
    assert found(other + row_offsets(6), [True, True, False, True, True]) is not None
    assert found(other + row_offsets(6), [True, False, True, False, True]) is None


def test_few_frames_and_small_ones_say_nothing() -> None:
    striped = scene() + row_offsets(6)
    assert found(striped[:3], JOINED[:2]) is None
    assert found(striped[:, :32], JOINED) is None


def test_colours_share_their_offsets_or_have_their_own() -> None:
    clean = scene()[:, None] + np.stack([white(4, seed=s) for s in (11, 12, 13)], 1)
    own = np.stack([row_offsets(5, seed=s) for s in (21, 22, 23)], 1)
    for offsets, expected in ((own[:, :1], [(0, 1, 2)]), (own, [(0,), (1,), (2,)])):
        pictures = (clean + offsets).astype(np.float32)
        seen = [FramePlanes(list(one), one.mean(0)) for one in pictures]
        lines = find_lines(seen, JOINED, [(0, 1, 2)])
        assert lines is not None
        assert [one.planes for one in lines.groups] == expected


def test_what_was_found_is_named() -> None:
    rows, columns = (LineNoise((0,), *of) for of in ((6 / 255, 1 / 255, 0.0), (0.0, 0.0, 3 / 255)))
    assert Lines((rows,)).words() == "row noise 6.0 of 255 (standard deviations)"
    both = Lines((rows, columns))
    assert both.words() == "row noise 6.0, column noise 3.0 of 255 (standard deviations)"
    told = both.values()[0]
    assert told.pop("planes") == [0]
    assert told == pytest.approx(
        {"rows8": 6, "bands8": 1, "columns8": 0, "staying_rows8": 0, "turned": False}
    )
    turned = Lines((rows,), turned=True)
    assert turned.words() == (
        "column noise that is new in every frame 6.0 of 255 (standard deviations)"
    )
    assert turned.values()[0]["turned"]


def test_the_middle_of_large_frames_is_looked_at_on_all_grids_alike() -> None:
    luma = np.arange(301 * 501, dtype=np.float32).reshape(301, 501)
    chroma = luma[:300:2, :500:2]
    seen = middle(FramePlanes([luma, chroma], luma, chroma=True))
    assert seen.luma.shape == (256, 384)
    top, left = 4 * ((301 - 256) // 8), 4 * ((501 - 384) // 8)
    np.testing.assert_array_equal(seen.luma, luma[top : top + 256, left : left + 384])
    np.testing.assert_array_equal(seen.planes[0], seen.luma)
    np.testing.assert_array_equal(seen.planes[1], seen.luma[::2, ::2])
    assert seen.chroma
    small = middle(FramePlanes([luma[:60, :70]], luma[:60, :70]))
    np.testing.assert_array_equal(small.luma, luma[:60, :70])


@pytest.mark.parametrize(
    ("shared", "alone", "wanted"),
    [(0.61, 1.0, "shared"), (0.59, 1.0, "alone"), (0.0, 1.0, "shared"), (0.5, 0.5, "shared")],
)
def test_planes_share_what_their_mean_has_six_tenths_of(
    monkeypatch: pytest.MonkeyPatch, shared: float, alone: float, wanted: str
) -> None:
    """Of the variance of each; what none has in common is not looked for."""

    def told(_: object, group: tuple[int, ...], __: object) -> LineNoise:
        power = shared if len(group) > 1 else alone
        return LineNoise(group, (power / 2) ** 0.5, (power / 4) ** 0.5, (power / 4) ** 0.5)

    monkeypatch.setattr(measured, "_measured", told)
    found = [one.planes for one in _of_group([], (0, 2))]
    assert found == ([(0, 2)] if wanted == "shared" else [(0,), (2,)])
    assert [one.planes for one in _of_group([], (1,))] == [(1,)]


def vote(low: float, middle: float, alike: float) -> Agreement:
    """In codes: the quarter of covariances that is least, their median, the correlation."""
    low, middle = (np.sign(one) * (one / 255) ** 2 for one in (low, middle))
    return Agreement(low, middle, alike, np.ones(9), 0.45)


SURE_ONE, BLIND, FAINT, UNLIKE = (
    vote(1, 2, 0.5), vote(-1, 2, 0.5), vote(0.1, 0.39, 0.5), vote(1, 2, 0.19),
)  # fmt: skip


@pytest.mark.parametrize(
    ("votes", "is_open", "sigma"),
    [
        ([SURE_ONE] * 4, True, 2), ([SURE_ONE] * 3 + [BLIND], True, 2),
        ([SURE_ONE] * 2 + [BLIND] * 2, False, 0), ([SURE_ONE], True, 0),
        ([SURE_ONE] * 2 + [FAINT] * 2, True, None), ([SURE_ONE] + [FAINT] * 3, False, 0),
        ([SURE_ONE] * 3 + [UNLIKE], True, 2), ([UNLIKE] * 3, False, 0), ([UNLIKE] * 2, True, 0),
        ([vote(0.2, 0.41, 0.21)] * 4, True, 0.41), ([FAINT, SURE_ONE], True, None),
        ([FAINT] * 2, True, 0), ([SURE_ONE, BLIND], True, 0),
    ],
)  # fmt: skip
def test_three_of_four_triples_must_be_sure_of_lines_that_are_not_faint(
    votes: list[Agreement], is_open: bool, sigma: float | None
) -> None:
    found = _Votes(4, 0.75)
    found.seen = votes
    assert found.open == is_open
    if sigma is None:  # the median of their variances
        sigma = ((0.39**2 + 4) / 2) ** 0.5
    assert 255 * found.sigma == pytest.approx(sigma)


@pytest.mark.parametrize(("offset", "told"), [(0.3995, False), (0.4005, True)])
def test_offsets_of_less_than_four_tenths_of_a_code_are_faint(offset: float, told: bool) -> None:
    found = _Votes(4, 0.75)
    found.seen = [vote(0.1, offset, 0.5)] * 2
    assert (found.sigma > 0) == told


@pytest.mark.parametrize(
    ("moves", "told"), [((0.4, 0.9), False), ((0.9, -0.4), False), ((0.6, -0.6), True)]
)
def test_columns_are_looked_for_where_the_scene_moves_half_a_pixel_both_ways(
    moves: tuple[float, float], told: bool
) -> None:
    planes = [np.random.default_rng(i).random((64, 96)).astype(np.float32) for i in range(3)]
    view = View(*(Cut(FramePlanes([one], one)) for one in planes))
    flows = [np.zeros((64, 96, 2), np.float32) for _ in moves]
    for flow, move in zip(flows, moves, strict=True):
        flow[..., 0] = move
    vars(view)["flows"] = tuple(flows)
    assert (_differences(view, (0,), turned=True) is not None) == told
    assert _differences(view, (0,), turned=False) is not None


def test_a_grating_is_more_than_a_third_of_waves_shorter_than_twenty_rows() -> None:
    def seen(period: float, share: float, rows: int = 240) -> bool:
        places = np.arange(rows)
        wave = np.sin(2 * np.pi * places / period) * np.sqrt(2 * share)
        rest = np.random.default_rng(0).standard_normal((rows, 200)) * np.sqrt(1 - share)
        power = np.square(np.abs(np.fft.rfft(wave[:, None] + rest, axis=0))).mean(1)
        return measured._grating([Agreement(1.0, 1.0, 1.0, power, 0.45)])

    for period in (2.5, 6, 19):
        assert seen(period, 0.40)
        assert not seen(period, 0.30)
    assert seen(20, 0.40)
    for period in (240 / 11, 24):
        assert not seen(period, 0.9)  # those are broad bands
    for rows in (150, 171, 189, 208, 226):  # the first frequency that counts, and two before
        first = round((rows // 2) / 10)
        assert seen(rows / first, 0.9, rows)
        assert not seen(rows / (first - 2), 0.9, rows)
    assert not measured._grating([])


@pytest.mark.parametrize(
    ("rows", "bands", "columns", "scene", "wanted"),
    [((4, 4, 4), (1, 1, 1), (9, 9, 9), "", (2, 1, 3)),
     ((4, 4, 4), (-1, 0.01, 0.04), (0, 0, 0), "", (2, 0.5, 0)),  # a quarter, where it is less
     ((4, 4, 4), (9, 9, 9), (0, 0, 0), "grating", (0, 3, 0)),
     ((4, 0, 4, 4), (9, 9, 9, 9), (0, 0, 9, 9), "", (2, 3, 0)),  # three of four, and all
     ((0, 0, 4, 4), (9, 0, 9, 9), (9, 9, 9, 9), "", (0, 0, 3)),
     ((0, 0, 0, 0), (9, 9, 9, 9), (0, 9, 9, 9), "", (0, 3, 3)),
     ((4, 4, 4), (-1, -1, 0.04), (0, 0, 0), "", (2, 0.5, 0)),
     ((4, 4, 4), (9, 9, 9), (9, 9, 9), "grating", (0, 3, 0)),
     ((4, 4, 4), (9, 9, 9), (9, 9, 9), "few", (0, 0, 0)),  # edges along a few of them
     ((0, 0, 0), (9, 9, 9), (9, 9, 9), "few", (0, 3, 0)),
     ((4, 4, 4), (0, 0, 0), (9, 9, 9), "rows of light", (0, 0, 3)),
     ((4, 4, 4), (1, 1, 1), (9, 9, 9), "columns of light", (2, 1, 0))],
)  # fmt: skip
def test_lines_are_what_triples_of_frames_agree_on(
    monkeypatch: pytest.MonkeyPatch,
    rows: tuple[float, ...],
    bands: tuple[float, ...],
    columns: tuple[float, ...],
    scene: str,
    wanted: tuple[float, float, float],
) -> None:
    """Variances of 1/255 that each tells; what is no more than 0 is not sure."""
    asked = []

    def differences(view: int, group: tuple[int, ...], *, turned: bool) -> tuple[int, bool]:
        asked.append((view, turned))
        assert group == (0, 2)
        return view, turned

    def agreement(view: int, turned: bool, *, broad: bool) -> Agreement:
        assert not (turned and broad)
        told = (columns if turned else bands if broad else rows)[view] / 255**2
        spectrum = np.ones(121)
        spectrum[40] = 1000.0 if scene == "grating" and not broad else 1.0
        return Agreement(told, told, 0.9, spectrum, 0.24 if scene == "few" else 0.26)

    monkeypatch.setattr(measured, "_differences", differences)
    monkeypatch.setattr(measured, "agreement", agreement)
    monkeypatch.setattr(measured, "shaken", lambda *_: False)
    monkeypatch.setattr(measured, "hum_of", lambda *_: (0.0, 0.0))
    monkeypatch.setattr(measured, "_stay", lambda *_: True)
    monkeypatch.setattr(measured, "of_light", lambda *_: False)
    light = {"rows of light": False, "columns of light": True}.get(scene)
    monkeypatch.setattr(measured, "lines_of_light", lambda *_, turned: turned is light)
    found = measured._measured(range(len(rows)), (0, 2))  # type: ignore[arg-type]
    assert found.planes == (0, 2)
    assert 255 * np.array([found.rows, found.bands, found.columns]) == pytest.approx(wanted)
    assert len(asked) == len(set(asked))
    count = len(columns)  # once more than a quarter see nothing, no more are asked
    blind = np.cumsum([one <= 0 for one in columns])
    known = int(np.count_nonzero(blind <= count / 4))
    assert [view for view, turned in asked if turned] == list(range(min(known + 1, count)))


@pytest.mark.parametrize(("bands", "told"), [(2.9, False), (3.1, True)])
def test_bands_are_named_that_are_more_than_half_of_row_noise(bands: float, told: bool) -> None:
    words = Lines((LineNoise((0,), 6 / 255, bands / 255, 0.0),)).words()
    assert (f"moving bands {bands}" in words) == told


@pytest.mark.parametrize("turned", [False, True])
def test_pieces_are_of_what_a_frame_differs_by_from_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    """Of the mean of planes; rows are looked at without their offsets, columns as they are."""
    planes = np.random.default_rng(6).random((3, 2, 64, 96)).astype(np.float32)
    planes += np.random.default_rng(7).random((3, 1, 64, 1)).astype(np.float32)
    view = View(*(Cut(FramePlanes(list(one), one[0])) for one in planes))
    flows = [np.full((64, 96, 2), move, np.float32) for move in ((2, 1), (-3, 0))]
    vars(view)["flows"] = tuple(flows)
    monkeypatch.setattr(measured, "pieces", lambda *given: given)
    told = _differences(view, (0, 1), turned=turned)
    assert told is not None
    before, centre, after = planes.mean(1)
    rows, columns = np.mgrid[:64, :96]
    for found, near, (x, y) in zip(told[1], (before, after), ((2, 1), (-3, 0)), strict=True):
        there = near[np.clip(rows + y, 0, 63), np.clip(columns + x, 0, 95)]
        np.testing.assert_allclose(found.T if turned else found, centre - there, atol=1e-6)
    wanted = centre.T if turned else destriped(centre)
    np.testing.assert_allclose(told[0], wanted, atol=1e-6)
    assert np.abs(destriped(centre) - centre).max() > 0.1
