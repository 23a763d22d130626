"""`f2r denoise` goes on where a killed run of the same command was: the file is the same."""

from pathlib import Path

import pytest

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.engine.resuming import record as records
from f2rcli.errors import EXIT_INTERRUPTED, EXIT_OK
from f2rcli.io.atomic import record_folder
from f2rcli.io.video.writer import VideoWriter
from tests.cli.conftest import write_clip

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")

SIZE = 48, 32


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(records, "FIRST", -1.0)
    monkeypatch.setattr(records, "SHARE", 1e9)
    return write_clip(tmp_path / "clip.mp4", 5, SIZE)


def command(clip: Path, out: str, *options: str) -> int:
    words = ["denoise", clip, "-o", clip.parent / out, "--threads", "1", "--sigma", "10"]
    return run([str(word) for word in (*words, *options)])


def killed(clip: Path, out: str, monkeypatch, *options: str) -> None:
    """A run that ends when its fourth frame is to be written."""
    written, write = [], VideoWriter.write

    def three(self, frame) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(frame)
        write(self, frame)

    with monkeypatch.context() as patched:
        patched.setattr(VideoWriter, "write", three)
        assert command(clip, out, *options) == EXIT_INTERRUPTED


def test_the_file_is_that_of_a_run_that_nobody_stopped(clip, monkeypatch, capsys) -> None:
    assert command(clip, "whole.mp4") == EXIT_OK
    whole = (clip.parent / "whole.mp4").read_bytes()
    for moment in ("killed", "of another input"):
        killed(clip, "out.mp4", monkeypatch, "--overwrite")
        assert "the same command continues after 3 finished frames" in capsys.readouterr().err
        if moment == "killed":
            assert command(clip, "out.mp4") == EXIT_OK
            assert "continues after the 3 finished frames" in capsys.readouterr().err
            assert (clip.parent / "out.mp4").read_bytes() == whole
    write_clip(clip, 5, SIZE, crf="40")
    assert command(clip, "out.mp4", "--overwrite") == EXIT_OK
    assert "of another clip or damaged: starting over" in capsys.readouterr().err
    assert not record_folder(clip.parent / "out.mp4").exists()


def test_without_resume_nothing_is_kept_and_what_was_is_removed(clip, monkeypatch) -> None:
    killed(clip, "out.mp4", monkeypatch)
    assert record_folder(clip.parent / "out.mp4").exists()
    killed(clip, "out.mp4", monkeypatch, "--no-resume")
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]
