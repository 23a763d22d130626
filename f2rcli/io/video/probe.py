"""Facts of a clip from its container and first pictures, and what it promises to hold."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import av
from av.container import InputContainer

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import Ledger, ReadOptions
from f2rcli.io.sequence import TimeRange
from f2rcli.io.video.decoder import (
    DecodedPicture,
    Decoder,
)
from f2rcli.io.video.header import header_facts
from f2rcli.io.video.pixels import colour_tags, picture_facts, read_planes
from f2rcli.io.video.source import (
    COMPLETE,
    SourceMetadata,
    StandardInput,
    family_of,
    is_cover,
    stream_facts,
)
from f2rcli.units import count

_BOTTOM_FIRST = (3, 5)  # FFmpeg's AV_FIELD_BB and AV_FIELD_BT
_EVEN = ("matroska,webm", "mpegts", "mpeg")  # time stamps and a rate, but no count of frames
# Formats in which nothing says how long they should be: a cut between two frames shows nowhere.
_ENDLESS = {
    "mpegts": "a transport stream", "mpeg": "a program stream", "h264": "an elementary stream",
    "hevc": "an elementary stream", "mpegvideo": "an elementary stream", "gif": "a GIF",
    "apng": "an animated PNG",
}  # fmt: skip
_LEAST = 5  # steps between frames that tell a constant rate
_REGULAR = 0.9  # share of steps that are one frame long, apart from the first two gaps
_NAMED = 3  # gaps listed by their time
_FRAME = b"FRAME\n"  # of y4m


class Probe:
    """Facts of one video stream, for the engine, the writer and `f2r info`."""

    def __init__(
        self,
        container: InputContainer,
        stream: av.VideoStream,
        pictures: Sequence[DecodedPicture],
        options: ReadOptions,
        name: str,
    ) -> None:
        first = pictures[0].frame
        if first is None:
            raise InputError(f"{name}: its first frame could not be decoded.", hint=COMPLETE)
        self.container = container
        self.stream = stream
        self.name = name
        self.options = options
        self.span = TimeRange.of(options)
        self.first = first
        self.facts = picture_facts(first)
        path, form = Path(container.name.removeprefix("file:")), container.format.name
        self.header = header_facts(path, form, stream.index, (first.width, first.height))
        self.tags = colour_tags(first, stream.codec_context, self.facts.chroma_location)
        own = self.header.pixel_aspect(first.width, first.height)
        self.pixel_aspect = own or stream.sample_aspect_ratio or self.facts.pixel_aspect
        self.rate: Fraction | None = stream.guessed_rate or stream.average_rate or None
        self.untimed = all(picture.pts is None for picture in pictures)
        usual = 1 / (self.rate or Fraction(25))
        self.time_base = usual if self.untimed else stream.time_base or Fraction(1, 1000)
        self.step = max(1, round(usual / self.time_base))  # ticks of a frame of the usual length
        self.first_pts = first.pts or 0
        fields = sum(p.frame is not None and p.frame.interlaced_frame for p in pictures)
        interlaced = 2 * fields >= len(pictures)
        # FFmpeg flags pictures of H.265 as interlaced where each of them is one field.
        self.single_fields = interlaced and family_of(stream) == "hevc"
        self.flagged = interlaced and not self.single_fields

    @property
    def _from_zero(self) -> bool:
        """Whether durations count from zero, and not from the first frame."""
        return self.container.format.name in ("matroska,webm", "nut")

    @property
    def first_time(self) -> Fraction:
        """Seconds, container time, at which the whole clip's first frame is shown."""
        return self.first_pts * self.time_base

    def info(self) -> ClipInfo:
        """The clip's facts for the engine."""
        form, _ = read_planes(self.first)
        layout, note = form.layout_tagged(self.tags, self.first.height)
        return ClipInfo(
            name=self.name,
            width=self.first.width,
            height=self.first.height,
            layout=layout,
            frames=self._count(),
            duration=self._duration(),
            rate=self.rate,
            time_base=self.time_base,
            interlaced={"auto": self.flagged, "on": True, "off": False}[self.options.fields],
            top_field_first=self._top_first(),
            coded=lossy(self.stream.codec_context.codec),
            notes=(*([note] if note else []), *self._notes()),
        )

    def _notes(self) -> list[str]:
        notes = []
        if self.untimed:
            rate = float(1 / self.time_base)
            notes.append(f"the file has no time stamps; {rate:g} frames/s assumed")
        videos = [s for s in self.container.streams.video if not is_cover(s)]
        if len(videos) > 1:
            notes.append(f"{len(videos)} video streams: only #{self.stream.index} is denoised")
        if self.flagged and self.options.fields == "off":
            notes.append("the clip is flagged interlaced but treated as progressive, as requested")
        if self.single_fields:
            notes.append(
                "every picture is one field; fields are denoised as they follow each other"
            )
        return notes

    def _top_first(self) -> bool:
        if self.flagged:
            return self.facts.top_field_first
        return self.stream.codec_context.field_order not in _BOTTOM_FIRST

    def _count(self) -> int | None:
        said = self.counted()
        if not said or self.span.end is not None:
            return None
        return said if self.span.frames is None else min(said, self.span.frames)

    def counted(self) -> int:
        """The number of packets that the container counts, where all of them are read; else 0."""
        counted = self._tag("NUMBER_OF_FRAMES")
        said = self.stream.frames or (int(counted) if counted.isdecimal() else 0)
        return 0 if self.span.start else said

    def _duration(self) -> float | None:
        """Seconds that will be read, as far as the container knows."""
        whole = self.lasting()
        if whole is None and self.container.duration:
            whole = Fraction(self.container.duration, av.time_base)
        if self.span.frames is not None and self.rate:
            asked = self.span.start + Fraction(self.span.frames) / self.rate
            whole = min(whole or asked, asked)
        if self.span.end is not None:
            whole = min(whole or self.span.end, self.span.end)
        return None if whole is None else float(max(whole - self.span.start, Fraction(0)))

    def lasting(self) -> Fraction | None:
        """The video's duration in seconds by its container, from its first frame."""
        stamp = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", self._tag("DURATION"))
        if stamp:  # of Matroska: the time at which the stream ends
            end = 3600 * int(stamp[1]) + 60 * int(stamp[2]) + Fraction(stamp[3])
            return end - self.first_time
        if self.stream.duration and not self.untimed and not self._from_zero:
            return self.stream.duration * (self.stream.time_base or Fraction(0))
        return None

    def promised_end(self) -> Fraction | None:
        """Seconds, container time, up to which there should be packets."""
        lasting = self.lasting()
        if lasting is not None:
            return lasting + self.first_time
        if self.container.duration and not self.untimed:
            started = 0 if self._from_zero else self.container.start_time or 0
            start = Fraction(started, av.time_base)
            return start + Fraction(self.container.duration, av.time_base)
        return None

    def _tag(self, name: str) -> str:
        """A Matroska statistics tag, with or without a language. FFmpeg writes a true DURATION and
        copies the others, whatever file they are from."""
        if "matroska" not in self.container.format.name:
            return ""
        tags, about = self.stream.metadata, self.container.metadata
        if about.get("ENCODER", about.get("encoder", "")).startswith("Lavf"):
            return tags.get(name, "") if name == "DURATION" else ""
        found = next((key for key in tags if key.split("-")[0] == name), "")
        return tags.get(found, "")

    def tail(self, last: Frame, decoder: Decoder) -> int | None:
        """The tick at which the stream ends, where the container knows better than a frame.

        Where pictures are reordered, a container sums up steps of decoding time, and only the
        picture that is both decoded and shown last knows how long it is shown.
        """
        if decoder.reordered and last.pts == decoder.last_sent and last.duration:
            return None
        if self.untimed or self._from_zero or self.stream.start_time is None:
            return None
        return self.stream.start_time + self.stream.duration if self.stream.duration else None

    def metadata(self) -> SourceMetadata:
        """The clip's metadata for a writer."""
        return SourceMetadata(
            container=self.container.format.name,
            family=family_of(self.stream),
            profile=str(self.stream.codec_context.profile or ""),
            pix_fmt=self.first.format.name,
            pixel_aspect=self.pixel_aspect,
            colour=self.tags,
            facts=self.facts,
            container_tags=_once(self.container.metadata),
            stream_tags=dict(self.stream.metadata),
            disposition=self.stream.disposition,
            chapters=tuple(self.container.chapters()),
            header=self.header,
            single_fields=self.single_fields,
            stream=self.stream,
            others=tuple(s for s in self.container.streams if s.index != self.stream.index),
        )

    def describe(self, info: ClipInfo) -> list[dict[str, Any]]:
        return [
            self._describe_video(info) if s.index == self.stream.index else stream_facts(s)
            for s in self.container.streams
        ]

    def _describe_video(self, info: ClipInfo) -> dict[str, Any]:
        mastering = self.facts.mastering
        aspect = self.pixel_aspect
        order = "top field first" if info.top_field_first else "bottom field first"
        facts = stream_facts(self.stream) | {
            "denoised": True,
            "profile": str(self.stream.codec_context.profile or "") or None,
            "width": info.width,
            "height": info.height,
            "pixel_format": self.first.format.name,
            "bits": info.layout.bits,
            "frames": self.stream.frames or None,
            "rate": None if info.rate is None else float(info.rate),
            "pixel_aspect": None if aspect is None else str(aspect),
            "rotation": self.first.rotation or None,
            "colour": self.tags.named() or None,
            "matrix": info.layout.matrix.value,
            "field_order": order if info.interlaced else "progressive",
            "mastering": None if mastering is None else [float(v) for v in mastering.display],
            "light": None if mastering is None else mastering.light,
        }
        return {key: value for key, value in facts.items() if value is not None}

    def check_end(self, decoder: Decoder, ledger: Ledger, source: StandardInput | Path) -> None:
        """Compare promises of the whole file with what came: a truncated file ends in silence. Its
        index counts frames, its tags and its header state durations."""
        form = self.container.format.name
        if decoder.hidden:
            hides = f"its edit list hides {count(decoder.hidden)}: no player shows them, and f2r"
            ledger.remark(f"{hides} reads none of them")
        if form in _ENDLESS:
            what, last = _ENDLESS[form], float(decoder.reached - self.first_time)
            ledger.remark(
                f"{what} does not say where it ends: more may be missing after {last:.2f} s"
            )
        if form == "yuv4mpegpipe":
            _check_size(decoder, ledger, source)
        step = self.step * self.time_base
        own, counted = self.lasting(), self.counted()
        if counted:
            ledger.promised("its index", counted, decoder.packets)
            return
        by, promised, read = "its video stream", own, decoder.reached - self.first_time
        read += 0 if decoder.has_durations else step
        slack = step / 2 if "matroska" in form else max(2 * step, Fraction(1, 10))
        if own is None:
            end = self.promised_end()
            by, promised = "its header", None if end is None else end - self.first_time
            read, slack = decoder.newest - self.first_time, max(2 * step, Fraction(1, 10))
        if promised is not None and promised - read > slack + 2 * self.time_base:
            frames = max(1, round((promised - read) / step))
            ledger.promised_time(by, float(promised), float(read), frames)

    def check_gaps(self, stamps: Sequence[int], ledger: Ledger) -> None:
        """Compare increasing `stamps` (pts in ticks) with the clip's constant rate, if any."""
        if self.untimed or self.container.format.name not in _EVEN:
            return
        gaps = _gaps_in(stamps, self.step)
        if gaps:
            places = ", ".join(f"{float(pts * self.time_base):.2f}" for pts, _ in gaps[:_NAMED])
            more = f" and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else ""
            missing = sum(frames for _, frames in gaps)
            ledger.promised(
                "its constant rate", len(stamps) + missing, len(stamps),
                detail=f"gaps after {places} s{more}",
            )  # fmt: skip


def _check_size(decoder: Decoder, ledger: Ledger, source: StandardInput | Path) -> None:
    """Compare frames of y4m with the bytes there are: FFmpeg drops a part of one unsaid."""
    if isinstance(source, Path):
        if not source.is_file():
            return  # of a named pipe nobody knows
        with source.open("rb") as file:
            head, size = file.read(StandardInput.HEAD), file.seek(0, 2)
    else:
        head, size = source.head, source.size
    begin = head.find(b"\n") + 1
    if head.startswith(_FRAME, begin):  # without parameters of frames
        each = len(_FRAME) + decoder.packet_size
        ledger.promised("its size", -(-(size - begin) // each), decoder.packets)


def _gaps_in(stamps: Sequence[int], step: int) -> list[tuple[int, int]]:
    """The pts before each gap and its number of missing frames; none at a variable rate. step:
    ticks per frame."""
    steps = [b - a for a, b in pairwise(stamps)]
    if len(steps) < _LEAST or abs(median(steps) - step) > max(1, step // 50):
        return []
    gaps = []
    for pts, length in zip(stamps, steps, strict=False):
        frames = round(length / step)
        if abs(length - frames * step) > max(1, frames * step // 20):
            return []
        if frames > 1:
            gaps.append((pts, frames - 1))
    few = len(gaps) <= max(2, (1 - _REGULAR) * len(steps))
    short = sum(frames for _, frames in gaps) <= max(2, len(stamps) // 2)
    return gaps if few and short else []


def lossy(codec: av.Codec) -> bool:
    """Whether a codec can lose something while its frames depend on each other."""
    return bool(codec.lossy) and not codec.intra_only


def _once(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags of a container; newer FFmpeg joins the two times of creation that MP4 and MOV may
    hold, with a semicolon between them, and takes that for no time when it writes."""
    kept = dict(tags)
    if "creation_time" in kept:
        kept["creation_time"] = kept["creation_time"].split(";")[0]
    return kept
