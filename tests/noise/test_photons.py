"""The law of photon counts from what adjacent frames differ by."""

from dataclasses import astuple, replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from f2rcli.noise.model import NoiseModel
from f2rcli.noise.photons.line import (
    PhotonLine,
    _blocks,
    _fine,
    _fitted,
    _flat,
    _line,
    _of_shape,
    _parts_of_blocks,
    _uneven,
    _with_shape,
    counted_model,
    photon_line,
    pooled,
)
from f2rcli.noise.photons.shape import comb_gain, cumulant_gain, jackknife

GAIN, OFFSET, READ = 8.0, 100.0, 4.0
ZERO = OFFSET - READ**2 / GAIN


def dim(photons: float, frames: int = 6, seed: int = 0) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Codes of a picture whose brightness varies smoothly, on average so many photons a pixel."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:128, :128] / 128
    light = photons * (1 + 0.9 * np.sin(7 * rows) * np.cos(9 * columns))
    codes = GAIN * rng.poisson(light, (frames, 128, 128)) + OFFSET
    return list(np.rint(codes + rng.normal(0, READ, codes.shape)).astype(np.float32))


@pytest.mark.parametrize("photons", [0.5, 1, 2])
def test_the_gain_and_the_zero_of_dim_light_are_right_within_ten_percent(photons: float) -> None:
    line = photon_line(dim(photons))
    assert line is not None
    assert line.sure
    assert line.gain == pytest.approx(GAIN, rel=0.1)
    assert abs(line.gain - GAIN) < 4 * line.error
    assert line.zero == pytest.approx(ZERO, abs=0.1 * GAIN)


@pytest.mark.parametrize(("photons", "within"), [(0.1, 0.2), (0.3, 0.1), (1.0, 0.1)])
def test_cells_of_few_photons_tell_their_gain_in_every_stack(photons: float, within: float) -> None:
    for seed in range(4):
        rng = np.random.default_rng(400 + seed)
        codes = GAIN * rng.poisson(cells(photons, rng), (6, 96, 96)) + OFFSET
        line = photon_line(list(np.rint(codes + rng.normal(0, READ, codes.shape)).astype("f4")))
        assert line is not None
        assert line.gain == pytest.approx(GAIN, rel=within)
        assert abs(line.gain - GAIN) < 3.5 * line.error


def cells(photons: float, rng: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    """Light (96, 96) of cells on a texture."""
    texture = cv2.GaussianBlur(rng.normal(size=(96, 96)), (0, 0), 4)
    light = np.clip(1 + 0.5 * texture / texture.std(), 0.1, None)
    rows, columns = np.ogrid[:96, :96]
    for row, column in rng.uniform(0, 96, (8, 2)):
        far = np.hypot(rows - row, columns - column)
        light = light + 3 * rng.uniform(0.3, 1) / (1 + np.exp((far - 5) / 0.8))
    return light * (photons / light.mean())


def test_planes_of_depth_that_show_other_things_keep_the_gain() -> None:
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:128, :128]
    light = np.full((6, 128, 128), 1.0)
    for plane, row, column in rng.integers(0, (6, 128, 128), (150, 3)):
        spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 30)
        light += 40 * spot * np.exp(-((np.arange(6) - plane)[:, None, None] ** 2) / 2)
    codes = GAIN * rng.poisson(light) + OFFSET + rng.normal(0, READ, light.shape)
    line = photon_line(list(np.rint(codes).astype(np.float32)))
    assert line is not None
    assert line.gain == pytest.approx(GAIN, rel=0.15)  # 5.8 by the others' brightness alone
    assert line.zero == pytest.approx(ZERO, abs=GAIN)


def test_a_flat_picture_has_no_sure_gain() -> None:
    rng = np.random.default_rng(1)
    line = photon_line(list(rng.normal(100, 5, (6, 96, 96)).astype(np.float32)))
    assert line is None or not line.sure


def test_lanes_of_one_sensor_share_a_gain_that_is_surer_than_each() -> None:
    lines = [photon_line(dim(1, seed=seed)) for seed in (1, 2)]
    found = [line for line in lines if line is not None]
    gain, error = pooled(found)
    assert gain == pytest.approx(GAIN, rel=0.08)
    assert error < min(line.error for line in found)


def test_too_few_frames_or_pixels_tell_nothing() -> None:
    assert photon_line(dim(1, frames=2)) is None
    assert photon_line([frame[:16, :16] for frame in dim(1)]) is None


@pytest.mark.parametrize(("columns", "told"), [(56, False), (64, True)])
def test_a_line_is_told_by_sixty_four_blocks_of_all_pairs_and_no_fewer(
    columns: int, told: bool
) -> None:
    light = np.broadcast_to(np.linspace(20, 200, columns), (3, 32, columns))
    codes = GAIN * np.random.default_rng(1).poisson(light) + OFFSET
    assert (photon_line(list(codes.astype(np.float32))) is not None) == told


@pytest.mark.parametrize(("lit", "told"), [(48, False), (64, True)])
def test_a_line_is_told_where_half_of_the_blocks_vary(lit: int, told: bool) -> None:
    light = np.zeros((3, 64, 128))
    light[..., :lit] = np.linspace(20, 200, lit)
    codes = GAIN * np.random.default_rng(1).poisson(light) + OFFSET
    assert (photon_line(list(codes.astype(np.float32))) is not None) == told


@pytest.mark.parametrize(("photons", "read"), [(0.1, 0.0), (0.3, 4.0), (0.5, 4.0), (1.0, 0.0)])
def test_even_light_tells_its_gain_by_the_shape_of_its_noise(photons: float, read: float) -> None:
    rng = np.random.default_rng(4)
    codes = GAIN * rng.poisson(photons, (6, 192, 192)) + OFFSET
    line = photon_line(list((codes + rng.normal(0, read, codes.shape)).astype(np.float32)))
    assert line is not None
    assert line.sure
    assert line.gain == pytest.approx(GAIN, rel=0.1)
    assert abs(line.gain - GAIN) < 3 * line.error
    assert line.level == pytest.approx(GAIN**2 * photons + read**2, rel=0.05)


def off(light: np.ndarray, gain: float, stacks: int) -> float:  # type: ignore[type-arg]
    """RMS error of the gain in stacks of light (H, W) with half an electron of read noise."""
    errors = []
    for seed in range(stacks):
        rng = np.random.default_rng(seed)
        codes = rng.poisson(light, (6, *light.shape)) + rng.normal(0, 0.5, (6, *light.shape))
        line = photon_line(list(np.rint(gain * codes + OFFSET).astype(np.float32)))
        assert line is not None
        errors.append(line.gain / gain - 1)
    return float(np.sqrt(np.mean(np.square(errors))))


@pytest.mark.parametrize(("gain", "photons"), [(0.5, 0.1), (0.5, 0.3), (0.5, 2.0), (0.7, 0.1)])
@pytest.mark.parametrize("frames", [6, 32])
def test_of_codes_coarser_than_electrons_the_gain_lies_within_its_stated_error(
    gain: float, photons: float, frames: int
) -> None:
    """The line's own was off by up to 70 % of a gain said to be sure within 5 %."""
    for seed in range(2):
        rng = np.random.default_rng(600 + seed)
        counts = rng.poisson(cells(photons, rng), (frames, 96, 96))
        codes = np.rint(gain * (counts + rng.normal(0, 0.5, counts.shape)) + OFFSET)
        line = photon_line(list(codes.astype(np.float32)))
        assert line is not None
        assert abs(line.gain - gain) < 2.5 * line.unsure
        if frames == 32:
            assert line.gain == pytest.approx(gain, rel=0.3)


@pytest.mark.parametrize(("gain", "photons"), [(0.3, 0.1), (0.3, 0.3), (0.5, 0.1), (0.5, 0.3)])
def test_codes_of_several_electrons_each_are_not_said_to_be_electrons(
    gain: float, photons: float
) -> None:
    """Without read noise they look like gain one: 140 to 230 % off, stated as 7 to 25 %."""
    counts = np.random.default_rng(1).poisson(photons, (6, 96, 96))
    line = photon_line(list(np.rint(gain * counts + OFFSET).astype(np.float32)))
    assert line is not None
    assert abs(line.gain - gain) < 2 * line.unsure
    for step in (1, 2):  # an electron is a code, or two: pairs of them are seen
        line = photon_line(list((step * counts + OFFSET).astype(np.float32)))
        assert line is not None
        assert line.unsure < 0.12 * step


def test_codes_that_are_electrons_are_not_said_to_be_rounded() -> None:
    """Cumulants were believed beside a line of one in a hundred: gains were up to 22 % off."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(cells(1.0, rng), (6, 96, 96))
    line = photon_line(list((counts + OFFSET).astype(np.float32)))
    assert line is not None
    assert line.gain == pytest.approx(1, rel=0.05)
    assert line.unsure < 0.05


def test_codes_of_two_electrons_are_seen_by_their_pairs_in_the_dark() -> None:
    """In the dark they have more than Poisson's law, in the light fewer, together as many."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(cells(1.0, rng), (6, 96, 96))
    line = photon_line(list(np.rint(0.5 * counts + OFFSET).astype(np.float32)))
    assert line is not None
    assert abs(line.gain - 0.5) < line.unsure


@pytest.mark.parametrize(("photons", "within"), [(0.1, 0.16), (0.3, 0.06), (2.0, 0.03)])
def test_rounding_to_one_code_an_electron_does_not_hide_the_gain(
    photons: float, within: float
) -> None:  # 0.44, 0.16 and 0.11 by the cumulants of the codes
    assert off(np.full((128, 128), photons), 1.0, 4) < within


@pytest.mark.parametrize(("gain", "within"), [(1.0, 0.15), (1.4, 0.1), (8.0, 0.08)])
def test_cells_of_a_tenth_of_an_electron_tell_their_gain(gain: float, within: float) -> None:
    light = cells(0.1, np.random.default_rng(7))
    assert off(light, gain, 6) < within


@pytest.mark.parametrize("seed", [6, 29])
def test_a_line_that_chance_has_made_steep_or_flat_does_not_outvote_the_shape_of_noise(
    seed: int,
) -> None:
    """The gain had been 41 % too high and 28 % too low, where 12 and 6 % were stated."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(96, 96)), 4)
    light = 0.1 / 1.16 * np.clip(1 + 0.5 * texture / texture.std(), 0.1, None)
    rows, columns = np.ogrid[:96, :96]
    for row, column in rng.uniform(0, 96, (8, 2)):
        far = np.hypot(rows - row, columns - column)
        light += 0.3 / 1.16 * rng.uniform(0.3, 1) / (1 + np.exp((far - 5) / 0.8))
    counts = rng.poisson(light, (6, 96, 96)) + rng.normal(0, 0.5, (6, 96, 96))
    line = photon_line(list(np.rint(GAIN * counts + OFFSET).astype(np.float32)))
    assert line is not None
    assert line.gain == pytest.approx(GAIN, rel=0.1)
    assert abs(line.gain - GAIN) < 2.5 * line.unsure


def test_a_law_of_more_parameters_than_bins_is_none() -> None:
    """Read noise of a quarter of a code, none between two: 0.385 said to be sure within 1 %."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.1, (6, 128, 128)) + rng.normal(0, 0.25, (6, 128, 128))
    assert comb_gain(np.rint(counts + 100.5), np.zeros(counts.shape, np.intp)) is None


def test_noise_that_no_counts_make_has_no_comb() -> None:
    rng = np.random.default_rng(2)
    classes = np.zeros((6, 64, 64), np.intp)
    assert comb_gain(np.rint(rng.normal(100, 5, classes.shape)), classes) is None
    two = rng.exponential(4, classes.shape) + np.where(rng.random(classes.shape) < 0.3, 40, 0)
    assert comb_gain(np.rint(two), classes) is None
    assert comb_gain(np.zeros(classes.shape), classes) is None


def test_sigma_is_that_of_the_whole_picture_and_blocks_of_no_light_count() -> None:
    rng = np.random.default_rng(5)
    columns = np.linspace(0, 3, 128)
    light = np.tile(0.03 + np.clip(columns - 1, 0, None) ** 3, (128, 1))  # hardly any in a third
    frames = [[one.astype(np.float32)] for one in OFFSET + GAIN * rng.poisson(light, (6, 128, 128))]
    model = counted_model(frames, NoiseModel.gaussian(10.0, 1))
    assert model is not None
    assert model.gain[0] == pytest.approx(GAIN, rel=0.1)
    assert model.sigma[0] == pytest.approx((GAIN**2 * light.mean()) ** 0.5, rel=0.05)


def test_texture_that_moves_is_not_counted_as_light() -> None:
    rng = np.random.default_rng(6)
    texture = cv2.GaussianBlur(rng.normal(size=(128, 160)), (0, 0), 1.5)
    light = 2 + np.linspace(0, 12, 128)[:, None] * np.clip(1 + 0.5 * texture / texture.std(), 0, 3)
    shown = np.stack([light[:, 3 * t : 3 * t + 128] for t in range(6)])
    line = photon_line(list((GAIN * rng.poisson(shown) + OFFSET).astype(np.float32)))
    assert line is not None
    assert line.gain == pytest.approx(GAIN, rel=0.3)


def tiles(picture: np.ndarray) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Blocks of 8x8, row by row."""
    rows, columns = (size // 8 for size in picture.shape)
    return [
        picture[8 * i : 8 * i + 8, 8 * j : 8 * j + 8] for i in range(rows) for j in range(columns)
    ]


def test_blocks_vary_about_a_plane_of_their_own_and_in_their_finest_band() -> None:
    apart = np.random.default_rng(0).standard_normal((29, 35))
    y, x = np.mgrid[:8, :8]
    plane = np.stack([np.ones(64), y.ravel(), x.ravel()], 1)
    flat = [np.linalg.lstsq(plane, one.ravel(), rcond=None)[1][0] / 61 for one in tiles(apart)]
    np.testing.assert_allclose(_flat(apart), flat)
    wide = np.pad(apart, ((1, 0), (1, 0)), mode="reflect")
    fine = (wide[1:, 1:] - wide[:-1, 1:] - wide[1:, :-1] + wide[:-1, :-1]) ** 2 / 4
    np.testing.assert_allclose(_fine(apart), [one.mean() for one in tiles(fine)])


def test_each_pair_of_frames_tells_variances_and_the_rest_of_them_brightness() -> None:
    frames = np.random.default_rng(1).random((5, 16, 24)).astype(np.float32)
    found = list(_blocks(list(frames), lambda apart: np.array([float(apart[3, 5])])))
    assert len(found) == 4
    for index, (bright, variance, others) in enumerate(found):
        rest = [i for i in range(5) if i not in (index, index + 1)]
        near, far = frames[index : index + 2].mean(0), frames[rest].mean(0)
        np.testing.assert_allclose(bright, [one.mean() for one in tiles(near)], rtol=1e-6)
        np.testing.assert_allclose(others, [one.mean() for one in tiles(far)], rtol=1e-6)
        assert variance[0] == pytest.approx((frames[index, 3, 5] - frames[index + 1, 3, 5]) / 2)


def test_errors_are_what_leaving_out_parts_of_six_by_six_changes() -> None:
    parts = _parts_of_blocks((8 * 12 + 3, 8 * 18), 2)
    whole = np.array([[6 * (i // 2) + j // 3 for j in range(18)] for i in range(12)]).ravel()
    np.testing.assert_array_equal(parts, np.tile(whole, 2))
    values = np.random.default_rng(2).random(36)
    means = np.array([np.delete(values, i).mean() for i in range(36)])
    assert jackknife(means) == pytest.approx(values.std(ddof=1) / 6)  # that of a mean is known


def test_the_slope_is_by_what_brightness_shares_with_that_of_other_frames() -> None:
    rng = np.random.default_rng(3)
    z = rng.random(50)
    x, weight = z + 0.1 * rng.random(50), rng.random(50)
    y = 3 * x + rng.random(50)
    found = _fitted(x, y, z, weight)
    mean = [np.average(part, weights=weight) for part in (x, y, z)]
    shared = [
        (weight * (z - mean[2]) * (part - m)).sum()
        for part, m in zip((y, x), mean[1::-1], strict=True)
    ]
    assert found == pytest.approx((shared[0] / shared[1], mean[1], mean[0]))
    level = _fitted(np.ones(50), y, z, weight)[0]  # brightness that is not shared
    variance = np.average((z - mean[2]) ** 2, weights=weight)
    assert level == pytest.approx(shared[0] / weight.sum() / (0.1 * variance))


def test_the_law_of_counts_is_that_of_its_lines() -> None:
    """One gain for all lanes of a sensor; each begins at its own darkness."""
    rng = np.random.default_rng(4)
    light = 0.4 + 1.2 * np.kron(rng.random((12, 12)), np.ones((8, 8)))
    frames = [
        [(0.1 * rng.poisson(light * part) + 0.02).astype(np.float32) for part in (1, 1.5)]
        for _ in range(6)
    ]
    model = counted_model(frames, NoiseModel((0.0,) * 2, (0.1,) * 2, (0.1,) * 2, 9))
    assert model is not None
    lines = [photon_line([planes[i] for planes in frames]) for i in (0, 1)]
    gain, _ = pooled([line for line in lines if line is not None])
    assert model.gain == (gain, gain)
    assert gain == pytest.approx(0.1, rel=0.15)
    for i, line in enumerate(lines):
        assert line is not None
        zero = line.middle - line.level / gain
        mean = np.mean([planes[i] for planes in frames])
        assert model.dark[i] == line.dark
        assert model.read[i] ** 2 == pytest.approx(gain * (line.dark - zero))
        assert model.sigma[i] ** 2 == pytest.approx(gain * (mean - zero))
    assert model.samples == 9
    assert counted_model(frames, NoiseModel((0.0,) * 3, (0.1,) * 3, (0.1,) * 3)) is None
    gray = [[planes[0]] for planes in frames]
    three = counted_model(gray, NoiseModel((0.0,) * 3, (0.1,) * 3, (0.1,) * 3))
    assert three is not None
    assert three.gain == (three.gain[0],) * 3


def test_a_line_tells_where_it_vanishes_and_how_many_photons_it_saw() -> None:
    line = PhotonLine(gain=0.5, error=0.1, middle=10.0, level=4.0, dark=2.5)
    assert (line.zero, line.photons, line.sure) == (2.0, 16.0, True)
    assert not PhotonLine(0.5, 0.17, 10.0, 4.0, 2.5).sure
    assert not PhotonLine(0.5, 0.1, 10.0, 4.0, 1.9).sure


def test_whole_blocks_tell_of_few_photons_that_stay_and_their_finest_band_of_others() -> None:
    rng = np.random.default_rng(5)
    light = 1 + np.kron(rng.random((12, 12)), np.ones((8, 8)))

    def lines(stack: np.ndarray) -> list[PhotonLine | None]:  # type: ignore[type-arg]
        frames = [0.02 * rng.poisson(one).astype(np.float32) for one in stack]
        return [photon_line(frames), _line(frames, _flat), _line(frames, _fine)]

    found, flat, fine = lines(np.stack([light] * 4))
    assert found == flat != fine
    found, flat, fine = lines(np.stack([9 * light] * 4))
    assert found == fine != flat
    moving = np.kron(rng.random((48, 96)), np.ones((2, 2)))  # by four pixels a frame
    found, flat, fine = lines(np.stack([3 * moving[:, 4 * t : 4 * t + 96] for t in range(4)]))
    assert found == fine != flat


def k_statistics(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Fisher's second, third and fourth, over the first axis."""
    n = len(values)
    second, third, fourth = (((values - values.mean(0)) ** k).mean(0) for k in (2, 3, 4))
    spread = (n + 1) * fourth - 3 * (n - 1) * second**2
    return (
        second * n / (n - 1),
        third * n**2 / ((n - 1) * (n - 2)),
        spread * n**2 / ((n - 1) * (n - 2) * (n - 3)),
    )


@pytest.mark.parametrize("photons", [0.05, 1.0, 3.0, 200.0])
def test_the_shape_of_even_light_is_that_of_its_k_statistics(photons: float) -> None:
    """The unbiased estimates of cumulants, of frames without their means, in 6 x 6 parts; three
    standard errors of the third and of the gain are a shape."""
    told = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        stack = 8.0 * rng.poisson(photons, (6, 40, 45)) + rng.normal(0, 2, (6, 40, 45))
        stack += rng.normal(50, 3, (6, 1, 1))  # light that is not the same in all
        left = stack - stack.mean((1, 2), keepdims=True)
        cells = (one[:36, :42] for one in k_statistics(left))
        second, third, fourth = (one.reshape(6, 6, 6, 7).mean((1, 3)).ravel() for one in cells)
        gain = fourth.sum() / third.sum()
        each = [np.delete(fourth, i).sum() / np.delete(third, i).sum() for i in range(36)]
        error = np.std(each) * 35**0.5
        sure = third.sum() > 3 * third.std() * 6 and gain > 3 * error
        found = cumulant_gain(stack)
        told.append(found is not None)
        assert told[-1] == sure
        if found is not None:
            wanted = (max(gain, third.sum() / second.sum()), error)
            assert found == pytest.approx(wanted, rel=1e-6)
    assert any(told) == (photons < 200)
    assert all(told) == (photons < 3)
    assert _of_shape(list(stack[:5]), np.full(30, 50.0), 1) is None  # too few frames


def test_the_line_by_a_shape_goes_through_the_variance_over_time() -> None:
    """Whatever lies still in the picture; it vanishes no darker than the darkest blocks."""
    rng = np.random.default_rng(2)
    still = 50 * rng.random((40, 48))
    stack = 8.0 * rng.poisson(0.5, (6, 40, 48)) + still + rng.normal(0, 3, (6, 1, 1))
    level = (stack - stack.mean((1, 2), keepdims=True)).var(0, ddof=1).mean()
    for low in (-300.0, 90.0):
        bright = np.append(np.full(500, 100.0), np.full(10, low))
        line = _of_shape(list(stack), bright, 1)
        assert line is not None
        dark = max(low, bright.mean() - level / line.gain)
        assert astuple(line)[2:5] == pytest.approx((bright.mean(), level, dark))


@pytest.mark.parametrize(
    ("gain", "read", "told"),
    [(1.0, 0.5, False), (1.0, 0.0, True), (1.6, 0.8, False), (3.0, 1.5, True)],
)
def test_rounding_hides_the_cumulants_of_few_codes_an_electron(
    gain: float, read: float, told: bool
) -> None:
    """Where there is read noise: a tenth of an electron seemed to have 1.4 codes of one."""
    rng = np.random.default_rng(0)
    codes = gain * rng.poisson(0.1, (12, 120, 120)) + rng.normal(0, read, (12, 120, 120))
    found = cumulant_gain(np.rint(codes))
    assert (found is not None) == told
    assert found is None or found[0] == pytest.approx(gain, rel=0.1)


def test_counts_that_hardly_any_block_has_are_no_error() -> None:
    """Classes of equally dark blocks were empty."""
    light = np.full((128, 128), 0.002)
    light[:48] = np.linspace(0.01, 0.2, 128)
    for seed in range(3):
        counts = np.random.default_rng(seed).poisson(light, (6, 128, 128))
        line = photon_line(list(counts.astype(np.float32)))
        assert line is None or line.gain == pytest.approx(1.0, rel=0.2)


def test_even_light_of_tenths_of_electrons_never_tells_a_gain_that_is_far_off() -> None:
    """One code an electron, half an electron of read noise: that of cumulants was 1.44."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        codes = 100 + rng.poisson(0.1, (36, 96, 96)) + rng.normal(0, 0.5, (36, 96, 96))
        line = photon_line(list(np.rint(codes[:32]).astype(np.float32)))
        assert line is not None
        assert line.gain == pytest.approx(1.0, rel=0.1)


def robust_line(frames: list[np.ndarray]) -> tuple[float, ...]:  # type: ignore[type-arg]
    """The line of blocks by Tukey's biweights, twelve times over, and its error by leaving out one
    of 6 x 6 parts of the picture at a time."""
    bright, variance, others = (np.concatenate(p) for p in zip(*_blocks(frames, _fine)))  # noqa: B905

    def fitted(some: np.ndarray, weight: np.ndarray) -> tuple[float, float, float]:  # type: ignore[type-arg]
        x, y, z, w = bright[some], variance[some], others[some], weight[some]
        mean = [np.average(one, weights=w) for one in (x, y, z)]
        shared = np.average((z - mean[2]) * (x - mean[0]), weights=w)
        least = 0.1 * np.average((z - mean[2]) ** 2, weights=w)
        slope = np.average((z - mean[2]) * (y - mean[1]), weights=w) / max(shared, least)
        return slope, mean[1], mean[0]

    every, weight = np.ones(bright.size, bool), np.ones(bright.size)
    for _ in range(12):
        gain, level, middle = fitted(every, weight)
        line = np.maximum(gain * (others - middle) + level, 0.1 * level)
        off = variance / line - 1
        usual = np.median(off)
        far = 6 * max(1.4826 * np.median(np.abs(off - usual)), abs(usual), 0.2)
        weight = np.maximum(1 - (off / far) ** 2, 0) ** 2 / line**2
    parts = _parts_of_blocks(frames[0].shape, len(frames) - 1)
    each = [fitted(parts != part, weight)[0] for part in range(36)]
    error = np.std(each) * 35**0.5
    return gain, error, middle, level, float(np.quantile(others, 0.01))


@pytest.mark.parametrize("photons", [4.0, 20.0])
def test_a_line_is_the_robust_fit_of_its_blocks(photons: float) -> None:
    """Beside something bright that moves through, and light that is not even."""
    frames = dim(photons, frames=5)  # too few to see the shape of their noise
    for number, frame in enumerate(frames):
        frame[40:60, 20 + 9 * number : 40 + 9 * number] += 10 * GAIN * photons**0.5
    line = photon_line(frames)
    assert line is not None
    found = (line.gain, line.error, line.middle, line.level, line.dark)
    assert found == pytest.approx(robust_line(frames), rel=1e-6)
    assert line.gain == pytest.approx(GAIN, rel=0.2)
    flat = [frame[:31, :64] for frame in frames]
    assert photon_line(flat) is None
    assert photon_line([frame[:32, :64] for frame in frames]) is not None


@pytest.mark.parametrize(
    ("gain", "error", "counts"),
    [(12.0, 1.2, True), (17.4, 1.5, True), (17.6, 1.5, False), (3.4, 1.0, True), (3.2, 1.0, False)],
)
def test_the_shape_of_noise_counts_where_the_line_does_not_deny_it(
    gain: float, error: float, counts: bool
) -> None:
    """By three standard errors of the difference; its own is a share of a gain that may be low."""
    line = PhotonLine(gain=10.0, error=1.0, middle=50.0, level=40.0, dark=20.0)
    found = _with_shape(line, replace(line, gain=gain, error=2.0, level=1.0))
    own, other = error**-2, 1 / 4
    both = replace(
        line, gain=(10 * own + gain * other) / (own + other), error=(own + other) ** -0.5
    )
    assert astuple(found) == pytest.approx(astuple(both if counts else replace(line, denied=True)))


@pytest.mark.parametrize(("noise", "uneven"), [(0.69, True), (0.71, False)])
def test_light_is_uneven_beyond_three_standard_errors_of_its_noise(
    noise: float, uneven: bool
) -> None:
    """Of a variance of 1 over 200 blocks: a tenth."""
    assert _uneven(np.tile([9.0, 11.0], 100), noise, 200) == uneven
