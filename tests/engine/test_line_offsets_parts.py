"""The steps of estimating lines' offsets, each by its equation."""

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from f2rcli.engine.noise import line_offsets as module
from f2rcli.engine.noise.line_offsets import LineGroup, Reference, _sigma, _standing_out, relit
from f2rcli.noise.hum.hum import FADE
from f2rcli.noise.measurement.lines import LineNoise
from f2rcli.order import robust_sigma

Array = np.ndarray
RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 64, 96
STILL = np.zeros((HEIGHT, WIDTH, 2), np.float32)


def singles(values: Any) -> Array:
    return np.asarray(values, np.float32)


def blurred(values: Array, sigma: float) -> Array:
    """Down the rows, mirrored with the last one twice."""
    column = singles(values).reshape(len(values), -1)
    size = (1, 2 * round(3 * sigma) + 1)
    soft = cv2.GaussianBlur(column, size, sigmaX=1, sigmaY=sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(soft).reshape(np.shape(values))


def reference(worth: float, away: int = 1, *, past: bool = False) -> Reference:
    values, frames = singles(RNG.random((HEIGHT, WIDTH))), np.full((HEIGHT, WIDTH), worth)
    one = Reference(values, singles(frames), STILL, past, away)
    one.offset = singles(RNG.normal(0, 0.02, HEIGHT))
    one.variance = singles(RNG.uniform(1e-6, 1e-4, HEIGHT))
    return one


@pytest.mark.parametrize(("present", "hum"), [(1.0, False), (0.25, False), (0.25, True)])
def test_offsets_are_believed_as_far_as_others_have_their_own_and_match(
    monkeypatch: pytest.MonkeyPatch, present: float, hum: bool
) -> None:
    """Wiener: of rows and of bands by what is known of each, which is less by now."""
    rows, bands = 0.02, 0.01
    group = LineGroup(LineNoise((0,), rows, bands, 0.0, hum=hum), present=present)
    others = [reference(24, past=True), reference(1), reference(1, 2)]
    wanted, left = np.zeros(HEIGHT), np.zeros(HEIGHT)
    for broad, deviation in ((0, rows), (1, bands)):
        prior = deviation**2 * present
        weights = []
        for one in others:
            doubt = 2 * one.away * one.variance * (0.3 if broad else 1)
            weights.append(1 / (prior / one.worth.mean() + doubt))
        soft = [blurred(one.offset, 4) for one in others]
        parts = [s if broad else one.offset - s for one, s in zip(others, soft, strict=True)]
        total = 1 / prior + sum(weights)
        wanted += sum(w * part for w, part in zip(weights, parts, strict=True)) / total
        left = left if broad else 1 / total
    own, seen = singles(RNG.random((HEIGHT, WIDTH))), []

    def standing_out(level: Array, soft: str, sigma: float, variance: Array) -> Array:
        seen.append((soft, sigma))
        np.testing.assert_allclose(level, own - wanted[:, None], atol=1e-6)
        np.testing.assert_allclose(variance, left, rtol=1e-4)
        return np.full(HEIGHT, 0.5, np.float32)

    monkeypatch.setattr(module, "_standing_out", standing_out)
    found = group._rows(own, others, "soft", 0.07)  # type: ignore[arg-type]
    assert seen == [("soft", 0.07)]
    wanted += 0.5
    np.testing.assert_allclose(found, wanted - hum * wanted.mean(), atol=1e-6)


def test_rows_of_which_none_are_present_have_no_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_standing_out", lambda *_: np.full(HEIGHT, 0.5, np.float32))
    own = singles(RNG.random((HEIGHT, WIDTH)))
    none = LineGroup(LineNoise((0,), 0.02, 0.01, 0.0), present=0.0)
    assert not none._rows(own, [reference(1)], own, 0.1).any()
    broad = LineGroup(LineNoise((0,), 0.0, 0.01, 0.0), present=1.0)
    assert np.abs(broad._rows(own, [reference(1)], own, 0.1)).max() < 0.1


@pytest.mark.parametrize("scene", [0.0, 0.05])
def test_what_stands_out_counts_as_far_as_rows_explain_it(scene: float) -> None:
    """Of what is left open, beside four times its own variance or what the scene has more."""
    level = singles(0.02 * RNG.standard_normal((HEIGHT, 1)) + 0.01 * RNG.random((HEIGHT, WIDTH)))
    level[::2] += np.float32(scene)
    left = singles(RNG.uniform(1e-4, 4e-4, HEIGHT))
    soft = np.full_like(level, 0.5)
    weights = np.full((HEIGHT, WIDTH // 8), 8 / (0.01**2 + 1e-12), np.float32)
    pieces = level.reshape(HEIGHT, -1, 8).mean(2)
    offset, variance = module.standing_out(pieces, weights)
    offset = offset - blurred(offset, 4)
    more = max(float(np.mean(offset**2) - left.mean()), 0.0)
    wanted = offset * left / (left + np.maximum(4 * variance, more))
    np.testing.assert_allclose(_standing_out(level, soft, 0.01, left), wanted, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("worth", [1.0, 4.0])
def test_columns_are_learnt_by_how_sure_they_are(worth: float) -> None:
    """Kalman: of what columns differ by where the scene moves half a pixel across them at least;
    what is broader than 8 columns is the scene's. A hundredth of their variance is new."""
    columns = 0.02
    group = LineGroup(LineNoise((0,), 0.0, 0.0, columns))
    near = reference(worth)
    near.flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    near.flow[:40, :, 0] = -0.6
    near.flow[40:, :, 0] = 0.4
    own = singles(near.values + near.offset[:, None])
    pattern = singles(0.02 * RNG.standard_normal(WIDTH))
    own[:40] += pattern
    own[40:] += 9  # does not count
    group._learn(own, near, np.full_like(own, 1e8))
    assert group.columns is not None
    assert group.doubt is not None
    fine = pattern - blurred(pattern, 8)
    gain = 1 / (1 + 1 / worth)  # segments agree: no more doubt
    np.testing.assert_allclose(group.columns, gain * fine, atol=3e-4)
    drift = 0.01 * columns**2
    np.testing.assert_allclose(group.doubt, (1 - gain) * columns**2 + drift, rtol=0.1)
    before, doubt = group.columns, group.doubt
    group._learn(own + before, near, np.full_like(own, 1e8))
    again = doubt / (doubt + doubt / worth)
    np.testing.assert_allclose(group.columns - before, again * (fine + before - blurred(before, 8)),
                               atol=3e-4)  # fmt: skip


@pytest.mark.parametrize(("share", "doubt"), [(0.5, 0.0), (2.0, 0.0), (0.4, 0.5)])
def test_columns_fainter_than_they_were_measured_are_errors(share: float, doubt: float) -> None:
    """doubt, share: of the measured variance, which columns that are so doubtful do not have."""
    variance = 0.02**2
    group = LineGroup(LineNoise((0,), 0.0, 0.0, 0.02))
    assert group._across().tolist() == [0]
    pattern = RNG.standard_normal(WIDTH)
    group.columns = singles(pattern * (share * variance / np.mean(pattern**2)) ** 0.5)
    group.doubt = np.full(WIDTH, doubt * variance, np.float32)
    expected = group.columns * min(share / (1 - doubt), 1)
    np.testing.assert_allclose(group._across(), expected, rtol=1e-3)
    group.doubt[:] = 2 * variance  # nothing was known
    np.testing.assert_allclose(group._across(), group.columns)


def test_the_mean_of_the_past_is_worth_24_frames_and_lost_where_it_does_not_match() -> None:
    """Over 7x7 pixels, by four and a half deviations of the difference, and half a code."""
    sigma, own = 0.02, np.zeros((HEIGHT, WIDTH), np.float32)
    for frames, kept in ((4.0, 4.0), (24.0, 24.0), (25.0, 24.0), (0.1, 0.1)):
        most = sigma * (1 + 1 / max(frames, 0.3)) ** 0.5 / 7 * 4.5 + 0.5 / 255
        past = reference(frames, past=True)
        past.offset = np.full(HEIGHT, 0.1, np.float32)
        past.values = np.full((HEIGHT, WIDTH), -0.1, np.float32)
        past.values[:, :48] -= np.float32(1.02 * most)
        past.values[:, 48:] += np.float32(0.98 * most)
        group = LineGroup(LineNoise((0,), 0.02, 0.0, 0.0))
        group._remember(own, past, sigma)
        assert group.mean is not None
        assert group.worth is not None
        for part, worth in ((slice(0, 44), 0.3), (slice(52, None), kept)):
            np.testing.assert_allclose(group.worth[:, part], worth + 1, rtol=1e-5)
            wanted = past.values[:, part] * worth / (worth + 1)
            np.testing.assert_allclose(group.mean[:, part], wanted, rtol=1e-4)
    group._remember(own, None, sigma)
    assert group.mean is own
    assert (group.worth == 1).all()


def test_noise_is_half_of_what_pictures_differ_by_but_for_their_rows() -> None:
    """By the nearest frame, and by the last one's where the first is a mean of many; alone, by what
    pixels differ from those around them; half a code at least."""
    noise = singles(RNG.normal(0, 0.02, (4, HEIGHT, WIDTH)))
    own = noise[0] + singles(RNG.random((HEIGHT, 1)))
    first, last = reference(1), reference(1)
    first.values, last.values = noise[1], 2 * noise[2]
    assert _sigma(own, [first, last]) == pytest.approx(0.02, rel=0.06)
    assert _sigma(own, [last, first]) == pytest.approx(0.02 * 2.5**0.5, rel=0.06)
    first.worth = np.full_like(own, 1.01)
    assert _sigma(own, [first, last]) == pytest.approx(0.02 * 2.5**0.5, rel=0.06)
    left = 0.02 * (8 / 9) ** 0.5  # of white noise without the mean of nine
    assert _sigma(noise[3], []) == pytest.approx(left, rel=0.06)
    around = uniform_filter(noise[3].astype(float), 3, mode="mirror")
    assert _sigma(noise[3], []) == pytest.approx(robust_sigma(noise[3] - around), rel=1e-4)
    for others in ([], [first]):
        first.values = np.zeros_like(own)
        assert _sigma(np.zeros_like(own), others) == 0.5 / 255


@pytest.mark.parametrize("sure", [0.5, 1.0, 4.0])
def test_a_change_of_light_is_believed_as_far_as_pieces_tell_of_it(sure: float) -> None:
    """Beside a deviation of FADE that changes have: ridge regression."""
    values = np.repeat(singles(RNG.random((HEIGHT, WIDTH // 8))), 8, axis=1)
    apart = values - values.mean(1, keepdims=True)
    weight = sure / FADE**2 / np.square(apart).sum()
    found = relit(values, 1.2 * values, np.full_like(values, weight))
    np.testing.assert_allclose(found, values * (1 + 0.2 * sure / (sure + 1)), rtol=1e-3)


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize(
    ("rows", "bands", "columns"), [(0.0, 0.02, 0.0), (0.02, 0.0, 0.02), (0.0, 0.0, 0.02)]
)
def test_columns_are_learnt_by_two_others_and_rows_by_all(
    monkeypatch: pytest.MonkeyPatch, count: int, rows: float, bands: float, columns: float
) -> None:
    """Offsets of both are added, and those by which others differ are known by then."""
    learnt, asked = [], []
    group = LineGroup(LineNoise((0,), rows, bands, columns))
    others = [reference(1) for _ in range(count)]

    def of_rows(own: Array, references: Any, *_: Any) -> Array:
        asked.append(list(references))
        return np.arange(HEIGHT, dtype=np.float32)

    monkeypatch.setattr(LineGroup, "_learn", lambda _, own, one, weights: learnt.append(one))
    monkeypatch.setattr(LineGroup, "_rows", lambda _, *given: of_rows(*given))
    monkeypatch.setattr(LineGroup, "_compare", lambda *_: None)
    monkeypatch.setattr(LineGroup, "_across", lambda _: np.arange(WIDTH, dtype=np.float32))
    own = singles(RNG.random((HEIGHT, WIDTH)))
    for number, one in enumerate(others):
        one.values = own - np.float32(0.01 * (number + 1))
    found = group.offsets(seen(own), others)
    down = np.arange(HEIGHT) if rows or bands else np.zeros(HEIGHT)
    np.testing.assert_allclose(found, down[:, None] + np.arange(WIDTH))
    assert learnt == (others[:2] if columns else [])
    assert asked == ([others] if rows or bands else [])
    for number, one in enumerate(others):
        np.testing.assert_allclose(one.offset, 0.01 * (number + 1), rtol=1e-4)
    assert group.mean is not None


def seen(*planes: Array) -> Any:
    return SimpleNamespace(planes=list(planes), sized=lambda flow, shape: (flow, shape)[0])


def test_a_frame_is_expected_as_the_past_was_and_the_next_few_are() -> None:
    planes = singles(RNG.random((3, 2, HEIGHT, WIDTH)))
    group = LineGroup(LineNoise((0, 1), 0.02, 0.0, 0.02))
    group.columns = singles(RNG.random(WIDTH))
    centre, *others = (seen(*one) for one in planes)
    step = np.full((HEIGHT, WIDTH, 2), (1, 2), np.float32)
    future = list(zip(others, (STILL, step), strict=True))
    assert len(group.references(centre, STILL, [])) == 0  # nothing is known of the past
    group.mean, group.worth = singles(RNG.random((2, HEIGHT, WIDTH)))
    assert [one.away for one in group.references(centre, None, future)] == [1, 2]
    past, first, second = group.references(centre, step, future)
    assert (past.past, first.past, second.past) == (True, False, False)
    assert (past.away, first.away, second.away) == (1, 1, 2)
    np.testing.assert_allclose(past.values[:-2, :-1], group.mean[2:, 1:], atol=1e-6)
    np.testing.assert_allclose(past.worth[:-2, :-1], group.worth[2:, 1:], atol=1e-6)
    own = planes.mean(1) - group.columns
    np.testing.assert_allclose(first.values, own[1], atol=1e-6)
    np.testing.assert_allclose(second.values[:-2, :-1], own[2, 2:, 1:], atol=1e-6)
    assert (second.worth == 1).all()
    assert second.flow is step


@pytest.mark.parametrize(
    ("known", "low", "middle", "wanted"),
    [(-1.0, 1.0, 0.5, 0.5), (-1.0, 1.0, 3.0, 1.0), (-1.0, 0.0, 0.5, 0.0), (-1.0, 1.0, 0.019, 0.0),
     (-1.0, 1.0, 0.021, 0.021), (0.4, 1.0, 0.8, 0.5), (0.0, 1.0, 0.8, 0.2), (0.4, -1.0, 0.8, 0.3),
     (0.026, -1.0, 0.8, 0.0), (0.028, -1.0, 0.8, 0.021)],
)  # fmt: skip
@pytest.mark.parametrize("hum", [False, True])
@pytest.mark.parametrize("rows", [0.0, 0.02])
def test_a_quarter_of_what_each_frame_shows_of_its_rows_is_news(
    monkeypatch: pytest.MonkeyPatch,
    known: float, low: float, middle: float, wanted: float, hum: bool, rows: float,
) -> None:  # fmt: skip
    """As a share of the variance that was measured; waves begin as that, and others unseen."""
    group = LineGroup(LineNoise((0,), rows, 0.02, 0.0, hum=hum), present=known)

    def told(*_: Any, broad: bool) -> Any:
        assert broad == (not rows)
        return SimpleNamespace(low=low, middle=middle * 0.02**2)

    monkeypatch.setattr(module, "pieces", lambda *_: ())
    monkeypatch.setattr(module, "agreement", told)
    monkeypatch.setattr(module, "agreed", told)
    own = singles(RNG.random((HEIGHT, WIDTH)))
    group._compare(own, own, [reference(1)] * 3)
    if hum and known < 0:
        wanted = 1 + (min(middle, 1) * (low > 0) - 1) / 4
    assert group.present == pytest.approx(wanted)


def test_one_other_frame_tells_nothing_of_rows() -> None:
    own = singles(RNG.random((HEIGHT, WIDTH)))
    for hum, known, wanted in ((False, -1, 0), (False, 0.5, 0.5), (True, -1, 1), (True, 0.5, 0.5)):
        group = LineGroup(LineNoise((0,), 0.02, 0.0, 0.0, hum=hum), present=known)
        group._compare(own, own, [reference(1)])
        assert group.present == wanted


def test_waves_are_looked_for_between_the_first_and_each_of_three_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs: list[tuple[float, float]] = []

    def apart(own: Array, others: list[Array]) -> None:
        pairs.append(tuple(float(one[0, 0]) for one in others))  # type: ignore[arg-type]

    monkeypatch.setattr(module, "apart_from", apart)
    monkeypatch.setattr(module, "agreed", lambda *_, broad: SimpleNamespace(low=1.0, middle=1.0))
    own, others = np.zeros((HEIGHT, WIDTH), np.float32), [reference(1) for _ in range(6)]
    for number, one in enumerate(others):
        one.values = np.full_like(own, -number)
    LineGroup(LineNoise((0,), 0.02, 0.0, 0.0, hum=True))._compare(own, own, others)
    assert pairs == [(0, 1), (0, 2), (0, 3)]
