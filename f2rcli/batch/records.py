"""What came of each clip, and a small file that remembers it beside the results.

A record is written before a clip is begun and again when it is finished. Targets appear by a
rename, whole or not at all: so a killed batch knows which results are whole, and goes on.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from f2rcli.batch.clips import Clip
from f2rcli.documents import parse_json, read_text
from f2rcli.errors import (
    EXIT_BATCH,
    EXIT_DAMAGED,
    EXIT_FAILURE,
    EXIT_INPUT,
    EXIT_OK,
    OutputError,
)
from f2rcli.io.files import write_text

FOLDER = ".f2r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one clip."""

    place: str
    source: str
    target: str
    status: str  # done, damaged, skipped, failed, not run
    reason: str = ""  # of a failure, in one line
    hint: str = ""
    exit_code: int = EXIT_OK
    frames: int | None = None
    seconds: float = 0.0  # of wall clock
    bytes: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, clip: Clip, status: str, **facts: Any) -> "Outcome":
        """The outcome of a clip."""
        return cls(place=clip.place, source=clip.source, target=clip.target, status=status, **facts)


def failure(clip: Clip, reason: str, hint: str = "", code: int = EXIT_FAILURE) -> Outcome:
    """The outcome of a clip that failed."""
    return Outcome.of(clip, "failed", reason=reason, hint=hint, exit_code=code)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Of a batch: 5 if any clip failed, 4 if any result carries damage, else 0."""
    if any(outcome.status == "failed" for outcome in outcomes):
        return EXIT_BATCH
    damaged = any(outcome.exit_code == EXIT_DAMAGED for outcome in outcomes)
    return EXIT_DAMAGED if damaged else EXIT_OK


def summary(outcomes: Sequence[Outcome]) -> str:
    """The batch in one line: `3 clips: 2 done, 1 failed`."""
    counts = Counter(outcome.status for outcome in outcomes)
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "none"


@dataclass(frozen=True, slots=True)
class Records:
    """The records of an output folder, a file for each clip; settings: a hash of what changes a
    result."""

    output: str
    settings: str

    def prepare(self) -> None:
        """Make the folder. Raises OutputError where nothing can be written."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_text(self._folder / "writable", "")
            (self._folder / "writable").unlink(missing_ok=True)
        except OSError as error:
            why = f"{self.output}: cannot be written: {error.strerror or error}."
            raise OutputError(why, hint="Choose another folder with -o.") from error

    def settled(self, clip: Clip, *, overwrite: bool) -> Outcome | None:
        """The outcome of a clip that needs no run: done before, or its target is in the way."""
        if not os.path.lexists(clip.source):
            what = f"{Path(clip.source).name}: there is no such file."
            return failure(clip, what, "Check the path.", EXIT_INPUT)
        if not os.path.lexists(clip.target):
            return None
        known = self._read(clip)
        same = known.get("settings") == self.settings and known.get("source") == _stamp(clip.source)
        made = known.get("target")
        if same and (made == _stamp(clip.target) if made else known.get("fresh") is True):
            facts = known.get("outcome", {})
            kept = {name: facts[name] for name in ("frames", "bytes", "exit_code") if name in facts}
            return Outcome.of(clip, "skipped", **kept)
        if overwrite:
            return None
        why = "already exists, made from another clip, with other settings, or changed since"
        why = why if known else "already exists, and no record says that f2r finished it"
        hint = "Pass --overwrite, or another folder with -o."
        return failure(clip, f"{Path(clip.target).name}: {why}.", hint)

    def begin(self, clip: Clip) -> None:
        """Remember that a clip is begun. Raises OSError."""
        Path(clip.target).parent.mkdir(parents=True, exist_ok=True)
        self._write(clip, {"fresh": not os.path.lexists(clip.target)})

    def finish(self, clip: Clip, outcome: Outcome) -> None:
        """Remember an outcome; a failed clip counts as never begun. Raises OSError."""
        if outcome.status == "failed":
            self._path(clip).unlink(missing_ok=True)
        else:
            facts = asdict(replace(outcome, warnings=()))
            self._write(clip, {"target": _stamp(clip.target), "outcome": facts})

    def report(self, outcomes: Sequence[Outcome], facts: dict[str, Any], name: str) -> Path:
        """Write all outcomes as JSON, whole or not at all. Raises OSError."""
        text = json.dumps({**facts, "clips": [asdict(one) for one in outcomes]}, indent=1)
        write_text(self._folder / name, text + "\n")
        return self._folder / name

    @property
    def _folder(self) -> Path:
        return Path(self.output) / FOLDER

    def _path(self, clip: Clip) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(clip.place)).hexdigest()[:32]}.json"

    def _write(self, clip: Clip, facts: dict[str, Any]) -> None:
        same = {"place": clip.place, "settings": self.settings, "source": _stamp(clip.source)}
        write_text(self._path(clip), json.dumps(same | facts))

    def _read(self, clip: Clip) -> dict[str, Any]:
        """The record of a clip; empty where there is none, or none that can be read."""
        try:
            found = parse_json(read_text(self._path(clip)))
        except (OSError, ValueError):
            return {}
        outcome = found.get("outcome", {}) if isinstance(found, dict) else None
        return found if isinstance(outcome, dict) else {}


def _stamp(path: str) -> str:
    """Changes whenever a file, or any file of a folder, is written; "" where there is nothing."""
    whole = Path(path)
    files = sorted(whole.rglob("*")) if whole.is_dir() else [whole]
    try:
        facts = [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files]
    except OSError:
        return ""
    return hashlib.sha256(ascii(facts).encode()).hexdigest()
