"""Video files and pipes written: frames encoded, muxed beside the other streams, and counted."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Frame
from f2rcli.io.base import Reader, Receipt, WritePlan, Writer, written_name
from f2rcli.io.files import PartFile, disk_error, misread_error
from f2rcli.io.video.decoder import AnyPacket, shown_at
from f2rcli.io.video.encoders import ordinary_scheduling
from f2rcli.io.video.header import NO_CHECKSUMS, PADDING, write_display_size
from f2rcli.io.video.pixels import Filter, converted, make_frame
from f2rcli.io.video.plan import VideoDetail
from f2rcli.io.video.reader import VideoReader
from f2rcli.io.video.source import (
    PIPE,
    TOLERANT,
    SidePackets,
    ffmpeg_reason,
    metadata_of,
    quiet_ffmpeg,
)
from f2rcli.io.video.streams import SideStreams, open_target, stream_tags
from f2rcli.units import count

_ERRORS = (av.FFmpegError, OSError)
_REORDERED = 32  # ticks; more than any encoder holds frames back, at one tick a frame
_KEY_PICTURE = 1  # FFmpeg's AV_PICTURE_TYPE_I
_WANTS_APART = 1 << 6  # FFmpeg's AVFMT_GLOBALHEADER, of a container
_HEADERS_APART = 1 << 22  # FFmpeg's AV_CODEC_FLAG_GLOBAL_HEADER
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
        self._last_dts: int | None = None  # of the encoder's packets, in its ticks
        self._fields: Filter | None = None  # which alone can flag pictures as interlaced
        self._file: Y4mFile | None = None
        self._losses: list[str] = []  # that no plan foresaw, in words
        self.metadata = metadata_of(reader)
        self._packets = reader.side if isinstance(reader, VideoReader) else SidePackets()
        self._packets.wanted = True
        if plan.target != PIPE:
            target = Path(plan.target)
            self._part = PartFile(target, overwrite=plan.overwrite)

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
        """Write what is pending, count what is in the file and put it at its target."""
        if self._held is None or self._container is None:
            raise InputError(
                f"{self.reader.info.name}: has no frames; nothing was written.",
                hint="Check start= and end=, or the input.",
            )
        size, verified = 0, tuple[str, ...]()
        try:
            self._encode(self._held, last=True)
            self._held = None
            self._mux(self._encoder.encode(None))
            self._side.finish()
            self._container.close()
            self._container = None
            if self._file is not None:
                self._file.close()
            if self._part is not None:
                self._write_display(self._part.path)
                verified = tuple(self._verified(self._part.path))
                size = self._part.publish()
        except _ERRORS as error:
            raise self._failure(error) from error
        return self.plan.receipt(
            frames=self._written.frames, seconds=float(self._written.seconds), size=size,
            verified=verified, lost=(*self._losses, *self._side.lost()),
        )  # fmt: skip

    def _write_display(self, path: Path) -> None:
        if self.detail.display is not None:
            try:
                write_display_size(path, self._index, self.detail.display)
            except ValueError as error:  # better without than not at all
                self._losses.append(f"pixel aspect {self.detail.setup.pixel_aspect} ({error})")

    @property
    def _index(self) -> int:
        """The picture's place among the tracks of the finished file."""
        return self._side.places(self.detail.container)[None]

    def _verified(self, path: Path) -> Iterator[str]:
        """Count the packets of a finished file: what was verified, in words. Raises OutputError for
        frames that are not there; packets of other streams that are not are lost."""
        came, sizes, times = Counter[int](), Counter[int](), list[Fraction]()
        own = self._index
        try:
            with av.open(f"file:{path}", "r", **TOLERANT) as container:
                for packet in container.demux(
                    *(s for s in container.streams if s.type != "attachment")
                ):
                    index, time = packet.stream_index, shown_at(packet)
                    if packet.size and not (index == own and packet.is_discard):
                        came[index] += 1
                        sizes[index] += packet.size
                        if index == own and time is not None:
                            times.append(time * packet.time_base)
        except (*_ERRORS, ValueError, IndexError) as error:
            why = f"cannot be read back: {ffmpeg_reason(error)}"
            raise _misread(self.name, why) from error
        if came[own] != self._written.frames:
            why = f"{self._written.frames} frames were written but the file has {came[own]}"
            raise _misread(self.name, why)
        self._losses += self._side.missing(came, sizes, self.detail.container)
        yield count(self._written.frames)
        if self.detail.container.variable_rate and times:
            yield self._verified_times(min(times), max(times))

    def _verified_times(self, first: Fraction, last: Fraction) -> str:
        """What was verified of the picture's first and last time, in words. Raises OutputError."""
        written, base = self._written, self._written.time_base
        slack = max(self.detail.container.tick, base)
        wanted_first, wanted_last = (written.first or 0) * base, (written.last or 0) * base
        if abs((last - first) - (wanted_last - wanted_first)) > 2 * slack:
            due = f"the last frame should be at {float(wanted_last):.3f} s"
            raise _misread(self.name, f"{due} but is at {float(last):.3f} s")
        if abs(first - wanted_first) <= slack:
            return f"last frame at {float(last):.3f} s"
        return f"length; it starts at {float(first):.3f} s, not {float(wanted_first):.3f} s"

    def abandon(self) -> None:
        """Stop; remove the part file. After `finish` there is nothing to remove."""
        self._held = None
        if self._part is not None:
            self._part.remove()  # first: a trailer may take long and is not needed
        if self._container is not None:
            container, self._container = self._container, None
            with contextlib.suppress(*_ERRORS):  # the file goes away, whatever its trailer
                container.close()
        if self._part is not None:
            self._part.discard()

    def _start(self, first: Frame) -> None:
        """Open the target and set up all streams; the header follows with the first packet."""
        detail = self.detail
        options = dict(detail.container_options)
        if first.pts is not None and first.pts < 0 and detail.container.movie:
            # The edit list of mp4 and mov would hide what lies before zero: all moves, in step.
            options["avoid_negative_ts"] = "make_non_negative"
        if detail.display is not None:
            options |= NO_CHECKSUMS
        url = "pipe:1" if self._part is None else f"file:{self._part.path}"
        file: str | Y4mFile = url
        if detail.container.only_pictures and detail.setup.pixel_aspect is not None:
            file = self._file = Y4mFile(url, detail.setup.pixel_aspect)
        self._container = container = open_target(file, detail.container, options)
        container.metadata.update(detail.metadata)
        provenance = self.plan.provenance_text()
        if provenance and detail.container.provenance:
            container.metadata[detail.container.provenance] = provenance
        self._side = SideStreams(self._packets, container)
        taken = {stream.index for stream in self.metadata.others}
        own = next(index for index in range(len(taken) + 1) if index not in taken)
        self._side.add(plan for plan in detail.streams if plan.stream.index < own)
        self._stream = self._add_video(container)
        self._side.tracks.append(None)
        self._side.add(plan for plan in detail.streams if plan.stream.index > own)
        if detail.container.chapters:
            container.set_chapters(list(self._moved_chapters()))  # type: ignore[arg-type]  # dicts
        self._side.attach()

    def _add_video(self, container: OutputContainer) -> av.VideoStream:
        """The picture's stream, and the encoder of its packets."""
        setup, template = self.detail.setup, self.detail.template
        added: Stream
        if template is None:
            added = container.add_stream(setup.encoder, rate=setup.rate)
            assert isinstance(added, av.VideoStream)  # as its trial showed
            self._encoder = added.codec_context
            setup.apply(self._encoder)
        else:  # with the side data that the source's header states, and an encoder of its own
            added = container.add_stream_from_template(template, opaque=True)
            context = av.CodecContext.create(setup.encoder, "w")
            assert isinstance(added, av.VideoStream)
            assert isinstance(context, VideoCodecContext)
            if container.format.flags & _WANTS_APART:
                context.flags |= _HEADERS_APART
            setup.apply(context)
            with ordinary_scheduling():
                context.open()
            added.codec_context.codec_tag = context.codec_tag
            setup.describe(added.codec_context)
            added.codec_context.extradata = context.extradata
            self._encoder = context
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
        picture = make_frame(converted(frame, setup.form, setup.coding), setup.form)
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

    def _place(self, frame: Frame) -> tuple[int, int]:
        """A frame's pts and duration in the encoder's ticks; pts strictly increase."""
        if frame.pts is None:
            raise ValueError("the frame has no pts")
        scale = frame.time_base / self.detail.setup.time_base
        pts = round(frame.pts * scale)
        if self._written.last is not None and pts <= self._written.last:
            pts = self._written.last + 1
        return pts, max(1, round((frame.duration or 0) * scale))

    def _mux(self, packets: Iterable[AnyPacket]) -> None:
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


class Y4mFile:
    """A y4m file or pipe, whose header gets the shape of pixels: PyAV has no call for it."""

    def __init__(self, url: str, aspect: Fraction) -> None:
        target = 1 if url == "pipe:1" else url.removeprefix("file:")
        self._file = open(target, "wb", closefd=target != 1)  # noqa: SIM115  # closed by `close`
        self._aspect = f" A{aspect.numerator}:{aspect.denominator}".encode()

    def write(self, data: bytes) -> int:
        """Write; the header is in what comes first."""
        whole = bytes(data)
        if self._aspect:
            whole, self._aspect = whole.replace(b" A0:0", self._aspect, 1), b""
        self._file.write(whole)
        return len(data)

    def close(self) -> None:
        """Write what is pending. Raises OSError."""
        self._file.close()
