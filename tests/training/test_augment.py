"""Augmentation moves samples, keeps the CFA phase, and invents nothing."""

import numpy as np
import pytest

from f2rcli.training.augment import (
    bayer_dihedral,
    pack_bayer,
    reversed_in_time,
    unpack_bayer,
)

FILTERS = np.tile(np.array([["G", "B"], ["R", "G"]]), (4, 5))  # GBRG, 8x10


def test_packing_a_gbrg_mosaic_gives_red_green_blue_green() -> None:
    packed = pack_bayer(FILTERS)
    assert packed.shape == (4, 5, 4)
    assert (packed == np.array(["R", "G", "B", "G"])).all()
    assert np.array_equal(unpack_bayer(packed), FILTERS)


@pytest.mark.parametrize("code", range(4))
def test_flips_keep_every_sample_under_its_own_filter(code: int) -> None:
    turned = bayer_dihedral(pack_bayer(FILTERS), code)
    assert turned.shape == (4 - (code & 1), 5 - (code >> 1), 4)
    assert (turned == np.array(["R", "G", "B", "G"])).all()


@pytest.mark.parametrize("code", range(4, 8))
def test_transposes_swap_red_and_blue_and_nothing_else(code: int) -> None:
    turned = bayer_dihedral(pack_bayer(FILTERS), code)
    assert (turned == np.array(["B", "G", "R", "G"])).all()


def test_the_eight_turned_mosaics_differ_and_hold_samples_of_the_original_only() -> None:
    packed = np.arange(4 * 5 * 4).reshape(4, 5, 4)
    turned = [bayer_dihedral(packed, code) for code in range(8)]
    assert len({t.tobytes() for t in turned}) == 8
    for picture in turned:
        assert set(picture.ravel()) <= set(packed.ravel())
        assert len(set(picture.ravel())) == picture.size
    neighbours = unpack_bayer(packed)
    flipped = unpack_bayer(turned[2])
    assert np.array_equal(flipped, neighbours[:, ::-1][:, 1:-1])


def test_time_runs_forwards_or_backwards() -> None:
    clip = np.arange(6).reshape(3, 2, 1, 1)
    assert np.array_equal(reversed_in_time(clip, 0), clip)
    assert np.array_equal(reversed_in_time(clip, 1)[0], clip[2])
