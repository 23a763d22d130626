"""What is listed as kept is looked for in the finished file; what is not there is lost, and told.

Containers that claim more than their muxers write stand in for muxers that lose something.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from f2rcli.io import Receipt, WriteOptions, open_reader, open_writer, plan_output
from f2rcli.io.containers import kinds as containers
from f2rcli.io.video.read_back import _turns

CLOCKWISE = (0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)


@pytest.fixture
def claiming(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a container claim what it cannot hold."""

    def claim(name: str, **claims: Any) -> None:
        all_of_them = tuple(
            replace(one, **claims) if one.name == name else one for one in containers.CONTAINERS
        )
        monkeypatch.setattr(containers, "CONTAINERS", all_of_them)

    return claim


def written(source: Path, target: Path, **options: Any) -> Receipt:
    with open_reader(source) as reader:
        plan = plan_output(reader, target, WriteOptions(**options))
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
            return writer.finish()


def test_cover_art_that_mov_does_not_take(
    rich_clip: Path, tmp_path: Path, claiming: Callable[..., None]
) -> None:
    assert any("cover art" in what for what in written(rich_clip, tmp_path / "a.mov").dropped)
    claiming("mov", covers="stream")
    receipt = written(rich_clip, tmp_path / "b.mov")
    assert receipt.lost == ("cover art #5 png",)
    assert "cover art #5 png" not in receipt.kept
    assert "lost cover art #5 png" in receipt.line()


def test_cover_art_whose_picture_never_comes(rich_clip: Path, tmp_path: Path) -> None:
    with (
        open_reader(rich_clip) as reader,
        open_writer(reader, plan_output(reader, tmp_path / "a.mkv")) as writer,
    ):
        reader.side.queue.clear()  # type: ignore[attr-defined]  # a video's
        for frame in reader:
            writer.write(frame)
        assert "cover art #5 png" in writer.finish().lost


def test_chapters_and_tags_that_avi_has_no_place_for(
    rich_clip: Path, tmp_path: Path, claiming: Callable[..., None]
) -> None:
    assert written(rich_clip, tmp_path / "a.avi").lost == ()
    claiming("avi", chapters=True, tags=None, stream_tags=("language", "title"))
    assert written(rich_clip, tmp_path / "b.avi").lost == (
        'language of audio #1 aac eng "Original"', 'language of audio #2 aac fra "Commentaire"',
        "2 chapters", "tags X_CUSTOM",
    )  # fmt: skip


def test_tags_of_a_transport_stream(
    rich_clip: Path, tmp_path: Path, claiming: Callable[..., None]
) -> None:
    claiming("mpegts", metadata=True)
    assert written(rich_clip, tmp_path / "b.ts").lost == ("metadata",)


def test_facts_of_the_picture(tools, tmp_path: Path, claiming: Callable[..., None]) -> None:
    def turned(stream: Any) -> None:
        stream.set_display_matrix(CLOCKWISE)

    source = tools.write_clip(
        tmp_path / "in.mp4", codec="libx264", pts=3, smooth=True, setup=turned
    )
    assert written(source, tmp_path / "a.mkv").lost == ()
    claiming("nut", display_matrix="all")
    receipt = written(source, tmp_path / "a.nut")
    assert receipt.lost == ("rotation",)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".nut", ".ts", ".avi"])
def test_no_container_loses_what_it_promised(rich_clip: Path, tmp_path: Path, suffix: str) -> None:
    assert written(rich_clip, tmp_path / f"a{suffix}").lost == ()


def test_turns_are_compared_to_two_decimals() -> None:
    assert _turns(CLOCKWISE) == [0, 1, -1, 0]
    assert _turns((0, 65530, 0, -65536, 6, 0, 0, 0, 1 << 30)) == [0, 1, -1, 0]
