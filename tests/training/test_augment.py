"""Augmentation moves samples, keeps the CFA phase, and invents nothing."""

import numpy as np
import torch

from f2rcli.sensor import unpack
from f2rcli.training.footage.augment import dihedral, draw_turn
from f2rcli.training.footage.windows import Sample, channels_first, channels_last


def test_of_whole_cells_only_transposing_turns_the_mosaic() -> None:
    packed = np.arange(4 * 5 * 4).reshape(4, 5, 4)
    rng = np.random.default_rng(0)
    assert {draw_turn(rng, 4) for _ in range(20)} == {0, 4}
    assert {draw_turn(rng, 3) for _ in range(99)} == set(range(8))
    turned = dihedral(packed, 4)
    mosaics = [unpack(p.transpose(2, 0, 1), "RGGB", s) for p, s in
               ((packed, (8, 10)), (turned, (10, 8)))]  # fmt: skip
    assert np.array_equal(mosaics[1], mosaics[0].T)


def test_the_eight_flips_and_transposes_are_all_different_and_lose_nothing() -> None:
    crop = np.arange(2 * 3 * 3 * 1, dtype=np.float32).reshape(2, 3, 3, 1)
    turned = [dihedral(crop, code) for code in range(8)]
    assert len({t.tobytes() for t in turned}) == 8
    assert all(sorted(t.ravel()) == sorted(crop.ravel()) for t in turned)


def test_time_runs_forwards_or_backwards() -> None:
    clip = np.arange(6).reshape(3, 2, 1, 1)
    sample = Sample(clip, clip, None, clip)
    assert np.array_equal(sample.turned(0, 0).noisy, clip)
    assert np.array_equal(sample.turned(0, 1).noisy[0], clip[2])


def test_one_frame_played_backwards_becomes_a_tensor() -> None:
    planes = torch.arange(12.0).reshape(1, 3, 2, 2)
    backwards = channels_last(planes)[::-1]
    assert torch.equal(channels_first(backwards), planes)
