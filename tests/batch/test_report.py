"""The table of a batch."""

from dataclasses import replace

from f2rcli.batch.report import BatchReport
from f2rcli.batch.work import Outcome


def test_figures_stand_in_columns_whatever_the_names_are() -> None:
    one = Outcome(source="a", target="b", place="漢字 and a long name.mkv", status="done", frames=8)
    other = replace(one, place="bad.mkv", status="failed", frames=None, reason="bad.mkv: is empty.")
    outcomes = (replace(one, seconds=0.74, sigma=12.3), replace(other, seconds=11.0))
    assert list(BatchReport(outcomes, {}).table()) == [
        "status    frames  seconds  sigma  clip",
        "done           8      0.7   12.3  漢字 and a long name.mkv",
        "failed         -     11.0      -  bad.mkv  bad.mkv: is empty.",
    ]
