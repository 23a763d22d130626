"""Verification: a finished file is read again and compared with what was written."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from f2rcli.errors import OutputError
from f2rcli.io.ffmpeg.messages import ffmpeg_reason
from f2rcli.io.video.plan import VideoDetail


@dataclass(slots=True)
class Written:
    """The frames given to the encoder, in its ticks."""

    time_base: Fraction
    frames: int = 0
    first: int | None = None
    last: int | None = None
    step: int | None = None  # the duration of the first frame
    uneven: bool = False  # some frame is shown longer than another
    end: int = 0

    def add(self, pts: int, duration: int) -> None:
        """Count one more frame."""
        self.first = pts if self.first is None else self.first
        self.step = duration if self.step is None else self.step
        self.uneven |= duration != self.step
        self.frames += 1
        self.last, self.end = pts, pts + duration

    @property
    def seconds(self) -> Fraction:
        """Seconds from the start of the first frame to the end of the last."""
        return (self.end - (self.first or 0)) * self.time_base


def verify(
    path: Path, name: str, index: int, written: Written, detail: VideoDetail
) -> tuple[str, ...]:
    """Read a finished file again; returns what was verified, in words.

    Raises OutputError where the number of frames or the last time stamp differs.
    """
    try:
        frames, first, last = _reread(path, index)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise OutputError(
            f"{name}: cannot be read back: {ffmpeg_reason(error)}.", hint=_DISK_HINT
        ) from error
    if frames != written.frames:
        raise OutputError(
            f"{name}: {written.frames} frames were written but the file has {frames}.",
            hint=_DISK_HINT,
        )
    found = [f"{frames} frames" if frames != 1 else "1 frame"]
    if not detail.container.variable_rate or first is None or last is None:
        return tuple(found)
    base = written.time_base
    slack = max(detail.container.tick, base)
    wanted_first, wanted_last = (written.first or 0) * base, (written.last or 0) * base
    if abs((last - first) - (wanted_last - wanted_first)) > 2 * slack:
        raise OutputError(
            f"{name}: the last frame should be at {float(wanted_last):.3f} s "
            f"but is at {float(last):.3f} s.",
            hint=_DISK_HINT,
        )
    if abs(first - wanted_first) <= slack:
        found.append(f"last frame at {float(last):.3f} s")
    else:
        found.append(f"length; it starts at {float(first):.3f} s, not {float(wanted_first):.3f} s")
    return tuple(found)


_DISK_HINT = "Nothing was put at the target. Check the disk, or try another container."


def _reread(path: Path, index: int) -> tuple[int, Fraction | None, Fraction | None]:
    """Frames of a stream, and the first and last time stamp in seconds."""
    frames = 0
    first: Fraction | None = None
    last: Fraction | None = None
    with av.open(f"file:{path}", "r", metadata_errors="replace") as container:
        for packet in container.demux(container.streams[index]):
            if not packet.size or packet.is_discard:
                continue
            frames += 1
            time = packet.pts if packet.pts is not None else packet.dts
            if time is not None:
                seconds = time * packet.time_base
                first = seconds if first is None else min(first, seconds)
                last = seconds if last is None else max(last, seconds)
    return frames, first, last
