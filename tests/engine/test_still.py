"""Where nothing changes, results reach the mean of all frames; what is new stays."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter, uniform_filter1d

from f2rcli.engine.contract.limits import falling
from f2rcli.engine.contract.residual import watched
from f2rcli.engine.contract.steady import Steady
from f2rcli.engine.contract.still import EVENT, HOLDS, Still, resting
from f2rcli.engine.contract.still.supported import near_agreed
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.bands import white_shares
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise

SIGMA, SIDE = 0.05, 96
LAW = np.full((SIDE, SIDE), SIGMA**2, np.float32)
Real = NDArray[np.float32]
GAIN = NoiseModel((1 / 4000,), (0.0,), (0.01,))  # an electron a code


def texture() -> Real:
    fine = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    return np.asarray(0.5 + 0.04 * fine, np.float32)


def after(
    frames: int, scene: Callable[[int], Real], seed: int = 1
) -> tuple[Still, Real, Real, Real]:
    """What is known of the frames of a scene; the last of them, a poor result, and the mean."""
    still, rng = Still(), np.random.default_rng(seed)
    total = np.zeros((SIDE, SIDE))
    for index in range(frames):
        noisy = scene(index) + (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
        still.add(0, noisy, LAW, white_shares())
        total += noisy
    clean = scene(frames - 1)
    return still, clean, np.asarray(cv2.blur(clean, (3, 3)), np.float32), total / frames


def error(picture: Real, clean: Real) -> float:
    return float(np.square(picture - clean).mean())


@pytest.mark.parametrize("frames", [12, 40])
def test_a_still_scene_comes_close_to_the_mean_of_all_frames(frames: int) -> None:
    scene = texture()
    still, clean, poor, mean = after(frames, lambda _: scene)
    nearer = still.nearer(0, poor, LAW)
    assert nearer is not None
    assert error(poor + nearer, clean) < 1.3 * error(mean, clean) < error(poor, clean)


def test_single_bright_samples_and_their_noise_are_no_change() -> None:
    """Around each it is dark, where a camera's counts vary less; a lamp that comes on is one."""
    rng, noise = np.random.default_rng(7), PlaneNoise((GAIN,), (white_shares(),))
    light = np.full((SIDE, SIDE), 20.0)
    light[4::8, 4::8] = 3000  # electrons
    shown, steady = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 4000.0)), Steady()
    still, quiet = steady.still, []
    assert still is not None
    for index in range(40):
        light[40:44, 40:44] += 400 * (index == 39)
        frame = Frame(planes=(rng.poisson(light).astype(np.uint16),), layout=shown)
        watched(steady, frame, noise)
        quiet.append(falling(still.events.get(0, np.zeros((SIDE, SIDE), np.float32)), EVENT))
    assert np.mean([part[4::8, 4::8] for part in quiet[20:39]]) > 0.995
    assert still.worths[0][60:, 60:].mean() > 38
    assert quiet[39][41:43, 41:43].max() == 0


def test_a_flow_that_errs_for_two_frames_forgets_nothing() -> None:
    scene = texture()
    still, _, poor, _ = after(20, lambda _: scene)
    here, there = (np.full((SIDE, SIDE, 2), move, np.float32) for move in (0.0, 1.0))
    assert [still.rests([flow]) for flow in (here, there, there)] == [1, 1, 1]
    assert still.nearer(0, poor, LAW) is not None
    assert still.rests([there]) == 0
    assert still.nearer(0, poor, LAW) is None
    assert Still().rests([there]) == 0  # of a clip that begins so


@pytest.mark.parametrize("seed", [1, 2])
def test_fine_texture_of_a_long_burst_is_hardly_worse_than_in_the_mean(seed: int) -> None:
    scene = texture()
    still, clean, poor, mean = after(64, lambda _: scene, seed)
    result = clean + 0.5 * (poor - clean) + 0.6 * np.asarray(mean - clean, np.float32)
    nearer = still.nearer(0, result, LAW)
    assert nearer is not None
    assert error(result + nearer, clean) < 1.15 * error(mean, clean)


def test_noise_at_the_border_is_hardly_taken_for_something_new_more_often_than_elsewhere() -> None:
    still, border, rng = Still(), np.ones((SIDE, SIDE), bool), np.random.default_rng(4)
    border[7:-7, 7:-7] = False
    seen = []
    for _ in range(64):
        noisy = (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
        still.add(0, noisy, LAW, white_shares())
        if still.events:  # from the second frame on
            seen.append(still.events[0] > 14)
    at_border, inside = (float(np.mean(seen, axis=0)[part].mean()) for part in (border, ~border))
    assert at_border < 2 * inside + 5e-4
    assert (still.worths[0] > 48).mean() > 0.99


def test_in_a_still_scene_less_is_kept_from_the_mean_than_passes_limits_by_chance() -> None:
    """Of fine texture what is kept is far worse than the mean."""
    scene, new, differ = texture(), [], []
    for seed in (1, 2, 3, 4):
        still, rng = Still(), np.random.default_rng(seed)
        for number in range(56):
            noisy = scene + (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
            still.add(0, noisy, LAW, white_shares())
            if number < 24:
                continue
            new.append((still.events[0] > EVENT[0]).mean())
            differ.append((still.drifts[0] * still.sure[0] > HOLDS[0]).mean())
    assert np.mean(new) < 3e-4  # 5e-4 of all places pass the limit
    assert np.mean(differ) < 0.08  # 0.15 pass it


def test_in_a_still_mosaic_chance_keeps_even_less_from_the_mean() -> None:
    still, rng, differ, alone = Still(), np.random.default_rng(5), [], []
    for number in range(56):
        for index in range(4):
            noisy = (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
            still.add(index, noisy, LAW, white_shares())
        if number >= 24:
            near = near_agreed(still.drifts)
            differ += [(still.drifts[n] * near[n] > HOLDS[0]).mean() for n in near]
            alone += [(still.drifts[n] * still.sure[n] > HOLDS[0]).mean() for n in near]
    assert len(differ) == 4 * 32
    assert np.mean(differ) < 0.4 * np.mean(alone)


@pytest.mark.parametrize(("shared", "wanted"), [(0.0, 1.0), (0.7, 0.3), (1.0, 0.0)])
def test_later_frames_tell_how_much_of_the_means_noise_results_lack(
    shared: float, wanted: float
) -> None:
    """Results have a share of the mean's noise and, in every other row, an error of their own."""
    scene, own = texture(), np.zeros((SIDE, SIDE), np.float32)
    own[::2] = 0.3 * SIGMA * np.random.default_rng(5).choice([-1, 1], (SIDE // 2, SIDE))
    still, rng, gains = Still(), np.random.default_rng(6), []
    for _ in range(48):
        noisy = scene + (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
        still.add(0, noisy, LAW, white_shares())
        result = scene + np.float32(shared) * (still.means[0] - scene) + own
        nearer = still.nearer(0, result, LAW)
        if nearer is not None:
            gains.append(error(still.means[0], scene) / error(result + nearer, scene))
    told, samples = still.owned[0][0]
    assert told / samples == pytest.approx(wanted, abs=0.15)
    assert min(gains[12:]) > 0.94


def test_what_results_share_with_the_mean_is_learnt_anew_within_a_few_frames() -> None:
    """Of large pictures: networks and the long memory change it from frame to frame."""
    wide = (4 * SIDE, 4 * SIDE)
    still, rng, law = Still(), np.random.default_rng(8), np.full(wide, SIGMA**2, np.float32)
    told = []
    for number in range(32):
        noisy = (SIGMA * rng.standard_normal(wide)).astype(np.float32)
        still.add(0, noisy, law, white_shares())
        share = np.float32(0.0 if number < 20 else 0.8)
        still.nearer(0, share * still.means[0], law)
        told.append(float(still._owned(0)[0, 0]) / max(float(still._owned(0)[0, 1]), 1))
    assert told[19] == pytest.approx(1.0, abs=0.1)
    assert told[31] < 0.4  # seven frames after the first that tells of it


def test_what_is_learnt_holds_where_the_last_few_frames_differ_from_the_mean_as_noise_does() -> (
    None
):
    """The trail of what moves slowly in the mean is as weak as the mean's noise."""
    scene, seed = texture(), np.random.default_rng(7)
    still, _, _, _ = after(40, lambda _: scene)
    still.drifts[0][: SIDE // 2], still.sure[0][: SIDE // 2] = 8, 1
    still.owned[0] = np.array([[0, 1e6]], np.float32)  # results lack nothing of the mean's noise
    noise = 0.5 * np.sqrt(LAW / still.worths[0]) * seed.standard_normal(LAW.shape)
    nearer = still.nearer(0, still.means[0] + noise.astype(np.float32), LAW)
    assert nearer is not None
    share = np.sqrt(np.square(nearer) / np.square(noise))
    assert np.mean(share[: SIDE // 2 - 9]) < 0.5
    assert np.mean(share[SIDE // 2 + 9 :]) > 0.85


def test_a_good_result_stays() -> None:
    scene = texture()
    still, clean, _, mean = after(20, lambda _: scene)
    nearer = still.nearer(0, clean, LAW)
    assert nearer is not None
    assert error(clean + nearer, clean) < 0.1 * error(mean, clean)


def test_after_all_has_moved_the_mean_begins_again_and_calm_from_nothing() -> None:
    scene = texture()
    moved, _, poor, _ = after(20, lambda _: scene)
    moved.forget()
    assert moved.nearer(0, poor, LAW) is None
    fresh, rng, shares = Still(), np.random.default_rng(2), []
    for _ in range(30):
        noisy = scene + (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
        both = []
        for still in (moved, fresh):
            still.add(0, noisy, LAW, white_shares())
            nearer = still.nearer(0, poor, LAW)
            both.append(0.0 if nearer is None else float(np.abs(nearer).sum()))
        shares.append(both[0] / both[1] if both[1] else 0.0)
    assert 0 < shares[6] < 0.5 < shares[11] < 1
    assert shares[-1] == 1


def test_what_is_new_stays() -> None:
    scene, spot = texture(), np.zeros((SIDE, SIDE), np.float32)
    spot[40:46, 40:46] = 3 * SIGMA
    still, clean, _, _ = after(20, lambda index: scene + spot * np.float32(index == 19))
    nearer = still.nearer(0, clean, LAW)
    assert nearer is not None
    assert np.abs(nearer[40:46, 40:46]).max() < 0.1 * SIGMA


@pytest.mark.parametrize("speed", [0.3, 2.0])
def test_a_mean_of_what_moves_is_not_used(speed: float) -> None:
    rows = np.linspace(0, 12, SIDE, dtype=np.float32)

    def scene(index: int) -> Real:
        return np.asarray(0.5 + 0.2 * np.sin(np.add.outer(rows, rows) + speed * index / 8), "f4")

    still, clean, _, _ = after(20, scene)
    nearer = still.nearer(0, clean, LAW)
    assert nearer is None or error(clean + nearer, clean) < 1e-7


def test_a_few_frames_are_no_mean() -> None:
    scene = texture()
    still, _, poor, _ = after(3, lambda _: scene)
    assert still.nearer(0, poor, LAW) is None


def test_a_picture_moves_where_its_flow_goes_one_way_and_rests_where_it_scatters() -> None:
    jitter = np.random.default_rng(0).normal(0, 0.4, (96, 128, 2)).astype(np.float32)
    assert resting([jitter]) == 1.0
    panned = jitter + np.float32([0.6, 0.0])
    assert resting([jitter, panned]) == 0.0
    passing = jitter.copy()  # an object crosses a picture that stands still
    passing[20:60, 30:90] += 4
    assert resting([passing]) == 1.0
    assert resting([]) == 1.0  # no flow is known


Array = NDArray[np.float64]


def scatter(shape: tuple[int, ...], side: int) -> Array:
    """The variance that a box filter with mirrored borders leaves of white noise, over 1 / side^2:
    of what each sample counts for, the sum of squares."""
    along = [(uniform_filter1d(np.eye(n), side, axis=0) ** 2).sum(1) * side for n in shape]
    return np.multiply.outer(*along)


class Reference:
    """The mean of a still scene by its definition (DESIGN.md D47)."""

    def __init__(self, plane: Real) -> None:
        self.mean, self.worth = plane.astype(np.float64), np.ones(plane.shape)
        self.lately, self.flicker = np.zeros(plane.shape), np.ones(plane.shape)
        self.event, self.drift = np.zeros(plane.shape), np.zeros(plane.shape)
        self.calm, self.age = 1.0, 1
        self.sure, self.come = np.zeros(plane.shape, bool), 1.0
        self.asked: dict[int, tuple[Array, Array]] = {}  # by frame: see `nearer`
        self.told = self.samples = 0.0

    def add(self, plane: Real, variance: Real, shares: tuple[float, ...]) -> None:
        """Changes are sought in single frames, in the last few and in the power of flicker."""
        if self.age - 5 in self.asked:
            weight, mean = self.asked[self.age - 5]
            weight = weight * (self.worth > 9)
            self.told = self.told * 7 / 8 + (weight * (mean - plane)).sum()
            self.samples = self.samples * 7 / 8 + np.count_nonzero(weight)
        elif self.asked:
            self.told, self.samples = self.told * 7 / 8, self.samples * 7 / 8
        apart = plane - self.mean
        self.lately += (apart - self.lately) / 8
        few = np.maximum(1 / 15 - 1 / self.worth, 0) + 0.9 * (49 / 64) ** self.worth
        noise, noise_of_few = variance * (1 + 1 / self.worth), variance * np.maximum(few, 1 / 35)
        found, powers, drifts = [np.zeros(plane.shape)], [], []
        before, self.sure = self.sure, np.zeros(plane.shape, bool)
        for index, side in enumerate((3, 7, 15)):
            left = max(sum(shares[index + 1 :]), 1 / side**2)
            here = left * scatter(plane.shape, side)
            power = uniform_filter(apart, side) ** 2 / (noise * here)
            drift = uniform_filter(self.lately, side) ** 2 / (noise_of_few * here)
            found += [(power - 20) * left, (drift - 16) * left * 3 / 8]
            powers.append(power)
            drifts.append(drift)
            self.sure |= maximum_filter(drift > 11, {3: 7, 7: 11, 15: 15}[side])
            if side == 7:
                self.flicker += (power - self.flicker) / 16
                found.append((uniform_filter(self.flicker, 15) - 1.4) * left)
        event, self.drift = np.max(powers, axis=0), np.max(drifts, axis=0) * self.sure
        self.come += ((event > 14).mean() / 5.5e-4 - self.come) / 16
        alone = ~before & ~maximum_filter(event > 20, 15)
        self.event = event - 4 * np.clip(2.5 - self.come, 0, 1) * alone
        self.worth = np.minimum(1 / (1 / self.worth + np.max(found, axis=0)) + 1, 256)
        self.mean += apart / self.worth
        self.lately -= apart / self.worth
        self.age += 1
        worn = (self.worth[::2, ::2] < 0.75 * min(self.age, 16)).mean()
        moved = np.minimum(drift, 20).mean()
        steps = [(0.06 - worn) / 0.03, (2.5 - moved) / 0.7, self.calm + 1 / 16, 1]
        self.calm = max(min(steps), 0)

    def nearer(self, restored: Real, variance: Real) -> Array:
        """As far as the result lies further from the mean than that part of the mean's own noise
        explains that it does not share, as frames show that come five later."""
        apart, own = self.mean - restored, uniform_filter(variance / self.worth, 9)
        self.asked[self.age - 1] = apart / own, self.mean.copy()
        lacking = np.clip((self.told + 500) / (self.samples + 500), 0, 1)
        lacking = 1 - (1 - lacking) * np.clip((8 - self.drift) / 4, 0, 1)
        share = np.maximum(1 - lacking * own / uniform_filter(apart**2, 9), 0)
        share *= np.clip((self.worth - 4) / 4, 0, 1)
        quiet = minimum_filter(np.clip((20 - self.event) / 6, 0, 1), 5, mode="nearest")
        return apart * share * quiet * self.calm


COARSE = (0.2, 0.2, 0.2, 0.2, 0.1, 0.1)


@pytest.mark.parametrize("bands", [white_shares(), COARSE])
@pytest.mark.parametrize(("change", "share"), [(0.0, 0.0), (0.15, 0.02), (0.15, 0.04), (0.05, 0.3)])
def test_the_mean_and_how_it_is_used_are_the_definitions(
    change: float, share: float, bands: tuple[float, ...]
) -> None:
    """A part of the picture changes by so much after 14 frames, another flickers."""
    still, rng = Still(), np.random.default_rng(11)
    law = (LAW * np.linspace(0.5, 2, SIDE)).astype(np.float32)
    width, known, used, calm = round(SIDE * share), None, 0, set()
    for index in range(34):
        scene = texture()
        scene[:, :width] += change * (index >= 14)
        scene[60:70, 60:70] += 0.1 * (-1) ** index
        noisy = (scene + rng.standard_normal((SIDE, SIDE)) * np.sqrt(law)).astype(np.float32)
        poor = np.asarray(cv2.blur(scene, (3, 3)), np.float32)
        still.add(0, noisy, law, bands)
        if known is None:
            known = Reference(noisy)
        else:
            known.add(noisy, law, bands)
        nearer = still.nearer(0, poor, law)
        wanted = known.nearer(poor, law) if known.calm and known.worth.max() > 4 else np.zeros(())
        assert (nearer is None) == (not wanted.any())
        if nearer is not None:
            assert np.mean(np.abs(nearer - wanted) > 2e-4) < 1e-3
            used += 1
        off = np.abs(still.worths[0] / known.worth - 1)
        assert np.mean(off > 2e-3) < 1e-3  # what lies beside a threshold drifts apart in float32
        calm.add(round(known.calm, 3))
    assert used > (0 if bands is COARSE else 5)
    assert share < 0.04 or bands is COARSE or len(calm) > 2  # neither all of it nor none


def test_calm_comes_back_in_sixteen_frames() -> None:
    still, rng, calm = Still(), np.random.default_rng(3), []
    still.add(0, LAW, LAW, white_shares())
    still.forget()
    for _ in range(18):
        still.add(
            0, (SIGMA * rng.standard_normal(LAW.shape)).astype(np.float32), LAW, white_shares()
        )
        calm.append(float(still.calm[0][0, 0]))
    assert calm == pytest.approx([min(index / 16, 1) for index in range(18)])


@pytest.mark.parametrize("frames", [4, 40])
def test_a_mean_is_worth_256_frames_at_most(frames: int) -> None:
    still, flat = Still(), np.full((16, 16), 0.5, np.float32)
    still.add(0, flat, LAW[:16, :16], white_shares())
    still.worths[0][:] = 230
    for _ in range(frames):
        still.add(0, flat, LAW[:16, :16], white_shares())
    np.testing.assert_allclose(still.worths[0], min(230 + frames, 256), rtol=1e-6)


def test_of_a_picture_that_moves_a_mean_and_its_worth_are_held() -> None:
    still = Still()
    for _ in range(3):
        for _ in range(2):
            still.add(0, LAW, LAW, white_shares())
        assert still.nearer(0, LAW, LAW) is None  # what the frame was tested on goes with it
        assert {**still.events, **still.drifts} == {}
        still.forget()
        assert {**still.means, **still.worths, **still.lately, **still.flicker} == {}
        still.add(0, LAW, LAW, white_shares())
        assert {**still.lately, **still.flicker, **still.events, **still.drifts} == {}


def test_pictures_of_another_size_begin_anew_in_full_calm() -> None:
    still = Still()
    still.add(0, LAW, LAW, white_shares())
    still.calm[0][:] = 0
    still.add(0, LAW[:20], LAW[:20], white_shares())
    assert still.calm[0].tolist() == [[1, 1]]
    assert still.nearer(0, LAW, LAW) is None
    assert still.nearer(1, LAW, LAW) is None


def test_of_pictures_of_another_size_nothing_is_known() -> None:
    rng, (still, fresh) = np.random.default_rng(3), (Still(), Still())
    for size in (SIDE, SIDE // 2):
        for _ in range(3):
            frame = rng.normal(0.5, SIGMA, (size, SIDE)).astype(np.float32)
            still.add(0, frame, LAW[:size], white_shares())
            if size < SIDE:
                fresh.add(0, frame, LAW[:size], white_shares())
    for one, other in zip(
        (still.means, still.worths, still.lately, still.flicker, still.events, still.drifts),
        (fresh.means, fresh.worths, fresh.lately, fresh.flicker, fresh.events, fresh.drifts),
        strict=True,
    ):
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.parametrize(("moving", "wanted"), [(0.985, 0.0), (0.93, 4 / 7), (0.5, 1.0)])
def test_between_a_thirtieth_and_a_tenth_that_rests_a_picture_half_rests(
    moving: float, wanted: float
) -> None:
    """Columns move by 0.31 or 0.29 pixels; a mean over 60 blurs where they meet."""
    flow = np.full((400, 4000, 2), 0.0, np.float32)
    flow[:, : round(4000 * moving), 0] = 30  # the mean's middle lies 0.6 columns beyond the border
    flow[:, round(4000 * moving) :, 0] = -0.29
    found = resting([flow])
    still = 1 - moving - 30 / 4000
    assert found == pytest.approx(np.clip((still - 0.03) / 0.07, 0, 1), abs=0.1)
    assert abs(found - wanted) < 0.2


def test_frames_are_asked_of_places_worth_more_than_nine_that_results_had_nothing_to_do_with() -> (
    None
):
    """Four of the mean and the five that came since."""
    rng = np.random.default_rng(8)
    apart, mean, plane = rng.random((3, 20, 24)).astype(np.float32)
    worth = np.full((20, 24), 9, np.float32)
    worth[:, 12:] = 9.01
    told = np.stack([apart, mean])
    still = Still(means={0: mean}, worths={0: worth}, asked={0: np.stack([told] + 4 * [0 * told])})
    still.owned[0] = np.array([[80, 160]], np.float32)
    still._ask(0, plane)
    sums = (apart * (mean - plane))[:, 12:].sum(), 20 * 12
    np.testing.assert_allclose(still.owned[0], [np.array([70, 140]) + sums], rtol=1e-5)
    assert not still.asked[0].any()


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("moved", [False, True])
def test_changes_bring_results_closer_to_the_mean_as_far_as_the_picture_rests(
    monkeypatch: pytest.MonkeyPatch, moved: bool, even: bool
) -> None:
    """Results with what clipping moved them by; where planes keep their means, so does this."""
    rng = np.random.default_rng(9)
    changes, planes, variances, shifts = rng.random((4, 2, 12, 14)).astype(np.float32)
    nearer = rng.random((12, 14)).astype(np.float32)

    def told(index: int, restored: Real, variance: Real, near: object) -> Real | None:
        shown = planes[index] + changes[index] + (shifts[index] if moved else 0)
        np.testing.assert_allclose(restored, shown, rtol=1e-6)
        assert variance is law[index]
        return nearer.copy() if index else None

    still, law = Still(), list(variances)
    monkeypatch.setattr(still, "nearer", told)
    given = list(shifts) if moved else None
    found = still.brought(list(changes), list(planes), law, given, 0.25, even=even)
    np.testing.assert_array_equal(found[0], changes[0])
    wanted = changes[1] + 0.25 * (nearer - (nearer.mean() if even else 0))
    np.testing.assert_allclose(found[1], wanted, rtol=1e-5)
