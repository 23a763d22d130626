"""The noise of a stream: stated by the user or the file, or estimated at its start and as it goes.

One estimate (`noise/estimate.py`) says it of the first frames, for `f2r info` and for a run alike,
and looks again every few frames: noise may fall or rise, at a cut or within a shot. What a look
says counts as far as it differs from the start by more than chance. Only the start and the last
look are remembered, so that an excerpt has the noise of the whole run.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli import methods
from f2rcli.engine.contract.residual import cost_of_codes
from f2rcli.engine.engine import Engine
from f2rcli.engine.measuring import Opening, into, opening_noise, stated_model
from f2rcli.engine.settings import allowance
from f2rcli.frames import Floats, Frame, PlaneLayout, is_even
from f2rcli.models.flow import Flow
from f2rcli.noise.coding import Compression, compression_of, together
from f2rcli.noise.estimate import shows_noise
from f2rcli.noise.following import as_grainy, followed
from f2rcli.noise.model import HARDLY_ANY, NoiseModel, PlaneNoise, picture_of
from f2rcli.noise.report import NOTHING_TO_DO
from f2rcli.noise.stabilising import VarianceStabiliser, lowest
from f2rcli.yuv import code_span, planes_of, to_rgb

LOOK_EVERY = 8  # frames: noise may change, and encoders share out their bits
# Times the level that a frame was prepared with: networks learn with levels that are as wrong.
TOLD_WRONGLY = 1.4
HARDLY_ANY8 = 255 * HARDLY_ANY
# Of 255: below it methods remove texture beside noise, see `NoiseShares`: worth 0.19 dB of luma at
# sigma 5, 0.11 at 8, 0.05 at 12, 0.02 at 20 (four filmed clips, `lite`).
WEAK8 = 16.0
SINGLE_FRAMES = "too few frames, or too small ones, to compare: noise estimated from single frames"
TOO_FEW_PIXELS = "too few pixels to measure the noise: left unchanged (sigma= sets it)"
BETWEEN_CODES = (
    "what is left is noise of less than a code: samples are whole codes, and what lies between is "
    "rounded; as 32-bit floats more of it goes"
)
ROUGH = 3.0  # dB that whole codes cost, where what is left of the noise hides their steps no more
CONTRADICTION = 2.0  # between a declared sigma and the one that is measured


class SeenLately(NamedTuple):
    """What looks since a stream's start have said."""

    now: PlaneNoise | None = None  # of noise, in this shot; None: as at the start
    compression: Compression | None = None  # a codec's errors
    era: int = 0  # how often they were looked at; one look serves LOOK_EVERY frames
    # Grain of the frames that were looked at since, see `grain`, and what they showed: between
    # frames that a codec encodes in another way, noise goes up and down.
    looks: tuple[tuple[float, PlaneNoise], ...] = ()


class NoiseTracker:
    """A stream's noise: what was found at its start, and what the last look said.

    Sensor values go to networks through a `VarianceStabiliser` for the noise that was found. A
    sensor's law stays as it is while brightness changes; looks tell by how much all of it does, as
    where a stack was made as bright as before it bleached.
    """

    def __init__(
        self, engine: Engine, layout: PlaneLayout, start: Opening, low: float | None = None
    ) -> None:
        """start: the noise of its first frames; low: their darkest samples, see `lowest`."""
        self.engine, self.layout, self.start, self.low = engine, layout, start, low
        self.excess = max(allowance(engine.settings, layout))
        self.sensor = layout.counts_light
        self.declared = engine.settings.sigma is not None or engine.stated is not None
        self.lately = SeenLately()
        self.space: VarianceStabiliser | None = None
        self.know(start.compression)
        engine.found.noise, engine.found.compression = self.measured, self.errors  # of all the run

    @classmethod
    def of(cls, engine: Engine, layout: PlaneLayout, frames: Sequence[Frame]) -> "NoiseTracker":
        """That of a stream which begins with these frames, at least one and all different. A
        declared sigma is used whatever is measured, but a contradiction is noted."""
        low, sigma = None, engine.settings.sigma
        if layout.levels is not None and layout.counts_light:
            low = lowest([torch.from_numpy(to_rgb(frame)) for frame in frames])
        if sigma is None and engine.stated is not None:
            model = stated_model(engine.stated, planes_of(frames[0]))
            start = Opening(PlaneNoise.of(model, clipped=True), None)
        else:
            start = opening_noise(frames, coded=engine.coded)
            if sigma is not None:
                start = Opening(_declared(sigma, start, engine, layout), None)
        if layout.levels is not None and not layout.float_samples:
            levels = start.planes.model.at(planes_of(frames[0])[0])
            start = start._replace(cost=cost_of_codes(levels, layout))
        noise = cls(engine, layout, start, low)
        if not noise.declared:
            noise.say(frames)
        return noise

    @property
    def rough(self) -> bool:
        """Whether a stack's codes are coarse beside what is left of its noise."""
        return self.start.cost > ROUGH

    @property
    def dark(self) -> bool:
        """Whether the start of a sensor's stream tells read noise alone."""
        return self.sensor and not self.declared and not any(self.start.planes.model.gain)

    @property
    def told(self) -> PlaneNoise:
        """What methods are told of it by now: strength above 1 claims that much more noise."""
        if self.space is None:
            return self.planes.scaled(self.excess)
        even = PlaneNoise.even(self.space.sigma, self.layout, clipped=False)
        return even.scaled(self.excess * self._change)

    @property
    def _change(self) -> float:
        """What the noise of counts is by now, times that of the start."""
        now, even = self.lately.now, self.start.even
        if now is None or even is None:
            return 1.0
        return mean_sigma8(now.model) / mean_sigma8(even.noise.model)

    @property
    def planes(self) -> PlaneNoise:
        """That of the file's planes as it was seen lately, together with a codec's errors."""
        return self._beside(self.lately.compression)

    def _beside(self, coded: Compression | None) -> PlaneNoise:
        """The noise as it was seen lately, together with such errors."""
        noise = self.lately.now or self.start.planes
        if self.start.even is not None:
            noise = replace(self.start.planes.scaled(self._change), kept=noise.kept)
        return noise if coded is None else together(noise, coded, self.layout)

    @property
    def measured(self) -> NoiseModel:
        """That of the picture's channels, at the start; a codec's errors where these are more."""
        coded, found = self.errors, self.of_picture(self.start.planes)
        return found if coded is None else NoiseModel.gaussian(coded.sigma, len(found.sigma))

    @property
    def errors(self) -> Compression | None:
        """A codec's errors, where they are stronger than the noise."""
        coded, noise = self.lately.compression, self.of_picture(self.start.planes)
        return coded if coded is not None and coded.exceeds(noise) else None

    def of_picture(self, planes: PlaneNoise) -> NoiseModel:
        """The noise of planes in the picture that networks see."""
        return planes.picture(self.layout, self.engine.channels)

    @property
    def weak(self) -> bool:
        """Whether methods are asked how much of what they remove is noise, which stacks' never
        are. That of mosaics is as strong as in the space in which networks see it."""
        if self.layout.levels is not None:
            return False
        if self.space is not None:
            return 255 * self.space.sigma < WEAK8
        return mean_sigma8(self.of_picture(self.planes)) < WEAK8

    def into(self, planes: list[Tensor]) -> list[Tensor]:
        """A frame's planes (H, W) as networks see them."""
        if self.space is None:
            return planes
        picture = torch.stack(planes)[None]
        return list((self.space.into(picture) + self._lift(self.space, picture))[0])

    def back(self, estimate: list[Tensor], planes: list[Tensor]) -> list[Tensor]:
        """The networks' estimate of a frame's planes, in the planes' own units."""
        if self.space is None:
            return estimate
        lift = self._lift(self.space, torch.stack(planes)[None])
        return list(self.space.back(torch.stack(estimate)[None] - lift)[0])

    def _lift(self, space: VarianceStabiliser, picture: Tensor) -> float:
        """An offset for pictures far darker than the space's: networks fail below zero."""
        if self.low is None or not space.lift(float(picture.min())):  # no quantile need be sought
            return 0.0
        return space.lift(lowest([picture]))

    def say(self, frames: Sequence[Frame]) -> None:
        """Note what users should know of the noise of its first frames."""
        found = self.start
        measurable = found.found is not None or shows_noise(picture_of(frames[0]).planes[0])
        if not measurable:
            self.engine.found.note(TOO_FEW_PIXELS)
        elif found.found is None and len(frames) > 1:  # of one frame another note tells
            self.engine.found.note(SINGLE_FRAMES)
        if self.errors is not None:
            self.engine.found.note(self.errors.words())
        sigma = mean_sigma8(self.of_picture(found.planes))
        if measurable and self.errors is None and not self.sensor and sigma < HARDLY_ANY8:
            self.engine.found.note(NOTHING_TO_DO)
        if methods.load(self.engine.settings.method).wants_sigma:
            self.engine.found.note(f"no sigma= given: the noise was measured, {sigma:.1f} of 255")
        if self.sensor and found.cost > 1:
            self.engine.found.note(BETWEEN_CODES)

    def follow_codec(self, index: int, frames: Sequence[Frame]) -> None:
        """Ask anew now and then how strong the codec's errors are. frames: of the window around
        that with this index."""
        era = index // LOOK_EVERY
        if era == self.lately.era or self.declared or self.sensor:
            return
        self.lately = self.lately._replace(era=era)
        found, known = compression_of(frames, self.start.edges8), self.start.compression
        if found and known and found.even == known.even:
            low, high = sorted((found.sigma, known.sigma))
            found = found if high > TOLD_WRONGLY * low else known
        if found != self.lately.compression:
            self.know(found)

    def recall(self, seen: SeenLately) -> None:
        """Go on from the looks of another run, whose start was the same."""
        self.know(seen.compression)
        self.lately = seen

    def looks(
        self, index: int, grains: Sequence[float], *, begins: bool, opened: bool = False
    ) -> bool:
        """Whether the noise is looked at in a frame; begins: whether a shot does there; opened:
        whether that is the shot of the opening, which told more than a frame beside one other,
        unless they differ; it may not be that of a sensor's light. grains: see `look`. The noise of
        one that was looked at counts for those as grainy."""
        grain, opened = grains[0], opened and not self.sensor and as_grainy(*grains[:2])
        if begins:
            self.lately = self.lately._replace(now=None, looks=())
        if opened:
            self._seen(grain, self.start.planes)
        if opened or self.declared or (self.sensor and self.start.even is None):
            return False
        if index % LOOK_EVERY == 0:
            self.lately = self.lately._replace(looks=())
        alike = [noise for other, noise in self.lately.looks if as_grainy(grain, other)]
        if alike:
            self.lately = self.lately._replace(now=alike[0])
        return not alike

    def _seen(self, grain: float, noise: PlaneNoise) -> None:
        looks = (grain, noise), *self.lately.looks
        self.lately = self.lately._replace(now=noise, looks=looks)

    def another_level(self, before: PlaneNoise, now: PlaneNoise) -> bool:
        """Whether networks that were told one noise are to be told another, over the picture."""
        apart = np.log(np.divide(*(self._by_place(told) + 1e-9 for told in (before, now))))
        return float(np.square(apart).mean()) > math.log(TOLD_WRONGLY) ** 2

    def _by_place(self, told: PlaneNoise) -> Floats:
        """The sigma that is shown, place by place (R, C), of 255: of all planes together."""
        power = np.square(np.array(told.model.sigma))[:, None, None]
        if told.places:
            power = power * np.square(np.array(told.places))
        power = power.sum(0)
        whole = mean_sigma8(self.of_picture(told))
        return np.asarray(whole * np.sqrt(power / max(power.mean(), 1e-12)))

    def look(
        self, frames: Sequence[Frame], flows: Sequence[Flow | None], grains: Sequence[float], *,
        begins: bool = False,
    ) -> None:  # fmt: skip
        """See how strong the noise is in a frame beside one or two neighbours of its shot, or none.
        flows: from it into these where known; grains: of each frame; begins: if the shot does."""
        most = max(one.quantiser8 for one in frames)
        if self.errors is not None and most > TOLD_WRONGLY * frames[0].quantiser8:
            return  # they differ by errors that this one does not hold
        even = self.start.even
        if even is not None and not any(as_grainy(one, grains[0]) for one in grains[1:]):
            return  # there is other light
        start, known = self.start.planes, self.lately.now
        if known is not None and known.places != start.places:
            start = known  # of this shot, whose places are others
        shown = [picture_of(one) for one in frames]
        if even is not None:
            start, shown = even.noise, [into(even.space, one) for one in shown]
        unsure = self.start.found.unsure if self.start.found else float("inf")
        about = {"coded": self.engine.coded, "counts": even is not None}
        whole = begins and even is None
        now = followed(start, shown, flows, grains, unsure=unsure, whole=whole, **about)
        self._seen(grains[0], now)

    def by_now(self, frame: Frame) -> PlaneNoise:
        """The noise of a frame's planes, as seen lately, with the codec's errors that it has."""
        if all(map(is_even, frame.planes)):  # the end of a fade
            return replace(self.planes.scaled(0), clipped=False)
        coded = self.lately.compression
        return self._beside(coded and coded.of(frame, self.start.edges8))

    def know(self, compression: Compression | None) -> None:
        """Adopt the noise of the start, and the errors of compression beside it."""
        self.lately = self.lately._replace(now=None, compression=compression)
        if self.sensor:
            device = self.engine.torch_device
            self.space = VarianceStabiliser.of(self.planes.model, device, self.low)


def _declared(sigma: float, found: Opening, engine: Engine, layout: PlaneLayout) -> PlaneNoise:
    """The noise of a declared sigma, with what is measured of clipping and scales, which nobody
    tells; says so where the two lie far apart."""
    units = engine.settings.units(code_span(layout)[1])  # of sigma, to white
    own = PlaneNoise.even(min(sigma / units, 1.0), layout, clipped=found.planes.clipped)
    share, seen8 = units / 255, mean_sigma8(found.planes.picture(layout, engine.channels))
    low, high = sorted((sigma / share, seen8))
    contradicted = high > CONTRADICTION * low
    if found.found is not None and contradicted and high > CONTRADICTION * HARDLY_ANY8:
        words = f"{seen8:.1f} of 255" if share == 1 else f"{share * seen8:.3g}"
        engine.found.note(f"sigma={sigma:g} is used, though {words} was measured")
    if found.found is None or contradicted:
        return own
    seen = found.planes
    return replace(own, shares=seen.shares, places=seen.places, kept=seen.kept, gamut=seen.gamut)


def mean_sigma8(model: NoiseModel) -> float:
    """The sigma that is shown, mean of the channels, of 255."""
    return sum(model.sigma8) / len(model.sigma8)
