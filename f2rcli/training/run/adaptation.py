"""Weights fitted to one clip: trained once, kept in the user's cache, found again by content."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from f2rcli import weights
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import InputError, TrainingError
from f2rcli.io.base import ReadOptions
from f2rcli.training.footage.cache import fingerprint
from f2rcli.training.footage.sources import ClipSource, find_sources
from f2rcli.training.loop.events import Event
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import running


class Adaptation:
    """The entry of the cache for a clip, a level of adaptation and an engine's settings.

    It holds weights, or the reason why the ones at hand stay.
    """

    def __init__(
        self, settings: EngineSettings, level: str, source: str, read: ReadOptions
    ) -> None:
        self.settings, self.level, self.source = settings, level, source
        self.read = replace(read, strict=False)  # damaged frames are left out
        clips = [clip for clip in find_sources([Path(source)]) if isinstance(clip, ClipSource)]
        files = [file for clip in clips for file in clip.files]
        marks = sorted({weights.mark(settings.weights), weights.mark(None)})
        key = fingerprint(files, "adapted", level, settings.method, marks, self.read)
        self.weights = cache_folder() / f"{key}.safetensors"
        self._reason = self.weights.with_suffix(".kept.json")

    @property
    def known(self) -> bool:
        """Whether the entry is there."""
        return self._reason.is_file() or self.weights.is_file()

    @property
    def reason(self) -> str | None:
        """Why the weights at hand stay; None where fitted ones are better."""
        if not self._reason.is_file():
            return None
        return str(json.loads(self._reason.read_text(encoding="utf-8")))

    def fit(self, listener: Callable[[Event], None]) -> None:
        """Make the entry by training; `listener` gets the run's events."""
        self.weights.parent.mkdir(parents=True, exist_ok=True)
        reason = self._trained(listener)
        if reason is not None:
            self.weights.unlink(missing_ok=True)
            self._reason.write_text(json.dumps(reason), encoding="utf-8")

    def _trained(self, listener: Callable[[Event], None]) -> str | None:
        """Write fitted weights; returns why not where the weights at hand are to stay."""
        from f2rcli.training.run.session import train  # brings torch

        run, engine, read = self.weights.with_suffix(".run"), self.settings, self.read
        config = TrainConfig(
            inputs=(self.source,), output=str(self.weights), adapt=self.level,
            method=engine.method, init=engine.weights, run=str(run), device=engine.device,
            precision=engine.precision, threads=engine.threads, overwrite=True, axes=read.axes,
            fields=read.fields, start_at=read.start, end_at=read.end, frames=read.frames,
        )  # fmt: skip
        try:
            with running(config):
                outcome = train(config, listener)
        except (InputError, TrainingError) as error:
            return f"not adapted: {error}"
        finally:
            shutil.rmtree(run, ignore_errors=True)
        if outcome.kept:
            return None
        return next(iter(outcome.notes), "no significant improvement: the weights stay")

    def applied(self) -> EngineSettings:
        """The settings with the fitted weights, or as they were."""
        return self.settings if self.reason else replace(self.settings, weights=str(self.weights))


def cache_folder() -> Path:
    """The folder of this user's fitted weights."""
    if "XDG_CACHE_HOME" in os.environ:
        return Path(os.environ["XDG_CACHE_HOME"]) / "f2r" / "adapted"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "f2r" / "adapted"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "f2r" / "adapted"
    return Path.home() / ".cache" / "f2r" / "adapted"
