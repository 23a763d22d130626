"""Folders, patterns and single pictures, in and out."""

import os
import shutil
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Family
from f2rcli.io import (
    ReadOptions,
    WriteOptions,
    default_target,
    open_reader,
    open_writer,
    plan_output,
)
from f2rcli.io.numbering import missing_numbers
from tests.io.through import copied


@pytest.fixture
def pictures(tools, tmp_path: Path):
    """A function that makes a folder of numbered pictures and gives its path."""

    def make(
        name: str = "in", pix_fmt: str = "rgb24", count: int = 5, suffix: str = ".png"
    ) -> Path:
        folder = tmp_path / name
        clip = tools.write_clip(
            tmp_path / "made.mkv", pix_fmt={"rgb24": "bgr0"}.get(pix_fmt, pix_fmt), pts=count,
            size=(41, 30),
        )  # fmt: skip
        folder.mkdir()
        tools.passthrough(clip, folder / f"f%04d{suffix}")
        clip.unlink()
        return folder

    return make


@pytest.mark.parametrize("pix_fmt", ["rgb24", "bgra", "gbrp16le", "gbrap16le", "gray", "gray16le"])
def test_png_in_png_out_keeps_every_sample_and_name(tools, tmp_path, pictures, pix_fmt) -> None:
    source = pictures(pix_fmt=pix_fmt)
    frames, receipt = tools.passthrough(source, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == [f"f{n:04d}.png" for n in range(1, 6)]
    assert tools.same_samples(frames, tools.read_all(tmp_path / "out"))
    assert frames[0].layout.bits == (16 if "16" in pix_fmt else 8)
    assert receipt.verified == ("5 pictures, each read back",)
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


def test_pattern_in_pattern_out(tools, tmp_path: Path, pictures) -> None:
    source = pictures()
    frames, _ = tools.passthrough(source / "f%04d.png", tmp_path / "out" / "x_%02d.png")
    assert sorted(os.listdir(tmp_path / "out")) == [f"x_{n:02d}.png" for n in range(1, 6)]
    assert tools.same_samples(frames, tools.read_all(tmp_path / "out"))


def test_a_pattern_keeps_the_numbers_of_a_pattern(tools, tmp_path: Path, pictures) -> None:
    """They had begun anew at 1: a frame stood in another's place after a missing number."""
    source = pictures()
    (source / "f0003.png").unlink()
    tools.passthrough(
        source / "f%04d.png", tmp_path / "out" / "x_%02d.png", read=ReadOptions(start=0.04)
    )
    assert sorted(os.listdir(tmp_path / "out")) == ["x_02.png", "x_04.png", "x_05.png"]
    (source / "f02.png").write_bytes((source / "f0002.png").read_bytes())  # one number, two files
    tools.passthrough(source / "f%d.png", tmp_path / "again" / "%d.png")
    assert sorted(os.listdir(tmp_path / "again")) == [f"{n}.png" for n in range(1, 6)]


def test_names_sort_as_people_count(tools, tmp_path: Path, pictures) -> None:
    source = pictures(count=12)
    before = tools.read_all(source)
    for n in range(1, 13):
        (source / f"f{n:04d}.png").rename(source / f"f{n}.png")
    assert tools.same_samples(before, tools.read_all(source))
    assert tools.same_samples(before, tools.read_all(source / "f%d.png"))


def test_a_missing_number_is_told_and_nothing_is_made_up(tools, tmp_path: Path, pictures) -> None:
    source = pictures()
    before = tools.read_all(source)
    (source / "f0003.png").unlink()
    with open_reader(source) as reader:
        assert tools.same_samples(list(reader), before[:2] + before[3:])
        told = "the numbering promises 5 files, 4 were read: f0003.png is missing"
        assert reader.ledger.damage() == [told]
    tools.passthrough(source, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == [f"f{n:04d}.png" for n in (1, 2, 4, 5)]


@pytest.mark.timeout(15)
def test_a_gap_late_in_a_long_film_is_found_at_once() -> None:
    """Half an hour of pictures; a search that begins anew for each of them took half a minute."""
    files = [Path(f"film_{n:05d}.png") for n in range(45_000) if n != 44_990]
    assert missing_numbers(files) == (1, "film_44990.png")


def test_numbers_that_jump_far_promise_nothing(tools, pictures) -> None:
    source = pictures()
    (source / "f0005.png").rename(source / "f0900.png")
    shutil.copy(source / "f0002.png", source / "f0001_f2r.png")
    with open_reader(source) as reader:
        assert "1 earlier result left out (f0001_f2r.png)" in reader.info.notes
        assert (len(list(reader)), reader.ledger.damage()) == (5, [])


@pytest.mark.parametrize(("number", "suffix"), [(1, ".png"), (3, ".png"), (3, ".jpg")])
def test_a_damaged_picture_is_held(tools, pictures, number: int, suffix: str) -> None:
    source = pictures(suffix=suffix)
    path = source / f"f{number:04d}{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with open_reader(source, ReadOptions()) as reader:
        frames = list(reader)
        assert reader.ledger.held == 1
    assert [frame.held for frame in frames] == [n == number for n in range(1, 6)]


def test_sizes_that_differ_are_refused(odd) -> None:
    with (
        pytest.raises(InputError, match=r"f05\.png: is 40x24 \w+, the pictures before are 32x24 "),
        open_reader(odd("seq_mixed")) as reader,
    ):
        list(reader)


def test_kinds_that_differ_are_refused(pictures) -> None:
    source = pictures()
    shutil.copy(source / "f0001.png", source / "g0001.jpg")
    with pytest.raises(InputError, match=r"several kinds \(1 \.jpg, 5 \.png\)"):
        open_reader(source)


def test_depths_that_differ_are_refused(pictures) -> None:
    source, other = pictures(), pictures("other", "gray16le")
    shutil.copy(other / "f0001.png", source / "f0004.png")
    with pytest.raises(InputError, match="f0004"), open_reader(source) as reader:
        list(reader)


def test_spaces_and_accents_in_names(tools, odd, tmp_path: Path) -> None:
    frames, _ = tools.passthrough(odd("seq with space é"), tmp_path / "out é")
    assert len(os.listdir(tmp_path / "out é")) == len(frames) == 8


def test_sixteen_bits_stay_in_a_video(tools, odd, tmp_path: Path) -> None:
    frames, receipt = tools.passthrough(odd("seq16"), tmp_path / "out.mkv")
    assert receipt.codec == "ffv1 gbrp16le"
    assert tools.same_samples(frames, tools.read_all(tmp_path / "out.mkv"))
    assert tools.times(frames)[1] == (Fraction(1, 25), Fraction(1, 25))


def test_jpeg_pictures_stay_jpeg(tools, tmp_path: Path) -> None:
    clip = tools.write_clip(tmp_path / "in.mkv", pts=3, smooth=True, size=(64, 48))
    (tmp_path / "a").mkdir()
    tools.passthrough(clip, tmp_path / "a" / "%03d.jpg")
    frames, _ = tools.passthrough(tmp_path / "a", tmp_path / "b")
    assert sorted(os.listdir(tmp_path / "b")) == ["001.jpg", "002.jpg", "003.jpg"]
    assert frames[0].layout.full_range
    again = tools.read_all(tmp_path / "b")
    assert np.abs(frames[0].planes[0].astype(int) - again[0].planes[0]).mean() < 1


def test_a_video_becomes_the_rgb_that_it_shows(tools, tmp_path: Path) -> None:
    from f2rcli.yuv import to_rgb

    def of_hdr(stream: av.VideoStream) -> None:
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 9, 16

    clip = tools.write_clip(
        tmp_path / "in.mkv", pts=2, smooth=True, size=(64, 48), setup=of_hdr, audio=True
    )
    (tmp_path / "out").mkdir()
    frames, receipt = tools.passthrough(clip, tmp_path / "out" / "%d.png")
    again = tools.read_all(tmp_path / "out")
    assert again[0].layout.family is Family.RGB
    np.testing.assert_allclose(to_rgb(again[0]), np.clip(to_rgb(frames[0]), 0, 1), atol=0.6 / 255)
    assert receipt.dropped == (
        "YUV (RGB instead)", "colour tags but the range (a picture holds none)",
        "audio #1 aac (f2r cannot copy it into a picture)",
    )  # fmt: skip
    assert receipt.seconds == 0  # pictures carry no time


def test_one_picture_is_a_clip_of_one(tools, tmp_path: Path, pictures) -> None:
    source = pictures() / "f0002.png"
    assert default_target(source).name == "f0002_f2r.png"
    frames, _ = tools.passthrough(source, tmp_path / "one.png")
    assert len(frames) == 1
    assert tools.same_samples(frames, tools.read_all(tmp_path / "one.png"))


def test_what_is_there_is_not_overwritten_unasked(
    tools, tmp_path: Path, pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pictures()
    tools.passthrough(source, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    stamp = (tmp_path / "out" / "f0001.png").stat().st_mtime_ns
    for target in (tmp_path / "out", tmp_path / "out" / "f%04d.png", "."):
        with open_reader(source) as reader, pytest.raises(OutputError, match=r"(out|g): already"):
            plan_output(reader, target)
    assert (tmp_path / "out" / "f0001.png").stat().st_mtime_ns == stamp
    (tmp_path / "out" / "notes.txt").write_text("kept")
    tools.passthrough(source, tmp_path / "out", WriteOptions(overwrite=True))
    assert (tmp_path / "out" / "notes.txt").read_text() == "kept"
    assert (tmp_path / "out" / "f0001.png").stat().st_mtime_ns != stamp


def test_the_input_folder_is_never_the_output(pictures) -> None:
    source = pictures()
    for target in (source, source / "f%04d.png"):
        with open_reader(source) as reader, pytest.raises(UsageError, match="input itself"):
            plan_output(reader, target, WriteOptions(overwrite=True))
    with open_reader(source) as reader:
        plan_output(reader, source / "clean_%04d.png")


def test_a_cut_takes_pictures_by_number(tools, pictures) -> None:
    source = pictures()
    every = tools.read_all(source)
    some = tools.read_all(source, start=0.04, frames=2)
    assert tools.same_samples(some, every[1:3])
    with pytest.raises(InputError, match=r"in: has only 5 frames, 0\.20 s"):
        tools.read_all(source, start=9)


@pytest.mark.parametrize(
    ("chunk", "word"),
    [
        (b"tEXtHow\0by hand", "text"),
        (b"iCCPP3\0\0" + zlib.compress(b"RGB ".rjust(20) + bytes(108)), "colour profile"),
    ],
)
def test_profiles_and_text_of_pictures_travel(tools, tmp_path, pictures, chunk, word) -> None:
    """PyAV ends the program at side data with a name of its own, as PNG's profiles have."""
    source = pictures(count=2)
    raw = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    first = source / "f0001.png"
    data = first.read_bytes()
    first.write_bytes(data[:33] + raw + data[33:])  # behind the header
    frames, receipt = tools.passthrough(source, tmp_path / "out")
    assert raw in (tmp_path / "out" / "f0001.png").read_bytes()
    assert raw not in (tmp_path / "out" / "f0002.png").read_bytes()
    assert tools.same_samples(frames, tools.read_all(tmp_path / "out"))
    assert receipt.kept == (f"{word} of the pictures",)
    with av.open(str(tmp_path / "a.mov"), "w") as film:
        packet = av.Packet(first.read_bytes())
        packet.stream = film.add_stream("png", width=41, height=30, pix_fmt="rgb24")
        film.mux(packet)
    receipt = tools.passthrough(tmp_path / "a.mov", tmp_path / "b.mkv")[1]
    assert any("ICC profile" in line for line in receipt.dropped) == (b"iCCP" in chunk)


def test_every_picture_is_read_back(tmp_path: Path, pictures) -> None:
    with open_reader(pictures(count=3)) as reader:
        images = open_writer(reader, plan_output(reader, tmp_path / "out"))
        with images:
            for frame in reader:
                images.write(frame)
            first = min(tmp_path.glob(".out.part/*.png"))
            first.write_bytes(first.read_bytes()[:-9])
            with pytest.raises(OutputError, match="differs when it is read back"):
                images.finish()
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("space", [b"RGB ", b"GRAY"])
def test_what_jpeg_pictures_say_travels(tools, tmp_path: Path, space: bytes) -> None:
    """But for profiles of other colours than FFmpeg's JPEGs have, which are never gray."""
    clip = tools.write_clip(tmp_path / "in.mkv", pts=1, smooth=True, size=(64, 48))
    (tmp_path / "a").mkdir()
    tools.passthrough(clip, tmp_path / "a" / "%03d.jpg")
    path = tmp_path / "a" / "001.jpg"
    # Little endian TIFF with one entry: Orientation (0x0112), SHORT, 6 = a quarter turn.
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    profile = b"\xe2ICC_PROFILE\0\1\1" + space.rjust(20) + bytes(108)
    said = [b"\xe0JFIF\0\1\2\1\1\x2c\1\x2c\0\0", b"\xe1Exif\0\0" + tiff, profile, b"\xfeby hand"]
    said += [b"\xe3Meta\0\0", b"\xe2MPF\0II*\0"]  # a maker's own; places of pictures that follow
    every = [b"\xff" + s[:1] + (len(s) + 1).to_bytes(2, "big") + s[1:] for s in said]
    path.write_bytes(path.read_bytes()[:2] + b"".join(every) + path.read_bytes()[2:])
    _, receipt = tools.passthrough(tmp_path / "a", tmp_path / "b")
    fits = space == b"RGB "
    stays = [*every[: 2 + fits], *every[3:5]]
    written = (tmp_path / "b" / "001.jpg").read_bytes()
    begins = b"".join([b"\xff\xd8", *stays, b"\xff\xdb"])  # no comment of FFmpeg's own comes before
    assert written.startswith(begins)
    assert len(tools.read_all(tmp_path / "b")) == 1
    words = ["resolution", "EXIF", *["colour profile"] * fits, "text", "data of makers"]
    assert f"{', '.join(words)} of the pictures" in receipt.kept
    lost = "colour profile, " * (not fits) + "second pictures (as gain maps)"
    assert receipt.dropped == (f"{lost} of the pictures",)


def test_pictures_into_the_folder_one_is_in(tools, tmp_path: Path, pictures, monkeypatch) -> None:
    source = pictures()
    monkeypatch.chdir(tmp_path)
    tools.passthrough(source, "x_%02d.png")
    assert sorted(os.listdir(".")) == ["in", *(f"x_{n:02d}.png" for n in range(1, 6))]


def test_metadata_behind_fill_bytes_travels(tmp_path: Path) -> None:
    """Any number of bytes 0xFF may precede a JPEG's markers (ITU-T T.81, B.1.1.2)."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 48, 3)).astype(np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    facts = b"Exif\0\0II*\0\x08\0\0\0" + bytes(12)
    segment = b"\xff\xe1" + (len(facts) + 2).to_bytes(2, "big") + facts
    (tmp_path / "in").mkdir()
    for number in range(2):
        filled = data[:2] + b"\xff" * (number + 1) + segment + data[2:]
        (tmp_path / "in" / f"{number}.jpg").write_bytes(filled)
    with open_reader(tmp_path / "in") as reader:
        receipt = copied(reader, tmp_path / "out")
    assert any("EXIF" in what for what in receipt.kept)
    assert not receipt.lost
    for number in range(2):
        assert facts in (tmp_path / "out" / f"{number}.jpg").read_bytes()


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_12{n // 12:02}{5 * n % 60:02}" for n in range(8)],  # every five seconds
        [f"shot_{10 * n:04}" for n in range(8)],  # every tenth number
        [f"1732540{n}.{n}5" for n in range(8)],  # fractions of seconds
        [f"12{7 * n:02}00" for n in range(8)],  # every seven minutes
    ],
)
def test_pictures_named_by_time_are_the_files_there_are(tools, tmp_path: Path, names) -> None:
    (tmp_path / "in").mkdir()
    for number, name in enumerate(names):
        picture = np.full((8, 8, 3), 10 * number, np.uint8)
        assert cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), picture)
    with open_reader(tmp_path / "in") as reader:
        assert [int(frame.planes[0][0, 0]) for frame in reader] == [10 * n for n in range(8)]
        assert not reader.ledger.damaged
    _, receipt = tools.passthrough(tmp_path / "in", tmp_path / "out")
    assert receipt.frames == 8
    assert sorted(p.stem for p in (tmp_path / "out").iterdir()) == sorted(names)


def test_pictures_whose_names_count_channels_are_asked_about(tools, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for t, c, z in np.ndindex(3, 2, 2):
        cv2.imwrite(str(folder / f"exp_T{t:04d}_C{c:02d}_Z{z:02d}.png"), np.full((8, 9), t, "u1"))
    with pytest.raises(InputError, match="count T 3, C 2, Z 2: which follow each other"):
        open_reader(folder)
    assert len(tools.read_all(folder / "exp_T%04d_C00_Z01.png")) == 3
