"""A run's rows: those of steps that are taken again go, those of steps that are behind stay."""

from pathlib import Path

import numpy as np
import pytest

from f2rcli.errors import OutputError
from f2rcli.training.loop.csv_log import CsvLog, Row

HEADER = "step,seconds,lr,loss,norm,validation,setbacks\n"


@pytest.fixture
def csv_log(tmp_path: Path) -> CsvLog:
    csv_log = CsvLog(tmp_path, "anchor", 0)
    for step in (100, 200, 300):
        csv_log.add(Row(step, step / 10, 1e-3, 0.5))
    return csv_log


def steps(folder: Path) -> list[int]:
    header, *lines = (folder / "anchor.csv").read_text().splitlines(keepends=True)
    assert header == HEADER
    assert all(line.endswith("\n") for line in lines)
    return [int(line.split(",")[0]) for line in lines]


@pytest.mark.parametrize(
    ("back", "left"), [(250, [100, 200]), (200, [100, 200]), (0, []), (300, [100, 200, 300])]
)
def test_rows_after_a_step_back_are_dropped(
    csv_log: CsvLog, tmp_path: Path, back: int, left: list[int]
) -> None:
    csv_log.forget_after(back)
    assert steps(tmp_path) == left
    csv_log.add(Row(back + 100, 1.0, 1e-3))
    assert steps(tmp_path) == [*left, back + 100]
    assert not list(tmp_path.glob("*.part"))


def test_a_run_that_goes_on_begins_with_the_rows_up_to_its_step(
    csv_log: CsvLog, tmp_path: Path
) -> None:
    CsvLog(tmp_path, "anchor", 200).add(Row(300, 30.0, 1e-4, 0.25, 2.0, 0.125, 1))
    assert steps(tmp_path) == [100, 200, 300]
    last = (tmp_path / "anchor.csv").read_text().splitlines()[-1]
    assert last == "300,30,0.0001,0.25,2,0.125,1"


def test_a_row_that_a_kill_cut_short_is_dropped(csv_log: CsvLog, tmp_path: Path) -> None:
    path = tmp_path / "anchor.csv"
    for cut in ("300,30", "300,30,0.001,0.5,,,0", "30"):
        path.write_text(HEADER + "100,10,0.001,0.5,,,0\n" + cut)
        CsvLog(tmp_path, "anchor", 1000)
        assert steps(tmp_path) == [100]


def test_a_full_disk_is_said(csv_log: CsvLog, tmp_path: Path) -> None:
    (tmp_path / "anchor.csv").unlink()
    (tmp_path / "anchor.csv").mkdir()
    with pytest.raises(OutputError, match=r"anchor\.csv: cannot write"):
        csv_log.add(Row(400, 1.0, 1e-3))


def test_samples_are_named_by_their_step(csv_log: CsvLog, tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    path = csv_log.picture(1200, picture)
    assert path == tmp_path / "anchor.samples" / "00001200.png"
    assert path.stat().st_size > 0
    csv_log.close()
