"""The colours of a mosaic that stands still tell the law of their sensor together."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.frames import Mosaic
from f2rcli.noise.bands import white_shares
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.model import KNOTS, NoiseModel
from f2rcli.noise.photons.colours import law_of_colours
from f2rcli.noise.planes import Measured, PlaneNoise

GAIN, READ, SPAN = 8.0, 8.0, 3855  # codes
MOSAIC = Mosaic(pattern="RGGB", black=(240.0,) * 4, white=(4095.0,) * 4)
Planes = Sequence[NDArray[np.float32]]


def frames(
    factors: Sequence[float] = (1, 1, 1, 1), mosaic: Mosaic = MOSAIC, count: int = 6
) -> list[Planes]:
    """Texture in every pixel, a colour each; factors: what a camera multiplies it by."""
    rng = np.random.default_rng(4)
    light = 200 * np.exp(0.8 * rng.standard_normal((4, 96, 96)))
    light *= np.linspace(0.1, 2, 96)[None, :, None]
    scale = np.reshape(factors, (4, 1, 1))
    spans = np.subtract(mosaic.white, mosaic.black).reshape(4, 1, 1)
    shown = []
    for _ in range(count):
        codes = GAIN * rng.poisson(light / GAIN) + READ * rng.standard_normal(light.shape)
        shown.append(list((scale * codes / spans).astype(np.float32)))
    return shown


def measured(still: float = 1.0, read: Sequence[float] = (2, 14, 16, 20)) -> Measured:
    """As anchors read such texture."""
    gains, reads = (0.9 * GAIN / SPAN,) * 4, tuple(one / SPAN for one in read)
    model = NoiseModel(gains, reads, (0.01,) * 4, 1000)
    models = tuple(model.of(slice(n, n + 1)) for n in range(4))
    bound = Bound((0.01, 0.1), (0.01, 0.02), (9, 9), still=still)
    return Measured(model, PlaneNoise(models, (white_shares(),) * 4), [bound] * 4)


def test_colours_have_the_gain_and_the_read_noise_of_their_sensor() -> None:
    law = law_of_colours(frames(), measured(), MOSAIC)
    assert law is not None
    assert law.gain == (law.gain[0],) * 4
    assert law.gain[0] * SPAN == pytest.approx(GAIN, rel=0.04)
    assert law.read[0] * SPAN == pytest.approx(READ, rel=0.2)
    assert 0 < law.unsure < 0.05
    means = np.mean([[plane.mean() for plane in planes] for planes in frames()], axis=0)
    wanted = np.sqrt(GAIN * means / SPAN + (READ / SPAN) ** 2)
    np.testing.assert_allclose(law.sigma, wanted, rtol=0.04)


def test_a_colour_that_a_camera_multiplied_has_as_much_more_noise() -> None:
    law = law_of_colours(frames((2, 1, 1, 1)), measured(), MOSAIC)
    assert law is not None
    assert law.gain[0] / law.gain[1] == pytest.approx(2, rel=0.06)
    assert law.gain[1:] == (law.gain[1],) * 3


def test_levels_of_their_own_are_minded() -> None:
    mosaic = Mosaic(pattern="RGGB", black=(240.0, 0.0, 240.0, 0.0), white=(4095.0,) * 4)
    law = law_of_colours(frames(mosaic=mosaic), measured(), mosaic)
    assert law is not None
    assert law.gain[0] * 3855 == pytest.approx(law.gain[1] * 4095)
    assert law.read[0] * 3855 == pytest.approx(law.read[1] * 4095)


def test_light_that_begins_above_the_stated_black_does_so_in_the_law() -> None:
    higher = [[plane + np.float32(100 / SPAN) for plane in planes] for planes in frames()]
    law = law_of_colours(higher, measured(), MOSAIC)
    assert law is not None
    assert law.dark[0] * SPAN == pytest.approx(100 - READ**2 / GAIN, abs=4)
    assert law.read == (0.0,) * 4


def test_nothing_is_told_where_the_scene_moves_or_too_little_shows() -> None:
    assert law_of_colours(frames(), measured(still=0.9), MOSAIC) is None
    assert law_of_colours(frames(), measured()._replace(bounds=[]), MOSAIC) is None
    assert law_of_colours(frames(), measured(), None) is None
    assert law_of_colours(frames(count=2), measured(), MOSAIC) is None
    even = [[np.full_like(plane, 0.1) for plane in planes] for planes in frames()]
    assert law_of_colours(even, measured(), MOSAIC) is None


def test_a_line_is_told_where_anchors_saw_none() -> None:
    curve = tuple(tuple(np.full(KNOTS, 0.01).tolist()) for _ in range(4))
    model = NoiseModel((0.0,) * 4, (0.01,) * 4, (0.01,) * 4, 9, curve)
    law = law_of_colours(frames(), measured()._replace(model=model), MOSAIC)
    assert law is not None
    assert law.curve is None
    assert law.gain[0] * SPAN == pytest.approx(GAIN, rel=0.04)
