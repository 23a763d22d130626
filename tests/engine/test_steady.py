"""What stands still and is lost in every frame comes back; what moves leaves no ghost."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from f2rcli.engine.contract.limits import held
from f2rcli.engine.contract.steady import STANDS, Steady
from f2rcli.models.flow import Flow
from f2rcli.noise.bands import white_shares

SIGMA, SIDE = 0.05, 128
SHARES = (white_shares(),)
Real = NDArray[np.float32]


def texture(shift: int = 0) -> Real:
    fine = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    return 0.5 + 0.04 * np.roll(fine, shift, 1)


def law() -> Real:
    return np.full((SIDE, SIDE), SIGMA**2, np.float32)


def after(frames: int, speed: int) -> tuple[Real, Real]:
    """The clean picture, and what a method that blurs everything gives once it is mended."""
    steady, rng = Steady(), np.random.default_rng(1)
    for index in range(frames):
        clean = texture(speed * index)
        noisy = clean + (SIGMA * rng.standard_normal(clean.shape)).astype(np.float32)
        restored = np.asarray(cv2.blur(clean, (5, 5)), np.float32)
        steady.add([noisy], [law()], SHARES)
        lost = steady.lost(0, noisy - restored, law(), SHARES[0])
    return clean, restored + lost


def test_what_may_last_is_not_lost() -> None:
    """Errors of compression: a quarter of their variance may be the same in every frame."""
    noise = (SIGMA / 2 * np.random.default_rng(6).standard_normal((SIDE, SIDE))).astype(np.float32)
    left = []
    for lasting in (0.0, 0.25):
        steady = Steady()
        for _ in range(12):
            steady.add([0.5 + noise], [law()], SHARES)
            lost = steady.lost(0, noise, law(), SHARES[0], None, lasting)
        left.append(float(np.var(lost) / np.var(noise)))
    assert left[0] > 0.4
    assert left[1] < 0.1


def detail(picture: Real, clean: Real) -> float:
    """The share of the clean picture's fine detail that is there."""
    fine, true = (p - cv2.blur(p, (5, 5)) for p in (picture, clean))
    return float((fine * true).sum() / (true * true).sum())


def test_fine_detail_of_a_still_scene_comes_back() -> None:
    clean, mended = after(20, speed=0)
    assert detail(mended, clean) > 0.8
    assert float(np.square(mended - clean).mean()) < 0.35 * float(np.var(clean))


def test_detail_far_weaker_than_the_noise_comes_back_where_much_of_it_stands_still() -> None:
    steady, rng = Steady(), np.random.default_rng(4)
    fine = np.random.default_rng(5).standard_normal((SIDE, SIDE)).astype(np.float32)
    fine -= np.asarray(cv2.blur(fine, (5, 5)), np.float32)
    weak = fine * np.float32(SIGMA / 8)  # a third of the noise that is left after 20 frames
    for _ in range(20):
        noise = (SIGMA * rng.standard_normal(weak.shape)).astype(np.float32)
        steady.add([0.5 + weak + noise], [law()], SHARES)
        lost = steady.lost(0, weak + noise, law(), SHARES[0])
    assert detail(lost, weak) > 0.5


def test_what_moves_leaves_no_ghost() -> None:
    clean, mended = after(20, speed=9)
    blurred = np.asarray(cv2.blur(clean, (5, 5)), np.float32)
    assert float(np.square(mended - clean).mean()) < 1.05 * float(np.square(blurred - clean).mean())
    assert float(np.square(mended - blurred).mean()) < 0.15 * SIGMA**2


def test_noise_that_was_removed_rightly_stays_removed() -> None:
    steady, rng = Steady(), np.random.default_rng(2)
    flat = np.full((SIDE, SIDE), 0.4, np.float32)
    for _ in range(12):
        noise = (SIGMA * rng.standard_normal(flat.shape)).astype(np.float32)
        steady.add([flat + noise], [law()], SHARES)
        lost = steady.lost(0, noise, law(), SHARES[0])
    assert float(np.square(lost).mean()) < 0.02 * SIGMA**2


def test_of_counts_half_as_much_noise_comes_back() -> None:
    """In a mean of few frames, places where it is loud by chance look like something lost."""
    back = []
    for counts in (False, True):
        steady, rng = Steady(), np.random.default_rng(0)
        for _ in range(6):
            noise = (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
            steady.add([0.5 + noise], [law()], SHARES)
            lost = steady.lost(0, noise, law(), SHARES[0], counts=counts)
        back.append(float(np.square(lost).mean()))
    assert back[1] < 0.6 * back[0]


def test_a_shade_that_is_lost_in_every_frame_comes_back() -> None:
    steady, rng = Steady(), np.random.default_rng(3)
    flat = np.full((SIDE, SIDE), 0.4, np.float32)
    for _ in range(12):
        noise = (SIGMA * rng.standard_normal(flat.shape)).astype(np.float32)
        steady.add([flat + noise], [law()], SHARES)
        lost = steady.lost(0, noise + np.float32(0.01), law(), SHARES[0])
    assert abs(float(lost.mean()) - 0.01) < 0.002


def test_where_noise_was_cut_off_what_is_weaker_than_it_is_left_alone() -> None:
    steady, rng = Steady(), np.random.default_rng(6)
    weak = np.random.default_rng(7).standard_normal((SIDE, SIDE)).astype(np.float32) * SIGMA / 8
    for _ in range(20):
        noise = (SIGMA * rng.standard_normal(weak.shape)).astype(np.float32)
        steady.add([0.5 + weak + noise], [law()], SHARES)
        lost = steady.lost(0, weak + noise, law(), SHARES[0], np.ones_like(weak))
    assert float(np.square(lost).mean()) < 0.02 * SIGMA**2


def test_of_clipped_noise_alone_hardly_anything_counts_as_lost() -> None:
    """Its mean over time is judged as loosely as the noise of one frame."""
    steady, rng, found = Steady(), np.random.default_rng(8), []
    for _ in range(8):
        noise = (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
        steady.add([0.5 + noise], [law()], SHARES)
        found.append(steady.lost(0, noise, law(), SHARES[0], np.ones_like(noise)))
    assert float(np.square(found[-1]).mean()) < 0.0002 * SIGMA**2


def reference(
    frames: list[Real],
    removed: list[Real],
    variance: Real,
    shares: tuple[float, ...],
    cut: Real,
    lasting: float,
) -> list[NDArray[np.float64]]:
    """What is lost of every frame, by the definition; the contract itself as it is."""
    known, lost = frames[0].astype(np.float64), []
    count = age = np.ones_like(known)
    mean = removed[0].astype(np.float64)
    for index, (frame, taken) in enumerate(zip(frames, removed, strict=True)):
        if index:
            apart, noise = frame - known, variance * (1 + 1 / count)
            fine = uniform_filter(apart**2, 9) - 1.5 * noise
            low = uniform_filter(apart, 15) ** 2 - 9 * max(sum(shares[3:]), 1 / 225) * noise
            excess = (np.maximum(fine, 0) + 3 * np.maximum(low, 0)) / variance
            count = np.minimum(1 / (1 / count + excess) + 1, 32)
            known = known + apart / count
            age = np.minimum(age + 1, count)
            mean = mean + (taken - mean) / age
        hidden = age**2 / (age**2 + 81) * (1 - cut)
        allowed = (1 - lasting) * variance / age + lasting * variance
        given = [one.astype(np.float32) for one in (mean, allowed)]
        found = mean - held(*given, shares, hidden.astype(np.float32), cut)
        enough = (age > 3).mean() >= 0.02
        lost.append(enough * found * np.clip((age - 1) / 2, 0, 1))
    return lost


COARSE = (0.2, 0.2, 0.2, 0.2, 0.1, 0.1)


@pytest.mark.parametrize("lasting", [0.0, 0.25])
def test_what_is_lost_is_the_definitions(lasting: float) -> None:
    """Noise that stands still but for a part that changes now and then, and a shade in what is
    removed of it, in two planes with laws of their own."""
    rng, steady = np.random.default_rng(9), Steady()
    shape, law = (48, 64), [white_shares(), COARSE]
    variances = [np.full(shape, SIGMA**2 * (1 + i), np.float32) for i in (0, 1)]
    cut = np.zeros(shape, np.float32)
    cut[:, :10] = 1
    frames, removed, found = ([[], []] for _ in range(3))
    for time in range(40):
        for plane in (0, 1):
            noise = rng.standard_normal(shape) * np.sqrt(variances[plane])
            scene = np.full(shape, 0.5)
            scene[20:, 40:] += 0.08 * np.sin(time // 3)
            frames[plane].append((scene + noise).astype(np.float32))
            removed[plane].append((noise + 0.01).astype(np.float32))
        steady.add([one[-1] for one in frames], variances, tuple(law))
        for plane in (0, 1):
            of_plane = removed[plane][-1], variances[plane], law[plane]
            lost = steady.lost(plane, *of_plane, cut, lasting)
            found[plane].append(lost)
    for plane in (0, 1):
        of_plane = frames[plane], removed[plane], variances[plane]
        wanted = reference(*of_plane, law[plane], cut, lasting)
        assert float(np.abs(wanted[-1]).max()) > 0.005
        np.testing.assert_allclose(found[plane], wanted, atol=5e-5)


def test_a_fiftieth_of_a_picture_that_stood_for_more_than_three_frames_is_enough() -> None:
    steady = Steady()
    assert not steady.stands
    steady.counts = [np.full((10, 10), 3, np.float32)]
    assert not steady.stands
    steady.counts[0][0, 0] = 4
    assert not steady.stands
    steady.counts[0][0, 1] = 4
    assert steady.stands


def test_what_is_lost_is_looked_for_where_a_fiftieth_stood_for_more_than_three_frames() -> None:
    removed, law = np.full((10, 10), 0.5, np.float32), np.full((10, 10), 1e-6, np.float32)
    for places in (1, 2):
        steady = Steady(means=[removed], removed={0: removed}, ages={0: np.full_like(removed, 2)})
        steady.counts = [np.full_like(removed, 3)]
        steady.counts[0].flat[:places] = 4
        steady.ages[0].flat[:places] = 3
        assert steady.lost(0, removed, law, SHARES[0]).any() == (places == 2)


def test_luma_tells_what_stands_still() -> None:
    few, many = (np.full((20, 20), count, np.float32) for count in (1, 9))
    assert Steady(counts=[many, few]).stands
    assert not Steady(counts=[few, many]).stands


def settled_after(
    steady: Steady, result: Real, variance: float = 1.0, flow: Flow | None = None
) -> Real:
    change, plane = np.zeros_like(result), result
    found = steady.settled([change], [plane], [np.full_like(result, variance)], [flow])
    return found[0]


NO_FLOW = np.zeros((24, 32, 2), np.float32)


def test_colour_goes_half_the_way_to_the_frame_before_where_they_differ_by_little() -> None:
    """By up to a fiftieth of the noise's power; by more than three times that, not at all."""
    rng = np.random.default_rng(3)
    first = rng.random((24, 32)).astype(np.float32)
    for apart, share in ((0.1, 1 / 2), (0.2, 1 / 3), (0.3, 0.0)):  # squared: 0.01, 0.04, 0.09
        steady = Steady()
        assert not settled_after(steady, first, flow=NO_FLOW).any()  # nothing was before
        found = settled_after(steady, first + np.float32(apart), flow=NO_FLOW)
        np.testing.assert_allclose(found, -apart * share, atol=1e-5)
        third = settled_after(steady, first, flow=NO_FLOW)  # what was written is what counts
        assert third.mean() == pytest.approx(
            apart * (1 - share) * share_of(apart * (1 - share)), abs=1e-4
        )


def share_of(apart: float) -> float:
    alike = float(np.clip((0.06 - apart**2) / 0.04, 0, 1))
    return alike / (1 + alike)


def test_the_frame_before_is_sought_where_the_flow_leads() -> None:
    """Flow of a picture twice the size of the plane; without any, nothing is known of before."""
    x = np.arange(32, dtype=np.float32)
    scene = np.broadcast_to(np.sin(0.3 * x), (24, 32)).astype(np.float32)
    moved = np.broadcast_to(np.sin(0.3 * (x - 2)), (24, 32)).astype(np.float32)
    flow = np.zeros((48, 64, 2), np.float32)
    flow[..., 0] = -4
    for way, near in ((flow, True), (NO_FLOW, False), (None, False)):
        steady = Steady()
        settled_after(steady, scene + 0.1, 1.0, NO_FLOW)
        found = settled_after(steady, moved, 1.0, way)[:, 6:-6]
        if near:
            np.testing.assert_allclose(found, 0.05, atol=5e-3)
        else:
            assert np.abs(found).min() < 0.02
    steady = Steady()
    settled_after(steady, scene, flow=NO_FLOW)
    other = np.zeros((12, 16), np.float32)
    assert not settled_after(steady, other, flow=NO_FLOW).any()  # another size is another clip


MOVES = np.full((24, 32, 2), 2, np.float32)  # a camera that pans


@pytest.mark.parametrize(
    ("chroma", "way", "settles"),
    [(True, NO_FLOW, (0.05, 0.05)), (True, MOVES, (0.05, 0.05)), (False, NO_FLOW, (0, 0))],
)
def test_luma_and_chroma_settle_in_standing_and_moving_scenes(
    chroma: bool, way: Flow, settles: tuple[float, float]
) -> None:
    steady, planes = Steady(), [np.full((24, 32), 0.5, np.float32)] * 3
    still, law = [np.zeros((24, 32), np.float32)] * 3, [np.ones((24, 32), np.float32)] * 3
    for light in (0.0, 0.0, 0.1):  # the first two are not gone to
        assert steady.still is not None
        steady.still.forget()  # a mean of all frames would go further
        shown = [plane + np.float32(light) for plane in planes]
        found = steady.averaged(still, shown, law, None, (way,), (False, chroma), even=False)
    np.testing.assert_allclose(found[0], -settles[0], atol=1e-5)
    np.testing.assert_allclose(found[1], -settles[1], atol=1e-5)


@pytest.mark.parametrize(("known", "noise"), [(True, 1.0), (True, 0.1), (False, 1.0)])
def test_where_a_scene_moves_the_flow_between_restored_frames_leads(
    known: bool, noise: float
) -> None:
    """Not that of the networks, which here leads the wrong way; without one nothing is known, and
    under weak noise only chroma is followed, by theirs."""
    scene = cv2.GaussianBlur(np.random.default_rng(8).random((64, 96), np.float32), (0, 0), 3)
    scene = 10 + 2 * (scene - scene.mean()) / scene.std()
    steady, still = Steady(), [np.zeros((64, 96), np.float32)] * 2
    law = [np.full_like(scene, noise)] * 2
    wrong = np.full((64, 96, 2), 2, np.float32)
    apart = 0.1 * noise**0.5
    for number, light in enumerate((0.0, 0.0, apart)):
        shown = [np.roll(scene, (number, -2 * number), (0, 1)) + np.float32(light)] * 2
        flows = (wrong if known or number < 2 else None,)
        found = steady.averaged(still, shown, law, None, flows, (False, True), even=False)
    if noise < 1:
        assert not found[0].any()
        assert np.median(np.abs(found[1][10:-10, 10:-10] + apart / 2)) > apart / 4
    elif known:
        for plane in found:
            assert np.median(np.abs(plane[10:-10, 10:-10] + apart / 2)) < apart / 8
    else:
        assert not found[1].any()


def test_nothing_is_averaged_where_nobody_asks_for_it() -> None:
    planes = [np.zeros((24, 32), np.float32)] * 3
    alone = Steady(still=None)
    assert alone.averaged(planes, planes, planes, None, (), (True, True), even=False) == planes


def test_luma_is_settled_where_it_shows_no_detail() -> None:
    """Without reading between pixels: what stands still is where it was. Detail still grows."""
    rng = np.random.default_rng(5)
    flat, detail = np.full((24, 32), 0.5, np.float32), 2 * rng.random((24, 32), np.float32)
    for scene, settles in ((flat, 0.05), (detail, 0.0)):
        steady = Steady()
        settled_after(steady, scene, flow=STANDS)
        found = settled_after(steady, scene + np.float32(0.1), flow=STANDS)
        np.testing.assert_allclose(found, -settles, atol=1e-6)


def test_colour_is_settled_by_definition() -> None:
    """Along a flow of twice the size, two samples across and one down, in two planes with laws of
    their own; a plane without a flow stays as it is."""
    rng, shape = np.random.default_rng(12), (24, 40)
    flow = np.empty((48, 80, 2), np.float32)
    flow[:] = -4, 2
    befores, planes, changes = (rng.random((2, *shape)).astype(np.float32) for _ in range(3))
    laws = np.array([0.8, 1.6], np.float32)[:, None, None] + 0.2 * rng.random((2, *shape), "f4")
    changes *= np.float32(0.05)
    rows, columns = np.mgrid[:24, :40]
    moved = befores[:, np.minimum(rows + 1, 23), np.maximum(columns - 2, 0)]
    planes = moved + np.linspace(-0.45, 0.45, 40, dtype="f4") * rng.choice([-1, 1], shape)
    planes = np.asarray(planes, np.float32)
    apart = moved - planes - changes
    power = uniform_filter(apart**2, (0, 7, 7)) / laws
    alike = np.clip((0.06 - power) / 0.04, 0, 1)
    assert 0.2 < ((alike > 0) & (alike < 1)).mean() < 0.8
    for way in (flow, None):
        steady = Steady(results=dict(enumerate(befores)))
        found = steady.settled(list(changes), list(planes), list(laws), [way, way])
        wanted = changes + (0 if way is None else apart * alike / (1 + alike))
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        shown = [steady.results[0], steady.results[1]]
        np.testing.assert_allclose(shown, planes + wanted, atol=1e-4)


@pytest.mark.parametrize(("moves", "way"), [(0.0195, 0), (1 / 32, 1), (-1 / 32, -1)])
def test_a_fiftieth_of_a_pixel_is_no_motion(moves: float, way: int) -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32), (24, 32)).copy()
    steady, flow = Steady(results={0: ramp}), NO_FLOW.copy()
    flow[..., 0] = moves
    found = settled_after(steady, ramp, flow=flow)
    assert (np.sign(found[:, 4:-4]) == way).all()


def test_what_was_removed_grows_older_by_a_frame_each_time_and_no_older_than_the_scene() -> None:
    """Also where a place stood still before anything was taken out."""
    removed, law = np.full((10, 10), 0.5, np.float32), np.full((10, 10), 1e-6, np.float32)
    steady = Steady(means=[removed], counts=[np.full_like(removed, 9)])
    steady.counts[0][:5] = 2
    for age in (1, 2, 3, 4):
        steady.lost(0, removed, law, SHARES[0])
        assert (steady.ages[0][5:] == age).all()
        assert (steady.ages[0][:5] == min(age, 2)).all()


@pytest.mark.parametrize("side", [SIDE, SIDE // 2])
def test_what_shows_in_a_wide_window_alone_comes_back_in_planes_of_lumas_size(side: int) -> None:
    """Small fields of colour are wider in light."""
    steady, rng, luma = Steady(), np.random.default_rng(4), np.full((SIDE, SIDE), 0.5, np.float32)
    fine = np.random.default_rng(5).standard_normal((side, side)).astype(np.float32)
    fine -= np.asarray(cv2.blur(fine, (5, 5)), np.float32)
    weak, known = fine * np.float32(SIGMA / 8), np.full((side, side), SIGMA**2, np.float32)
    for _ in range(20):
        noise = (SIGMA * rng.standard_normal(weak.shape)).astype(np.float32)
        steady.add([luma, 0.5 + weak + noise], [law(), known], SHARES * 2)
        lost = steady.lost(1, weak + noise, known, SHARES[0])
    assert (detail(lost, weak) > 0.4) == (side == SIDE)


def test_counts_are_as_if_their_mean_held_a_quarter_more_noise_over_its_age() -> None:
    noise = (SIGMA / 2 * np.random.default_rng(2).standard_normal((SIDE, SIDE))).astype(np.float32)
    found = []
    for counts, more in ((True, 1.0), (False, 1 + 0.25 / 4)):
        age = np.full_like(noise, 3)
        steady = Steady([noise], [3 * age], removed={0: noise}, ages={0: age})
        lost = steady.lost(0, noise, np.float32(more) * law(), SHARES[0], counts=counts)
        found.append(lost)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert np.abs(found[0]).max() > 1e-3


@pytest.mark.parametrize(("all_planes", "wanted"), [(True, [10, 11, 12]), (False, [10, 1, 2])])
def test_planes_come_nearer_to_the_mean_all_or_the_first_alone(
    all_planes: bool, wanted: list[float]
) -> None:
    class Nearer:
        def rests(self, flows: object) -> float:
            return 1.0

        def brought(self, changes: list[Real], *_: object, even: bool) -> list[Real]:
            return [one + 10 for one in changes]

    changes = [np.full((4, 4), at, np.float32) for at in range(3)]
    steady = Steady(still=Nearer())  # type: ignore[arg-type]
    found = steady.averaged(changes, changes, changes, None, (), (all_planes, False), even=False)
    assert [float(one[0, 0]) for one in found] == wanted
