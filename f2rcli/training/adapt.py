"""Weights fitted to one clip: trained once, kept in the user's cache, found again by content."""

import atexit
import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from f2rcli import weights
from f2rcli.engine.settings import LITE, EngineSettings
from f2rcli.errors import InputError, OutputError, TrainingError
from f2rcli.frames import Family
from f2rcli.io.base import ReadOptions
from f2rcli.io.files import file_digest, sweep, write_text
from f2rcli.settings import read_table
from f2rcli.system import cache_folder
from f2rcli.training.config import TrainConfig, clip_sources, fingerprint
from f2rcli.training.folder import OnEvent, running

MOST_KEPT = 64  # entries of the cache, 4 to 13 MB each: those that were used last


class Adaptation:
    """The cache entry of a clip and settings: weights and their digest, or why there are none."""

    def __init__(self, settings: EngineSettings, source: str, read: ReadOptions) -> None:
        """source: a file."""
        self.settings, self.source, self.read = settings, source, read
        files = [file for clip in clip_sources([source]) for file in clip.files]
        marks = sorted({weights.mark(settings.weights), weights.mark(None)})
        key = fingerprint(files, "adapted", settings.method, settings.model, marks, self.read)
        self.weights = (cache_folder("adapted") or _folder_for_once()) / f"{key}.safetensors"
        known = {k: v for k, v in read_table(self._account).items() if isinstance(v, str)}
        self.reason, self._digest = known.get("reason"), known.get("sha256")
        self.trouble: str | None = None  # why nothing could be kept
        self._cut_short = False  # whether the clock is the reason, which may differ next time

    @property
    def _account(self) -> Path:
        return self.weights.with_suffix(".json")

    @property
    def known(self) -> bool:
        """Whether the entry is there, and whole: not a bit of the weights has changed."""
        with suppress(OSError):
            os.utime(self._account)  # used last, so kept longest
        if self.reason is not None:
            return True
        try:
            return self._digest is not None and self._digest == file_digest(self.weights)
        except OSError:
            return False

    def fit(self, listener: OnEvent) -> None:
        """Make the entry by training; `listener` gets the run's events. None where the cache cannot
        be written, or has no room for the training."""
        try:
            self.weights.parent.mkdir(parents=True, exist_ok=True)
            sweep(self.weights.parent)
            self.reason = self._trained(listener)
            if self.reason is None:
                facts = {"sha256": file_digest(self.weights)}
            else:
                self.weights.unlink(missing_ok=True)
                facts = {"reason": self.reason}
            if not self._cut_short:
                write_text(self._account, json.dumps(facts))
                forget_all_but(self.weights.parent, MOST_KEPT)
        except OutputError as error:
            self.reason = self.trouble = f"not adapted: {error}"
        except OSError as error:
            where = error.filename or self.weights.parent
            why = f"{where}: {error.strerror or error}; XDG_CACHE_HOME may name another folder."
            self.reason = self.trouble = f"not adapted: {why}"

    def _trained(self, listener: OnEvent) -> str | None:
        """Write fitted weights; returns why not where the weights at hand are to stay."""
        from f2rcli.training.session import train  # brings torch

        run = self.weights.with_name(f".{self.weights.stem}.part")  # swept up, should it be left
        engine, read = self.settings, self.read
        init = engine.weights
        if engine.model == LITE:  # which has a set for colours and gray alone
            init = weights.choose(engine.method, Family.RGB, LITE)
        config = TrainConfig(
            inputs=(self.source,), output=str(self.weights), adapt=True,
            precision="auto" if engine.precision == "fp16" else engine.precision,
            method=engine.method, init=init, run=str(run), device=engine.device,
            threads=engine.threads,
            overwrite=True, axes=read.axes, series=read.series, fields=read.fields,
            start_at=read.start, end_at=read.end, frames=read.frames,
        )  # fmt: skip
        try:
            with running(config):  # raises where another process makes the same entry
                try:
                    result = train(config, listener)
                finally:
                    shutil.rmtree(run, ignore_errors=True)
        except (InputError, TrainingError) as error:
            return f"not adapted: {error}"
        self._cut_short = result.for_time
        return result.why_not

    def applied(self) -> EngineSettings:
        """The settings with the fitted weights, or as they were."""
        if self.reason:
            return self.settings
        return replace(self.settings, weights=str(self.weights), model=None)


def forget_all_but(cache: Path, most: int) -> None:
    """Remove all entries of a cache but so many, those that were not used for longest."""
    accounts = [path for path in cache.glob("*.json") if path.is_file()]
    for account in sorted(accounts, key=lambda path: path.stat().st_mtime, reverse=True)[most:]:
        account.unlink(missing_ok=True)
        account.with_suffix(".safetensors").unlink(missing_ok=True)


def _folder_for_once() -> Path:
    """A folder that goes when this process does."""
    once = Path(tempfile.mkdtemp(prefix="f2r-adapted-"))
    atexit.register(shutil.rmtree, once, ignore_errors=True)
    return once
