"""Other people's denoisers: one frame for each, better than the input, and clear when absent."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation import baselines
from f2rcli.frames import ClipInfo, Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.synthesis.spec import parse
from f2rcli.yuv import bayer_layout, to_rgb

EVERYONE = baselines.find(("ffmpeg", "opencv"))
INSTALLED = [b for b in baselines.find(("vapoursynth",)) if not b.missing]


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
        name="clip", width=83, height=65, layout=layout, frames=count, duration=None,
        rate=Fraction(25), time_base=Fraction(1, 1000),
    )  # fmt: skip


def error(frames: list[Frame], truth: list[Frame]) -> float:
    """Root mean square over all frames, in 8-bit units, where both have samples."""
    each = []
    for frame, other in zip(frames, truth, strict=True):
        picture = to_rgb(frame)
        wanted = to_rgb(other)[:, : picture.shape[1], : picture.shape[2]]
        each.append(np.mean((picture - wanted) ** 2))
    return 255 * float(np.sqrt(np.mean(each)))


@pytest.mark.parametrize("baseline", EVERYONE + INSTALLED, ids=lambda b: b.name)
@pytest.mark.parametrize(("noise", "clipped"), [("gaussian:20", False), ("compressed:20,20", True)])
def test_frames_come_back_in_order(baseline: baselines.Filter, noise: str, clipped: bool) -> None:
    info, truth = clean(4)
    told, frames = parse(noise).add(iter(truth), info, seed=0, clipped=clipped)
    given = list(frames)
    done = list(baseline.denoise(iter(given), told, 20.0))
    assert [frame.pts for frame in done] == [0, 40, 80, 120]
    assert error(done, truth) < 0.7 * error(given, truth)


@pytest.mark.parametrize("baseline", EVERYONE + INSTALLED, ids=lambda b: b.name)
def test_gray_stays_gray_and_noise_is_measured_if_not_told(baseline: baselines.Filter) -> None:
    info, truth = clean(3, channels=1)
    told, frames = parse("gaussian:20").add(iter(truth), info, seed=0, clipped=True)
    given = list(frames)
    assert baselines.measured_sigma8(given) == pytest.approx(20, rel=0.1)
    done = list(baseline.denoise(iter(given), told, None))
    assert all(len(frame.planes) == 1 for frame in done)
    assert error(done, truth) < 0.7 * error(given, truth)


@pytest.mark.parametrize("baseline", EVERYONE, ids=lambda baseline: baseline.name)
@pytest.mark.parametrize("told", [True, False])
def test_coarse_noise_is_no_scene(baseline: baselines.Filter, *, told: bool) -> None:
    """A single frame of it looked a quarter as noisy as it is, and was left as it was."""
    info, truth = clean(6)
    noise = parse("correlated:20,1")
    made, frames = noise.add(iter(truth), info, seed=0, clipped=True)
    given = list(frames)
    done = list(baseline.denoise(iter(given), made, noise.sigma8 if told else None))
    assert error(done, truth) < 0.9 * error(given, truth)


@pytest.mark.parametrize("baseline", EVERYONE, ids=lambda baseline: baseline.name)
def test_stacks_come_back_in_their_own_codes(baseline: baselines.Filter) -> None:
    """Their levels are those of the noisy clip, which the reference need not share."""
    info, frames = clean(3, channels=1)
    layout = replace(info.layout, bits=16, levels=(300.0, 2300.0))
    codes = [
        replace(f, planes=(np.rint(300 + 2000 * f.planes[0]).astype(np.uint16),), layout=layout)
        for f in frames
    ]
    done = list(baseline.denoise(iter(codes), replace(info, layout=layout), 1.0))
    for frame, stored in zip(done, codes, strict=True):
        assert abs(np.median(frame.planes[0] - stored.planes[0].astype(float))) < 20  # 2.5 of 255


@pytest.mark.parametrize("count", [1, 2, 3])
def test_opencv_takes_clips_shorter_than_its_window(count: int) -> None:
    (opencv,) = baselines.find(("opencv",))
    info, truth = clean(count)
    done = list(opencv.denoise(iter(truth), info, 5.0))
    assert [frame.pts for frame in done] == [40 * t for t in range(count)]


def test_mosaics_are_refused() -> None:
    mosaic = Mosaic(pattern="RGGB", black=(0.0,) * 4, white=(1023.0,) * 4)
    for baseline in EVERYONE:
        with pytest.raises(InputError, match="cannot denoise mosaics"):
            list(baseline.denoise(iter(()), info_of(bayer_layout(mosaic, 10), 1), 10.0))


def test_groups_and_names_are_found_and_others_refused() -> None:
    names = [b.name for b in baselines.find(("ffmpeg-bm3d", "ffmpeg"))]
    assert names == ["ffmpeg-bm3d", "ffmpeg-nlmeans"]
    with pytest.raises(UsageError, match="baselines='fmpeg': no such choice") as caught:
        baselines.find(("fmpeg",))
    assert "ffmpeg" in str(caught.value.hint)


def test_all_are_there_on_a_plain_install_and_say_what_ran() -> None:
    for baseline in EVERYONE:
        facts = baseline.facts()
        assert (facts.kind, facts.name) == ("baseline", baseline.name)
        assert facts.version
        assert facts.settings
        assert not baseline.missing


def test_what_is_not_installed_says_what_to_install() -> None:
    (vapoursynth,) = baselines.find(("vapoursynth",))
    assert not vapoursynth.missing or "pip install vapoursynth" in vapoursynth.missing
    assert vapoursynth.facts().title == "V-BM3D (VapourSynth)"
