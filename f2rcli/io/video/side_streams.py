"""The streams beside the video: copied packet for packet, or turned into what the target holds."""

from collections import Counter
from fractions import Fraction

import av
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from f2rcli.io.base import Reader
from f2rcli.io.video.containers import copy_stream, describe_like
from f2rcli.io.video.ffmpeg_input import AnyPacket, ffmpeg_reason, is_cover
from f2rcli.io.video.plan import StreamPlan, VideoDetail
from f2rcli.io.video.source_metadata import stream_line

_MIMES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif"}
_EXTENSIONS = {"png": "png", "mjpeg": "jpg", "bmp": "bmp", "gif": "gif"}


class SideStreams:
    """Takes the packets that a reader lays aside into the target, in step with the video."""

    def __init__(self, reader: Reader, detail: VideoDetail, container: OutputContainer) -> None:
        self.reader = reader
        self.detail = detail
        self.container = container
        self._lost: list[str] = []
        self._broken: Counter[int] = Counter()  # packets the muxer refused, by source stream
        self._targets: dict[int, Stream] = {}  # by the index of the source stream
        self._texts: dict[int, _SubtitleTurner] = {}
        self._begun: set[int] = set()  # cut video streams that have reached a key frame

    def add(self, plans: tuple[StreamPlan, ...]) -> None:
        """Add target streams for these plans."""
        for plan in plans:
            index = plan.stream.index
            if plan.action == "copy":
                self._targets[index] = copy_stream(self.container, plan.stream)
            elif plan.action == "subtitle":
                turner = _SubtitleTurner(plan, self.container)
                self._targets[index], self._texts[index] = turner.target, turner

    def attach(self) -> None:
        """Put cover art into the header, for containers that keep it there."""
        wanted = {p.stream.index: p.stream for p in self.detail.streams if p.action == "attach"}
        for packet in list(self.reader.side):
            stream = wanted.pop(packet.stream_index, None)
            if stream is None:
                continue
            name = stream.codec_context.name
            title = stream.metadata.get("filename") or f"cover.{_EXTENSIONS.get(name, name)}"
            mime = stream.metadata.get("mimetype") or _MIMES.get(name, "application/octet-stream")
            self.container.add_attachment(title, mime, bytes(packet))
            self.reader.side.remove(packet)
        self._lost += [
            f"{stream_line(stream)} (its picture is missing)" for stream in wanted.values()
        ]

    @property
    def lost(self) -> list[str]:
        """What could not be carried over after all, in words."""
        streams = {plan.stream.index: plan.stream for plan in self.detail.streams}
        broken = [
            f"{count} packet{'s' if count > 1 else ''} of {stream_line(streams[index])} (damaged)"
            for index, count in self._broken.items()
        ]
        return self._lost + broken

    def lose(self, what: str) -> None:
        """Enter something that could not be carried over."""
        self._lost.append(what)

    def drain(self) -> None:
        """Mux every packet that waits at the side."""
        side = self.reader.side
        while side:
            packet = side.popleft()
            target = self._targets.get(packet.stream_index)
            if target is None or not self._place(packet):
                continue
            turner = self._texts.get(packet.stream_index)
            turned = packet if turner is None else turner.turn(packet)
            if turned is None:
                continue
            turned.stream = target
            try:
                self.container.mux(turned)
            except (InvalidDataError, ArgumentError):  # of this packet, not of the disk
                self._broken[packet.stream_index] += 1

    def _place(self, packet: AnyPacket) -> bool:
        """Move a packet as the clip is moved; False if it lies outside a cut clip."""
        reader = self.reader
        time = packet.pts if packet.pts is not None else packet.dts
        if reader.cut is None or time is None or is_cover(packet.stream):
            return True
        seconds = time * packet.time_base
        if seconds < reader.cut or (reader.cut_end is not None and seconds >= reader.cut_end):
            return False
        if packet.stream.type == "video" and packet.stream_index not in self._begun:
            if not packet.is_keyframe:
                return False
            self._begun.add(packet.stream_index)
        moved = round(reader.shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - moved
        packet.dts = None if packet.dts is None else packet.dts - moved
        return True


class _SubtitleTurner:
    """Text subtitles of one codec into another's, event by event."""

    def __init__(self, plan: StreamPlan, container: OutputContainer) -> None:
        decoder = plan.stream.codec_context
        stream = container.add_stream(plan.codec)
        encoder = stream.codec_context
        if not isinstance(decoder, SubtitleCodecContext) or not isinstance(
            encoder, SubtitleCodecContext
        ):
            raise TypeError(f"{plan.codec} is not a subtitle codec")
        decoder.open(strict=False)
        encoder.subtitle_header = decoder.subtitle_header
        encoder.time_base = Fraction(1, 1000)
        describe_like(stream, plan.stream)
        self.decoder, self.encoder, self.target = decoder, encoder, stream

    def turn(self, packet: AnyPacket) -> AnyPacket | None:
        """The packet in the other codec; None for one that shows nothing."""
        try:
            events = self.decoder.decode2(packet)
            if events is None or not len(events):
                return None
            turned = self.encoder.encode_subtitle(events)
        except av.FFmpegError as error:
            if ffmpeg_reason(error):
                return None
            raise
        turned.pts, turned.dts, turned.duration = packet.pts, packet.pts, packet.duration
        turned.time_base = packet.time_base
        return turned
