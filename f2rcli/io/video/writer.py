"""Video files and pipes written: frames encoded and muxed in step with the other streams."""

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Frame
from f2rcli.io.atomic import PartFile
from f2rcli.io.base import Reader, Receipt, WritePlan, Writer, written_name
from f2rcli.io.disk_errors import disk_error
from f2rcli.io.provenance import append_text
from f2rcli.io.video import matroska
from f2rcli.io.video.colour import Filter
from f2rcli.io.video.containers import open_target, stream_tags
from f2rcli.io.video.decoder import AnyPacket, SidePackets
from f2rcli.io.video.encoders import CAPTIONERS, ordinary_scheduling
from f2rcli.io.video.pixels import converted, fill_frame, make_frame
from f2rcli.io.video.plan import VideoDetail
from f2rcli.io.video.reader import VideoReader
from f2rcli.io.video.side_streams import SideStreams
from f2rcli.io.video.source import PIPE, ffmpeg_reason, metadata_of, quiet_ffmpeg
from f2rcli.io.video.verify import Written, lost_facts, verified_file

_ERRORS = (av.FFmpegError, OSError)
_REORDERED = 32  # ticks; more than any encoder holds frames back, at one tick a frame
_KEY_PICTURE = 1  # FFmpeg's AV_PICTURE_TYPE_I
_WANTS_APART = 1 << 6  # FFmpeg's AVFMT_GLOBALHEADER, of a container
_HEADERS_APART = 1 << 22  # FFmpeg's AV_CODEC_FLAG_GLOBAL_HEADER


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
        self._chapters = 0  # written
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
                matroska.write_display_size(path, self._track, detail.display)
            except ValueError as error:  # better without than not at all
                self._side.lose(f"pixel aspect {detail.setup.pixel_aspect} ({error})")
        verified, lost = verified_file(
            path, self.name, self._stream.index, self._written, detail, self._side.sent,
            self._chapters,
        )  # fmt: skip
        stated = [what for what in self.plan.kept if what != "closed captions" or self._captioned]
        for what in (*lost, *lost_facts(path, stated, self.metadata, self.reader.info, detail)):
            self._side.lose(what)
        return self._part.publish(), verified

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
        self._side.add(detail.streams[place:])
        if detail.container.chapters:
            chapters = list(self._moved_chapters())
            self._chapters = len(chapters)
            container.set_chapters(chapters)  # type: ignore[arg-type]  # plain dicts
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
        added.metadata.update(stream_tags(self.metadata.stream_tags, self.detail.container.muxer))
        if self.detail.display is not None:  # takes its place
            added.metadata["title"] = added.metadata.get("title", "") + matroska.PADDING
        if self.metadata.disposition:
            added.disposition = self.metadata.disposition
        if self.detail.display_matrix:
            added.set_display_matrix(self.detail.display_matrix)
        if self.reader.info.interlaced:
            self._fields = Filter("setfield", "tff" if self.reader.info.top_field_first else "bff")
        return added

    def _moved_chapters(self) -> Iterator[dict[str, object]]:
        excerpt = self._packets
        for chapter in self.metadata.chapters:
            base = chapter["time_base"] or Fraction(1, 1000)
            start, end = chapter["start"] * base, chapter["end"] * base
            if excerpt.start is not None and end <= excerpt.start:
                continue
            if excerpt.end is not None and start >= excerpt.end:
                continue
            start = start if excerpt.start is None else max(start, excerpt.start)
            end = end if excerpt.end is None else min(end, excerpt.end)
            yield {
                "id": chapter["id"], "time_base": base, "metadata": dict(chapter["metadata"]),
                "start": round((start - excerpt.shift) / base),
                "end": round((end - excerpt.shift) / base),
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
        if self._container is None:
            raise ValueError("the writer is closed")
        for packet in packets:
            packet.stream = self._stream
            packet.time_base = self.detail.setup.time_base
            if packet.pts is not None and packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._mend_dts(packet)
            self._container.mux(packet)

    def _mend_dts(self, packet: AnyPacket) -> None:
        """Replace impossible decoding times (x265 on few frames); any increasing ones up to pts
        do."""
        written = self._written
        if packet.pts is None or packet.dts is None or written.first is None:
            return
        before = self._last_dts
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
