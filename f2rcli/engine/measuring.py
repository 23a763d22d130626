"""A clip's noise, measured on its first frames."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.frames import Frame, PlaneLayout, Singles
from f2rcli.noise.coding import Compression, compression_of, find_edges
from f2rcli.noise.estimate import NoiseMap, estimate, single_frame_sigma, squares_of
from f2rcli.noise.model import FramePlanes, NoiseModel, PlaneNoise, picture_of
from f2rcli.noise.photons import counted_model

PREROLL = 6  # frames, no two alike, that the noise is measured on
SHORTEST = 3  # frames of a shot whose photons are counted
CENTRES = 2  # of them, whose noise is read beside both neighbours


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
        planes = found.noise(layout, clipped=ends_at_codes(layout) or found.cut_off(pictures))
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
    together = of_one_shot(pictures)
    if not any(together) or min(pictures[0].planes[0].shape) < 16:
        return None
    inner = between(together)
    begins = together.index(True)
    wanted = 1 if squares_of(pictures[begins].luma) else CENTRES  # a large one tells as much
    groups = [[i, i - 1, i + 1] for i in spread(inner, wanted)] or [[begins, begins + 1]]
    shown = ([pictures[place] for place in places] for places in groups)
    maps = [estimate(one, [None] * (len(one) - 1), coded=coded) for one in shown]
    return NoiseMap.joined(maps)


def of_one_shot(pictures: Sequence[FramePlanes]) -> list[bool]:
    """Whether each picture is of one shot with the next. Where no two are, all of them count as
    such: single frames would take texture that is new in each for noise."""
    looks = [thumbnail(picture.luma) for picture in pictures]
    found = [same_shot(*pair) for pair in pairwise(looks)]
    return found if any(found) else [True] * len(found)


def between(together: Sequence[bool]) -> list[int]:
    """Places of pictures that are of one shot with both neighbours."""
    return [i for i, (before, after) in enumerate(pairwise(together), 1) if before and after]


def spread(places: Sequence[int], wanted: int) -> list[int]:
    """So many of the places, evenly over them."""
    wanted = min(wanted, len(places))
    return [places[(2 * n + 1) * len(places) // (2 * wanted)] for n in range(wanted)]


def ends_at_codes(layout: PlaneLayout) -> bool:
    """Whether black and white are the ends of a file's codes."""
    return layout.full_range and not layout.float_samples


def _first_shot(pictures: Sequence[FramePlanes]) -> Sequence[FramePlanes]:
    """Pictures up to a cut. A shot too short to count in is none: between frames of a few photons
    noise alone looks like a cut."""
    together = of_one_shot(pictures)
    first = together.index(False) + 1 if False in together else 0
    return pictures[:first] if first >= SHORTEST else pictures


def stated_model(stated: tuple[tuple[float, float], ...], planes: Sequence[Singles]) -> NoiseModel:
    """The law that a file states, its sigma as it is on these planes."""
    means = [float(np.maximum(plane, 0).mean()) for plane in planes]
    gain, read = tuple(g for g, _ in stated), tuple(v**0.5 for _, v in stated)
    sigma = tuple((g * m + v) ** 0.5 for (g, v), m in zip(stated, means, strict=True))
    return NoiseModel(gain, read, sigma)
