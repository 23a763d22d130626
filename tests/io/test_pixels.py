"""Planes are read as FFmpeg's own exact shuffles read them."""

import av
import numpy as np
import pytest

from f2rcli.errors import InputError
from f2rcli.io.video.pixels import pixel_format, read_planes


def noise(pix_fmt: str, low_bits: int = 0) -> av.VideoFrame:
    picture = av.VideoFrame(34, 22, pix_fmt)
    rng = np.random.default_rng(1)
    for plane in picture.planes:
        data = rng.integers(0, 256, plane.buffer_size, dtype=np.uint8)
        if low_bits:
            data = (data.view(np.uint16) >> low_bits << low_bits).view(np.uint8)
        plane.update(data.tobytes())
    return picture


@pytest.mark.parametrize(
    ("pix_fmt", "shuffled", "low_bits"),
    [
        ("nv12", "yuv420p", 0), ("nv21", "yuv420p", 0), ("nv16", "yuv422p", 0),
        ("nv24", "yuv444p", 0),
        ("yuyv422", "yuv422p", 0), ("uyvy422", "yuv422p", 0), ("yvyu422", "yuv422p", 0),
        ("rgb24", "gbrp", 0), ("bgr0", "gbrp", 0), ("0rgb", "gbrp", 0), ("argb", "gbrap", 0),
        ("abgr", "gbrap", 0), ("rgb48be", "gbrp16le", 0), ("rgba64le", "gbrap16le", 0),
        ("bgr48le", "gbrp16le", 0), ("gray16be", "gray16le", 0),
    ],
)  # fmt: skip
def test_interleaved_formats_agree_with_ffmpeg(pix_fmt: str, shuffled: str, low_bits: int) -> None:
    picture = noise(pix_fmt, low_bits)
    _, planes = read_planes(picture)
    _, expected = read_planes(picture.reformat(format=shuffled))
    for mine, theirs in zip(planes, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("pix_fmt", ["p010le", "p210le", "p410le"])
def test_samples_in_the_high_bits_are_moved_down(pix_fmt: str) -> None:
    picture = noise(pix_fmt, 6)
    form, (luma, cb, cr) = read_planes(picture)
    assert form.bits == 10
    stored = [np.frombuffer(memoryview(p), np.uint16) for p in picture.planes]
    lines = [s.reshape(p.height, -1) for s, p in zip(stored, picture.planes, strict=True)]
    np.testing.assert_array_equal(luma, lines[0][:, :34] >> 6)
    np.testing.assert_array_equal(cb, lines[1][:, 0 : 2 * cb.shape[1] : 2] >> 6)
    np.testing.assert_array_equal(cr, lines[1][:, 1 : 2 * cr.shape[1] : 2] >> 6)


def test_planes_are_copies_in_native_order() -> None:
    _, planes = read_planes(noise("yuv420p10be"))
    assert all(plane.flags.owndata and plane.flags.c_contiguous for plane in planes)
    assert all(plane.dtype == np.dtype(np.uint16) and plane.dtype.isnative for plane in planes)


def test_odd_sizes_round_chroma_up() -> None:
    _, planes = read_planes(av.VideoFrame(33, 21, "yuv420p"))
    assert [plane.shape for plane in planes] == [(21, 33), (11, 17), (11, 17)]


@pytest.mark.parametrize("pix_fmt", ["monob", "monow", "rgb565le", "pal8"])
def test_narrow_formats_are_widened(pix_fmt: str) -> None:
    form, planes = read_planes(av.VideoFrame(16, 8, pix_fmt))
    assert form.bits == 8
    assert planes[0].shape == (8, 16)


@pytest.mark.parametrize("pix_fmt", ["bayer_rggb8", "xyz12le"])
def test_formats_that_cannot_be_held_are_refused(pix_fmt: str) -> None:
    assert pixel_format(pix_fmt) is None
    with pytest.raises(InputError, match=pix_fmt):
        read_planes(av.VideoFrame(16, 8, pix_fmt))
