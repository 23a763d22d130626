"""Planes are the samples of decoded pictures, in any order in which those are stored."""

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from f2rcli.errors import InputError
from f2rcli.frames import Family
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
    ("pix_fmt", "orders", "kind", "unused"),
    [
        ("nv12", "y uv", "u1", 0), ("nv21", "y vu", "u1", 0), ("nv16", "y uv", "u1", 0),
        ("nv24", "y uv", "u1", 0), ("yuyv422", "yuyv", "u1", 0), ("uyvy422", "uyvy", "u1", 0),
        ("yvyu422", "yvyu", "u1", 0), ("ayuv", "ayuv", "u1", 0), ("y210le", "yuyv", "<u2", 6),
        ("p010le", "y uv", "<u2", 6), ("p210le", "y uv", "<u2", 6), ("p410le", "y uv", "<u2", 6),
        ("rgb24", "rgb", "u1", 0), ("bgr0", "bgrx", "u1", 0), ("0rgb", "xrgb", "u1", 0),
        ("argb", "argb", "u1", 0), ("abgr", "abgr", "u1", 0), ("rgb48be", "rgb", ">u2", 0),
        ("rgba64le", "rgba", "<u2", 0), ("bgr48le", "bgr", "<u2", 0), ("gray16be", "y", ">u2", 0),
    ],
)  # fmt: skip
def test_channels_are_samples_in_memory(pix_fmt: str, orders: str, kind: str, unused: int) -> None:
    """orders: the channels of each stored plane, in the order of its samples."""
    picture = noise(pix_fmt, unused)
    stored = {}
    for plane, order in zip(picture.planes, orders.split(), strict=True):
        lines = np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)
        for channel in {*order} - {"x"}:
            step = len(order) // order.count(channel)
            stored[channel] = lines[:, order.index(channel) :: step] >> unused
    _, planes = read_planes(picture)
    expected = [stored[channel] for channel in "rgbyuva" if channel in stored]
    for mine, theirs in zip(planes, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs[:, : mine.shape[1]])


def test_they_are_so_wherever_the_picture_lies_in_memory() -> None:
    rng, held = np.random.default_rng(0), []
    for _ in range(150):
        held.append(np.ones(int(rng.integers(100, 20_000)), np.uint8))
        picture = noise("p010le", 6)
        luma = np.frombuffer(memoryview(picture.planes[0]), "<u2").reshape(22, -1)[:, :34] >> 6
        _, planes = read_planes(picture)
        np.testing.assert_array_equal(planes[0], luma)


def test_gray_with_alpha_is_rgb_with_alpha() -> None:
    picture = noise("ya8")
    form, planes = read_planes(picture)
    lines = np.frombuffer(memoryview(picture.planes[0]), np.uint8).reshape(22, -1)
    assert (form.samples.family, form.samples.alpha) == (Family.RGB, True)
    for plane, first in zip(planes, (0, 0, 0, 1), strict=True):
        np.testing.assert_array_equal(plane, lines[:, first:68:2])


def test_planes_are_copies_in_native_order() -> None:
    _, planes = read_planes(noise("yuv420p10be"))
    assert all(plane.flags.owndata and plane.flags.c_contiguous for plane in planes)
    assert all(plane.dtype == np.dtype(np.uint16) and plane.dtype.isnative for plane in planes)


def test_what_a_stream_hides_at_its_left_stays_hidden(tools, odd, tmp_path) -> None:
    whole, cropped = odd("raw_stream.h264"), tmp_path / "cropped.h264"
    with av.open(str(whole)) as container, cropped.open("wb") as file:
        hide = BitStreamFilterContext(
            "h264_metadata=crop_left=6:crop_top=4", container.streams.video[0]
        )
        for packet in container.demux(video=0):
            for one in hide.filter(packet if packet.size else None):
                file.write(bytes(one))
    for mine, theirs in zip(tools.read_all(cropped), tools.read_all(whole), strict=True):
        for plane, full, n in zip(mine.planes, theirs.planes, (2, 1, 1), strict=True):
            np.testing.assert_array_equal(plane, full[2 * n :, 3 * n :])


def test_odd_sizes_round_chroma_up() -> None:
    _, planes = read_planes(av.VideoFrame(33, 21, "yuv420p"))
    assert [plane.shape for plane in planes] == [(21, 33), (11, 17), (11, 17)]


@pytest.mark.parametrize("pix_fmt", ["monob", "monow", "rgb565le", "pal8"])
def test_narrow_formats_are_widened(pix_fmt: str) -> None:
    form, planes = read_planes(av.VideoFrame(16, 8, pix_fmt))
    assert form.samples.bits == 8
    assert planes[0].shape == (8, 16)


@pytest.mark.parametrize("pix_fmt", ["bayer_rggb8", "xyz12le"])
def test_formats_that_cannot_be_held_are_refused(pix_fmt: str) -> None:
    assert pixel_format(pix_fmt) is None
    with pytest.raises(InputError, match=pix_fmt):
        read_planes(av.VideoFrame(16, 8, pix_fmt))
