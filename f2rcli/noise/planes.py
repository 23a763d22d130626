"""A picture as its file's own planes, and their noise: how strong at every brightness."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli import sensor, yuv
from f2rcli.frames import Family, Floats, Frame, PlaneLayout, Singles
from f2rcli.models.flow import Luma
from f2rcli.noise.bands import Shares, white_shares
from f2rcli.noise.model import NoiseModel


class FramePlanes(NamedTuple):
    """One frame as its planes, with the luma that all of them are matched by."""

    planes: list[Singles]  # (H, W), chroma on its own grid, in units of each plane
    luma: Luma  # (H, W), 0 = black, 1 = white
    chroma: bool = False  # whether all planes but the first are chroma, as bright as luma is there

    @classmethod
    def of_channels(cls, planes: list[Singles]) -> "FramePlanes":
        """Planes from channels on one grid; luma is their mean."""
        return cls(planes, np.clip(np.mean(planes, axis=0, dtype=np.float32), 0, 1))


@dataclass(frozen=True, slots=True)
class PlaneNoise:
    """Noise of every colour plane, in units of the plane: white - black, and for chroma the
    distance between its extremes. A mosaic counts as four planes, R, G, G, B.

    models: one channel each; brightness is that of luma, for chroma planes as well.
    shares: per plane, the share of its variance in each of six bands; sums to one. The bands are
    what successive box filters of 3, 7, 15, 31 and 63 pixels part, the finest first.
    clipped: whether black and white cut the noise off (never where codes beyond them were seen).
    finest: per plane, the power in the finest band of blocks in units of white noise of that
    variance; empty where nobody has looked.
    """

    models: tuple[NoiseModel, ...]
    shares: tuple[Shares, ...]
    clipped: bool = True
    finest: tuple[float, ...] = ()

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


def picture_noise(noise: PlaneNoise, layout: PlaneLayout, channels: int) -> NoiseModel:
    """The noise of a frame's picture as networks for R, G, B (or `channels` of gray) see it: that
    of independent planes, joined."""
    models = noise.models
    if layout.family is Family.YUV:
        weights = np.square(yuv.matrix_to_rgb(layout).astype(np.float64))
        weights[:, 1:] *= yuv.stretching_gain(layout)
    else:
        weights = np.eye(len(models))
        weights = weights[[n % len(models) for n in range(channels)]]
    if layout.family is not Family.YUV and all(model.curve is None for model in models):
        return side_by_side([models[n % len(models)] for n in range(channels)])
    curves = np.sqrt(weights @ np.square([model.at_knots()[0] for model in models]))
    sigma = np.sqrt(weights @ np.square([model.sigma[0] for model in models]))
    return NoiseModel(
        (0.0,) * len(sigma), tuple(sigma.tolist()), tuple(sigma.tolist()), models[0].samples,
        tuple(map(tuple, curves.tolist())),
    )  # fmt: skip


def side_by_side(models: Sequence[NoiseModel]) -> NoiseModel:
    """Lines of one channel each as one model of several."""
    dark = tuple(model.pedestal[0] for model in models)
    gain, read, sigma = (
        tuple(getattr(model, part)[0] for model in models) for part in ("gain", "read", "sigma")
    )
    unsure = max(model.unsure for model in models)
    return NoiseModel(gain, read, sigma, models[0].samples, None, dark if any(dark) else (), unsure)


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
