"""Which clips of several folders belong together, and that every one left out is named."""

import shutil
from pathlib import Path

import pytest

from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation import base
from f2rcli.io import ReadOptions, files
from f2rcli.noise.synthesis.spec import parse

EXAMPLE = Path(__file__).parents[2] / "examples" / "noisy_path.mp4"
ALL = ReadOptions()


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        shutil.copy(EXAMPLE, path / name)
    return path


def test_names_match_alone_or_with_something_after_a_separator() -> None:
    clips = {name: Path(name) for name in ("swan_f2r", "swan2", "car.g30", "bus")}
    names = ["swan", "swan2", "car", "bus", "goat"]
    found = [base.match(name, names, clips) for name in names]
    assert found == ["swan_f2r", "swan2", "car.g30", "bus", None]


def test_a_longer_name_keeps_its_own_clips() -> None:
    clips = {"car-turn_f2r": Path("a"), "car_f2r": Path("b")}
    names = ["car", "car-turn"]
    assert [base.match(name, names, clips) for name in names] == ["car_f2r", "car-turn_f2r"]


def test_two_candidates_are_refused() -> None:
    with pytest.raises(InputError, match=r"several clips match, swan\.a or swan\.b"):
        base.match("swan", ["swan"], {"swan.a": Path("a"), "swan.b": Path("b")})


def test_folders_are_paired_by_name_and_what_is_left_out_is_named(tmp_path: Path) -> None:
    clean = folder(tmp_path / "clean", "swan.mp4", "car.mp4")
    done = folder(tmp_path / "done", "swan_f2r.mp4", "lost.mp4")
    cases, remarks = base.paired({"clean": clean, "mine": done}, ALL)
    assert [case.name for case in cases] == ["swan"]
    assert list(cases[0].given) == ["mine"]
    assert [file.role for file in cases[0].files] == ["clean", "denoised"]
    assert remarks == [
        "car: no mine clip of this name; left out",
        "lost: mine, without a clean clip; left out",
    ]


def test_files_belong_together_whatever_their_names(tmp_path: Path) -> None:
    names = "a.mp4", "b.mp4"
    first, second = (folder(tmp_path / name, name) / name for name in names)
    cases, remarks = base.paired({"clean": first, "b": second}, ALL)
    assert [case.name for case in cases] == ["a"]
    assert not remarks
    with cases[0].given["b"]() as clip:
        assert clip.info.name == "b.mp4"


def test_every_noise_makes_a_case_of_every_clip(tmp_path: Path) -> None:
    clean = folder(tmp_path / "clean", "swan.mp4", "car.mp4")
    noises = [parse("gaussian:10"), parse("poisson-gaussian")]
    cases, _ = base.paired({"clean": clean}, ALL, noises)
    assert [(case.name, case.group) for case in cases] == [
        ("car", "gaussian:10"), ("car", noises[1].name),
        ("swan", "gaussian:10"), ("swan", noises[1].name),
    ]  # fmt: skip


def test_empty_folders_missing_paths_and_mixtures_are_refused(tmp_path: Path) -> None:
    full, empty = folder(tmp_path / "full", "swan.mp4"), folder(tmp_path / "empty")
    other = folder(tmp_path / "other", "car.mp4")
    with pytest.raises(InputError, match="has no clips"):
        base.paired({"clean": full, "out": empty}, ALL)
    with pytest.raises(InputError, match="no such file or folder"):
        base.paired({"clean": full, "out": tmp_path / "nowhere"}, ALL)
    with pytest.raises(UsageError, match=r"is a folder of clips, .*swan.mp4 is one clip"):
        base.paired({"clean": full, "out": full / "swan.mp4"}, ALL)
    with pytest.raises(InputError, match=r"no clips in .* match by name"):
        base.paired({"clean": full, "out": other}, ALL)


def test_a_digest_is_that_of_the_bytes_and_of_a_folders_names(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "a.mp4"), folder(tmp_path / "two", "b.mp4")
    assert files.digest(one / "a.mp4") == files.digest(two / "b.mp4") == files.digest(EXAMPLE)
    assert files.digest(one) != files.digest(two)
