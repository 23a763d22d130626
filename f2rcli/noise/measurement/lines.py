"""Lines and bands: offsets that whole rows or columns of a sensor have on their own.

A frame's row differs from the same place of the scene in the frame before it, and in the frame
after it, by the same offset: its own. So the covariance of the two differences, taken between
*different* pieces of the row, is the offsets' variance. White noise has none there, what moves or
was matched wrongly lies in few pieces and has opposite signs before and after, and brightness that
changes evenly is fitted away. Columns that stay are seen the same way where the scene moves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from f2rcli.models.flow import resized, sample
from f2rcli.noise.hum.guards import drawn, passing, shaken
from f2rcli.noise.hum.hum import LEAST, hum_of, lines_of_light, of_light
from f2rcli.noise.hum.views import LEAST_COLUMNS, LEAST_ROWS, Cut, View
from f2rcli.noise.measurement.agreement import (
    Agreement,
    agreement,
    destriped,
    of_few,
    pieces,
)
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.profiles import TINY, Values, parted
from f2rcli.noise.standing.evidence import Standing, staying
from f2rcli.order import median

SURE = 0.75  # of the triples of frames that must show it
ALIKE = 0.2  # correlation of the pieces of a row
FEWEST = 2  # triples
LOUDEST = 10 / 255  # standard deviation of hum: what is louder are blinds and siding that pass by
LONGEST, PEAK = 20, 0.35  # rows; share of the power of shorter waves that is a grating's
WHITE_SHARE = 0.25  # of single rows' offsets, that their broad part has where they are white
NAMED = 2 * WHITE_SHARE  # of them, that bands have at least which are more
TOGETHER = 0.6  # of the mean variance of planes' offsets, that their mean's has where they share
STAYING = 0.3  # correlation of what columns differ by in one frame and the next
STILL = 0.5  # pixels a frame: columns of what moves less look like the scene


@dataclass(frozen=True, slots=True)
class LineNoise:
    """Standard deviations of the offsets that planes share, in their units; 0: none was found."""

    planes: tuple[int, ...]  # indices, as `planes_of` gives them
    rows: float  # single rows, new in every frame
    bands: float  # broad horizontal bands, new in every frame
    columns: float  # single columns, the same in every frame
    hum: bool = False  # whether rows and bands are parts of waves, which flow would follow

    @property
    def found(self) -> bool:
        """Whether there is any."""
        return max(self.rows, self.bands, self.columns) > 0


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines and bands of a clip, by groups of planes that share them."""

    groups: tuple[LineNoise, ...]
    turned: bool = False  # whether rows are the columns of frames: a camera turned on its side
    standing: tuple[Standing, ...] = ()  # taken out before the others were looked for

    def strongest(self, kind: str) -> float:
        """The largest standard deviation of `rows`, `bands` or `columns`, white - black."""
        return max((getattr(group, kind) for group in self.groups), default=0.0)

    def words(self) -> str:
        """The findings, for people."""
        rows, bands = "row noise", "moving bands"
        if self.turned:
            rows, bands = "column noise that is new in every frame", "moving bands down the picture"
        named = {
            rows: self.strongest("rows"),
            bands: self.strongest("bands"),
            "column noise": max(self.strongest("columns"), staying(self.standing, columns=True)),
            "row noise that stays": staying(self.standing, columns=False),
        }
        if named[bands] < NAMED * named[rows]:
            del named[bands]  # no more than single rows bring along
        found = [f"{name} {255 * sigma:.1f}" for name, sigma in named.items() if sigma]
        return f"{', '.join(found)} of 255 (standard deviations)"

    def values(self) -> list[dict[str, Any]]:
        """One entry a group, as JSON values, in 255ths of a plane's own unit."""
        return [
            {
                "planes": list(group.planes),
                "rows8": 255 * group.rows,
                "bands8": 255 * group.bands,
                "columns8": 255 * group.columns,
                "staying_rows8": 0.0,
                "turned": self.turned,
            }
            for group in self.groups
        ] + [one.values() for one in self.standing]


def find_columns(
    pictures: Sequence[FramePlanes], joined: Sequence[bool], groups: Sequence[tuple[int, ...]]
) -> Lines | None:
    """Columns and bands beside each other that are new in every frame, as `find_lines` finds rows:
    in pictures on their side, and only where the scene does not move across them, since most
    cameras pan and most of what stands (posts, trunks, slats) would be such stripes."""
    views, far = _views([on_its_side(one) for one in pictures], joined)
    found = (replace(one, columns=0.0) for one in _found(views, far, groups))
    new = tuple(one for one in found if one.found)
    if not new or any(_moves_down(view) for view in views):
        return None
    return Lines(new, turned=True)


def on_its_side(picture: FramePlanes) -> FramePlanes:
    """A frame whose columns are rows."""
    planes = [np.ascontiguousarray(plane.T) for plane in picture.planes]
    return FramePlanes(planes, np.ascontiguousarray(picture.luma.T), picture.chroma)


def _moves_down(view: View) -> bool:
    """Whether a scene moves up or down."""
    return any(float(median(np.abs(flow[..., 1]))) >= STILL for flow in view.even_flows)


def find_lines(
    pictures: Sequence[FramePlanes], joined: Sequence[bool], groups: Sequence[tuple[int, ...]]
) -> Lines | None:
    """The lines of frames in a row; None where none are sure.

    joined: whether each but the first shows the shot of the one before it; groups: planes that may
    share their offsets (the colours of a pixel, those of a mosaic's row).
    """
    found = _found(*_views(pictures, joined), groups)
    return Lines(found) if found else None


def _views(
    pictures: Sequence[FramePlanes], joined: Sequence[bool]
) -> tuple[list[View], list[View]]:
    """Frames between their neighbours, at one and two frames' distance; none if few or small."""
    if len(pictures) < FEWEST + 2 or min(pictures[0].luma.shape) < LEAST_ROWS:
        return [], []
    cut = [Cut(picture) for picture in pictures]
    triples = zip(cut, cut[1:], cut[2:], pairwise(joined), strict=False)
    views = [View(*frames) for *frames, both in triples if all(both)]
    if len(views) < FEWEST:
        return [], []
    far = [View(*cut[at : at + 5 : 2]) for at in range(len(cut) - 4) if all(joined[at : at + 4])]
    return views, far


def _found(
    views: Sequence[View], far: Sequence[View], groups: Sequence[tuple[int, ...]]
) -> tuple[LineNoise, ...]:
    if not views:
        return ()
    return tuple(one for group in groups for one in _of_group(views, group, far) if one.found)


def _of_group(
    views: Sequence[View], group: tuple[int, ...], far: Sequence[View] = ()
) -> Iterator[LineNoise]:
    """The lines that planes share, or those of each. far: frames between those two away."""
    shared = _measured(views, group, far)
    if len(group) == 1 or not shared.found:  # what planes do not share is in their mean as well
        yield shared
        return
    alone = [_measured(views, (index,), far) for index in group]
    if _power(shared) >= TOGETHER * float(np.mean([_power(one) for one in alone])):
        yield shared
    else:
        yield from alone


def _power(one: LineNoise) -> float:
    return one.rows**2 + one.bands**2 + one.columns**2


def _measured(views: Sequence[View], group: tuple[int, ...], far: Sequence[View] = ()) -> LineNoise:
    """The lines of the mean of some planes."""
    rows, bands, columns = (_Votes(len(views), share) for share in (SURE, 1.0, SURE))
    for view in views:
        if rows.open or bands.open:
            pair = _differences(view, group, turned=False)
            rows.add(pair, broad=False)
            bands.add(pair, broad=True)
        if columns.open:
            columns.add(_differences(view, group, turned=True), broad=False)
    upright = columns.sigma
    if upright and (of_few(columns.seen) or _grating(columns.seen) or not _stay(views, group)):
        upright = 0.0
    if upright and lines_of_light(views, group, turned=True):
        upright = 0.0
    single, broad, grating = rows.sigma, bands.sigma, _grating(rows.seen)
    moved = bool(single and of_few(rows.seen)) or (bool(single or broad) and shaken(views, group))
    if moved:
        single = broad = 0.0
    if grating or (single and lines_of_light(views, group, turned=False)):
        single = 0.0
    fine, wide = (0.0, 0.0) if moved and not grating else hum_of(views, group, far)
    if _of_scene(views, group, fine, wide, moved):
        fine = wide = 0.0
    if single:  # whose slow part is there, sure or not
        slow = max(float(np.median([one.middle for one in bands.seen])), 0.0) ** 0.5
        slow = max(slow, WHITE_SHARE * single)
        more = wide > max(slow, NAMED * single)
        return LineNoise(group, single, wide if more else slow, upright, more)
    if fine or wide:
        return LineNoise(group, fine, max(wide, WHITE_SHARE * fine), upright, hum=True)
    if broad and of_light(views, group):
        broad = 0.0
    return LineNoise(group, single, broad, upright)


def _of_scene(
    views: Sequence[View], group: tuple[int, ...], fine: float, wide: float, moved: bool
) -> bool:
    """Whether hum of these standard deviations is a scene's. moved: whether its rows are."""
    if max(fine, wide) > LOUDEST or (fine > wide and passing(views, group, fine)):
        return True
    return bool(fine) and drawn(views, group) and (moved or shaken(views, group))


def _stay(views: Sequence[View], group: tuple[int, ...]) -> bool:
    """Whether columns differ by the same in every frame: posts that pass do not."""
    sides = [_differences(view, group, turned=True) for view in views]
    profiles = [parted(np.median(np.concatenate(one, 1), axis=1))[0] for one in sides if one]
    alike = [float(np.corrcoef(*pair)[0, 1]) for pair in pairwise(profiles)]
    return bool(alike) and float(np.median(alike)) > STAYING


class _Votes:
    """Votes of so many triples of frames, until too many of them see nothing."""

    def __init__(self, triples: int, share: float) -> None:
        """share: of those triples that say anything, that must agree."""
        self.share = share
        self.triples = triples
        self.seen: list[Agreement] = []

    @property
    def open(self) -> bool:
        """Whether those to come may still be sure."""
        blind = sum(one.low <= 0 for one in self.seen)
        faint = sum(one.middle < LEAST**2 for one in self.seen)
        unlike = sum(one.correlation < ALIKE for one in self.seen)
        most = (1 - self.share) * self.triples
        return blind <= most and max(faint, unlike) <= self.triples / 2

    @property
    def sigma(self) -> float:
        """The standard deviation that covariances of enough triples agree on, or 0."""
        if not self.open or len(self.seen) < FEWEST:
            return 0.0
        middle = float(np.median([one.middle for one in self.seen]))
        alike = float(np.median([one.correlation for one in self.seen]))
        sure = np.mean([one.low > 0 for one in self.seen]) >= self.share
        return float(middle**0.5) if sure and alike >= ALIKE and middle >= LEAST**2 else 0.0

    def add(self, pair: tuple[Values, Values] | None, *, broad: bool) -> None:
        """Take in the differences of a triple, if it has any."""
        if pair is not None:
            self.seen.append(agreement(*pair, broad=broad))


def _grating(seen: list[Agreement]) -> bool:
    """Whether single lines differ at one frequency: blinds, stairs, lattices that move or shake, a
    wall of lamps whose picture moves."""
    if not seen:
        return False
    power = np.mean([one.spectrum for one in seen], axis=0)
    fine = power[round(2 * (len(power) - 1) / LONGEST) :]
    peak = np.convolve(fine, np.ones(3), "same").max()
    return bool(peak > PEAK * max(float(fine.sum()), TINY))


def _differences(
    view: View, group: tuple[int, ...], *, turned: bool
) -> tuple[Values, Values] | None:
    """Differences of pieces of rows (columns, if turned) from the frames before and after."""
    centre = view.centre.mean(group)
    if min(centre.shape) < LEAST_ROWS or max(centre.shape) < LEAST_COLUMNS:
        return None
    others = []
    moves = [resized(flow, centre.shape) for flow in view.flows]
    if turned and min(float(median(np.abs(move[..., 0]))) for move in moves) < STILL:
        return None
    for near, move in zip(view.near, moves, strict=True):
        others.append(np.asarray(centre - sample(near.mean(group), move), np.float32))
    look = centre if turned else destriped(centre)
    if turned:
        centre, look = (np.ascontiguousarray(one.T) for one in (centre, look))
        others = [np.ascontiguousarray(one.T) for one in others]
    return pieces(look, others)
