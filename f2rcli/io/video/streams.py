"""The containers that f2r writes, which streams beside the picture they take, and their packets.

Packets are copied; sound is encoded again where that is asked for.
"""

import io
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError
from av.stream import Disposition, Stream

from f2rcli.errors import UsageError
from f2rcli.io.base import WriteOptions
from f2rcli.io.video.decoder import AnyPacket, move, shown_at
from f2rcli.io.video.source import SPHERICAL, STEREO, SourceMetadata, family_of, is_cover
from f2rcli.units import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container format: its names and capabilities."""

    name: str  # for people
    muxer: str  # FFmpeg's name
    suffixes: tuple[str, ...]
    families: tuple[str, ...]  # of video codecs that players know in it; the first is its default
    options: tuple[tuple[str, str], ...] = ()
    provenance: str = ""  # the tag that says how the file was made; "" for none
    no_language: tuple[str, ...] = ()  # streams stored without it: types, codecs
    covers: str = ""  # "stream", "attachment" or "" for none
    movie: bool = False  # mp4 or mov: with edit lists, a time scale and an open list of tags
    matroska: bool = False  # or WebM, which is a part of it
    only_pictures: bool = False  # of one stream and one rate, and nothing beside them
    # Sound, subtitles, data and video that players find in it, where its muxer takes more.
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def described(self) -> bool:
        """Whether it holds tags, chapters, titles, shapes of pixels and side data of streams."""
        return self.movie or self.matroska

    def holds_matrix(self, matrix: tuple[int, ...]) -> bool:
        """Whether it states a display matrix; some state turns alone, and no flips."""
        return self.movie or (self.matroska and turns(matrix))

    def holds_layout(self, extra: str, stereo: tuple[int, ...]) -> bool:
        """Whether FFmpeg states a 360-degree or stereoscopic layout there: none in mov; in mp4 and
        WebM no stereo but side by side and top and bottom (1 and 2, 0 is none), in mp4 the left or
        upper eye first."""
        if extra not in (SPHERICAL, STEREO) or self.name == "mov":
            return False
        number, flags = stereo or (0, 0)  # 8: in a box of which FFmpeg reads no layout
        most = 8 if self.name == "matroska" else 3
        return extra == SPHERICAL or (number < most and not (flags and self.movie))


def turns(matrix: tuple[int, ...]) -> bool:
    """Whether a display matrix turns the picture and does not flip it."""
    return matrix[0] * matrix[4] - matrix[1] * matrix[3] > 0


_MOV = ("movflags", "+faststart"), ("strict", "unofficial")
_BROADCAST = ("aac", "mp2", "mp3", "ac3", "eac3", "dts", "opus", "truehd")
_TRANSPORT: dict[str, Any] = {
    "muxer": "mpegts", "families": ("h264", "hevc", "mpeg2video"),
    "options": (("mpegts_copyts", "1"),),
}  # fmt: skip

CONTAINERS = (
    Container(
        name="mp4", muxer="mp4", suffixes=(".mp4", ".m4v"), options=_MOV, covers="stream",
        families=("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg"), provenance="encoding_tool",
        movie=True,
        only={"audio": ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "dts", "mp2")},
    ),
    Container(
        name="mov", muxer="mov", suffixes=(".mov", ".qt"), options=_MOV, provenance="f2r",
        families=("h264", "hevc", "prores", "mjpeg", "dnxhd", "cfhd", "v210", "png", "mpeg4",
                  "qtrle"), movie=True,
    ),
    Container(
        name="matroska", muxer="matroska", suffixes=(".mkv",), provenance="F2R", matroska=True,
        families=("h264", "hevc", "av1", "vp9", "vp8", "mjpeg", "mpeg4", "mpeg2video", "prores",
                  "ffv1"), covers="attachment",
    ),
    Container(name="webm", muxer="webm", suffixes=(".webm",), families=("vp9", "av1", "vp8"),
              provenance="F2R", matroska=True),
    Container(
        name="mpegts", suffixes=(".ts", ".mts"), **_TRANSPORT, no_language=("video", "data"),
        only={"audio": _BROADCAST, "subtitle": ("dvb_subtitle", "dvb_teletext"),
              "data": ("scte_35", "klv", "timed_id3"),
              "video": ("h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4")},
    ),
    Container(  # as on Blu-ray discs: FFmpeg writes it for this suffix alone, with one picture
        name="m2ts", suffixes=(".m2ts",), **_TRANSPORT, no_language=("hdmv_pgs_subtitle",),
        only={"audio": _BROADCAST, "subtitle": ("hdmv_pgs_subtitle",), "data": (), "video": ()},
    ),
    Container(
        name="y4m", muxer="yuv4mpegpipe", suffixes=(".y4m",), families=("rawvideo",),
        options=(("strict", "-1"),), only_pictures=True,
    ),
)  # fmt: skip


def container_for(target: str, source_container: str, codec: str | None) -> Container:
    """A target's container by its suffix; for standard output y4m or mkv. Raises UsageError."""
    suffix = Path(target).suffix.lower()
    if target == "-":
        raw = codec == "rawvideo" or (codec is None and source_container == "yuv4mpegpipe")
        suffix = ".y4m" if raw else ".mkv"
    for container in CONTAINERS:
        if suffix in container.suffixes:
            return container
    known = " ".join(s for container in CONTAINERS for s in container.suffixes)
    what = f"{Path(target).name}: f2r does not write {suffix or 'files without a suffix'}."
    raise UsageError(what, hint=f"Choose one of {known}; for pictures a pattern, out/%05d.png.")


def default_target(source: Path) -> Path:
    """`clip_f2r.mp4` beside `clip.mp4`; for a suffix f2r does not write, .mkv, which holds most but
    the sound of a telephone's .3gp."""
    written = any(source.suffix.lower() in container.suffixes for container in CONTAINERS)
    other = ".mov" if source.suffix.lower() in (".3gp", ".3g2") else ".mkv"
    return source.parent / f"{source.stem}_f2r{source.suffix if written else other}"


def is_encoder(name: str, kind: str = "video") -> bool:
    """Whether this FFmpeg has an encoder of this name, for video or audio."""
    try:
        return av.Codec(name, "w").type == kind
    except ValueError:
        return False


# --- Streams -------------------------------------------------------------------------------------
_SOUND = {"opus": "libopus", "mp3": "libmp3lame", "vorbis": "libvorbis"}  # FFmpeg's names
_PER_CHANNEL = 96_000  # bits a second: transparent or close to it

_MIMES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif"}

# Languages that QuickTime numbers, as FFmpeg's table of the numbers spells them. By other spellings
# it knows no number, and writes none. mp4 has letters instead.
_QUICKTIME = {
    "sqi": "alb", "hye": "arm", "eus": "baq", "mya": "bur", "zho": "chi", "cze": "ces",
    "nld": "dut", "fre": "fra", "kat": "geo", "deu": "ger", "ell": "gre", "isl": "ice",
    "mkd": "mac", "msa": "may", "rum": "ron", "slo": "slk", "swe": "sve", "bod": "tib",
    "cym": "wel", "hrv": "hr ", "srp": "sr ",
}  # fmt: skip

# Tags of the file that the content came in.
_STALE = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "number_of_frames",
    "number_of_bytes", "bps", "vendor_id", "alpha_mode", "_statistics_writing_app", "software",
    "_statistics_tags", "_statistics_writing_date_utc", "f2r", "encoding_tool",
}  # fmt: skip


_MP4_TAGS = {  # what mp4 and mov store under names of their own
    "title", "artist", "album_artist", "album", "composer", "date", "year", "comment", "genre",
    "copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network",
    "keywords", "track", "disc", "creation_time", "timecode", "location", "location-eng",
}  # fmt: skip

Fate = tuple[str, str]  # something that the source states; why the target does not hold it, or ""


def stream_facts(stream: Stream, own: Mapping[str, Any]) -> dict[str, Any]:
    """One stream as a dict of plain values, for `f2r info`. own: what else is known of it."""
    facts: dict[str, Any] = {
        "index": stream.index,
        "kind": "cover art" if is_cover(stream) else stream.type,
        "codec": family_of(stream),
        "language": stream.language,
        "title": title_of(stream.metadata),
        "disposition": [flag.name for flag in Disposition if flag & stream.disposition],
        "start": _seconds(stream, stream.start_time),
        "duration": _seconds(stream, stream.duration),
        "sample_rate": getattr(stream.codec_context, "sample_rate", None),  # of sound
        "channels": getattr(stream.codec_context, "channels", None),
        **own,
    }
    return {key: value for key, value in facts.items() if value not in (None, [], {}, "")}


def stream_line(stream: Stream) -> str:
    """One stream in words: `audio #1 aac eng "Commentary"`."""
    kind = "cover art" if is_cover(stream) else stream.type
    words = [f"{kind} #{stream.index}", family_of(stream)]
    if stream.language and stream.language != "und":
        words.append(stream.language)
    if title := title_of(stream.metadata):
        words.append(f'"{title}"')
    return " ".join(word for word in words if word != "unknown")


def title_of(tags: Mapping[str, str]) -> str:
    """A stream's title; mp4 and mov keep it as its name, and FFmpeg reads it back as that."""
    title = tags.get("title") or tags.get("name", "")
    return title.encode(errors="surrogateescape").decode(errors="replace")


def _seconds(stream: Stream, ticks: int | None) -> float | None:
    if ticks is None or stream.time_base is None:
        return None
    return float(ticks * stream.time_base)


@dataclass(slots=True, eq=False, kw_only=True)
class SideStream:
    """A stream beside the video that the target keeps, and what has come of it there."""

    stream: Stream = field(repr=False)  # once its file is closed, PyAV cannot print it
    encoder: str = ""  # that sound goes through; "" where packets are copied
    target: Any = field(repr=False, default=None)  # the stream of the file it goes to
    packets: int = 0
    size: int = 0  # bytes
    refused: int = 0  # packets that the muxer did not take
    begun: bool | None = None  # a cut video stream has reached a key frame; None: nothing came

    @property
    def words(self) -> str:
        """The stream, and the codec it is encoded as."""
        codec = f" as {av.Codec(self.encoder, 'w').canonical_name}" if self.encoder else ""
        return stream_line(self.stream) + codec

    def encoded(self, packet: "AnyPacket | None") -> Iterator[AnyPacket]:
        """What becomes of a packet; None: what decoder and encoder of sound still hold."""
        if not self.encoder:
            yield from () if packet is None else (packet,)
            return
        assert isinstance(self.stream, AudioStream)  # as the plan saw to
        for frame in self.stream.codec_context.decode(packet):
            yield from self.target.encode(frame)
        if packet is None:
            yield from self.target.encode(None)


def plan_streams(
    source: SourceMetadata, container: Container, options: WriteOptions
) -> tuple[list[SideStream], list[Fate]]:
    """Plans of the other streams, and what becomes of each. Raises UsageError for sound and
    subtitles that another file could hold, and for an unknown codec."""
    plans, fates, none = list[SideStream](), list[Fate](), f"{container.name} holds none"
    codec = options.audio_codec
    encoder = _SOUND.get(codec, codec) if codec else ""
    if encoder and not is_encoder(encoder, "audio"):
        what = f"audio_codec={codec!r}: this FFmpeg has no such audio encoder."
        raise UsageError(what, hint="Try aac, opus, flac, mp3 or ac3.")
    for stream in source.others:
        if _rebuilt(source, container, stream):
            continue
        plan = SideStream(stream=stream, encoder=encoder if stream.type == "audio" else "")
        if not holds(container, stream, plan.encoder):
            if not container.only_pictures and not options.copy_only:
                _refuse(container, plan)
            fates.append((stream_line(stream), f"f2r cannot copy it into {container.name}"))
            continue
        plans.append(plan)
        fates.append((plan.words, ""))
        if stream.type == "attachment" or is_cover(stream):
            continue
        named = stream.language not in (None, "", "und")
        if named and {stream.type, family_of(stream)} & {*container.no_language}:
            fates.append((f"language of {stream_line(stream)}", none))
        if title_of(stream.metadata) and not container.described:
            fates.append((f"title of {stream_line(stream)}", none))
    return plans, fates


def _refuse(container: Container, plan: SideStream) -> None:
    """Raise UsageError for sound and subtitles that are lost only because of the chosen target."""
    stream = plan.stream
    if stream.type not in ("audio", "subtitle"):
        return
    ordered = sorted(CONTAINERS, key=lambda container: container.name != "matroska")
    holder = next((c.suffixes[0] for c in ordered if holds(c, stream, plan.encoder)), "")
    ways = [f"name {'an' if holder == '.mkv' else 'a'} {holder} file with output="] * bool(holder)
    if stream.type == "audio" and stream.codec_context is not None:
        usual = "opus" if container.name == "webm" else "aac"
        codec = "another audio_codec=" if plan.encoder else f"audio_codec={usual}"
        ways.append(f"pass {codec} to encode it again")
    if ways:
        hint = ", or ".join([*ways, "pass copy_only=True to leave it out"])
        hint = f"{hint[0].upper()}{hint[1:]}."
        verb = "encode" if plan.encoder else "copy"
        raise UsageError(f"f2r cannot {verb} {plan.words} into {container.name}.", hint=hint)


def _rebuilt(source: SourceMetadata, container: Container, stream: Stream) -> bool:
    """Whether a mov or mp4 data stream is written anew: chapters (text tracks) and time codes."""
    if stream.type != "data" or not container.described:
        return False
    if "mov" not in source.container or stream.codec_context is not None:
        return False
    chapters = len(source.chapters)
    return "timecode" in stream.metadata or (chapters > 0 and stream.frames == chapters)


def holds(container: Container, stream: Stream, encoder: str = "") -> bool:
    """Whether a container takes a stream as it is, or sound as encoded. Most muxers say so only at
    the header, so one is written to memory."""
    family, cover, unread = family_of(stream), is_cover(stream), stream.codec_context is None
    if cover and container.covers == "attachment":
        return True
    # Data of unknown kinds would come under another name, where nobody would find it.
    nameless = stream.type == "data" and family == "unknown"
    if container.only_pictures or nameless or (cover and not container.covers):
        return False
    if (encoder and unread) or (stream.type == "attachment" and container.covers != "attachment"):
        return False
    family = av.Codec(encoder, "w").canonical_name if encoder else family
    # Its own kind of file holds what sound it held, whatever players make of it.
    came = container.muxer in stream.container.format.name.split(",") and not encoder
    own = cover or (stream.type == "audio" and came)
    if not own and family not in container.only.get(stream.type, (family,)):
        return False
    try:
        trial = av.open(io.BytesIO(), "w", format=container.muxer)
        trial.add_stream(encoder) if encoder else copy_stream(trial, stream)
        trial.start_encoding()
        trial.close()
    except (av.FFmpegError, ValueError, OSError):
        return False
    return True


def plan_tags(
    source: SourceMetadata, container: Container
) -> tuple[dict[str, str], dict[str, str], list[Fate]]:
    """The file's tags to write, the container's options, and what becomes of the tags."""
    tags, options = plain_tags(source.container_tags), dict(container.options)
    none = "" if container.described else f"{container.name} holds none"
    fates = [("metadata", none)] * bool(tags)
    levels = [name for name in tags if "/" in name and "matroska" in source.container]
    if levels and container.described:
        fates.append((f"levels of tags ({', '.join(levels)})", "f2r writes a flat list"))
    fates += source.lost
    # mp4 and mov have an open list of keys for rare ones.
    rare = [name for name in tags if name.lower() not in _MP4_TAGS] if container.movie else []
    if rare and container.covers and any(map(is_cover, source.others)):
        fates.append((f"tags {', '.join(rare)}", "mp4 holds either these or cover art"))
        tags = {key: value for key, value in tags.items() if key not in rare}
    elif rare or container.name == "mov":  # f2r's own is one
        options["movflags"] += "+use_metadata_tags"
    return tags, options, fates


def copy_stream(target: OutputContainer, stream: Stream) -> Stream:
    """Add a stream like `stream`, for packets copied as they are, with its tags and flags."""
    # opaque: take the parameters as they are; no encoder of that name need exist
    opaque = {} if stream.codec_context is None else {"opaque": True}
    return described(target.add_stream_from_template(stream, **opaque), stream, target)


def described(copy: Stream, stream: Stream, target: OutputContainer) -> Stream:
    """The copy of a stream, with its flags, and its tags as the muxer knows them."""
    tags = plain_tags(stream.metadata)
    if target.format.name == "mov" and "language" in tags:
        tags["language"] = _QUICKTIME.get(tags["language"], tags["language"])
    if title := title_of(tags):
        tags.pop("name", None)
        tags["title"] = title
    copy.metadata.update(tags)
    copy.disposition = stream.disposition
    return copy


def plain_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Tags that describe the content, not the file they came in. Of the two times of creation that
    MP4 may hold, which newer FFmpeg joins by a semicolon and does not write, the first."""
    return {
        key: value.split(";")[0] if key == "creation_time" else value
        for key, value in metadata.items() if key.lower().split("-")[0] not in _STALE
    }  # fmt: skip


def later(code: str, by: Fraction, rate: Fraction) -> str:
    """A time code (SMPTE ST 12-1) so many seconds later. With a semicolon, minutes but each tenth
    drop their first numbers: two of 30 a second, four of 60."""
    parts, each = re.fullmatch(r"(\d+):(\d+):(\d+)([:;.])(\d+)", code), round(rate)
    if parts is None:
        return code
    hours, minutes, seconds, number = (int(parts[at]) for at in (1, 2, 3, 5))
    minutes += 60 * hours
    drop = 0 if parts[4] == ":" else each // 15
    number += (60 * minutes + seconds) * each - drop * (minutes - minutes // 10)
    tens, rest = divmod(number + round(by * rate), 600 * each - 9 * drop)
    rest += max(0, rest - drop) // (60 * each - drop) * drop
    seconds, number = divmod(600 * each * tens + rest, each)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}:{seconds:02}{parts[4]}{number:02}"


@dataclass(slots=True)
class SidePackets:
    """The queue between a video reader and a video writer, and the excerpt they agree on."""

    queue: deque[AnyPacket] = field(default_factory=deque)
    wanted: bool = False  # by a plan: else none are queued once iterating begins
    start: Fraction | None = None  # seconds, container time, of an excerpt's first frame
    end: Fraction | None = None  # seconds, container time; None: read to the end
    shift: Fraction = Fraction(0)  # seconds by which an excerpt moves, to begin as its source did


class SideStreams:
    """Muxes the packets of the other streams into the target, in step with the video."""

    def __init__(self, packets: SidePackets, target: OutputContainer, container: Container) -> None:
        self.packets, self.target, self.container = packets, target, container
        self.order: list[SideStream | None] = []  # as in the file; None: the picture
        self._tracks: dict[int, SideStream] = {}  # by the index of the source stream
        self._covers: dict[int, Stream] = {}  # to attach

    def add(self, plans: Iterable[SideStream]) -> None:
        """Add target streams for these plans."""
        for plan in plans:
            stream = plan.stream
            if is_cover(stream) and self.container.covers == "attachment":
                self._covers[stream.index] = stream
                continue
            target = (_add_sound(self.target, stream, plan.encoder)
                      if plan.encoder and isinstance(stream, AudioStream)
                      else copy_stream(self.target, stream))  # fmt: skip
            track = self._tracks[stream.index] = replace(plan, target=target)
            if stream.type != "attachment" and not is_cover(stream):
                self.order.append(track)

    def attach(self) -> None:
        """Put cover art into the header, for containers that keep it there."""
        for packet in list(self.packets.queue):
            stream = self._covers.pop(packet.stream_index, None)
            if stream is None:
                continue
            name = stream.codec_context.name
            suffix = "jpg" if name == "mjpeg" else name
            title = stream.metadata.get("filename") or f"cover.{suffix}"
            mime = stream.metadata.get("mimetype") or _MIMES.get(name, "application/octet-stream")
            self.target.add_attachment(title, mime, bytes(packet))
            self.packets.queue.remove(packet)

    def lost(self) -> Iterator[str]:
        """Losses that no plan foresaw, in words."""
        yield from (f"{stream_line(s)} (the picture is missing)" for s in self._covers.values())
        for track in self._tracks.values():
            if track.refused:
                what = count(track.refused, "packet")
                yield f"{what} of {stream_line(track.stream)} (damaged)"

    def written(self) -> list[SideStream | None]:
        """The finished file's tracks, in order; mp4 and mov leave out empty ones but subtitles."""
        return [
            track for track in self.order
            if track is None or track.packets or not self.container.movie
            or track.stream.type == "subtitle"
        ]  # fmt: skip

    def missing(self, came: Counter[int], sizes: Counter[int]) -> Iterator[str]:
        """What a finished file lacks, by packets (`came`) and bytes (`sizes`) of each stream."""
        written = self.written()
        for track in filter(None, self.order):
            places = [n for n, one in enumerate(written) if one is track]  # none: it was left out
            there, size = (sum(of[n] for n in places) for of in (came, sizes))
            if not there and (track.packets or track.begun is False):
                yield track.words
            elif there < track.packets and size < track.size:
                few = f"{track.packets - there} of {count(track.packets, 'packet')}"
                yield f"{few} of {track.words}"

    def empty(self) -> list[str]:
        """Tracks that the finished file has not, as their source has nothing in them."""
        out = (track for track in self.order if track is not None and track not in self.written())
        return [track.words for track in out if track.begun is not False]

    def drain(self) -> None:
        queue = self.packets.queue
        while queue:
            packet = queue.popleft()
            track = self._tracks.get(packet.stream_index)
            if track is not None and self._moved(packet, track):
                self.target.start_encoding()  # a refused header is no fault of the packet
                self._put(packet, track)

    def finish(self) -> None:
        """Mux what is queued, and what sound encoders still hold."""
        self.drain()
        for track in self._tracks.values():
            self._put(None, track)

    def _put(self, packet: "AnyPacket | None", track: SideStream) -> None:
        try:
            for made in track.encoded(packet):
                made.stream, size = track.target, made.size
                self.target.mux(made)  # which takes its content away
                track.packets, track.size = track.packets + 1, track.size + size
        except (InvalidDataError, ArgumentError):  # of this packet, not of the disk
            track.refused += 1

    def _moved(self, packet: AnyPacket, track: SideStream) -> bool:
        """Move a packet as the clip is moved; False if it lies outside a cut clip."""
        excerpt, time = self.packets, shown_at(packet)
        if excerpt.start is None or time is None or is_cover(packet.stream):
            return True
        seconds = time * packet.time_base
        before = excerpt.shift and seconds < excerpt.start  # of a whole clip's sound, what leads in
        if before or (excerpt.end is not None and seconds >= excerpt.end):
            return False
        track.begun = track.begun or packet.stream.type != "video" or packet.is_keyframe
        if not track.begun:
            return False
        move(packet, -excerpt.shift)
        return True


def _add_sound(container: OutputContainer, stream: AudioStream, encoder: str) -> Stream:
    """Add a stream for sound that is encoded again, at its own times."""
    source, codec = stream.codec_context, av.Codec(encoder, "w")
    rates = sorted(codec.audio_rates or [source.rate])
    rate = next((rate for rate in rates if rate >= source.rate), rates[-1])
    target = container.add_stream(encoder, rate=rate)
    assert isinstance(target, AudioStream)  # as the plan saw to
    context, own = target.codec_context, source.format.name
    forms = [form.name for form in codec.audio_formats or ()]
    context.format = next((f for f in forms if f.rstrip("p") == own.rstrip("p")), [*forms, own][0])
    # PCM and WMA may count channels alone ("2 channels"): FFmpeg's usual ones of that number (2c).
    context.layout = re.sub("^([1-8]) channels$", r"\1c", source.layout.name)
    context.time_base = Fraction(1, rate)
    context.bit_rate = _PER_CHANNEL * context.layout.nb_channels
    return described(target, stream, container)
