"""Noise of the training footage."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from f2rcli import methods, weights
from f2rcli.engine.noise.measurement import FRAMES, measure_pictures
from f2rcli.engine.noise.opening import pairs_of, sensor_space, stated_model
from f2rcli.engine.tiles import Runner
from f2rcli.errors import WeightsError
from f2rcli.frames import Family, Space
from f2rcli.io.files import disk_errors, replacing
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.flow import DISFlow
from f2rcli.models.layers import channels_last
from f2rcli.noise.bands import white_shares
from f2rcli.noise.estimate import NoiseMap, estimate
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.bound import Bound, bounds_of
from f2rcli.noise.measurement.independence import Temporal
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from f2rcli.noise.report import CUT_OFF, NoiseReport
from f2rcli.noise.stabilising import VarianceStabiliser, lowest
from f2rcli.planes import pack
from f2rcli.training.footage import ELSEWHERE, Footage
from f2rcli.training.windows import is_clipped, tensor
from f2rcli.weights import Weights

# Times the share of samples that black and white cut off: what bounds lack there (8 % of 29 %, 5 of
# 20, 2 of 11; three clips, sigma 20 to 50).
LOW = 0.3


def measure_footage(
    footage: list[Footage], start: Weights | None, device: torch.device, precision: str
) -> tuple[list[Footage], list[NoiseReport | None]]:
    """The clips as networks see them at run time, and the noise of each, None where there is too
    little to see.

    By the bundled weights for such pictures, or by those that training starts from. Sensor values
    are shown through the space in which their noise is even, and their noise is that in the space.
    What a file itself states of its noise is believed.
    """
    chosen = _measuring_weights(footage[0].space, start)  # all are of one space
    method = methods.load_rgb(chosen.header.method)

    def measurer() -> RgbMethod:
        made = method.of(chosen, Runner(device, precision, None))
        channels_last(made.networks.eval().to(device))
        return made

    shown: list[Footage] = []
    found: list[NoiseReport | None] = []
    for clip in footage:
        seen, report = clip, _surest(clip, chosen.header.channels, device, measurer)
        if report is not None and clip.sensor:
            model = report.model.first_channels(clip.channels)
            first = [tensor(clip.picture(i)) for i in range(min(FRAMES, clip.shape[0]))]
            working = VarianceStabiliser.of(model, low=lowest(first) if clip.dark else None)
            seen, report = in_space(clip, working), _even(report, working)
        shown.append(seen)
        found.append(report)
    return shown, found


def _surest(
    clip: Footage, channels: int, device: torch.device, measurer: Callable[[], RgbMethod]
) -> NoiseReport | None:
    """The noise of a clip from those of its frames where it shows best.

    Fast motion hides it: texture that flow cannot follow makes white noise look coloured. Drawn
    afresh in that colour it taught stage 2 to keep noise, and held-out frames saw a gain. What
    frames share in one place speaks for all of the clip.
    """
    found: list[NoiseReport] = []
    for numbers in _places(clip):
        read = (tensor(clip.picture(i))[None].to(device) for i in numbers)
        pictures = [p.expand(-1, channels, -1, -1).contiguous() for p in read]
        report = _measured(clip, pictures, measurer)
        if report is not None:
            found.append(replace(report, planes=_plane_noise(clip, numbers)))
            if report.confidence.word == "high":
                break
    if not found:
        return None
    surest = min(found, key=lambda report: report.confidence.percent)
    most = max((report.temporal for report in found), key=lambda one: abs(shared(one)))
    return replace(surest, temporal=most)


def shared(temporal: Temporal) -> float:
    """The correlation between frames that is farthest from none."""
    return max((rho for rho in temporal if rho is not None), key=abs, default=0.0)


def _places(clip: Footage) -> list[range]:
    """Frames to measure at: the middle of the longest shot, its start and its end."""
    shot = max(clip.shots, key=len, default=range(0))
    spare = max(len(shot) - FRAMES, 0)
    return [shot[first : first + FRAMES] for first in dict.fromkeys((spare // 2, 0, spare))]


def _measured(
    clip: Footage, pictures: list[Tensor], measurer: Callable[[], RgbMethod]
) -> NoiseReport | None:
    space, bounds, clipped = None, [], False
    with torch.inference_mode():
        if clip.sensor and pictures:
            space = sensor_space(pictures, measurer, dark=clip.dark)
    if pictures and not clip.sensor:
        clipped = is_clipped(np.stack([p.cpu() for p in pictures]))
        bounds = _bounds(pictures, clipped)
    white = bool(bounds) and all(bound.white for bound in bounds)
    given = (3, clip.floor, space)
    report = measure_pictures(pictures, measurer(), *given, dark=clip.dark, white=white)
    if report is not None and not clip.sensor:
        cut = report.black + report.white_rail if clipped else 0.0
        report = _held(report, bounds, cut) if white else report
        report = _unsure(report, CUT_OFF * cut)
    if report is None or clip.stated is None or not clip.sensor:
        return report
    return replace(report, model=stated_model(clip.stated, pictures[0]))


def _bounds(pictures: list[Tensor], clipped: bool) -> list[Bound]:
    """Bounds from differences of adjacent pictures (1, C, H, W), per channel."""
    planes = [list(picture[0].float().cpu().numpy()) for picture in pictures]
    pairs = pairs_of([FramePlanes.of_channels(each) for each in planes])
    return bounds_of(pairs, [clipped] * len(planes[0]))


def _unsure(report: NoiseReport, error: float) -> NoiseReport:
    """A report with one more error of its sigma, a share of it."""
    percent = math.hypot(report.confidence.percent, 100 * error)
    return replace(report, confidence=replace(report.confidence, percent=percent))


def _held(report: NoiseReport, bounds: list[Bound], cut: float) -> NoiseReport:
    """A report of white noise held to its bounds. Texture that anchors lose looks like noise, and
    coarse; where fresh noise is made like it, held-out pictures prefer what keeps less texture. The
    more of it there was, the less sure is what is left. cut: share of the samples at the rails."""
    most = [bound.mean * (1 + LOW * cut) for bound in bounds]
    shares = [min(1.0, m / s) for m, s in zip(most, report.model.sigma, strict=True)]
    spectrum = report.spectrum and report.spectrum.whitened()
    percent = report.confidence.percent + 100 * (1 - min(shares))
    sure = replace(report.confidence, percent=percent)
    model = report.model.scaled(*shares)
    return replace(report, model=model, spectrum=spectrum, confidence=sure)


def _plane_noise(clip: Footage, numbers: range) -> PlaneNoise:
    """The noise of what networks see of a clip, plane by plane."""
    colour = clip.form is not None and clip.form.family is Family.YUV
    maps = []
    for place in numbers[1:-1]:
        frames = []
        for number in (place, place - 1, place + 1):
            planes = clip.planes(number)
            luma = np.clip(planes[0], 0, 1) if colour else FramePlanes.of_channels(planes).luma
            frames.append(FramePlanes(planes, luma, chroma=colour))
        flows = [DISFlow()(frames[0].luma, one.luma) for one in frames[1:]]
        maps.append(estimate(frames, flows))
    found = NoiseMap.joined(maps).planes
    clipped = is_clipped(np.stack([clip.picture(i) for i in numbers]))
    laws = tuple(one.law(clipped=clipped and not (colour and n)) for n, one in enumerate(found))
    return PlaneNoise(laws, (white_shares(),) * len(laws), clipped)


def _even(report: NoiseReport, space: VarianceStabiliser) -> NoiseReport:
    """A report of noise that a space has made even."""
    planes = report.planes
    if planes is not None:
        even = NoiseModel.gaussian(space.sigma, 1)
        planes = replace(planes, models=(even,) * len(planes.models), clipped=False)
    return replace(report, model=space.model, planes=planes)


def in_space(clip: Footage, space: VarianceStabiliser) -> Footage:
    """The clip with its pictures in a space, in a file beside the one they are in.

    Raises OutputError where the disk is full.
    """
    target = clip.path.with_suffix(".stable")
    errors = disk_errors(clip.path.parent, ELSEWHERE)
    with errors, replacing(target) as part, part.open("wb") as file:
        for number in range(clip.shape[0]):
            seen = space.into(tensor(np.stack(clip.planes(number)))[None])[0]
            packed = seen if clip.packed is None else pack(clip.packed, list(seen))
            file.write(packed.numpy().astype(np.float16).tobytes())
    return replace(clip, path=target, clean=None)


def _measuring_weights(space: Space, start: Weights | None) -> Weights:
    name = weights.measuring(space)
    if name is not None:
        return weights.load(name)
    own = start is not None and start.header.space is space
    if start is None or not (own and methods.load_rgb(start.header.method).can_measure_noise):
        raise WeightsError(
            f"no bundled weights to measure noise in {space.value} pictures with.",
            hint="Begin from weights of your own with init=.",
        )
    return start
