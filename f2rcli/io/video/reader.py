"""Video files and pipes, read with FFmpeg: facts, frames, and packets of the other streams."""

import re
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.time_range import TimeRange, leading, timed, trailing
from f2rcli.io.video.decoder import (
    EXPORTED,
    HEADERS,
    AnyPacket,
    DamageLog,
    DecodedPicture,
    Decoder,
    SidePackets,
    first_steps8,
    step8,
)
from f2rcli.io.video.pixels import colour_tags, fits, picture_facts, read_planes
from f2rcli.io.video.source import (
    COMPLETE,
    LATE_INDEX,
    PIPE,
    HeaderFacts,
    SourceMetadata,
    StandardInput,
    choose_video,
    display_name,
    family_of,
    is_cover,
    matroska_facts,
    movie_facts,
    open_source,
    stream_facts,
)
from f2rcli.units import count

_BOTTOM_FIRST = (3, 5)  # FFmpeg's AV_FIELD_BB and AV_FIELD_BT


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
        self.header = self._header()
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

    def _header(self) -> HeaderFacts:
        """What the header of a Matroska or MP4 file says, and FFmpeg does not."""
        path, form = Path(self.container.name.removeprefix("file:")), self.container.format.name
        if not path.is_file():  # a named pipe: what is read here would be missing later
            return HeaderFacts()
        if "matroska" in form:
            return matroska_facts(path, self.stream.index)
        movie = form.startswith("mov")
        return movie_facts(path, self.first.width, self.first.height) if movie else HeaderFacts()

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
            container_tags=dict(self.container.metadata),
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


def lossy(codec: av.Codec) -> bool:
    """Whether a codec can lose something while its frames depend on each other."""
    return bool(codec.lossy) and not codec.intra_only


# --- Frames ---------------------------------------------------------------------------------------


_REACHES = (1, 4, 16)  # times the usual length of a lead-in that is gone back for it, in turn
_MARGINS = (0, 2, 10)  # seconds before a place that are tried one after the other
_PROBED = 4  # pictures looked at before the first is given out
# With frame threads damage is reported too late: of H.264 and MPEG-4 after the picture is given
# out, of FFV1 and H.265 in the log, where nothing says of which picture.
_REPORTS_LATE = DamageLog.CODECS
_AFTER_END = 1  # seconds read beyond a cut, for streams that are interleaved late
_OUTPUT_CORRUPT = 1 << 3  # FFmpeg's AV_CODEC_FLAG_OUTPUT_CORRUPT
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


class VideoReader(Reader):
    """A clip that FFmpeg demuxes."""

    def __init__(self, source: str | Path, options: ReadOptions) -> None:
        self.source = str(source)
        self.name = display_name(source)
        self.options = options
        self.span = TimeRange.of(options)
        self.ledger = Ledger(name=self.name)
        self.side = SidePackets()
        self._aspect: Fraction | None = None  # of a pixel, by the codec
        piped = StandardInput() if self.source == PIPE else None
        self._input: StandardInput | Path = piped or Path(source)
        self.container = open_source(piped or source)
        with ExitStack() as opened:
            opened.callback(self.container.close)
            self.stream = choose_video(self.container, self.name)
            context = self._context()
            self._decoder = Decoder(
                self.container, self.stream, context, self.ledger, self.side.add
            )
            opened.callback(self._decoder.close)
            ahead = self._first_pictures()
            self._probe = Probe(self.container, self.stream, ahead, options, self.name)
            self._ahead = ahead  # decoded already; each is released when it is taken
            self.info, self.metadata = self._probe.info(), self._probe.metadata()
            self._opened = opened.pop_all()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames. Raises InputError for what cannot be read."""
        self.side.begin()
        stamps = array("q")
        for frame in self._within(*self._begun()):
            if not frame.context:
                stamps.append(frame.pts or 0)
            yield frame
        if self._decoder.ended and self.side.end is None:
            self._check_end()
        self._check_gaps(stamps)

    def opening(self) -> Iterator[Frame]:
        if not self.span.start:
            return
        if self.source == PIPE or not Path(self.source).is_file():
            self.ledger.remark(
                "the noise was measured on the excerpt instead of the clip's first frames, because "
                "a pipe cannot be read twice"
            )
            return
        whole = replace(self.options, start=None, end=None, frames=None, lead=0, trail=0)
        with VideoReader(self.source, whole) as reader:
            yield from reader

    def _context(self) -> VideoCodecContext:
        """The decoder: FFmpeg's own, but libvpx where only it gives the alpha plane."""
        alpha = self.stream.metadata.get("alpha_mode") == "1"
        wrapped = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(family_of(self.stream))
        if alpha and wrapped in av.codecs_available:
            context = av.CodecContext.create(wrapped, "r")
            if isinstance(context, VideoCodecContext):
                return context
        threads = "SLICE" if family_of(self.stream) in _REPORTS_LATE else "AUTO"
        self.stream.codec_context.thread_type = threads
        self.stream.codec_context.options = EXPORTED
        if family_of(self.stream) == "hevc":  # else it keeps back all up to the next key frame
            self.stream.codec_context.flags |= _OUTPUT_CORRUPT
        return self.stream.codec_context

    def _first_pictures(self) -> list[DecodedPicture]:
        pictures: list[DecodedPicture] = []
        for picture in self._decoder:
            if picture.frame is not None or pictures:
                pictures.append(picture)
            if len(pictures) == _PROBED:
                break
        if not pictures:
            reason = f" ({self.ledger.faults[0]})" if self.ledger.faults else ""
            piped = self.source == PIPE and "mov" in self.container.format.name
            raise InputError(
                f"{self.name}: no picture could be decoded{reason}.",
                hint=LATE_INDEX if piped else COMPLETE,
            )
        return pictures

    @cached_property
    def _first_steps8(self) -> tuple[float, float]:
        """Quantiser steps from the headers of the first key frames and other frames; 0: unknown."""
        known = family_of(self.stream) in HEADERS
        if not known or self.source == PIPE or not Path(self.source).is_file():
            return 0.0, 0.0  # of a named pipe, what is read here would be missing later
        with open_source(self.source) as container:
            return first_steps8(container, choose_video(container, self.name))

    def _begun(self) -> tuple[deque[Frame], Iterator[Frame]]:
        """The context before the excerpt, and the clip from there; goes back farther for copies and
        sparse frames."""
        tail = partial(self._probe.tail, decoder=self._decoder)
        for reach in _REACHES:
            whole = self._set_out(reach * self.options.lead * self._probe.step)
            frames = self._frames(chain(self._taken(), self._decoder))
            clip = timed(frames, self._probe.step, self.ledger, tail)
            lead, clip = leading(clip, self._early, self.options.lead)
            if whole or len(lead) == self.options.lead:
                break
        return lead, clip

    def _taken(self) -> Iterator[DecodedPicture]:
        self._ahead.reverse()
        while self._ahead:
            yield self._ahead.pop()

    def _set_out(self, lead: int) -> bool:
        """Go to a key frame `lead` ticks before the excerpt, or before that; whether it is the very
        beginning, from which one reads on where one cannot go elsewhere.

        Transport streams find times only roughly, so what comes after a seek is looked at.
        """
        if not self.span.start or self.source == PIPE or self._probe.untimed:
            return True
        first, tick = self._probe.first_pts, self._probe.time_base
        target = first + int(self.span.start / tick) - lead
        if target <= first and self._ahead:  # where one is
            return True
        covers = [packet for packet in self.side.queue if is_cover(packet.stream)]
        places = [target - round(margin / tick) for margin in _MARGINS]
        there = any(place > first and self._reaches(place, target) for place in places)
        if not there:
            self._rewind()
        self.side.queue.extendleft(covers)
        return not there

    def _reaches(self, place: int, target: int) -> bool:
        """Seek; whether a sound key frame at or before `target` follows."""
        picture = self._sought(place)
        if picture is None or picture.frame is None or picture.pts is None:
            return False
        return picture.pts <= target and picture.frame.key_frame and not picture.corrupt

    def _sought(self, place: int, **how: Any) -> DecodedPicture | None:
        """Seek; the picture that follows, which is the next to be taken; None where one cannot."""
        self.ledger.clear()  # of what lies before the excerpt that is asked for
        try:
            self.container.seek(place, **(how or {"stream": self.stream}))
        except av.FFmpegError:
            return None
        self.side.queue.clear()
        self._decoder.restart()
        picture = next(iter(self._decoder), None)
        self._ahead = [picture] if picture is not None and picture.frame else []
        return picture

    def _rewind(self) -> None:
        """Go back to the first picture by time, else to the first byte; Matroska and AVI do not
        move on a byte seek."""
        first = self._probe.first_pts
        picture = self._sought(first)
        if picture is not None and picture.frame and picture.pts == first:
            return
        if self._sought(0, unsupported_byte_offset=True) is None and self._sought(first) is None:
            raise InputError(f"{self.name}: is not seekable.", hint="Leave out start=.")

    def _early(self, frame: Frame) -> bool:
        """Whether a frame lies before the excerpt; its damage does not count then."""
        early = self.span.before(self._since(frame))
        if early:
            self.ledger.forgive(frame)
        return early

    def _since(self, frame: Frame) -> Fraction:
        return ((frame.pts or 0) - self._probe.first_pts) * self._probe.time_base

    def _frames(self, pictures: Iterator[DecodedPicture]) -> Iterator[Frame]:
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
                    duration=picture.duration or None, time_base=self._probe.time_base, held=True,
                )  # fmt: skip

    def _frame(self, picture: DecodedPicture, decoded: av.VideoFrame) -> Frame:
        info = self.info
        if (decoded.width, decoded.height) != (info.width, info.height):
            sizes = f"from {info.width}x{info.height} to {decoded.width}x{decoded.height}"
            raise self._changed(f"picture size changes {sizes}", picture)
        form, planes = read_planes(decoded)
        if not fits(info.layout, form):
            raise self._changed(f"pixel format changes to {form.name}", picture)
        unlike = decoded.interlaced_frame and not (info.interlaced or self._probe.single_fields)
        if unlike and self.options.fields == "auto":
            self.ledger.remark(
                f"interlaced frames{self._when(picture).replace(' at ', ' from ')} were treated as "
                "progressive; pass fields='on' to treat them as interlaced"
            )
        aspect = self._decoder.context.sample_aspect_ratio
        if aspect is not None and aspect != self._aspect:
            if self._aspect is not None:
                self.ledger.remark(
                    f"the shape of pixels changes from {self._aspect} to {aspect}"
                    f"{self._when(picture)}; the output keeps the first"
                )
            self._aspect = aspect
        return Frame(
            planes=planes,
            layout=info.layout,
            pts=None if self._probe.untimed else picture.pts,
            duration=None if self._probe.untimed else picture.duration or None,
            time_base=self._probe.time_base,
            corrupt=picture.corrupt,
            quantiser8=step8(decoded, info.layout.bits)
            or self._first_steps8[not decoded.key_frame],
        )

    def _changed(self, what: str, picture: DecodedPicture) -> InputError:
        hint = "Denoise the parts separately, with end= and start=."
        return InputError(f"{self.name}: the {what}{self._when(picture)}.", hint=hint)

    def _when(self, picture: DecodedPicture) -> str:
        return (
            "" if picture.pts is None else f" at {float(picture.pts * self._probe.time_base):.2f} s"
        )

    def _within(self, lead: deque[Frame], clip: Iterator[Frame]) -> Iterator[Frame]:
        """The frames of the excerpt, moved to begin when their source did, and their context."""
        if self.span.whole:
            yield from clip
            return
        last = next(clip, None)
        if last is None:
            raise InputError(
                f"{self.name}: has no frame at or after {float(self.span.start):g} s.",
                hint="Pass an earlier start=.",
            )
        moved = (last.pts or 0) - self._probe.first_pts
        for taken, frame in enumerate(chain([last], clip)):
            if self.span.beyond(self._since(frame), taken):
                yield from self._beyond(chain([frame], clip), last, moved)
                return
            if not taken:
                self.side.start = (frame.pts or 0) * self._probe.time_base
                self.side.shift = self.side.start - self._probe.first_time
                while lead:
                    yield replace(self._moved(lead.popleft(), moved), context=True)
            last = frame
            yield self._moved(frame, moved)

    def _moved(self, frame: Frame, by: int) -> Frame:
        """A frame moved `by` ticks earlier, with its index in the whole clip."""
        index = round(((frame.pts or 0) - self._probe.first_pts) / self._probe.step)
        return replace(frame, pts=(frame.pts or 0) - by, index=index)

    def _beyond(self, clip: Iterator[Frame], last: Frame, moved: int) -> Iterator[Frame]:
        """After the excerpt: frames that come along; then read on a little for packets of other
        streams that belong before its end."""
        first = next(clip)
        end = self.side.end = (first.pts or 0) * self._probe.time_base
        for frame in trailing(chain([first], clip), last, self.options.trail):
            self.ledger.forgive(frame)
            yield replace(self._moved(frame, moved), context=True)
        if not self.side.wanted:
            return

        def past(packet: AnyPacket) -> bool:
            time = packet.dts if packet.dts is not None else packet.pts
            return time is not None and time * packet.time_base > end + _AFTER_END

        self._decoder.skip_aside(past)

    def _check_end(self) -> None:
        """Compare promises of the whole file with what came: a truncated file ends in silence. Its
        index counts frames, its tags and its header state durations."""
        probe, decoder, form = self._probe, self._decoder, self.container.format.name
        if decoder.hidden:
            hides = f"its edit list hides {count(decoder.hidden)}: no player shows them, and f2r"
            self.ledger.remark(f"{hides} reads none of them")
        if form in _ENDLESS:
            what, last = _ENDLESS[form], float(decoder.reached - probe.first_time)
            self.ledger.remark(
                f"{what} does not say where it ends: more may be missing after {last:.2f} s"
            )
        if form == "yuv4mpegpipe":
            self._check_size()
        step = probe.step * probe.time_base
        own, counted = probe.lasting(), probe.counted()
        if counted:
            self.ledger.promised("its index", counted, decoder.packets)
            return
        by, promised, read = "its video stream", own, decoder.reached - probe.first_time
        slack = step / 2 if "matroska" in form else max(2 * step, Fraction(1, 10))
        if own is None:
            end = probe.promised_end()
            by, promised = "its header", None if end is None else end - probe.first_time
            read, slack = decoder.newest - probe.first_time, max(2 * step, Fraction(1, 10))
        if promised is not None and promised - read > slack + 2 * probe.time_base:
            frames = max(1, round((promised - read) / step))
            self.ledger.promised_time(by, float(promised), float(read), frames)

    def _check_size(self) -> None:
        """Compare frames of y4m with the bytes there are: FFmpeg drops a part of one unsaid."""
        if isinstance(self._input, Path):
            if not self._input.is_file():
                return  # of a named pipe nobody knows
            with self._input.open("rb") as file:
                head, size = file.read(StandardInput.HEAD), file.seek(0, 2)
        else:
            head, size = self._input.head, self._input.size
        begin = head.find(b"\n") + 1
        if head.startswith(_FRAME, begin):  # without parameters of frames
            each = len(_FRAME) + self._decoder.packet_size
            self.ledger.promised("its size", -(-(size - begin) // each), self._decoder.packets)

    def _check_gaps(self, stamps: Sequence[int]) -> None:
        """Compare increasing `stamps` (pts in ticks) with the clip's constant rate, if any."""
        probe = self._probe
        if probe.untimed or self.container.format.name not in _EVEN:
            return
        gaps = _gaps_in(stamps, probe.step)
        if gaps:
            places = ", ".join(f"{float(pts * probe.time_base):.2f}" for pts, _ in gaps[:_NAMED])
            more = f" and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else ""
            missing = sum(frames for _, frames in gaps)
            self.ledger.promised(
                "its constant rate", len(stamps) + missing, len(stamps),
                detail=f"gaps after {places} s{more}",
            )  # fmt: skip

    def describe(self) -> list[dict[str, Any]]:
        return self._probe.describe(self.info)

    def paths(self) -> list[Path]:
        return [] if self.source == PIPE else [Path(self.source)]

    def close(self) -> None:
        self._ahead = []
        self.side.queue.clear()
        self._opened.close()


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
