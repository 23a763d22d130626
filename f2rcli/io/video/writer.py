"""Video files and pipes written: planned first, then encoded, muxed beside the other streams, and
read back.

Everything that a run will lose is said by the plan. `kept` names only what the container stores by
the tests of it, in which other readers look.
"""

import contextlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

import f2rcli.io.video.streams as beside
from f2rcli.errors import OutputError
from f2rcli.frames import Frame
from f2rcli.io.base import Reader, WriteOptions, WritePlan, Writer, shown_name
from f2rcli.io.files import PartFile, check_target, disk_error, misread_error
from f2rcli.io.video.decoder import AnyPacket, shown_at
from f2rcli.io.video.encoders import EncoderSetup, choose_encoder, ordinary_scheduling
from f2rcli.io.video.pixels import converted, filtered, make_frame, stays
from f2rcli.io.video.reader import VideoReader
from f2rcli.io.video.source import PIPE, STEREO, TOLERANT, ffmpeg_reason, write_display
from f2rcli.units import count

_ERRORS = (av.FFmpegError, OSError)
_UNDATED = 2  # frames: of no more than these x265 leaves decoding times to what memory held
_KEY_PICTURE = 1  # FFmpeg's AV_PICTURE_TYPE_I
_HEADERS_APART = 1 << 22  # FFmpeg's AV_CODEC_FLAG_GLOBAL_HEADER, as all described containers want
_NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184  # of a transport stream: stuffing
_KNOWN = 16  # packets by which a file is known for a transport stream; FFmpeg wants eleven


def plan_video(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    source = reader.metadata
    container = beside.container_for(target, source.container, options.codec)
    if target != PIPE:
        check_target(Path(target), reader.paths(), overwrite=options.overwrite)
    setup = choose_encoder(reader, container, options, piped=target == PIPE)
    streams, fates = beside.plan_streams(source, container, options)
    if isinstance(reader, VideoReader):  # whose first frame may be read before a writer is open
        reader.side.wanted = True
    tags, container_options, more = beside.plan_tags(source, container)
    fates += [*more, *setup.fates()]
    if container.movie:  # without a time scale of their own, they round offsets and holds
        container_options["movie_timescale"] = str(max(1000, setup.time_base.denominator))
    crf = setup.options.get("crf", "")  # FFmpeg takes expressions, too
    return WritePlan(
        target=target, container=container.name, encoder=setup.encoder, pix_fmt=setup.form.name,
        crf=float(crf) if crf.replace(".", "", 1).isdecimal() else None,
        preset=setup.options.get("preset"), options=tuple(setup.options.items()),
        kept=tuple(what for what, reason in fates if not reason),
        dropped=(*setup.losses(), *(f"{what} ({reason})" for what, reason in fates if reason)),
        notes=tuple(setup.notes()), converts=not stays(reader.info.layout, setup.coding),
        detail=(setup, streams, container_options, tags),
    )  # fmt: skip


# --- Writing --------------------------------------------------------------------------------------
class VideoWriter(Writer):
    """A video file or pipe open for writing. One frame is held back: the last one may need to be a
    key picture, and only `finish` knows which that is."""

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        super().__init__(reader, plan)
        self.setup: EncoderSetup = plan.detail[0]
        self.kind, self.source = self.setup.container, self.setup.source
        self.name = shown_name(plan.target)
        self._container: OutputContainer | None = None
        self._held: Frame | None = None
        self._durations: dict[int, int] = {}  # of frames in the encoder, by pts
        self._tick = self.setup.time_base  # seconds; of the encoder
        # In its ticks: pts of the first and last frame that it was given, and the end of that.
        self._first, self._last, self._end = 0, -1, 0
        self._lengths: set[int] = set()  # for which they are shown
        self._file: Y4mFile | None = None
        self._packets = reader.side if isinstance(reader, VideoReader) else beside.SidePackets()
        if plan.target != PIPE:
            self.part = PartFile(Path(plan.target), overwrite=plan.overwrite)

    def write(self, frame: Frame) -> None:
        try:
            if self._container is None:
                self._start(frame)
            if self._held is not None:
                self._encode(self._held, last=False)
            self._held = frame
            self.frames += 1
            self._side.drain()
        except _ERRORS as error:
            raise self._failure(error) from error

    def _complete(self) -> tuple[str, ...]:
        assert self._held is not None  # since the first frame
        assert self._container is not None
        verified = tuple[str, ...]()
        try:
            self._encode(self._held, last=True)
            self._held = None
            packets = self._encoder.encode(None)
            if self.setup.encoder == "libx265" and self.frames <= _UNDATED:
                for packet in packets:
                    packet.dts = packet.pts
            self._mux(packets)
            self._side.finish()
            self._container.close()
            self._container = None
            if self._file is not None:
                self._file.close()
            if self.part is not None:
                if self.kind.name == "mpegts":
                    there = self.part.path.stat().st_size // len(_NULL_PACKET)
                    with self.part.path.open("ab") as file:
                        file.write(_NULL_PACKET * (_KNOWN - there))
                own = self._side.written().index(None)
                if self.setup.display is not None:
                    info, marked = self.reader.info, not self.setup.stereo
                    size = info.width, info.height
                    write_display(self.part.path, size, self.setup.display, marked=marked)
                verified = tuple(self._verified(self.part.path, own))
        except (*_ERRORS, ValueError) as error:  # of a header that is not as FFmpeg writes it
            raise self._failure(error) from error
        self.lost += self._side.lost()
        empty, plan = self._side.empty(), self.plan
        kept = tuple(what for what in plan.kept if what not in empty)
        dropped = (*plan.dropped, *(f"{what} (it is empty)" for what in empty))
        self.plan = replace(plan, kept=kept, dropped=dropped)
        return verified

    def seconds(self) -> float:
        return float((self._end - self._first) * self._tick)

    def _verified(self, path: Path, own: int) -> Iterator[str]:
        """Count the packets of a finished file; what was verified, in words. Raises OutputError for
        missing frames."""
        came, sizes, times = Counter[int](), Counter[int](), list[Fraction]()
        try:
            with av.open(f"file:{path}", "r", **TOLERANT) as container:
                streams = (s for s in container.streams if s.type != "attachment")
                for packet in container.demux(*streams):
                    index, time = packet.stream_index, shown_at(packet)
                    if packet.size and not (index == own and packet.is_discard):
                        came[index] += 1
                        sizes[index] += packet.size
                        if index == own and time is not None:  # the first and last count
                            now = time * packet.time_base
                            times = [min([now, *times]), max([now, *times])]
        except (*_ERRORS, ValueError, IndexError) as error:
            why = f"cannot be read back: {ffmpeg_reason(error)}"
            raise misread_error(self.name, why) from error
        base, kind = self._tick, self.kind
        if came[own] != self.frames:
            why = f"{self.frames} frames were written but the file has {came[own]}"
            raise misread_error(self.name, why)
        self.lost += self._side.missing(came, sizes)
        yield count(self.frames)
        if kind.only_pictures or not times:
            return
        first, last = times
        slack = max(Fraction(1, 1000 if kind.matroska else 90000), base)
        due, end = self._first * base, self._last * base
        if abs((last - first) - (end - due)) > 2 * slack:
            when = f"{float(end):.3f} s but is at {float(last):.3f} s"
            raise misread_error(self.name, f"the last frame should be at {when}")
        if abs(first - due) <= slack:
            yield f"last frame at {float(last):.3f} s"
        else:
            yield f"length; it starts at {float(first):.3f} s, not {float(due):.3f} s"

    def abandon(self) -> None:
        self._held = None
        if self.part is not None:
            self.part.remove()  # first: a trailer may take long and is not needed
        if self._container is not None:
            container, self._container = self._container, None
            with contextlib.suppress(*_ERRORS):  # the file goes away, whatever its trailer
                container.close()
        super().abandon()

    def _start(self, first: Frame) -> None:
        """Open the target and set up all streams; the header follows with the first packet."""
        setup, streams, options, tags = self.plan.detail
        kind = self.kind
        options = {"fflags": "+bitexact"} | options  # no random numbers, no FFmpeg's version
        if first.pts is not None and first.pts < 0 and kind.movie:
            # The edit list of mp4 and mov would hide what lies before zero: all moves, in step.
            options["avoid_negative_ts"] = "make_non_negative"
        if setup.display is not None:
            options["write_crc32"] = "0"  # of a header that will be changed
        url = "pipe:1" if self.part is None else f"file:{self.part.path}"
        if kind.only_pictures and self.source.pixel_aspect is not None:
            place = 1 if self.part is None else self.part.path
            self._file = Y4mFile(place, self.source.pixel_aspect)
        self._container = container = av.open(
            self._file or url, "w", format=kind.muxer, container_options=options
        )
        container.metadata.update(tags)
        provenance = self.plan.provenance_text()
        if provenance and kind.provenance:
            container.metadata[kind.provenance] = provenance
        self._side = beside.SideStreams(self._packets, container, kind)
        own = 0 if self.source.stream is None else self.source.stream.index
        self._side.add(plan for plan in streams if plan.stream.index < own)
        self._stream = self._add_video(container)
        self._side.order.append(None)
        self._side.add(plan for plan in streams if plan.stream.index > own)
        if kind.described:
            container.set_chapters(list(self._moved_chapters()))  # type: ignore[arg-type]  # dicts
        for said in (container.metadata, *(stream.metadata for stream in container.streams)):
            for key in {"timecode", "TIMECODE"} & {*said}:
                said[key] = beside.later(said[key], self._packets.shift, setup.rate)
        self._side.attach()

    def _add_video(self, container: OutputContainer) -> av.VideoStream:
        """The picture's stream, and the encoder of its packets."""
        setup, template = self.setup, self.setup.template
        added: Stream
        if template is None:
            added = container.add_stream(setup.encoder, rate=setup.rate)
            assert isinstance(added, av.VideoStream)  # as its trial showed
            self._encoder = added.codec_context
            setup.apply(self._encoder)
        else:  # with the side data that the source's header states, and an encoder of its own
            added = container.add_stream_from_template(template, opaque=True)
            context = av.Codec(setup.encoder, "w").create("video")
            assert isinstance(added, av.VideoStream)
            context.flags |= _HEADERS_APART
            setup.apply(context)
            with ordinary_scheduling():
                context.open()
            added.codec_context.codec_tag = context.codec_tag
            setup.describe(added.codec_context)
            added.codec_context.extradata = context.extradata
            self._encoder = context
        added.time_base = setup.time_base
        if self.source.stream is not None:
            beside.described(added, self.source.stream, container)
        if not self.kind.holds_layout(STEREO, self.source.stereo):
            added.metadata.pop("stereo_mode", None)  # WebM refuses others
        if setup.display is not None and not setup.stereo:
            added.metadata["stereo_mode"] = "left_right"  # see `write_display`
        matrix = self.source.display_matrix
        if matrix and self.kind.holds_matrix(matrix):
            added.set_display_matrix(matrix)
        return added

    def _moved_chapters(self) -> Iterator[dict[str, object]]:
        """The chapters within the excerpt, moved as it is."""
        begin, end, shift = self._packets.start, self._packets.end, self._packets.shift
        for chapter in self.source.chapters:
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
        setup = self.setup
        picture = make_frame(converted(frame, setup.coding), setup.form)
        if self.reader.info.interlaced:  # which a filter alone can flag
            order = "tff" if self.reader.info.top_field_first else "bff"
            (picture,) = filtered("setfield", order, picture)
        scale = frame.time_base / self._tick
        pts, duration = (round((ticks or 0) * scale) for ticks in (frame.pts, frame.duration))
        if self._lengths and pts <= self._last:
            pts = self._last + 1
        duration = max(1, duration)
        setup.tag(picture)
        picture.pts, picture.time_base = pts, self._tick
        picture.duration = duration
        self._first = self._first if self._lengths else pts
        self._last, self._end = pts, pts + duration
        self._lengths.add(duration)
        # An mp4 of uneven frames forgets how long the last one is shown, unless it is decoded
        # last as well, as key pictures are.
        picture.pict_type = _KEY_PICTURE if last and len(self._lengths) > 1 else 0
        self._durations[pts] = duration
        with ordinary_scheduling():  # the first picture opens the encoder
            packets = self._encoder.encode(picture)
        self._mux(packets)

    def _mux(self, packets: Iterable[AnyPacket]) -> None:
        assert self._container is not None  # open since the first frame
        for packet in packets:
            packet.stream, packet.time_base = self._stream, self._tick
            if packet.pts is not None and packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._container.mux(packet)

    def _failure(self, error: BaseException) -> OutputError:
        number = getattr(error, "errno", None)
        refused = isinstance(error, av.ArgumentError)  # by the muxer, whatever the disk
        if isinstance(number, int) and 0 < number < 1000 and not refused:
            return disk_error(Path(self.name), OSError(number, ffmpeg_reason(error)))
        hint = "Try another codec=, audio_codec= or container."
        return OutputError(f"{self.name}: writing failed: {ffmpeg_reason(error)}.", hint=hint)


class Y4mFile(io.BufferedWriter):
    """A y4m file or pipe, whose header gets the shape of pixels: PyAV has no call for it."""

    def __init__(self, place: int | Path, aspect: Fraction) -> None:
        super().__init__(io.FileIO(place, "wb", closefd=place != 1))
        self._aspect = f" A{aspect.numerator}:{aspect.denominator}".encode()

    def write(self, data: Any) -> int:
        """Write; the header is in what comes first."""
        super().write(bytes(data).replace(b" A0:0", self._aspect, 1) if self._aspect else data)
        self._aspect = b""
        return len(data)
