"""One call from Python: its options, its findings, its progress and how it is cancelled."""

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields
from itertools import starmap
from numbers import Real
from pathlib import Path
from threading import Event, get_ident
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import numpy as np

from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import CancelledError, UsageError, nearest, shown
from f2rcli.frames import ClipInfo, PlaneLayout
from f2rcli.settings import setting, settings_of
from f2rcli.system import CancelCheck, kept_memory
from f2rcli.yuv import code_span

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine
    from f2rcli.noise.model import NoiseModel

MACHINE = ("device", "threads", "tile")  # what they are set to changes no result


class Keywords(TypedDict, total=False):
    """The keywords of `Options`, for editors and type checkers."""

    strength: float
    chroma_strength: float | None
    sigma: float | None
    method: str
    model: str | None
    weights: str | Path | None
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
            what = f"levels={shown(levels)}: must be two numbers, the lower one first."
            raise UsageError(what, hint="For example levels=(0, 4095).")

    @classmethod
    def of(cls, given: Keywords, *, files: bool) -> "Options":
        """A call's keywords as options, for files or arrays. Raises UsageError for unknown ones."""
        known, values = settings_of(cls), dict(given)
        for name in values:
            if name not in known:
                raise UsageError(f"{name}: no such option.", hint=nearest(name, sorted(known)))
        wrong, those = ("levels", "arrays") if files else ("series", "files")
        if values.get(wrong) is not None:
            raise UsageError(f"{wrong}: for {those} only.", hint="Leave it out.")
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


# --- A run's findings and actions, for programs and notebooks ------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneNoise:
    """The noise of a lane, in the units of its samples (8-bit codes for video files).

    sigma: per channel, the standard deviation over the picture it was measured on. gain and
    offset: per channel, where the variance is a line, gain * (value - offset): the gain is in
    codes per photo-electron; empty where noise does not grow with light, or where no line fits.
    gain_error: the standard error of every gain; empty where it is not known.
    values and deviations: the law as a curve, mean of the channels.
    """

    lane: str  # "channel 2, z 1"; empty for the only one
    sigma: tuple[float, ...]
    gain: tuple[float, ...]
    gain_error: tuple[float, ...]
    offset: tuple[float, ...]
    values: tuple[float, ...]
    deviations: tuple[float, ...]
    words: str

    @classmethod
    def of(cls, lane: str, layout: PlaneLayout, model: "NoiseModel") -> "LaneNoise":
        """A model that was measured where black is 0 and white 1, in units of the samples."""
        black, span = (0.0, 255.0) if layout.levels is None else code_span(layout)
        knots = np.array(model.at_knots())
        line = model.curve is None and all(model.gain)
        parts = list(zip(model.gain, model.read, model.pedestal, strict=True)) if line else []
        return cls(
            lane=lane,
            sigma=tuple(span * sigma for sigma in model.sigma),
            gain=tuple(span * gain for gain, _, _ in parts),
            gain_error=tuple(span * model.unsure * gain for gain, _, _ in parts if model.unsure),
            offset=tuple(black + span * (dark - read**2 / gain) for gain, read, dark in parts),
            values=tuple((black + span * np.linspace(0, 1, knots.shape[1])).tolist()),
            deviations=tuple((span * knots.mean(0)).tolist()),
            words=model.in_codes((black, black + span)),
        )

    def at(self, value: float) -> float:
        """The standard deviation of samples whose true value is `value`."""
        return float(np.interp(value, self.values, self.deviations))

    def __str__(self) -> str:
        return f"noise of {self.lane}: {self.words}" if self.lane else f"noise: {self.words}"


@dataclass(slots=True, kw_only=True)
class Report:
    """The findings and actions of a run. That of an iterator fills as its frames are taken."""

    frames: int = 0  # restored so far
    noise: tuple[LaneNoise, ...] = ()  # per lane
    notes: list[str] = field(default_factory=list)  # what a user should know, in words
    given_back: float = 0.0  # share of what was removed that the residual contract gave back
    method: str = ""
    weights: str = ""
    device: str = ""
    precision: str = ""

    def note(self, *lines: str) -> None:
        """Add notes, each once."""
        self.notes += [line for line in dict.fromkeys(lines) if line not in self.notes]

    def take_in(self, engine: "Engine", info: ClipInfo) -> None:
        """Take in an engine's actions, and the noise of a clip's lanes as it has found it."""
        self.method, self.weights = engine.settings.method, engine.weights.name
        self.device, self.precision = engine.device, engine.precision
        self.given_back = engine.contract.given_back
        self.note(*engine.found.noted(info))
        self.noise = tuple(starmap(LaneNoise.of, engine.found.noises(info)))

    def __str__(self) -> str:
        how = f"{self.frames} frames, {self.method}, weights {self.weights}, {self.device}"
        return "\n".join([how, *map(str, self.noise), *(f"note: {line}" for line in self.notes)])


# --- Progress and cancellation, for the caller ---------------------------------------------------


T = TypeVar("T")
Progress = bool | Callable[[int, int | None], object]
Cancel = Callable[[], bool] | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `denoise`, and how it is cancelled. Raises UsageError for what cannot be called."""

    options: Options
    progress: Progress = False
    cancel: Cancel = None
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        if not isinstance(self.progress, bool) and not callable(self.progress):
            what = f"progress={shown(self.progress)}: neither True, False nor a function."
            hint = "A function gets the frames done and their total, which may be None."
            raise UsageError(what, hint=hint)
        if self.cancel is not None and not callable(self.cancel):
            event = isinstance(self.cancel, Event)
            hint = f"Pass {'event.is_set' if event else 'one that returns True to end the run'}."
            raise UsageError(f"cancel={shown(self.cancel)}: not a function.", hint=hint)

    def check(self) -> None:
        if self.cancel is not None and self.cancel():
            raise CancelledError("cancelled: cancel() returned True.")

    def own_check(self) -> CancelCheck:
        """`check`, in this thread alone: the caller's function may not be made for others."""
        own = get_ident()

        def check() -> None:
            if get_ident() == own:
                self.check()

        return check

    def counted(self, items: Generator[T], total: int | None) -> Iterator[T]:
        """Yield the results, counted for the report and for the caller. They end with this, however
        it ends: an error that somebody keeps would keep their threads too."""
        shown: Iterable[T] = items
        if self.progress is True:
            from rich.console import Console
            from rich.progress import track

            shown = track(items, "f2r", total=total, console=Console(stderr=True))
        with kept_memory(), closing(items):
            for done, item in enumerate(shown, start=1):
                self.check()
                self.report.frames = done
                yield item
                if callable(self.progress):
                    self.progress(done, total)
