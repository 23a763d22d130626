"""Offsets of rows and columns, taken out of frames before anything else sees them.

Lasting ones are those that a clip's first frames have in common. New ones are what a frame has more
than its two neighbours where these show the same of the scene; each of those has offsets of its
own, so it counts as far as they average out, and what the frame itself shows of single rows comes
on top. Nothing is fed back, so no error stays.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from f2rcli.engine.engine import Engine
from f2rcli.engine.settings import luma_and_chroma
from f2rcli.frames import Family, Frame, Singles, same_samples
from f2rcli.models.flow import blurred, dis_flow, doubled, halved, resized, sample
from f2rcli.noise import rows
from f2rcli.noise.model import FramePlanes
from f2rcli.noise.rows import Profile, RowNoise, Values
from f2rcli.window import same_shot, thumbnail, with_next
from f2rcli.yuv import planes_of, with_changes

FEWEST = 4  # frames of a shot that show lasting offsets
FOLLOWING = 2  # frames after one that tell its new offsets, or what is painted

# Planes whose rows share offsets; of mosaics, the colours that stand in one row of the sensor.
GROUPS = {
    Family.YUV: ((0,), (1,), (2,)),
    Family.RGB: ((0, 1, 2),),
    Family.GRAY: ((0,),),
    Family.BAYER: ((0, 1), (2, 3)),
}
ACROSS = GROUPS | {Family.BAYER: ((0, 3), (1, 2))}  # the same of columns


class Look:
    """A run of frames that show one picture, and its planes without some lasting offsets."""

    def __init__(self, copies: list[Frame], lasting: Iterable[RowNoise] = ()) -> None:
        self.copies = copies
        planes = planes_of(copies[0])
        self.lines = [np.zeros_like(plane) for plane in planes]  # what is taken out of each
        for one in lasting:
            self.add(one, one.offsets)
        self.planes = [plane - line for plane, line in zip(planes, self.lines, strict=True)]
        self.luma = FramePlanes.of(self.planes, copies[0].layout).luma
        self.thumb: Singles = thumbnail(self.luma)

    def add(self, noise: RowNoise, offsets: Profile) -> None:
        """Take more offsets out."""
        for index in noise.planes:
            self.lines[index] += offsets if noise.columns else offsets[:, None]

    @cached_property
    def small(self) -> Values:
        """Luma at half its size, for flow, which would take offsets for motion."""
        seen = torch.from_numpy(blurred(rows.levelled(self.luma)))
        return halved(seen[None, None])[0, 0].numpy()

    def of_shot(self, other: "Look") -> bool:
        """Whether another picture is of the same shot, and not the same one again."""
        shot = same_shot(self.thumb, other.thumb)
        return shot and not same_samples(self.copies[0], other.copies[0])

    def mean(self, group: Sequence[int], *, columns: bool = False) -> Values:
        """The mean of some planes; on its side for columns."""
        mean = _mean(self.planes, group)
        return np.ascontiguousarray(mean.T) if columns else mean


def fetched(centre: Look, near: Iterable[Look]) -> list[list[Values]]:
    """The planes of each neighbour in time, where it shows what the picture in the centre does."""
    found = []
    for other in near:
        half = dis_flow(centre.small, other.small, small=True)
        flow = doubled(half, centre.luma.shape)
        planes = [torch.from_numpy(plane)[None, None] for plane in other.planes]
        moved = [sample(one, resized(flow, tuple(one.shape[2:]))) for one in planes]
        found.append([one[0, 0].numpy() for one in moved])
    return found


def _mean(planes: Sequence[Values], group: Sequence[int]) -> Values:
    return np.asarray(np.mean([planes[index] for index in group], axis=0), np.float32)


def lines_of(frames: Sequence[Frame]) -> list[RowNoise]:
    """The lines of frames in a row, no two alike, that are sure."""
    if not frames:
        return []
    family = frames[0].layout.family
    looks = [Look([frame]) for frame in frames]
    cuts = (i for i, pair in enumerate(pairwise(looks), 1) if not Look.of_shot(*pair))
    found = list(_lasting(looks[: next(cuts, None)], family))
    if found:
        looks = list(LineRemover(found).looks(look.copies for look in looks))
    threes = [
        (centre, (before, after))
        for before, centre, after in zip(looks, looks[1:], looks[2:], strict=False)
        if centre.of_shot(before) and centre.of_shot(after)
    ]
    seen = [(centre, fetched(centre, near)) for centre, near in threes if len(threes) > 1]
    for group in GROUPS[family] if seen else ():
        sigma = rows.shared(
            [one.mean(group) - _mean(planes, group) for planes in near] for one, near in seen
        )
        if sigma:
            found.append(RowNoise(group, False, sigma))
    return found


def _lasting(shot: Sequence[Look], family: Family) -> Iterator[RowNoise]:
    """Offsets that the rows and columns of a sensor have in all pictures of a shot."""
    if len(shot) < FEWEST:
        return
    for columns, groups in ((True, ACROSS[family]), (False, GROUPS[family])):
        for group in groups:
            seen = [look.mean(group, columns=columns) for look in shot]
            if rows.painted(seen[0], seen[-1]).mean() >= 0.5:  # no camera's: it has no noise
                continue
            half = len(seen) // 2
            first, second = (np.mean(some, axis=0) for some in (seen[:half], seen[half:]))
            both = np.asarray((first + second) / 2, np.float32)
            found = rows.shared([(first, second)])
            # Rows of a scene have more in common than of their own.
            if found and 2 * (sigma := rows.deviation(own := rows.of_picture(both))) > found:
                yield RowNoise(group, columns, sigma, own)


def remover_for(frames: Sequence[Frame], engine: Engine) -> "LineRemover":
    """A remover for the lines of a lane that begins with these frames. The engine's notes say what
    was found. What a codec has been at shows no sensor's rows."""
    lines = [] if engine.coded else lines_of(frames)
    if lines and frames[0].lane not in engine.found.lines:  # the other field has the same
        engine.found.lines[frames[0].lane] = lines
        words = rows.in_words(lines, frames[0].layout.levels)
        engine.found.note(f"removed before anything else: {words}")
    luma, _ = luma_and_chroma(engine.settings)
    return LineRemover(lines, min(luma, 1.0))


class LineRemover:
    """Takes known lines out of a stream of pictures; remembers nothing of it."""

    def __init__(self, lines: Sequence[RowNoise], share: float = 1.0) -> None:
        """share: of the offsets that is taken out, 0 to 1."""
        self.lines = lines
        self.share = share

    def corrected(self, pictures: Iterable[list[Frame]]) -> Iterator[list[Frame]]:
        """Runs of frames that show one picture, without its lines."""
        if not self.lines:
            yield from pictures
            return
        before: Look | None = None
        for centre, following in with_next(self.looks(pictures), FOLLOWING):
            near = [one for one in (before, *following) if one and centre.of_shot(one)]
            planes = self._changed(centre, near).planes
            before = centre
            yield [replace(copy, planes=planes) for copy in centre.copies]

    def looks(self, pictures: Iterable[list[Frame]]) -> Iterator[Look]:
        """Runs of frames without the lasting offsets that their shot shows."""
        before: Singles | None = None
        shown: list[RowNoise] = []
        for copies in pictures:
            seen = Look(copies)
            if before is None or not same_shot(before, seen.thumb):
                lasting = (one for one in self.lines if one.lasting)
                shown = [one for one in lasting if _shows(seen, one)]
            before = seen.thumb
            yield Look(copies, shown) if shown else seen

    def _changed(self, centre: Look, near: Sequence[Look]) -> Frame:
        """A frame with so much less in its planes, but where it is painted."""
        new = [one for one in self.lines if not one.lasting]
        others = fetched(centre, near) if new else []
        for one in new:
            beside = [_mean(planes, one.planes) for planes in others]
            centre.add(one, rows.new_offsets(centre.mean(one.planes), beside, one.sigma))
        if near:
            for line, *pair in zip(centre.lines, centre.planes, near[0].planes, strict=True):
                line[rows.painted(*pair)] = 0
        return with_changes(
            centre.copies[0], [line * np.float32(-self.share) for line in centre.lines]
        )


def _shows(look: Look, noise: RowNoise) -> bool:
    """Whether a shot that begins has a clip's lasting offsets: another may be another camera's."""
    plane = look.mean(noise.planes, columns=noise.columns)
    if len(plane) != len(noise.offsets):
        return False
    return bool(np.corrcoef(rows.of_picture(plane), noise.offsets)[0, 1] > 0.5)
