"""What a receipt calls kept is in the file, by another reader's eyes; what is not there is lost.

Containers that claim more than their muxers write stand in for muxers that lose something.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output

HELD = WriteOptions(copy_only=True)  # what the target holds, and no refusal
CLOCKWISE = (0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)


@pytest.fixture
def claiming(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a container claim what it cannot hold."""

    def claim(name: str, **claims: Any) -> None:
        room = sys.modules["f2rcli.io.video.containers"]
        claimed = tuple(replace(c, **claims) if c.name == name else c for c in room.CONTAINERS)
        monkeypatch.setattr(room, "CONTAINERS", claimed)

    return claim


def lost(source: Path, target: Path) -> tuple[str, ...]:
    with (
        open_reader(source) as reader,
        open_writer(reader, plan_output(reader, target, HELD)) as writer,
    ):
        for frame in reader:
            writer.write(frame)
        receipt = writer.finish()
    assert not {*receipt.lost} & {*receipt.kept}
    assert all(what in receipt.line() for what in receipt.lost)
    return receipt.lost


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".nut", ".ts", ".avi"])
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


def test_cover_art_that_is_not_there_is_lost(rich_clip: Path, tmp_path: Path, claiming) -> None:
    claiming("mov", covers="stream")
    assert lost(rich_clip, tmp_path / "out.mov") == ("cover art #5 png",)


def test_chapters_and_tags_that_are_not_there_are_lost(rich_clip: Path, tmp_path, claiming) -> None:
    claiming("avi", chapters=True, tags=None, stream_tags=("language", "title"))
    assert lost(rich_clip, tmp_path / "out.avi") == (
        'language of audio #1 aac eng "Original"', 'language of audio #2 aac fra "Commentaire"',
        "2 chapters", "tags X_CUSTOM",
    )  # fmt: skip
    claiming("mpegts", metadata=True)
    assert lost(rich_clip, tmp_path / "out.ts") == ("metadata",)


def test_a_turn_that_is_not_there_is_lost(tools, tmp_path: Path, claiming) -> None:
    source = tools.write_clip(
        tmp_path / "in.mp4", codec="libx264", pts=3, smooth=True,
        setup=lambda stream: stream.set_display_matrix(CLOCKWISE),
    )  # fmt: skip
    assert lost(source, tmp_path / "out.mkv") == ()
    claiming("nut", display_matrix="all")
    assert lost(source, tmp_path / "out.nut") == ("rotation",)
