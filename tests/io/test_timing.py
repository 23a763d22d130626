"""Every frame keeps its own pts and duration."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output

VARIABLE = [0, 3000, 7300, 9000, 20000, 20100, 31000]
CODECS = ["libx264", "libx265", "libsvtav1", "ffv1", "libvpx-vp9", "prores_ks", "mjpeg"]
_FAST = {"h264": "ultrafast", "hevc": "ultrafast"}
HOLDER = {"ffv1": ".mkv", "prores_ks": ".mov", "libvpx-vp9": ".webm"}


@pytest.mark.parametrize("codec", CODECS)
def test_variable_rate_and_the_last_hold_survive(tools, tmp_path: Path, codec: str) -> None:
    base = Fraction(1, 90000)
    source = tools.film(  # of so few rows SVT-AV1 would never end by itself
        tmp_path / "in.mp4", pts=VARIABLE, time_base=base, last_duration=45000, size=(128, 24),
        options={"bf": "0"},
    )  # fmt: skip
    suffix = HOLDER.get(codec, ".mp4")
    target = tmp_path / f"out{suffix}"
    frames, receipt = tools.passthrough(source, target, WriteOptions(codec=codec))
    before, after = tools.times(frames), tools.times(tools.read_all(target))
    slack = Fraction(1, 1000) if suffix in (".mkv", ".webm") else 0
    assert [t for t, _ in before] == [pts * base for pts in VARIABLE]
    assert before[-1][1] == Fraction(1, 2)
    for (want, hold), (got, held) in zip(before, after, strict=True):
        assert abs(want - got) <= slack
        assert abs(hold - held) <= 2 * slack
    assert f"{len(VARIABLE)} frames" in receipt.verified


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts", ".webm"])
@pytest.mark.parametrize("offset", [0, 7, 125, -3], ids=lambda n: f"from {n}")
def test_start_offsets_survive(tools, tmp_path: Path, suffix: str, offset: int) -> None:
    stamps = [offset + n for n in range(8)]
    source = tools.write_clip(tmp_path / "in.nut", pts=8, smooth=True, size=(128, 96))
    target = tmp_path / f"out{suffix}"
    with open_reader(source) as reader:
        plan = plan_output(reader, target)
        with open_writer(reader, plan) as writer:
            for frame, stamp in zip(reader, stamps, strict=True):
                writer.write(replace(frame, pts=stamp, duration=1, time_base=Fraction(1, 25)))
            receipt = writer.finish()
    after = [time for time, _ in tools.times(tools.read_all(target))]
    slack = Fraction(1, 1000) if suffix in (".mkv", ".webm") else Fraction(1, 45000)
    moved = after[0] - Fraction(offset, 25)
    for time, stamp in zip(after, stamps, strict=True):
        assert abs(time - Fraction(stamp, 25) - moved) <= slack
    # MPEG-TS holds no time before zero, decoding times included; the receipt owns up to a move.
    assert abs(moved) <= slack or offset < 0 or (suffix, offset) == (".ts", 0)
    assert (abs(moved) <= slack) is any("last frame at" in line for line in receipt.verified)
    with open_reader(target) as reader:  # whose header may count from zero
        assert reader.info.duration == pytest.approx(8 / 25, abs=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_long_holds_between_reordered_frames(tools, tmp_path: Path, suffix: str) -> None:
    base = Fraction(1, 1000)
    source = tools.film(
        tmp_path / f"in{suffix}", pts=[0, 500, 1500, 4000], time_base=base, size=(128, 96)
    )
    frames, _ = tools.passthrough(source, tmp_path / f"out{suffix}")
    assert [time / base for time, _ in tools.times(frames)] == [0, 500, 1500, 4000]
    again = tools.times(tools.read_all(tmp_path / f"out{suffix}"))
    assert [time for time, _ in again] == [time for time, _ in tools.times(frames)]


@settings(max_examples=16, suppress_health_check=list(HealthCheck))
@example(steps=[], start=0, hold=2, ticks=12800, container=".mp4", codec="hevc")
@given(
    steps=st.lists(st.integers(1, 4000), min_size=0, max_size=12),
    start=st.sampled_from([0, 0, 1, 777, 90000]),
    hold=st.integers(1, 9000),
    ticks=st.sampled_from([1000, 90000, 12800]),
    container=st.sampled_from([".mp4", ".mkv", ".mov"]),
    codec=st.sampled_from(["h264", "h264", "hevc", "mjpeg"]),
)
def test_stamps_survive(tools, tmp_path: Path, steps, start, hold, ticks, container, codec) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    least = -(-ticks // 1000)  # Matroska counts milliseconds
    steps = [max(step, least) for step in steps]
    hold = max(hold, least)
    stamps = list(accumulate([start, *steps]))
    source = tools.write_clip(tmp_path / "in.mkv", pts=len(stamps), smooth=True, size=(64, 64))
    holds = [*steps, hold]
    target = tmp_path / f"out{container}"
    with open_reader(source) as reader:
        reader.info = replace(reader.info, time_base=Fraction(1, ticks))
        fast = (("preset", _FAST[codec]),) if codec in _FAST else ()
        plan = plan_output(reader, target, WriteOptions(codec=codec, encoder_options=fast))
        with open_writer(reader, plan) as writer:
            for frame, pts, duration in zip(reader, stamps, holds, strict=True):
                timing = {"pts": pts, "duration": duration, "time_base": Fraction(1, ticks)}
                writer.write(replace(frame, **timing))
            writer.finish()
    with open_reader(target) as reader:
        after = tools.times(list(reader))
        assert not reader.ledger.damaged, reader.ledger.lines()
    slack = Fraction(1, 1000) if container == ".mkv" else Fraction(0)
    for (time, shown), pts, duration in zip(after, stamps, holds, strict=True):
        assert abs(time - Fraction(pts, ticks)) <= slack
        assert abs(shown - Fraction(duration, ticks)) <= 2 * slack


def test_one_frame_keeps_its_hold(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mp4", pts=[0], last_duration=40)
    frames, _ = tools.passthrough(source, tmp_path / "out.mp4")
    assert tools.times(frames) == tools.times(tools.read_all(tmp_path / "out.mp4"))
    assert tools.times(frames) == [(Fraction(0), Fraction(40, 25))]


def test_b_frames_come_out_in_display_order(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mp4", pts=20)
    frames, _ = tools.passthrough(source, tmp_path / "out.mp4", WriteOptions(codec="hevc"))
    stamps = [frame.pts for frame in frames]
    assert stamps == sorted(stamps)
    assert tools.times(tools.read_all(tmp_path / "out.mp4")) == tools.times(frames)


def test_a_stream_without_time_stamps_is_timed_by_its_rate(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.h264", pts=5)
    frames, _ = tools.passthrough(source, tmp_path / "out.mp4")
    assert [t for t, _ in tools.times(frames)] == [Fraction(n, 25) for n in range(5)]


def test_repeated_fields_last_as_long_as_they_are_shown(tools, tmp_path: Path) -> None:
    """As films on DVDs: four coded frames are five of the rate."""
    source = tools.write_clip(
        tmp_path / "in.mpg", codec="mpeg2video", pts=8, smooth=True, options={"bf": "0"}
    )
    data = bytearray(source.read_bytes())
    starts = [n + 4 for n in range(len(data)) if data.startswith(b"\0\0\1\xb5", n)]
    pictures = [place for place in starts if data[place] >> 4 == 8]  # their coding extensions
    flags = 2 * [(1, 1), (0, 0), (0, 1), (1, 0)]
    for place, (first, repeat) in zip(pictures, flags, strict=True):
        data[place + 3] = data[place + 3] & 0x7D | first << 7 | repeat << 1
        data[place + 4] |= 0x80  # progressive
    for place in starts:
        if data[place] >> 4 == 1:  # the sequence's: not all of it is progressive
            data[place + 1] &= 0xF7
    source.write_bytes(data)
    frames = tools.read_all(source)
    lasting = [duration for _, duration in tools.times(frames)][:6]
    assert [round(float(one) * 1000) for one in lasting] == [60, 40, 60, 40, 60, 40]
    assert tools.same_samples(frames, tools.passthrough(source, tmp_path / "out.mkv")[0])


def test_y4m_rounds_to_its_one_rate(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mkv", pts=9)
    tools.passthrough(source, tmp_path / "out.y4m")
    again = tools.read_all(tmp_path / "out.y4m")
    assert [time for time, _ in tools.times(again)] == [Fraction(n, 25) for n in range(9)]


def test_a_transport_stream_that_starts_again_goes_on_without_a_break(tools, tmp_path) -> None:
    part = tools.film(tmp_path / "part.ts", pts=range(100, 125), audio=True)
    source = tmp_path / "in.ts"
    source.write_bytes(part.read_bytes() * 2)
    with open_reader(source) as reader:
        stamps = [time for time, _ in tools.times(list(reader))]
        assert any("jump back" in line for line in reader.ledger.lines())
        assert not reader.ledger.damaged
    assert len(stamps) == 50
    steps = {b - a for a, b in pairwise(stamps)}
    assert steps == {Fraction(1, 25)}
    _, receipt = tools.passthrough(source, tmp_path / "out.mp4")
    assert receipt.frames == 50
    sound = tools.packets_of(tmp_path / "out.mp4", "audio")
    assert len(sound) == 2 * len(tools.packets_of(part, "audio"))


def test_a_picture_long_after_its_sound_promises_nothing(tools, tmp_path: Path) -> None:
    """FFmpeg looks five seconds far, and takes the clock of what it has not seen for its rate."""
    source = tools.film(tmp_path / "in.ts", pts=range(750, 758), audio=True)
    with open_reader(source) as reader:
        assert reader.info.rate is reader.info.expected_frames is None
        assert len(list(reader)) == 8
        assert not reader.ledger.damaged


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".ts", ".m2ts"])
def test_short_transport_streams_are_known(tools, tmp_path: Path, suffix: str, count: int) -> None:
    """FFmpeg does not know ten packets, nothing beside the suffix says what they are."""
    flat = {"x264-params": "qp=51"}
    source = tools.film(tmp_path / "in.mkv", pts=count, options=flat)
    _, receipt = tools.passthrough(source, tmp_path / f"out{suffix}", WriteOptions(crf=51))
    assert f"{count} frame{'s' * (count > 1)}" in receipt.verified
    assert len(tools.read_all(tmp_path / f"out{suffix}")) == count


@pytest.mark.parametrize("codec", ["mpeg4", "h264"])
def test_avi_lasts_as_long_as_its_frames(odd: Callable[[str], Path], codec: str) -> None:
    """AVI counts pictures as they are decoded: the first of reordered ones is shown a step late,
    by which the whole was told too short; those of H.264 came as damaged."""
    with open_reader(odd(f"{codec}_bframes.avi")) as reader:
        frames = list(reader)
        assert not reader.ledger.lines()
    assert [frame.pts for frame in frames] == [*range(1, len(frames) + 1)]
    assert reader.info.duration == pytest.approx(len(frames) / 25)


def test_pictures_of_which_only_decoding_is_timed_are_shown_in_turn(tools, tmp_path: Path) -> None:
    """As of VC-1 in MP4, and Sorenson's in MOV."""
    source = tools.film(tmp_path / "in.mp4", pts=20, options={"bf": "2", "b-pyramid": "0"})
    with av.open(str(source)) as one, av.open(str(tmp_path / "in.mov"), "w") as two:
        target = two.add_stream_from_template(one.streams.video[0])
        packets = [packet for packet in one.demux() if packet.size]
        for packet, time in [(packet, packet.dts - packets[0].dts) for packet in packets]:
            packet.pts = packet.dts = time
            packet.stream = target
            two.mux(packet)
    with open_reader(tmp_path / "in.mov") as reader:
        frames = list(reader)
        assert not reader.ledger.lines()
    assert tools.same_samples(frames, tools.read_all(source))
    assert {frame.duration * frame.time_base for frame in frames} == {Fraction(1, 25)}
