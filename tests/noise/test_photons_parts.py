"""What photon lines are made of, and which of them are believed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from f2rcli.noise.model import NoiseModel
from f2rcli.noise.photons import line as measured
from f2rcli.noise.photons.line import (
    PhotonLine,
    _classified,
    _fitted,
    _rounded,
    _surer,
    counted_model,
    photon_line,
)

Array = np.ndarray
LINE = PhotonLine(gain=2.0, error=0.1, middle=50.0, level=8.0, dark=48.0)
FRAMES = [np.zeros((32, 32), np.float32)] * 3


def told(monkeypatch: pytest.MonkeyPatch, fine: PhotonLine | None, flat: PhotonLine | None) -> None:
    lines = {"_fine": fine, "_flat": flat}
    monkeypatch.setattr(measured, "_line", lambda _, powers: lines[powers.__name__])
    monkeypatch.setattr(measured, "one_by_one", lambda *_: None)


@pytest.mark.parametrize(("photons", "flat"), [(2.99, True), (3.01, False)])
def test_whole_blocks_are_asked_of_less_than_three_photons(
    monkeypatch: pytest.MonkeyPatch, photons: float, flat: bool
) -> None:
    fine = replace(LINE, level=4 * photons)
    other = replace(LINE, dark=40.0)
    told(monkeypatch, fine, other)
    assert photon_line(FRAMES) is (other if flat else fine)
    told(monkeypatch, fine, None)
    assert photon_line(FRAMES) is fine
    told(monkeypatch, None, other)
    assert photon_line(FRAMES) is None


@pytest.mark.parametrize(("apart", "moved"), [(0.99, False), (-0.99, False), (1.01, True)])
def test_what_moves_makes_lines_differ_by_two_standard_errors(
    monkeypatch: pytest.MonkeyPatch, apart: float, moved: bool
) -> None:
    fine, flat = replace(LINE, error=0.3), replace(LINE, gain=2 + apart, error=0.4)
    told(monkeypatch, fine, flat)
    assert photon_line(FRAMES) is (fine if moved else flat)


@pytest.mark.parametrize(
    ("fine", "flat", "moved"),
    [(True, False, False), (True, True, True), (False, True, True), (False, False, True)],
)
def test_nothing_moves_where_the_shape_of_noise_denies_the_finest_band_alone(
    monkeypatch: pytest.MonkeyPatch, fine: bool, flat: bool, moved: bool
) -> None:
    lines = replace(LINE, denied=fine), replace(LINE, gain=3.0, denied=flat)
    told(monkeypatch, *lines)
    assert photon_line(FRAMES) is lines[0 if moved else 1]


def test_a_gain_that_may_be_anything_below_is_as_unsure_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far from it as what is spread evenly from 0 to it, root mean square."""
    below = np.linspace(0, 2, 100_001)
    told(monkeypatch, LINE, LINE)
    monkeypatch.setattr(measured, "one_by_one", lambda _, gain: False if gain == 2 else None)
    found = photon_line(FRAMES)
    assert found is not None
    assert found.rounded == pytest.approx(np.square(2 - below).mean() ** 0.5, rel=1e-4)
    assert found.unsure == pytest.approx(np.hypot(0.1, found.rounded))
    told(monkeypatch, None, replace(LINE, rounded=9.0))
    told(monkeypatch, replace(LINE, rounded=9.0), None)
    monkeypatch.setattr(measured, "one_by_one", lambda *_: False)
    found = photon_line(FRAMES)
    assert found is not None
    assert found.rounded == 9


@pytest.mark.parametrize("step", [1.0, 4.0])
@pytest.mark.parametrize("sigma", [0.35, 0.45, 0.6])
def test_rounding_adds_to_a_slope_what_it_does_where_it_does_most(
    sigma: float, step: float
) -> None:
    """Of Gaussian noise around every mean, summed up code by code."""
    codes, means = np.arange(-8, 9), np.linspace(0, 1, 101)
    ends = ndtr((np.arange(-8, 10) - 0.5 - means[:, None]) / sigma)
    share = np.diff(ends, axis=1)
    first = share @ codes
    variance = share @ codes**2 - first**2
    slope = np.abs(np.gradient(variance, means)).max()
    found = _rounded(np.array([(sigma**2 + 1 / 12) * step**2]), step)
    assert found == pytest.approx([slope * step], rel=0.02)


def test_what_is_not_rounded_is_not_changed_by_it() -> None:
    assert _rounded(np.array([0.1, 0.2]), np.inf).tolist() == [0, 0]
    least = _rounded(np.array([0.0, 1 / 12]), 1.0)  # less than rounding itself leaves
    assert least == pytest.approx([2 / np.pi] * 2)


@pytest.mark.parametrize(
    ("comb", "cumulants", "wanted"),
    [((9.0, 1.0), None, "comb"), (None, (9.0, 1.0), "cumulants"), (None, None, None),
     ((9.0, 3.1), (9.0, 9.0), "cumulants"), ((9.0, 2.9), (9.0, 9.0), "comb"),
     ((9.0, 2.0), (90.0, 3.0), "cumulants"), ((90.0, 3.0), (9.0, 2.0), "comb"),
     ((9.0, 3.1), None, None)],
)  # fmt: skip
def test_the_surer_gain_counts_and_combs_of_three_errors_at_all(
    comb: tuple[float, float] | None, cumulants: tuple[float, float] | None, wanted: str | None
) -> None:
    assert _surer(comb, cumulants) == {"comb": comb, "cumulants": cumulants, None: None}[wanted]


@pytest.mark.parametrize("classes", [1, 3])
def test_samples_are_of_the_class_that_their_block_has_in_other_frames(classes: int) -> None:
    stack = np.random.default_rng(0).random((4, 20, 27))
    whole, found = _classified(stack, classes)
    np.testing.assert_array_equal(whole, stack[:, :16, :24])
    means = np.array(
        [[[np.delete(whole, t, 0)[:, y : y + 8, x : x + 8].mean() for x in (0, 8, 16)]
          for y in (0, 8)] for t in range(4)]
    )  # fmt: skip
    rank = means.ravel().argsort().argsort().reshape(means.shape)
    wanted = np.kron(rank * classes // means.size, np.ones((1, 8, 8)))
    np.testing.assert_array_equal(found, wanted)
    dark = np.zeros((4, 16, 16))
    dark[:, :8, :8] = 1
    assert set(np.unique(_classified(dark, 6)[1])) == {0, 1}  # none is empty


def test_light_that_other_frames_do_not_share_has_no_slope() -> None:
    x, y, weight = np.random.default_rng(0).random((3, 9))
    assert _fitted(x, y, np.full(9, 0.5), weight)[0] == 0


def test_the_noise_of_blocks_in_other_frames_is_that_of_their_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def uneven(bright: Array, noise: float, blocks: int) -> bool:
        asked.append((float(bright.var()), noise, blocks))
        return False

    monkeypatch.setattr(measured, "_uneven", uneven)
    stack = np.random.default_rng(0).normal(50, 3, (5, 160, 200)).astype(np.float32)
    assert photon_line(list(stack)) is None  # five frames have no shape
    ((seen, noise, blocks),) = asked
    assert blocks == 20 * 25
    assert noise == pytest.approx(9 / (3 * 64), rel=0.02)
    assert noise == pytest.approx(seen, rel=0.1)


LAW = NoiseModel((0.1,), (0.1,), (0.1,), 9)


@pytest.mark.parametrize(
    ("line", "model", "counts"),
    [(LINE, LAW, True),  # two photons
     (replace(LINE, level=11.9), LAW, True), (replace(LINE, level=12.1, dark=49), LAW, False),
     (replace(LINE, level=12.1, dark=49), replace(LAW, gain=(0.0,)), True),
     (replace(LINE, level=12.1, dark=49), replace(LAW, curve=((0.1,) * 17,)), True),
     (replace(LINE, error=0.66), LAW, True), (replace(LINE, error=0.67), LAW, False),
     (replace(LINE, dark=46.1), LAW, True), (replace(LINE, dark=45.9), LAW, False),
     (None, LAW, False)],
)  # fmt: skip
def test_counts_tell_a_law_of_few_photons_or_where_there_was_no_line(
    monkeypatch: pytest.MonkeyPatch, line: PhotonLine | None, model: NoiseModel, counts: bool
) -> None:
    monkeypatch.setattr(measured, "photon_line", lambda _: line)
    frames = [[np.full((8, 8), 46 + light, np.float32)] for light in (3, 4, 8)]
    found = counted_model(frames, model)
    assert (found is not None) == counts
    if found is not None and line is not None:
        assert found.gain == (2,)
        zero = 50 - line.level / 2
        assert found.sigma == pytest.approx(((2 * (51 - zero)) ** 0.5,))
        assert found.read == pytest.approx(((2 * (line.dark - zero)) ** 0.5,))
        assert found.unsure == pytest.approx(line.error / 2)


def test_a_picture_darker_than_light_begins_has_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "photon_line", lambda _: LINE)
    found = counted_model([[np.full((8, 8), 40, np.float32)]], LAW)
    assert found is not None
    assert found.sigma == (0,)


def test_the_law_is_as_unsure_as_its_gain_and_what_rounding_may_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That of the lane that rounding does least to; every lane of gray weights has the same."""
    lines = iter([replace(LINE, rounded=0.5), replace(LINE, rounded=0.3)] + [LINE] * 2)
    monkeypatch.setattr(measured, "photon_line", lambda _: next(lines))
    two = [[np.full((8, 8), 50, np.float32)] * 2] * 3
    pair = NoiseModel((0.1,) * 2, (0.1,) * 2, (0.1,) * 2)
    found = counted_model(two, pair)
    assert found is not None
    assert found.unsure == pytest.approx(np.hypot(0.1 / 2**0.5, 0.3) / 2)
    assert counted_model([frame[:1] for frame in two], replace(pair, gain=(0.1,) * 2)) is not None


def test_dark_blocks_do_not_pull_the_line_to_nothing() -> None:
    """They count for more than bright ones, but those without a count are not all that counts."""
    light = np.full((96, 128), 0.005)
    light[:, 64:] = np.kron(np.random.default_rng(1).uniform(4, 40, (12, 8)), np.ones((8, 8)))
    for seed in range(3):
        counts = np.random.default_rng(seed).poisson(light, (5, 96, 128))
        line = photon_line(list((8.0 * counts).astype(np.float32)))
        assert line is not None
        assert line.gain == pytest.approx(8, rel=0.1)
        assert line.level < 0.01 * (8.0 * counts).var(0).mean()
