"""No option writes an input, nor another file that is there already."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from f2rcli.errors import EXIT_OK, EXIT_USAGE, UsageError
from f2rcli.io.base import WriteOptions
from f2rcli.io.video.encoders import _with_users


@pytest.mark.parametrize(
    "options",
    [("--log-file", "clip.mp4"), ("--log-file", "notes.txt"), ("--log-file", "clip_f2r.mp4"),
     ("--report", "page.html", "--log-file", "page.html"), ("--report", "clip.mp4"),
     ("-o", "clip.mp4"), ("--encoder-opt", "x264-params=dump-yuv=clip.mp4"),
     ("--encoder-opt", "stats=clip.mp4"), ("--encoder-opt", "flags=+pass1")],
)  # fmt: skip
def test_what_would_write_an_input_is_refused_before_anything_is_written(
    f2r: Callable[..., Any], clip: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(clip.parent)
    Path("notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in clip.parent.iterdir()}
    done = f2r("denoise", "clip.mp4", "--overwrite", *options)
    assert done.code == EXIT_USAGE, done.err
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["error", "hint"]
    assert {path.name: path.read_bytes() for path in clip.parent.iterdir()} == before


EVAL = ("eval", "--clean", "clips", "--noise", "gaussian:20", "--methods", "none")


@pytest.mark.parametrize(
    "words",
    [(*EVAL, "--csv", "clips/a.mp4"),
     (*EVAL, "--json-file", "clips/a.mp4"),
     (*EVAL, "--report", "clips/a.mp4"),
     (*EVAL, "--compare-video", "clips"),
     (*EVAL, "--compare-video", "clips/a.mp4"),
     ("eval", "clips/a.mp4", "--noisy", "clip.mp4", "--csv", "run.toml", "--config", "run.toml"),
     ("eval", "f2r=notes.txt", "--noisy", "clip.mp4", "--csv", "notes.txt"),
     (*EVAL, "--csv", "out.txt", "--report", "out.txt"),
     ("denoise", "clips/a.mp4", "--report", "clip.mp4"),
     ("denoise", "clips/a.mp4", "--weights", "notes.txt", "--report", "notes.txt"),
     ("noise", "clips", "--json-file", "clips/a.mp4"),
     ("noise", "clip.mp4", "--weights", "notes.svg", "--plot", "notes.svg"),
     ("explain", "clip.mp4", "--pixel", "3,3", "-o", "why.svg", "--json-file", "clips/a.mp4"),
     ("explain", "clip.mp4", "--pixel", "3,3", "-o", "why.svg", "--json-file", "why.svg"),
     ("train", "clips", "-o", "clips/a.mp4"),
     ("train", "clips", "-o", "my.safetensors", "--log-file", "clips/a.mp4")],
)  # fmt: skip
def test_no_command_writes_a_clip_of_its_folder_or_another_file_it_was_given(
    f2r: Callable[..., Any], clip: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(clip.parent)
    Path("clips").mkdir()
    Path("clips/a.mp4").write_bytes(clip.read_bytes())
    for name in ("notes.txt", "notes.svg", "run.toml"):
        Path(name).write_text("# mine")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    done = f2r(*words, "--overwrite")
    assert done.code == EXIT_USAGE, done.err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_log_grows(f2r: Callable[..., Any], clip: Path) -> None:
    log = clip.parent / "f2r.log"
    for _ in range(2):
        assert f2r("denoise", clip, "--overwrite", "--log-file", log).code == EXIT_OK
    assert log.read_text().count("verified 6 frames") == 2


@pytest.mark.parametrize(
    ("encoder", "name", "value", "refused"),
    [("libx264", "x264-params", "ref=3:dump_yuv=a", True),
     ("libx264", "x264-params", "'dump-yuv'=a", True),
     ("libx264", "x264-params", r"dump\-yuv=a", True),
     ("libx264", "x264opts", "pass=1", True),
     ("libx265", "x265-params", "csv=a.csv", True),
     ("libx265", "x265-params", "analysis-save=a", True),
     ("libx265", "x265-params", "film-grain=a", True),
     ("libsvtav1", "svtav1-params", "film-grain=8:tune=0", False),
     ("libx264", "x264-params", "aq-mode=2:psy-rd=1.0,0.1", False),
     ("libx264", "tune", "grain", False)],
)  # fmt: skip
def test_encoders_options_that_name_files_are_known(
    encoder: str, name: str, value: str, refused: bool
) -> None:
    options = WriteOptions(encoder_options=((name, value),))
    if refused:
        with pytest.raises(UsageError, match="reads or writes files"):
            _with_users(encoder, {}, options)
    else:
        assert _with_users(encoder, {}, options) == {name: value}


@pytest.mark.parametrize(
    ("words", "name"),
    [(("denoise", ""), "INPUT"), (("denoise", "clip.mp4", ""), "INPUT"),
     (("denoise", "clip.mp4", "-o", ""), "--output"), (("train", "", "-o", "w"), "CLIP"),
     (("eval", "clip.mp4", "--noisy", ""), "--noisy"),
     (("export", "f2r-rgb-small", "-o", ""), "--output")],
)  # fmt: skip
def test_an_empty_word_is_not_this_folder(
    f2r: Callable[..., Any], clip: Path, monkeypatch: pytest.MonkeyPatch, words: Any, name: str
) -> None:
    monkeypatch.chdir(clip.parent)
    done = f2r(*words)
    assert done.code == EXIT_USAGE
    assert done.err.startswith(f"error: {name}")
    assert "is empty" in done.err
    assert list(clip.parent.iterdir()) == [clip]
