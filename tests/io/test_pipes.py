"""y4m and mkv on standard input and output."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from f2rcli.errors import F2RError, InputError
from f2rcli.io import Receipt, WriteOptions, open_reader
from tests.io.conftest import passthrough


def run(source: str, target: str, data: bytes = b"", **how: str) -> tuple[bytes, Receipt]:
    """What goes to standard output, and the receipt, where both standard streams are pipes."""
    own, (given, feeding), (taking, out) = [os.dup(0), os.dup(1)], os.pipe(), os.pipe()
    for end, place in ((given, 0), (out, 1)):
        os.dup2(end, place)
        os.close(end)

    def feed() -> None:
        with suppress(BrokenPipeError), open(feeding, "wb") as pipe:
            pipe.write(data)

    with ThreadPoolExecutor(2) as beside, open(taking, "rb") as pipe:
        taken = beside.submit(pipe.read)
        beside.submit(feed)
        try:
            _, receipt = passthrough(source, target, WriteOptions(**how))
        finally:
            for end, place in zip(own, (0, 1), strict=True):
                os.dup2(end, place)
                os.close(end)
        return taken.result(240), receipt


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray", "yuv444p12le"])
def test_y4m_through_pipes_keeps_every_sample(tools, tmp_path: Path, pix_fmt: str) -> None:
    source = tools.write_clip(
        tmp_path / "in.y4m", codec="rawvideo", pix_fmt=pix_fmt, pts=5, size=(61, 40),
        container_options={"strict": "-1"},
    )  # fmt: skip
    done, receipt = run("-", "-", source.read_bytes())
    assert done.startswith(b"YUV4MPEG2 ")
    (tmp_path / "out.y4m").write_bytes(done)
    assert tools.same_samples(tools.read_all(source), tools.read_all(tmp_path / "out.y4m"))
    assert "standard output: 5 frames" in " ".join(receipt.lines())


def test_mkv_through_pipes_keeps_the_sound(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mkv", pts=20, audio=True)
    done, _ = run("-", "-", source.read_bytes())
    (tmp_path / "out.mkv").write_bytes(done)
    assert tools.packets_of(source, "audio") == tools.packets_of(tmp_path / "out.mkv", "audio")
    assert tools.times(tools.read_all(source)) == tools.times(tools.read_all(tmp_path / "out.mkv"))


def test_a_gif_through_a_pipe_comes_whole(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.gif", codec="gif", pix_fmt="gray", pts=5)
    assert run("-", f"{tmp_path}/out.mkv", source.read_bytes())[1].frames == 5


def test_a_file_to_y4m_on_standard_output(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", pts=4, size=(64, 48))
    done, _ = run(str(source), "-", codec="rawvideo")
    assert b" F25:1 " in done.split(b"\n")[0]
    (tmp_path / "out.y4m").write_bytes(done)
    assert tools.same_samples(tools.read_all(source), tools.read_all(tmp_path / "out.y4m"))


def test_an_mp4_in_a_pipe_without_its_index_in_front(tools, tmp_path: Path) -> None:
    late = tools.write_clip(tmp_path / "late.mp4", codec="libx264", pts=30, size=(256, 192))
    with pytest.raises(InputError) as refused:
        run("-", str(tmp_path / "out.mp4"), late.read_bytes())
    assert "faststart" in refused.value.hint
    early = tools.film(tmp_path / "early.mp4", pts=30, container_options={"movflags": "+faststart"})
    run("-", str(tmp_path / "out.mp4"), early.read_bytes())
    assert len(tools.read_all(tmp_path / "out.mp4")) == 30


def test_nothing_or_nonsense_on_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "-").mkdir()  # of that name, and not meant
    monkeypatch.chdir(tmp_path)
    for data, said in ((b"", "is empty."), (b"nonsense " * 100, "")):
        with pytest.raises(InputError, match=f"^standard input: {said}") as refused:
            run("-", str(tmp_path / "out.mp4"), data)
        assert "\n" not in f"{refused.value} {refused.value.hint}"


def test_a_reader_that_goes_away(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.y4m", codec="rawvideo", pts=60, size=(640, 480))
    script = "import sys; from tests.io.conftest import passthrough as p; p(sys.argv[1], '-')"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(source)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1000)
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(240) == 1
    *_, error, hint = said.splitlines()
    assert b"OutputError: standard output: " in error
    assert b"pipe" in hint


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
