"""A clip's noise measured: on its first frames for a run, and in full for a report.

Both ask the one estimate. A report also says which pixels, channels and frames share the noise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from statistics import fmean
from typing import NamedTuple

import cv2
import numpy as np

from f2rcli import yuv
from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.engine.device import lent_threads
from f2rcli.engine.engine import Engine
from f2rcli.engine.rows import remover_for
from f2rcli.engine.worker import to_measure
from f2rcli.frames import ClipInfo, Frame, PlaneLayout, Singles
from f2rcli.models.flow import DISFlow, Flow
from f2rcli.noise.bound import BLOCK
from f2rcli.noise.coding import Compression, compression_of, find_edges
from f2rcli.noise.estimate import NoiseMap, estimate, single_frame_sigma, squares_of
from f2rcli.noise.model import FramePlanes, NoiseModel, PlaneNoise, picture_of, side_by_side
from f2rcli.noise.photons import counted_model
from f2rcli.noise.report import NoiseReport
from f2rcli.noise.spectrum import Differences, Temporal, spectrum_of, temporal_correlation

PREROLL = 6  # frames, no two alike, that the noise is measured on
SHORTEST = 3  # frames of a shot whose photons are counted
CENTRES = 2  # of them, whose noise is read beside both neighbours
FRAMES = 10  # unique frames that a report looks at
WINDOWS = 3  # of them, that are compared with their neighbours
SOFT = 2.0  # pixels, of that blur
HALF_CODE = 0.5 / 255
UNSEEN = Temporal(None, None)  # of frames that could not be compared


class Opening(NamedTuple):
    """The noise of a stream's first frames: the one number that all commands show."""

    planes: PlaneNoise
    found: NoiseMap | None  # block by block; None: single frames alone were looked at
    edges8: float | None = None  # of blocks, that compression left
    compression: Compression | None = None  # its errors, not in `planes`; None: hardly any


def opening_noise(frames: Sequence[Frame], *, coded: bool = False) -> Opening:
    """The noise of a stream's first PREROLL frames, no two of them alike. coded: whether a codec
    wrote the file."""
    layout = frames[0].layout
    pictures = [picture_of(frame) for frame in frames]
    found = map_of(pictures, coded=coded)
    if found is None:
        each = [[single_frame_sigma(plane) for plane in one.planes] for one in pictures]
        sigmas = tuple(map(min, zip(*each, strict=True)))
        law = NoiseModel((0.0,) * len(sigmas), sigmas, sigmas)
        planes = PlaneNoise.of(law, clipped=layout.full_range)
    else:
        planes = found.noise(layout, clipped=_ends(layout) or found.cut_off(pictures))
    edges8 = compression = None
    if layout.counts_light:
        model = model_of_counts(pictures, found, planes.model, dark=layout.levels is not None)
        planes = replace(planes, model=model, places=(), kept=1.0)  # their space knows neither
    else:
        edges8 = find_edges([one.luma for one in pictures])
        compression = compression_of(frames, edges8)
    return Opening(planes, found, edges8, compression)


def model_of_counts(
    pictures: Sequence[FramePlanes], found: NoiseMap | None, seen: NoiseModel, *, dark: bool
) -> NoiseModel:
    """The law of counts of light: that of the blocks of a map (without one as `seen` in single
    frames), or of photons where these tell it. dark: whether black may lie above 0."""
    law = seen if found is None else found.of_counts(dark=dark)
    shot = [picture.planes for picture in _first_shot(pictures)]
    return counted_model(shot, law) or law


def map_of(pictures: Sequence[FramePlanes], *, coded: bool) -> NoiseMap | None:
    """What a few frames say beside their neighbours of the same shot; None: no two are of one."""
    together = _together(pictures)
    if not any(together) or min(pictures[0].planes[0].shape) < 16:
        return None
    inner = _between(together)
    begins = together.index(True)
    wanted = 1 if squares_of(pictures[begins].luma) else CENTRES  # a large one tells as much
    groups = [[i, i - 1, i + 1] for i in spread(inner, wanted)] or [[begins, begins + 1]]
    shown = ([pictures[place] for place in places] for places in groups)
    maps = [estimate(one, [None] * (len(one) - 1), coded=coded) for one in shown]
    return NoiseMap.joined(maps)


def _together(pictures: Sequence[FramePlanes]) -> list[bool]:
    """Whether each picture is of one shot with the next. Where no two are, all of them count as
    such: single frames would take texture that is new in each for noise."""
    looks = [thumbnail(picture.luma) for picture in pictures]
    found = [same_shot(*pair) for pair in pairwise(looks)]
    return found if any(found) else [True] * len(found)


def _between(together: Sequence[bool]) -> list[int]:
    """Places of pictures that are of one shot with both neighbours."""
    return [i for i, (before, after) in enumerate(pairwise(together), 1) if before and after]


def spread(places: Sequence[int], wanted: int) -> list[int]:
    """So many of the places, evenly over them."""
    wanted = min(wanted, len(places))
    return [places[(2 * n + 1) * len(places) // (2 * wanted)] for n in range(wanted)]


def _ends(layout: PlaneLayout) -> bool:
    """Whether black and white are the ends of a file's codes."""
    return layout.full_range and not layout.float_samples


def _first_shot(pictures: Sequence[FramePlanes]) -> Sequence[FramePlanes]:
    """Pictures up to a cut. A shot too short to count in is none: between frames of a few photons
    noise alone looks like a cut."""
    together = _together(pictures)
    first = together.index(False) + 1 if False in together else 0
    return pictures[:first] if first >= SHORTEST else pictures


def stated_model(stated: tuple[tuple[float, float], ...], planes: Sequence[Singles]) -> NoiseModel:
    """The law that a file states, its sigma as it is on these planes."""
    means = [float(np.maximum(plane, 0).mean()) for plane in planes]
    gain, read = tuple(g for g, _ in stated), tuple(v**0.5 for _, v in stated)
    sigma = tuple((g * m + v) ** 0.5 for (g, v), m in zip(stated, means, strict=True))
    return NoiseModel(gain, read, sigma)


def measure_noise(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> NoiseReport | None:
    """Measure the noise of a clip on its first FRAMES different frames (fields, if it is
    interlaced).

    None where there is too little evidence: fewer than three different frames of one shot, or
    frames of a few hundred pixels. Hot and dead samples are counted in the engine's `aside`.
    """
    with lent_threads(engine.threads):
        runs = to_measure(frames, info)
        looked_at = [run[0] for run in islice(runs, FRAMES)]
        for frame in looked_at:
            engine.found.aside.add(frame.aside)
        remover = remover_for(looked_at[:PREROLL], engine)
        found = _in_full(remover.alone(looked_at), info.layout, engine)
        return found and replace(found, lines=remover.lines)


def _in_full(frames: Sequence[Frame], layout: PlaneLayout, engine: Engine) -> NoiseReport | None:
    """A report with the level of `f2r denoise` and `f2r info`."""
    shown = [FramePlanes.of_channels(list(yuv.to_rgb(frame))) for frame in frames]
    found = described(shown, full_range=_ends(layout))
    if found is None:
        return None
    opening = opening_noise(frames[:PREROLL], coded=engine.coded)
    return replace(
        leveled(found, opening.planes, layout), edges8=opening.edges8,
        unsure=0.0 if opening.found is None else opening.found.unsure,
        clipped=found.black + found.white_rail, compression=opening.compression,
    )  # fmt: skip


def leveled(report: NoiseReport, planes: PlaneNoise, layout: PlaneLayout) -> NoiseReport:
    """A report on pictures with the level that was read in their file's planes."""
    model = planes.picture(layout, len(report.model.sigma))
    share = fmean(model.sigma) / max(fmean(report.model.sigma), 1e-12)
    by_frame = tuple(sigma * share for sigma in report.by_frame)
    points = tuple(tuple((x, sigma * share) for x, sigma in row) for row in report.points)
    return replace(report, model=model, planes=planes, by_frame=by_frame, points=points)


def described(pictures: Sequence[FramePlanes], *, full_range: bool = True) -> NoiseReport | None:
    """The noise of pictures of R, G and B (or gray, or a mosaic's four planes) that follow each
    other; None for fewer than three of one shot, or for pictures of a few hundred pixels.

    full_range: whether their ends are those of the codes.
    """
    together = _together(pictures)
    inner = _between(together)
    if not inner or min(pictures[0].luma.shape) < 2 * BLOCK:
        return None
    places = spread(inner, WINDOWS)
    flows = [_flows(pictures, place) for place in places]
    maps = [estimate(_three(pictures, i), to) for i, to in zip(places, flows, strict=True)]
    found = NoiseMap.joined(maps)
    clipped = full_range or found.cut_off(pictures)
    law = side_by_side([plane.law(clipped=clipped) for plane in found.planes])
    by_frame = tuple(fmean(p.law(clipped=clipped).sigma[0] for p in one.planes) for one in maps)
    patches = [
        Differences.of(_three(pictures, i), to, law).patches(one)
        for i, to, one in zip(places, flows, maps, strict=True)
    ]
    spectrum = spectrum_of(np.concatenate(patches))
    temporal = UNSEEN
    if (pair := next((i for i in inner if i + 1 in inner), None)) is not None:
        both = (
            Differences.of(_three(pictures, i), _flows(pictures, i, soft=SOFT), law)
            for i in (pair, pair + 1)
        )
        temporal = temporal_correlation(*both)
    black, rail = _rails(pictures)
    points = tuple(plane.points() for plane in found.planes)
    cut = black + rail if clipped else 0.0
    return NoiseReport(
        law, points, spectrum, temporal, black, rail, by_frame, len(pictures), found.unsure, cut
    )


def _three(pictures: Sequence[FramePlanes], place: int) -> list[FramePlanes]:
    """A picture, the one before and the one after."""
    return [pictures[i] for i in (place, place - 1, place + 1)]


def _flows(pictures: Sequence[FramePlanes], place: int, soft: float = 0.0) -> list[Flow]:
    """From a picture into both neighbours. soft: by how much lumas are blurred, so that motion does
    not follow a fixed pattern."""
    lumas = [one.luma for one in _three(pictures, place)]
    if soft:
        lumas = [np.asarray(cv2.GaussianBlur(one, (0, 0), soft), np.float32) for one in lumas]
    return [DISFlow()(lumas[0], one) for one in lumas[1:]]


def _rails(pictures: Sequence[FramePlanes]) -> tuple[float, float]:
    """The shares of samples that lie on black and on white, within half an 8-bit code."""
    planes = [plane for one in pictures for plane in one.planes]
    return (
        fmean(float((plane <= HALF_CODE).mean()) for plane in planes),
        fmean(float((plane >= 1 - HALF_CODE).mean()) for plane in planes),
    )
