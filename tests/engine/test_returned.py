"""The contract's bookkeeping: shares of energy, by plane and by place."""

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.engine.contract.returned import CELLS, Returned, map_shape


def noise(shape: tuple[int, int], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


def test_nothing_taken_out_means_nothing_given_back() -> None:
    found = Returned()
    assert found.share == 0
    assert found.by_plane == ()
    assert found.places.shape == (0, 0)
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


def test_places_are_shares_of_energy_in_each_cell_over_frames_and_planes() -> None:
    found, rng = Returned(), np.random.default_rng(3)
    sums = np.zeros((2, 16, CELLS))
    for shape in ((64, 256), (32, 128), (64, 256)):  # chroma shares the map of luma
        taken = noise(shape, int(rng.integers(99)))
        kept = (taken * rng.random(shape)).astype(np.float32)
        found.add(0, taken, kept)
        for total, part in zip(sums, (taken, taken - kept), strict=True):
            total += (part.astype(np.float64) ** 2).reshape(
                16, shape[0] // 16, CELLS, shape[1] // CELLS
            ).sum((1, 3))  # fmt: skip
    np.testing.assert_allclose(found.places, sums[1] / sums[0], rtol=1e-4)


def test_a_map_holds_all_energy() -> None:
    """As sums from elsewhere do that are added to them."""
    found = Returned()
    found.add(0, taken := noise((128, 256), 1), kept := noise((128, 256), 2))
    for sums, part in zip(found.values()["maps"], (taken, taken - kept), strict=True):
        assert np.sum(sums) == pytest.approx(np.square(part, dtype=np.float64).sum(), rel=1e-5)


def test_sums_from_elsewhere_count_as_frames_do() -> None:
    rng = np.random.default_rng(4)
    maps = [rng.random((3, 4)) + one for one in (1, 0)]
    found = Returned()
    for _ in range(2):
        found.add_sums({0: (4.0, 1.0), 2: (2.0, 2.0)}, *maps)
    found.add_sums({1: (1.0, 0.25)}, np.ones((5, 5)), np.ones((5, 5)))  # has no place in this map
    assert found.by_plane == (0.25, 0.25, 1.0)
    assert found.share == pytest.approx(6.25 / 13)
    np.testing.assert_allclose(found.places, np.minimum(maps[1] / maps[0], 1))


@pytest.mark.parametrize("asked", ["share", "by_plane", "places", "values"])
def test_sums_that_are_kept_elsewhere_are_fetched_before_anything_is_told(asked: str) -> None:
    class Account:
        def into(self, returned: Returned) -> None:
            returned.add_sums({0: (4.0, 1.0)}, np.full((1, 1), 4.0), np.ones((1, 1)))

    found = Returned(elsewhere=[Account()])
    told = getattr(found, asked)
    wanted = {"share": 0.25, "by_plane": (0.25,), "places": np.full((1, 1), 0.25)}
    if asked == "values":
        assert told() == {"taken": [4.0], "back": [1.0], "maps": ([[4.0]], [[1.0]])}
    else:
        np.testing.assert_array_equal(told, wanted[asked])


def test_more_than_was_taken_is_all_of_it() -> None:
    found = Returned()
    found.add_sums({0: (1.0, 1.5)}, np.ones((1, 1)), np.full((1, 1), 1.5))
    assert found.share == 1
    assert found.by_plane == (1,)
    assert found.places.tolist() == [[1]]


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((1, 1), (1, 1)), ((10, 7), (10, 7)), ((1, 9000), (1, 64)), ((9000, 1), (64, 1)),
     ((480, 270), (64, 36))],
)  # fmt: skip
def test_a_map_has_the_planes_proportions(shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert map_shape(*shape) == wanted


def test_the_account_is_told_and_read() -> None:
    found = Returned()
    found.add(0, noise((9, 16)), noise((9, 16), 1))
    again = Returned.of(found.values())
    assert again.values() == found.values()
    np.testing.assert_array_equal(again.places, found.places)
    empty = Returned.of(Returned().values())
    assert empty.places.shape == Returned().places.shape == (0, 0)
    empty.add(0, noise((9, 16)), noise((9, 16), 1))
    assert empty.places.shape == (9, 16)
