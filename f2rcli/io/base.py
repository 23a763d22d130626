"""The contract of all formats: options, readers, plans, writers, receipts and the damage ledger.

Readers stream frames and keep a ledger of damage; plans say what a run would write before it
writes anything; writers publish a file only once it is finished and verified."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.files import PartFile
from f2rcli.settings import LARGEST, check, parse_json, setting
from f2rcli.units import count, duration, size

Unit = Literal["frame", "picture", "file"]
_MOST_FAULTS = 20


@dataclass(slots=True)
class Ledger:
    """Damage and remarks about the input, collected while it is read: what a file promises is what
    was read plus what is reported."""

    name: str = ""  # of the clip, for errors
    corrupt: int = 0  # frames decoded with errors
    held: int = 0  # frames that could not be decoded; the one before stands in for each
    missing_frames: int = 0  # frames that the file promises beyond those read
    faults: list[str] = field(default_factory=list)  # damage, in words
    remarks: list[str] = field(default_factory=list)  # worth saying, not damage

    @property
    def damaged(self) -> bool:
        """Whether the input had damage that the output carries."""
        return bool(self.corrupt or self.held or self.missing_frames or self.faults)

    def promised(
        self, by: str, promised: int, read: int, unit: Unit = "frame", *, detail: str = ""
    ) -> None:
        """Record what `by`, "its index", promises and what was read; nothing where that is all."""
        if promised <= read:
            return
        if unit in ("frame", "picture"):
            self.missing_frames += promised - read
        more = f": {detail}" if detail else ""
        were = "was" if read == 1 else "were"
        self.fault(f"{by} promises {count(promised, unit)}, {read} {were} read{more}")

    def fault(self, line: str) -> None:
        if line not in self.faults and len(self.faults) < _MOST_FAULTS:
            self.faults.append(line)

    def remark(self, *lines: str) -> None:
        self.remarks += [line for line in lines if line not in self.remarks]

    def forgive(self, frame: Frame) -> None:
        """Discount the damage of a frame that will not be in the output."""
        self.corrupt -= frame.corrupt
        self.held -= frame.held

    def lines(self) -> list[str]:
        return self.damage() + self.remarks

    def damage(self) -> list[str]:
        counts = {
            f"{count(self.corrupt)} decoded with errors": self.corrupt,
            f"{count(self.held)} could not be decoded; a frame beside is held": self.held,
        }
        return [line for line, number in counts.items() if number] + self.faults


# --- Options, readers, plans, writers and receipts ------------------------------------------------
FieldMode = Literal["auto", "on", "off"]  # interlaced: as the file says, always, never
_MARK = '{"f2r": '  # what a file's provenance begins with
_SLACK = Fraction(1, 1_000_000)  # seconds: `--start 0.04` means the frame at 1/25 s
MOST_PIXELS = 1 << 29  # of a picture: a header that claims more is more likely broken than right


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """The part of a clip to read, and the tolerance of damage. Raises UsageError."""

    # The axes of a stack, one letter each, slowest first: T time, Z depth, C channel, P single
    # pictures, Y, X (default: as the file says).
    axes: str | None = setting(None)
    # Series to read if a file has several: a number from 1, a name, or all.
    series: str | None = setting(None)
    # Seconds or h:mm:ss from the clip's first frame.
    start: float | None = setting(None, low=0, unit="seconds")
    # Seconds or h:mm:ss, excluded.
    end: float | None = setting(None, low=0, unit="seconds")
    # At most N frames.
    frames: int | None = setting(None, low=1)
    # Denoise the two fields of interlaced video separately.
    fields: FieldMode = setting("auto", choices=get_args(FieldMode))
    # Distinct frames before and after the excerpt to yield as context (`Frame.context`), as far as
    # the clip has them. They do not count for `frames`, times, or the ledger.
    lead: int = 0
    trail: int = 0
    glance: bool = False  # at its first frames alone: a few of a burst tell what its sensor is like

    def __post_init__(self) -> None:
        check(self)
        if self.end is not None and self.end <= (self.start or 0):
            what = f"end={float(self.end):g}: must lie after the start, {float(self.start or 0):g}."
            raise UsageError(what, hint="Both count from the clip's first frame, in seconds.")

    @property
    def begins(self) -> Fraction:
        """Seconds from the clip's first frame at which the excerpt begins."""
        return Fraction(self.start or 0).limit_denominator(1_000_000)

    @property
    def ends(self) -> Fraction | None:
        """Seconds at which the excerpt ends; None: with the clip."""
        return None if self.end is None else Fraction(self.end).limit_denominator(1_000_000)

    @property
    def whole(self) -> bool:
        """Whether the whole clip is asked for."""
        return not self.start and self.end is None and self.frames is None

    def before(self, time: Fraction) -> bool:
        """Whether `time` lies before the excerpt."""
        return time < self.begins - _SLACK

    def beyond(self, time: Fraction, taken: int) -> bool:
        """Whether a frame at `time`, with `taken` frames taken before it, lies behind it."""
        if self.frames is not None and taken >= self.frames:
            return True
        return self.ends is not None and time >= self.ends - _SLACK

    def places(self, times: Sequence[Fraction]) -> range:
        """The places of those frames of a clip that are asked for; times: of all of them."""
        end = len(times)
        start = next((n for n in range(end) if not self.before(times[n])), end)
        beyond = (n for n in range(start, end) if self.beyond(times[n], n - start))
        return range(start, next(beyond, end))


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """Options for writing a clip; None picks what suits the input."""

    # Encoder or family: h264, hevc, av1, vp9, ffv1, prores, mjpeg, libx264... (default: the
    # input's).
    codec: str | None = setting(None)
    # Constant quality; lower is better.
    crf: float | None = setting(None, low=0, high=63)
    # Pixel format of the output (default: the input's).
    pix_fmt: str | None = setting(None)
    # An option for the encoder; may be repeated.
    encoder_options: tuple[tuple[str, str], ...] = setting(())
    # Encode sound again: aac, opus, flac... (default: copy it).
    audio_codec: str | None = setting(None)
    # Leave out sound and subtitles that OUTPUT cannot hold.
    copy_only: bool = setting(False)
    # Replace OUTPUT.
    overwrite: bool = setting(False)

    def __post_init__(self) -> None:
        check(self)

    def refuse_encoding(self, target: str, *but: str) -> None:
        """Raise UsageError for encoders' options, as `target` has no encoder, `but` for some."""
        for name in ("codec", "crf", "encoder_options", "pix_fmt"):
            if name not in but and getattr(self, name) not in (None, ()):
                raise UsageError(f"{name}=: has no meaning for {target}.", hint="Leave it out.")


class Reader(AbstractContextManager["Reader"], ABC):
    """A clip open for reading: its facts, and its frames, once. Closes at the end of `with`."""

    format = "video"  # its place among `formats.READ`
    provenance = ""  # the clip's own account of how it was made, besides FFmpeg's tags
    metadata: Any = None  # what FFmpeg says beyond frames, as SourceMetadata; None: had no part
    info: ClipInfo
    ledger: Ledger

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the clip's frames in display order. A reader can be read once."""

    def opening(self) -> Iterator[Frame]:
        """Yield the clip's first frames in a separate read; none where iterating begins with them,
        or where they cannot be read again, which the ledger says."""
        return iter(())

    @abstractmethod
    def describe(self) -> list[dict[str, Any]]:
        """A dict per stream for `f2r info`: `index`, `kind` (video, raw, stack, audio), `codec`."""

    @abstractmethod
    def paths(self) -> list[Path]:
        """The files that are read: none of them may be written."""

    def close(self) -> None:
        """Close what stays open of the input, if anything does. May be called more than once."""

    def __exit__(self, *error: object) -> None:
        self.close()


def read_provenance(reader: Reader) -> dict[str, Any] | None:
    """How a clip was made; None where f2r did not make it, or did not say. Raises nothing."""
    tags = getattr(reader.metadata, "container_tags", {})
    for value in (*tags.values(), reader.provenance):
        if value.startswith(_MARK) and len(value) <= LARGEST:
            with suppress(ValueError):
                facts = parse_json(value)
                if isinstance(facts, dict) and isinstance(facts.get("settings", {}), dict):
                    return facts
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePlan:
    """The output a run would write; `detail` belongs to the format that planned it."""

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
    converts: bool = False  # whether samples are: by that alone results are to be rounded
    overwrite: bool = False
    provenance: Callable[[], dict[str, Any]] | None = None  # asked for at the first frame
    detail: Any = None

    def provenance_text(self) -> str:
        """The provenance as JSON in ASCII; "" where there is to be none."""
        facts = {} if self.provenance is None else self.provenance()
        return json.dumps({"f2r": facts.get("f2r", ""), **facts}) if facts else ""

    def summary(self) -> str:
        quality = f" crf {self.crf:g}" if self.crf is not None else ""
        preset = f" preset {self.preset}" if self.preset else ""
        where = shown_name(self.target)
        return f"{where}: {self.container}, {self.encoder}{quality}{preset}, {self.pix_fmt}"


def shown_name(place: str, pipe: str = "standard output") -> str:
    """The name of what is written or read, for people."""
    return pipe if place == "-" else Path(place).name or place  # "/" has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A report of the output: what was written, and what was verified."""

    path: str
    frames: int
    seconds: float
    bytes: int
    codec: str
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()  # as planned
    lost: tuple[str, ...] = ()  # planned to be kept, but not in the file: exit code 4
    verified: tuple[str, ...] = ()

    def lines(self, before: int | None = None) -> Iterator[str]:
        """The receipt for people: what was written, what became of streams (`kept 1 audio stream`),
        and what was verified. before: bytes of the input."""
        parts = [count(self.frames)]
        if self.seconds:
            parts.append(duration(self.seconds))
        if self.bytes:  # not known of a pipe
            parts.append(f"{size(before)} -> {size(self.bytes)}" if before else size(self.bytes))
        yield f"{shown_name(self.path)}: {', '.join([*parts, self.codec])}"
        for fate in ("kept", "dropped", "lost", "verified"):
            if what := getattr(self, fate):
                yield f"  {fate} {', '.join(what)}"
        if not self.verified:
            yield "  not verified"


class Writer(AbstractContextManager["Writer"], ABC):
    """A clip open for writing. The target does not exist until `finish` returns."""

    part: PartFile | None = None  # what becomes the target; None for a pipe
    frames = 0  # that were written

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        self.reader, self.plan = reader, plan
        self.lost: list[str] = []  # planned to be kept, but not there

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Take the next frame, in display order. Raises OutputError, as do all others."""

    def finish(self) -> Receipt:
        """Write what is pending, verify it, and put it at the target."""
        if not self.frames:
            what = f"{self.reader.info.name}: has no frames; nothing was written."
            raise InputError(what, hint="Check start= and end=, or the input.")
        verified, plan = self._complete(), self.plan
        there = 0 if self.part is None else self.part.publish()
        return Receipt(
            path=plan.target, frames=self.frames, seconds=self.seconds(), bytes=there,
            kept=tuple(what for what in plan.kept if what not in self.lost),
            codec=f"{plan.encoder} {plan.pix_fmt}", dropped=plan.dropped,
            lost=tuple(self.lost), verified=verified,
        )  # fmt: skip

    @abstractmethod
    def _complete(self) -> tuple[str, ...]:
        """Write what is pending, and read it back; what was verified, in words."""

    def seconds(self) -> float:
        """For which what was written is shown; 0 where it carries no time."""
        return 0.0

    def abandon(self) -> None:
        """Stop and remove what was written. May be called more than once, and after finish."""
        if self.part is not None:
            self.part.discard()

    def __exit__(self, *error: object) -> None:
        self.abandon()
