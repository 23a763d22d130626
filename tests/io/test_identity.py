"""Writing back decoded planes with a lossless codec gives back every sample."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from f2rcli.io import WriteOptions, default_target, open_reader
from f2rcli.yuv import to_rgb
from tests.video import write_video

FORMATS = [
    *(f"yuv{chroma}p{depth}" for chroma in ("420", "422", "444") for depth in ("", "10le", "12le")),
    "gbrp10le", "gbrp12le", "bgr0", "gray", "gray10le", "gray12le",
    "yuva420p", "yuva444p10le", "bgra", "gbrp16le", "gray16le", "yuv411p", "yuv440p",
]  # fmt: skip


@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_every_sample_comes_back(tools, tmp_path: Path, pix_fmt: str, full_range: bool) -> None:
    def tag(stream) -> None:
        stream.codec_context.color_range = 2 if full_range else 1

    source = tools.write_clip(tmp_path / "in.mkv", pix_fmt=pix_fmt, size=(37, 23), pts=3, setup=tag)
    frames, receipt = tools.passthrough(source, tmp_path / "out.mkv")
    again = tools.read_all(tmp_path / "out.mkv")
    assert receipt.codec.startswith("ffv1")
    assert receipt.dropped == ()
    assert tools.same_samples(frames, again)
    assert frames[0].layout == again[0].layout
    assert frames[0].layout.full_range is full_range


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(1, 70), height=st.integers(1, 50), pix_fmt=st.sampled_from(FORMATS[:13]))
@example(width=8, height=23, pix_fmt="yuv420p")
def test_sizes_of_any_kind(tools, tmp_path: Path, width: int, height: int, pix_fmt: str) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    source = tools.write_clip(
        tmp_path / "in.mkv", pix_fmt=pix_fmt, size=(width, height), pts=2, options={"level": "1"}
    )
    frames, _ = tools.passthrough(source, tmp_path / "out.mkv")
    assert frames[0].planes[0].shape == (height, width)
    assert tools.same_samples(frames, tools.read_all(tmp_path / "out.mkv"))


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "suffix"),
    [
        ("yuv420p", "libx264", ".mp4"), ("yuv422p10le", "libx264", ".mkv"),
        ("yuv444p12le", "libx265", ".mp4"), ("rgb24", "png", ".mov"),
        ("yuv420p", "rawvideo", ".y4m"), ("nv12", "rawvideo", ".nut"),
        ("p010le", "rawvideo", ".nut"), ("uyvy422", "rawvideo", ".nut"),
        ("yuyv422", "rawvideo", ".nut"), ("bgr24", "rawvideo", ".avi"), ("rgb48be", "png", ".mov"),
        ("ya8", "png", ".mov"), ("rgba64be", "png", ".mov"),
    ],
)  # fmt: skip
def test_lossless_keeps_what_any_codec_decodes_to(
    tools, tmp_path: Path, pix_fmt: str, codec: str, suffix: str
) -> None:
    source = tmp_path / f"in{suffix}"
    if pix_fmt in ("nv12", "p010le", "uyvy422", "yuyv422"):
        write_video(source, (_raw(seed, pix_fmt) for seed in range(3)), pix_fmt, "rawvideo")
    else:
        tools.write_clip(source, pix_fmt=pix_fmt, codec=codec, size=(66, 50), pts=3)
    frames, _ = tools.passthrough(source, tmp_path / "out.mkv", WriteOptions(codec="ffv1"))
    assert tools.same_samples(frames, tools.read_all(tmp_path / "out.mkv"))


def _raw(seed: int, pix_fmt: str) -> av.VideoFrame:
    picture, rng = av.VideoFrame(66, 50, pix_fmt), np.random.default_rng(seed)
    for plane in picture.planes:
        noise = rng.integers(0, 256, plane.buffer_size, dtype=np.uint8)
        if pix_fmt == "p010le":
            noise[::2] &= 0xC0
        plane.update(noise.tobytes())
    return picture


@pytest.mark.parametrize(
    "name", ["gray16_ffv1.mkv", "rgb48_ffv1.mkv", "odd_size_rgb_ffv1.mkv", "tiny_6x4.mkv",
             "yuv422.y4m", "anim.apng", "palette.gif"],
)  # fmt: skip
def test_lossless_inputs_stay_lossless_by_default(tools, odd, tmp_path: Path, name: str) -> None:
    source = odd(name)
    target = tmp_path / default_target(source).name
    frames, _ = tools.passthrough(source, target)
    with open_reader(target) as reader:
        assert tools.same_samples(frames, list(reader))


@pytest.mark.parametrize(
    ("name", "pix_fmt"), [("out.mkv", "yuv420p"), ("out.mkv", "yuv422p"), ("%d.jpg", "yuv420p")]
)
def test_coarser_chroma_shows_the_same_colours(tools, tmp_path: Path, name, pix_fmt) -> None:
    """Samples lie where the format says: of JPEG in the middle of those that they stand for."""
    y, x = np.mgrid[:48, :64]
    waves = [128 + 60 * np.sin(x / 5 + y / 9 + phase) for phase in (0, 2, 4)]
    picture = np.stack(waves).round().astype(np.uint8)
    write_video(tmp_path / "in.mkv", [picture], "yuv444p", given="yuv444p")
    options = WriteOptions(pix_fmt=pix_fmt)
    (before,), _ = tools.passthrough(tmp_path / "in.mkv", tmp_path / name, options)
    (after,) = tools.read_all(tmp_path / name.replace("%d", "1"))
    assert after.layout.log2_chroma == ((1, 0) if "422" in pix_fmt else (1, 1))
    assert 255 * np.abs(to_rgb(before) - to_rgb(after)).mean() < 2
