"""Records on disk: whole or as before, whatever happens in mid-write; claims that nobody holds."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path, PurePath

import pytest

from f2rcli.batch import records as module
from f2rcli.batch.records import ClipRecord, Content, Records, content_of, stamp_of
from f2rcli.errors import OutputError
from f2rcli.io import atomic
from f2rcli.io.locks import lock

PLACE = PurePath("sub/clip.mkv")
RECORD = ClipRecord(source="s", target="t", settings="x", content=Content(digest="d", stamp="s"))

posix = pytest.mark.skipif(os.name != "posix", reason="claims are POSIX's")

KILLED = """
import os, pathlib, sys
from f2rcli.batch.records import ClipRecord, Content, Records
from pathlib import PurePath
whole = pathlib.Path.write_text
def half(self, text, **options):
    with self.open("w", encoding="utf-8") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        os.kill(os.getpid(), 9)
pathlib.Path.write_text = half
record = ClipRecord(source="new", target="t", settings="x", content=Content(digest="d", stamp="s"))
Records(pathlib.Path(sys.argv[1])).keep(PurePath("sub/clip.mkv"), record)
"""


@posix
def test_a_run_killed_in_mid_write_leaves_the_record_of_before(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.keep(PLACE, RECORD)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert records.find(PLACE) == RECORD
    records.keep(PLACE, replace(RECORD, finished=True))
    assert records.find(PLACE) == replace(RECORD, finished=True)


@pytest.mark.parametrize("failing", ["write", "rename"])
def test_a_write_that_fails_leaves_the_record_of_before_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    records = Records(tmp_path)
    records.keep(PLACE, RECORD)
    whole = Path.write_text

    def write(self: Path, text: str, **options: str) -> int:
        whole(self, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    def rename(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr(Path, "write_text", write)
        else:
            patch.setattr(atomic.os, "replace", rename)
        with pytest.raises(OSError, match=r"No space|Input/output"):
            records.keep(PLACE, replace(RECORD, finished=True))
    assert records.find(PLACE) == RECORD
    assert len(list(records.folder.iterdir())) == 1


def test_every_place_has_a_record_of_its_own(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for name in ("a", "b", "sub/a"):
        records.keep(PurePath(name), replace(RECORD, source=name))
    assert [records.find(PurePath(n)).source for n in ("a", "b", "sub/a")] == ["a", "b", "sub/a"]  # type: ignore[union-attr]
    assert len(list((tmp_path / ".f2r").iterdir())) == 3
    records.forget(PurePath("b"))
    assert records.find(PurePath("b")) is None
    assert records.find(PurePath("a")) is not None


@pytest.mark.parametrize("damage", [{"format": 0}, {"more": 1}, {"content": None}])
def test_a_record_of_another_kind_counts_for_nothing(
    tmp_path: Path, damage: dict[str, object]
) -> None:
    records = Records(tmp_path)
    records.keep(PLACE, RECORD)
    (path,) = records.folder.iterdir()
    path.write_text(json.dumps(asdict(RECORD) | damage))
    assert records.find(PLACE) is None
    path.write_text(json.dumps(asdict(RECORD)))
    assert records.find(PLACE) == RECORD


def test_facts_and_flags_come_back(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert (RECORD.finished, RECORD.fresh, RECORD.made, RECORD.facts) == (False, True, "", {})
    full = replace(RECORD, finished=True, fresh=False, made="m", facts={"fps": 2.5, "n": [1, 2]})
    records.keep(PLACE, full)
    assert records.find(PLACE) == full
    later = Records(tmp_path / "new" / "out")  # what was removed meanwhile is made again
    later.keep(PLACE, full)
    assert later.find(PLACE) == full


def test_an_output_that_cannot_be_written_is_said_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(tmp_path / "new" / "out")
    records.prepare()
    assert not list(records.folder.iterdir())
    with monkeypatch.context() as other:  # another shard has removed the same file
        other.setattr(module, "write_text", lambda path, text: None)
        records.prepare()

    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(atomic.os, "replace", refused)
    with pytest.raises(OutputError, match=r"out: cannot be written: Read-only file system"):
        records.prepare()


@posix
def test_a_claim_is_held_by_one_and_given_back(tmp_path: Path) -> None:
    records, never = Records(tmp_path), threading.Event()
    stopped = threading.Event()
    stopped.set()
    before = len(os.listdir("/dev/fd"))
    with records.claimed(PLACE, never) as claim:
        assert claim is not None
        with pytest.raises(InterruptedError), records.claimed(PLACE, stopped):
            raise AssertionError("two at a time")
        with records.claimed(PurePath("other"), stopped) as other:
            assert other is not None
    assert len(os.listdir("/dev/fd")) == before
    assert not list(records.folder.iterdir())
    with records.claimed(PLACE, stopped) as again:
        assert again is not None


@posix
def test_a_claim_makes_the_folder_it_lies_in(tmp_path: Path) -> None:
    with Records(tmp_path / "not" / "there").claimed(PLACE, threading.Event()) as claim:
        assert claim is not None


@posix
def test_a_claim_ends_with_an_error_too(tmp_path: Path) -> None:
    records, stopped = Records(tmp_path), threading.Event()
    stopped.set()
    with pytest.raises(KeyError), records.claimed(PLACE, stopped):
        raise KeyError
    with records.claimed(PLACE, stopped) as claim:
        assert claim is not None


@posix
def test_a_claim_whose_file_was_removed_meanwhile_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last holder removes the file between opening it here and locking it."""
    import fcntl

    path, real = tmp_path / "a.claim", fcntl.flock
    for vanish in (True, False):

        def removed(descriptor: int, how: int, vanish: bool = vanish) -> None:
            monkeypatch.setattr(fcntl, "flock", real)
            real(descriptor, how)
            path.unlink()
            if not vanish:
                path.write_bytes(b"")  # another one's already

        monkeypatch.setattr(fcntl, "flock", removed)
        before = len(os.listdir("/dev/fd"))
        claim = lock(path)
        assert path.stat().st_ino == os.fstat(claim).st_ino
        with pytest.raises(BlockingIOError):
            lock(path)
        os.close(claim)
        assert len(os.listdir("/dev/fd")) == before


@posix
def test_disks_without_locks_are_worked_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def unknown(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    before = len(os.listdir("/dev/fd"))
    with Records(tmp_path).claimed(PLACE, threading.Event()):
        assert len(os.listdir("/dev/fd")) == before + 1
    assert len(os.listdir("/dev/fd")) == before


def test_systems_without_claims_are_worked_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "name", "nt")
    with Records(tmp_path).claimed(PLACE, threading.Event()) as claim:
        assert claim is None
    assert not (tmp_path / ".f2r").exists()


def test_a_stamp_follows_size_time_and_inode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = stamp_of(path)
    assert stamp_of(path) == first
    state = path.stat()
    other = tmp_path / "b"
    other.write_bytes(b"one")
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.replace(other, path)  # the same size and time, another inode
    assert stamp_of(path) != first


def test_a_digest_is_of_names_and_bytes_and_unlike_for_moved_bytes(tmp_path: Path) -> None:
    digests = set()
    for names in ({"a": b"1", "b": b"2"}, {"a": b"2", "b": b"1"}, {"a": b"12", "b": b""}):
        for name, data in names.items():
            (tmp_path / name).write_bytes(data)
        found = content_of(tmp_path, None)
        assert found.stamp == stamp_of(tmp_path)
        digests.add(found.digest)
    assert len(digests) == 3


def test_a_zarr_is_looked_into_all_the_way_down_and_other_folders_are_not(tmp_path: Path) -> None:
    for name, deep in (("pics", False), ("stack.zarr", True)):
        folder = tmp_path / name
        (folder / "sub" / ".hidden").mkdir(parents=True)
        (folder / "top").write_bytes(b"1")
        first = content_of(folder, None)
        (folder / "sub" / ".hidden" / "x").write_bytes(b"1")
        (folder / "sub" / ".x").write_bytes(b"1")
        assert content_of(folder, None).digest == first.digest
        (folder / "sub" / "x").write_bytes(b"1")
        assert (content_of(folder, None).digest != first.digest) is deep
        assert (stamp_of(folder) != first.stamp) is deep


def test_records_have_the_names_that_earlier_runs_gave_them(tmp_path: Path) -> None:
    Records(tmp_path).keep(PLACE, RECORD)
    name = hashlib.sha256(b"sub/clip.mkv").hexdigest()[:32]
    assert [path.name for path in (tmp_path / ".f2r").iterdir()] == [f"{name}.json"]
