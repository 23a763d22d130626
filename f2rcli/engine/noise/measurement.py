"""A clip's noise measured in full: level, spectrum, channels, time, clipping."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice, pairwise
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.device import lent_threads
from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.anchor_pairs import AnchorPair, AnchorPairs, evidence
from f2rcli.engine.noise.excerpts import excerpts
from f2rcli.engine.noise.opening import (
    DIM_PREROLL,
    PREROLL,
    Opening,
    few_photons,
    opening_noise,
    sensor_space,
)
from f2rcli.engine.rows import remover_for
from f2rcli.engine.stream import to_measure
from f2rcli.frames import ClipInfo, Frame, PlaneLayout
from f2rcli.methods.base import Estimating, Prepared
from f2rcli.methods.rgb import OnPlanes, RgbMethod
from f2rcli.models.flow import DISFlow
from f2rcli.noise.measurement.detail import roughness
from f2rcli.noise.measurement.independence import Residuals, Temporal, temporal_correlation
from f2rcli.noise.measurement.spectrum import Spectrum, SpectrumSamples
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.report import NoiseReport, confidence_of
from f2rcli.noise.stabilising import VarianceStabiliser
from f2rcli.sensor import lowest
from f2rcli.window import Window

UNSEEN = Temporal(None, None)  # of frames that could not be compared

FRAMES = 10  # unique frames that are looked at
LEAST_LEVEL = 1e-4  # of the noise; keeps clean clips finite
HALF_CODE = 0.5 / 255
FLAT = 0.3  # of a frame, in which frames are compared with each other


def measure_noise(
    frames: Iterable[Frame],
    info: ClipInfo,
    engine: Engine,
    windows_used: int = 3,
    frames_read: int = FRAMES,
) -> NoiseReport | None:
    """Measure the noise of a clip on its first `frames_read` different frames (fields, if it is
    interlaced); `windows_used` of them are compared with their neighbours.

    None where there is too little evidence: fewer than three different frames of one shot, or
    frames of a few hundred pixels. Takes about a second per window and megapixel on eight cores.
    Where the engine's method estimates noise itself the report's model is its estimate.
    Hot and dead samples are counted in the engine's `aside`.
    """
    with lent_threads(engine.threads):
        return _reported(frames, info, engine, windows_used, frames_read)


def _reported(
    frames: Iterable[Frame], info: ClipInfo, engine: Engine, windows_used: int, frames_read: int
) -> NoiseReport | None:
    runs = to_measure(frames, info)
    looked_at = [run[0] for run in islice(runs, frames_read)]
    for frame in looked_at:
        engine.aside.add(frame.aside)
    remover = remover_for(looked_at[:PREROLL], engine)
    if remover is not None:
        looked_at = remover.alone(looked_at)
    floor = 0.0 if info.layout.mosaic is None else lowest(info.layout.mosaic)
    found = _measured(looked_at, info, engine, windows_used, floor)
    if found is not None:
        begun = looked_at[:PREROLL]
        if few_photons(begun):
            more = [run[0] for run in islice(runs, max(DIM_PREROLL - len(looked_at), 0))]
            begun = [*looked_at, *(more if remover is None else remover.alone(more))][:DIM_PREROLL]
        opening = opening_noise(begun, engine)
        found = _as_the_run_says(found, opening, info.layout)
        lines = None if remover is None else remover.lines
        found = replace(
            found, blocking=opening.blocking, compression=opening.compression, lines=lines
        )
    method = engine.new_method(info.layout)
    inner = method.inner if isinstance(method, OnPlanes) else method
    if not looked_at or not isinstance(inner, Estimating):
        return found
    pictures = [engine.to_tensor(frame) for frame in looked_at]
    return estimated(inner, pictures, found, _rails(pictures, floor))


def _as_the_run_says(found: NoiseReport, opening: Opening, layout: PlaneLayout) -> NoiseReport:
    """The report with the level of `f2r denoise` and `f2r info`: the bounded one of the opening."""
    share = _mean(opening.model.sigma) / max(_mean(found.model.sigma), 1e-12)
    by_frame = tuple(sigma * share for sigma in found.by_frame)
    points = tuple(tuple((x, sigma * share) for x, sigma in row) for row in found.points)
    sure = confidence_of(
        opening.model,
        found.spectrum,
        found.temporal,
        found.by_frame,
        opening.doubts(found.rails, layout),
    )
    return replace(
        found, model=opening.model, points=points, by_frame=by_frame, confidence=sure,
        planes=opening.planes,
    )  # fmt: skip


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _measured(
    frames: list[Frame], info: ClipInfo, engine: Engine, windows_used: int, floor: float
) -> NoiseReport | None:
    """By blind anchors, the engine's own or the bundled ones; None where there are none. Large
    frames are measured on squares of them, unless the scene moves out of these."""
    dark, sensor = info.layout.levels is not None, info.layout.counts_light
    parts = excerpts(frames) if frames else []
    small = bool(parts) and parts[0] is frames[0]
    for looked_at in (parts,) if small else (parts, frames):
        measurer = engine.new_measurer()
        if measurer is None or not looked_at:
            return None
        pictures = [engine.to_tensor(frame) for frame in looked_at]
        space = sensor_space(pictures, engine.new_measurer, dark=dark) if sensor else None
        found = measure_pictures(pictures, measurer, windows_used, floor, space, dark=dark)
        if found is not None:
            black, white = _rails((engine.to_tensor(frame) for frame in frames), floor)
            return replace(found, black=black, white_rail=white)
    return None


def measure_pictures(
    pictures: list[Tensor],
    method: RgbMethod,
    windows_used: int = 3,
    floor: float = 0.0,
    space: VarianceStabiliser | None = None,
    *,
    dark: bool = False,
    white: bool = False,
) -> NoiseReport | None:
    """The same of pictures (1, C, H, W) in 0..1 that follow each other, with a fresh method.

    floor: the lowest value that a sample can take, as raw files reach below black; space: what
    networks see sensor values through; dark: whether their light may begin above 0;
    white: whether the noise is known to be white.
    """
    if not pictures:
        return None
    anchors = AnchorPairs(method, space, pictures)
    with torch.inference_mode():
        views = anchors.views()
        seen = [one for view in _spread(views, windows_used) if (one := anchors.pair(view))]
        samples = evidence(seen, pictures[0].shape[1], dark=dark)
        model = samples.model()
        if model is None:
            return None
        spectrum = _spectrum(seen, model, white=white or samples.shape() == 1.0)
        temporal = _temporal(anchors, views, model)
    alone = [evidence([one], pictures[0].shape[1], dark=dark).model() for one in seen]
    by_frame = tuple(sum(m.sigma) / len(m.sigma) for m in alone if m is not None)
    sure = confidence_of(model, spectrum, temporal, by_frame)
    rails = _rails(pictures, floor)
    return NoiseReport(
        model, samples.points(), spectrum, temporal, *rails, by_frame, len(pictures), sure
    )


def _spread(views: list[Window[Prepared]], wanted: int) -> list[Window[Prepared]]:
    """Some of the views that see both past and future, evenly over them."""
    inner = [view for view in views if view.before and view.after]
    places = np.linspace(0, len(inner) - 1, 2 * min(wanted, len(inner)) + 1)[1::2]
    return [inner[round(place)] for place in places]


def _spectrum(seen: list[AnchorPair], model: NoiseModel, *, white: bool) -> Spectrum | None:
    samples = SpectrumSamples()
    for one in seen:
        rank = roughness(one.first, one.second)
        samples.add(one.noisy, one.first, one.second, rank, model)
    return samples.spectrum(white=white)


def _temporal(anchors: AnchorPairs, views: list[Window[Prepared]], model: NoiseModel) -> Temporal:
    """The correlation of one pair of adjacent frames, in the middle of the longest run."""
    pairs = [
        (view, after)
        for view, after in pairwise(views)
        if view.centre in after.before and len(view.before) > 1 and len(after.after) > 1
    ]
    if not pairs:
        return UNSEEN
    view, after = pairs[len(pairs) // 2]
    past = anchors.pair(Window(view.centre, view.before, ()))
    future = anchors.pair(Window(after.centre, (), after.after))
    if past is None or future is None:
        return UNSEEN
    flow = DISFlow()(view.centre.array, after.centre.array)
    earlier, later = (_residuals(one, model) for one in (past, future))
    rank = roughness(past.first, past.second).cpu()
    flat = rank <= float(np.quantile(rank[..., ::3, ::3].numpy(), FLAT))
    return temporal_correlation(earlier, later, flow, flat)


def _residuals(one: AnchorPair, model: NoiseModel) -> Residuals:
    """The frame's residuals against its neighbours, in units of the noise's level; on the CPU."""
    level = model.level((one.first + one.second) / 2).clamp_min(LEAST_LEVEL)
    return Residuals(
        *(((one.noisy - anchor) / level).float().cpu() for anchor in (one.first, one.second))
    )


def _rails(pictures: Iterable[Tensor], floor: float) -> tuple[float, float]:
    """The shares of samples that lie on the floor and on white, within half an 8-bit code."""
    shares = [
        [float(ends.float().mean()) for ends in (one <= floor + HALF_CODE, one >= 1 - HALF_CODE)]
        for one in pictures
    ]
    black, white = (sum(column) / len(shares) for column in zip(*shares, strict=True))
    return black, white


def estimated(
    method: Estimating,
    pictures: list[Tensor],
    found: NoiseReport | None,
    rails: tuple[float, float],
) -> NoiseReport:
    """A report with the mean of the method's estimates of pictures (1, C, H, W) for its model.

    found: what was measured, whose spectrum and correlations are kept; None: nothing could be.
    rails: the shares of samples that are black and white.
    """
    models = [method.estimate_noise(picture) for picture in pictures]
    model = _mean_model(models)
    by_frame = tuple(fmean(one.sigma) for one in models)
    spectrum, temporal = (found.spectrum, found.temporal) if found else (None, UNSEEN)
    sure = confidence_of(model, spectrum, temporal, by_frame)
    if found is not None:
        return replace(
            found, model=model, by_frame=by_frame, confidence=sure, estimator=method.name,
            measured=found.model,
        )  # fmt: skip
    points = ((),) * len(model.sigma)
    return NoiseReport(
        model, points, None, UNSEEN, *rails, by_frame, len(pictures), sure, method.name
    )


def _mean_model(models: list[NoiseModel]) -> NoiseModel:
    """The mean of several models, of variances where it is of standard deviations."""

    def mean(part: str, power: int) -> tuple[float, ...]:
        columns = zip(*(getattr(model, part) for model in models), strict=True)
        return tuple(fmean(v**power for v in column) ** (1 / power) for column in columns)

    samples = sum(model.samples for model in models)
    return NoiseModel(mean("gain", 1), mean("read", 2), mean("sigma", 2), samples)
