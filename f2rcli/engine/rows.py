"""Offsets of rows and columns, taken out of frames before anything else sees them.

Lasting ones are what the mean of frames shows, those before and those that follow. New ones are
what a frame has more than the same places of the scene in other frames: in the mean of those before
it, carried along the flow, and in the next few. Each of these has offsets of its own, so what is
found counts as far as they average out; what the frame itself shows of single rows comes on top, as
far as the others leave it open. Nothing is fed back, so no error stays.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from f2rcli.engine.contract.residual import STRICT
from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.strength import luma_and_chroma
from f2rcli.frames import Family, Floats, Frame, same_samples
from f2rcli.models.flow import DISFlow, Flow, compose, doubled, halved, resized, sample
from f2rcli.noise import rows
from f2rcli.noise.planes import picture_of, with_changes
from f2rcli.noise.rows import Lines, Offsets, Profile, RowNoise, Values
from f2rcli.order import robust_sigma
from f2rcli.window import with_next

AHEAD = 6  # frames that are looked at after each
FEWEST, FEWEST_VIEWS = 4, 2  # frames that show lasting offsets; frames between neighbours, new ones
MOST = 256, 384  # rows and columns in the middle, that new offsets are looked for in
MOST_LIGHT = 1.5  # times the contrast of a frame that the next may have
TOGETHER = 0.6  # of the mean variance of planes' offsets, that their mean's has where they share
KEPT = 0.96  # of a frame's weight, that the one beside it has: lasting offsets drift
SAME = 0.5  # correlation of offsets, from which a shot is of the same sensor
LARGER = 1.5  # times the first standard deviation of offsets, that later ones have at most
BROAD = 0.25  # of the standard deviation of offsets, that their broad part has
MEMORY = 24.0  # frames that the mean of the past is worth at most
LOST = 0.3  # frames that it is worth where nothing matches
SIDE, SLACK = 7, 4.5  # pixels; standard deviations of their mean before a match is lost

GROUPS = {
    Family.YUV: ((0,), (1,), (2,)),
    Family.RGB: ((0, 1, 2),),
    Family.GRAY: ((0,),),
    Family.BAYER: ((0, 1), (2, 3)),  # the rows that red, and that blue stands in
}
MOSAIC, GREENS = 4, (1, 3)  # planes: R, G, B, G
SPLIT = 3.0  # standard errors of what every other line has more, from where a colour has it
ACROSS = {Family.BAYER: ((0, 3), (1, 2))}  # where these differ for columns


def lines_of(frames: Sequence[Frame]) -> Lines | None:
    """The lines of frames in a row, no two alike; None where none are sure."""
    if not frames:
        return None
    family, mosaic = frames[0].layout.family, frames[0].layout.mosaic
    down = GROUPS[family]
    looks = list(_looks([frame] for frame in frames))
    odd = (0, 0) if mosaic is None else divmod(mosaic.pattern.index("R"), 2)
    found = []
    for columns, groups in ((True, ACROSS.get(family, down)), (False, down)):
        turned = groups[::-1] if odd[columns] else groups  # those with even lines first
        found += _found(looks, turned, columns=columns)
    if found:
        frames = LineRemover(Lines(tuple(found))).alone(frames)
        looks = list(_looks([frame] for frame in frames))
    found += _found_new(looks, down)
    return Lines(tuple(found)) if found else None


def remover_for(frames: Sequence[Frame], engine: Engine) -> "LineRemover | None":
    """A remover for the lines of a lane that begins with these frames; None where it has none.
    The engine's notes say what was found. What a codec has been at shows no sensor's rows."""
    if engine.slack is not STRICT:
        return None
    lines = lines_of(frames)
    if lines is None:
        return None
    lane = frames[0].lane
    if lane not in engine.lines:  # the other field of interlaced frames has the same
        engine.lines[lane] = lines
        engine.note(f"removed before anything else: {lines.words()}")
    luma, _ = luma_and_chroma(engine.settings)
    return LineRemover(lines, min(luma, 1.0))


@dataclass
class Look:
    """A run of frames that show one picture, and what is seen of it."""

    copies: list[Frame]
    planes: list[Values]  # as `planes_of` gives them
    luma: Values
    thumb: Thumbnail
    near: list[Values] | None = None  # planes of a frame beside it
    steps: dict[RowNoise, Profile] = field(default_factory=dict)  # between rows
    to_next: "tuple[Look, Flow] | None" = None

    @cached_property
    def small(self) -> Values:
        """Luma at half its size, for flow, which would take offsets for motion."""
        return halved(rows.levelled(self.luma))

    def flow(self, other: "Look", start: Flow | None = None) -> Flow:
        """The flow into another frame, at half the size; refined from `start` where it is given."""
        return DISFlow(halved=True)(self.small, other.small, start)

    def onward(self, following: "Look") -> Flow:
        """The flow into the frame after it, made once."""
        if self.to_next is None or self.to_next[0] is not following:
            self.to_next = following, self.flow(following)
        return self.to_next[1]

    def mean(self, group: Sequence[int], *, columns: bool = False) -> Values:
        """The mean of some planes; on its side for columns. Of all four planes of a mosaic, its
        greens as the lines lie on the sensor: less of their offsets is lost in broad bands."""
        if len(group) == MOSAIC:
            even, odd = (
                self.planes[at].T if columns else self.planes[at] for at in group if at in GREENS
            )
            return np.stack([even, odd], 1).reshape(-1, even.shape[1]).astype(np.float32)
        mean = np.mean([self.planes[index] for index in group], axis=0)
        return np.ascontiguousarray(mean.T if columns else mean, np.float32)

    def moved(self, group: Sequence[int], onto: "Look", flow: Flow) -> Values:
        """The mean of some planes where another frame shows the same. flow: from there."""
        mean = self.mean(group)
        return sample(mean, onto.sized(flow, mean.shape))

    def sized(self, flow: Flow, shape: tuple[int, ...]) -> Flow:
        """A flow at half the size on the grid of a plane, in its pixels."""
        return resized(doubled(flow, self.luma.shape) * np.float32(2), shape)


def _looks(pictures: Iterable[list[Frame]]) -> Iterator[Look]:
    last: Look | None = None
    for copies in pictures:
        picture = picture_of(copies[0])
        look = Look(copies, picture.planes, picture.luma, thumbnail(picture.luma))
        if last is not None:
            look.near = last.planes
            last.near = last.near or look.planes
        last = look
        yield look


def _shot(looks: Iterable[Look]) -> list[Look]:
    """The first of some frames and those after it up to a cut, but for copies."""
    found = list[Look]()
    for look in looks:
        if found and not same_shot(found[-1].thumb, look.thumb):
            break
        if not found or not same_samples(found[-1].copies[0], look.copies[0]):
            found.append(look)
    return found


def _found(
    looks: Sequence[Look], groups: Sequence[tuple[int, ...]], *, columns: bool
) -> list[RowNoise]:
    """The offsets that stay in the first shot."""
    shot = _shot(looks)
    if len(shot) < FEWEST:
        return []

    def lasting(group: tuple[int, ...]) -> RowNoise | None:
        pictures = [look.mean(group, columns=columns) for look in shot]
        seen = rows.lasting_in(pictures) if _large(pictures[0]) else None
        return seen and RowNoise(
            group, columns, lasting=True, sigma=seen.sigma, offsets=seen.values
        )

    found = [_shared(group, lasting) for group in groups]
    if [len(group) for group in groups] == [2, 2] and all(found):  # of a mosaic
        whole = lasting((*groups[0], *groups[1]))
        found = [[whole]] if whole else found
    return [one for some in found for one in some]


def _found_new(looks: Sequence[Look], groups: Sequence[tuple[int, ...]]) -> list[RowNoise]:
    """The offsets that rows have anew in every frame."""
    middles = [_middle(look) for look in looks]
    joined = [same_shot(a.thumb, b.thumb) and _as_lit(a.thumb, b.thumb) for a, b in pairwise(looks)]
    triples = zip(middles, middles[1:], middles[2:], pairwise(joined), strict=False)
    views = [three for *three, both in triples if all(both)]
    if len(views) < FEWEST_VIEWS:
        return []
    flows = [[centre.flow(before), centre.flow(after)] for before, centre, after in views]

    def new(group: tuple[int, ...]) -> RowNoise | None:
        seen = []
        for (before, centre, after), (back, on) in zip(views, flows, strict=True):
            own = centre.mean(group)
            if not _large(own):
                return None
            moved = before.moved(group, centre, back), after.moved(group, centre, on)
            seen.append((own, own - moved[0], own - moved[1]))
        sigma = rows.new_in(seen)
        none = np.zeros(0, np.float32)
        return RowNoise(group, False, False, sigma, none) if sigma else None

    return [one for group in groups for one in _shared(group, new)]


def _shared(
    group: tuple[int, ...], find: Callable[[tuple[int, ...]], RowNoise | None]
) -> list[RowNoise]:
    """The offsets that planes share, or those of each."""
    shared = find(group)
    if shared is None:  # what planes do not share is in their mean as well
        return []
    alone = [one for index in group if (one := find((index,)))] if len(group) > 1 else [shared]
    power = sum(one.sigma**2 for one in alone) / len(group)
    return [shared] if shared.sigma**2 >= TOGETHER * power else alone


def _large(plane: Values) -> bool:
    return min(plane.shape) >= rows.LEAST_ROWS and max(plane.shape) >= rows.LEAST_COLUMNS


def _as_lit(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether frames have similar contrast: flow fails under strobes, and rows differ by light."""
    spread = float(before.std()), float(after.std())
    return min(spread) * MOST_LIGHT >= max(spread)


def _middle(look: Look) -> Look:
    """The middle of all planes; chroma grids stay where they are in luma's."""
    height, width = look.luma.shape
    high, wide = min(height, MOST[0]), min(width, MOST[1])
    top, left = ((size - kept) // 8 * 4 for size, kept in ((height, high), (width, wide)))

    def cut(plane: Values) -> Values:
        down, across = round(height / plane.shape[0]), round(width / plane.shape[1])
        y, x = top // down, left // across
        kept = plane[y : y + high // down, x : x + wide // across]
        return np.ascontiguousarray(kept, np.float32)

    return replace(look, planes=[cut(plane) for plane in look.planes], luma=cut(look.luma))


class LineRemover:
    """Works on one stream in order; holds twice AHEAD + 2 frames."""

    def __init__(self, lines: Lines, share: float = 1.0) -> None:
        """share: of the offsets that is taken out, 0 to 1."""
        self.lines = lines
        self.share = share

    def corrected(self, pictures: Iterable[list[Frame]]) -> Iterator[list[Frame]]:
        """Runs of frames that show one picture, without its lines."""
        for kind in (_Lasting, _New):
            noise = [one for one in self.lines.found if one.lasting == (kind is _Lasting)]
            if noise:
                pictures = self._without([kind(one) for one in noise], pictures)
        yield from pictures

    def fresh(self) -> "LineRemover":
        """A fresh remover for another part of the clip."""
        return LineRemover(self.lines, self.share)

    def alone(self, frames: Sequence[Frame]) -> list[Frame]:
        """A few different frames in a row without their lines; nothing of it is kept."""
        return [copies[0] for copies in self.fresh().corrected([frame] for frame in frames)]

    def _without(
        self, tracks: "Sequence[_Lasting | _New]", pictures: Iterable[list[Frame]]
    ) -> Iterator[list[Frame]]:
        before: Look | None = None
        done: Frame | None = None
        for centre, following in with_next(_looks(pictures), AHEAD):
            shot = _shot([centre, *following])
            if before is not None and not same_shot(before.thumb, centre.thumb):
                before = None
            again = before is not None and same_samples(before.copies[0], centre.copies[0])
            if done is None or not again:
                changes = [np.zeros_like(plane) for plane in centre.planes]
                for track in tracks:
                    if before is None:
                        track.begin(shot)
                    track.take_out(changes, shot, before)
                done = self._changed(centre, changes)
            before = centre
            planes = done.planes
            yield [replace(copy, planes=planes) for copy in centre.copies]

    def _changed(self, look: Look, changes: list[Values]) -> Frame:
        """A frame with so much less in its planes, but where it is painted."""
        if not any(change.any() for change in changes):
            return look.copies[0]
        for change, plane, near in zip(changes, look.planes, look.near or (), strict=False):
            change[rows.painted(plane, near)] = 0
        return with_changes(
            look.copies[0], [change * np.float32(-self.share) for change in changes]
        )


@dataclass
class _Lasting:
    """Offsets that are the same in every frame of a shot, or drift slowly. Another shot is another
    camera until it shows the same offsets, or as much evidence of others as the first one did."""

    noise: RowNoise
    known: Profile = field(default_factory=lambda: np.zeros(0, np.float32))  # the latest
    past: Floats | float = 0.0  # sum of the steps of the frames before, so weighted
    weight: float = 0.0  # of these frames
    present: bool = True  # in this shot

    def begin(self, shot: Sequence[Look]) -> None:
        """Begin a shot with its first frames."""
        self.past, self.weight = 0.0, 0.0
        if not self.known.size:
            self.known = self.noise.offsets
        level = np.concatenate([[0.0], np.cumsum(self._steps(shot[0]))])
        alike = np.corrcoef(rows.parted(level)[0], rows.parted(self.known)[0])[0, 1]
        self.present = bool(alike > SAME)
        if not self.present and len(shot) >= FEWEST:
            found = rows.lasting_in([self._picture(look.planes, look) for look in shot])
            if found is not None:
                self.present, self.known = True, found.values
                self.noise = replace(self.noise, sigma=found.sigma, offsets=found.values)

    def take_out(self, changes: list[Values], shot: Sequence[Look], _: Look | None) -> None:
        """Add the offsets of the first of some frames in a row to what is to go."""
        if not self.present:
            return
        steps = [self._steps(look).astype(np.float64) for look in shot]
        shares = KEPT ** np.arange(len(steps))
        total, weight = np.tensordot(shares, np.stack(steps), 1), float(shares.sum())
        found = rows.offsets_of((total + KEPT * self.past) / (weight + KEPT * self.weight))
        self.known = _no_larger(found, self.noise)
        self.past, self.weight = steps[0] + KEPT * self.past, 1 + KEPT * self.weight
        for index in self.noise.planes:
            offsets = _of_plane(self.known, self.noise.planes, index)
            changes[index] += offsets if self.noise.columns else offsets[:, None]

    def _steps(self, look: Look) -> Profile:
        """The steps of a frame's rows, measured once."""
        if self.noise not in look.steps:
            plane = self._picture(look.planes, look)
            near = None if look.near is None else self._picture(look.near, look)
            drawn = None if near is None else rows.painted(plane, near)
            look.steps[self.noise] = rows.common(
                *rows.steps_of(plane, plane - self.known[:, None], drawn)
            )[0]
        return look.steps[self.noise]

    def _picture(self, planes: list[Values], look: Look) -> Values:
        return replace(look, planes=planes).mean(self.noise.planes, columns=self.noise.columns)


@dataclass
class _New:
    """Offsets that rows have anew in every frame."""

    noise: RowNoise
    mean: Values | None = None  # of the frames before, on the last one's grid
    worth: Values | None = None  # frames in it, at every pixel

    def begin(self, _: Sequence[Look]) -> None:
        """Begin a shot."""
        self.mean = self.worth = None

    def take_out(self, changes: list[Values], shot: Sequence[Look], before: Look | None) -> None:
        """Add the offsets of the first of some frames in a row to what is to go."""
        centre, group = shot[0], self.noise.planes
        own, found = centre.mean(group), list[Reference]()
        if before is not None and self.mean is not None and self.worth is not None:
            flow = centre.sized(centre.flow(before), own.shape)
            past = sample(self.mean, flow, cubic=True), sample(self.worth, flow)
            found.append(Reference(*past))
        for look, flow in _ahead(shot):
            found.append(Reference(look.moved(group, centre, flow), np.ones_like(own)))
        matched = [one.matched(own) for one in found]
        if before is None or not found:
            self.mean, self.worth = own, np.ones_like(own)
        else:
            mean, worth = found[0].values, np.minimum(matched[0].worth, MEMORY)
            self.mean = ((mean * worth + own) / (worth + 1)).astype(np.float32)
            self.worth = (worth + 1).astype(np.float32)
        offsets = self._offsets(own, matched)
        for index in group:
            changes[index] += offsets[:, None]

    def _offsets(self, own: Values, references: "Sequence[Reference]") -> Profile:
        """The offsets of a picture's rows."""
        variance = self.noise.sigma**2
        offsets, left = np.zeros(len(own), np.float32), np.full(len(own), variance, np.float32)
        if references:
            worth = np.sum([one.worth for one in references], axis=0)
            mean = np.sum([one.values * one.worth for one in references], axis=0) / worth
            apart = np.asarray(own - mean, np.float32)
            soft = np.asarray(cv2.GaussianBlur(rows.levelled(own), (0, 0), rows.SOFT), np.float32)
            weights = rows.precision(soft, _sigma(apart), rows.MATCHED)
            profile, error = rows.common(*rows.segments(apart, weights))
            for part, own_share in zip(rows.parted(profile), (1.0, BROAD**2), strict=True):
                prior = variance * own_share
                share = prior / (prior * (1 + 1 / worth.mean(1)) + error)
                offsets += part * share.astype(np.float32)
                left *= 1 - share.astype(np.float32) if own_share == 1 else 1
        rest = rows.estimated(np.asarray(own - offsets[:, None], np.float32))
        return offsets + rest.values * np.minimum(left / max(rest.sigma**2, rows.TINY), 1)


class Reference(NamedTuple):
    """What a frame is expected to show, by other frames, on its grid."""

    values: Values
    worth: Values  # frames, at every pixel

    def matched(self, own: Values) -> "Reference":
        """The same, worth little where it does not match the frame."""
        apart = own - self.values
        apart = np.asarray(apart - np.median(apart, axis=1, keepdims=True), np.float32)
        most = SLACK * _sigma(apart) / SIDE + rows.LEAST_SIGMA
        far = np.abs(cv2.blur(apart, (SIDE, SIDE))) > most
        return Reference(self.values, np.where(far, np.minimum(self.worth, LOST), self.worth))


def _sigma(apart: Values) -> float:
    """The noise of a picture, roughly, from what it differs by from a reference."""
    return max(robust_sigma(apart) / 2**0.5, rows.LEAST_SIGMA)


def _ahead(shot: Sequence[Look]) -> Iterator[tuple[Look, Flow]]:
    """The frames after the first, with the flow there; long ones begin with adjacent ones."""
    flow = None
    for last, look in pairwise(shot):
        if flow is None:
            flow = last.onward(look)
        else:
            flow = shot[0].flow(look, compose(flow, last.onward(look)))
        yield look, flow


def _of_plane(offsets: Profile, group: Sequence[int], index: int) -> Profile:
    """The offsets of lines in one plane of their group. What all even lines of a mosaic have more
    than the odd ones is its greens', but for chance."""
    if len(group) < MOSAIC:
        return offsets
    even, odd = offsets[::2], offsets[1::2]
    split = float(even.mean() - odd.mean())
    if abs(split) <= SPLIT * float(offsets.std()) * (1 / len(even) + 1 / len(odd)) ** 0.5:
        split = 0.0
    return even - np.float32(split / 2) if index in group[:2] else odd + np.float32(split / 2)


def _no_larger(found: Offsets, noise: RowNoise) -> Profile:
    share = min(LARGER * noise.sigma / max(found.sigma, rows.TINY), 1.0)
    return np.asarray(found.values * np.float32(share), np.float32)
