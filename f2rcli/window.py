"""Windows of frames, the cuts that none reaches across, and streams that are shared."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from f2rcli.frames import Frame, Singles
from f2rcli.yuv import code_span

T = TypeVar("T")
U = TypeVar("U")

# Different frames that are read around an excerpt, so that it shows the pixels of the whole run:
LEAD_IN = 24  # before it: past windows, and what warms up whatever a method carries along
LEAD_OUT = 8  # after it: a window of nine, the longest there is, that begins at a cut


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    """An item and its neighbours in temporal order; the centre is never among the neighbours."""

    centre: T
    before: tuple[T, ...]  # oldest first
    after: tuple[T, ...]  # nearest first

    @classmethod
    def of(cls, items: Sequence[T], centre: int) -> "Window[T]":
        """A window of all items, oldest first, around the one in this place."""
        found = tuple(items)
        return cls(found[centre], found[:centre], found[centre + 1 :])

    @property
    def neighbours(self) -> tuple[T, ...]:
        return self.before + self.after

    @property
    def items(self) -> tuple[T, ...]:
        """The neighbours with the centre among them, oldest first."""
        return (*self.before, self.centre, *self.after)

    def around(self, half: int) -> list[T]:
        """The centre with so many items on either side, mirrored at the ends of its shot."""
        items, centre = self.items, len(self.before)
        last = len(items) - 1
        return [items[mirrored(centre + step, last)] for step in range(-half, half + 1)]

    def map(self, change: Callable[[T], U]) -> "Window[U]":
        """The window of what `change` makes of each item."""
        before, after = (tuple(map(change, side)) for side in (self.before, self.after))
        return Window(change(self.centre), before, after)


def mirrored(place: int, last: int) -> int:
    """The place inside 0..last that a place outside is the mirror image of."""
    place = abs(place) % max(2 * last, 1)
    return min(place, 2 * last - place)


def windows(
    items: Iterable[T], length: int, joined: Callable[[T, T], bool] = lambda a, b: True
) -> Iterator[Window[T]]:
    """Yield one window of up to `length` items per item, in order.

    `joined(a, b)` says whether the later item b belongs to the same shot as the item a just
    before it; no window reaches across a place where it is False. At either end of a shot the
    window shifts inwards, over distinct items: mirroring would be shorter, but a mirrored index
    can land on the centre, which a blind stage must never see. A shot shorter than `length`
    gives shorter windows, down to a centre alone. At most `length` items are held.

    Raises ValueError for a length that is not odd and positive.
    """
    if length < 1 or length % 2 == 0:
        raise ValueError(f"window length = {length}: must be odd and positive.")
    held: deque[T] = deque()
    centre = 0  # index into held of the next item to be a centre
    for item in items:
        if held and not joined(held[-1], item):
            yield from (Window.of(held, index) for index in range(centre, len(held)))
            held.clear()
            centre = 0
        held.append(item)
        if len(held) > length:
            held.popleft()
            centre -= 1
        while len(held) == length and centre <= length // 2:
            yield Window.of(held, centre)
            centre += 1
    yield from (Window.of(held, index) for index in range(centre, len(held)))


def window_at(items: Sequence[T], centre: int, length: int) -> Window[T]:
    """The window that `windows` yields for one item of a whole shot."""
    first = min(max(centre - length // 2, 0), max(len(items) - length, 0))
    return Window.of(items[first : first + length], centre - first)


# --- Cuts between shots, by small pictures of frames in a row -------------------------------------


THUMBNAIL = (18, 32)  # height, width; of pictures that are no larger already
PLACE = 5  # pixels a side of its places at least: noise of few photons is a cut in smaller ones
LEAST_CHANGE = 0.03  # mean absolute change of brightness; a cut between darker shots cannot be seen
ALIKE = 0.5  # correlation of thumbnails above which it is the same shot
STEEP = 0.03  # change from one place of a thumbnail to the next, that shows which place it is
# Share of places whose slopes stay, from which on a scene goes on behind what moves: of 4,160 pairs
# of filmed clips that are not of one scene none has more than 0.12.
STAYS = 1 / 6


def thumbnail(luma: Singles) -> Singles:
    """A small picture of brightness (H, W), 0..1, by averaging over areas: `THUMBNAIL`, or less."""
    import cv2  # a tenth of a second, that `f2r --help` does not wait

    if luma.shape == THUMBNAIL:
        return luma
    pairs = zip(THUMBNAIL, luma.shape, strict=True)
    height, width = (min(most, max(size // PLACE, 2)) for most, size in pairs)
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def look_of(frame: Frame) -> Singles:
    """That of a frame's first plane, in its own units: nothing else of it is converted."""
    zero, span = code_span(frame.layout)
    return (thumbnail(frame.planes[0]) - zero) / span


def same_shot(before: Singles, after: Singles) -> bool:
    """Whether two frames in a row show the same shot, by their thumbnails.

    Correlation ignores a change of exposure, a flash or a fade; the least change keeps noise in
    featureless frames from looking like a cut. Behind something large that moves a scene goes on:
    where places are steep, and as steep in both within half.
    """
    first, second = before - before.mean(), after - after.mean()
    spread = float(np.square(first).sum() * np.square(second).sum()) ** 0.5
    (x, y), (u, v) = ((p[1:, 1:] - p[1:, :-1], p[1:, 1:] - p[:-1, 1:]) for p in (before, after))
    both = x**2 + y**2 + u**2 + v**2
    stays = (both > 2 * STEEP**2) & ((x - u) ** 2 + (y - v) ** 2 < both / 8)
    if np.abs(before - after).mean() < LEAST_CHANGE or spread < 1e-6 or stays.mean() > STAYS:
        return True
    return bool((first * second).sum() > ALIKE * spread)


# --- Streams that release each item as soon as it is taken ---------------------------------------


def tee_releasing(items: Iterable[T], count: int) -> list[Iterator[T]]:
    """As itertools.tee, but frees an item once all have it; tee holds 57, gigabytes of frames."""
    stream, link = iter(items), list[Any]()
    return [_branch(stream, link) for _ in range(count)]


def _branch(stream: Iterator[T], link: list[Any]) -> Iterator[T]:
    """link: an item and the link after it; empty until a branch has asked for the item."""
    while True:
        if not link:
            try:
                link += [next(stream), []]
            except StopIteration:
                return
        taken, link = link[:1], link[1]
        yield taken.pop()  # and keep nothing of it meanwhile


def with_next(items: Iterable[T], count: int) -> Iterator[tuple[T, list[T]]]:
    """Each item with those that follow, at most `count`."""
    held: deque[T] = deque()
    for item in items:
        held.append(item)
        if len(held) > count:
            yield held.popleft(), list(held)
    while held:
        yield held.popleft(), list(held)


def emptied(items: deque[T]) -> Iterator[T]:
    """The items, none of which stays behind once it is taken."""
    while items:
        yield items.popleft()
