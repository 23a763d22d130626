"""Tables of `f2r eval` in terminals of any width."""

from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from f2rcli.cli.commands.eval import print_tables
from f2rcli.cli.terminal.console import Console as Voice
from f2rcli.cli.terminal.eval_table import tables
from f2rcli.evaluation.report import clip_rows
from f2rcli.evaluation.result import MethodResult, MetricFacts, MetricSeries
from tests.evaluation.sample import evaluation


def printed(width: int, clips: int) -> str:
    found = evaluation("first.mkv", clips=clips, frames=2)
    two = [replace(clip, methods=clip.methods[:2]) for clip in found.clips]
    found = replace(found, benchmark=None, methods=found.methods[:2], clips=tuple(two))
    out = Console(file=StringIO(), width=width)
    for table in tables(found, width):
        out.print(table)
    return out.file.getvalue()


@pytest.mark.parametrize("clips", [1, 2])
@pytest.mark.parametrize("width", [38, 80])
def test_no_heading_and_no_value_is_cut_where_a_terminal_is_narrow(width: int, clips: int) -> None:
    text = printed(width, clips)
    assert "…" not in text
    assert {"PSNR", "Warping"} <= set(text.replace("↓", "").split())
    assert ("mean of 2" in text) == (clips == 2)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_columns_stand_below_each_other_whatever_can_be_printed(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = TextIOWrapper(BytesIO(), encoding, errors="backslashreplace", newline="")
    monkeypatch.setattr("sys.stdout", out)
    told = {"clipped": True, "seed": 0, "frames": None}
    print_tables(replace(evaluation("first.mkv", frames=2), settings=told), Voice())
    out.flush()
    text = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    rows = [line for line in text.splitlines() if line[:1] in tuple("|+│┃┏└├┡")]
    assert len({len(row) for row in rows}) == 1
    assert ("PSNR ^" in text, "PSNR ↑" in text) == (encoding != "utf-8", encoding == "utf-8")


@pytest.mark.parametrize(("reference", "best"), [(True, "none"), (False, "f2r")])
def test_without_a_reference_the_noisy_input_is_never_the_best(reference: bool, best: str) -> None:
    """It has lost no detail and changed no colour: that is no merit."""
    found = evaluation("first.mkv", frames=2)
    facts = MetricFacts(name="detail", title="Detail", reference=reference)
    results = tuple(
        MethodResult(
            method=name,
            series=(MetricSeries(metric="detail", frames={"all": ()}, clip={"all": value}),),
        )
        for name, value in (("none", 100.0), ("f2r", 90.0), ("other", 80.0))
    )
    clips = (replace(found.clips[0], methods=results),)
    found = replace(found, benchmark=None, metrics=(facts,), clips=clips)
    (table,) = tables(found, 200)
    cells = dict(zip(["none", "f2r", "other"], table.columns[2].cells, strict=True))
    bold = [name for name, cell in cells.items() if getattr(cell, "style", "") == "bold"]
    assert bold == [best]
    rows = clip_rows(clips[0], found)
    assert [is_best for row in rows for _, is_best in row.cells] == [n == best for n in cells]
