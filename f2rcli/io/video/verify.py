"""Verification: a finished file is read again and compared with what was written."""

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av

from f2rcli.io.containers.packets import shown_at
from f2rcli.io.disk_errors import misread_error
from f2rcli.io.ffmpeg.messages import ffmpeg_reason
from f2rcli.io.video.plan import VideoDetail
from f2rcli.units import count

_misread = partial(misread_error, instead=", or try another container")


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
    """Read a finished file again; returns what was verified, in words. Raises OutputError."""
    try:
        frames, first, last = _reread(path, index)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise _misread(name, f"cannot be read back: {ffmpeg_reason(error)}") from error
    if frames != written.frames:
        raise _misread(name, f"{written.frames} frames were written but the file has {frames}")
    found = [count(frames)]
    if not detail.container.variable_rate or first is None or last is None:
        return tuple(found)
    base = written.time_base
    slack = max(detail.container.tick, base)
    wanted_first, wanted_last = (written.first or 0) * base, (written.last or 0) * base
    if abs((last - first) - (wanted_last - wanted_first)) > 2 * slack:
        due = f"the last frame should be at {float(wanted_last):.3f} s"
        raise _misread(name, f"{due} but is at {float(last):.3f} s")
    if abs(first - wanted_first) <= slack:
        found.append(f"last frame at {float(last):.3f} s")
    else:
        found.append(f"length; it starts at {float(first):.3f} s, not {float(wanted_first):.3f} s")
    return tuple(found)


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
            time = shown_at(packet)
            if time is not None:
                seconds = time * packet.time_base
                first = seconds if first is None else min(first, seconds)
                last = seconds if last is None else max(last, seconds)
    return frames, first, last
