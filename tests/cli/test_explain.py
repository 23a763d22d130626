"""`f2r explain`: picture, table and JSON; and how it ends where it cannot explain."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done, write_clip

udvd = pytest.importorskip("tests.methods.test_udvd", reason="it was removed")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("explain")
    return write_clip(folder / "grainy.mkv", size=(96, 64)), udvd.saved(folder, udvd.header())


@pytest.fixture
def explain(given, command: Callable[..., Done]) -> Callable[..., Done]:
    """`f2r explain` with untrained networks."""
    options = ("--device", "cpu", "--threads", "1", "--method", "udvd", "--weights", given[1])
    return lambda *arguments: command("explain", given[0], *arguments, *options)


def test_a_picture_a_table_and_json(explain: Callable[..., Done], tmp_path: Path) -> None:
    picture, values = tmp_path / "filters.svg", tmp_path / "filters.json"
    done = explain(
        "--pixel", "40,30", "--frame", 3, "-o", picture, "--json-file", values, "--sigma", 25
    )  # fmt: skip
    assert done.code == 0, done.err
    assert picture.read_bytes().startswith(b"<svg ")
    assert done.err.endswith(f"plot: {picture}\nresults: {values}\n")
    read = json.loads(values.read_text())
    assert [f["frame"] for f in read["frames"]] == [1, 2, 3, 4, 5]
    assert len(read["motion"]) == 4
    table = done.out.splitlines()
    assert "pixel 40,30 of frame 3" in table[0]
    assert len(table) == 3 + 5 + 1


def test_a_grid_shows_the_motion_of_the_whole_frame(
    explain: Callable[..., Done], tmp_path: Path
) -> None:
    picture, values = tmp_path / "motion.svg", tmp_path / "motion.json"
    done = explain(
        "--grid", 32, "--frame", 3, "-o", picture, "--json-file", values, "--sigma", 25
    )  # fmt: skip
    assert done.code == 0, done.err
    assert picture.read_bytes().startswith(b"<svg ")
    read = json.loads(values.read_text())
    assert read["frames"] == [1, 2, 3, 4, 5]
    assert read["pixels"] == [[x, y] for y in (16, 48) for x in (16, 48, 80)]
    assert [len(steps) for steps in read["motion"]] == [4] * 6
    assert len(read["sums"]) == 5
    table = done.out.splitlines()
    assert table[0].endswith("6 pixels of frame 3")
    assert len(table) == 2 + 5 + 1
    assert "nan" not in done.out + values.read_text().lower()


def test_the_first_window_shifts_inwards(explain: Callable[..., Done], tmp_path: Path) -> None:
    done = explain("--pixel", "1,2", "-o", tmp_path / "f.svg", "--json", "--sigma", 25)
    assert [f["frame"] for f in json.loads(done.out)["frames"]] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pixel", "40"], "not X,Y"),
        ([], "--pixel or --grid: give one"),
        (["--pixel", "4,4", "--grid", 16], "--pixel or --grid: give one"),
        (["--pixel", "96,0", "--sigma", 25], "outside the picture"),
        (["--pixel", "4,4", "--frame", 500], "no frame 500"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    explain: Callable[..., Done], tmp_path: Path, arguments: list[object], said: str
) -> None:
    done = explain(*arguments, "-o", tmp_path / "f.svg")
    assert done.code != 0
    assert said in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())


def test_other_names_and_files_that_are_there_are_refused(
    explain: Callable[..., Done], tmp_path: Path
) -> None:
    assert "is an SVG file" in explain("--pixel", "1,1", "-o", tmp_path / "f.jpg").err
    there = tmp_path / "there.svg"
    there.write_bytes(b"mine")
    assert explain("--pixel", "1,1", "-o", there).code != 0
    assert there.read_bytes() == b"mine"
