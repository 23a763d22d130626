"""What is done is known by bytes and settings; claims last as long as their holders."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path, PurePath

import pytest

from f2rcli.batch import records as module
from f2rcli.batch.records import ClipRecord, Content, Records, content_of, settings_hash

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
    record = ClipRecord(
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


def test_records_of_fields_of_other_kinds_count_for_nothing(tmp_path: Path) -> None:
    records, content = Records(tmp_path), Content(digest="d", stamp="s")
    good = ClipRecord(source="s", target="t", settings="x", content=content)
    records.keep(PLACE, good)
    (path,) = records.folder.iterdir()
    whole = json.loads(path.read_text())
    assert whole["format"] == 1  # what earlier runs wrote
    odd = {
        "source": 1, "target": None, "settings": [], "finished": "yes", "fresh": None, "made": 0,
        "facts": [1], "content": {"digest": 1, "stamp": "s"},
    }  # fmt: skip
    for name, value in odd.items():
        path.write_text(json.dumps(whole | {name: value}))
        assert records.find(PLACE) is None, name
    path.write_text(json.dumps(whole))
    assert records.find(PLACE) == good


def test_options_that_change_a_result_and_the_bytes_of_weights_are_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module.weights, "mark", lambda name: f"mark of {name}")
    plain = {"sigma": ["5"], "crf": ["18"]}
    first = settings_hash(plain, None)
    assert settings_hash(dict(reversed(plain.items())), None) == first
    for name in ("overwrite", "keep_partial", "resume", "device", "tile", "threads"):
        assert settings_hash(plain | {name: ["any"]}, None) == first
    others = [{"sigma": ["6"], "crf": ["18"]}, {"sigma": ["5"]}, plain | {"strength": ["1"]}]
    found = [settings_hash(one, None) for one in others] + [settings_hash(plain, "other")]
    assert len({first, *found}) == 5
    assert {len(one) for one in found} == {64}


def test_reading_ends_once_the_run_is_to_stop(tmp_path: Path) -> None:
    path, stopped = tmp_path / "a", threading.Event()
    path.write_bytes(b"one")
    assert content_of(path, None, stopped).digest == content_of(path, None).digest
    stopped.set()
    with pytest.raises(InterruptedError):
        content_of(path, None, stopped)


@pytest.mark.skipif(os.name != "posix", reason="pipes in folders are POSIX's")
def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a pipe or a device") as error:
        content_of(tmp_path / "pipe", None)
    assert (error.value.errno, error.value.filename) == (errno.EINVAL, str(tmp_path / "pipe"))


@pytest.mark.skipif(os.name != "posix", reason="claims are POSIX's")
def test_a_claim_is_looked_at_twice_a_second(tmp_path: Path) -> None:
    class Waiting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            asked.append(timeout)
            return len(asked) == 3

    asked: list[float | None] = []
    records = Records(tmp_path)
    with (
        records.claimed(PLACE, threading.Event()),
        pytest.raises(InterruptedError),
        records.claimed(PLACE, Waiting()),
    ):
        raise AssertionError("two at a time")
    assert asked == [0.5] * 3


def test_files_longer_than_what_is_read_at_once_are_read_to_their_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    found = set()
    for last in (b"1", b"2"):
        path.write_bytes(bytes(module.CHUNK) + last)
        found.add(content_of(path, None).digest)
    assert len(found) == 2
