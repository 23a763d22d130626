"""What a receipt calls kept is in the file, by other readers' eyes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest

from f2rcli.io import ReadOptions, WriteOptions, open_reader, open_writer, plan_output

HELD = WriteOptions(copy_only=True)  # what the target holds, and no refusal


def media_info(path: Path) -> list[dict[str, Any]]:
    """A file's tracks as MediaInfo reads them, the file itself first."""
    if shutil.which("mediainfo") is None:
        pytest.skip("MediaInfo is not installed")
    said = subprocess.run(
        ["mediainfo", "--Output=JSON", str(path)], capture_output=True, check=True
    )
    tracks: list[dict[str, Any]] = json.loads(said.stdout)["media"]["track"]
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


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_picture_that_an_excerpt_does_not_reach_costs_no_other_stream(
    tools, tmp_path: Path, suffix: str
) -> None:
    """Its key frame lies before: mp4 has no track for it, and the sound behind it one less."""
    plain = tools.write_clip(
        tmp_path / "plain.mkv", codec="libx264", pts=20, smooth=True, audio=True
    )
    source = tmp_path / f"in{suffix}"
    with av.open(str(plain)) as one, av.open(str(source), "w") as two:
        pictures = [two.add_stream_from_template(one.streams.video[0], opaque=True) for _ in "ab"]
        sound = two.add_stream_from_template(one.streams.audio[0])
        for packet in [packet for packet in one.demux() if packet.size]:
            for target in pictures if packet.stream.type == "video" else [sound]:
                again = av.Packet(bytes(packet))
                again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                again.duration, again.is_keyframe = packet.duration, packet.is_keyframe
                again.stream = target
                two.mux(again)
    with open_reader(source, ReadOptions(start=0.4)) as reader:
        plan = plan_output(reader, tmp_path / f"out{suffix}")
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
            receipt = writer.finish()
    assert receipt.lost == ("video #1 h264",)
    assert any(what.startswith("audio #2") for what in receipt.kept)
