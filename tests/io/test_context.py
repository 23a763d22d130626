"""Frames around an excerpt come along to be looked at, and change nothing of what is written."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli.frames import Frame
from f2rcli.io import ReadOptions, open_reader, open_writer, plan_output
from f2rcli.methods import available, load
from f2rcli.window import LEAD_IN, LEAD_OUT
from tests.video import write_video

LEAD, TRAIL = 5, 3


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        write_video(folder / f"{number:03}.png", [codes(number, 16, 24, 3)], "rgb24", "png")
    return folder


def codes(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts", "h264", "avi", "gif", "png"])
def clip(request, tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty different pictures, 25 to the second, a key frame every twelve."""
    folder, kind = tmp_path_factory.mktemp("context"), request.param
    if kind == "png":
        return write_pictures(folder / "frames", 50)
    if kind == "gif":
        pictures = (codes(number, 48, 64, 3) for number in range(50))
        return write_video(folder / "in.gif", pictures, "rgb8", "gif")
    codec = "mjpeg" if kind == "avi" else "libx264"
    options = {} if kind == "avi" else {"g": "12", "keyint_min": "12"}
    return tools.write_clip(
        folder / f"in.{kind}", codec=codec, pts=50, smooth=True, size=(128, 96), options=options
    )


@pytest.fixture(scope="module")
def every(tools, clip: Path) -> list[Frame]:
    return tools.read_all(clip)


@pytest.mark.parametrize(
    ("options", "before", "wanted", "after"),
    [
        ({"start": 0.8, "frames": 4}, range(15, 20), range(20, 24), range(24, 27)),
        ({"start": 0.8, "end": 0.96}, range(15, 20), range(20, 24), range(24, 27)),
        ({"start": 0.08, "frames": 1}, range(2), range(2, 3), range(3, 6)),
        ({"frames": 2}, range(0), range(2), range(2, 5)),
        ({"start": 1.92}, range(43, 48), range(48, 50), range(0)),
        ({"start": 1.8, "frames": 4}, range(40, 45), range(45, 49), range(49, 50)),
        ({}, range(0), range(50), range(0)),
    ],
)
def test_frames_on_both_sides_are_the_clips_own(
    tools, clip: Path, every: list[Frame], options, before: range, wanted: range, after: range
) -> None:
    found = tools.read_all(clip, lead=LEAD, trail=TRAIL, **options)
    places = [*before, *wanted, *after]
    assert tools.same_samples(found, [every[n] for n in places])
    assert [frame.context for frame in found] == [n not in wanted for n in places]
    if options:
        assert [frame.index for frame in found] == places


def test_what_is_written_stays_as_it_is_without_context(tools, clip: Path) -> None:
    options = {"start": 0.8, "frames": 4}
    alone = tools.read_all(clip, **options)
    among = [f for f in tools.read_all(clip, lead=LEAD, trail=TRAIL, **options) if not f.context]
    assert tools.same_samples(among, alone)
    assert tools.times(among) == tools.times(alone)


def test_the_opening_is_read_anew_for_later_excerpts(tools, clip: Path, every: list[Frame]) -> None:
    with open_reader(clip, ReadOptions(start=0.8, frames=2)) as reader:
        found = [frame for frame, _ in zip(reader.opening(), range(6), strict=False)]
        assert tools.same_samples(found, every[:6])
        assert tools.same_samples(list(reader), every[20:22])
    with open_reader(clip, ReadOptions(frames=2)) as reader:
        assert not list(reader.opening())


def write_copies(path: Path, codec: str, options: dict[str, str]) -> Path:
    """Twenty pictures, each three times."""
    pictures = (codes(number // 3, 48, 64) for number in range(60))
    return write_video(path, pictures, "yuv420p", codec, given="gray", **options)


COPIES = [
    ("mkv", "ffv1", {}),
    ("mkv", "libx264", {"crf": "0"}),
    ("mp4", "libx264", {"crf": "0"}),
    ("ts", "libx264", {"crf": "0"}),
    ("webm", "libvpx-vp9", {"lossless": "1"}),
    ("nut", "ffv1", {}),
]


@pytest.mark.parametrize(("kind", "codec", "options"), COPIES)
def test_copies_are_no_context(tools, tmp_path: Path, kind: str, codec: str, options) -> None:
    """A reader goes back farther for different pictures, to the very beginning if it must."""
    source = write_copies(tmp_path / f"in.{kind}", codec, options)
    every = tools.read_all(source)
    for lead in (LEAD, LEAD_IN):
        found = tools.read_all(source, start=1.2, frames=3, lead=lead, trail=TRAIL)
        places = [*range(max(0, 30 - 3 * lead), 30, 3), 30, 31, 32, *range(33, 42, 3)]
        assert tools.same_samples(found, [every[n] for n in places])
        assert [frame.context for frame in found].count(False) == 3


def test_a_clip_with_alpha_is_cut(tools, odd) -> None:
    """Its decoder marks no key frames: one reads on from the very beginning."""
    source = odd("alpha_vp9.webm")
    every = tools.read_all(source)
    assert tools.same_samples(tools.read_all(source, start=0.24, frames=3), every[6:9])


def test_frames_far_apart_are_gone_back_for(tools, tmp_path: Path) -> None:
    stamps = [0, 1000, 2000, 3000, 4000, 5000, 5040, 5080]
    source = tools.write_clip(
        tmp_path / "in.mkv", pts=stamps, time_base=Fraction(1, 1000), size=(32, 16)
    )
    found = tools.read_all(source, start=5.0, frames=1, lead=3, trail=1)
    assert [frame.index is not None and frame.context for frame in found] == [True] * 3 + [
        False, True,
    ]  # fmt: skip
    every = tools.read_all(source)
    assert tools.same_samples(found, every[2:7])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_is_cut_as_without_context(tools, tmp_path: Path, suffix: str) -> None:
    source = tools.film(tmp_path / f"in{suffix}", pts=75, audio=True)
    whole = tmp_path / f"whole{suffix}"
    tools.passthrough(source, whole, read=ReadOptions(start=1.0, end=2.0))
    among = tmp_path / f"among{suffix}"
    with (
        open_reader(source, ReadOptions(start=1.0, end=2.0, lead=24, trail=8)) as reader,
        open_writer(reader, plan_output(reader, among)) as writer,
    ):
        for frame in ahead(reader, 4):
            if not frame.context:
                writer.write(frame)
        receipt = writer.finish()
    assert receipt.frames == 25
    assert tools.packets_of(among, "audio") == tools.packets_of(whole, "audio")
    assert stamps(among) == stamps(whole)


def stamps(path: Path) -> list[tuple[int, int | None, int | None]]:
    """Stream, time and duration of every packet of a file."""
    with av.open(str(path)) as container:
        packets = [(p.stream_index, p.pts, p.duration) for p in container.demux() if p.size]
    return sorted(packets, key=lambda packet: (packet[0], packet[1] or 0))


def ahead(frames, count: int):
    """Frames as the engine gives them out: some are read ahead."""
    held: list[Frame] = []
    for frame in frames:
        held.append(frame)
        if len(held) > count:
            yield held.pop(0)
    yield from held


def test_damage_of_frames_that_are_not_written_is_not_counted(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", 12)
    (folder / "003.png").write_bytes(b"\x89PNG not quite")
    (folder / "009.png").unlink()
    options = ReadOptions(start=0.2, frames=3, lead=LEAD, trail=TRAIL)
    with open_reader(folder, options) as reader:
        found = list(reader)
        assert [f.index for f in found if not f.context] == [5, 6, 7]
        assert [f.index for f in found if f.context] == [0, 1, 2, 4, 8, 9, 10]
        assert not reader.ledger.damaged


def test_every_methods_window_lies_within_what_is_read() -> None:
    lengths = [load(name).length for name in available() if hasattr(load(name), "length")]
    assert max([7, *lengths]) - 1 <= LEAD_OUT < LEAD_IN
