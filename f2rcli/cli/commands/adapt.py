"""`f2r denoise --adapt`: weights fitted to the clip at hand, or the reason why there are none."""

from pathlib import Path

from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.train_progress import StepMeter
from f2rcli.engine.settings import EngineSettings
from f2rcli.io.base import ReadOptions
from f2rcli.training.adapt import Adaptation


def adapted(
    engine: EngineSettings, minutes: float, source: str, read: ReadOptions, console: Console
) -> EngineSettings:
    """The settings with weights fitted to the clip, or unchanged if none are better; says why."""
    entry = Adaptation(engine, minutes, source, read)
    known = entry.known
    if not known:
        name = Path(source).name
        console.note(f"adapting to {name}; Ctrl-C leaves everything as it was")
        with StepMeter(console) as meter:
            entry.fit(meter)
    if entry.trouble is not None:
        console.warning(f"adapt: {entry.trouble}")
    if entry.reason is not None and entry.reason == entry.trouble:
        return engine
    if entry.reason is None:
        console.note(f"adapt: weights fitted to this clip: {entry.weights}")
    else:
        console.note(f"adapt: {entry.reason}{' (cached)' if known else ''}")
    return entry.applied()
