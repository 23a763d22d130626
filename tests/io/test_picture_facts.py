"""Shape, rotation, fields, colour, HDR and alpha travel with the picture."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import Matrix
from f2rcli.io import ReadOptions, WriteOptions, open_reader, plan_output
from f2rcli.io.video.source import BOUNDED
from tests.io.through import copied
from tests.video import write_video

UPRIGHT = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
TURNED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
HALF = (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30)
MIRRORED = (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


def wide(stream: av.VideoStream) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(16, 11)


def matrix_setter(matrix: tuple[int, ...]):
    return lambda stream: stream.set_display_matrix(matrix)


def facts(path: Path):
    with open_reader(path) as reader:
        return reader.metadata, reader.info


@pytest.mark.parametrize("matrix", [TURNED, HALF, MIRRORED], ids=["90", "180", "mirrored"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rotation_and_flips(tools, tmp_path: Path, matrix, suffix: str) -> None:
    source = tools.film(tmp_path / "in.mp4", pts=3, setup=matrix_setter(matrix))
    assert facts(source)[0].display_matrix == matrix
    frames, receipt = tools.passthrough(source, tmp_path / f"out{suffix}")
    after = facts(tmp_path / f"out{suffix}")[0].display_matrix
    if (suffix, matrix) == (".mkv", MIRRORED):
        assert "rotation and flip (matroska holds none)" in receipt.dropped
        assert after == ()
    else:
        assert after == matrix
    assert frames[0].width == 64  # as stored, never turned


def test_no_rotation_is_none(tools, tmp_path: Path) -> None:
    source = tools.film(tmp_path / "in.mp4", pts=2, setup=matrix_setter(UPRIGHT))
    assert facts(source)[0].display_matrix == ()


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "ffv1", "mjpeg", "prores"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_pixel_aspect(tools, tmp_path: Path, codec: str, suffix: str) -> None:
    holds = {
        ".mkv": ("h264", "hevc", "av1", "vp9", "ffv1", "mjpeg", "prores"), ".webm": ("av1", "vp9"),
        ".mp4": ("h264", "hevc", "av1", "vp9", "mjpeg"), ".mov": ("h264", "hevc", "prores"),
    }  # fmt: skip
    if codec not in holds[suffix]:
        pytest.skip(f"{suffix} does not hold {codec}")
    source = tools.film(tmp_path / "in.mp4", pts=3, size=(176, 144), setup=wide)
    _, receipt = tools.passthrough(source, tmp_path / f"out{suffix}", WriteOptions(codec=codec))
    assert "pixel aspect 16/11" in receipt.kept
    assert str(facts(tmp_path / f"out{suffix}")[0].pixel_aspect) == "16/11"


def test_a_pixel_aspect_that_a_pipe_loses_is_told(tools, tmp_path: Path) -> None:
    """Matroska's header gets it once the file is finished."""
    source = tools.film(tmp_path / "in.mp4", pts=3, size=(176, 144), setup=wide)
    with open_reader(source) as reader:
        vp9 = plan_output(reader, "-", WriteOptions(codec="vp9"))
        h264 = plan_output(reader, "-", WriteOptions(codec="h264"))
    assert any(line.startswith("pixel aspect 16/11 (") for line in vp9.dropped)
    assert "pixel aspect 16/11" in h264.kept


@pytest.mark.parametrize("top_first", [True, False], ids=["top", "bottom"])
@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mkv"), ("h264", ".mp4"), ("h264", ".ts"), ("ffv1", ".mkv"),
                          ("prores", ".mov"), ("prores", ".mkv")],
)  # fmt: skip
def test_field_order(tools, tmp_path: Path, codec: str, suffix: str, top_first: bool) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", pts=4, smooth=True, size=(128, 96))
    target = tmp_path / f"out{suffix}"
    with open_reader(source, ReadOptions(fields="on")) as reader:
        reader.info = replace(reader.info, top_field_first=top_first)
        copied(reader, target, WriteOptions(codec=codec))
    info = facts(target)[1]
    assert (info.interlaced, info.top_field_first) == (True, top_first)
    with av.open(str(target)) as container:  # players that do not look at pictures ask here
        order = int(container.streams.video[0].codec_context.field_order)
    assert order in ((2, 4) if top_first else (3, 5)), "FFmpeg's AVFieldOrder"


def test_what_cannot_flag_fields_says_so_or_is_refused_by_its_name(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", pts=2, smooth=True, size=(128, 96))
    with open_reader(source, ReadOptions(fields="on")) as reader:
        with pytest.raises(UsageError, match="webm files cannot say") as raised:
            plan_output(reader, tmp_path / "out.webm", WriteOptions())
        for name, codec in (("out.webm", "vp9"), ("out.mp4", "hevc")):
            plan = plan_output(reader, tmp_path / name, WriteOptions(codec=codec))
            assert any("field order" in line for line in plan.dropped)
    assert ".mkv" in str(raised.value.hint)


def test_the_choice_of_an_encoder_minds_the_fields(tools, tmp_path: Path) -> None:
    """x264 takes no interlaced 4:2:0 of 90 lines; x265 would, and forget that it is interlaced."""
    source = tools.write_clip(
        tmp_path / "in.avi", codec="mpeg2video", pts=3, smooth=True, size=(128, 90)
    )
    with open_reader(source, ReadOptions(fields="on")) as reader:
        plan = plan_output(reader, tmp_path / "out.ts", WriteOptions())
    assert (plan.encoder, plan.pix_fmt) == ("libx264", "yuv422p")
    assert not any("field order" in line for line in plan.dropped)


def test_frames_that_are_interlaced_among_others_are_told_once(tools, tmp_path: Path) -> None:
    parts = [
        tools.write_clip(
            tmp_path / f"{pts.start}.ts", codec="mpeg2video", pts=pts, smooth=True,
            options={"bf": "0", "flags": flags},
        )
        for pts, flags in ((range(8), "+bitexact"), (range(10, 18), "+ildct+ilme"))
    ]  # fmt: skip
    (tmp_path / "in.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_reader(tmp_path / "in.ts") as reader:
        assert len(list(reader)) > 8
        assert not reader.info.interlaced
        told = [line for line in reader.ledger.lines() if "interlaced" in line]
    assert len(told) == 1


@pytest.mark.parametrize("flags", ["+bitexact", "+ildct+ilme"])
@pytest.mark.parametrize("woven", [0, 1])
def test_fields_unlike_their_flag_are_told_and_overruled(tmp_path, woven: int, flags: str) -> None:
    """Denoised in the wrong one of both ways, clips lose a decibel and more."""
    rows, columns = np.mgrid[:96, :128]
    times = (2 * number + woven * (rows % 2) for number in range(8))
    scene = (128 + 80 * np.sin((columns + 4 * time) / 6) * np.sin(rows / 8) for time in times)
    pictures = (picture.astype(np.uint8) for picture in scene)
    path, told, flagged = tmp_path / "in.mpg", {}, "ilme" in flags
    write_video(path, pictures, "yuv420p", "mpeg2video", given="gray", flags=flags, qmax="2")
    for fields in ("auto", "on", "off"):
        with open_reader(path, ReadOptions(fields=fields)) as reader:
            told[fields] = " ".join(reader.info.notes)
            assert reader.info.interlaced == {"auto": flagged, "on": True}.get(fields, False)
    assert ("fields='on'" in told["auto"]) == (woven and not flagged)
    assert ("fields='off'" in told["auto"]) == (flagged and not woven)
    assert ("flagged interlaced" in told["off"]) == flagged


def test_a_film_that_begins_in_black_does_not_look_interlaced(tools, tmp_path: Path) -> None:
    black = np.full((4, 144, 64), 16, np.uint8)
    black[0, 41, 30] = 15
    write_video(tmp_path / "in.mkv", iter(black), "yuv420p", "ffv1", given="gray")
    with open_reader(tmp_path / "in.mkv") as reader:
        assert not any("fields=" in note for note in reader.info.notes)


COLOURS = {
    "pq": (9, 16, 9, 1),
    "hd": (1, 1, 1, 1),
    "pal full": (5, 6, 5, 2),
    "ycgco": (1, 13, 8, 2),
}


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mp4"), ("h264", ".ts"), ("hevc", ".mp4"), ("av1", ".mp4"),
                          ("vp9", ".webm"), ("ffv1", ".mkv"), ("prores", ".mov")],
)  # fmt: skip
def test_colour_tags(tools, tmp_path: Path, colour, codec: str, suffix: str) -> None:
    def tag(stream) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc = colour[:2]
        context.colorspace, context.color_range = colour[2:]

    source = tools.write_clip(
        tmp_path / "in.mkv", pts=3, smooth=True, size=(128, 96), setup=tag,
        options={"chroma_sample_location": "topleft"},
    )  # fmt: skip
    _, receipt = tools.passthrough(source, tmp_path / f"out{suffix}", WriteOptions(codec=codec))
    before, after = facts(source)[0].colour, facts(tmp_path / f"out{suffix}")[0].colour
    assert (before.primaries, before.transfer, before.matrix, before.range) == colour
    if codec == "prores" and colour[3] == 2:
        assert any("full range" in line for line in receipt.dropped)
        return
    if (codec, colour[2]) == ("vp9", 8):
        return  # its bitstream has no number for YCgCo
    assert (after.primaries, after.transfer, after.matrix, after.range) == colour
    assert before.chroma_location == "topleft"
    if codec not in ("prores", "vp9"):
        assert after.chroma_location == "topleft"


def test_unspecified_matrix_is_assumed_by_height_and_said(tools, tmp_path: Path) -> None:
    small = tools.write_clip(tmp_path / "small.mkv", pts=1)
    large = tools.write_clip(tmp_path / "large.mkv", pts=1, size=(64, 720))
    for path, matrix in ((small, Matrix.BT601), (large, Matrix.BT709)):
        info = facts(path)[1]
        assert info.layout.matrix is matrix
        assert sum(matrix.value in note for note in info.notes) == 1


@pytest.mark.parametrize("number", [10, 14], ids=["BT.2020 constant luminance", "ICtCp"])
def test_matrices_without_a_linear_form_fall_back_and_say_so(tools, tmp_path, number: int) -> None:
    def tag(stream) -> None:
        stream.codec_context.colorspace = number

    source = tools.write_clip(tmp_path / "in.mkv", pix_fmt="yuv444p10le", pts=2, setup=tag)
    metadata, info = facts(source)
    assert (metadata.colour.matrix, info.layout.matrix) == (number, Matrix.BT2020)
    assert any("processed as" in note for note in info.notes)
    tools.passthrough(source, tmp_path / "out.mkv")
    assert facts(tmp_path / "out.mkv")[0].colour.matrix == number


def test_dynamic_metadata_is_listed_as_dropped(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", codec="libx265", pts=12, smooth=True)
    with open_reader(source) as reader:
        extras = ("Dolby Vision metadata", "HDR10+ metadata")
        reader.metadata = replace(reader.metadata, extras=extras)
        dropped = plan_output(reader, tmp_path / "out.mp4").dropped
    assert [line.split(" (")[0] for line in dropped] == ["Dolby Vision metadata", "HDR10+ metadata"]


@pytest.mark.parametrize("name", ["alpha_prores4444.mov", "alpha_vp9.webm"])
def test_alpha_survives(tools, odd, tmp_path: Path, name: str) -> None:
    source = odd(name)
    frames, _ = tools.passthrough(source, tmp_path / f"out{source.suffix}")
    again = tools.read_all(tmp_path / f"out{source.suffix}")
    assert frames[0].layout.alpha
    assert again[0].layout.alpha
    assert np.ptp(frames[0].planes[3]) > 0
    scale = 1 << frames[0].layout.bits
    error = np.abs(frames[0].planes[3].astype(float) - again[0].planes[3]).mean() / scale
    assert error < 0.02


def test_vp8_with_alpha_keeps_the_matrix_of_its_container(tools, tmp_path, monkeypatch) -> None:
    """VP8 has no place for one of its own. The bound on pixels is that of other decoders."""
    source = tools.write_clip(
        tmp_path / "in.webm", codec="libvpx", pix_fmt="yuva420p", pts=3,
        setup=lambda stream: setattr(stream.codec_context, "colorspace", 1),
        options={"auto-alt-ref": "0"},
    )  # fmt: skip
    tools.passthrough(source, tmp_path / "out.webm")
    for path in (source, tmp_path / "out.webm"):
        with open_reader(path) as reader:
            assert (reader.info.layout.alpha, reader.info.layout.matrix.value) == (True, "bt709")
    monkeypatch.setitem(BOUNDED, "max_pixels", "999")
    with pytest.raises(InputError, match="no picture could be decoded"):
        open_reader(source)


def test_alpha_goes_to_a_container_that_holds_it_or_is_listed(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", pix_fmt="yuva420p", pts=2, size=(64, 64))
    with open_reader(source) as reader:
        mp4 = plan_output(reader, tmp_path / "out.mp4")
        mov = plan_output(reader, tmp_path / "out.mov")
        webm = plan_output(reader, tmp_path / "out.webm")
    assert any("alpha" in line for line in mp4.dropped)
    assert (mov.encoder, "a" in mov.pix_fmt) == ("prores_ks", True)
    assert (webm.encoder, webm.pix_fmt) == ("libvpx-vp9", "yuva420p")


def test_hevc_in_mp4_plays_on_apple_devices(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", codec="libx264", pts=2, size=(128, 96))
    tools.passthrough(source, tmp_path / "out.mp4", WriteOptions(codec="hevc"))
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert out.streams.video[0].codec_context.codec_tag == "hvc1"
    assert (tmp_path / "out.mp4").read_bytes().find(b"moov") < 64  # plays before it is all there


@pytest.mark.parametrize("place", ["left", "center", "topleft"])
@pytest.mark.parametrize(
    ("codec", "suffix"), [("libvpx-vp9", ".webm"), ("ffv1", ".mkv"), ("libx264", ".mkv")]
)
def test_chroma_siting(tools, tmp_path: Path, codec: str, suffix: str, place: str) -> None:
    source = tools.write_clip(
        tmp_path / f"in{suffix}", codec=codec, pts=3, smooth=True,
        options={"chroma_sample_location": place},
    )  # fmt: skip
    tools.passthrough(source, tmp_path / f"out{suffix}")
    for path in (source, tmp_path / f"out{suffix}"):
        assert facts(path)[0].colour.chroma_location == place
