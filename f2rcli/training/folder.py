"""The folder of a training run: its files, and the options it began with."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from f2rcli.errors import ConfigError, F2RError, OutputError, UsageError
from f2rcli.io.files import check_target, disk_errors, file_digest, lock, unlock, write_text
from f2rcli.noise import synthesis
from f2rcli.settings import parse_json, read_text
from f2rcli.training.config import TrainConfig, read_config
from f2rcli.training.sources import clip_sources

CONFIG, RESULT = "run.json", "result.json"
# What may differ between a run and its continuation, because the result does not depend on it
# (threads and device change sums in their last bits, and a resumed run may have moved).
MAY_CHANGE = frozenset(
    {"output", "run", "resume", "overwrite", "time_limit", "threads", "device"}
)  # fmt: skip
MADE_HERE = {".json", ".csv", ".png", ".safetensors", ".part"}  # by a run


def resumed(folder: Path, asked: dict[str, Any]) -> TrainConfig:
    """The run in `folder` with what was asked for now, for check_run. Raises UsageError if none."""
    if not (folder / CONFIG).is_file():
        raise UsageError(
            f"resume=True: {folder} is not a run folder.",
            hint="Name the run's folder with run=, or its output with output=.",
        )
    return replace(read_config(folder / CONFIG), **{**asked, "run": str(folder), "resume": True})


def check_run(config: TrainConfig) -> None:
    """Raise for a run that cannot begin or must not, before anything is touched or loaded.

    InputError for clips that are not there, UsageError or OutputError for the other paths and the
    noise, ConfigError for a continuation that is another run.
    """
    output, folder = Path(config.output), config.folder
    sources = [file for clip in clip_sources(config.inputs) for file in clip.files]
    if config.init is not None:
        sources.append(Path(config.init))
    if config.noise is not None:
        synthesis.parse(config.noise)
    ours = config.resume and _wrote(folder, output)
    check_target(output, sources, overwrite=config.overwrite or ours)
    if config.resume:
        _check_same(config)
    elif (folder / CONFIG).exists():
        if not config.overwrite:
            state = "a finished run" if (folder / RESULT).exists() else "an unfinished run"
            raise OutputError(
                f"{folder}: holds {state}.",
                hint="resume=True continues it, overwrite=True starts afresh.",
            )
        read_config(folder / CONFIG)  # a folder of others is not emptied
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            f"{folder}: already exists and is not a run folder.", hint="Name another with run=."
        )


@contextmanager
def running(config: TrainConfig) -> Iterator[Path]:
    """Hold the run folder, with what was asked for written into it; gives its path. A run that
    fails before there is anything to continue from leaves no folder.

    Raises what check_run raises, and OutputError when the folder cannot be written or another
    process trains in it.
    """
    check_run(config)
    folder = config.folder
    path, begins = folder / ".run.lock", not (folder / CONFIG).exists()
    descriptor = _lock(path)
    try:
        if config.overwrite and not config.resume:
            _empty(folder, keep=[config.output, *config.inputs, config.init or ""])
        with disk_errors(folder / CONFIG):
            write_text(folder / CONFIG, config.to_json())
        yield folder
    except F2RError:
        if begins and not any(folder.rglob("*.safetensors")):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        unlock(path, descriptor)


def _lock(path: Path) -> int:
    folder = path.parent
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return lock(path)
        except BlockingIOError as error:
            raise OutputError(
                f"{folder}: another f2r train is using it.",
                hint="Wait for it, or name another folder with run=.",
            ) from error


def record_result(folder: Path, output: Path, facts: dict[str, Any]) -> None:
    """Write result.json: what the run reached, and which file it wrote. Raises OutputError."""
    digest = file_digest(output) if output.is_file() else None
    table = {**facts, "output": str(output.absolute()), "sha256": digest}
    with disk_errors(folder / RESULT):
        write_text(folder / RESULT, json.dumps(table, indent=2) + "\n")


def _check_same(config: TrainConfig) -> None:
    stored, now = read_config(config.folder / CONFIG).located, config.located
    names = [f.name for f in fields(TrainConfig) if f.name not in MAY_CHANGE]
    changed = [name for name in names if getattr(stored, name) != getattr(now, name)]
    if changed:
        before = ", ".join(f"{name} ({_word(stored, name)} then)" for name in changed)
        raise ConfigError(
            f"resume=True: settings differ from those the run began with: {before}.",
            hint="Leave them out to continue, or start another run with run=.",
        )


def _word(config: TrainConfig, name: str) -> str:
    value = getattr(config, name)
    return "other" if isinstance(value, tuple) else str(value)


def _wrote(folder: Path, output: Path) -> bool:
    """True if the file at `output` is the one that this run wrote, unchanged since."""
    try:
        facts = parse_json(read_text(folder / RESULT))
        return bool(facts["sha256"] == file_digest(output))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _empty(folder: Path, keep: list[str]) -> None:
    """Remove what a run put into its folder: checkpoints would be gone on from."""
    kept = {Path(path).absolute() for path in keep}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix == ".pairs" and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        if path.suffix in MADE_HERE and path.is_file() and path.absolute() not in kept:
            path.unlink()
