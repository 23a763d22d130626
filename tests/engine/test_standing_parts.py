"""What follows lines that stay, part by part and by definition."""

import numpy as np
import pytest

from f2rcli.engine.standing import remover
from f2rcli.engine.standing.remover import Look, StandingRemover, Track, kept
from f2rcli.frames import Frame
from f2rcli.noise.measurement.profiles import common
from f2rcli.noise.standing.evidence import Standing
from f2rcli.noise.standing.steps import offsets_of, steps_of
from tests.engine.conftest import GRAY8, to_frames

Profile = np.ndarray  # (H,)
COUNT = 64  # lines


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """White profiles (count, COUNT) without mean, none of which correlates with another."""
    white = np.random.default_rng(seed).normal(0, 1, (COUNT, count + 1))
    white[:, 0] = 1
    return np.linalg.qr(white)[0][:, 1:].T * COUNT**0.5


def smoother_share(steps: np.ndarray) -> float:
    """Of a frame's weight, that of the one beside it, by iterating Kalman's equations of a random
    walk; drift and errors by how far the finest waves lie apart in one frame and in the longest."""
    fine = [one[2:] - 2 * one[1:-1] + one[:-2] for one in steps]

    def apart(lag: int) -> float:
        gone = [(fine[at + lag] - fine[at]) ** 2 / 2 for at in range(len(fine) - lag)]
        return float(np.mean(gone))

    far = len(steps) - 2
    drift = max((apart(far) - apart(1)) / (far - 1) * 2, 0)
    errors = apart(1) - drift / 2
    if drift < 0.02 * errors:
        return 0.96
    known = errors
    for _ in range(200):
        gain = (known + drift) / (known + drift + errors)
        known = gain * errors
    return float(1 - gain)


@pytest.mark.parametrize("frames", [4, 7])
def test_shares_are_those_of_the_smoother_of_a_random_walk(frames: int) -> None:
    rng, wanted = np.random.default_rng(1), []
    for drift in (0, 0.05, 0.1, 0.12, 0.14, 0.16, 0.2, 0.3, 0.4, 0.8):
        walk = np.cumsum(drift * rng.normal(0, 1, (frames, 300)), 0)
        steps = walk + rng.normal(0, 1, walk.shape)
        wanted.append(smoother_share(steps))
        assert kept(list(steps)) == pytest.approx(wanted[-1], abs=1e-6)
    assert min(wanted) < 0.5
    assert 0.96 in wanted
    assert kept(list(1e3 * walk[:3])) == 0.96


def look_of(steps: Profile, number: int = 0) -> Look:
    """A frame whose steps have been measured."""
    return Look([], [], np.zeros((18, 32), np.float32), steps={number: steps})


def track_of(known: Profile, sigma: float = 1e3) -> Track:
    return Track(Standing((0,), True, sigma, known), 0, known)


def test_all_frames_of_a_shot_have_weight_by_how_far_away_they_are() -> None:
    """Both ways, by the share to the power of their distance."""
    steps = np.random.default_rng(2).normal(0, 1, (9, COUNT - 1))
    looks, track = [look_of(one) for one in steps], track_of(drawn(1)[0])
    track.keep = 0.6
    for now in range(6):
        found = track.offsets(looks[now : now + 4])
        shares = 0.6 ** np.abs(np.arange(now + 4) - now)
        wanted = offsets_of(shares @ steps[: now + 4] / shares.sum())
        np.testing.assert_allclose(found, wanted.values, atol=1e-5)
        assert track.known is found


def test_offsets_are_no_larger_than_half_as_much_again_as_at_first() -> None:
    steps = np.diff(drawn(1)[0])
    whole = offsets_of(steps)
    for sigma, share in ((0.4 * whole.sigma, 0.6), (whole.sigma, 1.0)):
        found = track_of(drawn(1)[0], sigma).offsets([look_of(steps)])
        np.testing.assert_allclose(found, share * whole.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("alike", "same"), [(0.6, True), (0.4, False), (-0.6, False)])
def test_a_shot_is_of_the_same_sensor_if_half_of_its_offsets_are(
    alike: float, same: bool, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, other = drawn(2)
    shown = alike * known + (1 - alike**2) ** 0.5 * other
    new = Standing((0,), True, 2.0, other)
    monkeypatch.setattr(remover, "standing_in", lambda *_, columns: new if again else None)
    track = track_of(known)
    first, track.past, track.weight = track.line, np.ones(COUNT - 1), 3.0
    steps = [np.diff(one) for one in (shown, *drawn(6)[2:])]  # the first frame tells
    track.begin([look_of(one) for one in steps])
    assert track.present == (same or again)
    assert track.line is (first if same or not again else new)
    assert track.known is (known if same or not again else other)
    assert track.past is None
    assert track.weight == 0
    assert track.keep == kept(steps)


def scene(seed: int) -> np.ndarray:
    """Codes of a frame (64, 80) in uneven light."""
    rows, columns = np.mgrid[:COUNT, :80]
    rng = np.random.default_rng(seed)
    light = 110 + 60 * np.sin(rows / 7 + seed) * np.cos(columns / 9)
    return np.rint(light + rng.normal(0, 4, light.shape))


def frames_of(pictures: list[np.ndarray]) -> list[Frame]:
    return to_frames(np.stack(pictures)[:, None] / 255, GRAY8)


@pytest.mark.parametrize("columns", [False, True])
def test_steps_are_those_between_lines_where_two_frames_differ(columns: bool) -> None:
    """Measured once, whatever is known later."""
    near, own = scene(1), scene(2)
    own[:, 10:30] = near[:, 10:30]
    looks = [Look.of([frame]) for frame in frames_of([own, near])]
    turned = [one.T if columns else one for one in (own, near)]
    picture, beside = (np.ascontiguousarray(one / 255, np.float32) for one in turned)
    known = np.random.default_rng(3).normal(0, 0.02, len(picture)).astype(np.float32)
    apart = np.abs(picture - beside)
    same = np.pad(apart, 2, "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(same, (5, 5)).max((2, 3))
    for near_planes, painted in ((None, None), (looks[1].planes, windows == 0)):
        looks[0].near, looks[0].steps = near_planes, {}
        track = Track(Standing((0,), columns, 1.0, known), 0, known)
        found = track._steps(looks[0])
        wanted = common(*steps_of(picture, known, painted))[0]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        track.known = 2 * known
        assert track._steps(looks[0]) is found


class Followed:
    """Stands in for a track: says which frames it was asked about."""

    def __init__(self, columns: bool, present: bool = True) -> None:
        side = 80 if columns else COUNT
        self.line = Standing((0,), columns, 1.0, np.zeros(side, np.float32))
        self.present, self.begun, self.asked = present, [], []
        self.known = np.arange(side, dtype=np.float32) % 3 * np.float32(8 / 255)

    def begin(self, shot: list[Look]) -> None:
        self.begun.append([look.copies[0].pts for look in shot])

    def offsets(self, shot: list[Look]) -> Profile:
        self.asked.append([look.copies[0].pts for look in shot])
        return self.known


def corrected(pictures: list[np.ndarray], tracks: list[Followed], share: float) -> np.ndarray:
    one = StandingRemover([], share)
    one.tracks = tracks  # type: ignore[assignment]
    runs = [[frame] for frame in frames_of(pictures)]
    return np.stack([run[0].planes[0].astype(float) for run in one.corrected(runs)])


def test_a_frame_is_corrected_by_itself_and_up_to_six_after_it_of_its_shot() -> None:
    pictures = [scene(1) + at for at in range(9)]
    pictures += [255 - scene(1) - at for at in range(3)]
    track = Followed(columns=True)
    corrected(pictures, [track], 1.0)
    ends = [min(at + 7, 9) for at in range(9)] + [12] * 3
    pts = [frame.pts for frame in frames_of(pictures)]
    assert track.asked == [pts[at:end] for at, end in enumerate(ends)]
    assert track.begun == [pts[0:7], pts[9:12]]


def test_of_each_lines_offsets_a_share_goes_where_nothing_is_painted() -> None:
    pictures = [scene(seed).clip(30, 220) for seed in (1, 2, 3)]
    for picture in pictures:
        picture[20:40, 30:60] = 200
    tracks = [Followed(columns=True), Followed(columns=False), Followed(False, present=False)]
    out = corrected(pictures, tracks, 0.5)
    change = 4.0 * (np.arange(COUNT)[:, None] % 3) + 4 * (np.arange(80) % 3)
    wanted = np.stack(pictures) - change
    wanted[:, 22:38, 32:58] = 200
    away = np.ones(wanted.shape[1:], bool)  # from its rim, where some differ by chance
    away[16:44, 26:64] = False
    away[22:38, 32:58] = True
    np.testing.assert_allclose(out[:, away], wanted[:, away])


def test_without_lines_frames_are_what_they_were() -> None:
    frames = frames_of([scene(1)] * 2)
    one = StandingRemover([])
    runs = [[frames[0], frames[0]], [frames[1]]]
    assert list(one.corrected(runs)) == runs
