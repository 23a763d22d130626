"""One noise model for the lanes of a stack that one sensor recorded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.excerpts import excerpts
from f2rcli.engine.noise.opening import Opening, measured_alone
from f2rcli.frames import Family, Frame
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.photons.line import photon_line
from f2rcli.noise.planes import PlaneNoise, planes_of
from f2rcli.noise.sensors import LaneLaw, SensorLaw, sensors_of
from f2rcli.yuv import code_span

ALIKE = 0.25  # relative: the variance by anchors, and by what adjacent frames differ by


@dataclass
class Laws:
    """The noise of a stack's lanes: that of their sensor where they agree, else their own."""

    bits: int
    openings: dict[int, Opening] = field(default_factory=dict)  # of lanes looked at, by number
    sensors: list[SensorLaw] = field(default_factory=list)
    members: dict[int, SensorLaw] = field(default_factory=dict)  # by lane

    @classmethod
    def of(cls, lanes: Iterable[Sequence[Frame]], engine: Engine) -> "Laws | None":
        """lanes: the first frames of some, no two alike, as streams of them begin."""
        laws: Laws | None = None
        known: dict[int, LaneLaw] = {}
        for frames in lanes:
            if not frames or not frames[0].layout.counts_light:
                continue
            laws = cls(frames[0].layout.bits) if laws is None else laws
            lane = frames[0].lane
            laws.openings[lane] = measured_alone(frames, engine)
            if (law := laws.law_of(frames)) is not None:
                known[lane] = law
        if laws is None or len(laws.openings) < 2:
            return None
        for sensor, members in sensors_of(list(known.values())):
            laws.sensors.append(sensor)
            laws.members |= {list(known)[number]: sensor for number in members}
        return laws

    def opening(self, frames: Sequence[Frame], engine: Engine) -> Opening:
        """The noise of a lane that begins with these frames."""
        lane = frames[0].lane
        if lane not in self.openings:
            self.openings[lane] = measured_alone(frames, engine)
            own = self.law_of(frames)
            for sensor in self.sensors:
                if own is not None and sensor.agrees(own):
                    self.members.setdefault(lane, sensor)
        found = self.openings[lane]
        return _shared(self.members[lane], found, frames) if lane in self.members else found

    def law_of(self, frames: Sequence[Frame]) -> LaneLaw | None:
        """The law of a lane's sensor; None where it has no line or another depth of bits."""
        found, layout = self.openings[frames[0].lane], frames[0].layout
        model = found.model
        if layout.bits != self.bits or layout.family is not Family.GRAY or model.curve is not None:
            return None
        black, span = code_span(layout, chroma=False)
        gain, dark, middle = model.gain[0], model.pedestal[0], _middle(frames)
        level = gain * (middle - dark) + model.read[0] ** 2 if gain else model.sigma[0] ** 2
        line = photon_line([planes_of(one)[0] for one in excerpts(frames)])
        if line is None or not line.sure:
            return LaneLaw(black + span * middle, span**2 * level)
        if abs(line.level + line.gain * (middle - line.middle) - level) > ALIKE * level:
            return None
        at, variance = black + span * line.middle, span**2 * line.level
        return LaneLaw(at, variance, span * line.gain, span * line.error)


def _middle(frames: Sequence[Frame]) -> float:
    """Mean brightness."""
    return float(np.mean([planes_of(frame)[0].mean(dtype=np.float64) for frame in frames]))


def _shared(sensor: SensorLaw, found: Opening, frames: Sequence[Frame]) -> Opening:
    """A lane's noise by its sensor's law; its own where that leaves no variance to its light."""
    own, layout = found.model, frames[0].layout
    black, span = code_span(layout, chroma=False)
    gain, zero = sensor.line[0] / span, (sensor.line[1] - black) / span
    dark = max(own.pedestal[0] if own.read[0] > 0 else 0.0, zero, 0.0)
    level = gain * (_middle(frames) - zero)
    if level <= 0:
        return found
    many, read = len(own.gain), (gain * (dark - zero)) ** 0.5  # many: gray through RGB weights
    gains, reads, sigmas, darks = ((one,) * many for one in (gain, read, level**0.5, dark))
    model = NoiseModel(gains, reads, sigmas, own.samples, None, darks, sensor.unsure)
    planes = PlaneNoise.of(model, layout, clipped=found.planes.clipped)
    return found._replace(model=model, planes=replace(planes, shares=found.planes.shares))
