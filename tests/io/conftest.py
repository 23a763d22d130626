"""Tiny clips made on the spot, and the passthrough that every test of io is about."""

import itertools
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from f2rcli.frames import Family, Frame
from f2rcli.io import ReadOptions, Receipt, WriteOptions, open_reader, open_writer, plan_output
from f2rcli.io.video.pixels import PixelFormat, make_frame, pixel_format
from tests.io.odd_files import make
from tests.io.rich import write_rich


def planes_of(form: PixelFormat, width: int, height: int, seed: int) -> tuple[np.ndarray, ...]:
    """Noise over the whole range of a format, edges of the range included."""
    rng = np.random.default_rng(seed)
    planes = []
    colours = 1 if form.samples.family is Family.GRAY else 3
    for index in range(colours + form.samples.alpha):
        x, y = form.samples.log2_chroma if index in (1, 2) else (0, 0)
        shape = (-(-height >> y), -(-width >> x))
        if form.samples.bits == 32:
            planes.append(rng.random(shape, np.float32))
            continue
        kind = np.uint8 if form.samples.bits == 8 else np.uint16
        planes.append(rng.integers(0, 1 << form.samples.bits, shape).astype(kind))
    return tuple(planes)


def write_clip(
    path: Path,
    *,
    codec: str = "ffv1",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    pts: Sequence[int] | int = 6,
    time_base: Fraction = Fraction(1, 25),
    last_duration: int | None = None,
    setup: Callable[[av.VideoStream], None] = lambda stream: None,
    audio: bool = False,
    rate: Fraction = Fraction(25),
    smooth: bool = False,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A clip of noise (or of a moving ramp) with the time stamps asked for."""
    stamps = list(range(pts)) if isinstance(pts, int) else list(pts)
    form = pixel_format(pix_fmt)
    assert form is not None
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        if codec == "mjpeg":
            stream.codec_context.color_range = 2
        setup(stream)
        sound = container.add_stream("aac", rate=8000, layout="mono") if audio else None
        steps = [b - a for a, b in itertools.pairwise(stamps)]
        steps.append(last_duration or (steps[-1] if steps else 1))
        durations = dict(zip(stamps, steps, strict=True))
        for number, stamp in enumerate(stamps):
            planes = planes_of(form, *size, seed=number)
            if smooth:
                ramp = np.add.outer(np.arange(size[1]), np.arange(size[0])) + 3 * number
                planes = ((ramp % 200 + 20).astype(planes[0].dtype), *planes[1:])
                planes = planes[:1] + tuple(np.full_like(plane, 128) for plane in planes[1:])
            picture = make_frame(planes, form)
            picture.pts, picture.time_base = stamp, time_base
            for packet in stream.encode(picture):
                packet.duration = durations.get(packet.pts or 0, 1)
                container.mux(packet)
        for packet in stream.encode(None):
            packet.duration = durations.get(packet.pts or 0, 1)
            container.mux(packet)
        if sound is not None:
            _write_sound(container, sound, seconds=float(stamps[-1] * time_base) + 0.2)
    return path


def film(path: Path, **how: Any) -> Path:
    """A clip of a moving ramp, coded as most are."""
    return write_clip(path, codec="libx264", smooth=True, **how)


def tagged(**tags: str) -> Callable[[av.VideoStream], None]:
    """A `setup` for clips whose picture has these tags."""
    return lambda stream: stream.metadata.update(tags)


def _write_sound(container: Any, stream: av.AudioStream, seconds: float) -> None:
    for start in range(0, int(seconds * 8000), 1024):
        samples = np.sin(np.arange(start, start + 1024) * 0.3).astype(np.float32)[None] * 0.3
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def passthrough(
    source: str | Path,
    target: str | Path,
    write: WriteOptions | None = None,
    read: ReadOptions | None = None,
) -> tuple[list[Frame], Receipt]:
    """Read a clip and write it as it is; the frames that went through, and the receipt."""
    frames = []
    with open_reader(source, read or ReadOptions()) as reader:
        plan = plan_output(reader, target, write or WriteOptions())
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
                frames.append(frame)
            receipt = writer.finish()
            assert receipt.lost == (), receipt.lost
    return frames, receipt


def read_all(source: str | Path, **options: object) -> list[Frame]:
    """Every frame of a clip."""
    with open_reader(source, ReadOptions(**options)) as reader:  # type: ignore[arg-type]
        return list(reader)


def packets_of(path: Path, kind: str) -> list[bytes]:
    """The packets of a file's streams of one kind, stream by stream."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found: dict[int, list[bytes]] = {stream.index: [] for stream in streams}
        for packet in container.demux(*streams):
            if packet.size and packet.stream_index in found:
                found[packet.stream_index].append(bytes(packet))
    return [packet for index in sorted(found) for packet in found[index]]


def times(frames: Sequence[Frame]) -> list[tuple[Fraction, Fraction]]:
    """When each frame is shown and for how long, in seconds."""
    return [((f.pts or 0) * f.time_base, (f.duration or 0) * f.time_base) for f in frames]


def same_samples(a: Sequence[Frame], b: Sequence[Frame]) -> bool:
    """Whether two runs of frames hold the same samples."""
    return len(a) == len(b) and all(
        len(x.planes) == len(y.planes)
        and all(np.array_equal(p, q) for p, q in zip(x.planes, y.planes, strict=True))
        for x, y in zip(a, b, strict=True)
    )


class Tools:
    """The helpers above, for tests (test modules cannot import one another)."""

    write_clip = staticmethod(write_clip)
    film = staticmethod(film)
    passthrough = staticmethod(passthrough)
    read_all = staticmethod(read_all)
    packets_of = staticmethod(packets_of)
    times = staticmethod(times)
    same_samples = staticmethod(same_samples)


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An odd file by its name, made when it is first asked for; see odd_files.py."""
    folder = tmp_path_factory.mktemp("odd")
    return lambda name: make(name, folder, write_clip)


@pytest.fixture(scope="session")
def rich_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mkv with two audio tracks, subtitles, a font, cover art, chapters and tags."""
    folder = tmp_path_factory.mktemp("rich")
    return write_rich(film(folder / "plain.mkv", pts=20, audio=True), folder / "rich.mkv")


@pytest.fixture
def in_folder(tmp_path: Path) -> Callable[[], list[str]]:
    """What lies in the test's folder, hidden files included."""
    return lambda: sorted(os.listdir(tmp_path))
