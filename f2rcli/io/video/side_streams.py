"""Side streams: copied packet by packet, or converted to a codec that the target holds."""

from collections import Counter
from fractions import Fraction

import av
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from f2rcli.io.ffmpeg.messages import ffmpeg_reason
from f2rcli.io.ffmpeg.metadata import is_cover, stream_line
from f2rcli.io.video.containers import copy_stream, describe_like
from f2rcli.io.video.packets import AnyPacket, SidePackets
from f2rcli.io.video.plan import StreamPlan, VideoDetail

_MIMES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif"}
_EXTENSIONS = {"png": "png", "mjpeg": "jpg", "bmp": "bmp", "gif": "gif"}


class SideStreams:
    """Muxes the packets of the other streams into the target, in step with the video."""

    def __init__(
        self, packets: SidePackets, detail: VideoDetail, container: OutputContainer
    ) -> None:
        self.packets = packets
        self.detail = detail
        self.container = container
        self._lost: list[str] = []
        self._broken: Counter[int] = Counter()  # packets the muxer refused, by source stream
        self._targets: dict[int, Stream] = {}  # by the index of the source stream
        self._texts: dict[int, _SubtitleConverter] = {}
        self._begun: set[int] = set()  # cut video streams that have reached a key frame

    def add(self, plans: tuple[StreamPlan, ...]) -> None:
        """Add target streams for these plans."""
        for plan in plans:
            index = plan.stream.index
            if plan.action == "copy":
                self._targets[index] = copy_stream(self.container, plan.stream)
            elif plan.action == "subtitle":
                turner = _SubtitleConverter(plan, self.container)
                self._targets[index], self._texts[index] = turner.target, turner

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
            self.packets.queue.remove(packet)
        self._lost += [
            f"{stream_line(stream)} (the picture is missing)" for stream in wanted.values()
        ]

    @property
    def lost(self) -> list[str]:
        """Losses that no plan foresaw, in words."""
        streams = {plan.stream.index: plan.stream for plan in self.detail.streams}
        broken = [
            f"{count} packet{'s' if count > 1 else ''} of {stream_line(streams[index])} (damaged)"
            for index, count in self._broken.items()
        ]
        return self._lost + broken

    def lose(self, what: str) -> None:
        """Record a loss."""
        self._lost.append(what)

    def drain(self) -> None:
        """Mux every queued packet."""
        queue = self.packets.queue
        while queue:
            packet = queue.popleft()
            target = self._targets.get(packet.stream_index)
            if target is None or not self._moved(packet):
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

    def _moved(self, packet: AnyPacket) -> bool:
        """Move a packet as the clip is moved; False if it lies outside a cut clip."""
        excerpt = self.packets
        time = packet.pts if packet.pts is not None else packet.dts
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


class _SubtitleConverter:
    """Converts text subtitles from one codec to another, event by event."""

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
