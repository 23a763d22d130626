"""What files of real devices and discs state, and whether it comes over or is said to be left."""

import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli.errors import UsageError
from f2rcli.io import ReadOptions, WriteOptions, open_reader, plan_output
from tests.io.conftest import tagged
from tests.io.odd_files import CLIPS, HDR

TRACKS = b"\x16\x54\xae\x6b"  # which a list of places names before
CROP = {0x54AA: 8, 0x54BB: 8, 0x54CC: 16, 0x54DD: 16}  # bottom, top, left, right
DISPLAY = {0x54B0: 96, 0x54BA: 64}


def number(data: bytes, place: int) -> tuple[int, int]:
    """A length of EBML's, and how many bytes it takes."""
    length = 9 - data[place].bit_length()
    return int.from_bytes(data[place : place + length], "big") & ((1 << 7 * length) - 1), length


def content(data: bytes, start: int, ident: bytes) -> int:
    """Where the length of the first element `ident` from `start` on stands."""
    while not data.startswith(ident, start):
        start += 9 - data[start].bit_length()  # the number of another element
        size, length = number(data, start)
        start += length + size
    return start + len(ident)


def inserted(data: bytes, path: tuple[bytes, ...], added: bytes) -> bytes:
    """The content of an element with `added` at the front of the one that `path` leads to."""
    if data.startswith(b"\xbf"):  # a checksum, which no longer holds
        data = b"\xec" + data[1:]
    if not path:
        return added + data
    place = content(data, 0, path[0])
    size, length = number(data, place)
    inner = inserted(data[place + length : place + length + size], path[1:], added)
    coded = (len(inner) | 1 << 28).to_bytes(4, "big")
    return data[:place] + coded + inner + data[place + length + size :]


def with_video_elements(path: Path, elements: dict[int, int]) -> Path:
    """Add elements (EBML numbers and values) to the video part of the first track of a file that
    was written as a stream, so that its segment has no length."""
    data = path.read_bytes().replace(b"\x54\xb2\x81\x04", b"\x54\xb2\x81\0")  # a unit: pixels
    added = b"".join(
        ident.to_bytes(2, "big") + b"\x84" + value.to_bytes(4, "big")
        for ident, value in elements.items()
    )
    place = data.rindex(TRACKS)
    path.write_bytes(data[:place] + inserted(data[place:], (TRACKS, b"\xae", b"\xe0"), added))
    return path


@pytest.fixture
def cropped(tools, tmp_path: Path) -> Path:
    source = tools.write_clip(
        tmp_path / "in.mkv", size=(96, 64), pts=4, container_options={"live": "1"}
    )
    return with_video_elements(source, CROP | DISPLAY)


def video_elements(path: Path) -> dict[int, int]:
    """Numbers and values of the size elements of a file's first track, as they stand there."""
    head = path.read_bytes()[: 1 << 16]
    head = head[head.rindex(TRACKS) :]
    found = {}
    for ident in (*CROP, *DISPLAY, 0x53B8):
        for length in (1, 2, 3, 4):
            place = head.find(ident.to_bytes(2, "big") + bytes([0x80 | length]))
            if place > 0:
                found[ident] = int.from_bytes(head[place + 3 : place + 3 + length], "big")
    return found


def test_cropping_stays_in_matroska_with_its_shape(tools, cropped: Path, tmp_path: Path) -> None:
    with open_reader(cropped) as reader:
        assert reader.metadata.pixel_aspect == Fraction(96, 64) * Fraction(48, 64)
    _, receipt = tools.passthrough(cropped, tmp_path / "out.mkv")
    assert {"cropping", "pixel aspect 9/8"} <= {*receipt.kept}
    assert video_elements(tmp_path / "out.mkv") == CROP | DISPLAY
    with open_reader(tmp_path / "out.mkv") as reader:  # whose packets do not say how long they last
        assert len(list(reader)) == 4
        assert not reader.ledger.damaged, reader.ledger.lines()


def test_cropping_that_a_container_cannot_state_is_told(tools, cropped: Path, tmp_path) -> None:
    frames, receipt = tools.passthrough(cropped, tmp_path / "out.mp4")
    assert any(line.startswith("cropping (") for line in receipt.dropped)
    assert (frames[0].width, frames[0].height) == (96, 64)


def test_without_cropping_a_picture_keeps_its_shape(tools, cropped: Path, tmp_path: Path) -> None:
    _, receipt = tools.passthrough(cropped, tmp_path / "out.mkv", WriteOptions(codec="h264"))
    assert any(line.startswith("cropping (") for line in receipt.dropped)
    elements = video_elements(tmp_path / "out.mkv")
    assert Fraction(elements[0x54B0], elements[0x54BA]) == Fraction(96, 64) * Fraction(9, 8)


def test_cropping_of_mov_in_matroska_has_its_shape(tools, cropped: Path, tmp_path: Path) -> None:
    """As FFmpeg's copy of a clean aperture; MediaInfo and players see what is shown."""
    source = tools.film(tmp_path / "in.mkv", size=(96, 64), pts=4, container_options={"live": "1"})
    with_video_elements(source, CROP | DISPLAY)
    tools.passthrough(source, tmp_path / "mid.mov")
    assert b"clap" in (tmp_path / "mid.mov").read_bytes()
    _, receipt = tools.passthrough(tmp_path / "mid.mov", tmp_path / "out.mkv")
    assert {"cropping", "pixel aspect 9/8"} <= {*receipt.kept}
    elements = video_elements(tmp_path / "out.mkv")
    assert {ident: elements[ident] for ident in CROP} == CROP
    assert Fraction(elements[0x54B0], elements[0x54BA]) == Fraction(96, 64)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


XMP = box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + b"<x:xmpmeta/>")


@pytest.mark.parametrize(
    ("own", "after", "told"),
    [(b"".join(box(name, b"8 bytes.") for name in (b"GPMF", b"LENS", b"free")), b"",
      ["the camera's own data GPMF, LENS"]),
     (box(b"XMP_", b"<x:xmpmeta/>"), b"", ["XMP"]),
     (b"", XMP, ["XMP"]),
     (b"", box(b"meta", b"8 bytes.") + box(b"uuid", b"16 others, or so"),
      ["the camera's own data meta"]),
     (b"", box(b"meta", bytes(4) + box(b"hdlr", bytes(8) + b"pict" + bytes(12))), [])],
    ids=["camera", "xmp in udta", "xmp in a box of its own", "others", "items of a picture"],
)  # fmt: skip
def test_what_a_header_holds_beside_tags_is_told(
    tools, tmp_path: Path, own: bytes, after: bytes, told: list[str]
) -> None:
    source = tools.film(tmp_path / "in.mp4", pts=4)
    data = source.read_bytes()
    added = box(b"udta", own)
    place = data.rindex(b"moov") - 4
    size = struct.unpack_from(">I", data, place)[0]
    assert place + size == len(data)  # the header comes last: no sample moves
    header = struct.pack(">I", size + len(added)) + data[place + 4 :] + added
    source.write_bytes(data[:place] + header + after)
    _, receipt = tools.passthrough(source, tmp_path / "out.mp4")
    assert [*receipt.dropped] == [f"{one} (f2r cannot carry it)" for one in told]


def test_a_shape_that_changes_is_told(tools, tmp_path: Path) -> None:
    """As broadcasters switch from 4:3 to 16:9 in mid stream."""
    parts = []
    for number, aspect in enumerate((Fraction(16, 15), Fraction(64, 45))):

        def shaped(stream: av.VideoStream, aspect: Fraction = aspect) -> None:
            stream.codec_context.sample_aspect_ratio = aspect

        clip = tools.film(tmp_path / f"{number}.h264", pts=5, setup=shaped, options={"bf": "0"})
        parts.append(clip.read_bytes())
    (tmp_path / "in.h264").write_bytes(b"".join(parts))
    with open_reader(tmp_path / "in.h264") as reader:
        assert len(list(reader)) == 10
        lines = reader.ledger.lines()
    assert any("from 16/15 to 64/45" in line and "keeps the first" in line for line in lines)


@pytest.mark.parametrize("shown", [(96, 64), (48, 64)], ids=["both eyes", "one eye"])
def test_pictures_side_by_side_keep_their_display_size(tools, tmp_path: Path, shown) -> None:
    source = tools.write_clip(
        tmp_path / "in.mkv", size=(96, 64), pts=4, container_options={"live": "1"},
        setup=tagged(stereo_mode="left_right"),
    )  # fmt: skip
    data = source.read_bytes()  # FFmpeg halves the width
    source.write_bytes(data.replace(b"\x54\xb0\x81\x30", b"\x54\xb0\x81" + bytes([shown[0]])))
    _, receipt = tools.passthrough(source, tmp_path / "out.mkv")
    assert "stereoscopic layout" in receipt.kept
    elements = video_elements(tmp_path / "out.mkv")
    assert (elements[0x54B0], elements[0x54BA]) == shown
    assert elements[0x53B8] == 1
    with av.open(str(tmp_path / "out.mkv")) as out:
        assert out.streams.video[0].metadata["stereo_mode"] == "left_right"


@pytest.mark.parametrize("mode", ["left_right", "right_left"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_stereo_layout_is_kept_where_said(tools, tmp_path: Path, suffix: str, mode: str) -> None:
    """FFmpeg leaves it out of some, and does not read again all that it writes."""
    setup = tagged(stereo_mode=mode)
    source = tools.film(tmp_path / "in.mkv", size=(96, 64), pts=4, setup=setup)
    for name in ("once", "twice"):
        target = tmp_path / f"{name}{suffix}"
        _, receipt = tools.passthrough(source, target)
        if suffix in (".mkv", ".webm"):  # the latter in another codec
            stated = video_elements(target)[0x53B8] == {"left_right": 1, "right_left": 11}[mode]
        else:  # in the box of the common scheme, and not turned over
            said = b"st3d" + bytes(4) + b"\2" in target.read_bytes()
            stated = said and mode == "left_right"
        assert ("stereoscopic layout" in receipt.kept) == stated
        assert any(line.startswith("stereoscopic") for line in receipt.dropped) != stated
        assert stated or suffix not in (".mkv", ".webm")
        source = target
        if not stated:
            break


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_a_360_degree_mark_is_kept_where_the_file_says_it(tools, tmp_path: Path, suffix) -> None:
    source = tools.film(tmp_path / "in.mkv", size=(96, 64), pts=4, container_options={"live": "1"})
    with_video_elements(source, {0x7670: 0x76718101})  # a projection, whose type is 1
    _, receipt = tools.passthrough(source, tmp_path / f"out{suffix}")
    mark = {".mkv": b"\x76\x71\x81\x01", ".mp4": b"sv3d"}.get(suffix)
    assert mark is None or mark in (tmp_path / f"out{suffix}").read_bytes()
    assert ("360-degree projection" in receipt.kept) is (mark is not None)
    assert any(line.startswith("360-degree ") for line in receipt.dropped) is (mark is None)


@pytest.mark.parametrize("mode", ["block_lr", "checkerboard_rl"])
def test_a_layout_that_webm_lacks_is_left_out_there(tools, tmp_path: Path, mode: str) -> None:
    """FFmpeg refused to write the file."""
    source = tools.write_clip(
        tmp_path / "in.mkv", codec="libsvtav1", size=(96, 64), pts=4, smooth=True,
        setup=tagged(stereo_mode=mode),
    )  # fmt: skip
    _, receipt = tools.passthrough(source, tmp_path / "out.webm")
    assert "stereoscopic layout" not in receipt.kept
    assert 0x53B8 not in video_elements(tmp_path / "out.webm")


@pytest.mark.parametrize("codec", [None, "av1"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_hdr10_metadata_is_in_the_stream(tools, tmp_path: Path, suffix: str, codec) -> None:
    source = tools.write_clip(tmp_path / f"in{suffix}", **CLIPS["hdr10_tags.mkv"])
    target = tmp_path / f"out{suffix}"
    _, receipt = tools.passthrough(source, target, WriteOptions(codec=codec))
    assert "HDR10 mastering metadata" in receipt.kept
    with open_reader(source) as before, open_reader(target) as after:
        one, two = before.metadata.mastering, after.metadata.mastering
    assert one is not None
    assert two is not None
    assert one.light == two.light == (1000, 400)
    assert [float(v) for v in two.display] == pytest.approx(
        [float(v) for v in one.display], rel=1e-3, abs=1e-4
    )


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr10_metadata_changes_no_picture(tools, tmp_path: Path, capfd, transfer: str) -> None:
    """x265 coded dark PQ more coarsely for it, and complained of it beside another transfer."""
    told, written = HDR.replace("smpte2084", transfer), []
    for said in (told, told.removeprefix("hdr10=1:").split(":max-cll")[0]):
        clip = CLIPS["hdr10_tags.mkv"] | {"options": {"x265-params": said}}
        tools.passthrough(tools.write_clip(tmp_path / "in.mp4", **clip), tmp_path / "out.mp4")
        with open_reader(tmp_path / "out.mp4") as reader:
            written.append([frame.planes[0] for frame in reader])
        (tmp_path / "out.mp4").unlink()
    np.testing.assert_array_equal(*written)
    assert "x265" not in capfd.readouterr().err


@pytest.mark.parametrize("codec", ["ffv1", "h264"])
def test_hdr10_metadata_is_listed_when_an_encoder_loses_it(odd, tmp_path: Path, codec: str) -> None:
    with open_reader(odd("hdr10_tags.mkv")) as reader:
        plan = plan_output(reader, tmp_path / "out.mkv", WriteOptions(codec=codec))
    assert any(line.startswith("HDR10 mastering metadata (") for line in plan.dropped)


@pytest.mark.parametrize("top_first", [True, False])
def test_single_fields_are_marked_again_not_split(tools, tmp_path: Path, top_first: bool) -> None:
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


def packed(tools, path: Path, pictures: int = 11) -> tuple[Path, list[bytes]]:
    """An AVI as DivX 5 packs it, with sound: B-frames in the packet of the picture before, and a
    blank for each; with the pictures as a sound file has them."""
    plain = tools.write_clip(
        path.with_name("plain.avi"), codec="mpeg4", pts=pictures, smooth=True, size=(96, 64),
        options={"bf": "1", "flags": "+bitexact"},
    )  # fmt: skip
    mark = b"\x00\x00\x01\xb2DivX503b1393p"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        stream.codec_context.codec_tag = "DX50"
        sound = target.add_stream("pcm_s16le", rate=8000, layout="mono")
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
            beside = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), "s16", "mono")
            beside.sample_rate, beside.pts = 8000, 320 * packed.count
            target.mux(sound.encode(beside))
        packed.count = -1
    return path, parts


def test_packed_pictures_are_read_at_their_own_times(tools, tmp_path: Path) -> None:
    source, parts = packed(tools, tmp_path / "in.avi")
    with open_reader(source) as reader:
        assert not any("time stamps" in note for note in reader.info.notes)  # AVI states its rate
        frames = list(reader)
        assert not reader.ledger.damaged, reader.ledger.lines()
    assert len(frames) == len(parts)
    assert [start for start, _ in tools.times(frames)] == [Fraction(n, 25) for n in range(11)]
    assert tools.same_samples(frames, tools.read_all(tmp_path / "plain.avi"))


def test_an_excerpt_of_packed_pictures_leaves_the_rest_of_the_sound(tools, tmp_path: Path) -> None:
    source, _ = packed(tools, tmp_path / "in.avi", pictures=101)
    with open_reader(source, ReadOptions(frames=3)) as reader:
        plan_output(reader, tmp_path / "out.mkv")
        assert len(list(reader)) == 3
        times = [packet.pts * packet.time_base for packet in reader.side.queue]
    assert 1 < max(times) < 2  # a second after the end, for what is interleaved late


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_data_of_an_unknown_kind_is_dropped_and_told(tools, tmp_path: Path, suffix: str) -> None:
    """FFmpeg would write it under a name that nothing can read."""
    source = tools.film(tmp_path / "in.mov", pts=5, setup=tagged(timecode="01:00:00:00"))
    raw = source.read_bytes()
    assert b"tmcd" in raw
    source.write_bytes(raw.replace(b"tmcd", b"mebx"))  # as telephones write
    _, receipt = tools.passthrough(tmp_path / "in.mov", tmp_path / f"out{suffix}")
    assert any(line.startswith("data #1") for line in receipt.dropped)
    assert not any(line.startswith("data") for line in receipt.kept)


def test_chapters_that_ffmpeg_reads_as_a_flat_list_are_told(tools, odd, tmp_path: Path) -> None:
    source = odd("audio2_subs_chapters.mkv")
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "out.mkv")
    assert not any("chapters" in line for line in plan.dropped)
    data = source.read_bytes()
    hidden = tmp_path / "in.mkv"
    assert data.count(b"\x43\x7c\x83und") == 2
    hidden.write_bytes(data.replace(b"\x43\x7c\x83und", b"\x43\x7c\x83ger"))
    with open_reader(hidden) as reader:
        plan = plan_output(reader, tmp_path / "out.mkv")
    assert CHAPTERS in plan.dropped


CHAPTERS = "nested chapters, their languages and flags (f2r writes a flat list)"


def chapter(inside: str = "", language: str = "eng") -> str:
    return (
        f"<ChapterAtom><ChapterTimeStart>00:00:00.000</ChapterTimeStart>{inside}<ChapterDisplay>"
        f"<ChapterString>One</ChapterString><ChapterLanguage>{language}</ChapterLanguage>"
        "</ChapterDisplay></ChapterAtom>"
    )


@pytest.mark.skipif(shutil.which("mkvmerge") is None, reason="needs MKVToolNix")
@pytest.mark.parametrize(
    ("editions", "told"),
    [([2 * chapter()], False), ([chapter(chapter())], True), ([chapter(), chapter()], True),
     ([chapter(language="ger")], True),
     ([chapter("<ChapterFlagHidden>1</ChapterFlagHidden>")], True)],
)  # fmt: skip
def test_chapters_of_mkvmerge_are_told_where_they_are_no_flat_list(
    tools, tmp_path: Path, editions: list[str], told: bool
) -> None:
    plain = tools.film(tmp_path / "plain.mkv", pts=4)
    source, listed = tmp_path / "in.mkv", tmp_path / "chapters.xml"
    every = "".join(f"<EditionEntry>{one}</EditionEntry>" for one in editions)
    listed.write_text(f'<?xml version="1.0"?><Chapters>{every}</Chapters>')
    done = ["mkvmerge", "-o", str(source), "--chapters", str(listed), str(plain)]
    subprocess.run(done, check=True, capture_output=True)
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "out.mkv")
    assert (CHAPTERS in plan.dropped) == told


@pytest.mark.skipif(shutil.which("mkvmerge") is None, reason="needs MKVToolNix")
def test_what_ffmpeg_flattens_of_languages_and_tags_is_told(tools, tmp_path: Path) -> None:
    plain = tools.film(tmp_path / "plain.mkv", pts=4)
    source, levels = tmp_path / "in.mkv", tmp_path / "tags.xml"
    levels.write_text(
        "<Tags><Tag><Targets><TargetTypeValue>70</TargetTypeValue><TargetType>COLLECTION"
        "</TargetType></Targets><Simple><Name>TITLE</Name><String>A series</String></Simple></Tag>"
        "</Tags>"
    )
    stated = ["--global-tags", str(levels), "--language", "0:pt-BR", "--track-name", "0:A"]
    done = ["mkvmerge", "-o", str(source), *stated, str(plain)]
    subprocess.run(done, check=True, capture_output=True)
    _, receipt = tools.passthrough(source, tmp_path / "out.mkv")
    assert "languages pt-BR (f2r writes three letters)" in receipt.dropped
    assert "levels of tags (COLLECTION/TITLE) (f2r writes a flat list)" in receipt.dropped


def test_sound_that_no_target_holds_is_refused_before_the_run(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mkv", pts=20, audio=True)
    with open_reader(source) as reader:
        with pytest.raises(UsageError, match=r"cannot copy audio #1 aac into webm") as raised:
            plan_output(reader, tmp_path / "out.webm")
        assert "Name an .mkv file" in str(raised.value.hint)
        assert "audio_codec=" in str(raised.value.hint)
        plan = plan_output(reader, tmp_path / "out.webm", WriteOptions(copy_only=True))
        assert any(line.startswith("audio #1 aac") for line in plan.dropped)
        for kind, codec in (("webm", "aac"), ("mov", "flac")):
            with pytest.raises(UsageError, match=f"as {codec} into {kind}"):
                plan_output(reader, tmp_path / f"out.{kind}", WriteOptions(audio_codec=codec))
        with pytest.raises(UsageError, match="no such audio encoder"):
            plan_output(reader, tmp_path / "out.webm", WriteOptions(audio_codec="wmv"))


def test_an_unknown_encoder_of_sound_is_refused_for_silent_clips_too(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mkv", pts=5)
    with open_reader(source) as reader:
        plan_output(reader, tmp_path / "out.mkv", WriteOptions(audio_codec="aac"))
        with pytest.raises(UsageError, match="no such audio encoder"):
            plan_output(reader, tmp_path / "out.mkv", WriteOptions(audio_codec="wmv"))


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "opus"), (".mkv", "flac")])
@pytest.mark.parametrize("start", [None, 0.2])
def test_sound_is_encoded_if_asked(tools, tmp_path: Path, suffix: str, codec: str, start) -> None:
    source = tools.film(tmp_path / "in.mkv", pts=20, audio=True)
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


def test_sound_that_tells_only_how_many_channels_is_encoded(tools, tmp_path: Path) -> None:
    """As PCM of AVI, MXF and MKV, and WMA."""
    clip, pcm = tools.film(tmp_path / "in.mkv", pts=5, audio=True), tmp_path / "pcm.mkv"
    tools.passthrough(clip, pcm, WriteOptions(audio_codec="pcm_s16le"))
    tools.passthrough(pcm, tmp_path / "out.mp4", WriteOptions(audio_codec="aac"))
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert out.streams.audio[0].layout.name == "mono"


@pytest.mark.parametrize(("suffix", "held"), [(".mp4", True), (".mkv", False)])
def test_a_file_of_its_own_kind_holds_what_sound_it_held(tools, tmp_path: Path, suffix, held):
    """Players hardly know PCM in MP4; what comes from there stays there."""
    plain = tools.film(tmp_path / "plain.mkv", pts=20)
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
