"""The pieces of footage that pairs are made of."""

from pathlib import Path

import numpy as np
import pytest

from f2rcli.frames import Space
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.split import LONGEST, SIDE, draw_segments, split


@pytest.mark.parametrize(
    ("wanted", "drawn"), [(1, [8]), (9, [9]), (24, [24]), (30, [24, 8]), (47, [24, 23])]
)
def test_no_more_centres_are_drawn_than_are_wanted(wanted: int, drawn: list[int]) -> None:
    clip = Footage("clip", Space.RGB, Path("none"), (100, 2 * SIDE, SIDE, 3), (range(100),))
    given = ([clip], split([clip], 4), wanted * SIDE**2)
    found = draw_segments(*given, np.random.default_rng(0))
    assert [len(segment.centres) for segment in found] == drawn
    assert {len(segment.frames) for segment in found} == {LONGEST}
    assert {(s.centres[0], s.centres[-1]) for s in found} == {(0, LONGEST - 1)}
