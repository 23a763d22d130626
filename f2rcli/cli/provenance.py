"""The settings of a run, written to a file's metadata and read from there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

# Options that say which clips are meant, where they go and how that is reported.
APART = {
    "source", "output", "recursive", "pattern", "jobs", "shard", "cluster", "json", "quiet",
    "verbose", "log_file", "debug", "dry_run", "preview", "help",
}  # fmt: skip
# Those and all others that say nothing of what a run makes of a clip.
SILENT = APART | {
    "overwrite", "keep_partial", "resume", "device", "threads", "tile", "provenance", "strict",
    "start", "end", "frames",
}  # fmt: skip


def given_options(ctx: typer.Context, apart: set[str]) -> Iterator[tuple[Any, Any]]:
    """The parameters that are not at their default and not among `apart`, and their values."""
    for param in ctx.command.params:
        value = ctx.params.get(str(param.name))
        if param.name not in apart and value not in (None, (), [], param.default):
            yield param, value


def settings_given(ctx: typer.Context) -> dict[str, Any]:
    """The options that are not at their default, under the names that run files use."""
    return {
        str(max(param.opts, key=len).lstrip("-").replace("-", "_")): Path(value).name
        if param.name == "weights"
        else value
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
