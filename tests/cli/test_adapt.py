"""`f2r denoise --adapt`: fitted weights are used, kept for the next time, or not used at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import EXIT_OK, EXIT_USAGE, InputError, OutputError
from f2rcli.io import ReadOptions
from f2rcli.training.adapt import cache_folder, forget_all_but


@pytest.fixture
def adapt(session, f2r, clip_writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Denoise a clip with --adapt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clip_writer(tmp_path / "in.mkv")
    return lambda *options: f2r("denoise", "in.mkv", "-o", "out.mkv", "--overwrite", *options)


def cached(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "f2r" / "adapted").iterdir())


def test_fitted_weights_are_made_once_for_a_content(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    for _ in range(2):
        done = adapt("--adapt")
        assert done.code == EXIT_OK, done.err
        assert "weights fitted to this clip" in done.err
    assert len(session.asked) == 1
    assert (session.asked[0].adapt, session.asked[0].adapt_minutes) == (True, 1.0)
    assert [path.suffix for path in cached(tmp_path)] == [".json", ".safetensors"]


def test_nothing_is_fitted_where_nothing_is_to_change(
    adapt: Callable[..., Any], session: Any
) -> None:
    done = adapt("--adapt", "--strength", "0")
    assert done.code == EXIT_OK, done.err
    assert not session.asked


def test_each_time_has_weights_of_its_own(adapt: Callable[..., Any], session: Any) -> None:
    adapt("--adapt")
    adapt("--adapt", "--adapt-minutes", "5")
    assert [config.adapt_minutes for config in session.asked] == [1.0, 5.0]


def test_a_folder_named_as_a_level_was_is_an_input(
    f2r: Callable[..., Any],
    session: Any,
    clip_writer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once `--adapt full` took the folder for its level."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    clip_writer(tmp_path / "full" / "a.mkv")
    done = f2r("denoise", "--adapt", "full/a.mkv", "-o", "out.mkv")
    assert done.code == EXIT_OK, done.err


def test_the_cache_keeps_what_was_used_last(tmp_path: Path) -> None:
    for number in range(5):
        for suffix in (".json", ".safetensors"):
            path = tmp_path / f"{number}{suffix}"
            path.touch()
            os.utime(path, (100 - number, 100 - number))
    forget_all_but(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0.json", "0.safetensors", "1.json", "1.safetensors",
    ]  # fmt: skip


def test_adaptation_reads_what_denoising_reads(adapt: Callable[..., Any], session: Any) -> None:
    adapt("--adapt", "--fields", "on", "--start", "0.04", "--frames", "3")
    adapt("--adapt", "--fields", "on", "--start", "0.04", "--frames", "3", "--strict")
    adapt("--adapt")
    first, second = session.asked  # strictness teaches nothing else
    assert (first.fields, first.start_at, first.end_at, first.frames) == ("on", 0.04, None, 3)
    assert second.read == ReadOptions()


def test_axes_reach_the_training(
    session: Any, f2r: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "z.tif"
    pages = np.arange(3 * 20 * 30, dtype=np.uint16).reshape(3, 20, 30)
    tifffile.imwrite(path, pages, photometric="minisblack", metadata={"axes": "AYX"})
    assert f2r("denoise", path, "--adapt").code == EXIT_USAGE
    done = f2r("denoise", path, "--adapt", "--axes", "TYX")
    assert done.code == EXIT_OK, done.err
    (asked,) = session.asked
    assert asked.axes == "TYX"


def test_where_nothing_is_better_the_weights_stay_and_that_is_remembered(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    session.changes = {"why_not": "in.mkv: its channels share their noise"}
    first, second = adapt("--adapt"), adapt("--adapt")
    assert first.code == second.code == EXIT_OK
    assert "channels share their noise" in first.err
    assert "(cached)" in second.err
    assert len(session.asked) == 1
    assert [path.suffix for path in cached(tmp_path)] == [".json"]


def test_that_the_time_was_up_is_not_remembered(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    """The machine may be less busy the next time."""
    session.changes = {"why_not": "not adapted: no time", "for_time": True}
    first, second = adapt("--adapt"), adapt("--adapt")
    assert first.code == second.code == EXIT_OK
    assert "not adapted: no time" in second.err
    assert "(cached)" not in second.err
    assert len(session.asked) == 2
    assert cached(tmp_path) == []


def test_a_clip_that_teaches_nothing_is_denoised_all_the_same(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    session.error = InputError("in.mkv: no measurable noise.", hint="None.")
    done = adapt("--adapt")
    assert done.code == EXIT_OK
    assert "no measurable noise" in done.err
    assert (tmp_path / "out.mkv").exists()


def test_an_interrupted_adaptation_leaves_nothing(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    session.error = KeyboardInterrupt()
    assert adapt("--adapt").code == 130
    assert not (tmp_path / "out.mkv").exists()
    assert cached(tmp_path) == []


def test_standard_input_cannot_be_adapted_to(f2r: Callable[..., Any]) -> None:
    done = f2r("denoise", "-", "-o", "out.mkv", "--adapt")
    assert done.code == EXIT_USAGE
    assert "standard input" in done.err


def test_a_damaged_cache_is_made_anew(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    adapt("--adapt")
    _, fitted = cached(tmp_path)
    whole = fitted.read_bytes()
    for damaged in (whole[:100], whole[:-1] + b"\1"):
        fitted.write_bytes(damaged)
        adapt("--adapt")
        assert fitted.read_bytes() == whole
    fitted.unlink()
    session.changes = {"why_not": "nothing gained"}
    adapt("--adapt")
    (account,) = cached(tmp_path)
    for left in ("", "[", "3", "{}", '{"reason": 3}'):  # as a full disk leaves it, or a stranger
        account.write_text(left)
        assert adapt("--adapt").code == EXIT_OK
    assert len(session.asked) == 9


@pytest.mark.skipif(os.name != "posix", reason="a file in the folder's place")
def test_where_the_cache_cannot_be_written_weights_serve_one_run(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("in the way")
    done = adapt("--adapt")
    assert done.code == EXIT_OK, done.err
    assert "fitted for this run only" in done.err
    assert "weights fitted to this clip" in done.err


def test_without_room_for_training_the_clip_is_denoised_all_the_same(
    adapt: Callable[..., Any], session: Any, tmp_path: Path
) -> None:
    session.error = OutputError("the clip needs 3 GB of disk; the cache has 0.2 GB free.")
    for _ in range(2):
        done = adapt("--adapt")
        assert done.code == EXIT_OK, done.err
        assert "warning: adapt: not adapted: the clip needs 3 GB of disk" in done.err
    assert len(session.asked) == 2  # the next run tries again


@pytest.mark.parametrize("value", ["", "cache"])
def test_a_cache_folder_that_is_none_is_not_used(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    folder = cache_folder()
    assert folder is not None
    assert folder.is_absolute()


def test_a_sigma_of_one_s_own_is_not_silently_left_out_of_the_fit(
    adapt: Callable[..., Any], session: Any
) -> None:
    done = adapt("--adapt", "--sigma", "20")
    assert done.code == EXIT_USAGE
    assert done.err.startswith("error: --adapt and --sigma: choose one")
    assert "f2r train" in done.err
    assert not session.asked
