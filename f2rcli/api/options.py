"""Options of the Python API, checked at the call and not when the first frame is read."""

import math
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any, TypedDict

from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError, nearest, shown
from f2rcli.settings import setting, settings_of

MACHINE = ("device", "threads", "tile")  # what they are set to changes no result


class Keywords(TypedDict, total=False):
    """The keywords of `Options`, for editors and type checkers."""

    strength: float
    luma_strength: float | None
    chroma_strength: float | None
    sigma: float | None
    method: str
    model: str | None
    weights: str | Path | None
    ensemble: str
    device: str
    threads: int | None
    precision: str
    tile: str | int
    axes: str | None
    series: str | int | None
    levels: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(EngineSettings):
    """The engine's settings and what arrays mean. Raises UsageError for values that cannot be."""

    # Standard deviation of the noise (default: measured).
    sigma: float | None = setting(
        None, low=0, unit="in the arrays' own units; 8-bit units for files"
    )
    # A letter per axis, as in TZCYX: T time, Y rows, X columns, S colours; others are lanes
    # (default: where the shape or the file leaves no doubt).
    axes: str | None = setting(None)
    # Series to read if a file has several: a number from 1, a name, or all; files only.
    series: str | None = setting(None)
    # The values that networks see as black and white (default: measured).
    levels: tuple[float, float] | None = setting(None)

    def __post_init__(self) -> None:
        EngineSettings.__post_init__(self)
        levels: Any = self.levels
        pair = isinstance(levels, tuple | list) and len(levels) == 2
        numbers = pair and all(isinstance(one, Real) and math.isfinite(one) for one in levels)
        if levels is not None and not (numbers and levels[0] < levels[1]):
            raise UsageError(
                f"levels={shown(levels)}: must be two numbers, the lower one first.",
                hint="For example levels=(0, 4095).",
            )

    @classmethod
    def of(cls, given: Keywords) -> "Options":
        """The options of a call's keywords; raises UsageError for one that does not exist."""
        known, values = settings_of(cls), dict(given)
        for name in values:
            if name not in known:
                raise UsageError(f"{name}: no such option.", hint=nearest(name, sorted(known)))
        loose = ("weights", "tile", "series")  # paths and numbers are welcome, too
        texts = {n: str(values[n]) for n in loose if values.get(n) is not None}
        return cls(**(values | texts))  # type: ignore[arg-type]  # whatever they are is checked

    def units(self, span: float) -> float:
        """See EngineSettings: sigma counts the arrays' own units."""
        return span

    @property
    def given(self) -> dict[str, Any]:
        """The options that change a result and were set, named as in run files; weights by name."""
        values = {
            f.name: getattr(self, f.name) for f in fields(self)
            if f.name not in MACHINE and getattr(self, f.name) != f.default
        }  # fmt: skip
        if "weights" in values:
            values["weights"] = Path(values["weights"]).name
        return values

    def of_files(self) -> EngineSettings:
        """The engine's settings for a file, whose sigma is in 8-bit units."""
        return EngineSettings(**{f.name: getattr(self, f.name) for f in fields(EngineSettings)})


def refuse_series(options: Options) -> None:
    """Raise UsageError for a series of frames that come from no file."""
    if options.series is not None:
        raise UsageError("series: for files only.", hint="Leave it out.")
