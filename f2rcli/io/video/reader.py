"""Video files and pipes, read with FFmpeg: frames, packets of the other streams beside them, the
facts of the clip, and whether what the file promises was there."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import av

import f2rcli.io.video.source as ffmpeg
from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame, same_samples
from f2rcli.io.base import Ledger, Reader, ReadOptions, shown_name
from f2rcli.io.sequence import trailing
from f2rcli.io.video.decoder import MATROSKA, OF_HEADER, DecodedPicture, Decoder, step8
from f2rcli.io.video.pixels import UNSPECIFIED, fits, read_planes
from f2rcli.io.video.streams import SidePackets, stream_facts
from f2rcli.units import count

# How far one goes back for a lead-in, in turn: times its usual length, and seconds before that.
_TRIES = ((1, 0), (1, 2), (16, 10))
_PROBED = 4  # pictures looked at before the first is given out
_AFTER_END = 1  # seconds read beyond a cut, for streams that are interleaved late
_BOTTOM_FIRST = (3, 5)  # FFmpeg's AV_FIELD_BB and AV_FIELD_BT
# Formats in which nothing says how long they should be: a cut between two frames shows nowhere.
_ENDLESS = {
    "mpegts": "a transport stream", "mpeg": "a program stream", "h264": "an elementary stream",
    "hevc": "an elementary stream", "mpegvideo": "an elementary stream",
}  # fmt: skip
_UNREFERRED = "frames before the first key frame could not be decoded"
_Y4M_FRAME = 6  # bytes before each picture of y4m: FRAME and a line's end


class VideoReader(Reader):
    """A clip that FFmpeg demuxes."""

    def __init__(self, source: str, options: ReadOptions) -> None:
        self.source = source
        self.name = shown_name(source, "standard input")
        self.options = options
        self.ledger = Ledger(name=self.name)
        self.side = SidePackets()
        self._aspect: Fraction | None = None  # of a pixel, by the codec
        self._piped = ffmpeg.StandardInput() if self.source == ffmpeg.PIPE else None
        # A named pipe is no file: what is read of it once is missing later.
        self._again = self.source != ffmpeg.PIPE and Path(source).is_file()
        self._ahead: list[DecodedPicture] = []  # decoded; each is released when it is taken
        self._opened, self._elsewhere = ExitStack(), ExitStack()
        try:
            self._open(self._opened)
            self._at_first = self._decoder
            self._ahead = self._first_pictures()
            self._note_facts(self._ahead)
        except BaseException:
            self.close()
            raise

    def _open(self, opened: ExitStack) -> None:
        """Open the source, at its beginning; `opened` will close it."""
        self.container = opened.enter_context(ffmpeg.open_source(self.source, self._piped))
        self.stream = ffmpeg.choose_video(self.container, self.name)
        self._decoder = Decoder(
            self.container, self.stream, self.ledger, lambda packet: self.side.queue.append(packet)
        )
        # Its threads log through Python; freed while one of them does, it would wait for that
        # thread and the thread for Python, for ever.
        opened.callback(self._decoder.context.flush_buffers)
        self._ahead = []

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames. Raises InputError for what cannot be read."""
        if not self.side.wanted:
            self.side.queue = deque(maxlen=0)
        yield from self._within(*self._begun())
        if self._decoder.ended and self.side.end is None:
            self._check_end()
        start, end = self.side.start, self.side.end
        for time, lost in self._decoder.holes:
            if (start is None or time > start) and (end is None or time <= end):
                self.ledger.missing_frames += lost
                about = f"about {count(lost)} missing before {float(time):.2f} s"
                self.ledger.fault(f"its bytes are damaged: {about}")

    def opening(self) -> Iterator[Frame]:
        if not self.options.begins:
            return
        if not self._again:
            what = "the noise was measured on the excerpt, not on the clip's first frames"
            self.ledger.remark(f"{what}: a pipe cannot be read twice")
            return
        whole = replace(self.options, start=None, end=None, frames=None, lead=0, trail=0)
        with VideoReader(self.source, whole) as reader:
            yield from reader

    def _first_pictures(self) -> list[DecodedPicture]:
        pictures: list[DecodedPicture] = []
        for picture in self._decoder.pictures:
            if picture.frame is not None or pictures:
                pictures.append(picture)
            else:
                self.ledger.remark(_UNREFERRED)
            if len(pictures) == _PROBED:
                break
        if not pictures:
            reason = f" ({self.ledger.faults[0]})" if self.ledger.faults else ""
            piped = self.source == ffmpeg.PIPE and "mov" in self.container.format.name
            hint = ffmpeg.LATE_INDEX if piped else ffmpeg.COMPLETE
            raise InputError(f"{self.name}: no picture could be decoded{reason}.", hint=hint)
        return pictures

    # --- Frames of the excerpt, and around it

    def _begun(self) -> tuple[deque[Frame], Iterator[Frame]]:
        """The context before the excerpt, from farther for copies, and the clip from there."""
        for reach, margin in _TRIES:
            if self._sought(reach * self.options.lead * self._step, margin):
                lead, clip = self._from_here()
                if len(lead) == self.options.lead:
                    return lead, clip
        if not self._ahead:  # it is elsewhere by now
            self._reopen()
        return self._from_here()

    def _from_here(self) -> tuple[deque[Frame], Iterator[Frame]]:
        """The last different frames before the excerpt, oldest first, and all from its first on."""
        clip = self._timed(self._frames(chain(self._taken(), self._decoder.pictures)))
        lead = deque[Frame](maxlen=self.options.lead)
        for frame in clip:
            if not self.options.before(self._since(frame)):
                return lead, chain([frame], clip)
            self.ledger.forgive(frame)
            if not (lead and same_samples(lead[-1], frame)):
                lead.append(frame)
        return lead, clip

    def _timed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Give every frame a pts, strictly increasing, and a duration, until the next begins; of
        the last, where the container knows better than it when that ends, until then."""
        before: Frame | None = None
        for frame in frames:
            pts = frame.pts
            if before is None:
                pts = pts or 0
            else:
                last = before.pts or 0
                pts = last + (before.duration or self._step) if pts is None else pts
                if pts <= last:
                    self.ledger.remark("time stamps that did not increase were moved forward")
                    pts = last + 1
                yield replace(before, duration=pts - last)
            before = replace(frame, pts=pts)
        if before is None:
            return
        # Where pictures are reordered, a container sums up steps of decoding time, and only the
        # picture that is both decoded and shown last knows how long it is shown.
        stream, decoder, held = self.stream, self._decoder, before.duration or 0
        knows = decoder.reordered and before.pts == decoder.last_sent and held
        # Of a file that was cut off the rest is missing, and not one picture that long.
        whole = self.options.begins or decoder.counted >= stream.frames
        if whole and not (knows or stream.start_time is None or self._end is None):
            there = stream.start_time + (stream.duration or 0) - (before.pts or 0)
            held = there if there > 0 else held
        yield replace(before, duration=held or self._step)

    def _taken(self) -> Iterator[DecodedPicture]:
        while self._ahead:
            yield self._ahead.pop(0)

    def _sought(self, lead: int, margin: int) -> bool:
        """Go to a sound key frame at or before the place `lead` ticks before the excerpt, asked for
        `margin` seconds earlier, as transport streams find times only roughly; False where the clip
        begins later, or cannot be entered there."""
        if not self.options.begins or not self._again or self._untimed:
            return False
        target = self._first_pts + int(self.options.begins / self._tick) - lead
        place = target - round(margin / self._tick)
        if place <= self._first_pts:
            return False
        self._reopen()
        with suppress(av.FFmpegError):
            self.container.seek(place, stream=self.stream)
            picture = next(self._decoder.pictures, None)
            if picture is not None and picture.frame is not None and picture.pts is not None:
                sound = picture.frame.key_frame and not picture.corrupt and picture.pts <= target
                self._ahead = [picture] * sound
        return bool(self._ahead)

    def _reopen(self) -> None:
        """Begin anew with a second look at the file; the first stays open for what it states."""
        self.ledger = Ledger(name=self.name)  # without what lies before the excerpt
        self.side.queue.clear()
        self._elsewhere.close()
        self._open(self._elsewhere)

    def _since(self, frame: Frame) -> Fraction:
        return ((frame.pts or 0) - self._first_pts) * self._tick

    def _frames(self, pictures: Iterator[DecodedPicture]) -> Iterator[Frame]:
        before: Frame | None = None
        for picture in pictures:
            if picture.frame is not None:
                before = self._frame(picture, picture.frame)
                yield before
            elif before is None:
                self.ledger.remark(_UNREFERRED)
            else:
                self.ledger.held += 1
                now = replace(before, pts=picture.pts, duration=picture.duration or None)
                yield replace(now, held=True, corrupt=False, quantiser8=0.0)

    def _frame(self, picture: DecodedPicture, decoded: av.VideoFrame) -> Frame:
        info, when = self.info, ""
        if picture.pts is not None:
            when = f" at {float((picture.pts - self._first_pts) * self._tick):.2f} s"
        form, planes = read_planes(decoded)
        before, now = f"{info.width}x{info.height}", f"{decoded.width}x{decoded.height}"
        if now != before or not fits(info.layout, form.samples):
            changes = f"{self.metadata.pix_fmt} {before} to {form.name} {now}{when}"
            what = f"{self.name}: the pictures' format or size changes from {changes}."
            raise InputError(what, hint="Cut it there (ffmpeg -ss, -t), and denoise the parts.")
        unlike = decoded.interlaced_frame and not (info.interlaced or self.metadata.single_fields)
        if unlike and self.options.fields == "auto":
            what = "some frames are interlaced, and were treated as progressive"
            self.ledger.remark(f"{what}; fields='on' treats all as interlaced")
        aspect = self._decoder.context.sample_aspect_ratio
        if aspect is not None and aspect != self._aspect:
            if self._aspect is not None:
                changes = f"the shape of pixels changes from {self._aspect} to {aspect}{when}"
                self.ledger.remark(f"{changes}; the output keeps the first")
            self._aspect = aspect
        own8 = step8(decoded, self.metadata.family)
        return Frame(
            planes=planes, layout=info.layout, time_base=self._tick, corrupt=picture.corrupt,
            pts=None if self._untimed else picture.pts,
            duration=None if self._untimed else picture.duration or None,
            quantiser8=own8 or OF_HEADER * self._at_first.steps8[not decoded.key_frame],
        )  # fmt: skip

    def _within(self, lead: deque[Frame], clip: Iterator[Frame]) -> Iterator[Frame]:
        """The frames of the excerpt, moved to begin when their source did, and their context; then
        it reads on a little for packets of other streams that belong before the end."""
        if self.options.whole:
            yield from clip
            return
        last = next(clip, None)
        if last is None:
            what = f"{self.name}: has no frame at or after {float(self.options.begins):g} s."
            raise InputError(what, hint="Name an earlier time.")
        moved = (last.pts or 0) - self._first_pts
        for taken, frame in enumerate(chain([last], clip)):
            if self.options.beyond(self._since(frame), taken):
                end = self.side.end = (frame.pts or 0) * self._tick
                for after in trailing(chain([frame], clip), last, self.options.trail):
                    self.ledger.forgive(after)
                    yield replace(self._moved(after, moved), context=True)
                if self.side.wanted:
                    self._decoder.skip_aside(end + (frame.duration or 0) * self._tick + _AFTER_END)
                return
            if not taken:
                self.side.start = (frame.pts or 0) * self._tick
                self.side.shift = self.side.start - self._first_time
                while lead:
                    yield replace(self._moved(lead.popleft(), moved), context=True)
            last = frame
            yield self._moved(frame, moved)

    def _moved(self, frame: Frame, by: int) -> Frame:
        """A frame moved `by` ticks earlier, with its index in the whole clip."""
        index = round(((frame.pts or 0) - self._first_pts) / self._step)
        return replace(frame, pts=(frame.pts or 0) - by, index=index)

    # --- Facts of the clip

    def _note_facts(self, pictures: Sequence[DecodedPicture]) -> None:
        stream, first, form = self.stream, pictures[0].frame, self.container.format.name
        assert first is not None  # else none of them would be there
        if int(first.colorspace) == UNSPECIFIED:  # libvpx forgets what the container states
            first.colorspace = stream.codec_context.colorspace
        facts = ffmpeg.picture_facts(first)
        known, clock = stream.guessed_rate, stream.time_base
        if known and clock and known * clock == 1:  # of what FFmpeg saw no picture it knows no rate
            known = None
        known = known or stream.average_rate
        rate = Fraction(known) if known else None  # newer PyAV has rationals of its own
        self._untimed = all(picture.pts is None for picture in pictures)
        usual = 1 / (rate or Fraction(25))
        self._tick = usual if self._untimed else stream.time_base or Fraction(1, 1000)
        self._step = max(1, round(usual / self._tick))  # ticks of a frame of the usual length
        self._first_pts = first.pts or 0
        self._first_time = self._first_pts * self._tick  # seconds, container time
        # Durations count from zero there, and not from the first frame.
        from_zero = form in (MATROSKA, "nut", "asf")
        # When the video, and all that the file holds, end by how long it says they last; seconds,
        # container time.
        timed = bool(stream.duration and rate) and not (self._untimed or from_zero)
        self._end = (self._first_pts + (stream.duration or 0)) * self._tick if timed else None
        start, lasts = self.container.start_time or 0, self.container.duration
        last = Fraction((0 if from_zero else start) + (lasts or 0), av.time_base)
        self._last_end = last if lasts else None
        fields = sum(p.frame is not None and p.frame.interlaced_frame for p in pictures)
        flagged = 2 * fields >= len(pictures)
        # FFmpeg flags pictures of H.265 as interlaced where each of them is one field.
        single_fields = flagged and ffmpeg.family_of(stream) == "hevc"
        flagged = flagged and not single_fields
        auto = self.options.fields == "auto" and not single_fields
        scan = ffmpeg.scan_of([p.frame for p in pictures if p.frame is not None]) if auto else ""
        codec, pixels = stream.codec_context.codec, read_planes(first)[0]
        by_codec = stream.codec_context.field_order not in _BOTTOM_FIRST
        layout, assumed = pixels.layout_tagged(facts.colour, first.height)
        videos = [s for s in self.container.streams.video if not ffmpeg.is_cover(s)]
        notes = {
            assumed or "": assumed is not None,
            f"the file has no time stamps; {float(1 / self._tick):g} frames/s assumed":
                self._untimed and form != "avi",  # which states the rate
            f"{len(videos)} video streams: only #{stream.index} is denoised": len(videos) > 1,
            "the clip is flagged interlaced but treated as progressive, as requested":
                flagged and self.options.fields == "off",
            "looks interlaced, but is not flagged so: fields='on' would denoise its fields apart":
                scan in ("tff", "bff") and not flagged,
            "is flagged interlaced, but looks progressive: fields='off' would denoise whole frames":
                scan == "progressive" and flagged,
            "every picture is one field; fields are denoised as they follow each other":
                single_fields,
        }  # fmt: skip
        part = self.options.begins or self.options.ends is not None
        promised = 0 if part else self.stream.frames
        self.info = ClipInfo(
            name=self.name, width=first.width, height=first.height, layout=layout, rate=rate,
            frames=min(promised, self.options.frames or promised) or None, time_base=self._tick,
            duration=self._duration(rate),
            interlaced={"auto": flagged, "on": True, "off": False}[self.options.fields],
            top_field_first=facts.top_field_first if flagged else by_codec,
            # Whether something is lost while frames depend on each other.
            coded=bool(codec.lossy) and not codec.intra_only,
            notes=tuple(note for note, true in notes.items() if true),
        )  # fmt: skip
        aspect = stream.sample_aspect_ratio or facts.pixel_aspect
        if aspect and form == MATROSKA and facts.stereo:
            aspect /= ffmpeg.WIDENED.get(facts.stereo[0], 1)
        chapters = tuple(self.container.chapters())
        path = Path(self.source) if self._again else None  # of a pipe, nothing is read ahead
        family = ffmpeg.family_of(stream)
        own8 = median(step8(p.frame, family) for p in pictures if p.frame is not None)
        self.metadata = replace(
            facts, container=form, family=family, stream=stream,
            step8=lambda: own8 or self._at_first.steps8[1],
            single_fields=single_fields, pixel_aspect=aspect,
            crop=ffmpeg.hidden(self.container, stream.index),
            container_tags=dict(self.container.metadata), chapters=chapters,
            lost=tuple(ffmpeg.lost_of_header(path, form, len(chapters))) if path else (),
            others=tuple(s for s in self.container.streams if s.index != stream.index),
        )  # fmt: skip
        self._rotation = first.rotation or None

    def describe(self) -> list[dict[str, Any]]:
        info, metadata, mastering = self.info, self.metadata, self.metadata.mastering
        order = "top field first" if info.top_field_first else "bottom field first"
        own = {
            "denoised": True, "profile": self.stream.profile, "width": info.width,
            "height": info.height, "pixel_format": metadata.pix_fmt, "bits": info.layout.bits,
            "frames": self.stream.frames or None, "rate": info.rate and float(info.rate),
            "pixel_aspect": metadata.pixel_aspect and str(metadata.pixel_aspect),
            "rotation": self._rotation, "colour": metadata.colour.named(),
            "matrix": info.layout.matrix.value,
            "field_order": order if info.interlaced else "progressive",
            "mastering": mastering and [float(v) for v in mastering.display],
            "light": mastering and mastering.light,
        }  # fmt: skip
        denoised = self.stream.index
        return [stream_facts(s, own if s.index == denoised else {}) for s in self.container.streams]

    def paths(self) -> list[Path]:
        return [] if self.source == ffmpeg.PIPE else [Path(self.source)]

    def close(self) -> None:
        self._ahead = []
        self.side.queue.clear()
        self._elsewhere.close()
        self._opened.close()

    # --- What the file promises

    def _duration(self, rate: Fraction | None) -> float | None:
        """Seconds that will be read, as far as the container knows."""
        asked, end = self.options, self._last_end if self._end is None else self._end
        ends = [] if end is None else [end - self._first_time]
        if asked.frames is not None and rate:
            ends.append(asked.begins + Fraction(asked.frames) / rate)
        ends += [] if asked.ends is None else [asked.ends]
        return float(max(min(ends) - asked.begins, Fraction(0))) if ends else None

    def _check_end(self) -> None:
        """Compare what index and header promise with what came: a cut file may end in silence."""
        form, decoder, ledger = self.container.format.name, self._decoder, self.ledger
        if decoder.hidden:
            hides = f"its edit list hides {count(decoder.hidden)}: no player shows them, and f2r"
            ledger.remark(f"{hides} reads none of them")
        came = decoder.reached - self._first_time or decoder.packets * self._step * self._tick
        what = _ENDLESS.get(form)
        if what is not None:
            missing = f"more may be missing after {float(came):.2f} s"
            ledger.remark(f"{what} does not say where it ends: {missing}")
        if form == "yuv4mpegpipe" and (self._piped or self._again):
            size, read_to = decoder.read_to
            there = self._piped.size if self._piped else Path(self.source).stat().st_size
            more = -(-(there - read_to) // (_Y4M_FRAME + size))  # FFmpeg drops parts unsaid
            ledger.promised("its size", decoder.packets + more, decoder.packets)
            return
        if self.stream.frames and not self.options.begins:
            ledger.promised("its index", self.stream.frames, decoder.counted)
            return
        if form == MATROSKA and not decoder.cut_off:  # its header counts on other streams, too
            return
        step, by, end = self._step * self._tick, "its video stream", self._end
        slack = 0 if decoder.cut_off else max(2 * step, Fraction(1, 10))
        read = decoder.reached + (0 if decoder.has_durations else step)
        if end is None and not self._untimed:
            by, read, end = "its header", decoder.newest, self._last_end
        if end is None and decoder.cut_off:
            ledger.fault(f"it breaks off after {float(read - self._first_time):.2f} s")
        elif end is not None and end - read > slack + 2 * self._tick:
            promised, last = float(end - self._first_time), float(read - self._first_time)
            frames = max(1, round((end - read) / step))
            start = _UNREFERRED in ledger.remarks  # from where its clock and that duration count
            about = f"about {count(frames)} missing {'at the start' if start else 'at the end'}"
            if start and what is not None:  # recordings of a broadcast begin anywhere
                ledger.remark(about)
                return
            ledger.missing_frames += frames
            ledger.fault(f"{by} promises {promised:.2f} s, {last:.2f} s were read: {about}")
