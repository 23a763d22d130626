"""`f2r eval --report` and `--compare-video`, from the command line to the files."""

import re
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.cli.conftest import Done, write_clip


@pytest.fixture
def evaluate(command: Callable[..., Done]) -> Callable[..., Done]:
    """`f2r eval` with the shipped weights."""
    return lambda *arguments: command("eval", *arguments, "--device", "cpu", "--threads", "1")


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    folder = tmp_path / "clean"
    folder.mkdir()
    for name in ("one", "two & three"):
        write_clip(folder / f"{name}.mkv", frames=3, size=(65, 48))
    return folder


def test_a_folder_of_clips_makes_one_page_and_a_video_each(
    evaluate: Callable[..., Done], clean: Path, tmp_path: Path
) -> None:
    page, video = tmp_path / "page.html", tmp_path / "look.mp4"
    done = evaluate(
        "--clean", clean, "--noise", "gaussian:30", "--methods", "none", "--metrics", "psnr",
        "--report", page, "--compare-video", video,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert f"report: {page}" in done.out
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r'<input type="range"', text)) == 2
    assert "two &amp; three" in text
    assert "two & three" not in text
    videos = sorted(path.name for path in tmp_path.glob("*.mp4"))
    assert videos == ["look-one.mp4", "look-two_three.mp4"]
    for name in videos:
        with av.open(str(tmp_path / name)) as container:
            assert len(list(container.decode(video=0))) == 3


def test_a_page_that_is_there_is_kept_before_any_work(
    evaluate: Callable[..., Done], clean: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    done = evaluate("--clean", clean, "--noise", "gaussian:30", "--report", page)
    assert done.code == 1
    assert "--report" in done.err
    assert page.read_text() == "mine"
