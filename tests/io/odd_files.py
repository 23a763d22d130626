"""Odd files made on the spot, each by its name: codecs, containers, shapes and damage that break
naive readers. Pictures are small; what is odd about them is in `CLIPS` or in a function below."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from f2rcli.io.video.pixels import make_frame, pixel_format
from tests.io.rich import again
from tests.video import write_video

Write = Callable[..., Path]  # write_clip of conftest.py
MILLISECONDS = Fraction(1, 1000)
TURNED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
HDR = (
    "hdr10=1:repeat-headers=1:log-level=error:colorprim=bt2020:transfer=smpte2084:"
    "colormatrix=bt2020nc:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)


def _full_range(stream: av.VideoStream) -> None:
    stream.codec_context.color_range = 2


def _anamorphic(stream: av.VideoStream) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(64, 45)


def _turned(stream: av.VideoStream) -> None:
    stream.set_display_matrix(TURNED)


H264: dict[str, Any] = {"codec": "libx264", "smooth": True, "pts": 12, "size": (96, 64)}
LOSSLESS: dict[str, Any] = {"codec": "ffv1", "pts": 5}

# Name -> what write_clip is told.
CLIPS: dict[str, dict[str, Any]] = {
    "anamorphic_pal.mp4": H264 | {"size": (180, 144), "setup": _anamorphic},
    "anim.apng": {"codec": "apng", "pix_fmt": "rgb24", "pts": 5},
    "audio_movtext_chapters.mp4": {},
    "audio2_subs_chapters.mkv": {},
    "alpha_prores4444.mov": {},
    "alpha_vp9.webm": {},
    "av1.mkv": H264 | {"codec": "libsvtav1"},
    "damaged.ts": {},
    "fps_23976.mov": H264 | {"time_base": Fraction(1001, 24000)},
    "full_range.mp4": H264 | {"setup": _full_range},
    "gray16_ffv1.mkv": LOSSLESS | {"pix_fmt": "gray16le"},
    "gray_ffv1.mkv": LOSSLESS | {"pix_fmt": "gray"},
    "hdr10_tags.mkv": H264 | {
        "codec": "libx265", "pix_fmt": "yuv420p10le", "options": {"x265-params": HDR},
    },
    "hevc_10bit.mp4": H264 | {
        "codec": "libx265", "pix_fmt": "yuv420p10le", "options": {"x265-params": "log-level=error"},
    },
    "interlaced_h264_bff.mkv": H264 | {
        "pix_fmt": "yuv422p", "options": {"x264-params": "bff=1"}, "size": (96, 64),
    },
    "interlaced_mpeg2_tff.mpg": {},
    "h264_bframes.avi": H264 | {"options": {"bf": "3"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj422p", "pts": 8},
    "mpeg4_bframes.avi": H264 | {"codec": "mpeg4", "options": {"bf": "2"}},
    "odd_size_181x133.mp4": H264 | {"pix_fmt": "yuv444p", "size": (181, 133)},
    "odd_size_rgb_ffv1.mkv": LOSSLESS | {"pix_fmt": "bgr0", "size": (181, 133)},
    "one_frame.mp4": H264 | {"pts": 1},
    "palette.gif": {},
    "prores_hq.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "pts": 5, "smooth": True},
    "raw_stream.h264": H264,
    "rgb48_ffv1.mkv": LOSSLESS | {"pix_fmt": "gbrp16le"},
    "rotated_90.mp4": H264 | {"setup": _turned},
    "start_at_5s.ts": H264 | {"pts": range(125, 137)},
    "tiny_16x16.mp4": H264 | {"pix_fmt": "yuv444p", "size": (16, 16)},
    "tiny_6x4.mkv": LOSSLESS | {"pix_fmt": "yuv444p", "size": (6, 4), "options": {"slices": "1"}},
    "truncated.mkv": {},
    "two_frames.mp4": H264 | {"pts": 2},
    "two_video_streams.mkv": {},
    "vfr.mp4": H264 | {
        "pts": [0, 3000, 7300, 9000, 20000, 45000, 90000, 91000], "time_base": Fraction(1, 90000),
    },
    "yuv422.y4m": {"codec": "rawvideo", "pix_fmt": "yuv422p", "pts": 5},
}  # fmt: skip


def make(name: str, folder: Path, write: Write) -> Path:
    """The odd file of that name in a folder; made when it is first asked for."""
    path = folder / name
    if not path.exists():
        special = SPECIAL.get(name)
        if special is not None:
            special(path, write)
        else:
            write(path, **CLIPS[name])
    return path


def _moving(count: int, pix_fmt: str, size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    """Ramps that move, alpha among them."""
    form = pixel_format(pix_fmt)
    assert form is not None
    width, height = size
    for number in range(count):
        ramp = np.add.outer(np.arange(height), np.arange(width)) + 4 * number
        codes = (ramp % 128 + 60) << (form.samples.bits - 8)
        kind = np.uint8 if form.samples.bits == 8 else np.uint16
        planes = []
        for index in range(3 + form.samples.alpha):
            x, y = form.samples.log2_chroma if index in (1, 2) else (0, 0)
            planes.append(np.ascontiguousarray(codes[:: 1 << y, :: 1 << x].astype(kind)))
        yield make_frame(tuple(planes), form)


def _alpha_prores(path: Path, write: Write) -> None:
    frames = _moving(6, "yuva444p10le", (64, 48))
    write_video(path, frames, "yuva444p10le", "prores_ks", profile="4444")


def _alpha_vp9(path: Path, write: Write) -> None:
    frames = _moving(12, "yuva420p", (64, 48))
    write_video(path, frames, "yuva420p", "libvpx-vp9", **{"auto-alt-ref": "0"})


def _palette(path: Path, write: Write) -> None:
    write_video(path, _moving(5, "yuv444p", (64, 48)), "rgb8", "gif")


def _fields(path: Path, write: Write) -> None:
    frames = []
    graph = av.filter.Graph()
    source = graph.add_buffer(width=96, height=64, format="yuv420p", time_base=Fraction(1, 25))
    mark = graph.add("setfield", "tff")
    graph.link_nodes(source, mark, graph.add("buffersink")).configure()
    for frame in _moving(8, "yuv420p", (96, 64)):
        graph.push(frame)
        frames.append(graph.pull())
    write_video(path, frames, "yuv420p", "mpeg2video", flags="+ildct+ilme", top="1")


def _beside(path: Path, write: Write, sounds: int, text: str) -> None:
    """A clip with sound, a line of text and two chapters."""
    plain = write(path.with_name(f"plain_{path.stem}.mkv"), **H264 | {"pts": 25, "audio": True})
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        target.set_chapters(
            [
                {"id": n, "start": 500 * n, "end": 500 * (n + 1), "time_base": MILLISECONDS,
                 "metadata": {"title": f"Part {n}"}}
                for n in range(2)
            ]
        )  # fmt: skip
        video = target.add_stream_from_template(source.streams.video[0], opaque=True)
        tracks = [target.add_stream_from_template(source.streams.audio[0]) for _ in range(sounds)]
        words = target.add_mux_stream(text, time_base=MILLISECONDS)
        packets = [packet for packet in source.demux() if packet.size]
        for packet in packets:
            kinds = [video] if packet.stream.type == "video" else tracks
            for stream in kinds:
                target.mux(again(packet, stream))
        line = av.Packet(b"a line" if text == "subrip" else b"\0\6a line")
        line.pts = line.dts = 100
        line.duration, line.time_base, line.stream = 300, MILLISECONDS, words
        target.mux(line)


def _two_pictures(path: Path, write: Write) -> None:
    first = write(path.with_name("first.mkv"), **H264)
    second = write(path.with_name("second.mkv"), **H264 | {"pix_fmt": "yuv444p", "size": (48, 32)})
    with av.open(str(first)) as one, av.open(str(second)) as two, av.open(str(path), "w") as target:
        films = one.streams.video[0], two.streams.video[0]
        streams = [target.add_stream_from_template(film, opaque=True) for film in films]
        pairs = zip(one.demux(video=0), two.demux(video=0), strict=True)
        for packet, stream in ((p, s) for two in pairs for p, s in zip(two, streams, strict=True)):
            if packet.size:
                target.mux(again(packet, stream))


def _whole(path: Path, write: Write, suffix: str) -> bytes:
    """24 frames of detail, from 1 s on: damage hits pictures, not headers alone."""
    options = {"g": "12", "bf": "0", "crf": "10"}
    whole = write(path.with_name(f"whole{suffix}"), codec="libx264", pts=range(25, 49),
                  size=(96, 64), options=options)  # fmt: skip
    return whole.read_bytes()


def _damaged(path: Path, write: Write) -> None:
    """Bits flipped in the middle of every eighth packet of a transport stream."""
    data = bytearray(_whole(path, write, ".ts"))
    count = len(data) // 188
    for packet in range(count // 4, count * 9 // 10, 8):
        for byte in range(120, 140):
            data[188 * packet + byte] ^= 0x55
    path.write_bytes(data)


def _truncated(path: Path, write: Write) -> None:
    data = _whole(path, write, ".mkv")
    path.write_bytes(data[: len(data) * 11 // 20])


def _no_index(path: Path, write: Write) -> None:
    data = _whole(path, write, ".mp4")
    path.write_bytes(data[: len(data) * 4 // 5])


def _noise(path: Path, write: Write) -> None:
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 4096, np.uint8).tobytes())


def _sound_alone(path: Path, write: Write) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for number in range(4):
            samples = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _pictures(folder: Path, names: list[str], depth: int = 8, last: Any = (32, 24)) -> None:
    """Numbered PNG files; the last two may be of another size."""
    folder.mkdir()
    for number, name in enumerate(names):
        width, height = last if number >= len(names) - 2 else (32, 24)
        rng, dtype = np.random.default_rng(number), np.uint8 if depth == 8 else np.uint16
        codes = rng.integers(0, 1 << depth, (height, width, 3), dtype)
        (folder / name).write_bytes(cv2.imencode(".png", codes)[1].tobytes())


def _numbered(count: int, form: str = "f{:04d}.png", missing: int = 0) -> list[str]:
    return [form.format(n) for n in range(1, count + 1) if n != missing]


SPECIAL: dict[str, Callable[[Path, Write], None]] = {
    "alpha_prores4444.mov": _alpha_prores,
    "alpha_vp9.webm": _alpha_vp9,
    "audio2_subs_chapters.mkv": lambda path, write: _beside(path, write, 2, "subrip"),
    "audio_movtext_chapters.mp4": lambda path, write: _beside(path, write, 1, "mov_text"),
    "audio_only.m4a": _sound_alone,
    "damaged.ts": _damaged,
    "empty.mp4": lambda path, write: path.touch(),
    "interlaced_mpeg2_tff.mpg": _fields,
    "noise.mp4": _noise,
    "palette.gif": _palette,
    "seq with space é": lambda path, write: _pictures(path, _numbered(8, "im {:03d}.png")),
    "seq16": lambda path, write: _pictures(path, _numbered(4), depth=16),
    "seq_gap": lambda path, write: _pictures(path, _numbered(9, missing=5)),
    "seq_mixed": lambda path, write: _pictures(path, _numbered(6, "f{:02d}.png"), last=(40, 24)),
    "text.mkv": lambda path, write: path.write_text("not a video\n") and None,
    "truncated.mkv": _truncated,
    "truncated_no_moov.mp4": _no_index,
    "two_video_streams.mkv": _two_pictures,
}
