"""Reading what FFmpeg demuxes: frames stream by, packets of other streams wait at the side."""

import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.clipping import Span, timed
from f2rcli.io.colour import (
    choose_matrix,
    colour_tags,
    full_range,
    picture_facts,
    siting,
)
from f2rcli.io.decode import Decoder, Picture
from f2rcli.io.origin import Origin, all_chapters, family_of, stream_facts
from f2rcli.io.pixels import read_planes
from f2rcli.io.source import (
    LATE_INDEX,
    PIPE,
    AnyPacket,
    choose_video,
    display_name,
    is_cover,
    open_source,
)

_SEEK_MARGINS = (0, 2, 10)  # seconds before the start that are tried one after the other
_PROBED = 4  # pictures looked at before the first is given out
_AFTER_END = 1  # seconds read beyond a cut, for streams that are interleaved late


class VideoReader(Reader):
    """A clip that FFmpeg demuxes."""

    def __init__(self, source: str | Path, options: ReadOptions) -> None:
        self.source = str(source)
        self.name = display_name(source)
        self.options = options
        self.span = Span.of(options)
        self.ledger = Ledger()
        self.side: deque[AnyPacket] = deque()
        self._keep_side = True  # until the frames begin to flow without a writer
        self._wanted = False
        self.container = open_source(source)
        try:
            self.stream = choose_video(self.container, self.name)
            self._decoder = Decoder(
                self.container, self.stream, self._context(), self.ledger, self.name,
                strict=options.strict, aside=self._aside,
            )  # fmt: skip
            self._probed = self._probe()
            first = self._probed[0].frame
            if first is None:
                raise InputError(f"{self.name}: its first frame could not be decoded.")
            self._facts = picture_facts(first)
            self._tags = colour_tags(first, self.stream, self._facts.chroma_location)
            self.time_base, self._step = self._clock()
            self._first_pts = first.pts or 0
            self.info = self._info(first)
            self.origin = self._origin(first)
        except BaseException:
            self.container.close()
            raise

    @property
    def first_time(self) -> Fraction:
        """Seconds, container time, at which the whole clip's first frame is shown."""
        return self._first_pts * self.time_base

    @property
    def shift(self) -> Fraction:
        """Seconds by which a cut clip moves, so that it begins when its source did."""
        return Fraction(0) if self.cut is None else self.cut - self.first_time

    def keep_side(self) -> None:
        """Say that a writer will take the packets of the other streams out of `side`."""
        self._wanted = True

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames. Raises InputError for what cannot be read, and damage if strict."""
        if not self._wanted:
            self._keep_side = False
            self.side.clear()
        self._seek()
        pictures = chain(self._taken(), self._decoder)
        clip = timed(self._frames(pictures), self._step, self.ledger, self._tail)
        yield from self._within(clip)
        if self._decoder.ended:
            self._check_truncation()

    def _context(self) -> VideoCodecContext:
        """The decoder: FFmpeg's own, but libvpx where only it gives the alpha plane."""
        alpha = self.stream.metadata.get("alpha_mode") == "1"
        wrapped = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(family_of(self.stream))
        if alpha and wrapped in av.codecs_available:
            context = av.CodecContext.create(wrapped, "r")
            if isinstance(context, VideoCodecContext):
                return context
        # FFV1 tells of damage only in its log; without frame threads it is clear of which frame.
        threads = "SLICE" if family_of(self.stream) == "ffv1" else "AUTO"
        self.stream.codec_context.thread_type = threads
        return self.stream.codec_context

    def _probe(self) -> list[Picture]:
        pictures: list[Picture] = []
        for picture in self._decoder:
            if picture.frame is not None or pictures:
                pictures.append(picture)
            if len(pictures) == _PROBED:
                break
        if not pictures:
            reason = f" ({self.ledger.faults[0]})" if self.ledger.faults else ""
            piped = self.source == PIPE and "mov" in self.container.format.name
            raise InputError(
                f"{self.name}: not one picture could be decoded{reason}.",
                hint=LATE_INDEX if piped else "Check that the file is whole, and plays elsewhere.",
            )
        return pictures

    def _taken(self) -> Iterator[Picture]:
        """The pictures decoded by the probe, each let go of once it is given out."""
        self._probed.reverse()
        while self._probed:
            yield self._probed.pop()

    def _clock(self) -> tuple[Fraction, int]:
        """The time base of frames, and the ticks per frame where the file does not say."""
        rate = self._rate() or Fraction(25)
        if all(picture.pts is None for picture in self._probed):
            self._untimed = True
            return 1 / rate, 1
        self._untimed = False
        base = self.stream.time_base or Fraction(1, 1000)
        return base, max(1, round(1 / rate / base))

    def _rate(self) -> Fraction | None:
        return self.stream.guessed_rate or self.stream.average_rate or None

    def _info(self, first: av.VideoFrame) -> ClipInfo:
        form, _ = read_planes(first)
        notes = []
        matrix, note = choose_matrix(self._tags, form.family, first.height)
        if note:
            notes.append(note)
        if self._untimed:
            notes.append(
                f"the file has no time stamps; {float(1 / self.time_base):g} frames/s assumed"
            )
        videos = [s for s in self.container.streams.video if not is_cover(s)]
        if len(videos) > 1:
            notes.append(f"{len(videos)} video streams: #{self.stream.index} is the one denoised")
        interlaced = sum(p.frame is not None and p.frame.interlaced_frame for p in self._probed)
        flagged = 2 * interlaced >= len(self._probed)
        if flagged and self.options.fields == "off":
            notes.append("the clip is flagged interlaced; treated as progressive as asked")
        return ClipInfo(
            name=self.name,
            width=first.width,
            height=first.height,
            layout=form.layout(
                full_range=full_range(self._tags, form.family),
                matrix=matrix,
                siting=siting(self._tags),
            ),
            frames=self._count(),
            duration=self._duration(),
            rate=self._rate(),
            time_base=self.time_base,
            interlaced={"auto": flagged, "on": True, "off": False}[self.options.fields],
            top_field_first=self._top_first(flagged),
            notes=tuple(notes),
        )

    def _top_first(self, flagged: bool) -> bool:
        if flagged:
            return self._facts.top_field_first
        return self.stream.codec_context.field_order not in (3, 5)  # BB, BT

    def _count(self) -> int | None:
        """The number of frames, where the container knows it."""
        counted = self._tag("NUMBER_OF_FRAMES")
        said = self.stream.frames or (int(counted) if counted.isdecimal() else 0)
        if not said or self.span.start or self.span.end is not None:
            return None
        return said if self.span.frames is None else min(said, self.span.frames)

    def _duration(self) -> float | None:
        """Seconds that will be read, as far as the container knows."""
        whole = self._stream_seconds()
        if whole is None and self.container.duration:
            whole = Fraction(self.container.duration, av.time_base)
        rate = self._rate()
        if self.span.frames is not None and rate:
            asked = self.span.start + Fraction(self.span.frames) / rate
            whole = asked if whole is None else min(whole, asked)
        if self.span.end is not None:
            whole = min(whole or self.span.end, self.span.end)
        return None if whole is None else float(max(whole - self.span.start, Fraction(0)))

    def _stream_seconds(self) -> Fraction | None:
        """How long the video itself lasts by its container, from its first frame."""
        if self.stream.duration and not self._untimed:
            return self.stream.duration * (self.stream.time_base or Fraction(0))
        stamp = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", self._tag("DURATION"))
        if stamp:
            end = 3600 * int(stamp[1]) + 60 * int(stamp[2]) + Fraction(stamp[3])
            return end - self.first_time
        return None

    def _tag(self, name: str) -> str:
        """A statistics tag of Matroska, whose name may end in a language."""
        tags = self.stream.metadata
        found = next((key for key in tags if key.split("-")[0] == name), "")
        return tags.get(found, "")

    def _tail(self, last: Frame) -> int | None:
        """The tick at which the stream ends, where the container knows better than a frame.

        A frame's own duration is that of its packet, and says how long it is shown only if no
        frame shown before it is decoded after it.
        """
        if last.pts == self._decoder.last_sent and last.duration:
            return None
        if self.stream.duration and self.stream.start_time is not None and not self._untimed:
            return self.stream.start_time + self.stream.duration
        return None

    def _origin(self, first: av.VideoFrame) -> Origin:
        context = self.stream.codec_context
        return Origin(
            container=self.container.format.name,
            family=family_of(self.stream),
            profile=str(context.profile or ""),
            pix_fmt=first.format.name,
            pixel_aspect=self.stream.sample_aspect_ratio or self._facts.pixel_aspect,
            tags=self._tags,
            facts=self._facts,
            metadata=dict(self.container.metadata),
            stream_metadata=dict(self.stream.metadata),
            disposition=self.stream.disposition,
            chapters=all_chapters(self.container),
            others=tuple(s for s in self.container.streams if s.index != self.stream.index),
        )

    def _seek(self) -> None:
        """Go to a key frame at or before the start; else read on from the very beginning.

        Transport streams find times only roughly, so what comes after a seek is looked at.
        """
        if not self.span.start or self.source == PIPE or self._untimed:
            return
        target = self._first_pts + int(self.span.start / self.time_base)
        covers = [packet for packet in self.side if is_cover(packet.stream)]
        self.ledger.clear()  # of what lies before the stretch that is asked for
        for margin in _SEEK_MARGINS:
            place = target - round(margin / self.time_base)
            if place > self._first_pts and self._seek_to(place, target):
                break
            self.ledger.clear()
        else:
            self._rewind()
        self.side.extendleft(covers)

    def _seek_to(self, place: int, target: int) -> bool:
        """Seek; whether a sound key frame at or before `target` follows."""
        try:
            self.container.seek(place, stream=self.stream)
        except av.FFmpegError:
            return False
        self.side.clear()
        self._decoder.restart()
        picture = next(iter(self._decoder), None)
        if picture is None or picture.frame is None or picture.pts is None:
            return False
        self._probed = [picture]
        return picture.pts <= target and picture.frame.key_frame and not picture.corrupt

    def _rewind(self) -> None:
        """Go back to the first byte, or where a format has none, to the first time stamp."""
        self._probed = []
        self.side.clear()
        try:
            self.container.seek(0, unsupported_byte_offset=True)
        except av.FFmpegError:
            self.container.seek(self._first_pts, stream=self.stream)
        self._decoder.restart()

    def _frames(self, pictures: Iterator[Picture]) -> Iterator[Frame]:
        before: Frame | None = None
        for picture in pictures:
            if picture.frame is not None:
                before = self._frame(picture, picture.frame)
                yield before
            elif before is None:
                self.ledger.remark("frames before the first key frame could not be decoded")
            else:
                self.ledger.held += 1
                yield Frame(
                    planes=before.planes, layout=before.layout, pts=picture.pts,
                    duration=picture.duration or None, time_base=self.time_base, held=True,
                    source=before.source,
                )  # fmt: skip

    def _frame(self, picture: Picture, decoded: av.VideoFrame) -> Frame:
        info = self.info
        if (decoded.width, decoded.height) != (info.width, info.height):
            raise InputError(
                f"{self.name}: the picture size changes from {info.width}x{info.height} to "
                f"{decoded.width}x{decoded.height}{self._when(picture)}.",
                hint="Denoise the parts on their own: --end and --start.",
            )
        form, planes = read_planes(decoded)
        layout = form.layout(
            full_range=info.layout.full_range,
            matrix=info.layout.matrix,
            siting=info.layout.siting,
        )
        if layout != info.layout:
            raise InputError(
                f"{self.name}: the pixel format changes to {form.name}{self._when(picture)}.",
                hint="Denoise the parts on their own: --end and --start.",
            )
        if decoded.interlaced_frame and not info.interlaced and self.options.fields == "auto":
            self.ledger.remark(
                f"frames from {self._when(picture).removeprefix(' at ') or 'later on'} on are "
                "interlaced but were treated as progressive; --fields on changes that"
            )
        return Frame(
            planes=planes,
            layout=info.layout,
            pts=None if self._untimed else picture.pts,
            duration=None if self._untimed else picture.duration or None,
            time_base=self.time_base,
            corrupt=picture.corrupt,
        )

    def _when(self, picture: Picture) -> str:
        return "" if picture.pts is None else f" at {float(picture.pts * self.time_base):.2f} s"

    def _within(self, clip: Iterator[Frame]) -> Iterator[Frame]:
        """The frames of the stretch asked for, moved so that it begins when its source did."""
        if self.span.whole:
            yield from clip
            return
        moved, taken = 0, 0
        for frame in clip:
            pts = frame.pts or 0
            time = (pts - self._first_pts) * self.time_base
            if self.span.before(time):
                continue
            if self.span.beyond(time, taken):
                self._end_at(pts * self.time_base)
                return
            if not taken:
                self.cut = pts * self.time_base
                moved = pts - self._first_pts
            taken += 1
            yield Frame(
                planes=frame.planes, layout=frame.layout, pts=pts - moved,
                duration=frame.duration, time_base=frame.time_base, held=frame.held,
                corrupt=frame.corrupt, source=frame.source,
            )  # fmt: skip
        if not taken:
            raise InputError(
                f"{self.name}: has no frame at or after {float(self.span.start):g} s.",
                hint="Pass an earlier --start.",
            )

    def _end_at(self, end: Fraction) -> None:
        """Stop at `end`; read on a little for packets of other streams that belong before it."""
        self.cut_end = end
        if not self._wanted:
            return

        def past(packet: AnyPacket) -> bool:
            time = packet.dts if packet.dts is not None else packet.pts
            return time is not None and time * packet.time_base > end + _AFTER_END

        self._decoder.skip_aside(past)

    def _aside(self, packet: AnyPacket) -> None:
        if self._keep_side:
            self.side.append(packet)

    def _check_truncation(self) -> None:
        """Compare what came with what the container promised: truncated files end in silence."""
        step = self._step * self.time_base
        lacking = self.stream.frames - self._decoder.packets
        if lacking > 0 and not self.span.start:
            self._note_missing(lacking * step, lacking)
            return
        promised = self._stream_seconds()
        if promised is not None:
            promised += self.first_time
        elif self.container.duration and not self._untimed:
            start = Fraction(self.container.start_time or 0, av.time_base)
            promised = start + Fraction(self.container.duration, av.time_base)
        if promised is None:
            return
        missing = promised - self._decoder.newest
        if missing > max(2 * step, Fraction(1, 10)):
            self._note_missing(missing, round(missing / step))

    def _note_missing(self, seconds: Fraction, frames: int) -> None:
        self.ledger.missing_seconds = float(seconds)
        self.ledger.missing_frames = frames
        if self.options.strict:
            raise InputError(
                f"{self.name}: truncated: {float(seconds):.2f} s are missing at the end.",
                hint="Without --strict f2r denoises what is there.",
            )

    def describe(self) -> list[dict[str, Any]]:
        """One dict per stream; the denoised one says all that is known of it."""
        return [
            self._describe_video() if s.index == self.stream.index else stream_facts(s)
            for s in self.container.streams
        ]

    def _describe_video(self) -> dict[str, Any]:
        info, origin = self.info, self.origin
        mastering = origin.facts.mastering
        facts = stream_facts(self.stream) | {
            "denoised": True,
            "profile": origin.profile or None,
            "width": info.width,
            "height": info.height,
            "pixel_format": origin.pix_fmt,
            "bits": info.layout.bits,
            "frames": self.stream.frames or None,
            "rate": None if info.rate is None else float(info.rate),
            "pixel_aspect": None if origin.pixel_aspect is None else str(origin.pixel_aspect),
            "rotation": self._rotation(),
            "colour": origin.tags.named() or None,
            "matrix": info.layout.matrix.value,
            "field_order": self._field_order(),
            "mastering": None if mastering is None else [float(v) for v in mastering.display],
            "light": None if mastering is None else mastering.light,
        }
        return {key: value for key, value in facts.items() if value is not None}

    def _rotation(self) -> int | None:
        first = self._probed[0].frame if self._probed else None
        return None if first is None else first.rotation or None

    def _field_order(self) -> str:
        if not self.info.interlaced:
            return "progressive"
        return "top field first" if self.info.top_field_first else "bottom field first"

    def paths(self) -> list[Path]:
        """The file that is read."""
        return [] if self.source == PIPE else [Path(self.source)]

    def close(self) -> None:
        """Let go of the file."""
        self._probed = []
        self.side.clear()
        self._decoder.close()
        self.container.close()
