"""The settings of a run, written to a file's metadata and read from there."""

from pathlib import Path
from typing import Any

import typer

from f2rcli.cli.options.run_file import given_options, long_name, settings_for
from f2rcli.errors import InputError
from f2rcli.io import open_reader
from f2rcli.io.provenance import read_provenance

# Options that say which clips are meant, where they go and how that is reported.
APART = {
    "source", "output", "recursive", "pattern", "jobs", "shard", "cluster", "json", "quiet",
    "verbose", "log_file", "debug", "config", "like", "dry_run", "preview", "report", "help",
}  # fmt: skip
# Those and all others that say nothing of what a run makes of a clip.
SILENT = APART | {
    "overwrite", "keep_partial", "resume", "device", "threads", "tile", "provenance", "strict",
    "start", "end", "frames",
}  # fmt: skip


def settings_given(ctx: typer.Context) -> dict[str, Any]:
    """The options that are not at their default, under the names that run files use."""
    return {
        long_name(param): Path(value).name if param.name == "weights" else value
        for param, value in given_options(ctx, SILENT)
    }


def words(facts: dict[str, Any]) -> str:
    """The provenance of a clip, in one line; `facts` may come from anyone."""
    parts = [f"f2r {facts.get('f2r')}"]
    parts += [f"{name} {facts[name]}" for name in ("method", "weights") if name in facts]
    if facts.get("sha256"):
        parts.append(f"SHA-256 {str(facts['sha256'])[:16]}")
    if isinstance(facts.get("noise"), dict):
        parts.append(f"sigma {_levels(facts['noise'].get('sigma8'))}")
    parts += [f"{key}={value}" for key, value in facts.get("settings", {}).items()]
    return ", ".join(parts)[:500]


def _levels(found: Any) -> str:
    """Levels of the noise as they are read: a digit after the point; anything else as it is."""
    if not isinstance(found, list) or not all(isinstance(one, int | float) for one in found):
        return str(found)
    return "/".join(f"{one:.1f}" for one in found) + " of 255"


def load_like(ctx: typer.Context, value: str | None) -> str | None:
    """Make an earlier run's settings the defaults (an eager callback). Raises InputError."""
    if value is None or ctx.resilient_parsing:
        return value
    with open_reader(value) as reader:
        facts = read_provenance(reader)
    if facts is None:
        raise InputError(
            f"--like {value}: does not say how f2r made it.",
            hint="Name a file that f2r wrote without --no-provenance.",
        )
    # the file may come from anyone: it says nothing of what is written, and where
    table = {key: v for key, v in facts.get("settings", {}).items() if key not in SILENT}
    ctx.default_map = settings_for(ctx, table, name=value) | dict(ctx.default_map or {})
    return value
