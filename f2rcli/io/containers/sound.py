"""Sound that the target cannot hold as it is, decoded and encoded again."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.stream import Stream

from f2rcli.io.containers.kinds import Container, describe_like
from f2rcli.io.containers.packets import AnyPacket
from f2rcli.io.ffmpeg.encoders import is_encoder
from f2rcli.io.ffmpeg.metadata import family_of

# Bits per second and channel: transparent or close to it.
_BIT_RATES = {"libopus": 96_000, "aac": 128_000, "libmp3lame": 128_000, "ac3": 96_000}
# The usual layout of so many channels, for files that state their number alone.
_USUAL = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSetup:
    """All settings that an audio encoder is opened with."""

    encoder: str
    rate: int  # samples per second
    layout: str
    form: str  # FFmpeg's sample format

    def apply(self, context: AudioCodecContext) -> None:
        """Configure a new encoder."""
        context.rate, context.layout, context.format = self.rate, self.layout, self.form
        context.time_base = Fraction(1, self.rate)
        if self.encoder in _BIT_RATES:
            context.bit_rate = _BIT_RATES[self.encoder] * context.layout.nb_channels

    @property
    def words(self) -> str:
        """`opus 48000 Hz stereo`."""
        return f"{av.Codec(self.encoder, 'w').canonical_name} {self.rate} Hz {self.layout}"


def choose_sound(container: Container, stream: AudioStream) -> SoundSetup | None:
    """A container's first encoder, with the most channels, for a stream's sound, lossless for
    lossless; None without one or a decoder."""
    source = stream.codec_context
    if source is None or not source.rate or not source.layout.nb_channels:
        return None
    lossless = source.codec.lossless and not source.codec.lossy
    encoders = [e for e in container.sound if is_encoder(e, "audio")]
    fitting = [e for e in encoders if e in _BIT_RATES or lossless]
    for layout in (source.layout.name, *_layouts(source.layout.nb_channels)):
        for encoder in fitting:
            setup = _setup(encoder, source, layout)
            if _opens(setup):
                return setup
    return None


def _layouts(channels: int) -> list[str]:
    """Usual layouts of so many channels or fewer, the most first."""
    return [_USUAL[count] for count in sorted(_USUAL, reverse=True) if count <= channels]


def _setup(encoder: str, source: AudioCodecContext, layout: str) -> SoundSetup:
    codec = av.Codec(encoder, "w")
    rates = sorted(codec.audio_rates or [source.rate])
    rate = next((rate for rate in rates if rate >= source.rate), rates[-1])
    forms = [form.name for form in codec.audio_formats or []]
    own = source.format.name
    alike = [form for form in forms if form.rstrip("p") == own.rstrip("p")]
    floats = [form for form in forms if form.startswith("flt")]
    return SoundSetup(
        encoder=encoder, rate=rate, layout=layout, form=(alike or floats or forms or [own])[0]
    )


def _opens(setup: SoundSetup) -> bool:
    context = av.CodecContext.create(setup.encoder, "w")
    assert isinstance(context, AudioCodecContext)
    try:
        setup.apply(context)
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


class SoundConverter:
    """Re-encodes a stream's sound at its own time stamps; gaps become silence."""

    def __init__(self, stream: AudioStream, setup: SoundSetup, container: OutputContainer) -> None:
        self.source, self.setup = stream.codec_context, setup
        target = container.add_stream(setup.encoder, rate=setup.rate)
        assert isinstance(target, AudioStream)  # as `choose_sound` saw to
        setup.apply(target.codec_context)
        target.codec_context.open()
        describe_like(target, stream)
        self.target = target
        self._graph: Graph | None = None
        self._kind: tuple[object, ...] = ()  # of the frames that the graph takes

    def turn(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """The sound of a packet, as far as it makes whole packets. Raises av.FFmpegError."""
        for frame in self.source.decode(packet):
            yield from self._encoded(frame)

    def finish(self) -> Iterator[AnyPacket]:
        """The packets that decoder, filter and encoder still hold."""
        for frame in self.source.decode(None):
            yield from self._encoded(frame)
        yield from self._flushed()
        yield from self.target.encode(None)

    def _encoded(self, frame: AudioFrame) -> Iterator[AnyPacket]:
        kind = frame.sample_rate, frame.format.name, frame.layout.name
        if kind != self._kind:
            yield from self._flushed()
            self._graph, self._kind = self._graph_for(frame), kind
        assert self._graph is not None  # just made
        self._graph.push(frame)
        yield from self._pulled()

    def _flushed(self) -> Iterator[AnyPacket]:
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pulled()

    def _pulled(self) -> Iterator[AnyPacket]:
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, EOFError):
                return
            if isinstance(frame, AudioFrame):
                yield from self.target.encode(frame)

    def _graph_for(self, frame: AudioFrame) -> Graph:
        setup, graph = self.setup, Graph()
        steps = [
            graph.add_abuffer(
                sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name,
                time_base=frame.time_base or Fraction(1, frame.sample_rate),
            ),
            graph.add("aresample", f"{setup.rate}:async=1"),
            graph.add("aformat", f"sample_fmts={setup.form}:channel_layouts={setup.layout}"),
            graph.add("abuffersink"),
        ]  # fmt: skip
        graph.link_nodes(*steps).configure()
        if size := self.target.codec_context.frame_size:
            graph.set_audio_frame_size(size)
        return graph


def sound_words(container: Container, stream: Stream, setup: SoundSetup) -> str:
    """Why sound is encoded again, for the plan."""
    return (
        f"audio #{stream.index} is encoded again, as {setup.words}: {container.name} cannot hold "
        f"{family_of(stream)}"
    )
