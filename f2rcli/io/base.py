"""The contract of all formats: options, readers, plans, writers and their reports.

Readers stream frames and keep a ledger of damage; plans say what a run would write before it
writes anything; writers publish a file only once it is finished and verified.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from f2rcli.errors import UsageError
from f2rcli.frames import ClipInfo, Frame

FieldMode = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """The part of a clip to read, and the tolerance of damage."""

    strict: bool = False  # stop at the first damage instead of holding a frame
    start: float | None = None  # seconds from the clip's first frame
    end: float | None = None  # seconds from the clip's first frame, exclusive
    frames: int | None = None  # at most this many
    fields: FieldMode = "auto"  # interlaced: as the file says, always, never
    axes: str | None = None  # of a stack, one letter per axis; None: as the file says
    # Distinct frames before and after the excerpt to yield as context (`Frame.context`), as far as
    # the clip has them. They do not count for `frames`, times, or the ledger.
    lead: int = 0
    trail: int = 0

    def __post_init__(self) -> None:
        if self.start is not None and self.start < 0:
            raise UsageError(f"start = {self.start} s: must not be negative.")
        if self.end is not None and self.end <= (self.start or 0):
            raise UsageError(f"end = {self.end} s: must lie after the start, {self.start or 0} s.")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"frames = {self.frames}: must be 1 or more.")
        if self.fields not in ("auto", "on", "off"):
            raise UsageError(f"fields = {self.fields!r}: must be auto, on or off.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """Options for writing a clip; None picks what suits the input."""

    codec: str | None = None  # family (h264) or encoder (libx264)
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    encoder_options: tuple[tuple[str, str], ...] = ()
    lossless: bool = False
    overwrite: bool = False
    keep_partial: bool = False
    format: str | None = None  # camera raw: dng or tiff
    demosaic: bool = False  # camera raw as developed pictures

    def refuse_encoding(self, target: str, *, pix_fmt: bool = True) -> None:
        """Raise UsageError for options of encoders, where `target` is written without one.

        pix_fmt: whether the pixel format is refused too.
        """
        given = {
            "codec": self.codec, "crf": self.crf, "preset": self.preset,
            "encoder-opt": self.encoder_options or None, "pix-fmt": self.pix_fmt,
        }  # fmt: skip
        for name, value in given.items():
            if value is not None and (pix_fmt or name != "pix-fmt"):
                raise UsageError(f"--{name}: has no meaning for {target}.", hint="Leave it out.")


@dataclass(slots=True)
class Ledger:
    """Damage and remarks about the input, collected while it is read."""

    corrupt: int = 0  # frames decoded with errors
    held: int = 0  # frames that could not be decoded; the one before stands in for each
    missing_frames: int = 0  # frames the container promises beyond the last one read
    missing_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)  # damage, in words
    remarks: list[str] = field(default_factory=list)  # worth saying, not damage

    @property
    def damaged(self) -> bool:
        """Whether the input had damage that the output carries."""
        return bool(self.corrupt or self.held or self.missing_frames or self.faults)

    def fault(self, line: str) -> None:
        """Record damage in words; only the first twenty lines are kept."""
        if len(self.faults) < 20:
            self.faults.append(line)

    def remark(self, line: str) -> None:
        """Record a remark, once."""
        if line not in self.remarks:
            self.remarks.append(line)

    def forgive(self, frame: Frame) -> None:
        """Discount the damage of a frame that will not be in the output."""
        self.corrupt -= frame.corrupt
        self.held -= frame.held

    def clear(self) -> None:
        """Delete all entries."""
        self.corrupt = self.held = self.missing_frames = 0
        self.missing_seconds = 0.0
        self.faults.clear()
        self.remarks.clear()

    def lines(self) -> list[str]:
        """The ledger as lines of text."""
        counts = []
        if self.corrupt:
            counts.append(f"{_frames(self.corrupt)} decoded with errors")
        if self.held:
            counts.append(f"{_frames(self.held)} could not be decoded; the frame before is held")
        if self.missing_seconds > 0 or self.missing_frames:
            about = f"about {_frames(self.missing_frames)}, " if self.missing_frames else ""
            counts.append(f"the file ends {about}{self.missing_seconds:.2f} s early")
        return counts + self.faults + self.remarks


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


class Reader(ABC):
    """A clip open for reading: its facts, and its frames, once. Closes at the end of `with`."""

    info: ClipInfo
    ledger: Ledger

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the clip's frames in display order. A reader can be read once."""

    def opening(self) -> Iterator[Frame]:
        """Yield the clip's first frames in a separate read, wherever iterating begins.

        Yields nothing where iterating begins with them, or where they cannot be read again: the
        ledger says that.
        """
        return iter(())

    @abstractmethod
    def describe(self) -> list[dict[str, Any]]:
        """One dict per stream, for `f2r info`."""

    @abstractmethod
    def paths(self) -> list[Path]:
        """The files that are read: none of them may be written."""

    @abstractmethod
    def close(self) -> None:
        """Close the input. May be called more than once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePlan:
    """The output a run would write, planned without touching the disk.

    `detail` belongs to the format that made the plan and is opaque to all others.
    """

    target: str  # a path, or "-" for standard output
    container: str  # "mp4", "matroska", "images", ...
    encoder: str  # "libx264"
    pix_fmt: str
    crf: float | None = None
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()  # as the encoder gets them
    kept: tuple[str, ...] = ()  # streams and properties that travel, in words
    dropped: tuple[str, ...] = ()  # what the target cannot hold, and why
    notes: tuple[str, ...] = ()
    overwrite: bool = False
    keep_partial: bool = False
    detail: Any = None

    def summary(self) -> str:
        """The plan in one line."""
        quality = f" crf {self.crf:g}" if self.crf is not None else ""
        preset = f" preset {self.preset}" if self.preset else ""
        where = "standard output" if self.target == "-" else Path(self.target).name
        return f"{where}: {self.container}, {self.encoder}{quality}{preset}, {self.pix_fmt}"

    def receipt(
        self, *, frames: int, seconds: float, size: int, verified: tuple[str, ...],
        remark: str = "", lost: Sequence[str] = (),
    ) -> "Receipt":  # fmt: skip
        """The receipt of a target written to this plan.

        size: bytes. remark: more about the codec. lost: what could not be kept after all.
        """
        return Receipt(
            path=self.target, frames=frames, seconds=seconds, bytes=size, kept=self.kept,
            codec=f"{self.encoder} {self.pix_fmt}{remark}", dropped=(*self.dropped, *lost),
            verified=verified,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A report of the output: what was written, and what was verified."""

    path: str
    frames: int
    seconds: float
    bytes: int
    codec: str
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()

    def line(self) -> str:
        """The receipt in one line."""
        size = f"{self.bytes / 1e6:.1f} MB" if self.bytes >= 1e5 else f"{self.bytes / 1e3:.1f} kB"
        where = "standard output" if self.path == "-" else Path(self.path).name
        parts = [f"{where}: {_frames(self.frames)}, {self.seconds:.2f} s, {size}, {self.codec}"]
        if self.kept:
            parts.append("kept " + ", ".join(self.kept))
        if self.dropped:
            parts.append("dropped " + ", ".join(self.dropped))
        parts.append("verified " + ", ".join(self.verified) if self.verified else "not verified")
        return "; ".join(parts)


class Writer(ABC):
    """A clip open for writing. The target does not exist until `finish` returns."""

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Take the next frame, in display order."""

    @abstractmethod
    def finish(self) -> Receipt:
        """Write what is pending, verify it, and put it at the target."""

    @abstractmethod
    def abandon(self) -> None:
        """Stop and remove what was written. May be called more than once, and after finish."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.abandon()
