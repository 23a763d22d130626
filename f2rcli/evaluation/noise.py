"""The noise of a clip in full, for people: which pixels, channels and frames share it, beside the
level that a run tells.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import fmean

import cv2
import numpy as np

from f2rcli import yuv
from f2rcli.engine import measuring
from f2rcli.engine.device import lent_threads
from f2rcli.engine.dim import CHOSEN_ON
from f2rcli.engine.engine import Engine
from f2rcli.engine.pictures import to_measure
from f2rcli.engine.stream import begun
from f2rcli.frames import ClipInfo, Frame, PlaneLayout
from f2rcli.models.flow import Flow, dis_flow
from f2rcli.noise.bound import BLOCK
from f2rcli.noise.estimate import NoiseMap, estimate
from f2rcli.noise.model import FramePlanes, Grid, side_by_side
from f2rcli.noise.report import NoiseReport
from f2rcli.noise.spectrum import Differences, Temporal, fixed_pattern, spectrum_of
from f2rcli.units import count, noise_level, scale_of

FRAMES = 10  # unique frames that a report looks at
WINDOWS = 3  # of them, that are compared with their neighbours
SOFT = 2.0  # pixels, of that blur
HALF_CODE = 0.5 / 255


def measure_noise(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> NoiseReport | None:
    """Measure the noise of a clip on its first FRAMES different frames (fields, if it is
    interlaced), as a run finds it: without lines and coarse noise.

    None where there is too little evidence: fewer than three different frames of one shot, or
    frames of a few hundred pixels. Hot and dead samples are counted in the engine's `aside`.
    """
    with lent_threads(engine.threads):
        start = begun(to_measure(frames, info), engine)
        seen = start.frames(FRAMES)
        for frame in seen:
            engine.found.aside.add(frame.aside)
        found = in_full(seen, info.layout, coded=engine.coded)
        if info.layout.counts_light and not (found and any(found.model.gain)):  # a closed shutter
            shown = measuring.lit(start.frames(CHOSEN_ON))[:FRAMES]
            found = in_full(shown, info.layout, coded=engine.coded)
        lines, coarse8 = start.lines.lines, engine.found.coarse8
        return found and replace(found, lines=lines, coarse8=coarse8)


def in_full(
    frames: Sequence[Frame], layout: PlaneLayout, *, coded: bool,
    places: tuple[Grid, ...] | None = None,
) -> NoiseReport | None:  # fmt: skip
    """A report with the level of `f2r denoise` and `f2r info`, scaled to it. places: where they are
    known."""
    shown = [FramePlanes.of_channels(list(yuv.to_rgb(frame))) for frame in frames]
    found = described(shown, full_range=measuring.ends_at_codes(layout), counts=layout.counts_light)
    if found is None:
        return None
    opening = measuring.opening_noise(frames[: measuring.PREROLL], coded=coded, places=places)
    model = opening.planes.picture(layout, len(found.model.sigma))
    share = fmean(model.sigma) / max(fmean(found.model.sigma), 1e-12)
    # `clipped`: bars of black make it less sure, though they cut off no noise
    return replace(
        found, model=model, planes=opening.planes, levels=layout.levels, edges8=opening.edges8,
        by_frame=tuple(sigma * share for sigma in found.by_frame),
        points=tuple(tuple((x, sigma * share) for x, sigma in row) for row in found.points),
        unsure=0.0 if opening.found is None else opening.found.unsure,
        clipped=found.black + found.white_rail, compression=opening.compression,
    )  # fmt: skip


def described(
    pictures: Sequence[FramePlanes], *, full_range: bool = True, counts: bool = False
) -> NoiseReport | None:
    """The noise of pictures of R, G and B (or gray, or a mosaic's four planes) that follow each
    other; None for fewer than three of one shot, or for pictures of a few hundred pixels.

    full_range: whether their ends are those of the codes; counts: whether they count light.
    """
    inner = measuring.between(measuring.shots_of(pictures))
    if not inner or min(pictures[0].luma.shape) < 2 * BLOCK:
        return None
    places = measuring.spread(inner, WINDOWS)
    # each with the one before and the one after
    shown = [[pictures[i] for i in (place, place - 1, place + 1)] for place in places]
    flows = [_flows(one) for one in shown]
    maps = [estimate(one, to) for one, to in zip(shown, flows, strict=True)]
    found = NoiseMap.joined(maps)
    clipped = full_range or found.cut_off(pictures)
    law = side_by_side([plane.law(clipped=clipped) for plane in found.planes])
    by_frame = tuple(fmean(p.law(clipped=clipped).sigma[0] for p in one.planes) for one in maps)
    each = zip(shown, flows, maps, strict=True)
    patches = [Differences.of(one[0], one[2], to[1], law).patches(seen) for one, to, seen in each]
    spectrum, fixed = spectrum_of(np.concatenate(patches)), None
    if (first := next((i for i in inner if i + 1 in inner), None)) is not None:
        pairs = [(pictures[first + n], pictures[first + m]) for n, m in ((0, -1), (1, 2))]
        apart = [Differences.of(*two, _flows(two, SOFT)[0], law) for two in pairs]
        fixed = fixed_pattern(*apart)
    temporal = Temporal(1 - 1 / max(plane.kept for plane in found.planes), fixed)
    black, rail = _rails(pictures, counts=counts)
    points = tuple(plane.points() for plane in found.planes)
    cut = black + rail if clipped else 0.0
    return NoiseReport(
        law, points, spectrum, temporal, black, rail, by_frame, len(pictures), found.unsure, cut
    )


def _flows(frames: Sequence[FramePlanes], soft: float = 0.0) -> list[Flow]:
    """From the first frame into the others. soft: by how much lumas are blurred, so that motion
    does not follow a fixed pattern."""
    lumas = [one.luma for one in frames]
    if soft:
        lumas = [np.asarray(cv2.GaussianBlur(one, (0, 0), soft), np.float32) for one in lumas]
    return [dis_flow(lumas[0], one) for one in lumas[1:]]


def _rails(pictures: Sequence[FramePlanes], *, counts: bool) -> tuple[float, float]:
    """The shares of samples that lie on black and on white: within half an 8-bit code; of counts of
    light, whose noise goes below black, those at the last code."""
    samples = np.concatenate([plane.ravel() for one in pictures for plane in one.planes])
    black, white = (
        float((x <= (min(HALF_CODE, x.min()) if counts else HALF_CODE)).mean())
        for x in (samples, 1 - samples)
    )
    return black, white


def in_words(report: NoiseReport, name: str) -> Iterator[str]:
    """The report for people: a table of the channels, then one fact a line."""
    model, spectrum = report.model, report.spectrum
    codec = report.compression if report.compressed else None  # a run removes its errors
    yield f"file      {name}, {count(report.frames)} measured"
    black, span, unit = scale_of(report.levels)
    digits = ".2f" if report.levels is None else ".4g"
    yield f"noise     {model.words(report.levels) if codec is None else noise_level(codec.sigma8)}"
    if len(model.sigma) == 3:
        yield f"{'':<9} {_cells('RGB')}"
    yield f"sigma     {_cells(f'{span * s:{digits}}' for s in model.sigma)}   {unit}"
    if model.curve is None:
        gains = [f"{span * g:.4g}" if report.levels else f"{g:.5f}" for g in model.gain]
        yield f"gain      {_cells(gains)}   variance per brightness"
        yield f"read      {_cells(f'{span * r:{digits}}' for r in model.read)}   {unit}"
    else:
        for place in (0.25, 0.5, 0.75):
            index = round(place * (len(model.curve[0]) - 1))
            cells = _cells(f"{span * curve[index]:{digits}}" for curve in model.curve)
            yield f"at {black + span * place:<6.3g} {cells}   sigma at this brightness"
    if spectrum is not None:
        yield f"rho x     {_cells(f'{r:.3f}' for r in spectrum.rho_x)}   with the next column"
        yield f"rho y     {_cells(f'{r:.3f}' for r in spectrum.rho_y)}   with the next row"
    kept, fixed = report.temporal
    pixel = "" if fixed is None else f"; {fixed:.3f} at the same pixel"
    yield f"time      {kept:.3f} with the next frame at the same point of the scene{pixel}"
    yield f"clipped   {100 * report.black:.1f} % black, {100 * report.white_rail:.1f} % white"
    reasons = "".join(f"; {reason}" for reason in report.confidence.reasons)
    yield f"sure      {report.confidence.word}, +-{report.confidence.percent:.0f} %{reasons}"
    yield from (f"means     {sentence}" for sentence in report.meaning())


def _cells(values: Iterable[str]) -> str:
    return " ".join(f"{value:>9}" for value in values)
