"""`f2r denoise --adapt`: weights fitted to the clip at hand, made once and found by content."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from f2rcli import weights
from f2rcli.cli.console import Console
from f2rcli.cli.train_progress import StepMeter
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import InputError, TrainingError, UsageError
from f2rcli.io.base import ReadOptions
from f2rcli.settings import check_choice
from f2rcli.training.footage.cache import fingerprint
from f2rcli.training.footage.sources import ClipSource, find_sources
from f2rcli.training.run.config import ADAPT, TrainConfig
from f2rcli.training.run.folder import running

KEPT = "kept.json"  # what was found, where nothing better than the weights at hand was


def check_adapt(level: str, source: str) -> None:
    """Raise UsageError for what cannot be adapted to."""
    check_choice("adapt", level, list(ADAPT))
    if source == "-":
        raise UsageError(
            "- --adapt: standard input can be read only once.", hint="Adapt to a file."
        )


def adapted(
    engine: EngineSettings, level: str, source: str, read: ReadOptions, console: Console
) -> EngineSettings:
    """The engine with weights fitted to what is read of the clip, or as it was where nothing
    better is found.

    Says which of both, and why.
    """
    read = replace(read, strict=False)  # damaged frames are left out
    clips = [clip for clip in find_sources([Path(source)]) if isinstance(clip, ClipSource)]
    files = [file for clip in clips for file in clip.files]
    marks = {weights.mark(engine.weights), weights.mark(None)}
    key = fingerprint(files, "adapted", level, engine.method, sorted(marks), read)
    entry = cache_folder() / key
    result, kept = entry.with_suffix(".safetensors"), entry.with_suffix(f".{KEPT}")
    if kept.is_file():
        console.note(f"adapt: {json.loads(kept.read_text(encoding='utf-8'))} (found before)")
        return engine
    if not result.is_file():
        reason = _train(engine, level, source, read, result, console)
        if reason is not None:
            kept.write_text(json.dumps(reason), encoding="utf-8")
            console.note(f"adapt: {reason}")
            return engine
    console.note(f"adapt: weights fitted to this clip: {result}")
    return replace(engine, weights=str(result))


def _train(
    engine: EngineSettings,
    level: str,
    source: str,
    read: ReadOptions,
    result: Path,
    console: Console,
) -> str | None:
    """Write fitted weights to `result`; returns why not where the weights at hand stay."""
    from f2rcli.training.run.session import train  # brings torch

    result.parent.mkdir(parents=True, exist_ok=True)
    run = result.with_suffix(".run")
    config = TrainConfig(
        inputs=(source,), output=str(result), adapt=level, method=engine.method,
        init=engine.weights, run=str(run), device=engine.device, precision=engine.precision,
        threads=engine.threads, overwrite=True, axes=read.axes, fields=read.fields,
        start_at=read.start, end_at=read.end, frames=read.frames,
    )  # fmt: skip
    console.note(f"adapting to {Path(source).name} ({level}); Ctrl-C leaves everything as it was")
    try:
        with running(config), StepMeter(console) as meter:
            outcome = train(config, meter)
    except (InputError, TrainingError) as error:
        result.unlink(missing_ok=True)
        return f"not adapted: {error}"
    finally:
        shutil.rmtree(run, ignore_errors=True)
    if outcome.kept:
        return None
    result.unlink(missing_ok=True)
    return next(iter(outcome.notes), "no significant improvement: the weights stay as they are")


def cache_folder() -> Path:
    """Where fitted weights are kept, of this user."""
    if "XDG_CACHE_HOME" in os.environ:
        return Path(os.environ["XDG_CACHE_HOME"]) / "f2r" / "adapted"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "f2r" / "adapted"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "f2r" / "adapted"
    return Path.home() / ".cache" / "f2r" / "adapted"
