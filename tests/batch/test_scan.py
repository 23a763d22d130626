"""Which clips a folder holds, and where they go; on empty files, which nobody opens."""

import os
import threading
from pathlib import Path

import pytest

from f2rcli.batch import targets
from f2rcli.batch.records import content_of
from f2rcli.batch.scan import Choice, scan
from f2rcli.batch.targets import place_all, tells_cases_apart
from f2rcli.errors import UsageError

ALL = Choice(recursive=True)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def places(sources: list[Path], choice: Choice = ALL, **options: Path) -> list[str]:
    found = scan([str(source) for source in sources], choice, **options)
    return [clip.place.as_posix() for clip in found.clips]


def test_folders_in_folders_only_when_asked(tmp_path: Path) -> None:
    touch(tmp_path / "a.mkv", tmp_path / "deep/er/b.mp4", tmp_path / ".hidden/c.mkv")
    assert places([tmp_path], Choice()) == ["a.mkv"]
    assert places([tmp_path]) == ["a.mkv", "deep/er/b.mp4"]


def test_several_folders_keep_their_names_apart(tmp_path: Path) -> None:
    touch(tmp_path / "one/a.mkv", tmp_path / "two/a.mkv", tmp_path / "b.mkv")
    found = places([tmp_path / "one", tmp_path / "two", tmp_path / "b.mkv"], Choice())
    assert found == ["one/a.mkv", "two/a.mkv", "b.mkv"]


def test_order_is_natural(tmp_path: Path) -> None:
    touch(*(tmp_path / f"take {number}.mkv" for number in (10, 2, 1)))
    assert places([tmp_path]) == ["take 1.mkv", "take 2.mkv", "take 10.mkv"]


def test_patterns_choose_by_name_or_by_place_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path / "a.MKV", tmp_path / "a.mp4", tmp_path / "x/b.mkv", tmp_path / "odd.bin")
    assert places([tmp_path], Choice(True, ("*.mkv",))) == ["a.MKV", "x/b.mkv"]
    assert places([tmp_path], Choice(True, ("x/*", "*.bin"))) == ["odd.bin", "x/b.mkv"]


def test_pictures_alone_are_a_clip_and_beside_videos_they_are_left_out_aloud(
    tmp_path: Path,
) -> None:
    touch(*(tmp_path / f"shot/{number:03}.png" for number in range(3)))
    touch(tmp_path / "mixed/a.mkv", tmp_path / "mixed/poster.jpg")
    found = scan([str(tmp_path)], ALL)
    assert [clip.place.as_posix() for clip in found.clips] == ["mixed/a.mkv", "shot"]
    (remark,) = found.remarks
    assert "1 picture beside other clips left out" in remark
    assert places([tmp_path / "mixed"], Choice(patterns=("*.jpg",))) == ["poster.jpg"]
    assert places([tmp_path / "shot"], Choice(patterns=("*.mkv",))) == []


def test_pictures_above_other_clips_go_into_a_folder_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "shots/1.png", tmp_path / "shots/2.png", tmp_path / "shots/deep/1.png")
    assert places([tmp_path]) == ["shots/deep", "shots/shots"]
    assert places([tmp_path / "shots"]) == ["deep", "shots"]


def test_links_in_circles_end_and_never_replace_the_folder_they_lead_to(tmp_path: Path) -> None:
    touch(tmp_path / "z/a.mkv", tmp_path / "elsewhere/b.mkv")
    (tmp_path / "z/loop").symlink_to(tmp_path / "z")
    (tmp_path / "a link").symlink_to(tmp_path / "z")
    (tmp_path / "z/gone.mkv").symlink_to(tmp_path / "nowhere.mkv")
    (tmp_path / "z/in").symlink_to(tmp_path / "elsewhere")
    found = scan([str(tmp_path / "z"), str(tmp_path / "a link")], ALL)
    names = [clip.place.as_posix() for clip in found.clips]
    assert names == ["z/a.mkv", "z/gone.mkv", "z/in/b.mkv"]
    assert len(found.remarks) == 2


def test_the_output_folder_is_not_looked_into(tmp_path: Path) -> None:
    touch(tmp_path / "a.mkv", tmp_path / "out/a.mkv")
    assert places([tmp_path], avoid=tmp_path / "out") == ["a.mkv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look anywhere")
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    touch(tmp_path / "a.mkv", tmp_path / "closed/b.mkv")
    (tmp_path / "closed").chmod(0)
    found = scan([str(tmp_path)], ALL)
    (tmp_path / "closed").chmod(0o755)
    assert [path.name for path, _ in found.unreadable] == ["closed"]


def placed(folder: Path, output: Path) -> tuple[list[str], list[str]]:
    entries, remarks = place_all(scan([str(folder)], ALL).clips, output)
    return [str(entry.target.relative_to(output)) for entry in entries], remarks


def test_names_stay_and_suffixes_change_only_where_they_cannot_be_written(tmp_path: Path) -> None:
    touch(tmp_path / "in/a_f2r.mkv", tmp_path / "in/b.mpg", tmp_path / "in/c.MOV")
    names, _ = placed(tmp_path / "in", tmp_path / "out")
    assert (names[0], names[2]) == ("a_f2r.mkv", "c.MOV")
    assert Path(names[1]).stem == "b"
    assert Path(names[1]).suffix != ".mpg"


def test_two_inputs_never_share_an_output(tmp_path: Path) -> None:
    touch(tmp_path / "in/b.mpg", tmp_path / "in/b.vob")
    with pytest.raises(UsageError, match=r"b\.mpg and .*b\.vob: both would be written to"):
        placed(tmp_path / "in", tmp_path / "out")


def test_an_output_is_never_an_input(tmp_path: Path) -> None:
    touch(tmp_path / "out/sub/a.mkv", tmp_path / "a.mkv")
    clips = scan([str(tmp_path / "a.mkv"), str(tmp_path / "out/sub/a.mkv")]).clips[:1]
    with pytest.raises(UsageError, match="is an input itself"):
        place_all(clips, tmp_path)


@pytest.mark.parametrize("names", [("A.mkv", "a.mkv"), ("\u00e9.mkv", "e\u0301.mkv")])
def test_names_that_some_disks_take_for_one_are_told_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]
) -> None:
    touch(*(tmp_path / "in" / name for name in names))
    if len(list((tmp_path / "in").iterdir())) < 2:
        pytest.skip("this disk takes them for one")
    both, remarks = placed(tmp_path / "in", tmp_path / "out")
    assert sorted(both) == sorted(names)
    assert len(remarks) == 1
    monkeypatch.setattr(targets, "tells_cases_apart", lambda folder: False)
    with pytest.raises(UsageError, match="differ only in case"):
        placed(tmp_path / "in", tmp_path / "out")


def test_a_disk_that_tells_cases_apart_is_known_before_the_folder_exists(tmp_path: Path) -> None:
    (tmp_path / "Aa").mkdir()
    assert tells_cases_apart(tmp_path / "Aa" / "new") != (tmp_path / "aA").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_left_out_aloud(tmp_path: Path) -> None:
    touch(tmp_path / "a.mkv", tmp_path / "shot/1.png", tmp_path / "shot/2.png")
    os.mkfifo(tmp_path / "b.mkv")
    os.mkfifo(tmp_path / "shot/3.png")
    (tmp_path / "c.mp4").symlink_to("/dev/zero")
    (tmp_path / "d.mp4").symlink_to("nowhere")  # said by its own run
    found = scan([str(tmp_path)], ALL)
    assert [clip.place.as_posix() for clip in found.clips] == ["a.mkv", "d.mp4", "shot"]
    assert [remark.split(":")[0].rpartition("/")[2] for remark in found.remarks] == [
        "b.mkv", "c.mp4", "3.png",
    ]  # fmt: skip
    with pytest.raises(OSError, match="pipe or a device"):
        content_of(tmp_path / "b.mkv", None)


def test_reading_a_clips_bytes_ends_when_the_batch_does(tmp_path: Path) -> None:
    touch(tmp_path / "empty.mkv")
    (tmp_path / "a.mkv").write_bytes(b"x")
    stopped = threading.Event()
    stopped.set()
    content_of(tmp_path / "empty.mkv", None, stopped)
    with pytest.raises(InterruptedError):
        content_of(tmp_path / "a.mkv", None, stopped)
