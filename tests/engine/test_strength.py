"""Strengths of luma and chroma: what is taken out of each plane, and of which pictures."""

from dataclasses import replace

import numpy as np
import pytest

from f2rcli import yuv
from f2rcli.engine import settings as strength_room
from f2rcli.engine import stream
from f2rcli.errors import UsageError
from f2rcli.frames import Frame
from tests.engine.conftest import GRAY8, RGB8, YUV420, clean_clip, denoised, noisy_clip, to_frames

EngineSettings = stream.EngineSettings
allowance = strength_room.allowance
changes_nothing = strength_room.changes_nothing
scaled = strength_room.scaled

BT709 = np.array([[0.2126, 0.7152, 0.0722], [-0.1146, -0.3854, 0.5], [0.5, -0.4542, -0.0458]])


def asked(
    luma: float | None = None, chroma: float | None = None, strength: float = 1.0
) -> EngineSettings:
    each = (strength if one is None else one for one in (luma, chroma))
    return EngineSettings(**dict(zip(("strength", "chroma_strength"), each, strict=True)))


def yuv_clip(count: int) -> list[Frame]:
    """Noise in every plane of 4:2:0 video."""
    frames = []
    rng = np.random.default_rng(2)
    for frame in to_frames(clean_clip(count, height=48, width=64)):
        planes = yuv.parted(yuv.to_rgb(frame), YUV420, averaged=True)
        spans = ((16, 219), (128, 224), (128, 224))
        codes = [
            np.clip(np.rint(zero + span * plane + rng.normal(0, 6, plane.shape)), 0, 255)
            for plane, (zero, span) in zip(planes, spans, strict=True)
        ]
        stored = tuple(plane.astype(np.uint8) for plane in codes)
        frames.append(replace(frame, planes=stored, layout=YUV420))
    return frames


def run(frames: list[Frame], **settings: object) -> list[Frame]:
    return denoised(frames, threads=1, **settings)[0]


def test_shares_of_rgb_are_those_of_its_bt709_luma_and_chroma() -> None:
    changes = np.random.default_rng(1).normal(0, 0.1, (3, 6, 8)).astype(np.float32)
    found = np.stack(scaled(list(changes), RGB8, asked(0.3, 0.8)))
    shares = np.array([0.3, 0.8, 0.8])[:, None]
    wanted = shares * (BT709 @ changes.reshape(3, -1))
    np.testing.assert_allclose(BT709 @ found.reshape(3, -1), wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("settings", "of_yuv", "of_rgb", "of_gray"),
    [
        (asked(), (1, 1, 1), (1, 1, 1), (1,)),
        (asked(strength=3.0), (3, 3, 3), (3, 3, 3), (3,)),
        (asked(strength=0.5, chroma=2.0), (1, 2, 2), (2, 2, 2), (1,)),
        (asked(luma=2.5), (2.5, 1, 1), (2.5, 2.5, 2.5), (2.5,)),
    ],
)
def test_noise_counts_as_stronger_in_planes_asked_for(settings, of_yuv, of_rgb, of_gray) -> None:
    assert allowance(settings, YUV420) == of_yuv
    assert allowance(settings, RGB8) == of_rgb
    assert allowance(settings, GRAY8) == of_gray


def test_a_plane_at_nought_keeps_every_sample(coarse_alone: None) -> None:
    frames = yuv_clip(3)
    gray_noise = run(frames, strength=0.0, chroma_strength=1.0)
    colour_noise = run(frames, chroma_strength=0.0)
    full = run(frames)
    for before, luma_kept, chroma_kept, both in zip(
        frames, gray_noise, colour_noise, full, strict=True
    ):
        np.testing.assert_array_equal(luma_kept.planes[0], before.planes[0])
        np.testing.assert_array_equal(luma_kept.planes[1], both.planes[1])
        np.testing.assert_array_equal(chroma_kept.planes[0], both.planes[0])
        for plane in (1, 2):
            np.testing.assert_array_equal(chroma_kept.planes[plane], before.planes[plane])
            assert not np.array_equal(both.planes[plane], before.planes[plane])


def test_nought_for_both_is_nought() -> None:
    frames = noisy_clip(2)
    done = run(frames, strength=0.0, chroma_strength=0.0)
    assert all(a is b for a, b in zip(done, frames, strict=True))  # without any network
    assert changes_nothing(asked(strength=0.0))
    assert not changes_nothing(asked(0.0))
    assert not changes_nothing(asked(strength=0.0, chroma=0.1))


@pytest.mark.parametrize("name", ["strength", "chroma_strength"])
@pytest.mark.parametrize("value", [-0.1, 4.5, float("nan")])
def test_strengths_beyond_reason_are_refused_everywhere(name: str, value: float) -> None:
    import f2rcli

    with pytest.raises(UsageError, match=f"{name}=.*: must be between 0 and 4"):
        EngineSettings(**{name: value})
    with pytest.raises(UsageError, match=name):
        f2rcli.denoise(np.zeros((2, 4, 4, 3), np.uint8), **{name: value})


def test_gray_pictures_have_no_chroma_to_be_strong_about() -> None:
    grays = [rgb.mean(0, keepdims=True) for rgb in map(yuv.to_rgb, noisy_clip(2))]
    frames = to_frames(grays, GRAY8)
    with pytest.raises(UsageError, match=r"chroma_strength=0\.5: synthetic holds gray pictures"):
        run(frames, chroma_strength=0.5)
    half = run(frames, strength=0.5, sigma=20.0)
    assert not np.array_equal(half[0].planes[0], frames[0].planes[0])
