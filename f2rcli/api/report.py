"""A run's findings and actions, for programs and notebooks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from f2rcli.frames import PlaneLayout
from f2rcli.yuv import code_span

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine
    from f2rcli.noise.model import NoiseModel


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
        black, span = (0.0, 255.0) if layout.levels is None else code_span(layout, chroma=False)
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

    def note(self, line: str) -> None:
        """Add a note, once."""
        if line not in self.notes:
            self.notes.append(line)

    def take_in(self, engine: "Engine") -> None:
        """Take in an engine's actions, but for the noise of its lanes."""
        self.method, self.weights = engine.method_name, engine.weights_name
        self.device, self.precision = engine.device, engine.precision
        self.given_back = engine.contract.returned.share
        for line in engine.found.notes:
            self.note(line)

    def take_lanes(self, engine: "Engine", lanes: Iterable[str]) -> None:
        """The noise of the lanes that an engine has done, by their labels."""
        known = zip(lanes, engine.found.lane_noise, strict=False)
        self.noise = tuple(LaneNoise.of(lane, *found) for lane, found in known)

    def __str__(self) -> str:
        how = f"{self.frames} frames, {self.method}, weights {self.weights}, {self.device}"
        return "\n".join([how, *map(str, self.noise), *(f"note: {line}" for line in self.notes)])
