"""Video files and pipes, read with FFmpeg: frames, and packets of the other streams beside them."""

from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError
from f2rcli.frames import Frame
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.sequence import TimeRange, leading, timed, trailing
from f2rcli.io.video.decoder import (
    EXPORTED,
    HEADERS,
    AnyPacket,
    DamageLog,
    DecodedPicture,
    Decoder,
    SidePackets,
    first_steps8,
    step8,
)
from f2rcli.io.video.pixels import fits, read_planes
from f2rcli.io.video.probe import Probe
from f2rcli.io.video.source import (
    COMPLETE,
    LATE_INDEX,
    PIPE,
    StandardInput,
    choose_video,
    display_name,
    family_of,
    is_cover,
    open_source,
)

_REACHES = (1, 4, 16)  # times the usual length of a lead-in that is gone back for it, in turn
_MARGINS = (0, 2, 10)  # seconds before a place that are tried one after the other
_PROBED = 4  # pictures looked at before the first is given out
# With frame threads damage is reported too late: of H.264 and MPEG-4 after the picture is given
# out, of FFV1 and H.265 in the log, where nothing says of which picture.
_REPORTS_LATE = DamageLog.CODECS
_AFTER_END = 1  # seconds read beyond a cut, for streams that are interleaved late
_OUTPUT_CORRUPT = 1 << 3  # FFmpeg's AV_CODEC_FLAG_OUTPUT_CORRUPT


class VideoReader(Reader):
    """A clip that FFmpeg demuxes."""

    def __init__(self, source: str | Path, options: ReadOptions) -> None:
        self.source = str(source)
        self.name = display_name(source)
        self.options = options
        self.span = TimeRange.of(options)
        self.ledger = Ledger(name=self.name)
        self.side = SidePackets()
        self._aspect: Fraction | None = None  # of a pixel, by the codec
        piped = StandardInput() if self.source == PIPE else None
        self._input: StandardInput | Path = piped or Path(source)
        self.container = open_source(piped or source)
        with ExitStack() as opened:
            opened.callback(self.container.close)
            self.stream = choose_video(self.container, self.name)
            context = self._context()
            self._decoder = Decoder(
                self.container, self.stream, context, self.ledger, self.side.add
            )
            opened.callback(self._decoder.close)
            ahead = self._first_pictures()
            self._probe = Probe(self.container, self.stream, ahead, options, self.name)
            self._ahead = ahead  # decoded already; each is released when it is taken
            self.info, self.metadata = self._probe.info(), self._probe.metadata()
            self._opened = opened.pop_all()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames. Raises InputError for what cannot be read."""
        self.side.begin()
        stamps = array("q")
        for frame in self._within(*self._begun()):
            if not frame.context:
                stamps.append(frame.pts or 0)
            yield frame
        if self._decoder.ended and self.side.end is None:
            self._probe.check_end(self._decoder, self.ledger, self._input)
        self._probe.check_gaps(stamps, self.ledger)

    def opening(self) -> Iterator[Frame]:
        if not self.span.start:
            return
        if self.source == PIPE or not Path(self.source).is_file():
            self.ledger.remark(
                "the noise was measured on the excerpt instead of the clip's first frames, because "
                "a pipe cannot be read twice"
            )
            return
        whole = replace(self.options, start=None, end=None, frames=None, lead=0, trail=0)
        with VideoReader(self.source, whole) as reader:
            yield from reader

    def _context(self) -> VideoCodecContext:
        """The decoder: FFmpeg's own, but libvpx where only it gives the alpha plane."""
        alpha = self.stream.metadata.get("alpha_mode") == "1"
        wrapped = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(family_of(self.stream))
        if alpha and wrapped in av.codecs_available:
            context = av.CodecContext.create(wrapped, "r")
            if isinstance(context, VideoCodecContext):
                return context
        threads = "SLICE" if family_of(self.stream) in _REPORTS_LATE else "AUTO"
        self.stream.codec_context.thread_type = threads
        self.stream.codec_context.options = EXPORTED
        if family_of(self.stream) == "hevc":  # else it keeps back all up to the next key frame
            self.stream.codec_context.flags |= _OUTPUT_CORRUPT
        return self.stream.codec_context

    def _first_pictures(self) -> list[DecodedPicture]:
        pictures: list[DecodedPicture] = []
        for picture in self._decoder:
            if picture.frame is not None or pictures:
                pictures.append(picture)
            if len(pictures) == _PROBED:
                break
        if not pictures:
            reason = f" ({self.ledger.faults[0]})" if self.ledger.faults else ""
            piped = self.source == PIPE and "mov" in self.container.format.name
            raise InputError(
                f"{self.name}: no picture could be decoded{reason}.",
                hint=LATE_INDEX if piped else COMPLETE,
            )
        return pictures

    @cached_property
    def _first_steps8(self) -> tuple[float, float]:
        """Quantiser steps from the headers of the first key frames and other frames; 0: unknown."""
        known = family_of(self.stream) in HEADERS
        if not known or self.source == PIPE or not Path(self.source).is_file():
            return 0.0, 0.0  # of a named pipe, what is read here would be missing later
        with open_source(self.source) as container:
            return first_steps8(container, choose_video(container, self.name))

    def _begun(self) -> tuple[deque[Frame], Iterator[Frame]]:
        """The context before the excerpt, and the clip from there; goes back farther for copies and
        sparse frames."""
        tail = partial(self._probe.tail, decoder=self._decoder)
        for reach in _REACHES:
            whole = self._set_out(reach * self.options.lead * self._probe.step)
            frames = self._frames(chain(self._taken(), self._decoder))
            clip = timed(frames, self._probe.step, self.ledger, tail)
            lead, clip = leading(clip, self._early, self.options.lead)
            if whole or len(lead) == self.options.lead:
                break
        return lead, clip

    def _taken(self) -> Iterator[DecodedPicture]:
        self._ahead.reverse()
        while self._ahead:
            yield self._ahead.pop()

    def _set_out(self, lead: int) -> bool:
        """Go to a key frame `lead` ticks before the excerpt, or before that; whether it is the very
        beginning, from which one reads on where one cannot go elsewhere.

        Transport streams find times only roughly, so what comes after a seek is looked at.
        """
        if not self.span.start or self.source == PIPE or self._probe.untimed:
            return True
        first, tick = self._probe.first_pts, self._probe.time_base
        target = first + int(self.span.start / tick) - lead
        if target <= first and self._ahead:  # where one is
            return True
        covers = [packet for packet in self.side.queue if is_cover(packet.stream)]
        places = [target - round(margin / tick) for margin in _MARGINS]
        there = any(place > first and self._reaches(place, target) for place in places)
        if not there:
            self._rewind()
        self.side.queue.extendleft(covers)
        return not there

    def _reaches(self, place: int, target: int) -> bool:
        """Seek; whether a sound key frame at or before `target` follows."""
        picture = self._sought(place)
        if picture is None or picture.frame is None or picture.pts is None:
            return False
        return picture.pts <= target and picture.frame.key_frame and not picture.corrupt

    def _sought(self, place: int, **how: Any) -> DecodedPicture | None:
        """Seek; the picture that follows, which is the next to be taken; None where one cannot."""
        self.ledger.clear()  # of what lies before the excerpt that is asked for
        try:
            self.container.seek(place, **(how or {"stream": self.stream}))
        except av.FFmpegError:
            return None
        self.side.queue.clear()
        self._decoder.restart()
        picture = next(iter(self._decoder), None)
        self._ahead = [picture] if picture is not None and picture.frame else []
        return picture

    def _rewind(self) -> None:
        """Go back to the first picture by time, else to the first byte; Matroska and AVI do not
        move on a byte seek."""
        first = self._probe.first_pts
        picture = self._sought(first)
        if picture is not None and picture.frame and picture.pts == first:
            return
        if self._sought(0, unsupported_byte_offset=True) is None and self._sought(first) is None:
            raise InputError(f"{self.name}: is not seekable.", hint="Leave out start=.")

    def _early(self, frame: Frame) -> bool:
        """Whether a frame lies before the excerpt; its damage does not count then."""
        early = self.span.before(self._since(frame))
        if early:
            self.ledger.forgive(frame)
        return early

    def _since(self, frame: Frame) -> Fraction:
        return ((frame.pts or 0) - self._probe.first_pts) * self._probe.time_base

    def _frames(self, pictures: Iterator[DecodedPicture]) -> Iterator[Frame]:
        before: Frame | None = None
        for picture in pictures:
            if picture.frame is not None:
                before = self._frame(picture, picture.frame)
                yield before
            elif before is None:
                self.ledger.remark("frames before the first key frame could not be decoded")
            else:
                self.ledger.held += 1
                yield Frame(
                    planes=before.planes, layout=before.layout, pts=picture.pts,
                    duration=picture.duration or None, time_base=self._probe.time_base, held=True,
                )  # fmt: skip

    def _frame(self, picture: DecodedPicture, decoded: av.VideoFrame) -> Frame:
        info = self.info
        if (decoded.width, decoded.height) != (info.width, info.height):
            sizes = f"from {info.width}x{info.height} to {decoded.width}x{decoded.height}"
            raise self._changed(f"picture size changes {sizes}", picture)
        form, planes = read_planes(decoded)
        if not fits(info.layout, form):
            raise self._changed(f"pixel format changes to {form.name}", picture)
        unlike = decoded.interlaced_frame and not (info.interlaced or self._probe.single_fields)
        if unlike and self.options.fields == "auto":
            self.ledger.remark(
                f"interlaced frames{self._when(picture).replace(' at ', ' from ')} were treated as "
                "progressive; pass fields='on' to treat them as interlaced"
            )
        aspect = self._decoder.context.sample_aspect_ratio
        if aspect is not None and aspect != self._aspect:
            if self._aspect is not None:
                self.ledger.remark(
                    f"the shape of pixels changes from {self._aspect} to {aspect}"
                    f"{self._when(picture)}; the output keeps the first"
                )
            self._aspect = aspect
        return Frame(
            planes=planes,
            layout=info.layout,
            pts=None if self._probe.untimed else picture.pts,
            duration=None if self._probe.untimed else picture.duration or None,
            time_base=self._probe.time_base,
            corrupt=picture.corrupt,
            quantiser8=step8(decoded, info.layout.bits)
            or self._first_steps8[not decoded.key_frame],
        )

    def _changed(self, what: str, picture: DecodedPicture) -> InputError:
        hint = "Denoise the parts separately, with end= and start=."
        return InputError(f"{self.name}: the {what}{self._when(picture)}.", hint=hint)

    def _when(self, picture: DecodedPicture) -> str:
        return (
            "" if picture.pts is None else f" at {float(picture.pts * self._probe.time_base):.2f} s"
        )

    def _within(self, lead: deque[Frame], clip: Iterator[Frame]) -> Iterator[Frame]:
        """The frames of the excerpt, moved to begin when their source did, and their context."""
        if self.span.whole:
            yield from clip
            return
        last = next(clip, None)
        if last is None:
            raise InputError(
                f"{self.name}: has no frame at or after {float(self.span.start):g} s.",
                hint="Pass an earlier start=.",
            )
        moved = (last.pts or 0) - self._probe.first_pts
        for taken, frame in enumerate(chain([last], clip)):
            if self.span.beyond(self._since(frame), taken):
                yield from self._beyond(chain([frame], clip), last, moved)
                return
            if not taken:
                self.side.start = (frame.pts or 0) * self._probe.time_base
                self.side.shift = self.side.start - self._probe.first_time
                while lead:
                    yield replace(self._moved(lead.popleft(), moved), context=True)
            last = frame
            yield self._moved(frame, moved)

    def _moved(self, frame: Frame, by: int) -> Frame:
        """A frame moved `by` ticks earlier, with its index in the whole clip."""
        index = round(((frame.pts or 0) - self._probe.first_pts) / self._probe.step)
        return replace(frame, pts=(frame.pts or 0) - by, index=index)

    def _beyond(self, clip: Iterator[Frame], last: Frame, moved: int) -> Iterator[Frame]:
        """After the excerpt: frames that come along; then read on a little for packets of other
        streams that belong before its end."""
        first = next(clip)
        end = self.side.end = (first.pts or 0) * self._probe.time_base
        for frame in trailing(chain([first], clip), last, self.options.trail):
            self.ledger.forgive(frame)
            yield replace(self._moved(frame, moved), context=True)
        if not self.side.wanted:
            return

        def past(packet: AnyPacket) -> bool:
            time = packet.dts if packet.dts is not None else packet.pts
            return time is not None and time * packet.time_base > end + _AFTER_END

        self._decoder.skip_aside(past)

    def describe(self) -> list[dict[str, Any]]:
        return self._probe.describe(self.info)

    def paths(self) -> list[Path]:
        return [] if self.source == PIPE else [Path(self.source)]

    def close(self) -> None:
        self._ahead = []
        self.side.queue.clear()
        self._opened.close()
