"""What files of real devices and discs state, and whether it comes over or is said to be left."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli.errors import UsageError
from f2rcli.io import ReadOptions, WriteOptions, open_reader, plan_output

TRACKS = b"\x16\x54\xae\x6b"  # which a list of places names before
ELEMENTS = (0x54B0, 0x54BA, 0x53B8)  # display width and height, stereoscopic mode
HDR = (
    "hdr10=1:repeat-headers=1:log-level=error:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)


def video_elements(path: Path) -> dict[int, int]:
    """Numbers and values of some elements of a file's first track, as they stand there."""
    head = path.read_bytes()[: 1 << 16]
    head = head[head.rindex(TRACKS) :]
    found = {}
    for ident in ELEMENTS:
        for length in (1, 2, 4):
            place = head.find(ident.to_bytes(2, "big") + bytes([0x80 | length]))
            if place > 0:
                found[ident] = int.from_bytes(head[place + 3 : place + 3 + length], "big")
    return found


def test_a_shape_that_changes_is_told(tools, tmp_path: Path) -> None:
    """As broadcasters switch from 4:3 to 16:9 in mid stream."""
    parts = []
    for number, aspect in enumerate((Fraction(16, 15), Fraction(64, 45))):

        def shaped(stream: av.VideoStream, aspect: Fraction = aspect) -> None:
            stream.codec_context.sample_aspect_ratio = aspect

        clip = tools.write_clip(tmp_path / f"{number}.h264", codec="libx264", pts=5, smooth=True,
                                setup=shaped, options={"bf": "0"})  # fmt: skip
        parts.append(clip.read_bytes())
    (tmp_path / "in.h264").write_bytes(b"".join(parts))
    with open_reader(tmp_path / "in.h264") as reader:
        assert len(list(reader)) == 10
        lines = reader.ledger.lines()
    assert any("from 16/15 to 64/45" in line and "keeps the first" in line for line in lines)


def test_pictures_side_by_side_keep_their_display_size(tools, tmp_path: Path) -> None:
    source = tools.write_clip(
        tmp_path / "in.mkv", size=(96, 64), pts=4,
        setup=lambda stream: stream.metadata.update(stereo_mode="left_right"),
    )  # fmt: skip
    _, receipt = tools.passthrough(source, tmp_path / "out.mkv")
    assert "stereoscopic layout" in receipt.kept
    elements = video_elements(tmp_path / "out.mkv")
    assert (elements[0x54B0], elements[0x54BA]) == (48, 64)  # of one eye
    assert elements[0x53B8] == 1
    with av.open(str(tmp_path / "out.mkv")) as out:
        assert out.streams.video[0].metadata["stereo_mode"] == "left_right"


@pytest.mark.parametrize("mode", ["left_right", "right_left"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_stereoscopic_layout_is_kept_where_the_file_says_it(
    tools, tmp_path: Path, suffix: str, mode: str
) -> None:
    """FFmpeg leaves it out of some, and does not read again all that it writes."""
    source = tools.write_clip(
        tmp_path / "in.mkv", codec="libx264", size=(96, 64), pts=4, smooth=True,
        setup=lambda stream: stream.metadata.update(stereo_mode=mode),
    )  # fmt: skip
    for name in ("once", "twice"):
        target = tmp_path / f"{name}{suffix}"
        _, receipt = tools.passthrough(source, target)
        if suffix == ".mkv":
            stated = video_elements(target)[0x53B8] == {"left_right": 1, "right_left": 11}[mode]
        else:  # in the box of the common scheme, and not turned over
            said = b"st3d" + bytes(4) + b"\2" in target.read_bytes()
            stated = said and mode == "left_right"
        assert ("stereoscopic layout" in receipt.kept) == stated
        assert any(line.startswith("stereoscopic") for line in receipt.dropped) != stated
        assert stated or suffix != ".mkv"
        source = target
        if not stated:
            break


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", None), (".mkv", None), (".mp4", "h264"), (".mkv", "av1")]
)
def test_hdr10_metadata_is_in_the_stream(tools, tmp_path: Path, suffix: str, codec) -> None:
    source = tools.write_clip(
        tmp_path / f"in{suffix}", codec="libx265", pix_fmt="yuv420p10le", pts=12, smooth=True,
        size=(128, 96), options={"x265-params": HDR},
    )  # fmt: skip
    target = tmp_path / f"out{suffix}"
    _, receipt = tools.passthrough(source, target, WriteOptions(codec=codec))
    assert "HDR10 mastering metadata" in receipt.kept
    with open_reader(source) as before, open_reader(target) as after:
        one, two = before.metadata.facts.mastering, after.metadata.facts.mastering
    assert one is not None
    assert two is not None
    assert one.light == two.light == (1000, 400)
    assert [float(v) for v in two.display] == pytest.approx(
        [float(v) for v in one.display], rel=1e-3, abs=1e-4
    )


def test_hdr10_metadata_of_a_header_comes_over(tools, tmp_path: Path) -> None:
    """FFV1 has no place for it: Matroska's header has."""
    source = tools.write_clip(
        tmp_path / "in.mkv", codec="libx265", pix_fmt="yuv420p10le", pts=12, smooth=True,
        size=(128, 96), options={"x265-params": HDR},
    )  # fmt: skip
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "out.mkv", WriteOptions(lossless=True))
    assert any(line.startswith("HDR10 mastering metadata (") for line in plan.dropped)


@pytest.mark.parametrize("top_first", [True, False])
def test_single_fields_are_not_split_again_and_are_marked_again(
    tools, tmp_path: Path, top_first: bool
) -> None:
    parameters = f"log-level=error:interlace={'tff' if top_first else 'bff'}"
    source = tools.write_clip(
        tmp_path / "in.mp4", codec="libx265", pts=12, smooth=True, size=(128, 64),
        options={"x265-params": parameters},
    )  # fmt: skip
    with open_reader(source) as reader:
        assert not reader.info.interlaced
        assert any("every picture is one field" in note for note in reader.info.notes)
    _, receipt = tools.passthrough(source, tmp_path / "out.mp4")
    assert "marks of single fields" in receipt.kept
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert all(frame.interlaced_frame for frame in out.decode(video=0))
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "out.mkv", WriteOptions(codec="h264"))
    assert any(line.startswith("marks of single fields (") for line in plan.dropped)


def packed(tools, path: Path) -> tuple[Path, list[bytes]]:
    """An AVI as DivX 5 packs it: B-frames in the packet of the picture before, and a blank for
    each; with the pictures as a sound file has them."""
    plain = tools.write_clip(
        path.with_name("plain.avi"), codec="mpeg4", pts=11, smooth=True, size=(96, 64),
        options={"bf": "1", "flags": "+bitexact"},
    )  # fmt: skip
    mark = b"\x00\x00\x01\xb2DivX503b1393p"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        stream.codec_context.codec_tag = "DX50"
        parts = [bytes(packet) for packet in source.demux(0) if packet.size]
        place = parts[0].index(b"\x00\x00\x01\xb6")
        parts[0] = parts[0][:place] + mark + parts[0][place:]
        for part in [parts[0]] + [
            piece
            for number in range(1, len(parts) - 1, 2)
            for piece in (parts[number] + parts[number + 1], b"\x00\x00\x01\xb6\x56\x00")
        ]:
            packet = av.Packet(part)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = packed.count = getattr(packed, "count", -1) + 1
            target.mux(packet)
        packed.count = -1
    return path, parts


def test_packed_pictures_are_read_at_their_own_times(tools, tmp_path: Path) -> None:
    source, parts = packed(tools, tmp_path / "in.avi")
    with open_reader(source) as reader:
        frames = list(reader)
        assert not reader.ledger.damaged, reader.ledger.lines()
    assert len(frames) == len(parts)
    assert [start for start, _ in tools.times(frames)] == [Fraction(n, 25) for n in range(11)]
    assert tools.same_samples(frames, tools.read_all(tmp_path / "plain.avi"))


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_data_of_an_unknown_kind_is_dropped_and_told(tools, tmp_path: Path, suffix: str) -> None:
    """FFmpeg would write it under a name that nothing can read."""
    source = tools.write_clip(
        tmp_path / "in.mov", codec="libx264", pts=5, smooth=True,
        setup=lambda stream: stream.metadata.update(timecode="01:00:00:00"),
    )  # fmt: skip
    raw = source.read_bytes()
    assert b"tmcd" in raw
    source.write_bytes(raw.replace(b"tmcd", b"mebx"))  # as telephones write
    _, receipt = tools.passthrough(tmp_path / "in.mov", tmp_path / f"out{suffix}")
    assert any(line.startswith("data #1") for line in receipt.dropped)
    assert not any(line.startswith("data") for line in receipt.kept)


def test_sound_that_no_target_holds_is_refused_before_the_run(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", codec="libx264", pts=20, smooth=True, audio=True)
    with open_reader(source) as reader:
        with pytest.raises(UsageError, match=r"cannot copy audio #1 aac into webm") as raised:
            plan_output(reader, tmp_path / "out.webm")
        assert "Name an .mkv file" in str(raised.value.hint)
        assert "audio_codec=" in str(raised.value.hint)
        plan = plan_output(reader, tmp_path / "out.webm", WriteOptions(copy_only=True))
        assert any(line.startswith("audio #1 aac") for line in plan.dropped)
        with pytest.raises(UsageError, match="webm cannot hold it"):
            plan_output(reader, tmp_path / "out.webm", WriteOptions(audio_codec="aac"))
        with pytest.raises(UsageError, match="no such audio encoder"):
            plan_output(reader, tmp_path / "out.webm", WriteOptions(audio_codec="wmv"))


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "opus"), (".mkv", "flac")])
@pytest.mark.parametrize("start", [None, 0.2])
def test_sound_is_encoded_again_where_that_is_asked_for(
    tools, tmp_path: Path, suffix: str, codec: str, start
) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", codec="libx264", pts=20, smooth=True, audio=True)
    target = tmp_path / f"out{suffix}"
    options = WriteOptions(audio_codec=codec)
    _, receipt = tools.passthrough(source, target, options, ReadOptions(start=start))
    assert f"audio #1 aac as {codec}" in receipt.kept
    with av.open(str(target)) as out:
        (stream,) = out.streams.audio
        assert stream.codec_context.codec.canonical_name == codec
        frames = list(out.decode(stream))
        seconds = sum(frame.samples / frame.sample_rate for frame in frames)
        assert frames[0].time == pytest.approx(0, abs=0.2)  # a packet of AAC lasts 0.128 s
    assert seconds == pytest.approx(0.8 + 0.2 - (start or 0), abs=0.2)


@pytest.mark.parametrize(("suffix", "held"), [(".mp4", True), (".mkv", False)])
def test_a_file_of_its_own_kind_holds_what_sound_it_held(tools, tmp_path: Path, suffix, held):
    """Players hardly know PCM in MP4; what comes from there stays there."""
    plain = tools.write_clip(tmp_path / "plain.mkv", codec="libx264", pts=20, smooth=True)
    source = tmp_path / f"in{suffix}"
    with av.open(str(plain)) as clip, av.open(str(source), "w") as target:
        video = target.add_stream_from_template(clip.streams.video[0], opaque=True)
        sound = target.add_stream("pcm_s16le", rate=8000, layout="mono")
        for packet in [packet for packet in clip.demux(0) if packet.size]:
            packet.stream = video
            target.mux(packet)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), "s16", "mono")
        samples.sample_rate, samples.pts = 8000, 0
        target.mux(sound.encode(samples))
    with open_reader(source) as reader:
        if held:
            kept = plan_output(reader, tmp_path / "out.mp4").kept
            assert any(what.startswith("audio #1 pcm_s16le") for what in kept)
        else:
            with pytest.raises(UsageError, match=r"cannot copy audio #1 pcm_s16le"):
                plan_output(reader, tmp_path / "out.mp4")
