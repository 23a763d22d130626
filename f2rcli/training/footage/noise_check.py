"""Noise of the training footage, and reasons not to train on it."""

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
from f2rcli.errors import InputError, WeightsError
from f2rcli.frames import Space
from f2rcli.io.atomic import replacing
from f2rcli.io.disk_errors import disk_errors
from f2rcli.methods.base import Method
from f2rcli.models.layers import channels_last
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.bound import Bound, bounds_of
from f2rcli.noise.measurement.independence import Temporal
from f2rcli.noise.measurement.spectrum import REACH, Spectrum
from f2rcli.noise.report import CUT_OFF, GRAY, NoiseReport
from f2rcli.noise.stabilising import VarianceStabiliser, lowest
from f2rcli.training.footage.cache import ELSEWHERE
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.windows import channels_first, is_clipped
from f2rcli.weights import Weights

DEPENDENT = 0.12  # correlation of adjacent frames; where they are independent 0.1 is found at most
# Pixels apart, farther than the filters of fresh noise reach to either side, and half of what their
# noise may correlate by: that is what spectra keep there. Grain has none, streaks of tape 0.3.
FAR, FAR_CORRELATED = REACH // 2, 0.1
# Correlation of pixels one or two apart in noise that a filter, or film, left coarse: 0.3 and more;
# white noise has none.
COARSE = 0.2
# Times the share of samples that black and white cut off: what bounds lack there (8 % of 29 %, 5 of
# 20, 2 of 11), and the error of white noise that is held to bounds so raised (1 to 2.5 % of 3 to
# 29 %; three clips, sigma 20 to 50).
LOW, WHITE_CUT_OFF = 0.3, 0.15
COLOURED = 4 / 255  # mean distance of a picture's channels; gray ones as files hold them have 1


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
    method = methods.load(chosen.header.method)

    def measurer() -> Method:
        made = method.from_weights(chosen, Runner(device, precision, None))
        channels_last(made.networks.eval().to(device))
        return made

    shown: list[Footage] = []
    found: list[NoiseReport | None] = []
    for clip in footage:
        seen, report = clip, _surest(clip, chosen.header.channels, device, measurer)
        if report is not None and clip.sensor:
            model = report.model.first_channels(clip.channels)
            low = lowest(list(channels_first(clip.read(slice(FRAMES))))) if clip.dark else None
            working = VarianceStabiliser.of(model, low=low)
            seen, report = in_space(clip, working), replace(report, model=working.model)
        shown.append(seen)
        found.append(report)
    return shown, found


def _surest(
    clip: Footage, channels: int, device: torch.device, measurer: Callable[[], Method]
) -> NoiseReport | None:
    """The noise of a clip from those of its frames where it shows best.

    Fast motion hides it: texture that flow cannot follow makes white noise look coloured. Drawn
    afresh in that colour it taught stage 2 to keep noise, and held-out frames saw a gain. What
    frames share in one place speaks for all of the clip.
    """
    found: list[NoiseReport] = []
    for numbers in _places(clip):
        read = (channels_first(clip.read(i)[None]).to(device) for i in numbers)
        pictures = [p.expand(-1, channels, -1, -1).contiguous() for p in read]
        report = _measured(clip, pictures, measurer)
        if report is not None:
            found.append(report)
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
    clip: Footage, pictures: list[Tensor], measurer: Callable[[], Method]
) -> NoiseReport | None:
    space = None
    with torch.inference_mode():
        if clip.sensor and pictures:
            space = sensor_space(pictures, measurer, dark=clip.dark)
    bounds = [] if clip.sensor or not pictures else _bounds(pictures)
    white = bool(bounds) and all(bound.white for bound in bounds)
    given = (3, clip.floor, space)
    report = measure_pictures(pictures, measurer(), *given, dark=clip.dark, white=white)
    if report is not None and not clip.sensor:
        clipped = is_clipped(np.stack([p.cpu() for p in pictures]))
        cut = report.black + report.white_rail if clipped else 0.0
        report = _held(report, bounds, cut) if white else report
        report = _unsure(report, cut * (WHITE_CUT_OFF if white else CUT_OFF))
    if report is None or clip.stated is None or not clip.sensor:
        return report
    return replace(report, model=stated_model(clip.stated, pictures[0]))


def _bounds(pictures: list[Tensor]) -> list[Bound]:
    """Bounds from differences of adjacent pictures (1, C, H, W), per channel."""
    planes = [list(picture[0].float().cpu().numpy()) for picture in pictures]
    clipped = [is_clipped(np.stack(planes))] * len(planes[0])
    return bounds_of(pairs_of([FramePlanes.of_channels(each) for each in planes]), clipped)


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


def in_space(clip: Footage, space: VarianceStabiliser) -> Footage:
    """The clip with its pictures in a space, in a file beside the one they are in.

    Raises OutputError where the disk is full.
    """
    target = clip.path.with_suffix(".stable")
    errors = disk_errors(clip.path.parent, ELSEWHERE)
    with errors, replacing(target) as part, part.open("wb") as file:
        for number in range(clip.shape[0]):
            seen = space.into(channels_first(clip.read(number)[None]))
            file.write(seen.permute(0, 2, 3, 1).numpy().astype(np.float16).tobytes())
    return replace(clip, path=target)


def _measuring_weights(space: Space, start: Weights | None) -> Weights:
    name = weights.measuring(space)
    if name is not None:
        return weights.load(name)
    own = start is not None and start.header.space is space
    if start is None or not (own and methods.load(start.header.method).can_measure_noise):
        raise WeightsError(
            f"no bundled weights to measure noise in {space.value} pictures with.",
            hint="Begin from weights of your own with init=.",
        )
    return start


def check_noise(footage: list[Footage], noise: list[NoiseReport | None]) -> None:
    """Raise InputError where nothing can be measured or nothing is noisy."""
    seen = [r for r in noise if r is not None]
    if not seen:
        raise InputError(
            f"{footage[0].name}: its noise cannot be measured: too few different frames, "
            "or too small ones.",
            hint="Pass a clip with four frames or more of one shot.",
        )
    if not any(report.noisy for report in seen):
        raise InputError(
            f"{footage[0].name}: no measurable noise "
            f"(sigma {255 * max(seen[0].model.sigma):.2f} of 255): there is nothing to learn from.",
            hint="Noise that all frames share, as a fixed pattern, counts as picture. "
            "For clean clips pass inputs_are_clean=True and noise=.",
        )


def objections(footage: list[Footage], noise: list[NoiseReport | None]) -> list[str]:
    """Reasons not to adapt, one for each unfit clip."""
    pairs = zip(footage, noise, strict=True)
    return [line for clip, report in pairs if (line := objection(clip, report))]


def objection(clip: Footage, report: NoiseReport | None) -> str | None:
    """Why training on this clip alone would teach its noise, or nothing; None where it would not.

    A codec changes the picture with the noise, and in every frame alike: held-out frames prefer
    what errs as it does, and no noise of their own says so (DESIGN.md D18).
    """
    if report is None:
        return f"{clip.name}: its noise could not be measured reliably"
    if not report.noisy:
        return f"{clip.name}: no measurable noise"
    if processed(clip, report):
        return (
            f"{clip.name}: its channels share their noise, as compression and cameras' own "
            "processing leave it; the bundled weights are trained on such noise"
        )
    if report.spectrum is not None and _streaked(report.spectrum):
        return (
            f"{clip.name}: pixels {FAR} apart share noise, and training cannot draw fresh noise "
            "like that; the bundled weights stay"
        )
    if not clip.sensor and clip.channels > 1 and _coloured(clip):
        if report.spectrum is None:
            return (
                f"{clip.name}: too small to tell whether neighbouring pixels share noise; "
                "the bundled weights stay"
            )
        if _coarse(report.spectrum):
            return (
                f"{clip.name}: neighbouring pixels share noise, as a filter leaves it; the bundled "
                "weights are trained on such noise"
            )
    correlation = shared(report.temporal)
    if abs(correlation) > DEPENDENT:
        return (
            f"{clip.name}: its noise is not independent from frame to frame "
            f"(correlation {correlation:.2f}); the bundled weights are kept"
        )
    return None


def processed(clip: Footage, report: NoiseReport) -> bool:
    """Whether the noise is what a codec or a camera's processing left of it. Of a gray clip, whose
    channels tell nothing, the file says it."""
    tells = report.spectrum is not None and clip.channels > 1
    shared_by_all = tells and report.channels_share >= GRAY
    return (
        report.processed
        or (clip.coded and not tells)
        or (shared_by_all and (clip.coded or _coloured(clip)))
    )


def _coloured(clip: Footage) -> bool:
    """Whether pictures have colours. Then noise of luma alone is what a codec left of it (Motion
    JPEG took that of chroma out): fitted to that, weights lost 0.26 dB."""
    picture = clip.read(clip.shape[0] // 2)
    return bool(np.ptp(picture, axis=-1).mean() > COLOURED)


def _streaked(spectrum: Spectrum) -> bool:
    """Whether rows or columns share noise farther than the law's filters reach. Held-out targets
    would share it with what networks are shown, so that keeping it would score."""
    if spectrum.white:
        return False
    lags = np.fft.ifft2(spectrum.power).real
    along = np.stack([lags[:, 0, FAR], lags[:, FAR, 0]]) / lags[:, 0, 0]
    return bool(along.max() > FAR_CORRELATED)


def _coarse(spectrum: Spectrum) -> bool:
    """Whether pixels one or two apart share noise. What a median or a bilateral filter leaves
    depends on the picture; noise drawn in its colour does not, and weights fitted to that lost up
    to 0.34 dB while held-out frames saw a gain."""
    lags = np.fft.ifft2(spectrum.power).real
    near = np.stack([lags[:, 0, 1], lags[:, 1, 0], lags[:, 0, 2], lags[:, 2, 0]]) / lags[:, 0, 0]
    return bool(near.max() > COARSE)


def without_unfit(
    footage: list[Footage], noise: list[NoiseReport | None], notes: list[str], *, adapting: bool
) -> tuple[list[Footage], list[NoiseReport | None]]:
    """The clips, and their noise, that can be learnt from, and a note on the others; all of them
    where there are no others. A stack may have an empty channel beside a good one."""
    pairs = list(zip(footage, noise, strict=True))
    fit = [(c, r) for c, r in pairs if (objection(c, r) is None if adapting else r is not None)]
    if not fit or len(fit) == len(pairs):
        return footage, noise
    lines = [objection(c, r) or c.name for c, r in pairs if (c, r) not in fit]
    more = f"; and {len(lines) - 2} more" if len(lines) > 2 else ""
    notes.append(f"left out: {'; '.join(lines[:2])}{more}")
    return [c for c, _ in fit], [r for _, r in fit]
