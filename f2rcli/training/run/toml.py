"""A training run as TOML: what the run folder keeps, and `--resume` reads."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from f2rcli.documents import read_run_file
from f2rcli.errors import ConfigError, UsageError, nearest
from f2rcli.settings import check_type
from f2rcli.training.run.config import TrainConfig, beginnings
from f2rcli.training.run.overrides import stages_from

NOT_STORED = frozenset({"resume", "overwrite"})
_PATHS = ("inputs", "output", "init", "run")


def to_toml(config: TrainConfig) -> str:
    """A run as TOML, with absolute paths and without its own folder."""
    lines = ["# A run of f2r train."]
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name not in NOT_STORED | {"run", "stages"} and value is not None:
            lines.append(f"{f.name} = {_toml(_located(f.name, value))}")
    for name, stage in sorted(config.stages.items()):
        lines += ["", f"[stage.{_key(name)}]"]
        given = ((f.name, getattr(stage, f.name)) for f in fields(stage))
        lines += [f"{key} = {_toml(value)}" for key, value in given if value is not None]
    return "\n".join(lines) + "\n"


def read_config(path: Path) -> TrainConfig:
    """The run of a run folder's config.toml. Raises ConfigError for none, or another version's."""
    return from_table(read_run_file(path), name=path.name)


def from_table(table: Mapping[str, Any], *, name: str) -> TrainConfig:
    """Parse the tables of a TOML file; raises ConfigError that says which key is wrong."""
    known = sorted({f.name for f in fields(TrainConfig)} - NOT_STORED - {"stages"} | {"stage"})
    values: dict[str, Any] = {}
    for key, value in table.items():
        plain = key.replace("-", "_")
        if plain not in known:
            raise ConfigError(f"{name}: unknown key {key!r}.", hint=nearest(plain, known))
        values[plain] = value
    stages = stages_from(values.pop("stage", {}), name=name)
    inputs = values.pop("inputs", ())
    if not isinstance(inputs, list | tuple) or not all(isinstance(x, str) for x in inputs):
        raise ConfigError(f"{name}: inputs = {inputs!r}: must be a list of paths.")
    if "output" not in values:
        raise ConfigError(f"{name}: no output.", hint='Write output = "my.safetensors".')
    kinds = get_type_hints(TrainConfig)
    try:
        for key, value in values.items():
            check_type(key, value, kinds[key])
        return TrainConfig(inputs=tuple(inputs), stages=stages, **values)
    except UsageError as error:
        raise ConfigError(f"{name}: {error}", hint=error.hint) from error


def located(config: TrainConfig) -> TrainConfig:
    """The configuration with absolute paths, so that it means the same from any folder."""
    paths = {name: _located(name, getattr(config, name)) for name in _PATHS}
    return replace(config, **paths)


def _located(name: str, value: Any) -> Any:
    """Paths made absolute; anything else, bundled names among it, as it is."""
    if name == "inputs":
        return tuple(str(Path(item).absolute()) for item in value)
    if name == "init" and value in beginnings():
        return value
    return str(Path(value).absolute()) if name in _PATHS and value is not None else value


def _toml(value: Any) -> str:
    """Numbers, words, text and lists of it are written as in JSON, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
