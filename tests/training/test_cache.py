"""The cache: whole entries or none."""

import os
from pathlib import Path

import pytest

from f2rcli.errors import OutputError
from f2rcli.training.footage.cache import building, check_space, fingerprint


def entry(cache: Path, name: str, size: int, age: float = 0) -> Path:
    with building(cache / name) as part:
        (part / "data").write_bytes(bytes(size - 2))
        (part / "facts.json").write_text("{}")
    os.utime(cache / name, (1e9 - age, 1e9 - age))
    return cache / name


def test_an_entry_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with building(tmp_path / "a") as part:
            (part / "data").write_bytes(b"half")
            assert not (tmp_path / "a").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())
    assert sorted(p.name for p in entry(tmp_path, "a", 10).iterdir()) == ["data", "facts.json"]


def test_the_first_of_two_processes_that_build_an_entry_wins(tmp_path: Path) -> None:
    with building(tmp_path / "a") as part:
        (part / "data").write_text("late")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "data").write_text("early")
    assert (tmp_path / "a" / "data").read_text() == "early"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_fingerprints_follow_content_not_names(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    first = fingerprint([path], "footage")
    path = path.rename(tmp_path / "b")
    assert fingerprint([path], "footage") == first
    assert fingerprint([path], "other") != first
    state = path.stat()
    path.write_bytes(b"x" * 99 + b"y")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint([path], "footage") != first


def test_space_that_is_not_there_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    check_space(tmp_path, 1000, 1000, "clips")
    with pytest.raises(OutputError, match=r"clips need 1\.0 GB .* the limit is 500 MB"):
        check_space(tmp_path, 10**9, 5 * 10**8, "clips")
    with pytest.raises(OutputError, match=r"has .* free"):
        check_space(tmp_path, 10**18, 10**19, "clips")
