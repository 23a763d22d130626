"""Frames as flow sees them before their lines are taken out, and flows on the grids of planes."""

import numpy as np
import pytest

from f2rcli.engine.noise import seen as module
from f2rcli.engine.noise.seen import LEVEL, Seen, _levelled, onward
from f2rcli.models.flow import halved
from f2rcli.noise.hum.views import evened
from f2rcli.noise.measurement.profiles import smooth
from tests.engine.conftest import GRAY8, to_frames

RNG = np.random.default_rng(0)
LUMA = np.rint(RNG.uniform(40, 200, (37, 52))).astype(np.float32) / 255


def still(name: int) -> Seen:
    """A frame of which only a number is known, of pictures of 10 x 12 pixels."""
    return Seen([], [], np.full((1, 1), name, np.float32), (10, 12), None)


def of(luma: np.ndarray, **options: bool) -> Seen:
    return Seen.of(to_frames(luma[None, None], GRAY8), **options)


def test_flow_sees_broad_bands_down_a_picture_and_no_offsets_of_rows() -> None:
    offsets, broad = RNG.normal(0, 0.1, (60, 1)), np.linspace(0.2, 0.8, 60)[:, None]
    across = np.float32(RNG.random((1, 40)))
    across -= across.mean()
    found = _levelled(np.float32(across + offsets + broad))
    np.testing.assert_allclose(found, across + smooth(offsets + broad, LEVEL), atol=1e-6)
    assert pytest.approx(8) == LEVEL


@pytest.mark.parametrize("hum", [None, False, True])
def test_luma_is_looked_at_half_as_large(hum: bool | None) -> None:
    seen = of(LUMA) if hum is None else of(LUMA, hum=hum)
    assert seen.shape == LUMA.shape
    np.testing.assert_allclose(seen.planes[0], LUMA, atol=1e-6)
    looked_at = evened(LUMA) if hum else _levelled(LUMA)
    np.testing.assert_allclose(seen.small, halved(looked_at), rtol=1e-5)


def test_on_its_side_columns_are_rows() -> None:
    turned = of(LUMA, turned=True)
    assert turned.shape == LUMA.T.shape
    np.testing.assert_allclose(turned.planes[0], LUMA.T, atol=1e-6)


@pytest.mark.parametrize(("shape", "times"), [((10, 12), 2), ((5, 6), 1)])
def test_a_flow_is_on_the_grid_of_a_plane_in_its_pixels(shape: tuple[int, int], times: int) -> None:
    half = np.full((5, 6, 2), (1.5, -0.5), np.float32)
    found = still(0).sized(half, shape)
    np.testing.assert_allclose(found, np.full((*shape, 2), (1.5 * times, -0.5 * times)), rtol=1e-6)


def test_flows_of_frames_beside_each_other_are_made_once_and_begin_longer_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def flow(self: Seen, other: Seen, start: np.ndarray | None = None) -> np.ndarray:
        there, here = float(other.small[0, 0]), float(self.small[0, 0])
        made.append((here, there, None if start is None else float(start.mean())))
        return np.full((6, 6, 2), 100 * here + there, np.float32)

    monkeypatch.setattr(Seen, "flow", flow)
    monkeypatch.setattr(module, "compose", lambda first, second: 1000 * first + second)
    one, two, three = map(still, (1, 2, 3))
    flows = [float(found.mean()) for found in onward(one, [two, three])]
    assert flows == [102, 103]
    assert made == [(1, 2, None), (2, 3, None), (1, 3, 102_203)]
    assert [float(found.mean()) for found in onward(two, [three])] == [203]
    assert len(made) == 3  # kept
    assert float(two.onward(one).mean()) == 201  # of another frame it is made anew
    assert list(onward(one, [])) == []
