"""What a video promises is read or told: by its bytes, its index, its duration."""

import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from f2rcli.errors import InputError
from f2rcli.io import ReadOptions, open_reader
from f2rcli.units import count


def told(source: str | Path) -> tuple[int, list[str]]:
    """The number of frames read, and the ledger."""
    with open_reader(source) as reader:
        return len(list(reader)), reader.ledger.lines()


def piped(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a process standard input of its own."""
    pipe, real = io.BytesIO(data), os.read
    monkeypatch.setattr(os, "read", lambda fd, n: pipe.read(n) if fd == 0 else real(fd, n))


@pytest.fixture(scope="module")
def y4m(tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("y4m") / "a.y4m"
    return tools.write_clip(path, codec="wrapped_avframe", pts=8)


@pytest.mark.parametrize("through_pipe", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.65, 0.999])
def test_y4m_that_ends_within_a_frame(
    y4m: Path, share: float, through_pipe: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = y4m.read_bytes()
    cut = data[: int(len(data) * share)]
    source: Path | str = tmp_path / "cut.y4m"
    Path(source).write_bytes(cut)
    if through_pipe:
        source = "-"
        piped(cut, monkeypatch)
    read = cut.count(b"FRAME\n") - 1
    frames, lines = told(source)
    assert frames == read
    assert lines == [f"its size promises {read + 1} frames, {read} were read"]


def test_a_whole_y4m_pipe_is_whole(y4m: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(y4m.read_bytes(), monkeypatch)
    assert told("-") == (8, [])


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_transport_stream_does_not_say_where_it_ends(tools, codec: str, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "a.ts", codec=codec, pts=8, options={"bf": "0"})
    said = "a transport stream does not say where it ends: more may be missing after 0.32 s"
    assert told(source) == (8, [said])


def test_a_last_picture_of_h264_that_is_cut_is_told(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "a.ts", codec="libx264", pts=8, options={"bf": "0"})
    with open_reader(source) as reader:
        whole = [frame.planes[0].copy() for frame in reader]
    data = source.read_bytes()
    for cut in range(188 * 6, len(data), 188):
        source.write_bytes(data[:cut])
        with suppress(InputError), open_reader(source) as reader:
            read = list(reader)
            sound = all(np.array_equal(a.planes[0], b) for a, b in zip(read, whole, strict=False))
            assert sound or reader.ledger.damaged, cut


@pytest.mark.parametrize(("suffix", "pix_fmt"), [(".apng", "rgb24"), (".gif", "gray")])
def test_animations_that_end_within_a_picture_are_told(tools, tmp_path, suffix, pix_fmt) -> None:
    source = tools.write_clip(tmp_path / f"a{suffix}", codec=suffix[1:], pix_fmt=pix_fmt, pts=6)
    assert told(source) == (6, [])
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 3 // 4])
    frames, lines = told(source)
    assert frames == 5
    assert [line[:8] for line in lines] == ["1 frame "]


@pytest.mark.parametrize("share", [0.6, 0.8, 0.97])
def test_every_cut_of_a_matroska_file_is_told(tools, share: float, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "a.mkv", codec="libx264", pts=20, audio=True)
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * share) | 1])
    read, lines = told(source)
    assert read == 20 or any(line.startswith("its header promises") for line in lines), lines


def test_a_recording_without_an_end_that_breaks_off_is_told(tools, tmp_path: Path) -> None:
    source = tools.write_clip(
        tmp_path / "a.mkv", codec="libx264", pts=20, container_options={"live": "1"}
    )
    assert told(source) == (20, [])
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    (line,) = told(source)[1]
    assert line.startswith("it breaks off after")


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mkv", "libx264"), (".mkv", "ffv1"), (".ts", "libx264"), (".mp4", "libx264")],
)
def test_a_rate_that_varies_is_no_damage(tools, suffix: str, codec: str, tmp_path: Path) -> None:
    """As what drops frames that repeat leaves it: FFmpeg's mpdecimate, recorders of screens."""
    stamps = [n for n in range(60) if n % 23 != 7]
    source = tools.write_clip(tmp_path / f"a{suffix}", codec=codec, pts=stamps, smooth=True)
    with open_reader(source) as reader:
        assert len(list(reader)) == len(stamps)
        assert not reader.ledger.damaged, reader.ledger.lines()


@pytest.mark.parametrize("how", ["zeros", "removed"])
def test_pictures_lost_with_bytes_of_a_matroska_are_told(tools, how: str, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "a.mkv", pts=40, options={"g": "1"})
    data = bytearray(source.read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + 20001)
    data[middle] = bytes(20001) if how == "zeros" else b""
    source.write_bytes(data)
    frames, lines = told(source)
    lost = 40 - frames
    assert lost > 0
    told_of = f"its bytes are damaged: about {count(lost)} missing before"
    assert any(line.startswith(told_of) for line in lines), lines
    with open_reader(source, ReadOptions(start=0.1, end=0.6, lead=3, trail=8)) as reader:
        assert sum(not frame.context for frame in reader) == 12  # the hole lies behind them
        assert reader.ledger.missing_frames == 0


def test_pictures_lost_with_packets_of_a_transport_stream_are_told(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "a.ts", codec="mpeg2video", pts=40, options={"g": "1"})
    data = source.read_bytes()
    packets = [data[n : n + 188] for n in range(0, len(data), 188)]
    begins = [n for n, one in enumerate(packets) if one[1] & 0x41 == 0x41 and one[2] == 0]
    assert len(begins) == 40  # the first packet of each picture
    source.write_bytes(b"".join(packets[: begins[20]] + packets[begins[23] :]))
    frames, lines = told(source)
    assert frames == 37
    assert lines[0].startswith("its bytes are damaged: about 3 frames missing before")


def test_frames_that_an_edit_list_hides_are_told(tools, tmp_path: Path) -> None:
    source = tools.film(
        tmp_path / "a.mp4", pts=8, options={"bf": "0"}, container_options={"use_editlist": "1"}
    )
    data = bytearray(source.read_bytes())
    place = data.index(b"elst") + 4 + 4 + 4 + 4  # version, count, duration: then the start
    data[place : place + 4] = (3 * 512).to_bytes(4, "big")
    source.write_bytes(data)
    frames, lines = told(source)
    assert frames == 5
    hides = "its edit list hides 3 frames: no player shows them, and f2r reads none of them"
    assert lines == [hides]
