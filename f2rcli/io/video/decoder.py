"""Packets of a file: of the video, decoded one by one, so that damage costs a frame, not the run;
of other streams, on their way to a writer; and the quantiser of a codec's pictures."""

import heapq
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice
from statistics import median
from typing import Any, TypeAlias

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from f2rcli.io.base import Ledger
from f2rcli.io.video.pixels import overheard, side_data
from f2rcli.io.video.source import encrypted_error, family_of, ffmpeg_reason

_DELTA = slice(16, 20)  # bytes of a block's record that say by how much its own quantiser differs

_HEADERS = ("hevc", "vp9", "av1")  # families of codecs whose headers are read
_PACKETS = 16
OF_HEADER = 0.5  # of a header's step is what encoders make of it block by block, or less
_FIELD = re.compile(r"\b(init_qp_minus26|slice_qp_delta|base_q_idx)\s+\S+ = (-?\d+)")
# The step of VP9 and AV1 by quantiser index, eight times that of 8-bit pictures, at some of 256
# places (ac_qlookup and Ac_Qlookup); nearly straight in the logarithm between them.
_INDEX = (1, 25, 50, 95, 120, 150, 188, 219, 244, 255)
_EIGHTFOLD = (8, 32, 57, 102, 152, 255, 510, 915, 1479, 1828)


def step8(frame: av.VideoFrame, family: str) -> float:
    """The root mean square, over the blocks of a picture, of the step by which its transform was
    rounded, in units of 1/255 of the range of codes; 0 where nobody says."""
    # PNG has no step, and perhaps a profile; see `side_data`.
    params: Any = None if "png" in family else side_data(frame, Type.VIDEO_ENC_PARAMS)
    if params is None:
        return 0.0
    number, size = params.nb_blocks, params.block_size
    blocks = np.frombuffer(params, np.uint8, number * size, params.blocks_offset if number else 0)
    deltas = blocks.reshape(number, size)[:, _DELTA].copy().view(np.int32) if number else 0
    values = params.qp + np.asarray(deltas, np.float64)
    # H.264 doubles the step every six values, and is 1 at 4 (ITU-T H.264, 8.5.9); MPEG's value is
    # the step of a weight of 16, as FFmpeg exports it.
    steps = {"H264": 2 ** ((values - 4) / 6), "MPEG2": values}.get(params.codec_type.name, 0.0)
    bits = max(part.bits for part in frame.format.components)
    return float(np.sqrt(np.mean(np.square(steps)))) * 2.0 ** (8 - bits)


def stated(lines: list[str]) -> float:
    """The median step that lines of FFmpeg's `trace_headers` state; 0: none do."""
    steps, whole = [], 26
    for name, value in (found.groups() for found in map(_FIELD.search, lines) if found):
        if name == "init_qp_minus26":
            whole = 26 + int(value)
        elif name == "slice_qp_delta":
            steps.append(2 ** ((whole + int(value) - 4) / 6))
        else:
            steps.append(float(np.exp(np.interp(int(value), _INDEX, np.log(_EIGHTFOLD)))) / 8)
    return median(steps) if steps else 0.0


# --- Packets --------------------------------------------------------------------------------------
_HELD_BACK = 256  # more pictures than any decoder keeps, threads included
_ERRORS = (av.FFmpegError, OSError, ValueError, IndexError, MemoryError)
# Decoders that report damage only in their log, and how. They decode in the thread that asks them:
# of others the log says neither which picture nor which clip it means.
_REPORTING = ("ffv1", "h264", "hevc", "mpeg4", "gif")
_DAMAGE = re.compile(
    r"CRC mismatch|Could not find ref with POC|Error constructing|[Cc]orrupt|LZW decode failed"
)
_PACKED = re.compile(rb"DivX\d+(b|Build)\d+p")  # in the stream of an encoder that packs
_MAY_JUMP = ("mpegts", "mpeg")  # FFmpeg's names of formats whose clock may start again
MATROSKA = "matroska,webm"  # of which the log says where FFmpeg lost its place, or the end
_LATE = 3  # packets of the picture within which a hole follows; parsers keep some back
_BACK = Fraction(1, 2)  # seconds; decoding times never run backwards by themselves

AnyPacket: TypeAlias = "Packet[Stream]"  # in quotes: generic in PyAV's stubs only


def shown_at(packet: AnyPacket) -> int | None:
    """When a packet is shown, in ticks; its decoding time where the container has no other."""
    return packet.dts if packet.pts is None else packet.pts


def move(packet: AnyPacket, by: Fraction) -> None:
    """Move a packet's time stamps by so many seconds, in place."""
    ticks = round(by / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A decoded picture, or the place of one that was lost (`frame` None)."""

    frame: av.VideoFrame | None
    pts: int | None  # in ticks of the stream
    duration: int  # ticks; 0 means not known
    corrupt: bool = False


def _context_of(stream: av.VideoStream) -> VideoCodecContext:
    """The decoder of a stream: FFmpeg's own, but libvpx where only it gives the alpha plane."""
    family = family_of(stream)
    wrapped = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(family)
    context = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1" and wrapped in av.codecs_available:
        other = av.Codec(wrapped, "r").create("video")
        for tag in ("color_primaries", "color_trc", "color_range"):
            setattr(other, tag, getattr(context, tag))  # as the container states them
        other.options = context.options.copy()
        return other
    # FFmpeg 8.1 decodes several pictures of Theora at once before what they refer to is there.
    context.thread_type = "SLICE" if family in ("theora", "vp3", "vp4") else "AUTO"
    context.thread_count = 1 if family in _REPORTING else 0
    # Every picture comes with AVVideoEncParams among its side data.
    context.options |= {"export_side_data": "venc_params"}
    context.flags |= Flags.unaligned  # else columns that headers hide at the left are shown
    if family == "hevc":  # else it keeps back all up to the next key frame
        context.flags |= Flags.output_corrupt
    return context


class Decoder:
    """The pictures of one stream in display order; packets of other streams go to `aside`."""

    def __init__(
        self, container: InputContainer, stream: av.VideoStream, ledger: Ledger,
        aside: Callable[[AnyPacket], None],
    ) -> None:  # fmt: skip
        self.container, self.stream, self.ledger, self.aside = container, stream, ledger, aside
        self.context = _context_of(stream)
        self.newest = Fraction(0)  # seconds; the furthest any packet reached
        self.reached = Fraction(0)  # seconds; the furthest any of this stream reached
        self.has_durations = False  # whether packets of this stream say how long they last
        self.packets = 0  # of this stream
        self.read_to = 0, 0  # the size of the last of them, and the place behind it; bytes
        self.hidden = 0  # of them, by an edit list
        self.holes: list[tuple[Fraction, int]] = []  # their ends, seconds, and pictures in them
        self.last_sent: int | None = None  # pts of the last packet given to the decoder
        self.reordered = False  # times of packets say that they are shown in another order
        self._late = False  # pictures came that are shown before others that are decoded first
        self._reported = False  # damage of the picture that comes next
        self.ended = False  # the demuxer gave all that it could
        self.cut_off = False  # and said that the file goes on
        self._expected: list[tuple[int, int]] = []  # heap of (pts, duration) sent, not yet shown
        self._owed = 0  # packets sent minus pictures received
        self._shown = -1 << 63  # end of the last picture shown, ticks
        self._pts = self._paired = -1 << 63  # its own, and up to where its second field may lie
        self._due: dict[int, Fraction] = {}  # when each stream should go on, seconds
        self._moves: dict[int, Fraction] = {}  # seconds, by stream; see `_join`
        self._first: list[tuple[bool, bytes]] = []  # packets, whether of key frames; of some codecs
        self._demuxed = self._demux()
        # With a place for each one that was sent to the decoder and lost; for all who look.
        self.pictures = self._run()

    def _run(self) -> Iterator[DecodedPicture]:
        first = list(islice(self._demuxed, _PACKETS * (family_of(self.stream) in _HEADERS)))
        self._first = [(packet.is_keyframe, bytes(packet)) for packet in first]
        for packet in chain(first, self._demuxed):
            yield from self._decode(packet)
        self.ended = True
        for _ in range(_HELD_BACK):
            frames = self._decoded(None, "a frame near the end could not be decoded")
            for frame in frames or ():
                yield from self._show(frame)
            if frames == []:
                break
        yield from self._lost_before(None)

    @cached_property
    def steps8(self) -> tuple[float, float]:
        """The median steps of the first key frames and of the other first pictures, by headers; 0
        where they do not say."""
        lines: tuple[list[str], list[str]] = ([], [])
        with overheard(av.logging.INFO) as said, suppress(av.FFmpegError):  # the decoder's to tell
            headers = BitStreamFilterContext("trace_headers", self.stream)
            for is_key, data in self._first:
                said.clear()
                headers.filter(Packet(data))
                lines[not is_key].extend(line for _, _, line in said)
        key, other = map(stated, lines)
        return key, other or key

    @property
    def counted(self) -> int:
        """Packets that came, as an index counts them: AVI's counts empty ones that repeat a frame,
        too, and those are not to be had."""
        if self.container.format.name != "avi":
            return self.packets
        lasted = self._due.get(self.stream.index, Fraction(0)) / (self.stream.time_base or 1)
        return max(self.packets, round(lasted))

    def skip_aside(self, until: Fraction) -> None:
        """Read on for other streams' sake, to a picture that lasts beyond so many seconds."""
        for _ in self._demuxed:
            if self._due.get(self.stream.index, until) > until:
                return

    def _demux(self) -> Iterator[AnyPacket]:
        """The packets of this stream; those of others go aside."""
        wanted = [s for s in self.container.streams if s.type != "attachment"]
        packets = self.container.demux(*wanted)
        form, broken = self.container.format.name, 0
        may_pack, unpack = form == "avi" and family_of(self.stream) == "mpeg4", None
        try:
            while True:
                with av.logging.Capture() as said:
                    packet = next(packets, None)
                if packet is None:
                    return
                lost = any(name == MATROSKA for _, name, _ in said)
                if lost or packet.is_corrupt:
                    self.cut_off = not packet.size  # PyAV ends each stream with an empty packet
                    broken = _LATE
                if form in _MAY_JUMP and packet.time_base:
                    self._join(packet)
                time = shown_at(packet)
                if time is not None and packet.time_base:
                    length = packet.duration or 0
                    reach = (time + length) * packet.time_base
                    self.newest = max(self.newest, reach)
                    if packet.stream_index == self.stream.index:
                        self.reached = max(self.reached, reach)
                        self.has_durations |= bool(length)
                        if broken > 0:
                            self._hole(packet)
                        broken -= 1
                    if packet.dts is not None:
                        self._due[packet.stream_index] = (packet.dts + length) * packet.time_base
                if not packet.size:  # ends a stream, or repeats a frame (AVI): pts say so too
                    continue
                if packet.stream_index != self.stream.index:
                    self.aside(packet)
                    continue
                if may_pack and _PACKED.search(bytes(packet)):
                    unpack = BitStreamFilterContext("mpeg4_unpack_bframes", self.stream)
                may_pack = False
                yield from self._unpacked(packet, unpack) if unpack else (packet,)
        except _ERRORS as error:
            self._fault(f"reading stopped at {float(self.newest):.2f} s", error)

    def _hole(self, packet: AnyPacket) -> None:
        """Where bytes are damaged, count the pictures that should have come before a packet; uneven
        times alone are no damage."""
        time, base, due = shown_at(packet), packet.time_base, self._due.get(packet.stream_index)
        if time is None or due is None or packet.dts is None or not packet.duration:
            return
        lost = round((packet.dts * base - due) / (packet.duration * base))
        if lost > 0:
            self.holes.append((time * base, lost))

    def _join(self, packet: AnyPacket) -> None:
        """Move a packet behind a backward jump, of joined transport streams or a clock's end, so
        that its stream goes on where it was. Forward jumps are gaps in time and stay. Streams jump
        one after the other, hence one move for each; those too sparse to tell, such as subtitles,
        move with the picture."""
        index = packet.stream_index
        dense = packet.stream.type in ("video", "audio")
        by = self._moves.get(index if dense else self.stream.index, Fraction(0))
        if dense and packet.dts is not None:
            seconds = packet.dts * packet.time_base + by
            due = self._due.get(index, seconds)
            if seconds < due - _BACK:
                by = self._moves[index] = by + due - seconds
                self.ledger.remark("time stamps jump back; they were joined without a gap")
        if by:
            move(packet, by)

    def _unpacked(self, packet: AnyPacket, by: BitStreamFilterContext) -> Iterator[AnyPacket]:
        """The pictures that one of DivX's packets packs together, without its wrong times."""
        try:
            for single in by.filter(packet):
                single.pts = single.dts = None
                single.stream = self.stream
                yield single
        except av.FFmpegError as error:
            self._fault(f"a packet at {self._time(packet)} could not be taken apart", error)

    def _decode(self, packet: AnyPacket) -> Iterator[DecodedPicture]:
        if packet.has_sidedata("encryption_info"):
            raise encrypted_error(self.ledger.name)
        if packet.pts is not None and not (packet.is_discard or self._unseen(packet)):
            heapq.heappush(self._expected, (packet.pts, packet.duration or 0))
            self._owed += 1
        self.packets += 1
        self.read_to = packet.size, (packet.pos or 0) + packet.size
        self.hidden += packet.is_discard
        if packet.pts is not None and self.last_sent is not None:
            self.reordered |= packet.pts < self.last_sent
        self.last_sent = packet.pts
        where = f"a packet at {self._time(packet)} could not be decoded"
        for frame in self._decoded(packet, where) or ():
            yield from self._show(frame)

    def _unseen(self, packet: AnyPacket) -> bool:
        """Whether a packet holds a picture of VP8 or VP9 that others refer to and nobody is shown:
        by a bit of its header (RFC 6386, 9.1; VP9, 6.2), unless others follow in it (Annex B); or
        nothing, as two bytes of TSCC that say that the screen stood still."""
        data, family = memoryview(packet), self.context.codec.canonical_name
        if family == "tscc":
            return len(data) <= 2
        if family == "vp9" and data[-1] & 0xE0 != 0xC0:
            more = (data[0] & 0x30) == 0x30  # of profile 3, which has a bit more in front
            return not data[0] << more & 0b1010
        return family == "vp8" and not data[0] & 16

    def _decoded(self, packet: "AnyPacket | None", where: str) -> list[av.VideoFrame] | None:
        """The pictures of a packet, or what the decoder held back; None where that is damaged."""
        with av.logging.Capture() as said:
            try:
                return self.context.decode(packet)
            except EOFError:
                return []
            except _ERRORS as error:
                self._fault(where, error)
                return None
            finally:
                own = (text for _, name, text in said if name in _REPORTING)
                self._reported |= any(map(_DAMAGE.search, own))

    def _show(self, frame: av.VideoFrame) -> Iterator[DecodedPicture]:
        # AVI, RealMedia, VC-1 in MP4 and others say when packets come, not when they are shown;
        # FFmpeg makes up the rest for AVI, wrongly for H.264.
        self._late |= self.context.has_b_frames and frame.pict_type == PictureType.B
        unsaid = self.container.format.name == "avi" or not self.reordered
        if self._late and unsaid and self._expected and frame.pts is not None:
            frame.pts = self._expected[0][0]
        if frame.pts is not None:
            yield from self._lost_before(frame.pts)
            self._owed -= 1
            self._shown = frame.pts + max(frame.duration, 1)
            # Fields may have packets of their own, half as far from each other as pictures are.
            pairs = frame.interlaced_frame and self.context.name == "h264"
            self._paired = frame.pts + (frame.pts - self._pts) * 3 // 4 * pairs
            self._pts = frame.pts
        corrupt, self._reported = frame.is_corrupt or self._reported, False
        self.ledger.corrupt += corrupt
        yield DecodedPicture(frame, frame.pts, max(frame.duration, 0), corrupt)

    def _lost_before(self, pts: int | None) -> Iterator[DecodedPicture]:
        """Places of pictures that were sent but will not come, now that `pts` has; packets within
        the picture before were second fields or empty."""
        while self._expected and (pts is None or self._expected[0][0] <= pts):
            expected, duration = heapq.heappop(self._expected)
            if expected == pts or self._owed <= (0 if pts is None else 1):
                continue
            self._owed -= 1
            if expected < max(self._paired, self._shown - max(duration, 1) // 4):
                continue
            self._shown = expected + max(duration, 1)
            yield DecodedPicture(None, expected, duration)

    def _time(self, packet: AnyPacket) -> str:
        time = shown_at(packet)
        return "an unknown time" if time is None else f"{float(time * packet.time_base):.2f} s"

    def _fault(self, what: str, error: BaseException) -> None:
        self.ledger.fault(f"{what}: {ffmpeg_reason(error)}")
