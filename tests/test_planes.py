"""Packing planes to half size, and back."""

import numpy as np
import pytest
import torch

from f2rcli.planes import LAYOUTS, Layout, pack, unpack


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_unpacking_gives_back_every_sample(layout: Layout) -> None:
    rng = np.random.default_rng(1)
    planes = [rng.random((3, 12 * r, 16 * c), np.float32) for r, c in layout.planes]
    packed = pack(layout, planes)
    assert packed.shape == (3, layout.channels, 12, 16)
    as_tensor = pack(layout, [torch.from_numpy(plane) for plane in planes])
    np.testing.assert_array_equal(as_tensor.numpy(), packed)
    backs = zip(unpack(layout, packed), unpack(layout, as_tensor), planes, strict=True)
    for back, tensor, plane in backs:
        np.testing.assert_allclose(back, plane, rtol=0, atol=1e-6 if layout.rotated else 0)
        np.testing.assert_allclose(tensor.numpy(), plane, atol=1e-6)


def test_luma_of_a_cell_lies_row_by_row() -> None:
    luma = np.arange(8.0).reshape(2, 4)
    chroma = np.full((1, 2), 9.0)
    packed = pack(LAYOUTS["yuv420"], [luma, chroma, -chroma])
    np.testing.assert_array_equal(packed[:, 0, 1], [2, 3, 6, 7, 9, -9])


def test_noise_of_rgb_stays_as_strong_and_independent() -> None:
    noise = np.random.default_rng(2).standard_normal((3, 256, 256))
    packed = pack(LAYOUTS["rgb"], list(noise)).reshape(12, -1)
    np.testing.assert_allclose(np.cov(packed), np.eye(12), atol=0.04)
    gray = pack(LAYOUTS["rgb"], [np.full((2, 2), 0.5)] * 3)
    np.testing.assert_allclose(gray[4:], 0, atol=1e-12)  # gray has no chroma
