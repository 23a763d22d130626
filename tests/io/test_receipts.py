"""What a receipt calls kept is in the file, by other readers' eyes."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from f2rcli.io import ReadOptions, WriteOptions, open_reader
from f2rcli.io.video.pixels import filtered
from f2rcli.io.video.streams import CONTAINERS
from tests.io.rich import again
from tests.io.through import copied

HELD = WriteOptions(copy_only=True)  # what the target holds, and no refusal


def media_info(path: Path) -> list[dict[str, Any]]:
    """A file's tracks as MediaInfo reads them, the file itself first."""
    if shutil.which("mediainfo") is None:
        pytest.skip("MediaInfo is not installed")
    out = subprocess.run(["mediainfo", "--Output=JSON", str(path)], capture_output=True, check=True)
    tracks: list[dict[str, Any]] = json.loads(out.stdout)["media"]["track"]
    return tracks


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
def test_what_is_called_kept_is_there(tools, rich_clip: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    frames, receipt = tools.passthrough(rich_clip, target, HELD)
    with av.open(str(target)) as out:
        assert sum(bool(packet.size) for packet in out.demux(video=0)) == len(frames)
        kinds = [stream.type for stream in out.streams]
        for kind in ("audio", "subtitle", "attachment"):
            assert kinds.count(kind) == sum(what.startswith(kind) for what in receipt.kept)
        chapters = [chapter["metadata"]["title"] for chapter in out.chapters()]
        assert chapters == (["Part 0", "Part 1"] if "2 chapters" in receipt.kept else [])
        assert (out.metadata.get("title") == "A clip") == ("metadata" in receipt.kept)
        languages = [stream.language for stream in out.streams.audio]
        told = any(line.startswith("language of audio") for line in receipt.dropped)
        assert told or languages == ["eng", "fra"][: len(languages)]
    if any(what.startswith("audio") for what in receipt.kept):
        pairs = zip(*(tools.packets_of(p, "audio") for p in (rich_clip, target)), strict=True)
        assert all(before in after for before, after in pairs)  # .ts puts a header before each


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
def test_mediainfo_sees_what_is_called_kept(tools, rich_clip: Path, tmp_path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    frames, receipt = tools.passthrough(rich_clip, target, HELD)
    file, *tracks = media_info(target)
    sounds = [track for track in tracks if track["@type"] == "Audio"]
    assert [track.get("Language") for track in sounds] == ["en", "fr"]
    titles = [track.get("Title") for track in sounds]
    assert titles == ([None] * 2 if suffix == ".ts" else ["Original", "Commentaire"])
    texts = [track for track in tracks if track["@type"] == "Text"]
    assert len(texts) == sum(what.startswith("subtitle") for what in receipt.kept)
    assert ("A clip" in str(file)) is ("metadata" in receipt.kept)
    assert bool(file.get("Cover")) is any(what.startswith("cover") for what in receipt.kept)
    picture = next(track for track in tracks if track["@type"] == "Video")
    assert int(picture.get("FrameCount", len(frames))) == len(frames)
    menus = [track for track in tracks if track["@type"] == "Menu"]
    assert any("Part 1" in str(menu) for menu in menus) is ("2 chapters" in receipt.kept)


TAGS = {"title": "A clip", "artist": "Somebody", "x_custom": "strange", "date": "1999",
        "take": "third of five", "creation_time": "2001-02-03T04:05:06.000000Z"}  # fmt: skip
NARROW = [
    (one, family) for one in CONTAINERS if not one.only_pictures for family in one.families
    if family != "dnxhd"  # which has a least size
]  # fmt: skip


@pytest.fixture(scope="module")
def stated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interlaced, anamorphic, turned clip with colours, tags and chapters."""
    path = tmp_path_factory.mktemp("stated") / "in.mov"
    with av.open(str(path), "w", container_options={"movflags": "+use_metadata_tags"}) as target:
        target.metadata.update(TAGS)
        target.set_chapters(
            [{"id": n, "start": 80 * n, "end": 80 * n + 80, "time_base": Fraction(1, 1000),
              "metadata": {"title": f"Part {n}"}} for n in range(2)]
        )  # fmt: skip
        video = target.add_stream("libx264", rate=25, options={"flags": "+ildct+ilme"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(16, 11)
        video.metadata["language"] = "fra"
        video.set_display_matrix((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
        for one in (video.codec_context, *(av.VideoFrame(96, 64, "yuv420p") for _ in range(4))):
            one.color_primaries, one.color_trc, one.colorspace, one.color_range = 5, 6, 5, 1
            if isinstance(one, av.VideoFrame):
                for plane in one.planes:
                    plane.update(np.random.default_rng(5).bytes(plane.buffer_size))
                one.time_base = Fraction(1, 25)
                (picture,) = filtered("setfield", "tff", one)
                picture.pts = None
                target.mux(video.encode(picture))
        target.mux(video.encode(None))
    return path


@pytest.mark.parametrize(("container", "family"), NARROW, ids=lambda v: getattr(v, "name", v))
def test_another_reader_sees_every_fact_that_is_called_kept(
    tools, stated: Path, tmp_path: Path, container, family: str
) -> None:
    target = tmp_path / f"out{container.suffixes[0]}"
    _, receipt = tools.passthrough(stated, target, WriteOptions(codec=family))
    kept, (file, *tracks) = {*receipt.kept}, media_info(target)
    picture = next(track for track in tracks if track["@type"] == "Video")
    told = " ".join(receipt.dropped)
    for what in ("pixel aspect 16/11", "field order", "colour tags", "rotation", "metadata"):
        assert (what in kept) is not (what in told)
    if "pixel aspect 16/11" in kept:
        assert float(picture["PixelAspectRatio"]) == pytest.approx(16 / 11, abs=0.001)
    if "field order" in kept:
        assert picture["ScanOrder"] == "TFF"
    if "colour tags" in kept:
        assert picture["colour_primaries"] == "BT.601 PAL"
        assert picture["transfer_characteristics"] == "BT.601"
        assert picture["matrix_coefficients"] in ("BT.470 System B/G", "Identity")  # RGB
        assert picture.get("colour_range", "Limited") == "Limited"
    if "rotation" in kept and container.movie:
        assert float(picture["Rotation"]) == 90
    elif "rotation" in kept and shutil.which("mkvinfo"):
        said = subprocess.run(["mkvinfo", str(target)], capture_output=True, text=True).stdout
        assert "roll rotation: -90" in said
    if "metadata" in kept:
        assert all(value[:10] in json.dumps(file) for value in TAGS.values())
    if "2 chapters" in kept:
        assert any("Part 1" in str(track) for track in tracks if track["@type"] == "Menu")


@pytest.mark.parametrize("family", ["mpeg4", "mpeg2video", "prores"])
def test_what_cannot_say_full_range_gets_limited(tools, tmp_path: Path, family: str) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", codec="libx264", pix_fmt="yuvj420p", pts=2)
    suffix = {"mpeg2video": ".ts"}.get(family, ".mov")
    _, receipt = tools.passthrough(source, tmp_path / f"out{suffix}", WriteOptions(codec=family))
    assert any(line.startswith("full range (limited instead)") for line in receipt.dropped)
    picture = next(t for t in media_info(tmp_path / f"out{suffix}") if t["@type"] == "Video")
    assert picture.get("colour_range") != "Full"


@pytest.mark.parametrize(("suffix", "filled"), [(".mp4", 2), (".mkv", 2), (".mkv", 1)])
def test_a_picture_outside_an_excerpt_costs_no_stream(
    tools, tmp_path: Path, suffix: str, filled: int
) -> None:
    """Its key frame lies before: mp4 has no track for it, and the sound behind it one less. Of one
    that is empty from the start nothing is lost."""
    plain = tools.film(tmp_path / "plain.mkv", pts=20, audio=True)
    source = tmp_path / f"in{suffix}"
    with av.open(str(plain)) as one, av.open(str(source), "w") as two:
        pictures = [two.add_stream_from_template(one.streams.video[0], opaque=True) for _ in "ab"]
        sound = two.add_stream_from_template(one.streams.audio[0])
        for packet in [packet for packet in one.demux() if packet.size]:
            for target in pictures[:filled] if packet.stream.type == "video" else [sound]:
                two.mux(again(packet, target))
    with open_reader(source, ReadOptions(start=0.4)) as reader:
        receipt = copied(reader, tmp_path / f"out{suffix if filled == 2 else '.mp4'}")
    assert receipt.lost == ("video #1 h264",) * (filled - 1)
    assert ("video #1 h264 (it is empty)" in receipt.dropped) == (filled == 1)
    assert not any(what.startswith("video #1") for what in receipt.kept)
    assert any(what.startswith("audio #2") for what in receipt.kept)


@pytest.mark.parametrize(
    ("named", "told"), [(False, ()), (True, ("colour tags but the range (y4m holds none)",))]
)
def test_y4m_keeps_the_range_and_tells_what_else_of_colours_goes(
    tools, tmp_path: Path, named: bool, told: tuple[str, ...]
) -> None:
    def full(stream: av.VideoStream) -> None:
        stream.codec_context.color_range = 2
        if named:
            stream.codec_context.color_primaries = stream.codec_context.color_trc = 9

    source = tools.write_clip(tmp_path / "in.mkv", pts=2, setup=full)
    _, receipt = tools.passthrough(source, tmp_path / "out.y4m")
    assert b"XCOLORRANGE=FULL" in (tmp_path / "out.y4m").read_bytes()[:99]
    assert receipt.dropped == told
