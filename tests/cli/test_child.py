"""A child that denoises one clip of a batch never starts children of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from f2rcli.batch.child import ALONE
from f2rcli.errors import EXIT_USAGE


def test_a_child_refuses_a_folder_of_clips(
    f2r: Callable[..., Any], clip_writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    clip_writer(tmp_path / "in" / "a.mkv")
    monkeypatch.setenv(ALONE, "1")
    done = f2r("denoise", tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == EXIT_USAGE
    assert "one clip" in done.err
    assert not (tmp_path / "out").exists()
