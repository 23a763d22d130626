"""What is written appears whole or not at all, and whatever fails is said so that one can act."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from f2rcli.errors import OutputError
from f2rcli.io import files
from f2rcli.io.files import PartFolder, check_target, disk_error, part_folder, write_file

posix = pytest.mark.skipif(os.name != "posix", reason="locks and permissions are POSIX's")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@posix
def test_a_link_in_the_parts_place_is_not_followed(tmp_path: Path) -> None:
    victim, target = tmp_path / "victim", tmp_path / "a.txt"
    victim.write_bytes(b"precious")
    for link in (part_folder(target).symlink_to, lambda path: os.link(path, part_folder(target))):
        link(victim)
        write_file(target, b"x", overwrite=True)
        assert (names(tmp_path), victim.read_bytes()) == (["a.txt", "victim"], b"precious")


def test_a_whole_file_or_none_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_file(target, b"longer", overwrite=True)
    assert (names(tmp_path), target.read_bytes()) == (["a.txt"], b"old")


@posix
def test_files_have_the_permissions_that_others_have(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_file(tmp_path / "a.txt", b"x", overwrite=False)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (plain, tmp_path / "a.txt")]
    assert modes[0] == modes[1]


def test_files_move_into_a_folder_that_is_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "other").write_bytes(b"stays")
    part = PartFolder(target, overwrite=False)
    assert part.path == part_folder(target) == target / ".out.part"
    part.add("1.png", b"one")
    part.publish()
    assert names(target) == ["1.png", "other"]


def test_none_of_a_folders_files_moves_where_one_is_there_already(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    for overwrite in (False, True):
        (target / "2.png").write_bytes(b"mine")
        part = PartFolder(target, overwrite=overwrite)
        part.add("1.png", b"one")
        part.add("2.png", b"two")
        if overwrite:
            part.publish()
            assert (target / "2.png").read_bytes() == b"two"
        else:
            with pytest.raises(OutputError, match=r"2\.png: already exists"):
                part.publish()
            part.discard()
            assert (names(target), (target / "2.png").read_bytes()) == (["2.png"], b"mine")
    assert names(target) == ["1.png", "2.png"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="out: cannot be written"):
        PartFolder(tmp_path / "missing" / "out", overwrite=False)
    part = PartFolder(tmp_path / "out", overwrite=False)
    with pytest.raises(OutputError, match=r"1\.png: cannot be written"):
        part.add("missing/1.png", b"x")


@pytest.mark.parametrize(
    ("number", "says", "hint"),
    [(errno.ENOSPC, "disk is full", "Free some space"),
     (errno.EDQUOT, "disk is full", "Free some space"),
     (errno.EFBIG, "size limit", "ulimit"),
     (errno.EACCES, "no permission", "another folder"),
     (errno.EPERM, "no permission", "another folder"),
     (errno.EROFS, "no permission", "another folder"),
     (errno.EPIPE, "closed by its reader", "after the pipe"),
     (errno.ENAMETOOLONG, "too long", "shorter"),
     (errno.EIO, "Input/output error", "Check the disk")],
)  # fmt: skip
def test_every_failure_of_the_disk_says_what_to_do(number: int, says: str, hint: str) -> None:
    error = disk_error(Path("/somewhere/a.mp4"), OSError(number, os.strerror(number)))
    assert str(error).startswith("a.mp4: cannot be written")
    assert says in str(error)
    assert hint in (error.hint or "")
    assert "strange" in str(disk_error(Path("a"), OSError("strange")))


def test_neither_a_folder_nor_unasked_a_file_is_replaced(tmp_path: Path) -> None:
    write_file(tmp_path / "a.mp4", b"out", overwrite=False)
    with pytest.raises(OutputError, match="is a folder"):
        check_target(tmp_path, [], overwrite=True)
    with pytest.raises(OutputError, match="already exists"):
        check_target(tmp_path / "a.mp4", [], overwrite=False)


@posix
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="not a regular file"):
        check_target(pipe, [], overwrite=True)


def test_a_forbidden_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def access(path: Path, mode: int) -> bool:
        asked.append((path, mode))
        return False

    monkeypatch.setattr(files.os, "access", access)
    with pytest.raises(OutputError, match="no permission to write into"):
        check_target(tmp_path / "a.mp4", [], overwrite=False)
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]


@posix
def test_two_cannot_write_one_folder_and_a_dead_ones_part_is_begun_anew(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for there in (False, True):
        first = PartFolder(target, overwrite=False)
        lies = first.add("1.png", b"one")
        with pytest.raises(OutputError, match="out: another run is writing it"):
            PartFolder(target, overwrite=False)
        assert lies.read_bytes() == b"one"
        first.discard()
        if not there:
            target.mkdir()
    part_folder(target).mkdir()
    files.lock_path(target).touch()
    PartFolder(target, overwrite=False).discard()
    assert (names(tmp_path), names(target)) == (["out"], [])


@pytest.mark.parametrize("name", ["o" * 250 + ".mp4", "é" * 125 + ".mp4", "o" * 251])
def test_the_longest_names_have_parts_with_shorter_ones(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    if target.suffix:
        write_file(target, b"x", overwrite=False)
        files.write_text(target, "y")
        assert target.read_text() == "y"
    else:
        folder = PartFolder(target, overwrite=False)
        folder.add("1.png", b"")
        folder.publish()
    assert names(tmp_path) == [name]


def test_a_name_too_long_for_the_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the name is too long"):
        check_target(tmp_path / ("o" * 300 + ".mp4"), [tmp_path], overwrite=True)


def test_only_what_nobody_has_written_to_for_a_day_is_swept(tmp_path: Path) -> None:
    """Its writer may be on another machine or in another container: no process can be asked."""
    day = 86_400
    for name, age in {".a.4194000.part": 60, ".b.1.part": 2 * day, ".c.txt": 9 * day}.items():
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    for name, inner in {".d.7.part": 60, ".e.8.part": 2 * day}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.f16").write_bytes(b"half")
        os.utime(tmp_path / name / "0.f16", (time.time() - inner,) * 2)
        os.utime(tmp_path / name, (time.time() - 3 * day,) * 2)
    files.sweep(tmp_path)
    assert names(tmp_path) == [".a.4194000.part", ".c.txt", ".d.7.part"]
