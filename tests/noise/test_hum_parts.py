"""How bands that are new in every frame are measured, part by part and by definition."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, sobel, uniform_filter

from f2rcli.noise.hum import hum as module
from f2rcli.noise.hum.guards import Apart, drawn, lit, traced
from f2rcli.noise.hum.hum import _left, agreed, apart_from, differences, hum_of
from f2rcli.noise.hum.views import middle
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.profiles import parted
from f2rcli.order import robust_sigma

Array = np.ndarray
RNG = np.random.default_rng


@pytest.mark.parametrize("size", [(300, 500), (256, 384), (263, 391), (264, 400), (90, 700)])
@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (1, 4)])
def test_of_large_pictures_the_middle_is_looked_at(
    size: tuple[int, int], cells: tuple[int, int]
) -> None:
    """As near to it as cells of chroma of four pixels allow."""
    luma = RNG(1).random(size).astype(np.float32)
    small = [-(-length // by) for length, by in zip(size, cells, strict=True)]
    chroma = RNG(2).random(small).astype(np.float32)
    found = middle(FramePlanes([luma, chroma], luma, chroma=True))
    kept = min(size[0], 256), min(size[1], 384)
    first = [
        max(at for at in range(0, length, 4) if at <= (length - part) / 2)
        for length, part in zip(size, kept, strict=True)
    ]
    (top, left), (rows, columns) = first, kept
    wanted = luma[top : top + rows, left : left + columns]
    np.testing.assert_array_equal(found.luma, wanted)
    np.testing.assert_array_equal(found.planes[0], wanted)
    down, across = cells
    np.testing.assert_array_equal(
        found.planes[1],
        chroma[
            top // down : top // down + rows // down,
            left // across : left // across + columns // across,
        ],
    )
    assert found.chroma


def agreed_by_definition(
    seen: list[Apart], broad: bool
) -> tuple[float, float, float, float, float]:
    """Pair by pair of pieces that are not side by side, in two or four blocks of rows."""
    apart = np.abs(np.subtract.outer(np.arange(8), np.arange(8))) > 1
    covariances, alike = [], []
    for one in seen:
        first, second = (
            np.array([parted(piece)[broad] for piece in side.T], float) for side in one[:2]
        )
        blocks = np.array_split(np.arange(first.shape[1]), 2 if broad else 4)
        every = first[:, None] * second[None]  # (8, 8, rows)
        parts = np.array([every[..., rows].mean(-1)[apart] for rows in blocks])
        power = np.sqrt(np.outer((first**2).mean(1), (second**2).mean(1)))[apart]
        covariances.append(parts.ravel())
        alike.append(parts.mean(0) / power)
    pooled = np.mean(covariances, axis=0)
    variance, correlation = np.median(pooled), float(np.median(np.mean(alike, axis=0)))
    shown = np.mean([np.median(one) > 0.05 * variance for one in covariances])
    low = np.quantile(pooled, 0.25)
    sure = low > 0 and variance >= (0.4 / 255) ** 2 and correlation >= 0.1 and shown >= 0.5
    return low, variance, correlation, shown, float(np.sqrt(variance)) if sure else 0.0


def test_what_frames_agree_on_is_by_definition() -> None:
    rng, told, opened = RNG(3), [], []
    for size in (0.3, 0.39, 0.41, 1.0):
        for noise in (0.2, 0.7, 2.0):
            for signs in ((1, 1, 1), (1, 0.02), (1, 0.01, 0), (1, -0.4)):
                for rows in (5, 30):
                    seen = []
                    for sign in signs:
                        band = np.sin(np.arange(96) / rows + rng.uniform(0, 6))[:, None]
                        band = band * 1.4 * size / 255
                        before, after = (
                            way * band + noise * size / 255 * rng.normal(0, 1, (96, 8))
                            for way in (1, sign)
                        )
                        both = (np.asarray(one, np.float32) for one in (before, after, before))
                        seen.append(Apart(*both))
                    for broad in (False, True):
                        found = agreed(seen, broad=broad)
                        wanted = agreed_by_definition(seen, broad)
                        assert (*found, found.sigma) == pytest.approx(wanted, rel=1e-4, abs=1e-10)
                        assert found.open == (wanted[0] > 0 or abs(wanted[2]) > 0.1)
                        told.append(found.sigma > 0)
                        opened.append(found.open)
    assert 10 < sum(told) < 100
    assert 20 < sum(opened) < len(opened) - 5


def test_bands_are_sure_from_four_tenths_of_a_code_on_that_half_of_the_frames_show() -> None:
    least = (0.4 / 255) ** 2
    sure = module.Agreed(1e-9, 1.001 * least, 0.1001, 0.5)
    assert sure.sigma == pytest.approx(0.4 / 255, rel=1e-3)
    for less in ({"low": 0}, {"middle": 0.999 * least}, {"correlation": 0.099}, {"shown": 0.49}):
        assert sure._replace(**less).sigma == 0


def test_what_light_and_shifts_explain_is_taken_out_by_least_squares() -> None:
    """The prior of a fade is 0.1 of the brightness, that of a shift 0.3 rows, each as large as all
    that is left would make it look by chance."""
    rng, rows, count = RNG(4), 60, 5
    for fade, shift, size in ((0.0, 0.0, 1.0), (0.2, 0.5, 0.2), (-0.1, 2.0, 0.05)):
        level, tilt = rng.uniform(0.1, 0.9, (2, rows, count))
        comb, across = (-1.0) ** np.arange(rows), np.linspace(-1, 1, count)
        apart = fade * level + shift * tilt * across + size * rng.normal(0, 1, (rows, 1))
        apart = apart - 0.5 * fade * level * comb[:, None]
        own = np.stack([np.ones(rows), np.arange(rows), comb], 1)

        def without(values: Array, own: Array = own) -> Array:
            return np.ravel(values - own @ np.linalg.lstsq(own, values, rcond=None)[0])

        known = [0.1 * level, 0.1 * level * comb[:, None], 0.3 * tilt, 0.3 * tilt * across]
        fit, left = np.stack([without(one) for one in known], 1), without(apart)
        doubt = (left @ left / left.size * count) ** 0.5 * np.eye(4)
        stacked = np.concatenate([fit, doubt]), np.concatenate([left, np.zeros(4)])
        wanted = (left - fit @ np.linalg.lstsq(*stacked, rcond=None)[0]).reshape(rows, count)
        given = (np.asarray(one, np.float32) for one in (apart, level, tilt))
        np.testing.assert_allclose(_left(*given), wanted, atol=2e-5)


@pytest.mark.parametrize("columns", [70, 161])
def test_differences_are_averaged_over_pieces_by_how_sure_each_pixel_is(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_left", lambda apart, level, tilt: np.stack([apart, level, tilt]))
    rng = RNG(5)
    scene = gaussian_filter(rng.normal(0, 1, (80, columns)), 3) + 0.5
    centre = scene + np.sin(np.arange(80) / 4)[:, None] / 50
    others = [0.02 * rng.normal(0, 1, scene.shape) + 0.01 * at for at in (1, 3)]

    def even(picture: Array) -> Array:
        return picture - picture.mean(1, keepdims=True) + picture.mean()

    soft = gaussian_filter(centre - sum(others) / 3, 1.2, truncate=5 / 1.2, mode="mirror")
    slope = sobel(soft, 0, mode="mirror") / 8
    level = even(soft)
    power = sum(sobel(level, axis, mode="mirror") ** 2 for axis in (0, 1)) / 64
    sigma = max(robust_sigma(even(others[0])), 0.5 / 255)
    weights = 1 / (sigma**2 + module.MATCHED * uniform_filter(power, 3, mode="mirror"))
    wide = columns // 8
    wanted = []
    for one in (*others, soft, slope):
        cuts = [np.s_[:, at * wide : (at + 1) * wide] for at in range(columns // wide)]
        wanted.append(
            np.stack([(one[cut] * weights[cut]).sum(1) / weights[cut].sum(1) for cut in cuts], 1)
        )
    given = [np.asarray(one, np.float32) for one in (centre, *others)]
    found: Any = apart_from(given[0], given[1:])
    np.testing.assert_allclose(found.before, [wanted[0], *wanted[2:]], atol=1e-4)
    np.testing.assert_allclose(found.after, [wanted[1], *wanted[2:]], atol=1e-4)
    np.testing.assert_allclose(found.level, wanted[2], atol=1e-4)


@pytest.mark.parametrize("turned", [False, True])
def test_a_frame_is_compared_with_its_neighbours_along_flow(
    turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows along that of pictures whose rows have equal means, columns along the plain one."""
    monkeypatch.setattr(module, "apart_from", lambda centre, others: (centre, *others))
    rng = RNG(6)
    planes = rng.random((3, 2, 30, 40)).astype(np.float32)
    cuts = [SimpleNamespace(mean=lambda group, own=own: own[list(group)].mean(0)) for own in planes]
    moves = [np.full((30, 40, 2), way, np.float32) for way in ((2, 0), (-1, 0), (0, 1), (0, -3))]
    view: Any = SimpleNamespace(
        centre=cuts[1], near=(cuts[0], cuts[2]), flows=moves[:2], even_flows=moves[2:]
    )
    found: Any = differences(view, (0, 1), turned=turned)
    before, centre, after = planes.mean(1)
    steps = ((0, 2), (0, -1)) if turned else ((1, 0), (-3, 0))
    wanted = [centre]
    for near, (down, across) in zip((before, after), steps, strict=True):
        rows, columns = np.mgrid[:30, :40]
        there = near[(rows + down).clip(0, 29), (columns + across).clip(0, 39)]
        wanted.append(centre - there)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other.T if turned else other, atol=1e-5)


def told(
    monkeypatch: pytest.MonkeyPatch, fine: Any, broad: Any, *, trace: float = 0.0, **guards: Any
) -> tuple[tuple[float, float], list[int]]:
    """What two views and one that is far away tell, and which were looked at."""
    looked: list[int] = []

    def at(view: Any, group: Any) -> int:
        looked.append(view.number)
        return view.number

    monkeypatch.setattr(module, "differences", at)
    monkeypatch.setattr(module, "agreed", lambda seen, *, broad: bands[broad])
    monkeypatch.setattr(module, "traced", lambda seen: trace)
    monkeypatch.setattr(module, "lit", lambda seen: guards.get("lit", False))
    monkeypatch.setattr(module, "slid", lambda views, group: guards.get("slid", False))
    bands, size = (fine, broad), guards.get("size", (48, 64))
    cut = SimpleNamespace(mean=lambda group: np.zeros(size))
    views: Any = [SimpleNamespace(number=number, centre=cut) for number in range(3)]
    return hum_of(views[:2], (0,), views[2:]), looked


def bands(middle: float, *, sure: bool = True) -> Any:
    return module.Agreed(middle if sure else -1.0, middle, 0.5 if sure else 0.0, 1.0)


def test_fine_and_broad_bands_are_told_where_frames_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    none = bands(0.0001, sure=False)
    for fine, broad, wanted in (
        (bands(0.0004), bands(0.0009), (0.02, 0.03)),
        (bands(0.0004), none, (0.02, 0)),
        (none, bands(0.0009), (0, 0.03)),
    ):
        found, looked = told(monkeypatch, fine, broad)
        assert found == pytest.approx(wanted)
        assert looked == [0, 1, 2]
    assert told(monkeypatch, none, none) == ((0, 0), [0, 1])  # those far away are not looked at
    both = bands(0.0004), bands(0.0009)
    assert told(monkeypatch, *both, lit=True)[0] == told(monkeypatch, *both, slid=True)[0] == (0, 0)
    assert told(monkeypatch, *both, trace=0.029)[0] == pytest.approx((0.02, 0.03))
    assert told(monkeypatch, *both, trace=0.031)[0] == (0, 0)
    for small in ((47, 64), (48, 63)):
        assert told(monkeypatch, *both, size=small) == ((0, 0), [])


def test_light_is_told_from_offsets_by_definition() -> None:
    """A regression of what pieces have more on what factors would give them; where brightness
    hardly differs, a twentieth of the band itself counts as doubt."""
    rng, found, wanted = RNG(7), [], []
    for share in np.linspace(-0.6, 0.6, 25):
        for contrast in (0.03, 0.2, 0.6):
            seen, shared, power = [], 0.0, 0.0
            for _ in range(3):
                level = rng.uniform(1 - contrast, 1, (40, 8)) * rng.uniform(0.002, 0.9)
                band = rng.normal(0, 1, (40, 1))
                factor = 1 + share * (level / level.mean(1, keepdims=True) - 1)
                sides = [band * factor + rng.normal(0, 0.1, (40, 8)) for _ in "ab"]
                seen.append(Apart(*(np.asarray(one, np.float32) for one in (*sides, level))))
                apart = sum(sides) / 2
                middle_of = np.median(apart, axis=1)
                for row, line in enumerate(apart):
                    mean = level[row].mean()
                    by_light = middle_of[row] * (level[row] - mean) / max(mean, 1 / 255)
                    shared += by_light @ (line - middle_of[row])
                    power += by_light @ by_light + 0.05**2 * 8 * middle_of[row] ** 2
            for most in (0.25, 0.5):
                wanted.append(abs(shared) > most * power)
                found.append(lit(seen, most))
    assert found == wanted
    assert 15 < sum(found) < len(found) - 15


def test_a_fifth_of_the_slope_of_the_middle_frame_is_traced() -> None:
    levels = [
        np.sin(np.arange(50) / period)[:, None] * np.linspace(0.5, 1.5, 8) for period in (2, 3, 9)
    ]
    seen = [Apart(one, one, np.asarray(one, np.float32)) for one in levels]
    slope = np.array([(np.sin((at + 1) / 3) - np.sin((at - 1) / 3)) / 2 for at in range(1, 49)])
    assert traced(seen) == pytest.approx(0.2 * slope.std(), rel=0.02)


def test_waves_that_the_mean_shows_far_more_strongly_are_drawn_by_definition() -> None:
    rng, found, wanted = RNG(8), [], []
    for stays in np.linspace(0, 2, 21):
        for period in (5.0, 15.0, 30.0):
            rows = np.arange(90)
            new = rng.normal(0, 0.5, (7, 1)) * np.cos(2 * np.pi * rows / period)
            lines = stays * np.sin(2 * np.pi * rows / period) + new + rng.normal(0, 0.05, (7, 90))
            shown = np.asarray(lines[..., None] + rng.normal(0, 1e-4, (7, 90, 4)), np.float32)
            cuts = [SimpleNamespace(mean=lambda group, own=own: own) for own in shown]
            views: Any = [
                SimpleNamespace(near=(cuts[at], cuts[at + 2]), centre=cuts[at + 1])
                for at in range(5)
            ]
            found.append(drawn(views, (0,)))
            window = 0.5 - 0.5 * np.cos(2 * np.pi * rows / 89)
            seen = [parted(cut.mean(0).mean(1))[0] * window for cut in cuts]
            apart = [seen[at] - (seen[at - 1] + seen[at + 1]) / 2 for at in range(1, 6)]
            power = [np.abs(np.fft.rfft(one)) ** 2 / 1.5 for one in apart]
            mean = np.abs(np.fft.rfft(np.mean(seen, axis=0))) ** 2
            own = np.mean(power, axis=0)
            waves = range(round(2 * 45 / 20), 46)  # of up to twenty rows
            three = [
                [sum(one[k] for k in (at - 1, at, at + 1) if k in waves) for at in waves]
                for one in (own, mean)
            ]
            wanted.append(three[1][int(np.argmax(three[0]))] > 10 * max(three[0]))
    assert found == wanted
    assert 5 < sum(found) < len(found) - 5
