"""Offsets of rows and columns that stay, taken out before those that are new in every frame.

Each frame shows the offsets by its own scene and noise; frames before and after show the same, but
for what the offsets drift by. So steps between lines are averaged over frames that lie the nearer
the more the offsets drift. Another shot is another camera until it shows the same offsets, or as
much evidence of others as the first one did.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.frames import Floats, Frame
from f2rcli.noise.measurement.profiles import TINY, Profile, Values, common, parted
from f2rcli.noise.planes import picture_of, with_changes
from f2rcli.noise.standing.evidence import Standing, of_plane, plane_of, standing_in
from f2rcli.noise.standing.steps import offsets_of, painted, steps_of
from f2rcli.tee import with_next

AHEAD = 6  # frames that are looked at after each
LONGEST = 0.96  # of a frame's weight, that the one beside it has at most: 24 frames before
FAINTEST = 0.02  # of a frame's own errors, in variance: drift that cannot be told from none
SAME = 0.5  # correlation of offsets, from which a shot is of the same sensor
MOST = 1.5  # times the first standard deviation of offsets, that later ones have at most


@dataclass
class Look:
    """A run of frames that show one picture, and what the remover sees of it."""

    copies: list[Frame]
    planes: list[Values]  # as `planes_of` gives them
    small: Thumbnail
    near: list[Values] | None = None  # planes of a frame beside it
    steps: dict[int, Profile] = field(default_factory=dict)  # between lines, by the track's number

    @classmethod
    def of(cls, copies: list[Frame]) -> "Look":
        """What is looked at of a run."""
        picture = picture_of(copies[0])
        return cls(copies, picture.planes, thumbnail(picture.luma))


@dataclass
class Track:
    """Lines of some planes that are followed from frame to frame."""

    line: Standing
    number: int
    known: Profile  # the latest offsets
    keep: float = 0.0  # of a frame's weight, that the one beside it has
    past: Floats | None = None  # sum of the steps of the frames before, so weighted
    weight: float = 0.0  # of these frames
    present: bool = True  # in this shot

    def begin(self, shot: Sequence[Look]) -> None:
        """Begin a shot with its first frames."""
        self.past, self.weight = None, 0.0
        steps = [self._steps(look) for look in shot]
        level = np.concatenate([[0.0], np.cumsum(steps[0])])
        alike = np.corrcoef(parted(level)[0], parted(self.known)[0])[0, 1]
        self.present = bool(alike > SAME)
        if not self.present:
            frames, line = [look.planes for look in shot], self.line
            again = standing_in(frames, line.planes, columns=line.columns)
            if again is not None:
                self.present, self.line, self.known = True, again, again.offsets
        self.keep = kept(steps)

    def offsets(self, frames: Sequence[Look]) -> Profile:
        """The offsets in the first of some frames in a row."""
        steps = [self._steps(look).astype(np.float64) for look in frames]
        shares = self.keep ** np.arange(len(steps))
        total, weight = np.tensordot(shares, np.stack(steps), 1), float(shares.sum())
        before = 0.0 if self.past is None else self.keep * self.past
        found = offsets_of((total + before) / (weight + self.keep * self.weight))
        share = min(MOST * self.line.sigma / max(found.sigma, TINY), 1.0)
        self.known = np.asarray(found.values * np.float32(share), np.float32)
        self.past, self.weight = steps[0] + before, 1 + self.keep * self.weight
        return self.known

    def _steps(self, look: Look) -> Profile:
        """The steps of a frame's lines, measured once."""
        if self.number not in look.steps:
            group, columns = self.line.planes, self.line.columns
            plane = plane_of(look.planes, group, columns=columns)
            drawn = None
            if look.near is not None:
                drawn = painted(plane, plane_of(look.near, group, columns=columns))
            look.steps[self.number] = common(*steps_of(plane, self.known, drawn))[0]
        return look.steps[self.number]


def kept(steps: Sequence[Profile]) -> float:
    """Of a frame's weight, what the one beside it has: offsets drift, and each frame's steps have
    errors of their own (the smoother of a random walk; Kalman, 1960). Told by the finest waves,
    where the scene has least."""
    fine = [np.diff(one, n=2) for one in steps]
    far = len(fine) - 2
    if far < 2:
        return LONGEST
    near, wide = _apart(fine, 1), _apart(fine, far)
    drift = 2 * (wide - near) / (far - 1)
    ratio = drift / max(near - drift / 2, TINY)
    if ratio < FAINTEST:
        return LONGEST
    return float(1 + ratio / 2 - (ratio + ratio**2 / 4) ** 0.5)


def _apart(profiles: Sequence[Profile], lag: int) -> float:
    """Half of the power that profiles so many frames apart differ by."""
    pairs = zip(profiles, profiles[lag:], strict=False)
    return float(np.mean([np.square(after - before).mean() / 2 for before, after in pairs]))


def _looks(pictures: Iterable[list[Frame]]) -> Iterator[Look]:
    last: Look | None = None
    for copies in pictures:
        look = Look.of(copies)
        if last is not None:
            look.near = last.planes
            last.near = last.near or look.planes
        last = look
        yield look


class StandingRemover:
    """Of one stream of frames that come in order; holds AHEAD + 2 of them."""

    def __init__(self, lines: Sequence[Standing], share: float = 1.0) -> None:
        """share: of the offsets that is taken out, 0 to 1."""
        self.share = share
        self.tracks = [Track(line, at, line.offsets) for at, line in enumerate(lines)]
        self.before: Look | None = None

    def corrected(self, pictures: Iterable[list[Frame]]) -> Iterator[list[Frame]]:
        """Runs of frames that show one picture, without offsets that stay."""
        for centre, following in with_next(_looks(pictures), AHEAD):
            yield self._next(centre, following)

    def _next(self, centre: Look, following: list[Look]) -> list[Frame]:
        shot = [centre]
        for before, look in pairwise([centre, *following]):
            if not same_shot(before.small, look.small):
                break
            shot.append(look)
        if self.before is None or not same_shot(self.before.small, centre.small):
            for track in self.tracks:
                track.begin(shot)
        self.before = centre
        present = [track for track in self.tracks if track.present]
        if not present:
            return centre.copies
        done = self._without(centre, [(track, track.offsets(shot)) for track in present])
        return [replace(copy, planes=done.planes) for copy in centre.copies]

    def _without(self, look: Look, found: Sequence[tuple[Track, Profile]]) -> Frame:
        changes = [np.zeros_like(plane) for plane in look.planes]
        for track, offsets in found:
            for index in track.line.planes:
                change = of_plane(offsets, track.line.planes, index) * np.float32(-self.share)
                changes[index] += change if track.line.columns else change[:, None]
        if look.near is not None:
            for change, plane, near in zip(changes, look.planes, look.near, strict=True):
                change[painted(plane, near)] = 0
        return with_changes(look.copies[0], changes)
