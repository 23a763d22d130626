"""The encoder suits the input; wishes that cannot be met are refused in one line."""

from pathlib import Path

import numpy as np
import pytest

from f2rcli.errors import UsageError
from f2rcli.io import ReadOptions, WriteOptions, formats, open_reader, plan_output
from f2rcli.io.video.streams import CONTAINERS
from tests.io.through import copied


@pytest.fixture(scope="module")
def clips(tools, tmp_path_factory: pytest.TempPathFactory):
    """A function from (codec, pixel format, size, suffix) to a clip."""
    folder = tmp_path_factory.mktemp("clips")

    def make(codec: str, pix_fmt: str = "yuv420p", size=(128, 96), suffix: str = ".mkv") -> Path:
        path = folder / f"{codec}_{pix_fmt}_{size[0]}x{size[1]}{suffix}"
        if not path.exists():
            tools.write_clip(path, codec=codec, pix_fmt=pix_fmt, size=size, pts=2, smooth=True)
        return path

    return make


def plan(source: Path, target: str, **options):
    with open_reader(source) as reader:
        return plan_output(reader, source.with_name(target), WriteOptions(**options))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "target", "encoder", "written"),
    [
        ("libx264", "yuv420p", ".mkv", "o.mp4", "libx264", "yuv420p"),
        ("libx264", "yuv422p10le", ".mkv", "o.mkv", "libx264", "yuv422p10le"),
        ("libx264", "gray", ".mkv", "o.mp4", "libx264", "yuv420p"),  # as it is decoded
        ("libx264rgb", "rgb24", ".mkv", "o.mp4", "libx264rgb", "bgr0"),
        ("libx265", "yuv420p12le", ".mkv", "o.mp4", "libx265", "yuv420p12le"),
        ("libx265", "gbrp10le", ".mkv", "o.mkv", "libx265", "gbrp10le"),
        ("libsvtav1", "yuv420p10le", ".mkv", "o.mp4", "libsvtav1", "yuv420p10le"),
        ("libvpx-vp9", "yuv444p", ".webm", "o.webm", "libvpx-vp9", "yuv444p"),
        ("prores_ks", "yuv422p10le", ".mov", "o.mov", "prores_ks", "yuv422p10le"),
        ("prores_ks", "yuv422p10le", ".mov", "o.mp4", "libx264", "yuv422p10le"),
        ("ffv1", "gbrp16le", ".mkv", "o.mkv", "ffv1", "gbrp16le"),
        ("ffv1", "yuv420p", ".mkv", "o.mp4", "libx264", "yuv420p"),
        ("ffv1", "yuv444p12le", ".mkv", "o.mp4", "libx265", "yuv444p12le"),
        ("mjpeg", "yuv422p", ".mkv", "o.mkv", "mjpeg", "yuv422p"),
        ("mpeg2video", "yuv420p", ".mkv", "o.mkv", "libx264", "yuv420p"),
        ("mpeg4", "yuv420p", ".mkv", "o.mp4", "libx264", "yuv420p"),
        ("huffyuv", "yuv422p", ".avi", "o.mkv", "ffv1", "yuv422p"),
        ("rawvideo", "yuv444p", ".y4m", "o.y4m", "rawvideo", "yuv444p"),
        ("png", "rgb24", ".mov", "o.mov", "png", "rgb24"),
        ("rawvideo", "yuv422p", ".y4m", "o.mkv", "ffv1", "yuv422p"),
        ("rawvideo", "yuv422p", ".y4m", "o.mp4", "libx264", "yuv422p"),
        ("libvpx", "yuv420p", ".webm", "o.webm", "libvpx-vp9", "yuv420p"),
    ],
)  # fmt: skip
def test_the_family_and_the_samples_stay(clips, codec, pix_fmt, suffix, target, encoder, written):
    found = plan(clips(codec, pix_fmt, suffix=suffix), target)
    assert (found.encoder, found.pix_fmt) == (encoder, written)
    assert found.dropped == ()


def test_dv_becomes_x264_with_a_note(clips) -> None:
    found = plan(clips("dvvideo", "yuv420p", size=(720, 576), suffix=".mov"), "o.mov")
    assert found.encoder == "libx264"
    assert any(note.startswith("written as h264: no encoder of dv") for note in found.notes)


def test_sizes_that_x264_refuses_go_to_what_holds_them(clips) -> None:
    odd = clips("ffv1", "yuv420p", size=(125, 97))
    mp4, ts = plan(odd, "o.mp4"), plan(odd, "o.ts")
    assert (mp4.encoder, mp4.pix_fmt) == ("libsvtav1", "yuv420p")
    assert (ts.encoder, ts.pix_fmt) == ("libx264", "yuv444p")
    assert any("written as av1" in note for note in mp4.notes)


def test_default_quality(clips) -> None:
    line = plan(clips("libx264"), "o.mp4").summary()
    assert line == "o.mp4: mp4, libx264 crf 14 preset medium, yuv420p"
    assert " crf 15 " in plan(clips("libx265"), "o.mp4").summary()
    assert " crf 12 preset 4" in plan(clips("libsvtav1"), "o.mp4").summary()
    assert dict(plan(clips("mjpeg", "yuv422p"), "o.mkv").options)["global_quality"] == "118"


@pytest.mark.parametrize(
    ("codec", "crf", "plain"),
    [("h264", None, ("chromaoffset", "0")), ("hevc", 23, ("x265-params", "cbqpoffs=0:crqpoffs=0"))],
)
def test_colours_lose_half_of_what_encoders_would_take(tools, tmp_path: Path, codec, crf, plain):
    """Of a filmed clip, for a twelfth more bytes."""
    source, errors, sizes = Path(__file__).parent / "files" / "path.ogv", [], []
    for options in ((plain,), ()):
        target = tmp_path / f"{len(sizes)}.mkv"
        wishes = WriteOptions(codec=codec, crf=crf, encoder_options=options)
        given, _ = tools.passthrough(source, target, wishes, ReadOptions(frames=12))
        planes = [[frame.planes[1:] for frame in run] for run in (given, tools.read_all(target))]
        errors.append(np.square(np.subtract(*np.float32(planes))).mean((0, 2, 3)))
        sizes.append(target.stat().st_size)
    assert (errors[1] < errors[0] / 2).all()
    assert sizes[1] < sizes[0] * 13 / 12


def test_wishes_are_granted(clips) -> None:
    found = plan(
        clips("libx264"), "o.mp4", codec="hevc", crf=25,
        encoder_options=(("preset", "fast"), ("x265-params", "aq-mode=3"), ("g", "50")),
    )  # fmt: skip
    options = dict(found.options)
    assert "libx265 crf 25 preset fast" in found.summary()
    assert options["x265-params"] == "log-level=error:cbqpoffs=-8:crqpoffs=-8:aq-mode=3"
    assert options["g"] == "50"


@pytest.mark.parametrize(("codec", "usual"), [("libx264", 14), ("libx265", 15)])
def test_what_was_coded_finely_is_written_as_finely(tools, tmp_path, codec: str, usual) -> None:
    crfs = []
    for own in (0, 4, 12, 26):
        source, wish = tmp_path / f"{own}.mkv", {"crf": f"{own}"}
        tools.write_clip(source, codec=codec, size=(128, 96), pts=4, smooth=True, options=wish)
        crfs.append(plan(source, "o.mkv").crf)
    assert 1 <= crfs[0] <= crfs[1] < crfs[2] < crfs[3] == usual  # 0 is lossless


def test_narrow_pictures_are_kept_from_x265s_faulty_code(clips) -> None:
    narrow = dict(plan(clips("libx264", size=(48, 48)), "o.mp4", codec="hevc").options)
    assert narrow["x265-params"] == "log-level=error:asm=0:cbqpoffs=-8:crqpoffs=-8"
    deep = dict(plan(clips("libx264", "yuv422p10le"), "o.mkv").options)
    assert deep["threads"] == "1"  # with more x264 writes another stream now and then


def test_a_pixel_format_that_loses_says_what(clips) -> None:
    found = plan(clips("libx264", "yuv422p10le"), "o.mp4", pix_fmt="yuv420p")
    assert found.pix_fmt == "yuv420p"
    assert any("10 bits (8 instead)" in line for line in found.dropped)
    assert any("chroma" in line for line in found.dropped)


@pytest.mark.parametrize(
    ("target", "options", "words", "hint"),
    [
        ("o.mp4", {"codec": "h246"}, "codec='h246'", "h26"),
        ("o.mp4", {"codec": "nonsense"}, "codec='nonsense'", "ffv1"),
        ("o.webm", {"codec": "h264"}, "webm files cannot hold h264", "vp9"),
        ("o.mp4", {"codec": "ffv1"}, "mp4 files cannot hold ffv1", ".mkv"),
        ("o.mov", {"codec": "ffv1"}, "mov files cannot hold ffv1", ".mkv"),
        ("o.mp4", {"codec": "aac"}, "codec='aac'", ""),
        ("o.mp4", {"pix_fmt": "yuv999"}, "pix_fmt='yuv999'", "yuv420p"),
        ("o.mp4", {"pix_fmt": "gbrp", "codec": "h264"}, "pix_fmt='gbrp'", ""),
        ("o.mp4", {"encoder_options": (("presett", "fast"),)}, "no option presett", "ffmpeg -h"),
        ("o.mp4", {"encoder_options": (("x264-params", "nonsense=1"),)}, "nonsense", ""),
        ("o.mp4", {"encoder_options": (("preset", "warp"),)}, "warp", "ffmpeg -h"),
        ("o.mp4", {"crf": 900}, "crf|900", ""),
        ("o.mkv", {"codec": "ffv1", "crf": 20}, "no option crf", "encoder=ffv1"),
        ("o.mkv", {"codec": "mjpeg", "crf": 20}, "no option crf", "encoder=mjpeg"),
        ("o.mp4", {"codec": "av1", "encoder_options": (("preset", "99"),)}, "99.* 13", "ffmpeg -h"),
        ("o.mp4", {"codec": "hevc", "crf": 60}, "libx265: Cannot open", "crf="),
        ("o.xyz", {}, r"does not write \.xyz", ".mkv"),
        ("o", {}, "without a suffix", ".mp4"),
        ("o.flv", {}, r"\.flv", ".mp4"),
        ("o.avi", {}, r"\.avi", ".mkv"),
        ("o.png", {}, "a single picture", "%05d"),
        ("%03d.png", {"crf": 3}, "no meaning", ""),
        ("%03d.jpg", {"codec": "ffv1"}, "no meaning", "out"),
        ("%03d.png", {"pix_fmt": "yuv420p"}, "pix_fmt='yuv420p'", "rgb24"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_early(clips, target, options, words, hint) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        plan(clips("libx264"), target, **options)
    assert "\n" not in str(caught.value)
    assert ".." not in str(caught.value)
    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == 2


def test_mjpeg_has_one_matrix(tools, tmp_path: Path) -> None:
    def hd(stream) -> None:
        stream.codec_context.colorspace = 1

    source = tools.write_clip(tmp_path / "in.mkv", codec="libx264", pts=2, setup=hd)
    with open_reader(source) as reader:
        found = plan_output(reader, tmp_path / "out.mkv", WriteOptions(codec="mjpeg"))
        assert any("colour matrix" in line for line in found.dropped)
        found = plan_output(reader, tmp_path / "out.mkv", WriteOptions(codec="ffv1"))
        assert found.dropped == ()


def test_y4m_from_y4m_rounds_no_time_and_blames_no_format_for_its_shape(tmp_path: Path) -> None:
    """Y4M states one rate and a pixel aspect."""
    head = b"YUV4MPEG2 W16 H8 F25:1 Ip A4:3 Cmono\n"
    (tmp_path / "in.y4m").write_bytes(head + 3 * (b"FRAME\n" + bytes(range(128))))
    with open_reader(tmp_path / "in.y4m") as reader:
        plan = plan_output(reader, str(tmp_path / "out.y4m"), WriteOptions())
        assert plan.notes == ()
        assert "pixel aspect 4/3" in plan.kept
        copied(reader, tmp_path / "out.y4m")
    line, _, rest = (tmp_path / "out.y4m").read_bytes().partition(b"\n")
    assert b" A4:3" in line
    assert rest == 3 * (b"FRAME\n" + bytes(range(128)))


def test_a_video_becomes_pictures_for_a_pattern_only(clips, tmp_path: Path) -> None:
    with open_reader(clips("libx264")) as reader:
        with pytest.raises(UsageError, match="neither a file with a suffix nor a folder"):
            plan_output(reader, str(tmp_path), WriteOptions())
        assert plan_output(reader, str(tmp_path / "%04d.png"), WriteOptions()).notes


def test_suffixes_that_folders_are_searched_for_are_those_of_the_formats() -> None:
    written = {suffix for container in CONTAINERS for suffix in container.suffixes}
    assert written <= formats.VIDEOS
    assert {".avi", ".mkv", ".tif", ".nd2", ".fits", ".cr3", ".png"} <= formats.READABLE
