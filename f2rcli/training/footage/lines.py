"""Lines and bands taken out of footage as it is decoded, as they are before networks see it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from f2rcli.frames import Frame

if TYPE_CHECKING:
    from f2rcli.engine.noise.lines import LineRemover

OPENING = 6  # frames that lines are looked for in, as `f2r denoise` does
BLOCK = 16  # frames that are corrected together: the last few of them see less of what follows

Numbered = tuple[int, Frame]  # in its clip


@dataclass
class LineFilter:
    """One strip of different frames that come in order; holds BLOCK of them where it has lines."""

    active: bool = True  # False: gives back what it takes
    _waiting: list[Numbered] = field(default_factory=list)
    _remover: "LineRemover | None" = None
    _last: int | None = None  # number of the last frame that was given back

    def take(self, number: int, frame: Frame) -> Iterator[Numbered]:
        """Take the next frame, and give back those that are ready."""
        if self._waiting and number != self._waiting[-1][0] + 1 and self._remover is not None:
            yield from self.rest()
        self._waiting.append((number, frame))
        if len(self._waiting) >= (OPENING if self._last is None else BLOCK) or not self.active:
            yield from self.rest()

    def rest(self) -> Iterator[Numbered]:
        """Give back all that wait. Frames that no one looked at for lines yet are looked at now."""
        waiting, self._waiting = self._waiting, []
        if self.active and self._last is None:
            self._look(waiting)
        if self._remover is None:
            yield from waiting
            return
        if self._last is not None and waiting and waiting[0][0] != self._last + 1:
            self._remover = self._remover.fresh()
        frames = self._remover.corrected([frame] for _, frame in waiting)
        for (number, _), (frame, *_) in zip(waiting, frames, strict=True):
            self._last = number
            yield number, frame

    def _look(self, waiting: list[Numbered]) -> None:
        from f2rcli.engine.noise.lines import LineRemover, lines_of  # brings torch

        lines = lines_of([frame for _, frame in waiting])
        self.active = lines is not None
        self._remover = None if lines is None else LineRemover(lines)
