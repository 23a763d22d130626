"""The outcome of a batch: report.json for programs, a table for people."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from f2rcli.batch.work import Outcome
from f2rcli.documents import parse_json, read_text
from f2rcli.errors import EXIT_BATCH, EXIT_DAMAGED, EXIT_OK, OutputError
from f2rcli.io.atomic import write_text
from f2rcli.units import count

KIND = "f2r batch"  # how a report of ours is known
SHOWN = 40  # rows of the table; beyond that only what went wrong


@dataclass(frozen=True, slots=True)
class BatchReport:
    """The outcomes of a batch, in the order of its clips."""

    outcomes: tuple[Outcome, ...]
    values: dict[str, Any]  # version, options and the like

    @property
    def counts(self) -> dict[str, int]:
        """The number of clips by status."""
        return dict(Counter(outcome.status for outcome in self.outcomes))

    @property
    def exit_code(self) -> int:
        """5 if any failed, 4 if any result carries damage, else 0."""
        if any(outcome.failed for outcome in self.outcomes):
            return EXIT_BATCH
        return EXIT_DAMAGED if any(outcome.damaged for outcome in self.outcomes) else EXIT_OK

    def write(self, path: Path) -> None:
        """Write report.json, whole or not at all. Raises OutputError."""
        clips = [asdict(outcome) for outcome in self.outcomes]
        whole = {"kind": KIND, **self.values, "counts": self.counts, "clips": clips}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(whole, indent=1) + "\n")
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written: {error.strerror or error}.",
                hint="Choose another folder with -o.",
            ) from error

    def summary(self) -> str:
        """The batch in one line."""
        parts = [f"{number} {status}" for status, number in sorted(self.counts.items())]
        return f"{count(len(self.outcomes), 'clip')}: {', '.join(parts) or 'none'}"

    def table(self) -> Iterator[str]:
        """One line per clip, or per failed one if there are many; names, often long, come last."""
        rows = [
            outcome for outcome in self.outcomes if len(self.outcomes) <= SHOWN or wrong(outcome)
        ]
        yield f"{'status':8}  {'frames':>6}  {'seconds':>7}  {'sigma':>5}  clip"
        for outcome in rows:
            cells = (outcome.frames, round(outcome.seconds, 1), outcome.sigma)
            frames, seconds, sigma = ("-" if cell is None else str(cell) for cell in cells)
            line = f"{outcome.status:8}  {frames:>6}  {seconds:>7}  {sigma:>5}"
            yield f"{line}  {outcome.place}  {outcome.reason}".rstrip()
        if len(rows) < len(self.outcomes):
            yield f"and {len(self.outcomes) - len(rows)} more without problems"


def wrong(outcome: Outcome) -> bool:
    """Does it need attention?"""
    return outcome.failed or outcome.damaged or outcome.status == "not run"


def check_report(path: Path) -> None:
    """Raise OutputError where a file that is not a report of f2r would be replaced."""
    if not path.exists():
        return
    try:
        ours = parse_json(read_text(path, 1 << 30)).get("kind") == KIND
    except (OSError, ValueError, AttributeError):
        ours = False
    if not ours:
        raise OutputError(
            f"{path}: exists and is not an f2r report.", hint="Move it away, or change output=."
        )


def report_path(output: Path, shard: Sequence[int] | None) -> Path:
    """report.json, or report-2-of-8.json for a shard."""
    return output / (f"report-{shard[0]}-of-{shard[1]}.json" if shard else "report.json")
