"""What is done is known by bytes and settings; claims last as long as their holders."""

import os
import subprocess
import sys
import threading
from pathlib import Path, PurePath

import pytest

from f2rcli.batch import records as module
from f2rcli.batch.records import Content, Record, Records, content_of

PLACE = PurePath("sub/clip.mkv")


def test_a_touched_file_is_the_same_and_a_changed_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = content_of(path, None)
    os.utime(path, ns=(1, 1))
    touched = content_of(path, first)
    assert (touched.digest, touched.stamp) != (first.digest, first.stamp)
    assert touched.digest == first.digest
    stat = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the size and time of before
    assert content_of(path, touched).digest != first.digest


def test_bytes_are_not_read_again_while_the_stamp_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    known = Content(digest="known", stamp=content_of(path, None).stamp)
    assert content_of(path, known) is known


def test_a_folder_is_its_files_by_name_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "pics"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"a")
    first = content_of(folder, None).digest
    (folder / ".hidden").write_bytes(b"x")
    assert content_of(folder, None).digest == first
    (folder / "1.png").rename(folder / "2.png")
    assert content_of(folder, None).digest != first


def test_records_come_back_and_broken_ones_count_for_nothing(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = Record(
        source="s", target="t", settings="x", content=Content(digest="d", stamp="s"), facts={"a": 1}
    )
    records.keep(PLACE, record)
    assert records.find(PLACE) == record
    (path,) = records.folder.iterdir()
    for text in ("", "{", "[]", '{"format": 99}', '{"format": 1}', "\xff"):
        path.write_text(text, encoding="latin-1")
        assert records.find(PLACE) is None
    records.forget(PLACE)
    records.forget(PLACE)
    assert not list(records.folder.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="claims are POSIX's")
def test_a_claim_lasts_until_the_last_holder_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLAIM_STEP", 0.02)
    records, never = Records(tmp_path), threading.Event()
    with records.claimed(PLACE, never) as claim:
        assert claim is not None
        heir = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(claim,)
        )
        stopped = threading.Event()
        stopped.set()
        with pytest.raises(InterruptedError), records.claimed(PLACE, stopped):
            raise AssertionError("two at a time")
        path = next(records.folder.glob("*.claim"))
        path.with_suffix(".kept").hardlink_to(path)  # as if this process had been killed here
    path.with_suffix(".kept").rename(path)
    let_go = []

    def end_heir() -> None:
        let_go.append(True)
        heir.communicate(b"\n")

    threading.Timer(0.3, end_heir).start()
    with records.claimed(PLACE, never):
        assert let_go
    heir.wait()
    assert not list(records.folder.iterdir())
