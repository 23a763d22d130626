"""HDR10 boxes in MP4 and MOV: exact, found by FFmpeg's demuxer, and nothing else moves."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from f2rcli.io import WriteOptions, open_reader
from f2rcli.io.containers.mp4_boxes import PADDING, write_mastering
from f2rcli.io.ffmpeg.colour import Mastering

POINTS = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)  # R, G, B, white in 0.00002
DISPLAY = (*(Fraction(n, 50000) for n in POINTS), Fraction(1, 10000), Fraction(1000))
HDR = (
    "hdr10=1:repeat-headers=1:log-level=error:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
MDCV = struct.pack(
    ">I4s8H2I", 32, b"mdcv", *POINTS[2:4], *POINTS[4:6], *POINTS[:2], *POINTS[6:], 10_000_000, 1
)
CLLI = struct.pack(">I4s2H", 12, b"clli", 1000, 400)


def titled(title: str) -> Any:
    return lambda stream: stream.metadata.update({"title": title + PADDING})


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("title", ["", "A clip"])
@pytest.mark.parametrize(
    ("mastering", "boxes"),
    [
        (Mastering(display=DISPLAY, light=(1000, 400)), MDCV + CLLI),
        (Mastering(display=DISPLAY), MDCV),
        (Mastering(light=(1000, 400)), CLLI),
    ],
    ids=["both", "display", "light"],
)
def test_boxes_take_the_place_of_the_padding(
    tools, tmp_path: Path, suffix: str, title: str, mastering: Mastering, boxes: bytes
) -> None:
    path = tools.write_clip(
        tmp_path / f"a{suffix}", codec="libx264", pts=3, smooth=True, setup=titled(title),
        container_options={"movflags": "+faststart"},
    )  # fmt: skip
    before, frames = path.read_bytes(), tools.read_all(path)
    write_mastering(path, mastering)
    after = path.read_bytes()
    assert boxes in after
    assert len(after) == len(before)
    assert after[after.index(b"mdat") :] == before[before.index(b"mdat") :]
    assert tools.same_samples(tools.read_all(path), frames)
    with av.open(str(path)) as container:
        assert container.streams.video[0].metadata.get("name", "") == title


def test_a_file_without_room_is_left_alone(tools, tmp_path: Path) -> None:
    path = tools.write_clip(tmp_path / "a.mp4", codec="libx264", pts=3, smooth=True)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="room"):
        write_mastering(path, Mastering(light=(1000, 400)))
    assert path.read_bytes() == before


@pytest.mark.parametrize(("codec", "suffix"), [("hevc", ".mp4"), ("av1", ".mp4"), ("h264", ".mov")])
def test_hdr10_comes_over_in_boxes_that_ffmpeg_finds(
    tools, tmp_path: Path, codec: str, suffix: str
) -> None:
    def pq(stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9

    source = tools.write_clip(
        tmp_path / "in.mkv", codec="libx265", pix_fmt="yuv420p10le", pts=3, smooth=True,
        options={"x265-params": HDR}, setup=pq,
    )  # fmt: skip
    target, copy = tmp_path / f"out{suffix}", tmp_path / f"copy{suffix}"
    _, receipt = tools.passthrough(source, target, WriteOptions(codec=codec))
    assert "HDR10 mastering metadata" in receipt.kept
    assert MDCV + CLLI in target.read_bytes()
    with av.open(str(target)) as old, av.open(str(copy), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
        for packet in old.demux():
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    assert MDCV in copy.read_bytes()  # as FFmpeg read it
    with open_reader(target) as reader:
        assert reader.metadata.facts.mastering is not None
