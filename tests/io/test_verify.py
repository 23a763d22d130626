"""A finished file is read again: how many frames it has, and when the first and last one come."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from f2rcli.errors import OutputError
from f2rcli.io.video.verify import Written, verify

BASE = Fraction(1, 1000)


def detail(*, variable: bool = True, tick: Fraction = Fraction(1, 90000)) -> SimpleNamespace:
    return SimpleNamespace(container=SimpleNamespace(variable_rate=variable, tick=tick))


def written(stamps: list[int], base: Fraction = BASE) -> Written:
    counted = Written(time_base=base)
    for stamp in stamps:
        counted.add(stamp, 40)
    return counted


@pytest.fixture
def clip(tools, tmp_path: Path) -> Path:
    """Six frames, one every 40 ms from 80 ms on."""
    return tools.write_clip(
        tmp_path / "a.mkv", pts=[80 + 40 * n for n in range(6)], time_base=BASE, last_duration=40
    )


STAMPS = [80, 120, 160, 200, 240, 280]


def checked(clip: Path, stamps: list[int], **options: object) -> tuple[str, ...]:
    return verify(clip, "out.mkv", 0, written(stamps), detail(**options))  # type: ignore[arg-type]


def test_a_file_that_holds_what_was_written_says_so(clip: Path) -> None:
    assert checked(clip, STAMPS) == ("6 frames", "last frame at 0.280 s")


@pytest.mark.parametrize("stamps", [STAMPS[:-1], [*STAMPS, 320]], ids=["more", "fewer"])
def test_another_number_of_frames_is_an_error(clip: Path, stamps: list[int]) -> None:
    with pytest.raises(OutputError, match=rf"{len(stamps)} frames were written but .* has 6"):
        checked(clip, stamps)


@pytest.mark.parametrize(("last", "good"), [(283, False), (277, False), (281, True), (279, True)])
def test_a_last_frame_at_another_time_is_an_error(clip: Path, last: int, good: bool) -> None:
    """Two ticks of the coarser clock are rounding, three are not."""
    stamps = [*STAMPS[:-1], last]
    if good:
        assert checked(clip, stamps)[0] == "6 frames"
    else:
        with pytest.raises(OutputError, match=rf"should be at 0\.{last} s but is at 0\.280 s"):
            checked(clip, stamps)


@pytest.mark.parametrize(("last", "good"), [(282, True), (278, True), (283, False)])
def test_exactly_two_ticks_are_forgiven(clip: Path, last: int, good: bool) -> None:
    stamps = [*STAMPS[:-1], last]
    if good:
        checked(clip, stamps)
    else:
        with pytest.raises(OutputError):
            checked(clip, stamps)


def test_the_containers_tick_counts_where_it_is_coarser(clip: Path) -> None:
    checked(clip, [*STAMPS[:-1], 300], tick=Fraction(1, 100))
    with pytest.raises(OutputError):
        checked(clip, [*STAMPS[:-1], 301], tick=Fraction(1, 100))


def test_a_clip_that_was_moved_as_a_whole_is_right_and_says_where_it_starts(clip: Path) -> None:
    moved = [stamp - 50 for stamp in STAMPS]
    assert checked(clip, moved) == ("6 frames", "length; it starts at 0.080 s, not 0.030 s")
    assert checked(clip, [stamp - 1 for stamp in STAMPS])[1].startswith("last frame at")
    assert checked(clip, [stamp - 2 for stamp in STAMPS])[1].startswith("length")


def test_containers_of_one_rate_are_counted_alone(clip: Path) -> None:
    assert checked(clip, [0, 1, 2, 3, 4, 5], variable=False) == ("6 frames",)


def test_one_frame_is_one_frame(tools, tmp_path: Path) -> None:
    path = tools.write_clip(tmp_path / "one.mkv", pts=[40], time_base=BASE, last_duration=40)
    assert checked(path, [40]) == ("1 frame", "last frame at 0.040 s")


def test_the_stream_that_is_asked_for_is_read(tools, tmp_path: Path) -> None:
    path = tools.write_clip(tmp_path / "a.mkv", pts=6, time_base=Fraction(1, 25), audio=True)
    counted = written([40 * n for n in range(6)])
    assert verify(path, "a", 0, counted, detail())[0] == "6 frames"  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="but the file has"):
        verify(path, "a", 1, counted, detail())  # type: ignore[arg-type]


def test_reordered_frames_are_in_the_order_of_their_times(tools, tmp_path: Path) -> None:
    path = tools.write_clip(tmp_path / "b.mp4", codec="libx264", pts=20, smooth=True)
    counted = written(list(range(20)), Fraction(1, 25))
    assert verify(path, "b", 0, counted, detail()) == ("20 frames", "last frame at 0.760 s")  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["missing", "cut", "no such stream"])
def test_what_cannot_be_read_back_is_an_error(clip: Path, tmp_path: Path, damage: str) -> None:
    index = 3 if damage == "no such stream" else 0
    path = tmp_path / "gone.mkv" if damage == "missing" else clip
    if damage == "cut":
        clip.write_bytes(clip.read_bytes()[:40])
    with pytest.raises(OutputError, match=r"out\.mkv: cannot be read back: \S"):
        verify(path, "out.mkv", index, written(STAMPS), detail())  # type: ignore[arg-type]


def test_what_is_written_is_counted() -> None:
    counted = Written(time_base=BASE)
    assert counted.seconds == 0
    for stamp in (30, 70, 110):
        counted.add(stamp, 40)
    assert (counted.frames, counted.first, counted.last) == (3, 30, 110)
    assert (counted.step, counted.end, counted.uneven) == (40, 150, False)
    assert counted.seconds == Fraction(120, 1000)
    counted.add(150, 60)
    assert counted.uneven
    counted.add(210, 40)
    assert counted.uneven
    assert counted.first == 30


def test_a_clip_that_begins_at_nothing_is_measured_from_there(tools, tmp_path: Path) -> None:
    path = tools.write_clip(tmp_path / "a.mkv", pts=[0, 40, 80], time_base=BASE, last_duration=40)
    assert checked(path, [0, 40, 80]) == ("3 frames", "last frame at 0.080 s")
    for last in (78, 82):
        checked(path, [0, 40, last])
    for last in (77, 83):
        with pytest.raises(OutputError):
            checked(path, [0, 40, last])


@pytest.mark.parametrize(("first", "good"), [(-42, True), (-38, True), (-43, False), (-37, False)])
def test_a_clip_may_end_at_nothing(tools, tmp_path: Path, first: int, good: bool) -> None:
    path = tools.write_clip(tmp_path / "a.mkv", pts=[40, 80], time_base=BASE, last_duration=40)
    if good:
        assert checked(path, [first, 0])[0] == "2 frames"
    else:
        with pytest.raises(OutputError, match=r"should be at 0\.000 s but is at 0\.080 s"):
            checked(path, [first, 0])
