"""Reports: one self-contained HTML page per evaluation."""

from pathlib import Path

from f2rcli.evaluation.report.page import page
from f2rcli.evaluation.result import Evaluation
from f2rcli.io.atomic import write_file


def write_report(
    evaluation: Evaluation, path: Path, *, overwrite: bool = False, title: str | None = None
) -> None:
    """Write an evaluation as one HTML page, atomically; at most about 8 MB. title: its heading, by
    default the benchmark's or "Evaluation". Raises OutputError."""
    text = page(evaluation, title)
    write_file(path, text.encode("utf-8", "replace"), overwrite=overwrite)
