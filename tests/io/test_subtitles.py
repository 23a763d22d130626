"""Text subtitles that a container cannot hold are converted, at their own times."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from f2rcli.io import WriteOptions, open_reader, plan_output

MS = Fraction(1, 1000)
LINES = (("Guten Tag", 40, 200), ("zwei\nZeilen", 320, 280))  # words, start and length in ms
HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def events(codec: str) -> Iterator[av.Packet]:
    """The lines as packets of a codec."""
    for number, (words, start, length) in enumerate(LINES):
        data = words.encode()
        if codec == "ass":
            data = f"{number},0,Default,,0,0,0,,".encode() + data.replace(b"\n", b"\\N")
        if codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        packet = av.Packet(data)
        packet.pts = packet.dts = start
        packet.duration, packet.time_base = length, MS
        yield packet


def with_subtitles(path: Path, plain: Path, codec: str) -> Path:
    """The pictures of `plain` with the lines."""
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0], opaque=True)
        if codec == "ass":  # whose encoder writes its header
            text = target.add_stream(codec)
            text.codec_context.subtitle_header = HEADER
            text.codec_context.time_base = MS
        else:
            text = target.add_mux_stream(codec, time_base=MS)
        text.metadata["language"] = "deu"
        for packet in source.demux(0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
        for packet in events(codec):
            packet.stream = text
            target.mux(packet)
    return path


def shown(path: Path) -> list[tuple[str, int]]:
    """The words of a file's subtitles and when they begin, in ms."""
    found = []
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.subtitles[0]):
            for part in packet.decode() if packet.size else ():
                words = part.dialogue.decode().replace("\\N", "\n").strip()
                if words:
                    found.append((words, round(packet.pts * packet.time_base * 1000)))
    return found


@pytest.fixture(scope="module")
def plain(tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return tools.write_clip(folder / "plain.mkv", codec="libx264", pts=20, smooth=True)


@pytest.mark.parametrize(
    ("codec", "source", "target", "becomes"),
    [
        ("subrip", "in.mkv", "out.mp4", "mov_text"),
        ("subrip", "in.mkv", "out.mov", "mov_text"),
        ("subrip", "in.mkv", "out.webm", "webvtt"),
        ("ass", "in.mkv", "out.mp4", "mov_text"),
        ("ass", "in.mkv", "out.webm", "webvtt"),
        ("webvtt", "in.mkv", "out.mp4", "mov_text"),
        ("mov_text", "in.mp4", "out.mkv", "subrip"),
        ("mov_text", "in.mp4", "out.webm", "webvtt"),
    ],
)
def test_text_is_converted_for_its_container_and_said_before_the_run(
    tools, plain: Path, tmp_path: Path, codec: str, source: str, target: str, becomes: str
) -> None:
    clip = with_subtitles(tmp_path / source, plain, codec)
    with open_reader(clip) as reader:
        plan = plan_output(reader, tmp_path / target)
        assert plan.kept[0] == f"subtitle #1 {codec} deu as {becomes}"
        only = plan_output(reader, tmp_path / target, WriteOptions(copy_only=True))
        assert any(line.startswith(f"subtitle #1 {codec}") for line in only.dropped)
    _, receipt = tools.passthrough(clip, tmp_path / target)
    assert receipt.lost == ()
    assert plan.kept[0] in receipt.kept
    assert shown(tmp_path / target) == [(words, start) for words, start, _ in LINES]


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".ts", ".mkv", ".m2ts"])
def test_pictures_as_subtitles_are_copied_or_listed_as_dropped(
    tools, plain: Path, tmp_path: Path, suffix: str
) -> None:
    clip = with_subtitles(tmp_path / "in.mkv", plain, "hdmv_pgs_subtitle")
    with open_reader(clip) as reader:
        plan = plan_output(reader, tmp_path / f"out{suffix}")
    (line,) = (line for line in (*plan.kept, *plan.dropped) if line.startswith("subtitle"))
    assert line.startswith("subtitle #1 hdmv_pgs_subtitle deu")
    assert (line in plan.kept) == (suffix in (".mkv", ".m2ts"))
    told = [one for one in plan.dropped if one.startswith("language of")]
    assert told == (["language of subtitle #1 hdmv_pgs_subtitle deu (m2ts holds none)"]
                    if suffix == ".m2ts" else [])  # fmt: skip
    _, receipt = tools.passthrough(clip, tmp_path / f"out{suffix}")
    assert (receipt.lost, line in receipt.kept) == ((), line in plan.kept)


def test_a_broadcast_subtitle_is_dropped_where_discs_have_others(
    tools, plain: Path, tmp_path: Path
) -> None:
    clip = with_subtitles(tmp_path / "in.ts", plain, "dvb_subtitle")
    _, receipt = tools.passthrough(clip, tmp_path / "out.m2ts")
    assert "subtitle #1 dvb_subtitle deu (m2ts cannot hold it)" in receipt.dropped
