"""The law of synthetic noise, and colours changed at random."""

import numpy as np
import pytest

from f2rcli.noise.synthesis.colour import as_gray, luma, recolour
from f2rcli.noise.synthesis.law import Law, draw_mixture
from f2rcli.noise.synthesis.spec import NoiseSpec, parse


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_noise_of_a_gray_picture_has_its_shape(blur: float) -> None:
    clean = np.full((24, 32, 1), 0.5, np.float32)
    noisy = Law(0.0, 0.1, blur).add(clean, np.random.default_rng(0))
    assert noisy.shape == clean.shape
    assert 0.07 < (noisy - clean).std() < 0.13


def test_luma_of_gray_is_gray_and_of_white_is_white() -> None:
    assert luma(np.full((4, 4, 1), 0.3, np.float32)).max() == np.float32(0.3)
    assert luma(np.ones((4, 4, 3), np.float32)).shape == (4, 4, 1)
    assert luma(np.ones((4, 4, 3), np.float32)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "law", [Law(0, 0.1, 0), Law(0.02, 0.03, 0), Law(0, 0.1, 0.9), Law(0, 0.1, 0, 0.6)]
)
def test_noise_has_the_level_its_law_states(law: Law) -> None:
    clean = np.full((400, 400, 3), 0.4, np.float32)
    error = law.add(clean, np.random.default_rng(0)) - clean
    assert error.std() == pytest.approx(law.level(clean).mean(), rel=0.02)


def test_blurred_noise_is_correlated_and_shared_noise_is_common_to_channels() -> None:
    rng = np.random.default_rng(0)
    blurred = Law(0, 1, 0.8).sample((300, 300, 3), rng)
    assert np.corrcoef(blurred[:, 1:].ravel(), blurred[:, :-1].ravel())[0, 1] == pytest.approx(
        0.68, abs=0.03
    )
    shared = Law(0, 1, 0, 0.5).sample((300, 300, 3), rng).reshape(-1, 3)
    assert np.corrcoef(shared.T)[0, 1] == pytest.approx(0.5, abs=0.02)


def test_every_draw_is_a_law_within_the_stated_mix() -> None:
    rng = np.random.default_rng(0)
    laws = [draw_mixture(rng) for _ in range(2000)]
    assert np.mean([law.blur > 0 for law in laws]) == pytest.approx(0.35, abs=0.04)
    assert np.mean([law.gain > 0 for law in laws]) == pytest.approx(0.25, abs=0.04)
    assert max(law.read for law in laws) <= 55 / 255


def test_recoloured_pictures_stay_in_range_and_gray_ones_have_equal_channels() -> None:
    picture = np.random.default_rng(0).random((8, 8, 3), np.float32)
    changed = recolour(picture, np.random.default_rng(1))
    assert 0 <= changed.min() <= changed.max() <= 1
    gray = as_gray(picture)
    assert np.ptp(gray, axis=-1).max() == 0


def training(text: str) -> NoiseSpec:
    return parse(text, training=True)


def drawn(text: str, count: int = 500) -> list[Law | None]:
    noise, rng = training(text), np.random.default_rng(0)
    return [noise.draw(rng) for _ in range(count)]


def test_drawn_laws_cover_the_ranges_and_keep_to_them() -> None:
    sigmas = [255 * law.read for law in drawn("gaussian:5-55")]
    assert 5 <= min(sigmas) < 7
    assert 53 < max(sigmas) <= 55
    assert {law.read for law in drawn("gaussian:30")} == {30 / 255}
    mixed = drawn("poisson-gaussian:0.001-0.04,2-15", 3000)
    gains = [law.gain for law in mixed]
    assert 0.001 <= min(gains) < 0.0012
    assert 0.035 < max(gains) <= 0.04
    assert np.median(gains) == pytest.approx(np.sqrt(0.001 * 0.04), rel=0.15)  # octaves alike
    assert 255 * min(law.read for law in mixed) >= 2
    blurs = [law.blur for law in drawn("correlated:10,0.4-1.3")]
    assert 0.4 <= min(blurs) < max(blurs) <= 1.3


def test_kinds_that_are_joined_have_equal_shares() -> None:
    found = drawn("gaussian:10+correlated:20,1+realistic", 1500)
    shares = [
        np.mean([law is None for law in found]),
        np.mean([law is not None and law.blur > 0 for law in found]),
    ]
    assert shares == pytest.approx([1 / 3, 1 / 3], abs=0.04)


def test_what_takes_a_camera_or_a_codec_is_rendered_in_advance() -> None:
    noise = training("mixture+realistic+compressed-mixture+compressed:20-40,18-30,hevc")
    rendered = ["realistic", "compressed-mixture", "compressed:20-40,18-30,hevc"]
    assert [part.name for part in noise.rendered] == rendered
    law, coding = noise.parts[3].draw(np.random.default_rng(0))
    assert 20 <= 255 * law.read <= 40
    assert coding is not None
    assert coding.encoder == "libx265"
    assert 18 <= coding.crf <= 30


def test_the_mixture_is_what_the_first_weights_learnt_from() -> None:
    rng = np.random.default_rng(0)
    assert drawn("mixture", 50) == [draw_mixture(rng) for _ in range(50)]
