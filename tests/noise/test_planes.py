"""Noise that a user tells, as a file's planes hold it."""

import numpy as np
import pytest

from f2rcli import yuv
from f2rcli.frames import Family, Matrix, PlaneLayout
from f2rcli.noise.bands import bands, white_shares
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise

HALVED = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)
FULL = PlaneLayout(family=Family.YUV, bits=8, matrix=Matrix.BT709)


def noise(sigma: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sigma, (3, 256, 256)).astype(np.float32)


@pytest.mark.parametrize("layout", [HALVED, FULL])
def test_white_noise_of_a_picture_has_this_strength_in_its_planes(layout: PlaneLayout) -> None:
    planes = PlaneNoise.of(NoiseModel.gaussian(0.1, 3), layout, clipped=False)
    frame = [np.zeros((256, 256), np.float32)] + [
        np.zeros((256 >> layout.log2_chroma[1], 256 >> layout.log2_chroma[0]), np.float32)
    ] * 2
    luma, *chroma = yuv._mix(yuv.matrices(layout.matrix)[1], list(noise()))
    made = [luma, *(yuv._sampled(plane, layout) for plane in chroma)]
    assert [plane.shape for plane in made] == [plane.shape for plane in frame]
    found = [model.sigma[0] for model in planes.models]
    assert found == pytest.approx([plane.std() for plane in made], rel=0.03)


def test_rgb_and_gray_planes_keep_their_channels_laws() -> None:
    model = NoiseModel((0.01, 0.02, 0.03), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3))
    planes = PlaneNoise.of(model, PlaneLayout(family=Family.RGB, bits=8), clipped=True)
    assert [one.gain for one in planes.models] == [(0.01,), (0.02,), (0.03,)]
    gray = PlaneNoise.of(model, PlaneLayout(family=Family.GRAY, bits=8), clipped=True)
    assert len(gray.models) == len(gray.shares) == 1


def test_bands_add_up_and_white_noise_shares_itself_among_them_so() -> None:
    plane = noise()[0]
    parts = bands(plane)
    assert len(parts) == 6
    np.testing.assert_allclose(sum(parts), plane, atol=1e-5)
    power = np.array([np.square(part).mean() for part in parts])
    assert power[:3] / power.sum() == pytest.approx(white_shares()[:3], rel=0.1)
    assert sum(white_shares()) == pytest.approx(1)
