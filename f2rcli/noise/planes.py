"""The noise of a file's own planes: how strong at every brightness, and at which scales."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli import sensor, yuv
from f2rcli.frames import Family, Floats, Frame, PlaneLayout, Singles
from f2rcli.noise.bands import shares_of, white_shares
from f2rcli.noise.measurement.blocks import FramePlanes, Pair, joined
from f2rcli.noise.measurement.bound import (
    FLAT,
    KNOT_PLACES,
    LEAST_FLAT,
    Bound,
    bounds_of,
    cut_to,
    lowered,
)
from f2rcli.noise.measurement.highpass import FINEST
from f2rcli.noise.measurement.place_factors import Places, spread_out
from f2rcli.noise.measurement.samples import NoiseSamples
from f2rcli.noise.model import NoiseModel, at_levels, blend
from f2rcli.noise.sensors import of_one_sensor
from f2rcli.order import median

JOINT = 1.1  # times what independent planes bring into a channel: theirs may be correlated
EVEN = 1e-3  # difference of factors that is none
ENOUGH_PIXELS = 2_000_000  # of frames that are compared; more would only take longer
FEWEST_PAIRS = 2


class Anchored(NamedTuple):
    """A frame, and two pictures of it (1, C, H, W) that share no noise with it or each other."""

    frame: Frame
    first: Tensor
    second: Tensor


@dataclass(frozen=True, slots=True)
class PlaneNoise:
    """Noise of every colour plane, in units of the plane: white - black, and for chroma the
    distance between its extremes. A mosaic counts as four planes, R, G, G, B.

    models: one channel each; brightness is that of luma, for chroma planes as well.
    shares: per plane, the share of its variance in each of six bands; sums to one. The bands are
    what successive box filters of 3, 7, 15, 31 and 63 pixels part, the finest first.
    clipped: whether black and white cut the noise off (never where codes beyond them were seen).
    finest: per plane, the power in the finest band of blocks in units of the variance; empty where
    nobody has looked. uneven: whether it is the law of a part of the picture that is louder than
    the rest. places: per plane, what the standard deviation is multiplied by in every block.
    """

    models: tuple[NoiseModel, ...]
    shares: tuple[tuple[float, ...], ...]
    clipped: bool = True
    finest: tuple[float, ...] = ()
    uneven: bool = False
    places: tuple[Places, ...] = ()

    @classmethod
    def of(cls, model: NoiseModel, layout: PlaneLayout, *, clipped: bool) -> "PlaneNoise":
        """White noise, independent by channel, in a file's planes; chroma averaged to its grid."""
        white = white_shares()
        if layout.family is not Family.YUV:
            models = tuple(model.of(slice(n, n + 1)) for n in range(_planes(layout)))
            return cls(models, (white,) * len(models), clipped)
        weights = np.square(np.linalg.inv(yuv.matrix_to_rgb(layout)).astype(np.float64))
        weights[1:] *= yuv.sampling_gain(layout)
        models = tuple(_mixed(model, row) for row in weights)
        return cls(models, (white,) * 3, clipped)

    def level(self, plane: int, brightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """The noise's standard deviation in a plane where luma is as bright as this, (H, W)."""
        signal = torch.from_numpy(brightness)[None, None]
        found: NDArray[np.float32] = self.models[plane].level(signal)[0, 0].numpy()
        if self.places and self.places[plane]:
            found = found * spread_out(self.places[plane], found.shape)
        return found

    def scaled(self, factor: float) -> "PlaneNoise":
        """The noise, `factor` times stronger."""
        return replace(self, models=tuple(model.scaled(factor) for model in self.models))

    def values(self) -> list[dict[str, Any]]:
        """One entry a plane, as JSON values: sigma, and the standard deviations at the knots of
        its curve, in 8-bit codes of the plane's own unit; shares of the six bands."""
        return [
            {
                "sigma8": model.sigma8[0],
                "curve8": [255 * sigma for sigma in model.at_knots()[0]],
                "shares": list(shares),
            }
            for model, shares in zip(self.models, self.shares, strict=True)
        ]

    def blended(self, new: "PlaneNoise", share: float) -> "PlaneNoise":
        """Moved towards new noise of the same planes by `share` of the way, in variance."""
        models = tuple(blend(a, b, share) for a, b in zip(self.models, new.models, strict=True))
        shares = tuple(
            tuple((1 - share) * x + share * y for x, y in zip(a, b, strict=True))
            for a, b in zip(self.shares, new.shares, strict=True)
        )
        return replace(
            self, models=models, shares=shares, clipped=self.clipped and new.clipped,
            finest=new.finest,
        )  # fmt: skip


class Measured(NamedTuple):
    """Noise held to its bound: for the networks, and for the file's planes."""

    model: NoiseModel
    planes: PlaneNoise
    bounds: list[Bound]  # per plane; empty where no two frames could be compared

    def lowered(
        self, factors: list[Floats], layout: PlaneLayout, level: Singles | None
    ) -> "Measured":
        """The law of each plane times its factors, and the picture's accordingly; see `lowered`."""
        both = zip(self.planes.models, factors, strict=True)
        models = tuple(lowered(law, [row], level) for law, row in both)
        if layout.family is Family.YUV:
            factors = rgb_factors(self.model, self.planes, models, layout)
        factors = factors * (len(self.model.gain) if len(factors) == 1 else 1)  # gray as RGB
        planes = replace(self.planes, models=models)
        return Measured(lowered(self.model, factors, level), planes, self.bounds)


def planes_of(frame: Frame) -> list[NDArray[np.float32]]:
    """A frame's colour planes in their own units (0..1, chroma around 0); a mosaic's four."""
    if frame.layout.family is Family.BAYER:
        return list(sensor.to_planes(frame))
    return yuv.decoded(frame)


def with_changes(frame: Frame, changes: list[NDArray[np.float32]]) -> Frame:
    """A frame plus a change of each of its `planes_of`, rounded once."""
    if frame.layout.family is Family.BAYER:
        return replace(frame, planes=sensor.add_change(frame, np.stack(changes)))
    return replace(frame, planes=yuv.add_changes(frame, changes))


def picture_of(frame: Frame) -> FramePlanes:
    """A frame's planes in their own units, and its luma."""
    planes = planes_of(frame)
    if frame.layout.family is Family.YUV:
        return FramePlanes(planes, np.clip(planes[0], 0, 1), chroma=True)
    return FramePlanes.of_channels(planes)


def measure_planes(
    pairs: Sequence[Pair],
    anchored: Sequence[Anchored],
    model: NoiseModel,
    layout: PlaneLayout,
    *,
    clipped: bool,
) -> Measured:
    """A measured law (RGB, gray or mosaic), held to what adjacent frames of one shot differ by,
    and the same for every plane of the file.

    pairs: adjacent frames, see `picture_of`; anchored: what the law was measured on. Where the
    planes are not the picture's channels their laws are measured on them. clipped: whether black
    and white cut the noise off.
    """
    chosen = _fewer(pairs)
    yuv_planes = layout.family is Family.YUV
    cut_off = [clipped and not (yuv_planes and index) for index in range(_planes(layout))]
    bounds = bounds_of(chosen, cut_off, light=layout.counts_light)
    planes = PlaneNoise.of(model, layout, clipped=clipped)
    if yuv_planes:
        planes = replace(planes, models=_measured_models(anchored, planes, layout))
    free = Measured(model, planes, bounds)
    if not bounds:
        return free
    even = layout.counts_light
    factors = [b.factors(m, even=even) for b, m in zip(bounds, planes.models, strict=True)]
    if layout.family is Family.BAYER:
        factors = of_one_sensor(factors, planes.models, bounds)
    lumas = np.concatenate([pair.before.luma[::4, ::4].ravel() for pair in chosen])
    held = free.lowered(factors, layout, lumas)
    shares = shares_of(chosen[len(chosen) // 2], bounds)
    finest = tuple(_finest(chosen, plane, law) for plane, law in enumerate(held.planes.models))
    planes = replace(held.planes, shares=shares, finest=finest)
    return held._replace(planes=planes)


def _finest(pairs: Sequence[Pair], plane: int, law: NoiseModel) -> float:
    """The power of a plane's noise in the finest band of blocks, in units of its law's variance,
    as far as flat blocks tell; no more than that of white noise."""
    blocks = joined([pair.blocks(plane) for pair in pairs])
    variance = np.square(at_levels(law, blocks.level))
    flat = ~blocks.void & (blocks.error < FLAT * blocks.power[FINEST]) & (variance > 0)
    if flat.sum() < LEAST_FLAT:
        return 1.0
    return min(float(median(blocks.power[FINEST, flat] / variance[flat])), 1.0)


def _fewer(pairs: Sequence[Pair]) -> list[Pair]:
    """As many pairs, evenly over them all, as hold enough pixels."""
    if not pairs:
        return []
    wanted = max(FEWEST_PAIRS, ENOUGH_PIXELS // pairs[0].before.luma.size)
    places = np.linspace(0, len(pairs) - 1, min(wanted, len(pairs)))
    return [pairs[round(place)] for place in places]


def _planes(layout: PlaneLayout) -> int:
    return 4 if layout.family is Family.BAYER else layout.colour_planes


def _mixed(model: NoiseModel, weights: Floats) -> NoiseModel:
    """The one channel that independent channels give, each variance times its weight."""
    samples, dark = model.samples, max(model.pedestal)
    sigma = float(np.dot(weights, np.square(model.sigma))) ** 0.5
    if model.curve is None and not dark:
        gain = float(np.dot(weights, model.gain))
        read = float(np.dot(weights, np.square(model.read))) ** 0.5
        return NoiseModel((gain,), (read,), (sigma,), samples)
    curve = np.sqrt(weights @ np.square(model.at_knots()))
    return NoiseModel((0.0,), (sigma,), (sigma,), samples, (tuple(curve.tolist()),))


def _measured_models(
    anchored: Sequence[Anchored], free: PlaneNoise, layout: PlaneLayout
) -> tuple[NoiseModel, ...]:
    """The laws of Y'CbCr planes, each measured on itself; as `free` says where it cannot be."""
    samples = [NoiseSamples.empty(1) for _ in free.models]
    for sample in samples[1:]:
        sample.clipped = False
    for one in anchored:
        noisy = yuv.decoded(one.frame)
        pair = [yuv.split(p[0, :3].float().cpu().numpy(), layout) for p in (one.first, one.second)]
        luma = (pair[0][0] + pair[1][0]) / 2
        for index, (sample, plane) in enumerate(zip(samples, noisy, strict=True)):
            height, width = plane.shape  # a bottom field may lack the last row
            bright = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
            first, second = (p[index][:height, :width] for p in pair)
            parts = (np.ascontiguousarray(p, np.float32) for p in (plane, first, second, bright))
            sample.add(*(torch.from_numpy(part)[None, None] for part in parts))
    found = [sample.model() if sample.level[0] else None for sample in samples]
    return tuple(m or other for m, other in zip(found, free.models, strict=True))


def rgb_factors(
    model: NoiseModel, free: PlaneNoise, held: Sequence[NoiseModel], layout: PlaneLayout
) -> list[Floats]:
    """The bound's factors for R, G and B, at the knots of their laws: of the noise that Y'CbCr
    planes bring into each, and no more than they could bring together."""
    weights = np.square(yuv.matrix_to_rgb(layout).astype(np.float64))
    weights[:, 1:] *= yuv.stretching_gain(layout)
    before, after = (
        weights @ np.square([model.at_knots()[0] for model in models])
        for models in (free.models, held)
    )
    share = np.sqrt(after / np.maximum(before, 1e-18))
    share[before <= 0] = 1.0
    most = JOINT * np.sqrt(after)
    laws = share * np.array(model.at_knots())
    share *= [
        [cut_to(*pair) for pair in zip(law, cap, strict=True)]
        for law, cap in zip(laws, most, strict=True)
    ]
    return [row if np.ptp(row) > EVEN else np.full(len(KNOT_PLACES), row.mean()) for row in share]
