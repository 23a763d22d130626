"""What only shows in a process of its own: signals, pipes, full disks."""

import io
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

from f2rcli.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, EXIT_INTERRUPTED, "interrupted"),
        (signal.SIGTERM, EXIT_TERMINATED, "terminated"),
        (signal.SIGHUP, EXIT_TERMINATED, "terminated"),
    ],
)
def test_a_signal_leaves_nothing_behind(start, clip, number, code, word) -> None:
    run = start("denoise", clip, "--json", hold="clip")
    run.wait_until_held()
    run.send(number)
    done = run.end()
    assert done.code == code, done.err
    assert done.err.strip() == f"error: {word}; nothing was put at the final path."
    assert json.loads(done.out.splitlines()[-1])["exit_code"] == code
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_keep_partial_keeps_the_part_file_when_interrupted(start, clip) -> None:
    run = start("denoise", clip, "--keep-partial", hold="clip")
    run.wait_until_held()
    (part,) = (path for path in clip.parent.iterdir() if ".part" in path.name)
    run.send(signal.SIGINT)
    assert run.end().code == EXIT_INTERRUPTED
    assert part.exists()
    assert not (clip.parent / "clip_f2r.mp4").exists()


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(start, clip) -> None:
    run = start("denoise", clip, "--codec", "ffv1", "-o", clip.parent / "out.mkv", hold="clip")
    run.wait_until_held()
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (2000, 2000))
    run.go_on()
    done = run.end()
    assert done.code == EXIT_FAILURE, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "out.mkv" in line
    assert "Traceback" not in done.err
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_standard_output_holds_the_picture_and_nothing_else(start, clip, tmp_path) -> None:
    run = start("denoise", clip, "-o", "-", "-v")
    out, err = run.process.communicate(timeout=240)
    assert run.process.returncode == EXIT_OK, err.decode()
    with av.open(io.BytesIO(out)) as container:
        assert len(list(container.decode(video=0))) == 6
    assert b"6 frames" in err


def test_standard_input_streams_with_no_count(start, tmp_path, y4m) -> None:
    out = tmp_path / "out.mkv"
    with y4m.open("rb") as piped:
        done = start("denoise", "-", "-o", out, stdin=piped).end()
    assert done.code == EXIT_OK, done.err
    assert "6/6 frames" in done.err
    with av.open(str(out)) as container:
        assert len(list(container.decode(video=0))) == 6


def test_a_reader_that_goes_away_ends_the_run_quietly(start, clip) -> None:
    run = start("denoise", clip, "-o", "-")
    assert run.process.stdout is not None
    run.process.stdout.close()
    err = run.process.stderr.read().decode() if run.process.stderr else ""
    assert run.process.wait(timeout=240) == EXIT_FAILURE, err
    assert "Traceback" not in err
    assert err.count("error: ") == 1


WRITTEN_LATER = """import sys
from f2rcli.cli.app import ExitHandler
from f2rcli.cli.terminal.console import Console
ending = ExitHandler(Console())
with ending:
    sys.stdout.write("a result")
    raise OSError(28, "No space left on device")
sys.exit(ending.code)"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_a_full_device_did_not_take_is_not_tried_again_at_exit() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", WRITTEN_LATER], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == EXIT_FAILURE, done.stderr
    assert done.stderr.count("No space left") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_devices_are_one_clear_line(start, clip) -> None:
    with open("/dev/full", "wb") as full:
        for arguments in (
            ("info", clip), ("denoise", clip, "-o", "-"), ("--help",),
            ("denoise", clip, "--dry-run", "--json"),
        ):  # fmt: skip
            run = start(*arguments, stdout=full)
            done = run.end()
            assert done.code == EXIT_FAILURE, (arguments, done.err)
            assert done.err.count("error: ") == 1
            assert "Traceback" not in done.err
    done = start("denoise", clip, "--log-file", "/dev/full").end()
    assert done.code == EXIT_OK
    assert done.err.count("the log cannot be written") == 1
    assert "Traceback" not in done.err


def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_word() -> None:
    code = """
import os, runpy, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
runpy.run_module("f2rcli", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == b""
