"""Everything beside the picture travels packet for packet, or is said to be left behind."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from f2rcli.errors import UsageError
from f2rcli.io import ReadOptions, WriteOptions, open_reader, open_writer, plan_output
from tests.io.conftest import tagged
from tests.io.rich import again, png

NTSC = Fraction(30000, 1001)


def tags(path: Path) -> list[tuple[str, str | None, str | None, int]]:
    with av.open(str(path)) as container:
        return [
            (s.type, s.language, s.metadata.get("title"), int(s.disposition))
            for s in container.streams
        ]


def test_mkv_to_mkv_keeps_everything(tools, rich_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    _, receipt = tools.passthrough(rich_clip, target)
    assert receipt.dropped == ()
    assert tags(target) == tags(rich_clip)
    assert tools.packets_of(target, "audio") == tools.packets_of(rich_clip, "audio")
    assert tools.packets_of(target, "subtitle") == tools.packets_of(rich_clip, "subtitle")
    with av.open(str(target)) as out, av.open(str(rich_clip)) as source:
        assert out.chapters() == source.chapters()
        assert _plain(out.metadata) == _plain(source.metadata)
        assert _attachments(out) == _attachments(source)
        assert _cover(out) == _cover(source) == png()


def _plain(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() != "encoder"}


def _attachments(container: av.container.InputContainer) -> list[tuple[str, bytes]]:
    return [
        (s.metadata["filename"], bytes(s.data)) for s in container.streams if s.type == "attachment"
    ]


def _cover(container: av.container.InputContainer) -> bytes:
    covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
    return next(bytes(p) for p in container.demux(covers[0]) if p.size)


ALL = WriteOptions(copy_only=True)  # what the target holds, and no refusal


def test_mkv_to_mp4_says_what_it_leaves(tools, rich_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with open_reader(rich_clip) as reader:
        with pytest.raises(
            UsageError, match="f2r cannot copy subtitle #3 subrip deu into mp4"
        ) as raised:
            plan_output(reader, target)
        planned = plan_output(reader, target, ALL).dropped
    assert "Name an .mkv file" in str(raised.value.hint)
    _, receipt = tools.passthrough(rich_clip, target, ALL)
    assert receipt.dropped == planned
    assert [line.split(" (")[0] for line in planned] == [
        "subtitle #3 subrip deu",
        "attachment #4 font.ttf",
        "tags X_CUSTOM",
    ]
    assert tools.packets_of(target, "audio") == tools.packets_of(rich_clip, "audio")
    assert [t[:2] for t in tags(target)] == [
        ("video", "und"), ("audio", "eng"), ("audio", "fra"), ("data", "eng"), ("video", None),
    ]  # fmt: skip
    with av.open(str(target)) as out:
        assert _cover(out) == png()
        assert [c["metadata"]["title"] for c in out.chapters()] == ["Part 0", "Part 1"]
        assert out.metadata["title"] == "A clip"
        names = [s.metadata.get("name") for s in list(out.streams)[:3]]  # mp4's word for a title
        assert names == ["Main picture", "Original", "Commentaire"]


@pytest.mark.parametrize("suffix", [".webm", ".ts", ".y4m"])
def test_other_containers_list_drops(tools, rich_clip: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    _, receipt = tools.passthrough(rich_clip, target, ALL)
    beside = ("audio", "subtitle", "attachment", "cover")
    kept = sum(line.startswith(beside) for line in receipt.kept)
    assert kept + sum(line.startswith(beside) for line in receipt.dropped) == 5
    with av.open(str(target)) as out:
        assert len(out.streams) == 1 + kept


def with_subtitles(tools, path: Path, codec: str, data: bytes = b"a line") -> Path:
    """A clip with a subtitle of a codec."""
    plain = tools.film(path.with_name("plain.mkv"), pts=20)
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0], opaque=True)
        text = target.add_mux_stream(codec, time_base=Fraction(1, 1000))
        text.metadata["language"] = "deu"
        for packet in [packet for packet in source.demux(0) if packet.size]:
            packet.stream = video
            target.mux(packet)
        line = av.Packet(data)
        line.pts = line.dts = 40
        line.duration, line.time_base, line.stream = 200, Fraction(1, 1000), text
        target.mux(line)
    return path


@pytest.mark.parametrize(
    ("codec", "source", "target", "holder"),
    [
        ("subrip", "in.mkv", "out.mkv", ""), ("subrip", "in.mkv", "out.mov", ".mkv"),
        ("mov_text", "in.mp4", "out.mov", ""), ("mov_text", "in.mp4", "out.mkv", ".mp4"),
        ("webvtt", "in.mkv", "out.webm", ""), ("webvtt", "in.mkv", "out.mp4", ".mkv"),
        ("hdmv_pgs_subtitle", "in.mkv", "out.m2ts", ""),
        ("hdmv_pgs_subtitle", "in.mkv", "out.mp4", ".mkv"),
        ("dvb_subtitle", "in.ts", "out.ts", ""), ("dvb_subtitle", "in.ts", "out.m2ts", ".mkv"),
    ],
)  # fmt: skip
def test_subtitles_are_copied_or_refused_before_the_run_with_a_file_that_holds_them(
    tools, tmp_path: Path, codec: str, source: str, target: str, holder: str
) -> None:
    data = b"\0\6a line" if codec == "mov_text" else b"a line"
    clip = with_subtitles(tools, tmp_path / source, codec, data)
    if holder:
        with open_reader(clip) as reader, pytest.raises(UsageError, match=codec) as raised:
            plan_output(reader, tmp_path / target)
        assert f"{holder} file" in str(raised.value.hint)
        target = f"held{holder}"
    _, receipt = tools.passthrough(clip, tmp_path / target)
    assert any(line.startswith(f"subtitle #1 {codec}") for line in receipt.kept)
    bitmap = codec in ("hdmv_pgs_subtitle", "dvb_subtitle")  # which FFmpeg takes apart
    assert bitmap or data in tools.packets_of(tmp_path / target, "subtitle")


@pytest.mark.parametrize("suffix", [".ts", ".m2ts", ".mkv"])
def test_a_second_picture_is_kept_or_dropped_at_first(tools, tmp_path: Path, suffix: str) -> None:
    source = two_pictures(tools.film(tmp_path / "in.mkv", pts=3))
    _, receipt = tools.passthrough(source, tmp_path / f"out{suffix}")
    picture, language = "video #1 h264 deu", "language of video #1 h264 deu"
    expected = {
        ".mkv": ([picture], []),
        ".ts": ([picture], [f"{language} (mpegts holds none)"]),
        ".m2ts": ([], [f"{picture} (f2r cannot copy it into m2ts)"]),
    }
    about = [[s for s in lines if picture in s] for lines in (receipt.kept, receipt.dropped)]
    assert tuple(about) == expected[suffix]


def test_of_a_still_and_a_film_the_film_is_denoised(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.avif", codec="libsvtav1", pts=6, smooth=True)
    assert len(tools.read_all(source)) == 6


def test_sound_that_is_never_copied_is_refused_with_two_ways(tools, tmp_path: Path) -> None:
    """As Windows Media Audio, for which PyAV knows no container."""
    plain = tools.film(tmp_path / "plain.mkv", pts=5)
    with av.open(str(plain)) as one, av.open(str(tmp_path / "in.wmv"), "w", format="asf") as two:
        picture = two.add_stream_from_template(one.streams.video[0], opaque=True)
        sound = two.add_stream("wmav2", rate=44100, layout="mono")
        sound.bit_rate = 64000
        for packet in one.demux(0):
            if packet.size:
                packet.stream = picture
                two.mux(packet)
        silence = av.AudioFrame(format="fltp", layout="mono", samples=2048)
        silence.planes[0].update(bytes(silence.planes[0].buffer_size))
        silence.sample_rate = 44100
        two.mux([*sound.encode(silence), *sound.encode(None)])
    with open_reader(tmp_path / "in.wmv") as reader:
        with pytest.raises(UsageError, match="cannot copy audio #1 wmav2 into matroska") as raised:
            plan_output(reader, tmp_path / "out.mkv")
        assert "audio_codec=aac to encode it again" in str(raised.value.hint)
        plan = plan_output(reader, tmp_path / "out.mkv", WriteOptions(copy_only=True))
    assert any(line.startswith("audio #1 wmav2 (") for line in plan.dropped)
    assert (
        "audio #1 wmav2"
        in tools.passthrough(  # encoded again, when asked
            tmp_path / "in.wmv", tmp_path / "out.mkv", WriteOptions(audio_codec="libopus")
        )[1].kept[0]
    )


def two_pictures(source: Path) -> Path:
    """A clip with the same picture twice."""
    target = source.with_stem("two")
    with av.open(str(source)) as plain, av.open(str(target), "w") as two:
        copies = [two.add_stream_from_template(plain.streams[0], opaque=True) for _ in "ab"]
        copies[1].metadata["language"] = "deu"
        for packet in plain.demux():
            for copy in copies if packet.size else ():
                two.mux(again(packet, copy))
    return target


def test_unusual_tags_come_over_to_mp4(tools, tmp_path: Path) -> None:
    def own(stream: av.VideoStream) -> None:
        stream.container.metadata.update({"title": "A clip", "X_CUSTOM": "kept"})

    source = tools.film(tmp_path / "in.mkv", pts=3, setup=own)
    _, receipt = tools.passthrough(source, tmp_path / "out.mp4")
    assert receipt.dropped == ()
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert (out.metadata["title"], out.metadata["X_CUSTOM"]) == ("A clip", "kept")


def test_a_second_video_stream_is_copied(tools, odd, tmp_path: Path) -> None:
    source, target = odd("two_video_streams.mkv"), tmp_path / "out.mkv"
    tools.passthrough(source, target)
    with open_reader(source) as reader, open_reader(target) as again:
        before, after = reader.describe(), again.describe()
    assert [s["kind"] for s in before] == [s["kind"] for s in after] == ["video", "video"]
    (other,) = (s["index"] for s in before if not s.get("denoised"))
    for fact in ("codec", "width", "height"):
        assert before[other].get(fact) == after[other].get(fact)
    assert _packets(source, other) == _packets(target, other)
    assert len(_packets(source, other)) == 12


def _packets(path: Path, index: int) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams[index]) if p.size]


def test_sound_keeps_its_time_stamps(tools, odd, tmp_path: Path) -> None:
    source = odd("audio_movtext_chapters.mp4")
    tools.passthrough(source, tmp_path / "out.mp4")
    assert _stamps(source) == _stamps(tmp_path / "out.mp4")


def _stamps(path: Path) -> list[tuple[int | None, int | None]]:
    with av.open(str(path)) as container:
        sound = container.streams.audio[0]
        return [(p.pts, p.duration) for p in container.demux(sound) if p.size]


@pytest.mark.parametrize(
    ("first", "skipped", "rate", "then"),
    [
        ("01:02:03:04", 0, 25, "01:02:03:04"), ("01:02:03:24", 2, 25, "01:02:04:01"),
        ("01:08:59;28", 4, NTSC, "01:09:00;04"), ("23:59:59;28", 4, NTSC, "00:00:00;02"),
    ],
)  # fmt: skip
def test_a_time_code_track_is_that_of_the_frames(tools, tmp_path, first, skipped, rate, then):
    """With a semicolon, minutes but each tenth begin at frame 2 (SMPTE ST 12-1)."""
    source = tools.film(tmp_path / "in.mov", pts=6, time_base=1 / Fraction(rate), rate=rate,
                        setup=tagged(timecode=first))  # fmt: skip
    read = ReadOptions(start=float(skipped / rate))
    _, receipt = tools.passthrough(source, tmp_path / "out.mov", read=read)
    assert receipt.dropped == ()
    with av.open(str(tmp_path / "out.mov")) as out:
        assert out.streams.video[0].metadata["timecode"] == then
        assert [s.type for s in out.streams] == ["video", "data"]


def test_sound_in_a_transport_stream_comes_over_to_mp4(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.ts", pts=20, audio=True)
    _, receipt = tools.passthrough(source, tmp_path / "out.mp4", WriteOptions(codec="h264"))
    assert "audio #1 aac" in receipt.kept
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert sum(1 for _ in out.decode(audio=0)) > 3


def test_first_frames_of_a_clip_keep_the_packet_that_leads_sound_in(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mp4", pts=20, audio=True)
    tools.passthrough(source, tmp_path / "out.mp4", read=ReadOptions(frames=10))
    whole, part = (tools.packets_of(path, "audio") for path in (source, tmp_path / "out.mp4"))
    assert 2 < len(part) < len(whole)
    assert part == whole[: len(part)]


def test_data_that_the_container_knows_is_copied(tools, tmp_path: Path) -> None:
    plain = tools.film(tmp_path / "plain.ts", pts=10)
    source = tmp_path / "in.ts"
    with av.open(str(plain)) as old, av.open(str(source), "w") as new:
        video = new.add_stream_from_template(old.streams.video[0], opaque=True)
        data = new.add_data_stream("klv")
        for packet in old.demux():
            if packet.size:
                note = av.Packet(b"\x06\x0e+4" + bytes(20))
                note.pts = note.dts = packet.dts
                note.time_base, note.stream = packet.time_base, data
                packet.stream = video
                new.mux(packet)
                new.mux(note)
    _, receipt = tools.passthrough(source, tmp_path / "out.ts")
    assert "data #1 klv" in receipt.kept
    assert tools.packets_of(source, "data") == tools.packets_of(tmp_path / "out.ts", "data")
    _, receipt = tools.passthrough(source, tmp_path / "out.mkv")
    assert receipt.dropped == ("data #1 klv (f2r cannot copy it into matroska)",)


def test_closed_captions_within_the_pictures_are_told(tools, tmp_path: Path) -> None:
    plain = tools.film(tmp_path / "plain.h264", pts=6, options={"bf": "0"})
    caption = b"\xb5\x00\x31GA94\x03\xc1\xff\xfc\x94\x20\xff"
    message = b"\x00\x00\x01\x06\x04" + bytes([len(caption)]) + caption + b"\x80"
    parts = plain.read_bytes().split(b"\x00\x00\x01")
    units = [
        (message if part and part[0] & 31 in (1, 5) else b"") + b"\x00\x00\x01" + part
        for part in parts[1:]
    ]
    source = tmp_path / "in.h264"
    source.write_bytes(parts[0] + b"".join(units))
    frames, receipt = tools.passthrough(source, tmp_path / "out.mp4")
    assert receipt.dropped == ("closed captions (f2r cannot carry it)",)
    assert len(frames) == 6


def test_a_packet_that_the_muxer_refuses_costs_itself_only(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mp4", pts=20, audio=True)
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "out.mp4")
        with open_writer(reader, plan) as writer:
            for number, frame in enumerate(reader):
                if number == 12:  # a decoding time that runs backwards
                    bad = av.Packet(b"not sound at all")
                    bad.pts = bad.dts = -5000
                    bad.stream, bad.time_base = reader.metadata.others[0], Fraction(1, 8000)
                    reader.side.queue.append(bad)
                writer.write(frame)
            receipt = writer.finish()
    assert receipt.lost == ("1 packet of audio #1 aac (damaged)",)
    assert tools.packets_of(tmp_path / "out.mp4", "audio") == tools.packets_of(source, "audio")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_what_mp4_took_comes_back_from_it(rich_clip, tools, tmp_path: Path, suffix: str) -> None:
    tools.passthrough(rich_clip, tmp_path / "a.mp4", ALL)
    _, receipt = tools.passthrough(tmp_path / "a.mp4", tmp_path / f"b{suffix}")
    key = "title" if suffix == ".mkv" else "name"
    with av.open(str(tmp_path / f"b{suffix}")) as out:
        titles = [s.metadata.get(key, "").strip() for s in list(out.streams)[:3]]
        assert [c["metadata"]["title"] for c in out.chapters()] == ["Part 0", "Part 1"]
        assert suffix == ".mov" or _cover(out) == png()
    assert titles == ["Main picture", "Original", "Commentaire"]
    assert any('"Commentaire"' in line for line in receipt.kept)
    assert receipt.dropped == ("cover art #4 png (f2r cannot copy it into mov)",) * (
        suffix == ".mov"
    )


def test_a_second_picture_of_mpeg2_goes_from_ts_to_ts(tools, tmp_path: Path) -> None:
    clip = tools.write_clip(tmp_path / "in.ts", codec="mpeg2video", pts=12, smooth=True)
    with open_reader(two_pictures(clip)) as reader:
        plan = plan_output(reader, tmp_path / "out.ts")
    assert "video #1 mpeg2video" in plan.kept
