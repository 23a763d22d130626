"""Mistyped command lines: one clear line, a hint what to type instead, the right exit code."""

from pathlib import Path

import pytest

from f2rcli.cli import app
from f2rcli.errors import EXIT_INPUT, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Run

MISTAKES = [
    (("denoise", "clip.mp4", "out.mp4"), "out.mp4: there is no such input", "clip.mp4 -o out.mp4"),
    (("denoise", "clip.mp4", "my out.mp4"), "there is no such input", "clip.mp4 -o 'my out.mp4'"),
    (("denoise", "clip.mp4", "old.mp4", "-y"), "no output folder", "clip.mp4 -o old.mp4 -y"),
    (("denoise", "-i", "clip.mp4"), "No such option: -i", "-i is INPUT alone here"),
    (("denoise", "clip.mp4", "-c:v", "ffv1"), "No such option: -c", "-c:v is --codec here"),
    (("clip.mp4",), "No such command", "f2r denoise clip.mp4"),
    (("denose", "clip.mp4"), "No such command 'denose'. Did you mean 'denoise'", "--help"),
    (("denoise", "clip.mp4", "--wieghts", "x"), "--weights", "--help"),
    (("denoise", "clip.mp4", "--weights", "f2r-nope"), "--weights f2r-nope", "Choose from"),
    (("denoise", "clip.mp4", "--strength", "7"), "--strength 7: must be between 0 and 4.", ""),
    (("denoise", "clip.mp4", "--strength", "much"), "'--strength'", "--help"),
    (("denoise", "clip.mp4", "--fast"), "No such option: --fast", "--model lite"),
    (("denoise", "clip.mp4", "--frames", "0"), "--frames 0: must be 1 or more.", ""),
    (("denoise", "clip.mp4", "--start", "9", "--end", "2"), "--end 2: must lie after", "count"),
    (("denoise", "clip.mp4", "--start", "soon"), "--start soon: not a time", "h:mm:ss"),
    (("denoise", "clip.mp4", "--axes", "TYX"), "--axes TYX: clip.mp4 is not a stack", "Leave"),
    (("denoise", "clip.mp4", "--tile", "9"), "--tile 9", "64 or more"),
    (("denoise", "clip.mp4", "--device", "tpu"), "--device tpu: no such choice", "Choose from"),
    (("denoise", "clip.mp4", "-ob.mp4", "--lossless"), "--lossless ffv1: mp4 files cannot", ".mkv"),
    (("denoise", "clip.mp4", "--encoder-opt", "pix_fmt=x"), "--encoder-opt pix_fmt x", "yuv420p"),
    (("denoise", "clip.mp4", "--encoder-opt", "x"), "not key=value", "For example"),
    (("denoise", "clip.mp4", "--preview", "0", "--dry-run"), "choose one of them", ""),
    (("denoise", "clip.mp4", "--preview", "0", "--frames", "2"), "--preview --frames: choose", ""),
    (("denoise", "clip.mp4", "-o", ""), "-o: is empty", "shell variable"),
    (("denoise", "clip.mp4", "-o", "new/"), "names neither a file with a suffix nor a folder that"
     " is there", "new/%05d.png for pictures"),  # it had become pictures without sound
    (("denoise", "clip.mp4", "--adapt", "--sigma", "5"), "choose one", "f2r train CLIP --adapt"),
    (("denoise", "-", "--adapt", "-o", "o.mkv"), "input can be read only once", "Adapt to a file"),
    (("denoise", "clip.mp4", "-o", "-", "--preview", "0"), "choose one of", "Write to a file"),
    (("denoise", "-x.mp4"), "No such option: -x", "write ./-x.mp4"),
    (("denoise", "-", "--jobs", "2"), "--jobs: standard input is one clip", "Leave it out"),
    (("denoise", "takes", "--shard", "3/2"), "--shard 3/2: not I/N", "1/8 to 8/8"),
    (("denoise", "takes", "--preview", "0"), "--preview: is for one clip", "Name one clip"),
    (("denoise", "takes", "-o", "-"), "-o -: standard output holds one clip", "Name a folder"),
    (("denoise", "takes", "-o", "takes/out"), "lies in the input folder", "outside of it"),
    (("denoise", "takes", "-o", "x.mp4"), "named like one clip", "Name a folder"),
    (("denoise", "takes", "-j", "many"), "--jobs many: neither a number", "tcp://HOST:PORT"),
    (("denoise", "takes", "-j", "no.json"), "--jobs no.json: neither", "its scheduler file"),
    (("denoise", "clip.mp4", "takes"), "no output folder", "Name a folder"),
    (("denoise", "clip.mp4", "-j", "2"), "error: no output folder", "Name a folder"),
    (("noise", "clip.mp4", "--plot", "x.png"), "the plot is an SVG file", "OUT.svg"),
    (("eval",), "nothing to evaluate", "f2r eval DENOISED --clean CLEAN"),
    (("train", "clip.mp4"), "no output", "-o NAME.safetensors"),
    (("train", "clip.mp4", "-o", "x.mp4"), "weights are written as .safetensors", "x.safetensors"),
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "takes").mkdir()
    for name in ("takes/one.mp4", "old.mp4", "-x.mp4"):
        (tmp_path / name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "message", "hint"), MISTAKES, ids=lambda one: str(one)[:40])
def test_a_mistake_is_one_clear_line_and_what_to_do(
    f2r: Run, place: Path, words: tuple[str, ...], message: str, hint: str
) -> None:
    before = sorted(place.rglob("*"))
    done = f2r(*words)
    assert done.code == EXIT_USAGE, done.err
    lines = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    assert lines[0].startswith("error: ")
    assert message in done.err
    assert hint in done.err
    assert len(lines) <= 2
    assert done.out == ""
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [("none.mp4", None, "o such file"), ("empty.mp4", b"", "empty"), ("folder", None, "folder"),
     ("text.mp4", b"This is a letter, not a film.\n" * 9, "text.mp4")],
)  # fmt: skip
def test_what_is_no_clip_is_one_clear_line(
    f2r: Run, tmp_path: Path, name: str, content: bytes | None, word: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if name == "folder":
        (tmp_path / name).mkdir()
    for command in ("denoise", "info", "noise"):
        done = f2r(command, tmp_path / name)
        assert done.code == EXIT_INPUT, done.err
        assert done.err.startswith("error: ")
        assert word in done.err
        assert len(done.err.splitlines()) <= 2


@pytest.mark.parametrize("name", ["moon.ser", "take.mlv", "IMG_1.HEIC"])
def test_foreign_formats_name_the_way(f2r: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"SIMPLE  =                    T" + bytes(5000))
    done = f2r("denoise", tmp_path / name)
    assert done.code == EXIT_INPUT
    assert done.err.startswith(f"error: {name}: f2r does not read ")
    assert "hint: Make it a " in done.err
    (tmp_path / "night").mkdir()
    (tmp_path / name).rename(tmp_path / "night" / name)  # it said that there are no clips
    done = f2r("denoise", tmp_path / "night")
    assert f"failed: {name}: f2r does not read " in done.err
    assert "Make it a " in done.err


def test_version_is_one_line_with_what_a_bug_report_needs(f2r: Run, monkeypatch) -> None:
    """Also beside OpenCV from conda, which pip's records do not know by its name there."""
    monkeypatch.setattr(app, "LIBRARIES", (*app.LIBRARIES, "a-library-without-records"))
    done = f2r("--version")
    assert (done.code, done.err) == (EXIT_OK, "")
    assert done.out.startswith("f2r ")
    assert all(word in done.out for word in ("Python ", "torch ", "av ", "rawpy "))
    assert len(done.out.splitlines()) == 1
