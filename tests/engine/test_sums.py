"""Sums of frames against their definition: shots, a grid of so many pictures, and lines between."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from f2rcli.engine.dim.sums import between, summed
from f2rcli.frames import Family, Frame, PlaneLayout

LAYOUT = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 1000.0))


def frames_of(codes: np.ndarray) -> list[Frame]:
    return [
        Frame(planes=(plane,), layout=LAYOUT, pts=t, duration=1, time_base=Fraction(1, 25),
              aside=("set aside",), context=True)
        for t, plane in enumerate(codes)
    ]  # fmt: skip


def groups_of(shot: list[int], size: int) -> list[list[int]]:
    """Pictures of one shot by the grid; ends of less than half a sum join what is beside them."""
    cells = sorted({number // size for number in shot})
    groups = [[number for number in shot if number // size == cell] for cell in cells]
    if len(groups) > 1 and 2 * len(groups[0]) < size:
        groups[:2] = [groups[0] + groups[1]]
    if len(groups) > 1 and 2 * len(groups[-1]) < size:
        groups[-2:] = [groups[-2] + groups[-1]]
    return groups


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", range(12))
def test_every_picture_lies_on_the_line_between_the_sums_of_its_shot(size: int, seed: int) -> None:
    rng = np.random.default_rng(100 * size + seed)
    first, count = int(rng.integers(0, 20)), int(rng.integers(1, 40))
    cuts = {place for place in range(1, count) if rng.random() < 0.1}
    codes = rng.integers(0, 1000, (count, 2, 3)).astype(np.uint16)
    frames = frames_of(codes)
    sums = list(summed(([f] for f in frames), size, first, lambda a, b: b.pts not in cuts))

    starts = [0, *sorted(cuts), count]
    shots = [list(range(first + a, first + b)) for a, b in pairwise(starts)]
    wanted = [group for shot in shots for group in groups_of(shot, size)]
    assert [[one.number for one in found.members] for found in sums] == wanted
    assert [found.closes for found in sums] == [group[-1] + 1 - first in starts for group in wanted]
    for found, group in zip(sums, wanted, strict=True):
        assert found.middle == np.mean(group)
        mean, frame = codes[np.subtract(group, first)].mean(0), found.frame
        np.testing.assert_allclose(frame.planes[0], mean, rtol=1e-6)
        assert (frame.source, frame.layout.bits) == (found, 32)
        assert (frame.context, frame.aside) == (False, ())
        assert (frame.pts, frame.layout.levels) == (group[0] - first, LAYOUT.levels)

    shown = list(between(one.frame for one in sums))
    assert [one.shown.number for one in shown] == list(range(first, first + count))
    assert [one.shown.begins for one in shown] == [t in starts for t in range(count)]
    for shot in shots:
        own = [group for group in wanted if group[0] in shot]
        means = np.array([codes[np.subtract(group, first)].mean(0).ravel() for group in own])
        middles = [float(np.mean(group)) for group in own]
        for number in shot:
            line = [np.interp(number, middles, column) for column in means.T]
            np.testing.assert_allclose(shown[number - first].planes[0].ravel(), line, rtol=1e-5)
