"""What a method removes is left at the share of it that follows noise."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.engine.contract.residual import CODED
from f2rcli.engine.contract.shrinkage import LEAST_CERTAIN, Shrinkage
from f2rcli.engine.noise.tracking import NoiseTracker
from f2rcli.engine.probing import Probe
from tests.engine.conftest import engine_for, noisy_clip

Real = NDArray[np.float32]
SIGMA, SHAPE = 0.01, (192, 192)
VARIANCE = np.full(SHAPE, SIGMA**2, np.float32)


def normal(seed: int, sigma: float = SIGMA, shape: tuple[int, int] = SHAPE) -> Real:
    drawn = np.random.default_rng(seed).normal(0, sigma, shape)
    return drawn.astype(np.float32)


def asked(gain: float, texture: float, known: Shrinkage | None = None) -> tuple[Shrinkage, Real]:
    """What is learnt of a method that removes a share of the noise and so much texture, and what
    it removes."""
    shrinkage = Shrinkage() if known is None else known
    removed = gain * normal(1) + normal(2, texture * SIGMA)
    added = normal(3)
    shrinkage.learn([removed], [removed + np.float32(gain) * added], [added], [VARIANCE])
    return shrinkage, removed


def kept_share(shrinkage: Shrinkage, removed: Real) -> float:
    kept = shrinkage.shrunk(0, removed, VARIANCE)
    return float(np.vdot(kept, removed) / np.vdot(removed, removed))


@pytest.mark.parametrize(("gain", "texture"), [(0.6, 0.6), (0.8, 0.6), (0.3, 0.7), (0.5, 0.5)])
def test_the_share_is_that_of_the_least_error(gain: float, texture: float) -> None:
    """Against the truth: no other share of what is removed comes closer to the noise."""
    shrinkage, removed = asked(gain, texture)
    truth = normal(1)
    best = float(np.vdot(removed, truth) / np.vdot(removed, removed))
    assert kept_share(shrinkage, removed) == pytest.approx(best, abs=0.04)


def test_a_method_that_removes_noise_alone_is_left_alone() -> None:
    shrinkage, removed = asked(0.97, 0.0)
    assert np.array_equal(shrinkage.shrunk(0, removed, VARIANCE), removed)


def test_places_have_shares_of_their_own() -> None:
    large = (512, 512)
    removed, added = normal(1, shape=large), normal(3, shape=large)
    again = removed + added
    removed[:, 256:] = again[:, 256:] = normal(2, 2 * SIGMA, large)[:, 256:]  # whatever the noise
    variance = np.full(large, SIGMA**2, np.float32)
    shrinkage = Shrinkage()
    shrinkage.learn([removed], [again], [added], [variance])
    kept = shrinkage.shrunk(0, removed, variance)
    share = [float(np.vdot(kept[p], removed[p]) / np.vdot(removed[p], removed[p])) for p in SIDES]
    assert share[0] > 0.97
    assert share[1] < 0.03


SIDES = np.s_[:, :230], np.s_[:, 280:]


def test_what_texture_may_have_added_to_the_law_is_not_counted_as_noise() -> None:
    shrinkage, removed = asked(0.6, 0.6)
    sure = kept_share(shrinkage, removed)
    shrinkage.texture = 0.4 * SIGMA**2
    assert kept_share(shrinkage, removed) == pytest.approx(0.6 * sure, abs=0.02)
    shrinkage.texture = 5 * SIGMA**2
    assert kept_share(shrinkage, removed) == pytest.approx(LEAST_CERTAIN * sure, abs=0.02)


def test_planes_that_were_not_learnt_stay_as_they_are() -> None:
    shrinkage, removed = asked(0.5, 0.7)
    assert shrinkage.shrunk(1, removed, VARIANCE) is removed


def test_the_first_look_with_frames_on_both_sides_replaces_the_one_before_and_others_move_it() -> (
    None
):
    shrinkage, _ = asked(0.3, 0.7)
    assert not shrinkage.settled
    _, removed = asked(0.6, 0.6, shrinkage)
    assert shrinkage.settled
    alone, _ = asked(0.6, 0.6)
    assert kept_share(shrinkage, removed) == kept_share(alone, removed)
    asked(0.3, 0.7, shrinkage)
    later = kept_share(shrinkage, removed)
    assert 0.05 < kept_share(alone, removed) - later < 0.2


def test_it_goes_on_from_json_as_it_was() -> None:
    shrinkage, removed = asked(0.6, 0.6)
    shrinkage.texture = 1e-5
    again = Shrinkage.of(json.loads(json.dumps(shrinkage.values())))
    kept, expected = (one.shrunk(0, removed, VARIANCE) for one in (again, shrinkage))
    assert np.array_equal(kept, expected)
    assert again.looks == shrinkage.looks


@pytest.mark.parametrize(
    ("sigma", "coded", "asked"), [(4.0, False, True), (4.0, True, False), (12.0, False, False)]
)
def test_only_faint_noise_of_files_that_no_codec_smoothed_is_asked_about(
    sigma: float, coded: bool, asked: bool
) -> None:
    frames = noisy_clip(2, height=24, width=32)
    engine = engine_for(frames, sigma=sigma)
    if coded:
        engine.slack = CODED
    noise = NoiseTracker(engine, frames[0].layout)
    assert (Probe(engine.new_method(), engine, noise).new() is not None) == asked
