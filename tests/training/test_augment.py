"""Augmentation moves samples, keeps the CFA phase, and invents nothing."""

import numpy as np
import pytest

from f2rcli.sensor import pack
from f2rcli.training.footage.augment import (
    bayer_dihedral,
    dihedral,
    draw_turn,
    pack_bayer,
    reversed_in_time,
    unpack_bayer,
)

FILTERS = np.tile(np.array([["R", "G"], ["G", "B"]]), (4, 5))  # RGGB, 8x10


def test_packing_is_that_of_the_engine() -> None:
    mosaic = np.arange(80, dtype=np.float32).reshape(8, 10)
    assert np.array_equal(pack_bayer(mosaic), pack(mosaic, "RGGB").transpose(1, 2, 0))


def test_packing_an_rggb_mosaic_gives_red_green_blue_green() -> None:
    packed = pack_bayer(FILTERS)
    assert packed.shape == (4, 5, 4)
    assert (packed == np.array(["R", "G", "B", "G"])).all()
    assert np.array_equal(unpack_bayer(packed), FILTERS)


@pytest.mark.parametrize("code", range(8))
def test_turns_keep_every_sample_under_its_own_filter(code: int) -> None:
    turned = bayer_dihedral(pack_bayer(FILTERS), code)
    sizes = (4 - (code & 1), 5 - (code >> 1 & 1))
    assert turned.shape == (*(sizes[::-1] if code & 4 else sizes), 4)
    assert (turned == np.array(["R", "G", "B", "G"])).all()


def test_of_whole_cells_only_transposing_turns_the_mosaic() -> None:
    packed = np.arange(4 * 5 * 4).reshape(4, 5, 4)
    rng = np.random.default_rng(0)
    assert {draw_turn(rng, 4) for _ in range(20)} == {0, 4}
    assert {draw_turn(rng, 3) for _ in range(99)} == set(range(8))
    turned = dihedral(packed, 4)
    assert np.array_equal(unpack_bayer(turned), unpack_bayer(packed).T)


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
