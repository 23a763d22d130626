"""Files that are whole or not there: replaced in one step, and written by one run at a time."""

import os
from pathlib import Path

import pytest

from f2rcli.io import files
from f2rcli.io.files import PartFile, replacing, write_text


def test_a_block_that_fails_leaves_the_file_before(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_text(target, "before")

    def interrupted() -> None:
        with replacing(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_run_that_comes_while_another_publishes_leaves_its_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part file that the second run has opened is the first one's target by then."""
    target = tmp_path / "a.bin"
    first = PartFile(target, overwrite=False)
    first.path.write_bytes(b"whole")
    really_open = os.open

    def opened_before_it_is_renamed(path: Path, *rest: int) -> int:
        descriptor = really_open(path, *rest)
        monkeypatch.setattr(files.os, "open", really_open)
        first.publish()
        return descriptor

    monkeypatch.setattr(files.os, "open", opened_before_it_is_renamed)
    second = PartFile(target, overwrite=True)
    assert target.read_bytes() == b"whole"
    second.discard()
    assert list(tmp_path.iterdir()) == [target]
