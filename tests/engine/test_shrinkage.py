"""What a method removes is left at the share of it that follows noise."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from f2rcli.engine.contract.residual import CODED
from f2rcli.engine.contract.shrinkage import LEAST_CERTAIN, Shrinkage
from f2rcli.engine.noise.tracking import NoiseTracker
from f2rcli.engine.probing import ResponseProbe
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from tests.engine.conftest import engine_for, noisy_clip

Real = NDArray[np.float32]
SIGMA, SHAPE = 0.01, (192, 192)
VARIANCE = np.full(SHAPE, SIGMA**2, np.float32)


def normal(seed: int, sigma: float = SIGMA, shape: tuple[int, int] = SHAPE) -> Real:
    drawn = np.random.default_rng(seed).normal(0, sigma, shape)
    return drawn.astype(np.float32)


def asked(gain: float, texture: float, known: Shrinkage | None = None) -> tuple[Shrinkage, Real]:
    """What is learnt of a method that removes a share of noise and some texture; the removed."""
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


EDGES = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3)
MIDDLES = (0.03, 0.075, 0.15, 0.25, 0.375, 0.525, 0.7, 0.9, 1.15, 1.5)


def reference(removed: Real, response: Real, added: Real, variance: Real) -> Real:
    """What stays removed by the definition: the share of a place is that of its class, between the
    classes' middles linear, of those whose power is as large; from 0.93 on it is all."""

    def share(some: NDArray[np.bool_]) -> float:
        follows = (response * added)[some].sum() / (added[some] ** 2).sum()
        return float(np.clip(follows * variance[some].sum() / (removed[some] ** 2).sum(), 0, 1))

    def mean(plane: Real) -> Real:
        return uniform_filter(plane.astype(np.float64), 15)

    power = mean(removed**2) / mean(variance)
    whole, classes = share(np.ones(removed.shape, bool)), np.digitize(power, EDGES)
    shares = []
    for index in range(10):
        here = classes == index
        many = int(here.sum())
        shares.append(((share(here) if many else 0) * many + 2000 * whole) / (many + 2000))
    own = np.interp(np.clip(power, 0, 1.5), MIDDLES, shares)
    own = np.where(own < 0.85, own, np.clip(0.85 + (own - 0.85) * 0.15 / 0.08, 0.85, 1))
    return (mean(own) * removed).astype(np.float32)


def test_shares_are_the_definitions_in_every_class() -> None:
    """What is removed grows from nothing to twice the noise, and follows it less and less."""
    shape = (200, 320)
    rng = np.random.default_rng(12)
    grows = np.linspace(0, 1.5, shape[1]).astype(np.float32)
    variance = (SIGMA**2 * (1 + rng.random(shape[0]))[:, None] * np.ones(shape)).astype(np.float32)
    noise, texture, added = (
        (rng.standard_normal(shape) * np.sqrt(variance)).astype(np.float32) for _ in range(3)
    )
    gain = np.minimum(grows, 1) * np.where(np.arange(shape[0]) < 100, 1, 0.5)[:, None]
    removed = np.asarray(gain * noise + 1.4 * np.maximum(grows - 0.4, 0) * texture, np.float32)
    response = np.asarray(gain * added, np.float32)
    shrinkage = Shrinkage()
    shrinkage.learn([removed], [removed + response], [added], [variance])
    found = shrinkage.shrunk(0, removed, variance)
    wanted = reference(removed, response, added, variance)
    off = np.abs(found - wanted)[:, 20:] / np.maximum(np.abs(removed[:, 20:]), 1e-6)
    assert off.max() < 0.015
    assert off.mean() < 0.0018  # a table of 256 steps
    shares = wanted[:, 40:] / removed[:, 40:]
    assert shares.min() < 0.5
    assert shares.max() > 0.99


def test_a_method_that_does_the_contrary_is_not_believed() -> None:
    shrinkage, removed = asked(-0.5, 0.5)
    assert not shrinkage.shrunk(0, removed, VARIANCE).any()


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
    for there in (False, True):
        engine = engine_for(frames, sigma=sigma)
        if there:
            engine.stay_on_device()
        if coded:
            engine.slack = CODED
        noise = NoiseTracker(engine, frames[0].layout)
        assert (ResponseProbe(engine.new_method(), engine, noise).new() is not None) == asked


@pytest.mark.parametrize(("luma8", "asked"), [(2.0, True), (6.0, False)])
def test_faint_luma_beside_strong_colour_noise_is_asked_about(luma8: float, asked: bool) -> None:
    """Networks are told the strong noise of R, G and B: luma of sigma 1 lost 3 dB."""
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False)
    shapes = (24, 32), (12, 16), (12, 16)
    frame = Frame(planes=tuple(np.full(shape, 128, np.uint8) for shape in shapes), layout=layout)
    engine = engine_for([frame, frame])
    noise = NoiseTracker(engine, layout)
    strong = NoiseModel.gaussian(11 / 255, 3)
    laws = tuple(NoiseModel.gaussian(sigma / 255, 1) for sigma in (luma8, 8.0, 8.0))
    noise.know(strong, replace(PlaneNoise.of(strong, layout, clipped=False), models=laws))
    assert (ResponseProbe(engine.new_method(), engine, noise).new() is not None) == asked
