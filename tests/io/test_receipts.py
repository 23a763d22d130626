"""What a receipt calls kept is in the file, by other readers' eyes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest

from f2rcli.io import WriteOptions

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
