"""Video files and pipes written: frames encoded, muxed beside the other streams, and read back."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import ArgumentError, InvalidDataError
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Frame
from f2rcli.io.atomic import PartFile
from f2rcli.io.base import Reader, ReadOptions, Receipt, WritePlan, Writer, written_name
from f2rcli.io.disk_errors import disk_error, misread_error
from f2rcli.io.provenance import append_text
from f2rcli.io.video.colour import UNSPECIFIED, Filter, Mastering
from f2rcli.io.video.containers import QUICKTIME, copy_stream, open_target, stream_tags
from f2rcli.io.video.decoder import AnyPacket, SidePackets, shown_at
from f2rcli.io.video.encoders import CAPTIONERS, ordinary_scheduling, says_matrix
from f2rcli.io.video.matroska import PADDING, write_display_size
from f2rcli.io.video.pixels import converted, fill_frame, make_frame
from f2rcli.io.video.plan import StreamPlan, VideoDetail
from f2rcli.io.video.reader import VideoReader
from f2rcli.io.video.source import (
    PIPE,
    TOLERANT,
    ffmpeg_reason,
    is_cover,
    metadata_of,
    quiet_ffmpeg,
    stream_line,
    title_of,
)
from f2rcli.units import count

_ERRORS = (av.FFmpegError, OSError)
_REORDERED = 32  # ticks; more than any encoder holds frames back, at one tick a frame
_KEY_PICTURE = 1  # FFmpeg's AV_PICTURE_TYPE_I
_WANTS_APART = 1 << 6  # FFmpeg's AVFMT_GLOBALHEADER, of a container
_HEADERS_APART = 1 << 22  # FFmpeg's AV_CODEC_FLAG_GLOBAL_HEADER
_MIMES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif"}
_EXTENSIONS = {"mjpeg": "jpg"}  # others are the codec's name
# Bits per second and channel: transparent or close to it.
_BIT_RATES = {"libopus": 96_000, "aac": 128_000, "libmp3lame": 128_000, "ac3": 96_000}
_RESTATED = ("creation_time", "date")  # tags that containers write in their own form
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


class VideoWriter(Writer):
    """A video file or pipe open for writing.

    One frame is held back: the last one may need to be a key picture, and only `finish` knows
    which is the last.
    """

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        quiet_ffmpeg()
        self.reader = reader
        self.plan = plan
        self.detail: VideoDetail = plan.detail
        self.name = written_name(plan.target)
        self._part: PartFile | None = None
        self._container: OutputContainer | None = None
        self._held: Frame | None = None
        self._durations: dict[int, int] = {}  # of frames in the encoder, by pts
        self._written = Written(time_base=self.detail.setup.time_base)
        self._chapters: list[dict[str, object]] = []
        self._captioned = False  # the first picture
        self._provenance = ""  # how it is made
        self._last_dts: int | None = None  # of the encoder's packets, in its ticks
        self._fields: Filter | None = None  # which alone can flag pictures as interlaced
        self.metadata = metadata_of(reader)
        self._packets = reader.side if isinstance(reader, VideoReader) else SidePackets()
        self._packets.wanted = True
        if plan.target != PIPE:
            target = Path(plan.target)
            self._part = PartFile(target, overwrite=plan.overwrite, keep=plan.keep_partial)

    def write(self, frame: Frame) -> None:
        """Take the next frame. Raises OutputError when the disk is full or the encoder fails."""
        try:
            if self._container is None:
                self._start(frame)
            if self._held is not None:
                self._encode(self._held, last=False)
            self._held = frame
            self._side.drain()
        except _ERRORS as error:
            raise self._failure(error) from error

    def finish(self) -> Receipt:
        """Write what is pending, verify the file and put it at its target."""
        if self._held is None or self._container is None:
            raise InputError(
                f"{self.reader.info.name}: has no frames; nothing was written.",
                hint="Check start= and end=, or the input.",
            )
        try:
            self._encode(self._held, last=True)
            self._held = None
            self._mux(self._encoder.encode(None))
            self._side.finish()
            self._container.close()
            self._container = None
            size, verified = self._publish()
        except _ERRORS as error:
            raise self._failure(error) from error
        return self.plan.receipt(
            frames=self._written.frames, seconds=float(self._written.seconds), size=size,
            verified=verified, lost=self._side.lost,
        )  # fmt: skip

    def _publish(self) -> tuple[int, tuple[str, ...]]:
        """Verify the part file and put it at its target; its size, and what was verified."""
        if self._part is None:
            return 0, ()
        path, detail = self._part.path, self.detail
        if self._provenance and detail.container.name == "apng":
            append_text(path, self._provenance)
        if detail.display is not None:
            try:
                write_display_size(path, self._track, detail.display)
            except ValueError as error:  # better without than not at all
                self._side.losses.append(f"pixel aspect {detail.setup.pixel_aspect} ({error})")
        verified = tuple(self._verified(path))
        kept = [what for what in self.plan.kept if what != "closed captions" or self._captioned]
        self._side.losses += lost_facts(path, kept, self.reader, detail)
        return self._part.publish(), verified

    def _verified(self, path: Path) -> Iterator[str]:
        """Read a finished file again: what was verified of its picture; what it lacks of all else
        is lost. Raises OutputError for frames that are not there."""
        written, index = self._written, self._index
        try:
            with av.open(f"file:{path}", "r", **TOLERANT) as container:
                came, times = _read_again(container, index)
                self._side.losses += self._side.missing(container, came, index)
                there, gave = len(container.chapters()), len(self._chapters)
                if there < gave:
                    few = f"{gave - there} of " if there else ""
                    self._side.losses.append(f"{few}{gave} chapters")
                self._side.losses += _lost_tags(self.detail, container.metadata)
        except (*_ERRORS, ValueError, IndexError) as error:
            why = f"cannot be read back: {ffmpeg_reason(error)}"
            raise _misread(self.name, why) from error
        frames = came[index].count
        if frames != written.frames:
            why = f"{written.frames} frames were written but the file has {frames}"
            raise _misread(self.name, why)
        yield count(frames)
        if self.detail.container.variable_rate and times:
            yield _verified_times(times, self.name, written, self.detail.container.tick)

    def abandon(self) -> None:
        """Stop; remove the part file. After `finish` there is nothing to remove."""
        self._held = None
        if self._part is not None and not self.plan.keep_partial:
            self._part.remove()  # first: a trailer may take long and is not needed
        if self._container is not None:
            container, self._container = self._container, None
            with contextlib.suppress(*_ERRORS):  # the file goes away, whatever its trailer
                container.close()
        if self._part is not None:
            self._part.discard()

    def _start(self, first: Frame) -> None:
        """Open the target and set up all streams; the header follows with the first packet."""
        self._captioned = isinstance(first.source, av.VideoFrame)
        detail = self.detail
        options = dict(detail.container_options)
        if first.pts is not None and first.pts < 0 and detail.container.name in ("mp4", "mov"):
            # Its edit list would hide what lies before zero; so everything moves, in step.
            options["avoid_negative_ts"] = "make_non_negative"
        url = "pipe:1" if self._part is None else f"file:{self._part.path}"
        self._container = container = open_target(url, detail.container, options)
        container.metadata.update(detail.metadata)
        self._provenance = self.plan.provenance_text()
        if self._provenance and detail.container.provenance:
            container.metadata[detail.container.provenance] = self._provenance
        self._side = SideStreams(self._packets, detail, container)
        taken = {stream.index for stream in self.metadata.others}
        index = next(index for index in range(len(taken) + 1) if index not in taken)
        place = sum(plan.stream.index < index for plan in detail.streams)
        self._side.add(detail.streams[:place])
        self._track = sum(stream.type != "attachment" for stream in container.streams)
        self._stream = self._add_video(container)
        self._index = self._stream.index
        self._side.add(detail.streams[place:])
        if detail.container.chapters:
            self._chapters = list(self._moved_chapters())
            container.set_chapters(self._chapters)  # type: ignore[arg-type]  # plain dicts
        self._side.attach()

    def _add_video(self, container: OutputContainer) -> av.VideoStream:
        """The picture's stream, and the encoder of its packets."""
        setup, template = self.detail.setup, self.detail.template
        added: Stream
        if template is None:
            added = container.add_stream(setup.encoder, rate=setup.rate)
        else:  # with the side data that the source's header states, and an encoder of its own
            added = container.add_stream_from_template(template, opaque=True)
        assert isinstance(added, av.VideoStream)  # as its trial showed
        self._encoder = added.codec_context
        if template is not None:
            context = av.CodecContext.create(setup.encoder, "w")
            assert isinstance(context, VideoCodecContext)
            if container.format.flags & _WANTS_APART:
                context.flags |= _HEADERS_APART
            self._encoder = context
        setup.apply(self._encoder)
        if template is not None:
            with ordinary_scheduling():
                self._encoder.open()
            setup.describe(added.codec_context, self._encoder)
        added.time_base = setup.time_base
        added.metadata.update(stream_tags(self.metadata.stream_tags, container.format.name))
        if self.detail.display is not None:  # takes its place
            added.metadata["title"] = added.metadata.get("title", "") + PADDING
        if self.metadata.disposition:
            added.disposition = self.metadata.disposition
        if self.detail.display_matrix:
            added.set_display_matrix(self.detail.display_matrix)
        if self.reader.info.interlaced:
            self._fields = Filter("setfield", "tff" if self.reader.info.top_field_first else "bff")
        return added

    def _moved_chapters(self) -> Iterator[dict[str, object]]:
        """The chapters within the excerpt, moved as it is."""
        begin, end, shift = self._packets.start, self._packets.end, self._packets.shift
        for chapter in self.metadata.chapters:
            base = chapter["time_base"] or Fraction(1, 1000)
            start, stop = chapter["start"] * base, chapter["end"] * base
            if (begin is not None and stop <= begin) or (end is not None and start >= end):
                continue
            start = start if begin is None else max(start, begin)
            stop = stop if end is None else min(stop, end)
            yield {
                "id": chapter["id"], "time_base": base, "metadata": dict(chapter["metadata"]),
                "start": round((start - shift) / base), "end": round((stop - shift) / base),
            }  # fmt: skip

    def _encode(self, frame: Frame, *, last: bool) -> None:
        setup = self.detail.setup
        picture = self._picture(frame)
        if self._fields is not None:
            picture = self._fields.apply(picture)
        pts, duration = self._place(frame)
        setup.tag(picture)
        picture.pts, picture.time_base = pts, setup.time_base
        picture.duration = duration
        self._written.add(pts, duration)
        # An mp4 of uneven frames forgets how long the last one is shown, unless it is decoded
        # last as well, as key pictures are.
        picture.pict_type = _KEY_PICTURE if last and self._written.uneven else 0
        self._durations[pts] = duration
        with ordinary_scheduling():  # the first picture opens the encoder
            packets = self._encoder.encode(picture)
        self._mux(packets)

    def _picture(self, frame: Frame) -> av.VideoFrame:
        """The picture to encode: a fresh one, or the decoded one refilled, for its captions
        only."""
        setup = self.detail.setup
        planes = converted(frame, setup.form, setup.coding)
        decoded = frame.source if isinstance(frame.source, av.VideoFrame) else None
        captioned = decoded is not None and setup.encoder in CAPTIONERS
        if decoded is None or not captioned or decoded.format.name != setup.form.name:
            return make_frame(planes, setup.form)
        decoded.make_writable()
        fill_frame(decoded, planes, setup.form)
        return decoded

    def _place(self, frame: Frame) -> tuple[int, int]:
        """A frame's pts and duration in the encoder's ticks; pts strictly increase."""
        if frame.pts is None:
            raise ValueError("the frame has no pts")
        scale = frame.time_base / self.detail.setup.time_base
        pts = round(frame.pts * scale)
        if self._written.last is not None and pts <= self._written.last:
            pts = self._written.last + 1
        return pts, max(1, round((frame.duration or 0) * scale))

    def _mux(self, packets: Sequence[AnyPacket]) -> None:
        assert self._container is not None  # open since the first frame
        for packet in packets:
            packet.stream, packet.time_base = self._stream, self.detail.setup.time_base
            if packet.pts is not None and packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._mend_dts(packet)
            self._container.mux(packet)

    def _mend_dts(self, packet: AnyPacket) -> None:
        """Replace impossible decoding times (x265 on few frames); any increasing ones up to pts
        do."""
        written, before = self._written, self._last_dts
        if packet.pts is None or packet.dts is None or written.first is None:
            return
        least = written.first - (written.end - written.first) - _REORDERED
        possible = (before is None or packet.dts > before) and least <= packet.dts <= packet.pts
        if not possible:
            start = written.first - _REORDERED
            packet.dts = min(start if before is None else max(before + 1, start), packet.pts)
        self._last_dts = packet.dts

    def _failure(self, error: BaseException) -> OutputError:
        number = getattr(error, "errno", None)
        refused = isinstance(error, av.ArgumentError)  # by the muxer, whatever the disk
        if isinstance(number, int) and 0 < number < 1000 and not refused:
            return disk_error(Path(self.name), OSError(number, ffmpeg_reason(error)))
        return OutputError(
            f"{self.name}: writing failed: {ffmpeg_reason(error)}.",
            hint="Try another codec= or container.",
        )


@dataclass(slots=True)
class Packets:
    """A count of packets."""

    count: int = 0
    size: int = 0  # bytes
    cover: bytes = b""  # the first one, of a cover

    def add(self, packet: AnyPacket, *, cover: bool) -> None:
        """Count a packet."""
        if cover and not self.count:
            self.cover = bytes(packet)
        self.count += 1
        self.size += packet.size


class SideStreams:
    """Muxes the packets of the other streams into the target, in step with the video."""

    def __init__(
        self, packets: SidePackets, detail: VideoDetail, container: OutputContainer
    ) -> None:
        self.packets = packets
        self.detail = detail
        self.container = container
        self.losses: list[str] = []  # that no plan foresaw, in words
        self._sent = {plan.stream.index: Packets() for plan in detail.streams}  # by source stream
        self._broken: Counter[int] = Counter()  # packets the muxer refused, by source stream
        self._targets: dict[int, Stream] = {}  # by the index of the source stream
        self._sound: dict[int, SoundEncoder] = {}
        self._begun: set[int] = set()  # cut video streams that have reached a key frame

    def add(self, plans: tuple[StreamPlan, ...]) -> None:
        """Add target streams for these plans."""
        for plan in plans:
            index = plan.stream.index
            if plan.action == "copy":
                self._targets[index] = copy_stream(self.container, plan.stream)
            elif plan.action == "sound" and isinstance(plan.stream, AudioStream):
                self._sound[index] = sound = SoundEncoder(plan.stream, plan, self.container)
                self._targets[index] = sound.target

    def attach(self) -> None:
        """Put cover art into the header, for containers that keep it there."""
        wanted = {p.stream.index: p.stream for p in self.detail.streams if p.action == "attach"}
        for packet in list(self.packets.queue):
            stream = wanted.pop(packet.stream_index, None)
            if stream is None:
                continue
            name = stream.codec_context.name
            title = stream.metadata.get("filename") or f"cover.{_EXTENSIONS.get(name, name)}"
            mime = stream.metadata.get("mimetype") or _MIMES.get(name, "application/octet-stream")
            self.container.add_attachment(title, mime, bytes(packet))
            self._sent[stream.index].add(packet, cover=True)
            self.packets.queue.remove(packet)
        self.losses += [f"{stream_line(s)} (the picture is missing)" for s in wanted.values()]

    @property
    def lost(self) -> list[str]:
        """Losses that no plan foresaw, in words."""
        lines = {plan.stream.index: stream_line(plan.stream) for plan in self.detail.streams}
        return self.losses + [
            f"{count(packets, 'packet')} of {lines[index]} (damaged)"
            for index, packets in self._broken.items()
        ]

    def drain(self) -> None:
        """Mux every queued packet."""
        queue = self.packets.queue
        while queue:
            packet = queue.popleft()
            index = packet.stream_index
            if index in self._targets and self._moved(packet):
                self.container.start_encoding()  # a refused header is no fault of the packet
                sound = self._sound.get(index)
                self._put((packet,) if sound is None else sound.encoded(packet), index)

    def finish(self) -> None:
        """Mux what sound encoders still hold."""
        self.drain()
        for index, sound in self._sound.items():
            self._put(sound.finish(), index)

    def _put(self, packets: Sequence[AnyPacket] | Iterator[AnyPacket], index: int) -> None:
        sent = self._sent[index]
        try:
            for packet in packets:
                packet.stream = self._targets[index]
                size, cover = packet.size, bytes(packet) if is_cover(packet.stream) else b""
                self.container.mux(packet)  # which takes its content away
                sent.count, sent.size, sent.cover = sent.count + 1, sent.size + size, cover
        except (InvalidDataError, ArgumentError):  # of this packet, not of the disk
            self._broken[index] += 1

    def _moved(self, packet: AnyPacket) -> bool:
        """Move a packet as the clip is moved; False if it lies outside a cut clip."""
        excerpt, time = self.packets, shown_at(packet)
        if excerpt.start is None or time is None or is_cover(packet.stream):
            return True
        seconds = time * packet.time_base
        if seconds < excerpt.start or (excerpt.end is not None and seconds >= excerpt.end):
            return False
        if packet.stream.type == "video" and packet.stream_index not in self._begun:
            if not packet.is_keyframe:
                return False
            self._begun.add(packet.stream_index)
        moved = round(excerpt.shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - moved
        packet.dts = None if packet.dts is None else packet.dts - moved
        return True

    def missing(
        self, container: InputContainer, came: dict[int, Packets], video: int
    ) -> Iterator[str]:
        """What of the planned streams a finished file lacks, in the plan's words."""
        free = [s for s in container.streams if s.index != video and not is_cover(s)]
        covers = {came[s.index].cover for s in container.streams if is_cover(s)} - {b""}
        for plan in self.detail.streams:
            gave = self._sent[plan.stream.index]
            if is_cover(plan.stream):
                if gave.cover not in covers:
                    yield plan.words
                continue
            match = next((s for s in free if _alike(s, plan.stream)), None)
            if match is None or (gave.count and not came[match.index].count):
                yield plan.words
                continue
            free.remove(match)
            if plan.stream.type != "attachment":
                yield from self._differences(plan, match, gave, came[match.index])

    def _differences(
        self, plan: StreamPlan, there: Stream, gave: Packets, came: Packets
    ) -> Iterator[str]:
        container = self.detail.container
        if came.count < gave.count and came.size < gave.size:
            few = f"{gave.count - came.count} of {count(gave.count, 'packet')}"
            yield f"{few} of {plan.words}"
        language = plan.stream.language
        if language not in (None, "", "und") and container.holds_language(plan.stream):
            names = {QUICKTIME.get(code or "", code) for code in (language, there.language)}
            if len(names) > 1:  # ISO 639-2 has two codes for some
                yield f"language of {plan.words}"
        title = title_of(plan.stream.metadata) if "title" in container.stream_tags else ""
        if title and title_of(there.metadata).strip() != title:
            yield f"title of {plan.words}"


class SoundEncoder:
    """Encodes a stream's sound again, at its own times."""

    def __init__(self, stream: AudioStream, plan: StreamPlan, container: OutputContainer) -> None:
        self.source = stream.codec_context
        codec = av.Codec(plan.encoder, "w")
        rates = sorted(codec.audio_rates or [self.source.rate])
        rate = next((rate for rate in rates if rate >= self.source.rate), rates[-1])
        target = container.add_stream(plan.encoder, rate=rate)
        assert isinstance(target, AudioStream)  # as the plan saw to
        context: AudioCodecContext = target.codec_context
        forms = [form.name for form in codec.audio_formats or []]
        alike = [f for f in forms if f.rstrip("p") == self.source.format.name.rstrip("p")]
        context.format = (alike or forms or [self.source.format.name])[0]
        context.layout, context.time_base = self.source.layout.name, Fraction(1, rate)
        if plan.encoder in _BIT_RATES:
            context.bit_rate = _BIT_RATES[plan.encoder] * context.layout.nb_channels
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(
                f"{stream_line(stream)}: {plan.encoder} refuses it ({ffmpeg_reason(error)}).",
                hint="Pass another audio_codec=, such as flac or pcm_s16le.",
            ) from error
        target.metadata.update(stream_tags(stream.metadata, container.format.name))
        target.disposition = stream.disposition
        self.target = target
        self._resampler = av.AudioResampler(
            context.format.name, context.layout.name, rate, context.frame_size or None
        )

    def encoded(self, packet: "AnyPacket | None") -> Iterator[AnyPacket]:
        """The sound of a packet, as far as it makes whole packets. Raises av.FFmpegError."""
        for frame in self.source.decode(packet):
            yield from self._resampled(frame)

    def finish(self) -> Iterator[AnyPacket]:
        """The packets that decoder, resampler and encoder still hold."""
        yield from self.encoded(None)
        yield from self._resampled(None)
        yield from self.target.encode(None)

    def _resampled(self, frame: AudioFrame | None) -> Iterator[AnyPacket]:
        for resampled in self._resampler.resample(frame):
            yield from self.target.encode(resampled)


def _read_again(container: InputContainer, video: int) -> tuple[dict[int, Packets], list[Fraction]]:
    """The packets of each stream of a file, and the picture's first and last time in seconds; none
    where the file has no times."""
    found = {stream.index: Packets() for stream in container.streams}
    times: list[Fraction] = []
    for packet in container.demux(*(s for s in container.streams if s.type != "attachment")):
        index = packet.stream_index
        if not packet.size or (index == video and packet.is_discard):
            continue
        found[index].add(packet, cover=is_cover(packet.stream))
        time = shown_at(packet)
        if index == video and time is not None:
            seconds = time * packet.time_base
            times = [min([*times[:1], seconds]), max([*times[1:], seconds])]
    return found, times


def _verified_times(times: list[Fraction], name: str, written: Written, tick: Fraction) -> str:
    """What was verified of the picture's first and last time, in words. Raises OutputError."""
    base, (first, last) = written.time_base, times
    slack = max(tick, base)
    wanted_first, wanted_last = (written.first or 0) * base, (written.last or 0) * base
    if abs((last - first) - (wanted_last - wanted_first)) > 2 * slack:
        due = f"the last frame should be at {float(wanted_last):.3f} s"
        raise _misread(name, f"{due} but is at {float(last):.3f} s")
    if abs(first - wanted_first) <= slack:
        return f"last frame at {float(last):.3f} s"
    return f"length; it starts at {float(first):.3f} s, not {float(wanted_first):.3f} s"


def _alike(one: Stream, other: Stream) -> bool:
    """Whether a stream may be the copy of another; attachments are by their content."""
    contents = [bytes(getattr(s, "data", None) or b"") for s in (one, other)]
    return one.type == other.type and (one.type != "attachment" or contents[0] == contents[1])


def _lost_tags(detail: VideoDetail, there: dict[str, str]) -> list[str]:
    """The tags of the file that a finished one lacks, in words."""
    if not detail.container.metadata:
        return []
    have = {key.lower(): value.strip() for key, value in there.items()}
    lost = [
        key
        for key, value in detail.metadata
        if value.strip()
        and not (key.lower() in have and key.lower() in _RESTATED)
        and value.strip() not in have.values()
    ]
    if lost and len(lost) == len(detail.metadata):
        return ["metadata"]
    return [f"tags {', '.join(lost)}"] if lost else []


def lost_facts(path: Path, kept: Sequence[str], reader: Reader, detail: VideoDetail) -> list[str]:
    """Picture properties of `kept` that a finished file lacks. Raises InputError if unreadable."""
    source, info, setup = metadata_of(reader), reader.info, detail.setup
    with VideoReader(path, ReadOptions()) as again:
        there, facts = again.metadata, again.metadata.facts
    wanted = [(setup.tags.primaries, there.colour.primaries)]
    wanted.append((setup.tags.transfer, there.colour.transfer))
    if says_matrix(setup.encoder, setup.tags.matrix):
        wanted.append((setup.tags.matrix, there.colour.matrix))
    turned = _turns(facts.display_matrix) == _turns(detail.display_matrix)
    fields = (again.info.interlaced, again.info.top_field_first) == (True, info.top_field_first)
    crop = source.track.crop if detail.display else there.track.crop
    stated = {
        "rotation": turned,
        "rotation and flip": turned,
        "HDR10 mastering metadata": _same_display(facts.mastering, source.facts.mastering),
        "closed captions": facts.captions,
        f"pixel aspect {source.pixel_aspect}": there.pixel_aspect == setup.pixel_aspect,
        "field order": fields,
        "cropping": there.track.cropped and there.track.crop == crop,
        "marks of single fields": there.single_fields,
        "colour tags": all(want in (have, UNSPECIFIED) for want, have in wanted),
    } | {extra: extra in facts.extras for extra in source.facts.extras}
    return [what for what in kept if not stated.get(what, True)]


def _turns(matrix: Sequence[int]) -> list[float]:
    """The part of a display matrix that turns and flips, to two decimals."""
    return [round(value / 65536, 2) for value in (*matrix[:2], *matrix[3:5])]


def _same_display(one: Mastering | None, other: Mastering | None) -> bool:
    """Whether two displays are the same, but for the rounding of their codes."""
    if one is None or other is None or one.light != other.light:
        return one is other
    return len(one.display) == len(other.display) and all(
        abs(a - b) <= max(Fraction(1, 1000), abs(b) / 1000)
        for a, b in zip(one.display, other.display, strict=True)
    )
