"""Predicted time and memory of a run: for --dry-run and `f2r info`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f2rcli.frames import ClipInfo
from f2rcli.units import size, span

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The cost of a run."""

    frames: int | None  # None: not known
    seconds_per_frame: float
    peak_bytes: int

    @property
    def seconds(self) -> float | None:
        """Seconds for the whole run; None when the frame count is not known."""
        return None if self.frames is None else self.frames * self.seconds_per_frame

    def words(self) -> str:
        """The cost in one line."""
        pace = f"{self.seconds_per_frame:.2g} s per frame"
        total = "length not known" if self.seconds is None else f"about {span(self.seconds)} in all"
        return f"{pace}, {total}, about {size(self.peak_bytes)} of memory"

    def values(self) -> dict[str, Any]:
        """The cost for programs: seconds and bytes."""
        return {
            "frames": self.frames,
            "seconds_per_frame": self.seconds_per_frame,
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
        }


def forecast(engine: "Engine", info: ClipInfo) -> Forecast:
    """The cost of denoising a clip on this machine."""
    cost = engine.predict(info)
    frames, _ = expected_frames(info)
    return Forecast(
        frames=frames, seconds_per_frame=cost.seconds_per_frame, peak_bytes=cost.peak_bytes
    )


def expected_frames(info: ClipInfo) -> tuple[int | None, bool]:
    """The number of frames a clip should have, and whether its container counts them.

    Many containers do not: then duration times rate, which varying rates make a guess.
    """
    if info.frames is not None:
        return info.frames, True
    if info.duration is None or info.rate is None:
        return None, False
    return max(round(info.duration * float(info.rate)), 1), False
