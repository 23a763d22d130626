"""Other people's denoisers: one frame for each, better than the input, and clear when absent."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from f2rcli.errors import F2RError, InputError, UsageError
from f2rcli.evaluation import baselines, ffmpeg, ffmpeg_filter
from f2rcli.evaluation.base import Baseline
from f2rcli.evaluation.baselines.ffmpeg import bm3d, hqdn3d, nlmeans
from f2rcli.evaluation.clips.eight_bit import by_lane
from f2rcli.frames import ClipInfo, Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.synthesis.spec import parse
from f2rcli.sensor import bayer_layout
from f2rcli.yuv import to_rgb

EVERYONE = baselines.find(("ffmpeg", "opencv"))
RGB32 = PlaneLayout(family=Family.RGB, bits=32)


def clean(count: int, channels: int = 3) -> tuple[ClipInfo, list[Frame]]:
    """A smooth scene with an edge, in floats; odd sizes on purpose."""
    rows, columns = np.mgrid[:65, :83]
    family = Family.RGB if channels == 3 else Family.GRAY
    layout = PlaneLayout(family=family, bits=32)
    frames = []
    for t in range(count):
        wave = 0.5 + 0.2 * np.sin((columns + 2 * t) / 13) + 0.2 * (rows > 30)
        planes = tuple((wave * (1 - 0.2 * c)).astype(np.float32) for c in range(channels))
        frames.append(Frame(planes=planes, layout=layout, pts=40 * t, duration=40))
    return info_of(layout, count), frames


def info_of(layout: PlaneLayout, count: int) -> ClipInfo:
    return ClipInfo(
        name="clip",
        width=83,
        height=65,
        layout=layout,
        frames=count,
        duration=None,
        rate=Fraction(25),
        time_base=Fraction(1, 1000),
    )


def error(frames: list[Frame], truth: list[Frame]) -> float:
    """Root mean square over all frames, in 8-bit units, where both have samples."""
    each = []
    for frame, other in zip(frames, truth, strict=True):
        picture = to_rgb(frame)
        wanted = to_rgb(other)[:, : picture.shape[1], : picture.shape[2]]
        each.append(np.mean((picture - wanted) ** 2))
    return 255 * float(np.sqrt(np.mean(each)))


def runnable(baseline: Baseline) -> Baseline:
    reason = baseline.available()
    if reason is not None:
        pytest.skip(reason)
    return baseline


@pytest.mark.parametrize("baseline", EVERYONE, ids=lambda b: b.name)
@pytest.mark.parametrize("noise", ["gaussian:20", "compressed:20,20"])
@pytest.mark.parametrize("clipped", [True, False])
def test_every_frame_comes_back_in_order_with_less_noise(
    baseline: Baseline, noise: str, clipped: bool
) -> None:
    info, truth = clean(4)
    told, frames = parse(noise).add(iter(truth), info, seed=0, clipped=clipped)
    given = list(frames)
    done = list(runnable(baseline).denoise(iter(given), told, 20.0))
    assert [frame.pts for frame in done] == [0, 40, 80, 120]
    assert error(done, truth) < 0.7 * error(given, truth)
    assert done[0].layout == given[0].layout or done[0].layout.float_samples


@pytest.mark.parametrize("baseline", EVERYONE, ids=lambda b: b.name)
def test_gray_clips_stay_gray_and_the_noise_is_measured_if_not_told(baseline: Baseline) -> None:
    info, truth = clean(3, channels=1)
    told, frames = parse("gaussian:20").add(iter(truth), info, seed=0, clipped=True)
    given = list(frames)
    ((measured, _),) = by_lane(given, None)
    assert measured == pytest.approx(20, rel=0.1)
    done = list(runnable(baseline).denoise(iter(given), told, None))
    assert all(len(frame.planes) == 1 for frame in done)
    assert error(done, truth) < 0.7 * error(given, truth)


@pytest.mark.parametrize("baseline", EVERYONE, ids=lambda baseline: baseline.name)
def test_stacks_come_back_in_their_own_codes(baseline: Baseline) -> None:
    """Their levels are those of the noisy clip, which the reference need not share."""
    info, frames = clean(3, channels=1)
    layout = replace(info.layout, bits=16, levels=(300.0, 2300.0))
    codes = [
        replace(f, planes=(np.rint(300 + 2000 * f.planes[0]).astype(np.uint16),), layout=layout)
        for f in frames
    ]
    done = list(runnable(baseline).denoise(iter(codes), replace(info, layout=layout), 1.0))
    for frame, stored in zip(done, codes, strict=True):
        assert abs(np.median(frame.planes[0] - stored.planes[0].astype(float))) < 20  # 2.5 of 255


@pytest.mark.parametrize("count", [1, 2, 3])
def test_opencv_takes_clips_shorter_than_its_window(count: int) -> None:
    (opencv,) = baselines.find(("opencv",))
    info, truth = clean(count)
    done = list(opencv.denoise(iter(truth), info, 5.0))
    assert [frame.pts for frame in done] == [40 * t for t in range(count)]


def test_opencv_uses_the_frames_around_each() -> None:
    (opencv,) = baselines.find(("opencv",))
    info, truth = clean(1)
    still = [Frame(planes=truth[0].planes, layout=RGB32, pts=t) for t in range(5)]
    told, frames = parse("gaussian:15").add(iter(still), info, seed=0, clipped=True)
    done = list(opencv.denoise(frames, told, 15.0))
    ends, inner = ([error([done[i]], [truth[0]]) for i in places] for places in ((0, 4), (1, 2, 3)))
    assert max(inner) < min(ends)


def test_a_program_that_fails_says_why_in_one_line() -> None:
    program = ffmpeg.program_with("hqdn3d")
    if program is None:
        pytest.skip("no FFmpeg program here has hqdn3d")
    _, truth = clean(3)
    with pytest.raises(F2RError) as caught:
        list(ffmpeg_filter.filtered(iter(truth), program, "hqdn3d", "nonsense=1"))
    assert "\n" not in str(caught.value)
    assert "hqdn3d failed" in str(caught.value)


def test_a_clip_that_is_dropped_halfway_leaves_no_program_behind() -> None:
    program = ffmpeg.program_with("hqdn3d")
    if program is None:
        pytest.skip("no FFmpeg program here has hqdn3d")
    _, truth = clean(200)
    frames = ffmpeg_filter.filtered(iter(truth), program, "hqdn3d", hqdn3d(10))
    next(frames)
    frames.close()  # waits for the program, or the test hangs


def test_strengths_follow_the_noise_and_keep_to_the_filters_limits() -> None:
    assert nlmeans(30) == "s=18:p=7:r=15"
    assert nlmeans(200).startswith("s=30:")
    assert nlmeans(0).startswith("s=1:")
    assert bm3d(30).startswith("sigma=110.1:")
    assert hqdn3d(30) == "50:50:16:16"


def test_mosaics_are_refused() -> None:
    mosaic = Mosaic(pattern="RGGB", black=(0.0,) * 4, white=(1023.0,) * 4)
    layout = bayer_layout(mosaic, 10)
    for baseline in EVERYONE:
        with pytest.raises(InputError, match="cannot denoise mosaics"):
            list(baseline.denoise(iter(()), info_of(layout, 1), 10.0))


def test_groups_and_names_are_found_and_others_refused() -> None:
    names = [b.name for b in baselines.find(("ffmpeg-bm3d", "ffmpeg"))]
    assert names == ["ffmpeg-bm3d", "ffmpeg-nlmeans", "ffmpeg-hqdn3d"]
    with pytest.raises(UsageError, match="baselines='fmpeg': no such choice") as caught:
        baselines.find(("fmpeg",))
    assert caught.value.hint is not None
    assert "ffmpeg" in caught.value.hint


def test_an_absent_filter_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "program_with", lambda name: None)
    for baseline in baselines.find(("ffmpeg",)):
        reason = baseline.available()
        assert reason is not None
        assert reason.startswith("no FFmpeg with the filter")
        assert "\n" not in reason


def test_facts_say_what_ran() -> None:
    for baseline in EVERYONE:
        facts = baseline.facts()
        assert facts.kind == "baseline"
        assert facts.name == baseline.name
        assert facts.version or baseline.available()
        assert facts.settings
