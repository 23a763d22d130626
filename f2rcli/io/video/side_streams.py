"""Side streams: copied packet by packet, or their sound encoded again where that was asked for."""

from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError
from av.stream import Stream

from f2rcli.errors import OutputError
from f2rcli.io.video.containers import copy_stream, stream_tags
from f2rcli.io.video.decoder import AnyPacket, SidePackets, shown_at
from f2rcli.io.video.plan import StreamPlan, VideoDetail
from f2rcli.io.video.source import ffmpeg_reason, is_cover, stream_line
from f2rcli.units import count

_MIMES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif"}
_EXTENSIONS = {"mjpeg": "jpg"}  # others are the codec's name
# Bits per second and channel: transparent or close to it.
_BIT_RATES = {"libopus": 96_000, "aac": 128_000, "libmp3lame": 128_000, "ac3": 96_000}


@dataclass(slots=True)
class Packets:
    """A count of packets."""

    count: int = 0
    size: int = 0  # bytes
    first: bytes = b""

    def add(self, packet: AnyPacket, *, keep: bool = False) -> None:
        """Count a packet. keep: whether to remember it, if it is the first."""
        if keep and not self.count:
            self.first = bytes(packet)
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
        self.sent: dict[int, Packets] = {}  # by the index of the source stream
        self._covers = {p.stream.index for p in detail.streams if is_cover(p.stream)}
        self._lost: list[str] = []
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
        """Mux what sound encoders still hold."""
        self.drain()
        for index, sound in self._sound.items():
            try:
                for packet in sound.finish():
                    self._mux(packet, index)
            except InvalidDataError:
                self._broken[index] += 1

    def _put(self, packet: AnyPacket) -> None:
        index = packet.stream_index
        sound = self._sound.get(index)
        try:
            for turned in (packet,) if sound is None else sound.encoded(packet):
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

    def encoded(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """The sound of a packet, as far as it makes whole packets. Raises av.FFmpegError."""
        for frame in self.source.decode(packet):
            yield from self._resampled(frame)

    def finish(self) -> Iterator[AnyPacket]:
        """The packets that decoder, resampler and encoder still hold."""
        for frame in self.source.decode(None):
            yield from self._resampled(frame)
        yield from self._resampled(None)
        yield from self.target.encode(None)

    def _resampled(self, frame: AudioFrame | None) -> Iterator[AnyPacket]:
        for resampled in self._resampler.resample(frame):
            yield from self.target.encode(resampled)
