"""`--config run.toml`: options from a file. Flags override it; unknown keys are errors."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from f2rcli.documents import read_run_file
from f2rcli.errors import ConfigError, closest

# The input belongs on the command line; a file that names another file is one too many.
NOT_IN_A_FILE = {"source", "config", "like", "help"}


def load_config(ctx: typer.Context, value: str | None) -> str | None:
    """Make the file's values the command's defaults (an eager callback). Raises ConfigError."""
    if value is not None and not ctx.resilient_parsing:
        table = read_run_file(Path(value))
        ctx.default_map = dict(ctx.default_map or {}) | settings_for(
            ctx, table, name=Path(value).name
        )
    return value


def given_options(ctx: typer.Context, apart: set[str]) -> Iterator[tuple[Any, Any]]:
    """The parameters that are not at their default and not among `apart`, and their values."""
    for param in ctx.command.params:
        value = ctx.params.get(str(param.name))
        if param.name not in apart and value not in (None, (), [], param.default):
            yield param, value


def settings_for(ctx: typer.Context, table: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """A table's values by the parameters of a command. Raises ConfigError."""
    known = {long_name(p): p for p in ctx.command.params if p.name not in NOT_IN_A_FILE}
    flags = {option: bool(getattr(param, "is_flag", False)) for option, param in known.items()}
    values = settings_from(table, flags, name=name)
    if "noise" in values and not getattr(known["noise"], "multiple", False):
        values["noise"] = "+".join(values["noise"])  # one mixture of kinds, not a run for each
    return {str(known[option].name): value for option, value in values.items()}


def long_name(param: Any) -> str:
    """The name of an option in files."""
    return str(max(param.opts, key=len).lstrip("-").replace("-", "_"))


def settings_from(
    table: Mapping[str, Any], flags: Mapping[str, bool], *, name: str
) -> dict[str, Any]:
    """The file's values by option name; `flags` says of each known option if it is a switch."""
    settings: dict[str, Any] = {}
    for key, value in table.items():
        param = key.replace("-", "_")
        if param not in flags:
            every = f"Known keys: {', '.join(sorted(flags))}."
            raise ConfigError(f"{name}: unknown key {key!r}.", hint=closest(param, flags) or every)
        settings[param] = _checked(f"{name}: {key}", param, value, switch=flags[param])
    return settings


def _checked(place: str, param: str, value: Any, *, switch: bool) -> Any:
    if param in STRUCTURED:
        return STRUCTURED[param](place, value)
    if switch and not isinstance(value, bool):
        raise ConfigError(f"{place} = {value!r}: must be true or false.")
    if not switch and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise ConfigError(f"{place} = {value!r}: must be one number or text.")
    return value


def _encoder_options(place: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}={item}" for key, item in value.items()]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ConfigError(
        f"{place} = {value!r}: must be a table.", hint='Write encoder_opt = { tune = "grain" }.'
    )


def _paths(place: str, value: Any) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ConfigError(f"{place} = {value!r}: must be a list of paths.")


def _patterns(place: str, value: Any) -> list[str]:
    return [value] if isinstance(value, str) else _paths(place, value)


def _stages(place: str, value: Any) -> list[str]:
    """`[stage.NAME]` tables as the `--stage NAME.KEY=VALUE` options that say the same."""
    tables = value.items() if isinstance(value, dict) else [("", value)]
    if not all(isinstance(table, dict) for _, table in tables):
        raise ConfigError(f"{place}: must be tables.", hint="Write [stage.NAME], steps = 500.")
    return [f"{name}.{key}={item}" for name, table in tables for key, item in table.items()]


# Options that a file writes as lists or tables.
STRUCTURED = {
    "denoised": _patterns, "encoder_opt": _encoder_options, "inputs": _paths, "noise": _patterns,
    "pattern": _patterns, "stage": _stages,
}  # fmt: skip
