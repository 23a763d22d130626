"""The table of a batch."""

from f2rcli.batch.report import BatchReport
from f2rcli.batch.work import Outcome


def test_figures_stand_in_columns_whatever_the_names_are() -> None:
    outcomes = (
        Outcome("a", "b", "漢字 and a long name.mkv", "done", frames=8, seconds=0.74, sigma=12.3),
        Outcome("c", "d", "bad.mkv", "failed", reason="bad.mkv: is empty.", seconds=11),
    )
    assert list(BatchReport(outcomes, {}).table()) == [
        "status    frames  seconds  sigma  clip",
        "done           8      0.7   12.3  漢字 and a long name.mkv",
        "failed         -       11      -  bad.mkv  bad.mkv: is empty.",
    ]
