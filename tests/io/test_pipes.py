"""y4m and mkv on standard input and output."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from f2rcli.errors import F2RError
from f2rcli.io import open_reader

PASS = """
import sys
from f2rcli.errors import F2RError
from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output
try:
    with open_reader(sys.argv[1]) as reader:
        plan = plan_output(reader, sys.argv[2], WriteOptions(codec=(sys.argv[3:] or [None])[0]))
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
            print(*writer.finish().lines(), file=sys.stderr)
except F2RError as error:
    print(type(error).__name__, error, error.hint, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def run(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PASS, *arguments], input=data, capture_output=True, timeout=240
    )


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray", "yuv444p12le"])
def test_y4m_through_pipes_keeps_every_sample(tools, tmp_path: Path, pix_fmt: str) -> None:
    source = tools.write_clip(
        tmp_path / "in.y4m", codec="rawvideo", pix_fmt=pix_fmt, pts=5, size=(61, 40),
        container_options={"strict": "-1"},
    )  # fmt: skip
    done = run("-", "-", data=source.read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"YUV4MPEG2 ")
    (tmp_path / "out.y4m").write_bytes(done.stdout)
    assert tools.same_samples(tools.read_all(source), tools.read_all(tmp_path / "out.y4m"))
    assert b"standard output: 5 frames" in done.stderr


def test_mkv_through_pipes_keeps_the_sound(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mkv", pts=20, audio=True)
    done = run("-", "-", data=source.read_bytes())
    assert done.returncode == 0, done.stderr
    (tmp_path / "out.mkv").write_bytes(done.stdout)
    assert tools.packets_of(source, "audio") == tools.packets_of(tmp_path / "out.mkv", "audio")
    assert tools.times(tools.read_all(source)) == tools.times(tools.read_all(tmp_path / "out.mkv"))


def test_a_gif_through_a_pipe_comes_whole(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.gif", codec="gif", pix_fmt="gray", pts=5)
    done = run("-", f"{tmp_path}/out.mkv", data=source.read_bytes())
    assert (done.returncode, b" 5 frames" in done.stderr) == (0, True), done.stderr


def test_a_file_to_y4m_on_standard_output(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", pts=4, size=(64, 48))
    done = run(str(source), "-", "rawvideo")
    assert b" F25:1 " in done.stdout.split(b"\n")[0]
    (tmp_path / "out.y4m").write_bytes(done.stdout)
    assert tools.same_samples(tools.read_all(source), tools.read_all(tmp_path / "out.y4m"))


def test_an_mp4_in_a_pipe_without_its_index_in_front(tools, tmp_path: Path) -> None:
    late = tools.write_clip(tmp_path / "late.mp4", codec="libx264", pts=30, size=(256, 192))
    done = run("-", str(tmp_path / "out.mp4"), data=late.read_bytes())
    assert done.returncode == 3
    assert b"faststart" in done.stderr
    early = tools.film(tmp_path / "early.mp4", pts=30, container_options={"movflags": "+faststart"})
    done = run("-", str(tmp_path / "out.mp4"), data=early.read_bytes())
    assert done.returncode == 0, done.stderr
    assert len(tools.read_all(tmp_path / "out.mp4")) == 30


def test_nothing_or_nonsense_on_standard_input(tmp_path: Path) -> None:
    for data, said in ((b"", b"is empty."), (b"nonsense " * 100, b"")):
        done = run("-", str(tmp_path / "out.mp4"), data=data)
        assert done.returncode == 3
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(b"InputError standard input: " + said)


def test_a_reader_that_goes_away(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.y4m", codec="rawvideo", pts=60, size=(640, 480))
    with subprocess.Popen(
        [sys.executable, "-c", PASS, str(source), "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1000)
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(240) == 1
    assert b"OutputError" in said
    assert b"pipe" in said
    assert b"Traceback" not in said


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda number: number == 0)
    with pytest.raises(F2RError, match="standard input: is a terminal"):
        open_reader("-")


def test_a_named_pipe(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.y4m", codec="rawvideo", pts=5, size=(61, 40))
    fifo = tmp_path / "fifo.y4m"
    os.mkfifo(fifo)
    feeder = threading.Thread(target=lambda: fifo.write_bytes(source.read_bytes()), daemon=True)
    feeder.start()
    assert tools.same_samples(tools.read_all(fifo), tools.read_all(source))
    feeder.join(240)
