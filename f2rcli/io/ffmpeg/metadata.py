"""Source metadata that FFmpeg reads and a writer carries over: colour, tags, chapters, streams."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from av.stream import Disposition, Stream

from f2rcli.io.base import Reader
from f2rcli.io.ffmpeg.colour import ColourTags, PictureFacts

_PLAIN = Disposition(0)

# Decoder names that differ from the family's.
_FAMILIES = {
    "libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8", "mpeg2video": "mpeg2",
    "mpeg1video": "mpeg1", "dvvideo": "dv", "prores_raw": "prores", "jpegls": "jpeg-ls",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetadata:
    """Facts of a source beyond its frames, for a writer to keep."""

    container: str = ""  # FFmpeg's name of the demuxer; "" for none
    family: str = ""  # h264, hevc, av1, vp9, prores, ffv1, ...
    profile: str = ""
    pix_fmt: str = ""
    pixel_aspect: Fraction | None = None
    colour: ColourTags = field(default_factory=ColourTags)
    facts: PictureFacts = field(default_factory=PictureFacts)
    container_tags: Mapping[str, str] = field(default_factory=dict)
    stream_tags: Mapping[str, str] = field(default_factory=dict)
    disposition: Disposition = _PLAIN  # of the video stream
    chapters: tuple[Mapping[str, Any], ...] = ()
    others: tuple[Stream, ...] = ()  # every stream but the denoised one


def metadata_of(reader: Reader) -> SourceMetadata:
    """The metadata of a reader's source; empty for formats that FFmpeg has no part in."""
    found = getattr(reader, "metadata", None)
    return found if isinstance(found, SourceMetadata) else SourceMetadata()


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a single attached picture."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def family_of(stream: Stream) -> str:
    """The common name of a stream's codec family."""
    context = stream.codec_context
    if context is None:
        return getattr(stream, "name", None) or "unknown"
    name = context.codec.canonical_name or context.name
    return _FAMILIES.get(name, name)


def stream_facts(stream: Stream) -> dict[str, Any]:
    """One stream as a dict of plain values, for `f2r info`."""
    facts: dict[str, Any] = {
        "index": stream.index,
        "kind": "cover art" if is_cover(stream) else stream.type,
        "codec": family_of(stream),
        "language": stream.language,
        "title": title_of(stream.metadata),
        "disposition": [flag.name for flag in Disposition if flag & stream.disposition],
        "start": _seconds(stream, stream.start_time),
        "duration": _seconds(stream, stream.duration),
    }
    context = stream.codec_context
    if stream.type == "audio" and context is not None:
        facts["sample_rate"] = getattr(context, "sample_rate", None)
        facts["channels"] = getattr(context, "channels", None)
    return {key: value for key, value in facts.items() if value not in (None, [], "")}


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
    return tags.get("title") or tags.get("name", "")


def _seconds(stream: Stream, ticks: int | None) -> float | None:
    if ticks is None or stream.time_base is None:
        return None
    return float(ticks * stream.time_base)
