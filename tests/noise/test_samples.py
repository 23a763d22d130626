"""Noise: laws that have the variance they state, and estimates that find it again."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.measurement import samples
from f2rcli.noise.measurement.detail import single_frame_sigma
from f2rcli.noise.measurement.samples import Bands, NoiseSamples, _beyond, _chosen, _clipped
from f2rcli.noise.model import NoiseModel, blend
from f2rcli.noise.photons.counting import counts_events


def smooth_picture(height: int = 160, width: int = 200) -> torch.Tensor:
    rows = torch.linspace(0.15, 0.85, height)[:, None]
    columns = torch.linspace(-0.1, 0.1, width)[None]
    return (rows + columns).expand(1, 3, height, width).clone()


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@pytest.mark.parametrize("signal", [0.1, 0.5, 0.9])
def test_poisson_gaussian_noise_has_the_variance_of_its_law(signal: float) -> None:
    model = NoiseModel((0.02,) * 3, (0.03,) * 3, (0.1,) * 3)
    clean = torch.full((1, 3, 200, 200), signal)
    error = NoiseLaw(model).sample(clean, seeded(1))
    expected = 0.02 * signal + 0.03**2
    assert error.var().item() == pytest.approx(expected, rel=0.03)
    assert model.level(clean).square()[0, 0, 0, 0].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sigma", [5, 20, 50])
def test_two_independent_anchors_find_white_noise_within_three_percent(sigma: float) -> None:
    truth, clean = NoiseModel.gaussian(sigma / 255, 3), smooth_picture()
    noisy, first, second = (clean + NoiseLaw(truth).sample(clean, seeded(i)) for i in range(3))
    samples = NoiseSamples.empty(3)
    samples.add(noisy, clean + (first - clean) / 2, clean + (second - clean) / 2)
    model = samples.model()
    assert model is not None
    assert model.sigma8 == pytest.approx((sigma,) * 3, rel=0.03)


@pytest.mark.parametrize("size", [(2, 64), (64, 2)])
def test_pictures_of_two_rows_or_columns_tell_nothing(size: tuple[int, int]) -> None:
    noisy, first, second = (torch.rand((1, 3, *size), generator=seeded(i)) for i in range(3))
    samples = NoiseSamples.empty(3)
    samples.add(noisy, first, second)
    assert samples.beyond == []
    assert samples.model() is None


@pytest.mark.parametrize("bright", [None, 0.25])
def test_three_rows_tell_something_of_planes_as_bright_as_is_said(bright: float | None) -> None:
    noisy, first, second = (torch.rand((1, 2, 3, 500), generator=seeded(i)) for i in range(3))
    samples = NoiseSamples.empty(2)
    light = None if bright is None else torch.full_like(noisy, bright)
    samples.add(noisy, first, second, light)
    assert len(samples.beyond) == (bright is None)
    shown = (first + second) / 2 if light is None else light
    for channel in range(2):
        inner = shown[0, channel, 1, 1:-1].numpy()
        assert np.isin(samples.level[channel][0], inner).all()
        assert samples.picture[channel][0].mean() == pytest.approx(inner.mean(), abs=0.03)


@pytest.mark.parametrize("counted", [False, True])
def test_places_near_black_and_white_are_not_chosen_nor_those_near_white_of_counts(
    counted: bool,
) -> None:
    """Nearer than one and a half deviations of 0.02; counts end at 0 by themselves."""
    light = torch.linspace(0, 1, 400).expand(1, 1, 300, 400)
    noise = [0.02 * torch.randn((1, 1, 300, 400), generator=seeded(i)) for i in range(3)]
    samples = NoiseSamples.empty(1)
    samples.counted = counted
    samples.add(light + noise[0], light + 0.1 * noise[1], light + 0.1 * noise[2])
    level = samples.level[0][0]
    assert level.max() < 0.985
    assert level.max() > 0.95
    assert (level.min() < 0.015) == counted
    assert level.min() < 0.05


def test_where_anchors_err_by_more_than_there_is_noise_all_places_have_room() -> None:
    noisy = torch.rand((1, 1, 42, 42), generator=seeded(0))
    rank = torch.arange(1764.0).reshape(1, 1, 42, 42)
    found = _chosen(noisy, torch.full_like(noisy, 0.01), rank, torch.full((1, 1, 40, 40), -1.0))
    assert len(found) == 1600


def test_signal_dependence_is_found() -> None:
    truth, clean = NoiseModel((0.01,) * 3, (0.02,) * 3, (0.0,) * 3), smooth_picture(320, 400)
    samples = NoiseSamples.empty(3)
    for number in range(4):
        samples.add(clean + NoiseLaw(truth).sample(clean, seeded(number)), clean, clean)
    model = samples.model()
    assert model is not None
    assert model.gain == pytest.approx((0.01,) * 3, rel=0.15)
    assert np.square(model.read) == pytest.approx((0.0004,) * 3, abs=3e-4)


def test_whether_noise_is_white_is_not_decided_by_a_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fine, samples = (30 / 255) ** 2, NoiseSamples.empty(3)
    monkeypatch.setattr(NoiseSamples, "count", 100_000)
    for shared in (0.0, 0.3, 0.9):
        monkeypatch.setattr(samples, "shared", lambda _, shared=shared: shared)
        found = []
        for step in range(400):
            bands = Bands((1 + step / 1000) * fine, fine, 0.965 * fine)
            monkeypatch.setattr(samples, "bands", lambda _, bands=bands: bands)
            monkeypatch.setattr(samples, "excesses", lambda _, bands=bands: [bands.excess])
            found.append(samples.shape())
        assert found[0] == 1.0
        assert found[-1] == pytest.approx(1.399)
        assert np.abs(np.diff(found)).max() < 0.02  # of variance, for a thousandth of it
    for finest in (0.9, 0.99):
        bands = Bands(1.01 * fine, fine, finest * fine)
        monkeypatch.setattr(samples, "bands", lambda _, bands=bands: bands)
        monkeypatch.setattr(samples, "excesses", lambda _, bands=bands: [bands.excess])
        assert samples.shape() == pytest.approx(1.01 if finest == 0.9 else 1.0)


def shape_of(bands: Bands, shared: float, rougher: float) -> float:
    """White noise is where the finest bands agree and full bandwidth holds little more: 5 %, or,
    where no Y'CbCr was, four codes or half of what rougher places hold. Ramps join the cases."""

    def ramp(value: float, low: float, high: float) -> float:
        return float(np.interp(value, (low, high), (0, 1)))

    few = 0.05 * bands.fine
    free = 1 if shared >= 0.999 else 1 - ramp(shared, 0.27, 0.33)
    allowed = few + free * (max(few, (4 / 255) ** 2, rougher / 2) - few)
    white = ramp(bands.finest / bands.fine, 0.94, 0.96)
    white *= 1 - ramp((bands.full - bands.fine) / allowed, 0.85, 1.15)
    return (bands.full / bands.fine) ** (1 - white)


def test_the_shape_of_the_spectrum_is_read_by_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, rng, seen = NoiseSamples.empty(3), np.random.default_rng(5), set()
    monkeypatch.setattr(NoiseSamples, "count", 10_000)
    asked = []
    for shared in (0.0, 0.29, 0.31, 0.6, 0.9985, 0.9995):
        for _ in range(40):
            fine = (rng.choice([2, 10, 40]) / 255) ** 2
            full = fine * rng.choice([1.02, 1.045, 1.05, 1.2, 1.8, 2.5, 4])
            bands = Bands(full, fine, fine * rng.choice([0.9, 0.945, 0.955, 0.99]))
            rougher = fine * rng.choice([0.1, 1.0, 2.5])
            monkeypatch.setattr(samples, "bands", lambda share, b=bands: asked.append(share) or b)
            monkeypatch.setattr(samples, "excesses", lambda _, r=rougher: [0.0, r, -1.0])
            monkeypatch.setattr(samples, "shared", lambda _, shared=shared: shared)
            found = samples.shape()
            assert found == pytest.approx(shape_of(bands, shared, rougher), rel=1e-9)
            seen.add(round(found, 2))
    assert len(seen) > 8
    assert set(asked) == {0.4}  # 4000 of so many samples
    for count, share in ((2_000, 1.0), (1_000_000, 0.1)):
        monkeypatch.setattr(NoiseSamples, "count", count)
        samples.shape()
        assert asked[-1] == share
    monkeypatch.setattr(samples, "bands", lambda _: Bands(1.0, 0.0, 1.0))
    assert samples.shape() == 1  # no noise at all
    monkeypatch.setattr(samples, "bands", lambda _: Bands(-0.5, 1.0, 0.5))
    assert samples.shape() == 0  # none is less than none


def test_bands_are_means_over_the_flattest_places_and_excesses_between_shares_of_them() -> None:
    samples, rng = NoiseSamples.empty(2), np.random.default_rng(6)
    rough = rng.permutation(40_000).astype(np.float32) / 40_000
    samples.roughness = [rough[:10_000], rough[10_000:]]
    products = np.empty((2, 3, 40_000), np.float32)
    for channel in (0, 1):
        for band in range(3):  # grows with roughness, by band and channel
            products[channel, band] = (1 + rough * (3 - band)) * (1 + channel)
        parts = (products[channel, :, :10_000], products[channel, :, 10_000:])
        samples.product[channel] = [tuple(part) for part in parts]
    assert samples.count == 40_000
    found = samples.bands(0.5)
    wanted = [1.5 * (1 + 0.25 * (3 - band)) for band in range(3)]
    np.testing.assert_allclose(found, wanted, rtol=0.01)
    assert found.excess == pytest.approx(found.full - found.fine)
    shares = samples.excesses((0.1, 0.2, 0.5, 1.0))
    np.testing.assert_allclose(shares, [1.5 * 0.15, 1.5 * 0.35, 1.5 * 0.75], rtol=0.02)


@pytest.mark.parametrize(("channels", "part"), [(3, 0.0), (3, 0.4), (3, 1.0), (2, 0.3), (1, 1.0)])
def test_what_channels_share_is_their_correlation(channels: int, part: float) -> None:
    rng = np.random.default_rng(7)
    own, all_of_it = rng.standard_normal((channels, 120, 150)), rng.standard_normal((120, 150))
    noise = 0.05 * (part**0.5 * all_of_it + (1 - part) ** 0.5 * own)
    clean = torch.full((1, channels, 120, 150), 0.5)
    samples = NoiseSamples.empty(channels)
    samples.add(clean + torch.from_numpy(noise).float(), clean, clean)
    fine = samples.bands(1.0).fine
    assert fine == pytest.approx(0.05**2, rel=0.05)
    assert samples.shared(fine) == pytest.approx(part, abs=0.04)
    assert len(samples.gray) == (channels > 1)  # a channel alone has no other to share with


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_samples_beyond_black_and_white_are_as_many_as_of_free_noise(sigma: float) -> None:
    rng = np.random.default_rng(8)
    mean = np.broadcast_to(np.linspace(0, 1, 400), (300, 400))
    noise = sigma * rng.standard_normal(mean.shape)
    power = np.full_like(noise, sigma**2)
    given = [torch.from_numpy(one.copy())[None, None] for one in (mean + noise, mean, power)]
    found, free = _beyond(*given)
    assert found == pytest.approx(free, rel=0.05)
    out = ndtr(-mean / sigma - 0.5) + ndtr((mean - 1) / sigma - 0.5)
    assert free == pytest.approx(out.mean(), rel=1e-3)
    assert not _clipped(given[0], given[2])
    assert _clipped(given[0].clamp(-0.4 * sigma, 1 + 0.4 * sigma), given[2])
    for limits in ((-9, 1), (0, 9)):  # of one end alone
        assert not _clipped(given[0].clamp(*limits), given[2])
    nothing = torch.zeros_like(given[2])
    assert _clipped(nothing, nothing)


@pytest.mark.parametrize(("beyond", "cut"), [(4, True), (5, False)])
def test_noise_is_cut_off_where_five_of_ten_thousand_samples_lie_beyond(
    beyond: int, cut: bool
) -> None:
    """By more than half a deviation."""
    noisy, power = torch.full((1, 1, 100, 100), 0.5), torch.full((1, 1, 100, 100), 0.01)
    noisy[..., 0, :beyond] = -0.051
    noisy[..., 1, :] = -0.049
    assert _clipped(noisy, power) == cut
    assert _clipped(1 - noisy, power) == cut


def test_free_noise_that_is_not_there_lies_nowhere_beyond() -> None:
    nothing, gray = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.5)
    assert _beyond(gray, gray, nothing) == (0, 0)
    assert _beyond(gray, gray, -gray) == (0, 0)  # anchors erred by more than there is noise


def test_noise_was_cut_off_where_less_than_half_or_hardly_any_of_it_lies_beyond() -> None:
    for beyond, cut in (
        ([], False), ([(0.02, 0.03)], False), ([(0.01, 0.03)], True), ([(4e-4, 1e-4)], True),
        ([(6e-4, 1e-4)], False), ([(0.0, 0.03), (0.04, 0.03)], False), ([(9e-4, 0)] * 2, False),
        ([(6e-4, 0), (3e-4, 0)], True),
    ):  # fmt: skip
        samples = NoiseSamples.empty(1)
        samples.beyond = beyond
        assert samples.cut_off == cut, beyond
        samples.counted = True
        assert not samples.cut_off


def test_noise_that_a_range_cut_off_is_found_as_it_was_before() -> None:
    truth, clean = NoiseModel.gaussian(0.1, 3), 0.3 * smooth_picture(320, 400)
    models = []
    for lowest in (0, -1):
        samples = NoiseSamples.empty(3)
        for number in range(4):
            noisy = clean + NoiseLaw(truth).sample(clean, seeded(number))
            samples.add(noisy.clamp(lowest, 1), clean, clean)
        assert samples.clipped == (lowest == 0)
        models.append(samples.model())
    for model in models:
        assert model is not None
        assert model.sigma == pytest.approx((0.1,) * 3, rel=0.05)


def test_too_little_evidence_is_no_model() -> None:
    samples = NoiseSamples.empty(3)
    small = torch.rand(1, 3, 8, 8)
    samples.add(small, small, small)
    assert samples.model() is None


def test_electrons_counted_one_by_one_are_not_noise_cut_off_at_black() -> None:
    """Undoing a clipping that never was, their noise read 93 codes instead of 51."""
    clean = smooth_picture(320, 400) / 3
    generator = np.random.default_rng(0)
    samples = NoiseSamples.empty(3)
    for _ in range(2):
        counts = torch.from_numpy(generator.poisson(6 * clean.numpy()) / 6)
        samples.add(counts.float().clamp(0, 1), clean, clean)
    model = samples.model()
    assert samples.counted
    assert not samples.cut_off
    assert model is not None
    assert model.sigma == pytest.approx((float(clean.mean() / 6) ** 0.5,) * 3, rel=0.1)


def test_dither_of_a_palette_whose_channels_have_steps_of_their_own_is_not_cut_off() -> None:
    """GIF of 3, 3 and 2 bits: dark blue, 70 % zeros, was taken for clipped and lost 12 codes."""
    clean, steps = smooth_picture(), torch.tensor([255 / 36, 255 / 36, 3]).reshape(1, 3, 1, 1)
    dithered = (clean * steps + torch.rand(clean.shape, generator=seeded(0))).floor() / steps
    samples = NoiseSamples.empty(3)
    samples.add(dithered, clean, clean)
    assert samples.counted
    assert not samples.cut_off


@pytest.mark.parametrize("bits", [5, 8])
def test_coarse_codes_are_not_counts(bits: int) -> None:
    noisy = (smooth_picture() + 0.03 * torch.randn(1, 3, 160, 200)).clamp(0, 1)
    steps = 2**bits - 1
    assert not counts_events(((noisy * steps).round() / steps).numpy())
    assert not counts_events(np.zeros((4, 4)))
    assert not counts_events((np.arange(64) % 6 / 255).reshape(8, 8))  # dark, not counted


def test_a_scaled_model_is_that_much_stronger_everywhere() -> None:
    model = NoiseModel((0.01,), (0.02,), (0.05,)).scaled(2)
    clean = torch.linspace(0, 1, 5).view(1, 1, 1, 5)
    base = NoiseModel((0.01,), (0.02,), (0.05,)).level(clean)
    torch.testing.assert_close(model.level(clean), 2 * base)


def test_blending_moves_by_its_share_of_variance() -> None:
    old, new = NoiseModel.gaussian(0.1, 1), NoiseModel.gaussian(0.2, 1)
    assert blend(old, new, 0.5).sigma[0] ** 2 == pytest.approx((0.01 + 0.04) / 2)


def test_one_frame_gives_a_rough_sigma() -> None:
    clean = smooth_picture()
    noisy = clean + NoiseLaw(NoiseModel.gaussian(0.1, 3)).sample(clean, seeded(3))
    assert single_frame_sigma(noisy) == pytest.approx(0.1, rel=0.05)
    assert single_frame_sigma(torch.zeros(1, 3, 1, 1)) == 0
    assert single_frame_sigma(noisy[..., :14, :16]) == 0  # too few to tell noise from texture


def test_places_are_chosen_that_are_flat_unpainted_and_far_enough_from_black_and_white(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of them, or 20,000; those with room for 1.5 deviations of the noise of the flatter half,
    at most a quarter, if a fiftieth has it; of more than may be, every so many."""
    rng, size = np.random.default_rng(3), (302, 352)
    noisy = torch.from_numpy(rng.random((1, 3, *size), np.float32))
    noisy[..., :20, :] = 0.5  # painted, but for what lies beside the rest
    rank = torch.from_numpy(rng.random((1, 1, *size), np.float32))
    flat = rank[0, 0, 1:-1, 1:-1].numpy()
    painted = np.arange(300) < 16

    def found(room_of_rows: np.ndarray, sigma: float) -> tuple[np.ndarray, float]:
        product = np.where(flat <= np.median(flat), sigma**2 / 1.008, 9.0)
        room = torch.full((1, 3, *size), 0.5)
        room[:, 1, 1:-1] = torch.from_numpy(room_of_rows.astype(np.float32))[:, None]
        shown = torch.from_numpy(product.astype(np.float32)).expand(1, 3, -1, -1)
        return _chosen(noisy, room, rank, shown)

    def flattest(rows: np.ndarray, share: float) -> np.ndarray:
        places = np.broadcast_to(rows[:, None], flat.shape)
        return np.flatnonzero(places & (flat <= np.quantile(flat[places], share)))

    rows = np.arange(300)
    for sigma, limit in ((0.1, 0.15), (0.02, 0.03), (0.4, 0.25)):
        near = np.where(rows < 150, limit - 0.01, limit + 0.01)
        wanted = flattest((rows >= 150) & ~painted, 0.5)
        assert np.setxor1d(found(near, sigma), wanted).size <= 2
    few = np.where(rows < 270, 0.0, 0.5)  # 30 rows: 20,000 are more than there are
    assert np.setxor1d(found(few, 0.1), flattest(rows >= 270, 1)).size <= 2
    fewer = np.where(rows < 295, 0.0, 0.5)  # less than a fiftieth: all count, painted ones as well
    assert np.setxor1d(found(fewer, 0.1), flattest(rows >= 0, 0.5)).size <= 2
    some = np.where(rows < 200, 0.0, 0.5)
    assert np.setxor1d(found(some, 0.1), flattest(rows >= 200, 20_000 / 35_000)).size <= 2
    monkeypatch.setattr(samples, "MOST_SAMPLES", 6000)
    np.testing.assert_array_equal(found(some, 0.1), flattest(rows >= 200, 20_000 / 35_000)[::3])


@pytest.mark.parametrize(("side", "told"), [(21, False), (22, True), (202, True)])
def test_points_of_the_law_are_its_deviation_at_every_brightness(side: int, told: bool) -> None:
    """Of 400 places at least, without the border."""
    rng = np.random.default_rng(side)
    light = np.broadcast_to(np.linspace(0.2, 0.8, side), (1, 2, side, side)).astype(np.float32)
    noise = np.sqrt(0.004 * light + 0.0004) * rng.standard_normal(light.shape)
    shown, noisy = torch.from_numpy(light.copy()), torch.from_numpy((light + noise).astype("f4"))
    seen = NoiseSamples.empty(2)
    seen.add(noisy, shown, shown)
    found = seen.points()
    assert len(found) == (2 if told else 0)
    assert (seen.model() is not None) == told
    for channel in found if side > 100 else ():
        level, sigma = np.array(channel).T
        np.testing.assert_allclose(sigma, np.sqrt(0.004 * level + 0.0004), rtol=0.12)
        assert level.min() < 0.25
        assert level.max() > 0.75
