"""Excerpts of clips, and the times of their frames."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice

from f2rcli.frames import Frame, same_samples
from f2rcli.io.base import Ledger, ReadOptions

_SLACK = Fraction(1, 1_000_000)  # seconds: `--start 0.04` means the frame at 1/25 s
_SEARCHED = 16  # frames looked at for each different one after an excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """An excerpt of a clip, in seconds from its first frame; end None means to its end."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    frames: int | None = None

    @classmethod
    def of(cls, options: ReadOptions) -> "TimeRange":
        """The excerpt that the options ask for."""
        return cls(
            start=Fraction(options.start or 0).limit_denominator(1_000_000),
            end=None if options.end is None else Fraction(options.end).limit_denominator(1_000_000),
            frames=options.frames,
        )

    @property
    def whole(self) -> bool:
        """Whether this is the whole clip."""
        return not self.start and self.end is None and self.frames is None

    def before(self, time: Fraction) -> bool:
        """Whether `time` lies before the excerpt."""
        return time < self.start - _SLACK

    def beyond(self, time: Fraction, taken: int) -> bool:
        """Whether a frame at `time`, with `taken` frames taken before it, lies behind it."""
        if self.frames is not None and taken >= self.frames:
            return True
        return self.end is not None and time >= self.end - _SLACK


def timed(
    frames: Iterable[Frame], step: int, ledger: Ledger, tail: Callable[[Frame], int | None]
) -> Iterator[Frame]:
    """Give every frame a pts, strictly increasing, and the duration it is shown for.

    A frame is shown until the next one begins. step: ticks per frame where the file has no time
    stamps. tail: the tick at which the stream ends, where the container says so better than the
    last frame itself.
    """
    before: Frame | None = None
    for frame in frames:
        pts = frame.pts
        if before is None:
            pts = 0 if pts is None else pts
        else:
            assert before.pts is not None  # set below, one turn earlier
            if pts is None:
                pts = before.pts + (before.duration or step)
            if pts <= before.pts:
                ledger.remark("time stamps that did not increase were moved forward")
                pts = before.pts + 1
            yield replace(before, duration=pts - before.pts)
        before = replace(frame, pts=pts)
    if before is not None:
        end = tail(before)
        held = None if end is None or before.pts is None else end - before.pts
        yield replace(before, duration=held if held and held > 0 else before.duration or step)


def leading(
    frames: Iterable[Frame], before: Callable[[Frame], bool], count: int
) -> tuple[deque[Frame], Iterator[Frame]]:
    """The last `count` different frames before an excerpt, oldest first, and all from its first on.

    before: whether a frame lies before the excerpt; asked once for each that does, in order.
    """
    held: deque[Frame] = deque(maxlen=count)
    rest = iter(frames)
    for frame in rest:
        if not before(frame):
            return held, chain([frame], rest)
        if count and not (held and same_samples(held[-1], frame)):
            held.append(frame)
    return held, rest


def trailing(frames: Iterable[Frame], last: Frame, count: int) -> Iterator[Frame]:
    """Up to `count` different frames after an excerpt's `last`; a picture that stays is not waited
    out, as no window needs it."""
    for frame in islice(frames, _SEARCHED * count):
        if not same_samples(last, frame):
            yield frame
            last, count = frame, count - 1
        if not count:
            return


def excerpt_range(count: int, span: TimeRange, rate: Fraction) -> range:
    """The places of an excerpt among `count` pictures at `rate` per second."""
    start = next((n for n in range(count) if not span.before(n / rate)), count)
    beyond = (n for n in range(start, count) if span.beyond(n / rate, n - start))
    return range(start, next(beyond, count))
