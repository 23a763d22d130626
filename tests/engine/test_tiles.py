"""Tiles: chosen by memory, and covering the picture exactly once."""

import numpy as np
import pytest

from f2rcli.engine.tiles import _spans, choose_tile

GIB = 2**30


def test_auto_tiles_only_what_is_large_for_the_memory() -> None:
    assert choose_tile("auto", 1080, 1920, 8 * GIB) is None
    assert choose_tile("auto", 2160, 3840, 8 * GIB) == 1024
    assert choose_tile("auto", 2160, 3840, 64 * GIB) is None


def test_a_number_is_rounded_down_to_the_stride_and_off_means_whole() -> None:
    assert choose_tile("100", 480, 640, GIB) == 96
    assert choose_tile("1000", 480, 640, GIB) is None
    assert choose_tile("off", 9999, 9999, GIB) is None


@pytest.mark.parametrize(
    ("size", "tile", "reach"), [(100, 64, 80), (64, 64, 8), (321, 64, 72), (5, 64, 80)]
)
def test_tiles_cover_every_row_once_and_read_their_reach_on_the_stride(
    size: int, tile: int, reach: int
) -> None:
    covered = np.zeros(size, int)
    for span in _spans(size, tile, reach):
        covered[span.keep] += 1
        assert span.read.start % 8 == 0
        assert span.read.start == max(span.keep.start - reach, 0)
        assert span.read.stop == min(span.keep.stop + reach, size)
        assert span.keep.start - span.read.start == span.inner.start
    assert (covered == 1).all()
