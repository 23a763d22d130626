"""Parts of what estimates the offsets of lines, by what they are for."""

import numpy as np
import pytest

from f2rcli.engine.noise.line_offsets import LineGroup, Reference, relit
from f2rcli.noise.measurement.agreement import destriped
from f2rcli.noise.measurement.lines import LineNoise
from tests.noise.line_scenes import row_offsets, scene, white


@pytest.mark.parametrize("fade", [-0.3, -0.1, 0.1, 0.3])
def test_light_that_grows_is_followed_though_something_passes_before_it(fade: float) -> None:
    expected = scene(1)[0].astype(np.float32)
    own = ((1 + fade) * expected + white(4, 1)[0]).astype(np.float32)
    own[20:50, 30:70] = 0.1
    weights = np.full_like(own, (255 / 4) ** 2)
    factor = relit(expected, own, weights) / expected - 1
    assert factor == pytest.approx(fade, abs=0.03)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_two_other_frames_tell_whether_rows_still_have_offsets(count: int) -> None:
    """One cannot: its own are there as well. Those that were measured are believed at first."""
    plain = (scene(4, (0, 0)) + white(2, 4)).astype(np.float32)
    striped = (plain + row_offsets(6, 4)).astype(np.float32)
    for pictures, wanted in ((plain, 0.0), (striped, 1.0)):
        own, *others = pictures[: count + 1]
        flow = np.zeros((*own.shape, 2), np.float32)
        references = [Reference(one, np.ones_like(one), flow) for one in others]
        group = LineGroup(LineNoise((0,), 6 / 255, 0.0, 0.0))
        group._compare(own, destriped(own), references)
        assert group.present == pytest.approx(wanted if count > 1 else 0.0, abs=0.3)


def test_columns_that_nothing_is_learnt_of_are_no_more_doubtful_than_they_were_measured() -> None:
    own = np.full((64, 96), 0.5, np.float32)
    at_rest = Reference(own, np.ones_like(own), np.zeros((64, 96, 2), np.float32))
    at_rest.offset = np.zeros(64, np.float32)
    group = LineGroup(LineNoise((0,), 0.0, 0.0, 4 / 255))
    for _ in range(200):
        group._learn(own, at_rest, np.ones_like(own))
    assert group.doubt is not None
    assert group.doubt == pytest.approx((4 / 255) ** 2, rel=1e-5)
