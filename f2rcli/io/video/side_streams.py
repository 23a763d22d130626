"""Side streams: copied packet by packet, or converted to a codec that the target holds."""

from collections import Counter
from collections.abc import Iterator
from copy import copy
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from f2rcli.io.containers.kinds import Packets, copy_stream, describe_like
from f2rcli.io.containers.packets import AnyPacket, SidePackets, shown_at
from f2rcli.io.containers.sound import SoundConverter
from f2rcli.io.ffmpeg.messages import ffmpeg_reason
from f2rcli.io.ffmpeg.metadata import is_cover, stream_line
from f2rcli.io.video.plan import StreamPlan, VideoDetail
from f2rcli.units import count

_MIMES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif"}
_EXTENSIONS = {"mjpeg": "jpg"}  # others are the codec's name


class SideStreams:
    """Muxes the packets of the other streams into the target, in step with the video."""

    def __init__(
        self, packets: SidePackets, detail: VideoDetail, container: OutputContainer
    ) -> None:
        self.packets = packets
        self.detail = detail
        self.container = container
        self.sent: dict[int, Packets] = {}  # by the index of the source stream
        self._covers = {p.stream.index for p in detail.streams if is_cover(p.stream)}
        self._lost: list[str] = []
        self._broken: Counter[int] = Counter()  # packets the muxer refused, by source stream
        self._targets: dict[int, Stream] = {}  # by the index of the source stream
        self._turners: dict[int, _SubtitleConverter | SoundConverter] = {}
        self._begun: set[int] = set()  # cut video streams that have reached a key frame

    def add(self, plans: tuple[StreamPlan, ...]) -> None:
        """Add target streams for these plans."""
        for plan in plans:
            index = plan.stream.index
            if plan.action == "copy":
                self._targets[index] = copy_stream(self.container, plan.stream)
            elif plan.action == "subtitle":
                turner = _SubtitleConverter(plan, self.container)
                self._targets[index], self._turners[index] = turner.target, turner
            elif plan.sound is not None and isinstance(plan.stream, AudioStream):
                sound = SoundConverter(plan.stream, plan.sound, self.container)
                self._targets[index], self._turners[index] = sound.target, sound

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
            self._count(packet, stream.index)
            self.packets.queue.remove(packet)
        self._lost += [
            f"{stream_line(stream)} (the picture is missing)" for stream in wanted.values()
        ]

    @property
    def lost(self) -> list[str]:
        """Losses that no plan foresaw, in words."""
        streams = {plan.stream.index: plan.stream for plan in self.detail.streams}
        broken = [
            f"{count(packets, 'packet')} of {stream_line(streams[index])} (damaged)"
            for index, packets in self._broken.items()
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
            if packet.stream_index in self._targets and self._moved(packet):
                self.container.start_encoding()  # a refused header is no fault of the packet
                self._put(packet)

    def finish(self) -> None:
        """Mux what converters still hold."""
        self.drain()
        for index, turner in self._turners.items():
            try:
                for packet in turner.finish():
                    self._mux(packet, index)
            except InvalidDataError:
                self._broken[index] += 1

    def _put(self, packet: AnyPacket) -> None:
        index = packet.stream_index
        turner = self._turners.get(index)
        try:
            for turned in (packet,) if turner is None else turner.turn(packet):
                self._mux(turned, index)
        except (InvalidDataError, ArgumentError):  # of this packet, not of the disk
            self._broken[index] += 1

    def _mux(self, packet: AnyPacket, index: int) -> None:
        packet.stream = self._targets[index]
        kept = copy(self.sent.get(index))
        self._count(packet, index)  # before it is muxed: then it is empty
        try:
            self.container.mux(packet)
        except (InvalidDataError, ArgumentError):
            self.sent[index] = kept or Packets()
            raise

    def _count(self, packet: AnyPacket, index: int) -> None:
        self.sent.setdefault(index, Packets()).add(packet, keep=index in self._covers)

    def _moved(self, packet: AnyPacket) -> bool:
        """Move a packet as the clip is moved; False if it lies outside a cut clip."""
        excerpt = self.packets
        time = shown_at(packet)
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
        assert isinstance(decoder, SubtitleCodecContext)  # as the plan's maker saw to
        assert isinstance(encoder, SubtitleCodecContext)
        decoder.open(strict=False)
        encoder.subtitle_header = decoder.subtitle_header
        encoder.time_base = Fraction(1, 1000)
        describe_like(stream, plan.stream)
        self.decoder, self.encoder, self.target = decoder, encoder, stream

    def finish(self) -> Iterator[AnyPacket]:
        """Nothing is held back."""
        return iter(())

    def turn(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """The packet in the other codec; nothing for one that shows nothing."""
        try:
            events = self.decoder.decode2(packet)
            if events is None or not len(events):
                return
            turned = self.encoder.encode_subtitle(events)
        except av.FFmpegError as error:
            if ffmpeg_reason(error):
                return
            raise
        turned.pts, turned.dts, turned.duration = packet.pts, packet.pts, packet.duration
        turned.time_base = packet.time_base
        yield turned
