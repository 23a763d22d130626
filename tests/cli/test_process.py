"""What only shows in a process of its own: signals, pipes, full disks, closed streams."""

import io
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from f2rcli.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED
from tests.cli.conftest import write_clip

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `f2r` processes; none of them outlives the test."""
    every: list[subprocess.Popen[bytes]] = []

    def begin(*words: object, **how: object) -> subprocess.Popen[bytes]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        command = [sys.executable, "-m", "f2rcli", *map(str, words)]
        every.append(subprocess.Popen(command, preexec_fn=hearing, **streams))
        return every[-1]

    yield begin
    for one in every:
        one.kill()
        one.communicate()


def hearing() -> None:
    """A test run in the background ignores SIGINT, and its children would inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def until_writing(run: subprocess.Popen[bytes], folder: Path) -> None:
    """Until a part file is there and the first frames are in it."""
    assert run.stdout is not None
    while json.loads(run.stdout.readline())["event"] != "progress":
        assert run.poll() is None


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, EXIT_INTERRUPTED, "interrupted"),
     (signal.SIGTERM, EXIT_TERMINATED, "terminated")],
)  # fmt: skip
def test_a_signal_leaves_nothing_behind_within_a_second(
    start: Start, tmp_path: Path, number: int, code: int, word: str
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=200)
    run = start("denoise", clip, "--json")
    until_writing(run, tmp_path)
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == code, err.decode()
    assert f"error: {word}; nothing was put at the final path." in err.decode()
    assert json.loads(out.splitlines()[-1])["exit_code"] == code
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


def test_a_second_ctrl_c_ends_it_at_once(start: Start, tmp_path: Path) -> None:
    run = start("denoise", write_clip(tmp_path / "clip.mkv", frames=400), "--json")
    until_writing(run, tmp_path)
    run.send_signal(signal.SIGINT)
    time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == EXIT_INTERRUPTED
    assert b"stopping; again to stop at once" in err


def test_ctrl_c_is_answered_and_finishes_a_step_of_training(start: Start, tmp_path: Path) -> None:
    """Once nothing was said before the step was done and saved."""
    clip, out = write_clip(tmp_path / "clip.mkv", frames=8, sigma=20), tmp_path / "w.safetensors"
    run = start("train", clip, "-o", out, "--method", "blind2sound", "--json")
    assert run.stdout is not None
    while json.loads(run.stdout.readline()).get("loss") is None:
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    told, err = run.communicate(timeout=60)
    assert run.returncode == EXIT_INTERRUPTED, err.decode()
    assert b"f2r: finishing this step; again to stop at once" in err
    assert b"the run is saved; continue with: f2r train --resume" in told


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=16)
    run = start("denoise", clip, "--json", "--lossless")  # more than the disk holds
    until_writing(run, tmp_path)
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (2000, 2000))
    _, err = run.communicate(timeout=120)
    assert run.returncode == EXIT_FAILURE, err.decode()
    assert err.count(b"error: ") == 1
    assert b"Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


def test_pipes_hold_pictures_and_nothing_else(start: Start, tmp_path: Path) -> None:
    with write_clip(tmp_path / "clip.y4m").open("rb") as piped:
        run = start("denoise", "-", "-o", "-", "--strength", 0, stdin=piped)
        out, err = run.communicate(timeout=240)
    assert run.returncode == EXIT_OK, err.decode()
    with av.open(io.BytesIO(out)) as container:
        assert len(list(container.decode(video=0))) == 6
    assert b"standard output: 6 frames" in err


def test_ctrl_c_ends_the_wait_for_a_pipe(start: Start, tmp_path: Path) -> None:
    """FFmpeg's reading lost the signal, showed a trace, and waited on for ever."""
    clip, target = write_clip(tmp_path / "clip.y4m", 6), tmp_path / "out.mkv"
    words = ("denoise", "-", "-o", target, "--strength", 0, "--json")
    run = start(*words, stdin=subprocess.PIPE)
    assert run.stdin is not None
    assert run.stdout is not None
    run.stdin.write(clip.read_bytes())  # and more may come
    run.stdin.flush()
    assert b"start" in run.stdout.readline()
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == EXIT_INTERRUPTED
    assert json.loads(run.stdout.read().splitlines()[-1])["exit_code"] == EXIT_INTERRUPTED
    err = run.stderr.read() if run.stderr else b""
    assert b"error: interrupted; nothing was put at the final path." in err
    assert b"Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_a_reader_that_goes_away_ends_the_run_quietly(start: Start, tmp_path: Path) -> None:
    run = start("denoise", write_clip(tmp_path / "clip.y4m", 60), "-o", "-", "--strength", 0)
    assert run.stdout is not None
    run.stdout.close()
    assert run.stderr is not None
    err = run.stderr.read()
    assert run.wait(timeout=240) == EXIT_FAILURE, err
    assert b"Traceback" not in err
    assert err.count(b"error: ") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_one_clear_line(start: Start, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv")
    with open("/dev/full", "wb") as full:
        run = start("denoise", clip, "--dry-run", "--strength", 0, stdout=full)
        _, err = run.communicate(timeout=240)
    assert run.returncode == EXIT_FAILURE
    assert err.count(b"error: ") == 1
    assert b"Traceback" not in err


@pytest.mark.parametrize(("output", "code"), [("out.mkv", EXIT_OK), ("-", EXIT_FAILURE)])
def test_a_closed_pipe_matters_where_it_is_output(tmp_path: Path, output: str, code: int) -> None:
    write_clip(tmp_path / "clip.mkv")
    line = f"exec {sys.executable} -m f2rcli denoise clip.mkv -o {output} --strength 0 >&-"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("error: standard output: cannot be written: it is closed." in done.stderr) == bool(code)
    assert (tmp_path / "out.mkv").exists() != bool(code)


def test_a_bug_is_one_line_and_a_trace_only_on_demand(tmp_path: Path) -> None:
    script = (
        "import f2rcli.io, os, sys\n"
        "def broken(*_): raise next(planted)\n"
        "planted = iter([*[ZeroDivisionError('planted')] * 2, OSError('libc10.so: not there')])\n"
        "import f2rcli.cli.info as info; info.open_reader = broken\n"
        "from f2rcli.cli.app import run\n"
        "for os.environ['F2R_DEBUG'] in ('', '1', ''):\n"
        "    print(run(['info', 'clip.mp4']), '==', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    plain, debug, missing, _ = done.stderr.split(b"==")
    assert b"error: a library cannot be loaded: libc10.so: not there." in missing
    for said in (plain, debug):
        assert b"error: internal error: ZeroDivisionError: planted" in said
        assert said.rstrip().endswith(b"70")
        assert (b"Traceback" in said) == (said is debug)


def test_a_copy_loads_no_networks(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    script = (
        "import sys\nfrom f2rcli.cli.app import run\n"
        f"code = run(['denoise', {str(source)!r}, '-o', {str(target)!r}, '--strength', '0'])\n"
        "sys.exit(code or 'torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == EXIT_OK
    assert target.exists()
