"""The split screen: every panel in its place, in step with the source, and whole or not there."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.errors import OutputError, UsageError
from f2rcli.evaluation.base import ClipFacts
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import ClipResult
from f2rcli.evaluation.visuals.split_screen import GAP, HEAD, LARGEST, SplitScreen, _Screen
from f2rcli.frames import Space

SETTING = ClipFacts(space=Space.RGB, rate=25.0)
RED, GREEN, BLUE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def plain(colour: tuple[float, ...], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.broadcast_to(np.float32(colour)[:, None, None], (len(colour), *size)).copy()


def result(size: tuple[int, int], name: str = "clip") -> ClipResult:
    return ClipResult(name=name, width=size[1], height=size[0], frames=1, space="rgb")


def written(
    path: Path, size: tuple[int, int], seconds: list[float | None], setting: ClipFacts = SETTING
) -> None:
    with SplitScreen(path) as screen:
        screen.begin("clip", setting, ("none", "f2r"))
        for index, at in enumerate(seconds):
            frame_set = FrameSet(index, at, reference=plain(BLUE, size), noisy=plain(RED, size))
            screen.see(frame_set, {"f2r": plain(GREEN, size)})
        screen.end(result(size))


def read(path: Path) -> tuple[list[NDArray[np.uint8]], list[Fraction]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    times = [frame.pts * frame.time_base for frame in frames]
    return [frame.to_ndarray(format="rgb24") for frame in frames], times


@pytest.mark.parametrize("size", [(120, 200), (97, 131), (40, 51)])
def test_panels_stand_in_order_whatever_their_size(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "look.mp4"
    written(path, size, [None] * 3)
    pictures, _ = read(path)
    assert len(pictures) == 3
    height, width = pictures[0].shape[:2]
    assert width >= 3 * size[1] + 2 * GAP
    assert height > size[0]
    for panel, colour in enumerate((RED, GREEN, BLUE)):
        x = panel * (size[1] + GAP) + size[1] // 2
        found = pictures[1][height - size[0] // 2, x].astype(int)
        assert np.abs(found - 255 * np.array(colour)).max() < 12, (panel, found)


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    path = tmp_path / "look.mkv"
    uneven = [0.0, 0.04, 0.2, 0.24, 1.0]
    written(path, (64, 80), list(uneven))
    _, times = read(path)
    assert [float(time - times[0]) for time in times] == pytest.approx(uneven, abs=0.0015)


def test_time_goes_on_where_the_next_lane_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "look.mkv"
    written(path, (64, 80), [5.0, 5.04, 5.08, 5.0, 5.04])
    _, times = read(path)
    assert [float(t) for t in times] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16], abs=0.0015)


def test_without_times_the_rate_says_when(tmp_path: Path) -> None:
    path = tmp_path / "look.mp4"
    written(path, (64, 80), [None] * 4, ClipFacts(space=Space.RGB, rate=50.0))
    _, times = read(path)
    assert [float(time) for time in times] == pytest.approx([0, 0.02, 0.04, 0.06], abs=1e-4)


def test_an_unfinished_video_leaves_nothing(tmp_path: Path) -> None:
    size = (64, 80)
    with SplitScreen(tmp_path / "look.mp4") as screen:
        screen.begin("clip", SETTING, ("f2r",))
        for index in range(3):
            screen.see(FrameSet(index, noisy=plain(RED, size)), {"f2r": plain(GREEN, size)})
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_several_clips_get_files_of_their_own(tmp_path: Path) -> None:
    size = (48, 64)
    with SplitScreen(tmp_path / "look.mp4", clips=3) as screen:
        for name in ("a/b", "a b", "c"):
            screen.begin(name, SETTING, ("f2r",))
            screen.see(FrameSet(0, noisy=plain(RED, size)), {"f2r": plain(GREEN, size)})
            screen.end(result(size, name))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["look-a_b-2.mp4", "look-a_b.mp4", "look-c.mp4"]
    assert sorted(path.name for path in screen.paths) == names


def test_a_folder_takes_one_file_per_clip(tmp_path: Path) -> None:
    with SplitScreen(tmp_path / "looks") as screen:
        screen.begin("clip", SETTING, ("f2r",))
        screen.see(FrameSet(0), {"f2r": plain((0.5,), (48, 64))})
        screen.end(result((48, 64)))
    assert [path.name for path in (tmp_path / "looks").iterdir()] == ["clip.mp4"]


def test_a_method_that_stopped_leaves_its_panel_dark(tmp_path: Path) -> None:
    size = (80, 100)
    path = tmp_path / "look.mp4"
    with SplitScreen(path) as screen:
        screen.begin("clip", SETTING, ("none", "gone", "f2r"))
        for index in range(2):
            frame_set = FrameSet(index, noisy=plain(RED, size))
            screen.see(frame_set, {"f2r": plain(GREEN, size)})
        screen.end(result(size))
    picture = read(path)[0][1]
    assert picture[-40, size[1] + GAP + 50].max() < 50
    assert picture[-40, 2 * (size[1] + GAP) + 50, 1] > 230


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "look.mp4"
    path.write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        written(path, (48, 64), [None])
    assert path.read_text() == "mine"


def test_pictures_are_no_split_screen(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"compare_video='look\.tif"):
        SplitScreen(tmp_path / "look.tif")


def test_huge_frames_are_reduced_and_say_so() -> None:
    screen = _Screen((2160, 3840), ["noisy", "f2r", "reference"])
    assert screen.factor == 2
    assert screen.size[0] <= LARGEST[0]
    assert screen.size[1] <= LARGEST[1]


def test_more_than_three_panels_make_a_square() -> None:
    screen = _Screen((100, 300), ["a", "b", "c", "d"])
    assert (screen.across, screen.down) == (2, 2)
    assert screen.size == (2 * (100 + HEAD), 2 * 300 + GAP)
