"""A stream's noise: stated by the user, or measured at its start and refreshed slowly."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

import torch
from torch import Tensor

from f2rcli import methods
from f2rcli.engine.contract.residual import STRICT
from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.anchor_pairs import AnchorPairs, evidence
from f2rcli.engine.noise.excerpts import excerpter
from f2rcli.engine.noise.opening import (
    DIM_PREROLL,
    HARDLY_ANY8,
    PREROLL,
    Opening,
    few_photons,
    hardly_any,
    mean_sigma8,
    measured_planes,
    opening_noise,
    recounted,
    stated_model,
    with_compression,
)
from f2rcli.engine.strength import allowance
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.methods.base import Method, Prepared
from f2rcli.noise.measurement.blocking import Blocking
from f2rcli.noise.measurement.compression import Compression, compression_of, own_share
from f2rcli.noise.measurement.detail import shows_noise
from f2rcli.noise.model import NoiseModel, blend
from f2rcli.noise.planes import Anchored, PlaneNoise, picture_of
from f2rcli.noise.report import NOTHING_TO_DO
from f2rcli.noise.stabilising import VarianceStabiliser, lowest
from f2rcli.noise.told import Told
from f2rcli.tee import emptied
from f2rcli.weights import KINDS, Kind
from f2rcli.window import Window
from f2rcli.yuv import code_span

REFRESH_EVERY = 48  # unique frames between measurements of the noise
REFRESH_SHARE = 0.3  # of a new measurement in the running one
# Of 255: at 3 the rounding of bf16 costs 0.03 dB, and an ensemble gains more than 0.12 dB.
FAINT8 = 4.0
# Of 255: below it methods remove texture beside noise, see `Shrinkage`; of luma beside colours.
WEAK8, WEAK_LUMA8 = 8.0, 4.0
LIGHT8, HEAVY8 = 12.0, 30.0  # of 255, clipped and not: benchmarks/quality.py, fidelity.py
# Of 255, and the still share of a stack's texture: in long bursts weights for heavy noise lose it
# (five clips at sigma 15, frames 25 to 32: 0.2 to 1.4 dB; at 27 those for light noise 0.3).
BURST8, RESTING = 18.0, 0.9
SINGLE_FRAMES = "too few frames, or too small ones, to compare: noise estimated from single frames"
TOO_FEW_PIXELS = "too few pixels to measure the noise: left unchanged (sigma= sets it)"
UNEVEN = "noise differs over the picture: measured where it is loudest, less is removed elsewhere"
CONTRADICTION = 2.0  # between a declared sigma and the one that is measured


def is_light(model: NoiseModel, *, clipped: bool) -> bool:
    """Whether weights for light noise do better; clipped: whether black or white cut it off."""
    return mean_sigma8(model) < (LIGHT8 if clipped else HEAVY8)


class NoiseTracker:
    """A stream's noise: stated by the user, or measured at its start and refreshed slowly.

    Sensor values go to networks through a `VarianceStabiliser` for the noise that was found, and
    their noise is not measured again: a sensor's law stays as it is while brightness changes.
    """

    def __init__(self, engine: Engine, layout: PlaneLayout) -> None:
        self.engine = engine
        self.layout = layout
        self.excess = max(allowance(engine.settings, layout))
        self.sensor = layout.counts_light
        self.units = engine.settings.units(code_span(layout, chroma=False)[1])  # of sigma, to white
        self.declared = engine.settings.sigma is not None
        self.measured: NoiseModel | None = None
        self.planes: PlaneNoise | None = None  # of every plane of the file, as found or declared
        self.law: tuple[NoiseModel, PlaneNoise] | None = None  # of noise, whatever a codec's errors
        self.blocking: Blocking | None = None  # see Opening
        self.compressed = False  # whether what is known are the errors of compression
        self.texture = 0.0  # see Opening
        self.still = 0.0  # share of the opening's texture that does not move
        self.low: float | None = None  # signal of the darkest samples; see `lowest`
        self.space: VarianceStabiliser | None = None
        if engine.settings.sigma is not None:
            channels = engine.weights.header.channels
            given = NoiseModel.gaussian(min(engine.settings.sigma / self.units, 1.0), channels)
            self.know(given, PlaneNoise.of(given, layout, clipped=layout.full_range))

    @property
    def model(self) -> NoiseModel | None:
        """The noise that networks are given: strength above 1 claims that much more noise."""
        known = self.measured if self.space is None else self.space.model
        return None if known is None else known.scaled(self.excess)

    @property
    def told(self) -> Told | None:
        """What methods are told of it, as `model`."""
        if self.measured is None or self.planes is None:
            return None
        if self.space is None:
            return Told(self.planes, self.measured, self.compressed).scaled(self.excess)
        even = self.space.model
        return Told(PlaneNoise.of(even, self.layout, clipped=False), even).scaled(self.excess)

    @property
    def light(self) -> bool:
        """Whether the noise is light or was never clipped, as in most footage."""
        if self.measured is None:
            return False
        clipped = self.planes is None or self.planes.clipped
        burst = self.layout.levels is not None and self.still > RESTING
        return is_light(self.measured, clipped=clipped) or (burst and self._below(BURST8))

    @property
    def kinds(self) -> list[Kind]:
        """What bundled weights may have others for, as far as it holds, the most special first."""
        so = {
            "compressed": self.compressed, "light": self.light,
            "coded_noise": self.engine.slack is not STRICT,
        }  # fmt: skip
        return [kind for kind in KINDS if so[kind]]

    @property
    def faint(self) -> bool:
        """Whether the noise is so weak that rounding pictures to bf16 shows beside it."""
        return self._below(FAINT8)

    @property
    def ensemble(self) -> bool:
        """Whether the noise is so weak that the networks' own errors show beside it. Of errors of
        compression an ensemble takes out 0.03 dB more, in two and a half times the time."""
        drowned = self.compressed or self._below(HARDLY_ANY8)
        return self._as_stored() and self.faint and not drowned

    def new_method(self) -> Method:
        """The method with the networks for this noise, which the engine remembers."""
        return self.engine.new_method(
            self.layout, kinds=self.kinds, faint=self.faint, ensemble=self.ensemble
        )

    @property
    def weak(self) -> bool:
        """Whether methods are asked how much of what they remove is noise. Sensors' counts go to
        networks through a space of their own, with noise that is never weak. Networks that are told
        of strong colour noise take more out of luma, too."""
        luma = self.planes if self.layout.family is Family.YUV else None
        light = luma is not None and luma.models[0].sigma8[0] < WEAK_LUMA8
        return self._as_stored() and (light or self._below(WEAK8))

    def _as_stored(self) -> bool:
        return self.space is None and self.layout.levels is None

    def _below(self, sigma8: float) -> bool:
        return self.measured is not None and mean_sigma8(self.measured) < sigma8

    def of_errors(self, frame: Frame) -> PlaneNoise | None:
        """The errors of compression in a frame, which may be finer than its clip."""
        if self.planes is None or self.measured is None:
            return self.planes
        share = own_share(frame, self.blocking, mean_sigma8(self.measured))
        return self.planes if share == 1 else self.planes.scaled(share)

    def into(self, planes: list[Tensor]) -> list[Tensor]:
        """A frame's planes (H, W) as networks see them."""
        if self.space is None:
            return planes
        picture = torch.stack(planes)[None]
        seen = self.space.into(picture) + self._lift(self.space, picture)
        return list(seen[0, : len(planes)])

    def back(self, estimate: list[Tensor], planes: list[Tensor]) -> list[Tensor]:
        """The networks' estimate of a frame's planes, in the planes' own units."""
        if self.space is None:
            return estimate
        lift = self._lift(self.space, torch.stack(planes)[None])
        return list(self.space.back(torch.stack(estimate)[None] - lift)[0, : len(planes)])

    def _lift(self, space: VarianceStabiliser, picture: Tensor) -> float:
        """An offset for pictures far darker than the space's: networks fail below zero."""
        return 0.0 if self.low is None else space.lift(lowest([picture]))

    def measure_opening(self, frames: Sequence[Frame]) -> None:
        """Measure on the first frames, all different, by a fresh method. A declared sigma is used
        all the same, but a contradiction is noted."""
        if not frames:
            return
        if self.layout.levels is not None and self.sensor:
            self.low = lowest([self.engine.to_tensor(frame) for frame in frames[:PREROLL]])
            if self.measured is not None and self.planes is not None:  # a declared sigma
                self.know(self.measured, self.planes)
        if self.engine.stated is not None and not self.declared:
            self.declared = True
            model = stated_model(self.engine.stated, self.engine.to_tensor(frames[0]))
            self.know(model, PlaneNoise.of(model, self.layout, clipped=True))
            return
        found = opening_noise(frames, self.engine)
        sigma = mean_sigma8(found.model)
        if self.declared:
            self._compare(found)
            return
        measurable = found.compared or shows_noise(self.engine.to_tensor(frames[0]))
        if not measurable:
            self.engine.note(TOO_FEW_PIXELS)
        elif not found.compared and len(frames) > 1:  # of one frame another note tells
            self.engine.note(SINGLE_FRAMES)
        self.texture = found.texture(self.layout)
        self.still = found.bounds[0].still if found.bounds else 0.0
        self.blocking = found.blocking
        self.know(found.model, found.planes, found.compression)
        if found.planes.uneven and not self.compressed:
            self.engine.note(UNEVEN)
        if self.compressed and found.compression is not None:
            self.engine.note(found.compression.words())
        elif measurable and hardly_any(found.model, self.layout):
            self.engine.note(NOTHING_TO_DO)
        if methods.load(self.engine.method_name).wants_sigma:
            self.engine.note(f"no sigma= given: the noise was measured, {sigma:.1f} of 255")

    def refresh(self, view: Window[Prepared], frames: Sequence[Frame], missed: int = 0) -> None:
        """Now and then, measure again and move towards it; once for as many times as were missed
        before an excerpt. `frames` are those of the window."""
        measurer = self.engine.new_measurer() if self._asked(view, missed) else None
        if measurer is None or self.law is None:
            return
        anchors = AnchorPairs(measurer, None, [self.engine.to_tensor(one) for one in frames])
        seen = anchors.pair(anchors.views()[len(view.before)])
        if seen is None:
            return
        pair = seen.first, seen.second
        samples = evidence([seen], seen.noisy.shape[1], dark=False)
        model = samples.model()
        if model is None:
            return
        place = len(view.before)
        pictures = [picture_of(frame) for frame in frames[place - 1 : place + 2]]
        anchored, clipped = [Anchored(frames[place], *pair)], samples.cut_off
        found = measured_planes(pictures, anchored, model, self.layout, clipped=clipped)
        share = 1 - (1 - REFRESH_SHARE) ** max(missed, 1)
        before, planes = self.law
        self.know(
            blend(before, found.model, share), planes.blended(found.planes, share),
            compression_of(frames, self.blocking),
        )  # fmt: skip

    def due(self, view: Window[Prepared]) -> bool:
        """Whether the noise is to be measured again on this window's centre."""
        return refreshes(view) and self._open(view)

    def _asked(self, view: Window[Prepared], missed: int) -> bool:
        return self.due(view) or bool(missed and self._open(view))

    def _open(self, view: Window[Prepared]) -> bool:
        """Whether it may be measured again, and there are frames on both sides to do so."""
        known = self.declared or self.sensor or (self.planes is not None and self.planes.uneven)
        return bool(not known and view.before and view.after)

    def recounting(self, pictures: Iterator[list[Frame]]) -> Iterator[list[Frame]]:
        """Pictures of a stream as they come, no two alike. If their opening holds few photons, the
        first DIM_PREROLL tell their law anew, and the contract goes by it from then on. Networks
        see pictures as before: what is remembered of earlier ones would not fit others."""
        waiting = deque(islice(pictures, PREROLL))
        parts = [copies[0] for copies in waiting]
        first, cut, few = parts[0], excerpter(parts), not self.declared and few_photons(parts)
        parts.clear()
        for copies in chain(emptied(waiting), pictures):
            if few and self.measured is not None and self.planes is not None:
                parts.append(cut(copies[0]))
                if len(parts) == DIM_PREROLL:
                    self.law = recounted(parts, first, self.measured, self.planes)
                    self._believe(*self.law)
                    parts, few = [], False
            yield copies

    def know(
        self, model: NoiseModel, planes: PlaneNoise, compression: Compression | None = None
    ) -> None:
        """Adopt a noise model, by the picture's channels and the file's planes; for the time, the
        errors of compression in its place where they are stronger."""
        self.law = model, planes
        self.compressed = compression is not None and compression.exceeds(model)
        self.engine.compression = compression if self.compressed else None
        self._believe(*with_compression(model, planes, compression, self.layout))
        if self.sensor:
            self.space = VarianceStabiliser.of(model, self.engine.torch_device, self.low)

    def _believe(self, model: NoiseModel, planes: PlaneNoise) -> None:
        self.measured = self.engine.noise = model
        self.planes = planes

    def _compare(self, found: Opening) -> None:
        """Say so where what was declared and what is measured lie far apart; keep what is known of
        clipping and scales, which nobody tells."""
        given, share = self.engine.settings.sigma or 0.0, self.units / 255
        low, high = sorted((given / share, sigma := mean_sigma8(found.model)))
        contradicted = high > CONTRADICTION * low
        if self.planes is not None:
            own, seen = self.planes, found.planes
            shares = own.shares if contradicted or not found.compared else seen.shares
            self.planes = replace(own, clipped=seen.clipped, shares=shares)
        if found.compared and contradicted and high > CONTRADICTION * HARDLY_ANY8:
            words = f"{sigma:.1f} of 255" if share == 1 else f"{share * sigma:.3g}"
            self.engine.note(f"sigma={given:g} is used, though {words} was measured")


def refreshes(view: Window[Prepared]) -> bool:
    """Whether what is measured now and then is measured again on this window's centre."""
    index = view.centre.index
    return index > 0 and index % REFRESH_EVERY == 0
