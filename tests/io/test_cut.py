"""--start, --end and --frames take exactly the frames asked for, and the sound beside them."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import Frame
from f2rcli.io import ReadOptions, open_reader


@pytest.fixture(scope="module", params=[".mp4", ".mkv", ".ts", ".h264", ".avi", ".webm"])
def clip(request, tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    suffix = request.param
    codec = {".avi": "mjpeg", ".webm": "libvpx-vp9"}.get(suffix, "libx264")
    options = {"g": "12", "keyint_min": "12"} if codec == "libx264" else {}
    return tools.write_clip(
        tmp_path_factory.mktemp("cut") / f"in{suffix}", codec=codec, pts=50, smooth=True,
        size=(128, 96), options=options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def every(tools, clip: Path) -> list[Frame]:
    return tools.read_all(clip)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"start": 0.4}, range(10, 50)),
        ({"start": 1.0, "end": 1.2}, range(25, 30)),
        ({"end": 0.1}, range(3)),
        ({"frames": 7}, range(7)),
        ({"start": 1.9, "frames": 7}, range(48, 50)),
        ({"start": 0.41, "frames": 2}, range(11, 13)),
        ({"start": 0.04, "frames": 1}, range(1, 2)),
        ({"start": 0.0, "end": 99.0}, range(50)),
    ],
)
def test_exactly_the_frames_asked_for(tools, clip, every, options, wanted: range) -> None:
    with open_reader(clip, ReadOptions(**options)) as reader:
        some = list(reader)
        assert not reader.ledger.damaged, reader.ledger.lines()
    assert len(some) == len(wanted)
    assert tools.same_samples(some, [every[n] for n in wanted])
    assert some[0].pts == every[0].pts  # begins when its source does
    gaps = [b.pts - a.pts for a, b in itertools.pairwise(some)]
    assert gaps == [every[n + 1].pts - every[n].pts for n in wanted[:-1]]


def test_a_start_behind_the_end_is_an_error(clip: Path) -> None:
    with (
        pytest.raises(InputError, match="no frame at or after"),
        open_reader(clip, ReadOptions(start=50.0)) as reader,
    ):
        list(reader)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"start": -1.0}, "start=-1"), ({"start": 5, "end": 5}, "end=5: must lie after the start, 5"),
     ({"start": 2.0, "end": 1.0}, "end=1"), ({"end": 0.0}, "end=0"), ({"frames": 0}, "frames=0")],
)  # fmt: skip
def test_impossible_stretches_are_refused(options, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ReadOptions(**options)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_is_cut_with_the_picture(tools, tmp_path: Path, suffix: str) -> None:
    source = tools.film(tmp_path / f"in{suffix}", pts=75, audio=True)
    target = tmp_path / f"out{suffix}"
    tools.passthrough(source, target, read=ReadOptions(start=1.0, end=2.0))
    picture, sound = spans(target)
    before = spans(source)
    assert picture[1] - picture[0] == pytest.approx(1.0, abs=0.041 if suffix == ".ts" else 0.002)
    frame = 1024 / 8000
    assert sound[0] - picture[0] == pytest.approx(0, abs=frame + 0.03)
    assert sound[1] - picture[1] == pytest.approx(0, abs=2 * frame + 0.03)
    assert picture[0] == pytest.approx(before[0][0], abs=0.2)
    whole = tools.packets_of(source, "audio")
    some = tools.packets_of(target, "audio")
    first = whole.index(some[0])
    assert some == whole[first : first + len(some)]
    assert first >= 6


def spans(path: Path) -> list[tuple[float, float]]:
    with av.open(str(path)) as container:
        found: dict[str, list[tuple[float, float]]] = {"video": [], "audio": []}
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                start, end = packet.pts, packet.pts + (packet.duration or 0)
                base = float(packet.time_base)
                found[packet.stream.type].append((start * base, end * base))
    return [(min(kind)[0], max(end for _, end in kind)) for kind in found.values()]


def test_chapters_are_cut_and_moved(tools, odd, tmp_path: Path) -> None:
    source = odd("audio_movtext_chapters.mp4")
    with av.open(str(source)) as container:
        before = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in container.chapters()
        ]
    cut = float(before[0][1]) + 0.1
    tools.passthrough(source, tmp_path / "out.mp4", read=ReadOptions(start=cut))
    with av.open(str(tmp_path / "out.mp4")) as container:
        chapters = container.chapters()
        assert len(chapters) == len(before) - 1
        assert chapters[0]["start"] == 0
        end = chapters[-1]["end"] * chapters[-1]["time_base"]
        assert float(before[-1][1] - end) == pytest.approx(cut, abs=0.05)


def test_a_variable_rate_is_cut_by_time(tools, tmp_path: Path) -> None:
    stamps = [0, 3000, 7300, 9000, 20000, 45000, 90000, 91000]
    source = tools.film(tmp_path / "in.mp4", pts=stamps, time_base=Fraction(1, 90000))
    some = tools.read_all(source, start=0.1, end=1.0)
    assert [frame.pts for frame in some] == [0, 11000, 36000]
    assert [frame.duration for frame in some] == [11000, 25000, 45000]
