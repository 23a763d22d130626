"""Broken input: a clear line, a whole timeline, and a ledger of what was lost."""

import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet

from f2rcli.errors import InputError
from f2rcli.io import open_reader


def damaged(path: Path, target: Path, *, skip: int, count: int = 40) -> Path:
    """A copy with bytes overwritten from three quarters of the way on, headers left alone."""
    data = bytearray(path.read_bytes())
    middle = len(data) * 3 // 4 + skip
    data[middle : middle + count] = bytes(255 - byte for byte in data[middle : middle + count])
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("codec", ["mjpeg", "libvpx-vp9", "png", "ffv1", "libsvtav1", "prores_ks"])
def test_a_damaged_packet_costs_a_frame_not_the_clip(tools, tmp_path: Path, codec: str) -> None:
    suffix = ".mov" if codec in ("png", "prores_ks") else ".mkv"
    pix_fmt = {"png": "rgb24", "prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
    source = tools.write_clip(
        tmp_path / f"in{suffix}", codec=codec, pix_fmt=pix_fmt, pts=12, size=(128, 96)
    )
    whole = tools.read_all(source)
    # Zero one packet's payload where it lies in the file.
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
        victim = bytes(packets[6])
    data = source.read_bytes()
    place = data.index(victim)
    broken = tmp_path / f"broken{suffix}"
    broken.write_bytes(data[:place] + b"\xff" * len(victim) + data[place + len(victim) :])
    with open_reader(broken) as reader:
        frames = list(reader)
        ledger = reader.ledger
    assert tools.times(frames) == tools.times(whole)
    assert ledger.damaged
    assert ledger.lines()
    assert ledger.held + ledger.corrupt >= 1
    held = [n for n, frame in enumerate(frames) if frame.held]
    for n in held:
        assert tools.same_samples([frames[n]], [frames[n - 1]])


def test_a_lost_packet_of_h265_does_not_freeze_the_picture(tools, tmp_path: Path) -> None:
    """What follows refers to it: such pictures have faults, and are better than none."""
    options = {"x265-params": "log-level=none:bframes=0"}
    whole = tools.write_clip(tmp_path / "a.mkv", codec="libx265", pts=12, smooth=True,
                             size=(128, 96), options=options)  # fmt: skip
    with av.open(str(whole)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for number, packet in enumerate(p for p in source.demux(0) if p.size):
            packet.stream = copy
            if number != 3:
                target.mux(packet)
    with open_reader(tmp_path / "b.mkv") as reader:
        frames = list(reader)
    assert len(frames) == 11
    assert not any(frame.held for frame in frames)
    assert [frame.corrupt for frame in frames] == [False] * 3 + [True] * 8


def test_fields_in_packets_of_their_own_are_no_lost_pictures(tools, tmp_path: Path) -> None:
    """Broadcasts in H.264 have them. Each is one raw block here (ITU-T H.264, 7.3 and 9.1)."""

    def ue(*values: int) -> str:
        return "".join(f"{v + 1:b}".zfill(2 * (v + 1).bit_length() - 1) for v in values)

    def unit(kind: int, bits: str, block: bytes = b"\x80") -> bytes:
        bits += "0" * (-len(bits) % 8)
        return b"\0\0\1%c" % kind + int(bits, 2).to_bytes(len(bits) // 8, "big") + block

    stream = unit(0x67, f"{0x4D000A:024b}{ue(0, 0, 2, 1)}0{ue(0, 0)}00100")
    stream += unit(0x68, f"{ue(0, 0)}00{ue(0, 0, 0)}000{ue(0, 0, 0)}000")
    for n in range(12):
        head = f"{ue(0, 7, 0)}{n // 2:04b}1{n % 2}{'0' if n else '100'}"
        stream += unit(0x61 if n else 0x65, head + ue(0, 25), b"%c" % (100 + n) * 384 + b"\x80")
    (tmp_path / "in.h264").write_bytes(stream)
    with av.open(str(tmp_path / "in.h264")) as source, av.open(str(tmp_path / "a.ts"), "w") as ts:
        copy = ts.add_stream_from_template(source.streams.video[0], opaque=True)
        for n, packet in enumerate(p for p in source.demux(0) if p.size):
            packet.pts = packet.dts = n
            packet.time_base, packet.duration, packet.stream = Fraction(1, 50), 1, copy
            ts.mux(packet)
    with open_reader(tmp_path / "a.ts") as reader:
        frames = list(reader)
    assert [frame.planes[0][1, 0] for frame in frames] == [101, 103, 105, 107, 109, 111]
    assert [time for time, _ in tools.times(frames)] == [Fraction(n, 25) for n in range(6)]
    assert not reader.ledger.damaged


def test_a_damaged_transport_stream_is_counted(tools, odd, tmp_path: Path) -> None:
    frames, _ = tools.passthrough(odd("damaged.ts"), tmp_path / "out.ts")
    with open_reader(odd("damaged.ts")) as reader:
        list(reader)
        assert reader.ledger.corrupt > 5
        assert reader.ledger.damaged
    assert len(frames) == 24


def test_silent_truncation_is_noticed(tools, odd, tmp_path: Path) -> None:
    with open_reader(odd("truncated.mkv")) as reader:
        frames = list(reader)
        assert 0 < len(frames) < 24
        missing = 24 - len(frames)
        assert reader.ledger.missing_frames == missing
        assert any(f"about {missing} frames missing" in line for line in reader.ledger.lines())


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_a_file_cut_off_in_the_middle(tools, tmp_path: Path, suffix: str) -> None:
    codec = "mjpeg" if suffix == ".avi" else "libx264"
    source = tools.write_clip(
        tmp_path / f"in{suffix}", codec=codec, pts=40, smooth=True, size=(128, 96),
        container_options={"movflags": "+faststart"} if suffix == ".mp4" else {},
    )  # fmt: skip
    data = source.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: len(data) * 2 // 3])
    with open_reader(cut) as reader:
        frames = list(reader)
        assert reader.ledger.damaged, reader.ledger
        assert reader.ledger.missing_frames > 3
    assert 5 < len(frames) < 40
    assert tools.times(frames)[-1][1] == Fraction(1, 25)  # it waits for none that is missing


def test_what_a_y4m_lacks_is_counted_once(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.y4m", codec="wrapped_avframe", pts=24)
    data = bytearray(source.read_bytes())
    data[-8 * len(b"FRAME\n" + bytes(64 * 48 * 3 // 2))] = 0
    source.write_bytes(data)
    with open_reader(source) as reader:
        assert len(list(reader)) == 16
        assert reader.ledger.missing_frames == 8


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "ts", "webm", "avi", "y4m", "nut", "wmv"])
def test_whole_files_are_not_called_damaged(tools, tmp_path: Path, suffix: str) -> None:
    other = {"webm": "libvpx-vp9", "avi": "mjpeg", "y4m": "wrapped_avframe", "wmv": "wmv2"}
    # AVI shows a frame for twice as long by an empty packet; ASF counts what lies before the first
    times = {"avi": [0, *range(2, 31)], "wmv": range(12, 42)}.get(suffix, 30)
    source = tools.write_clip(
        tmp_path / f"in.{suffix}", codec=other.get(suffix, "libx264"), pts=times, smooth=True,
        audio=suffix in ("mkv", "mp4", "mov", "ts"),
    )  # fmt: skip
    with open_reader(source) as reader:
        assert len(list(reader)) == 30
        assert not reader.ledger.damaged, reader.ledger.lines()


@pytest.mark.parametrize(("suffix", "language"), [(".mkv", "-eng"), (".nut", "-eng"), (".nut", "")])
def test_stale_statistics_are_no_promise(tools, tmp_path: Path, suffix: str, language: str) -> None:
    """A part copied out of a longer mkv brings its tags along, beside true ones or alone."""

    def stale(stream: av.VideoStream) -> None:
        stream.metadata[f"DURATION{language}"] = "00:10:00.000000000"
        stream.metadata[f"NUMBER_OF_FRAMES{language}"] = "15000"

    source = tools.write_clip(tmp_path / f"in{suffix}", codec="libx264", pts=6, setup=stale)
    with open_reader(source) as reader:
        assert reader.info.frames is None
        assert len(list(reader)) == 6
        assert not reader.ledger.damaged, reader.ledger.lines()


def test_mpegts_cut_in_the_middle_of_a_group_starts_at_a_key_frame(tools, tmp_path: Path) -> None:
    source = tools.film(
        tmp_path / "in.ts", pts=40, size=(128, 96), options={"g": "10", "keyint_min": "10"}
    )
    data = source.read_bytes()
    start = len(data) // 188 // 3 * 188
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data[:376] + data[start:])
    with open_reader(cut) as reader:
        frames = list(reader)
    assert 10 < len(frames) < 40
    assert all(s in str(reader.ledger.lines()) for s in ("missing at the start", "first key"))
    assert not reader.ledger.damaged


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.mp4", "is empty"), ("noise.mp4", "moov"),
        ("truncated_no_moov.mp4", "moov"), ("text.mkv", "not a video"),
        ("audio_only.m4a", "no video stream, only audio"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_one_line(odd, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        open_reader(odd(name))
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(("name", "words"), [("nothing.mp4", "No such file"), ("", "folder")])
def test_a_missing_file_or_an_empty_folder(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_reader(tmp_path / name)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("m3u8", "#EXTM3U\n#EXTINF:1,\nclip.ts\n"),
        ("ffconcat", "ffconcat version 1.0\nfile clip.ts\n"),
        ("mpd", '<?xml version="1.0"?><MPD></MPD>'),
        ("sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\n"),
    ],
)
def test_playlists_are_refused(tmp_path: Path, suffix: str, text: str) -> None:
    (tmp_path / f"list.{suffix}").write_text(text)
    with pytest.raises(InputError, match="is not a video"):
        open_reader(tmp_path / f"list.{suffix}")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/a.mp4", "rtsp://127.0.0.1/a", "concat://a|b", "HTTPS://x/y.mkv"]
)
def test_network_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="network"):
        open_reader(address)


def test_a_name_with_a_colon_is_a_file(tools, tmp_path: Path, monkeypatch) -> None:
    tools.write_clip(tmp_path / "in.mkv", pts=2).rename(tmp_path / "a:b [x] 100%.mkv")
    monkeypatch.chdir(tmp_path)
    assert len(tools.read_all("a:b [x] 100%.mkv")) == 2


def test_encrypted_video_is_refused(tools, tmp_path: Path) -> None:
    how = {"encryption_scheme": "cenc-aes-ctr"}
    how |= {"encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    source = tools.film(tmp_path / "in.mp4", pts=5, container_options=how)
    with pytest.raises(InputError, match="encrypted"):
        open_reader(source)


def test_a_picture_size_that_changes_is_refused(tools, tmp_path: Path) -> None:
    a, b = (
        tools.film(tmp_path / f"{wide}.ts", pts=pts, size=(wide, 96), options={"bf": "0"})
        for wide, pts in ((128, range(10, 16)), (192, range(16, 22)))
    )
    (tmp_path / "c.ts").write_bytes(a.read_bytes() + b.read_bytes())
    told = r"size changes .* at 0\.24 s"  # from the first frame on, as FFmpeg counts for -ss
    with pytest.raises(InputError, match=told), open_reader(tmp_path / "c.ts") as reader:
        list(reader)


def test_a_header_that_claims_too_many_pixels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.y4m").write_bytes(b"YUV4MPEG2 W60000 H60000 F25:1 C420\nFRAME\n" + b"0" * 999)
    with pytest.raises(InputError):
        open_reader(tmp_path / "big.y4m")


def test_breaking_off_in_damage_does_not_hang(tools, tmp_path: Path) -> None:
    """Decoder threads log through Python; one that is freed while it logs would wait for ever."""
    source = tools.write_clip(tmp_path / "in.mp4", codec="libx264", pts=60, size=(320, 240))
    data = bytearray(source.read_bytes())
    for place in range(data.find(b"mdat") + 2000, len(data) - 3000, 997):
        data[place] ^= 0x5A
    source.write_bytes(data)
    script = (
        "import sys\n"
        "from f2rcli.io import *\n"
        "for n in range(12):\n"
        "  with open_reader(sys.argv[1], ReadOptions(start=1.0 if n % 3 == 0 else None)) as r:\n"
        "    for m, f in enumerate(r):\n"
        "      if m == n: break\n"
    )
    subprocess.run([sys.executable, "-c", script, str(source)], check=True, timeout=240)


@pytest.mark.parametrize(("codec", "shown", "before"), [("libvpx", 16, 39), ("libvpx-vp9", 2, 1)])
def test_hidden_frames_are_not_taken_for_lost_ones(
    tools, codec: str, shown: int, before: int, tmp_path: Path
) -> None:
    """Google's encoder times them just after the last picture; in 2014, just before the next."""
    source = tmp_path / "in.nut"  # as FFmpeg's Matroska puts VP9's into the packets that follow
    whole = tools.write_clip(tmp_path / "in.webm", codec=codec, pts=12, options={"g": "1"})
    with av.open(str(whole)) as one, av.open(str(source), "w") as two:
        target = two.add_stream_from_template(one.streams.video[0])
        for packet in [packet for packet in one.demux() if packet.size]:
            if packet.pts in (200, 400):
                hidden = Packet(bytes([bytes(packet)[0] & ~shown]) + bytes(packet)[1:])
                hidden.pts = hidden.dts = packet.pts - before
                hidden.stream, hidden.time_base = target, packet.time_base
                two.mux(hidden)
            packet.stream = target
            two.mux(packet)
    with open_reader(source) as reader:
        frames = list(reader)
        assert not reader.ledger.damaged, reader.ledger.lines()
    assert len(frames) == 12


def test_packets_of_tscc_that_change_nothing_are_no_lost_frames(tmp_path: Path) -> None:
    """Camtasia's captures have two bytes for each moment in which the screen stood still."""
    with av.open(str(tmp_path / "in.avi"), "w") as target:
        tick = Fraction(1, 10)
        stream = target.add_mux_stream("tscc", width=16, height=16, time_base=tick)
        for n in range(12):
            rows = bytes([16, *[20 * n] * 3, 0, 0]) * 16 + b"\0\1"  # runs of 16 pixels
            packet = Packet(b"\0\0" if n % 4 else zlib.compress(rows))
            packet.pts = packet.dts = n
            packet.duration, packet.time_base, packet.stream = 1, tick, stream
            target.mux(packet)
    with open_reader(tmp_path / "in.avi") as reader:
        frames = list(reader)
        assert not reader.ledger.damaged, reader.ledger.lines()
        assert not any(frame.held for frame in frames)
        assert [frame.pts * frame.time_base for frame in frames] == [0, 4 * tick, 8 * tick]


def test_mutated_files_never_crash_or_hang(tools, tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(7)
    sources = [
        tools.write_clip(tmp_path / f"in{n}{suffix}", codec=codec, pts=6, smooth=True, audio=audio)
        for n, (suffix, codec, audio) in enumerate(
            [(".mp4", "libx264", True), (".mkv", "ffv1", False), (".webm", "libvpx-vp9", False),
             (".ts", "libx264", True), (".avi", "mjpeg", False)]
        )
    ]  # fmt: skip
    lines = []
    for source in sources:
        data = source.read_bytes()
        for _ in range(12):
            mutated = bytearray(data)
            for place in rng.integers(0, len(data), 30):
                mutated[place] = rng.integers(0, 256)
            broken = tmp_path / f"m{source.suffix}"
            broken.write_bytes(mutated)
            try:
                with open_reader(broken) as reader:
                    for frame in reader:
                        assert frame.pts is not None
                    reader.describe()
            except InputError as error:
                lines.append(str(error))
    assert not any("\n" in line for line in lines)
