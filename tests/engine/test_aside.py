"""A sample that is set aside in some frames and kept in others is no change of a still scene."""

from dataclasses import replace

import numpy as np
import pytest

from f2rcli.engine.contract.residual import watched
from f2rcli.engine.contract.steady import Steady
from f2rcli.engine.contract.still import Still
from f2rcli.engine.contract.still.aside import as_before
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.bands import white_shares
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise, planes_of
from f2rcli.samples.defects import NOTHING
from f2rcli.sensor import bayer_layout

GRAY = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 4000.0))
PLACE = 20 * 64 + 30


def shown(plane: np.ndarray, *, aside: bool, repaired: bool = False) -> Frame:
    """A frame of which one sample may be set aside, for half of what it was."""
    frame = Frame(planes=(plane.astype(np.uint16),), layout=GRAY)
    if not aside:
        return frame
    whole = frame.planes[0].copy()
    whole.flat[PLACE] //= 2
    places = np.array([PLACE])
    kept = NOTHING._replace(places=places[:0] if repaired else places, repaired=places)
    return replace(frame, planes=(whole,), aside=(kept,))


@pytest.mark.parametrize("repaired", [False, True])
def test_a_point_that_is_set_aside_in_some_frames_leaves_the_scene_still(repaired: bool) -> None:
    rng, steady = np.random.default_rng(2), Steady()
    noise = PlaneNoise((NoiseModel((0.0,), (0.01,), (0.01,)),), (white_shares(),))
    for number in range(30):
        plane = rng.normal(1000, 40, (48, 64))
        plane.flat[PLACE] += 2000
        watched(steady, shown(plane, aside=number % 5 == 3, repaired=repaired), noise)
    assert steady.still is not None
    worth = steady.still.worths[0]
    around = worth[13:28, 23:38]
    assert (around.mean() > 28) != repaired
    assert worth[34:].mean() > 28


def test_of_a_mosaic_what_was_set_aside_is_found_in_its_plane() -> None:
    mosaic = Mosaic(pattern="GBRG", black=(0.0,) * 4, white=(4095.0,) * 4)
    plane = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16)
    frame = Frame(planes=(plane,), layout=bayer_layout(mosaic, 12))
    before = replace(frame, planes=(plane + np.uint16(1000),))
    still = Still(means=dict(enumerate(planes_of(before))))
    kept = NOTHING._replace(places=np.array([37, 90]))
    found = as_before(replace(frame, aside=(kept,)), planes_of(frame), still)
    wanted = plane.copy()
    wanted.flat[[37, 90]] += 1000
    for one, other in zip(found, planes_of(replace(frame, planes=(wanted,))), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_anything_aside_or_known_planes_stay() -> None:
    frame = shown(np.full((48, 64), 1000.0), aside=True)
    planes = planes_of(frame)
    assert as_before(frame, planes, None) is planes
    assert as_before(replace(frame, aside=()), planes, Still()) is planes
    np.testing.assert_array_equal(as_before(frame, planes, Still())[0], planes[0])
