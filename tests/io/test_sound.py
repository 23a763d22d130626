"""Sound that a container cannot hold is encoded again, at its own time; --copy-only drops it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.io import WriteOptions, open_reader, plan_output
from f2rcli.io.base import ReadOptions
from f2rcli.io.containers.kinds import CONTAINERS
from f2rcli.io.containers.sound import choose_sound

TONE = 40.0  # Hz: Matroska rounds times to milliseconds


def clip_with_sound(
    path: Path, plain: Path, codec: str, *, rate: int = 48000, layout: str = "stereo",
    gap: tuple[int, int] = (0, 0), seconds: float = 0.8,
) -> Path:  # fmt: skip
    """The pictures of `plain` with a tone; gap: samples left out of it."""
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0], opaque=True)
        sound = target.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(sound, av.AudioStream)
        sound.metadata["language"] = "eng"
        for packet in source.demux(0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
        channels = sound.codec_context.layout.nb_channels
        size = 1000
        for start in range(0, int(seconds * rate), size):
            if gap[0] <= start < gap[1]:
                continue
            tone = 8000 * np.sin(2 * np.pi * TONE * np.arange(start, start + size) / rate)
            samples = np.repeat(tone.astype(np.int16)[None, :], channels, axis=0)
            frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for made in av.AudioResampler(sound.codec_context.format.name).resample(frame):
                target.mux(sound.encode(made))
        target.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def plain(tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return tools.write_clip(folder / "plain.mkv", codec="libx264", pts=20, smooth=True)


def heard(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], str, int]:
    """Times and samples of the first channel, the codec, and the number of channels."""
    times, samples = [], []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            values = frame.to_ndarray().astype(np.float64)
            count = frame.layout.nb_channels
            first = values[0] if frame.format.is_planar else values.reshape(-1, count)[:, 0]
            scale = 1 if frame.format.name.startswith("f") else 2 ** (8 * frame.format.bytes - 1)
            samples.append(first / scale)
            times.append(float(frame.pts * frame.time_base) + np.arange(len(first)) / frame.rate)
        return np.concatenate(times), np.concatenate(samples), stream.codec_context.name, count


@pytest.mark.parametrize(
    ("codec", "layout", "suffix", "becomes", "channels"),
    [
        ("aac", "stereo", ".webm", "opus", 2),
        ("aac", "mono", ".webm", "opus", 1),
        ("flac", "5.1", ".webm", "opus", 6),
        ("libopus", "stereo", ".avi", "mp3", 2),
        ("libopus", "5.1", ".avi", "ac3", 6),
        ("flac", "stereo", ".avi", "pcm_s16le", 2),
        ("pcm_s16le", "stereo", ".mp4", "alac", 2),
        ("flac", "stereo", ".ts", "aac", 2),
    ],
)
def test_sound_is_encoded_for_its_container(
    tools, plain: Path, tmp_path: Path, codec: str, layout: str, suffix: str, becomes: str,
    channels: int,
) -> None:  # fmt: skip
    source = clip_with_sound(tmp_path / "in.mkv", plain, codec, layout=layout)
    target = tmp_path / f"out{suffix}"
    with open_reader(source) as reader:
        plan = plan_output(reader, target)
        assert plan.kept[0].endswith(f"as {becomes}")
        assert any("is encoded again" in note for note in plan.notes)
    _, receipt = tools.passthrough(source, target)
    assert any(line.endswith(f"as {becomes}") for line in receipt.kept)
    times, samples, name, count = heard(target)
    assert (name.removesuffix("float"), count) == (becomes, channels)
    shift = 0.0 if suffix != ".ts" else _begin(target) - _begin(source)
    inside = (times - shift > 0.05) & (times - shift < 0.7)
    wanted = 8000 / 32768 * np.sin(2 * np.pi * TONE * (times - shift))
    if suffix != ".avi":  # which has no time stamps for the delay of an encoder
        assert np.corrcoef(samples[inside], wanted[inside])[0, 1] > 0.98
    assert np.std(samples[inside]) == pytest.approx(np.std(wanted[inside]), rel=0.1)


def test_lossy_sound_that_mp4_cannot_copy_becomes_aac(plain: Path, tmp_path: Path) -> None:
    source = clip_with_sound(tmp_path / "in.mkv", plain, "libopus")
    mp4 = next(container for container in CONTAINERS if container.name == "mp4")
    with av.open(str(source)) as clip:
        setup = choose_sound(mp4, clip.streams.audio[0])
    assert setup is not None
    assert setup.encoder == "aac"


def _begin(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(next(container.decode(stream)).pts * stream.time_base)


def test_a_gap_becomes_silence(tools, plain: Path, tmp_path: Path) -> None:
    source = clip_with_sound(tmp_path / "in.mkv", plain, "pcm_s16le", gap=(10_000, 20_000))
    tools.passthrough(source, tmp_path / "out.webm")
    times, samples, _, _ = heard(tmp_path / "out.webm")
    late = (times > 0.5) & (times < 0.7)
    quiet = (times > 0.25) & (times < 0.38)
    assert np.std(samples[quiet]) < 0.01 * np.std(samples[late])
    wanted = np.sin(2 * np.pi * TONE * times[late])
    assert np.corrcoef(samples[late], wanted)[0, 1] > 0.98


def test_sound_of_an_excerpt_is_encoded_at_its_place(tools, plain: Path, tmp_path: Path) -> None:
    source = clip_with_sound(tmp_path / "in.mkv", plain, "aac")
    tools.passthrough(source, tmp_path / "out.webm", read=ReadOptions(start=0.4))
    times, _, _, _ = heard(tmp_path / "out.webm")
    assert times[0] == pytest.approx(0, abs=0.03)
    assert times[-1] == pytest.approx(0.4, abs=0.05)


def test_copies_are_preferred(tools, plain: Path, tmp_path: Path) -> None:
    source = clip_with_sound(tmp_path / "in.mkv", plain, "aac")
    tools.passthrough(source, tmp_path / "out.avi")
    assert tools.packets_of(tmp_path / "out.avi", "audio") == tools.packets_of(source, "audio")


@pytest.mark.parametrize("suffix", [".webm", ".mp4"])
def test_copy_only_drops_what_would_be_converted(plain: Path, tmp_path: Path, suffix: str) -> None:
    codec = {".webm": "aac", ".mp4": "pcm_s16le"}[suffix]
    source = clip_with_sound(tmp_path / "in.mkv", plain, codec)
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / f"out{suffix}", WriteOptions(copy_only=True))
    (line,) = plan.dropped
    assert line.startswith("audio #1")
