"""The contract's bookkeeping: shares of energy, by plane and by place."""

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.engine.contract.returned import CELLS, Returned


def noise(shape: tuple[int, int], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


def test_nothing_taken_out_means_nothing_given_back() -> None:
    found = Returned()
    assert found.share == 0
    assert found.by_plane == ()
    assert found.places.size == 0
    found.add(0, np.zeros((9, 16), np.float32), np.zeros((9, 16), np.float32))
    assert found.share == 0
    assert not found.places.any()


def test_shares_are_of_energy_over_all_frames() -> None:
    found, total, back = Returned(), 0.0, 0.0
    for seed, part in ((1, 0.0), (2, 0.5), (3, 1.0)):
        taken = noise((30, 40), seed)
        found.add(0, taken, (1 - part) * taken)
        total += float(np.square(taken).sum())
        back += part**2 * float(np.square(taken).sum())
    assert found.share == pytest.approx(back / total, rel=1e-5)


def test_planes_are_told_apart_and_weigh_by_their_energy() -> None:
    found, luma, chroma = Returned(), noise((64, 96)), noise((32, 48), 1)
    found.add(0, luma, luma)
    found.add(2, chroma, np.zeros_like(chroma))
    assert found.by_plane == pytest.approx((0, 0, 1))
    parts = [float(np.square(plane).sum()) for plane in (luma, chroma)]
    assert found.share == pytest.approx(parts[1] / sum(parts), rel=1e-5)


def test_the_map_is_small_and_shows_where() -> None:
    found, taken = Returned(), noise((270, 480))
    kept = taken.copy()
    kept[:, 240:] = 0  # the right half is given back
    found.add(0, taken, kept)
    places = found.places
    assert places.shape == (36, CELLS)
    assert np.all(places[:, : CELLS // 2] == 0)
    np.testing.assert_allclose(places[:, CELLS // 2 :], 1, rtol=1e-5)
