"""A finished file is read again and compared with what was given to the muxer.

A muxer takes much that it does not write; only reading back tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from f2rcli.frames import ClipInfo
from f2rcli.io.base import ReadOptions
from f2rcli.io.disk_errors import misread_error
from f2rcli.io.video.colour import UNSPECIFIED, ColourTags, Mastering
from f2rcli.io.video.containers import QUICKTIME, Container
from f2rcli.io.video.decoder import shown_at
from f2rcli.io.video.encoders import EncoderSetup, says_matrix
from f2rcli.io.video.plan import StreamPlan, VideoDetail
from f2rcli.io.video.reader import VideoReader
from f2rcli.io.video.side_streams import Packets
from f2rcli.io.video.source import SourceMetadata, ffmpeg_reason, is_cover, title_of
from f2rcli.units import count

_RESTATED = ("creation_time", "date")  # tags that containers write in their own form
_misread = partial(misread_error, instead=", or try another container")


@dataclass(slots=True)
class Written:
    """The frames given to the encoder, in its ticks."""

    time_base: Fraction
    frames: int = 0
    first: int | None = None
    last: int | None = None
    step: int | None = None  # the duration of the first frame
    uneven: bool = False  # some frame is shown longer than another
    end: int = 0

    def add(self, pts: int, duration: int) -> None:
        """Count one more frame."""
        self.first = pts if self.first is None else self.first
        self.step = duration if self.step is None else self.step
        self.uneven |= duration != self.step
        self.frames += 1
        self.last, self.end = pts, pts + duration

    @property
    def seconds(self) -> Fraction:
        """Seconds from the start of the first frame to the end of the last."""
        return (self.end - (self.first or 0)) * self.time_base


def verified_file(
    path: Path, name: str, video: int, written: Written, detail: VideoDetail,
    sent: Mapping[int, Packets], chapters: int,
) -> tuple[tuple[str, ...], list[str]]:  # fmt: skip
    """Read a finished file again: what was verified of its picture, and what it lacks, in words.

    video: index of the picture's stream. sent: packets given to the muxer by index of the source
    stream. chapters: their number. Raises OutputError for frames that are not there.
    """
    try:
        with av.open(f"file:{path}", "r", metadata_errors="replace") as container:
            came, times = _packets(container, video)
            lost = list(_lost_streams(detail, container, sent, came, video))
            there = len(container.chapters())
            if there < chapters:
                part = _part(there, chapters, "chapter")
                lost.append(part if there else f"{chapters} chapters")
            if detail.container.metadata:
                lost += _lost_tags(dict(detail.metadata), container.metadata, detail.container)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise _misread(name, f"cannot be read back: {ffmpeg_reason(error)}") from error
    frames = came[video].count
    if frames != written.frames:
        raise _misread(name, f"{written.frames} frames were written but the file has {frames}")
    return (count(frames), *_verified_times(times, name, written, detail.container)), lost


def _packets(container: InputContainer, video: int) -> tuple[dict[int, Packets], list[Fraction]]:
    """The packets of each stream, with the first of cover art, and the picture's first and last
    time in seconds; none where the file has no times."""
    found = {stream.index: Packets() for stream in container.streams}
    times: list[Fraction] = []
    for packet in container.demux(*(s for s in container.streams if s.type != "attachment")):
        index = packet.stream_index
        if not packet.size or (index == video and packet.is_discard):
            continue
        found[index].add(packet, keep=is_cover(packet.stream))
        time = shown_at(packet)
        if index == video and time is not None:
            seconds = time * packet.time_base
            times = [min([*times[:1], seconds]), max([*times[1:], seconds])]
    return found, times


def _verified_times(
    times: list[Fraction], name: str, written: Written, container: Container
) -> Iterator[str]:
    if not container.variable_rate or not times:
        return
    base, (first, last) = written.time_base, times
    slack = max(container.tick, base)
    wanted_first, wanted_last = (written.first or 0) * base, (written.last or 0) * base
    if abs((last - first) - (wanted_last - wanted_first)) > 2 * slack:
        due = f"the last frame should be at {float(wanted_last):.3f} s"
        raise _misread(name, f"{due} but is at {float(last):.3f} s")
    if abs(first - wanted_first) <= slack:
        yield f"last frame at {float(last):.3f} s"
    else:
        yield f"length; it starts at {float(first):.3f} s, not {float(wanted_first):.3f} s"


def lost_facts(
    path: Path, kept: Sequence[str], source: SourceMetadata, info: ClipInfo, detail: VideoDetail
) -> list[str]:
    """Picture properties of `kept` that a finished file lacks. Raises InputError if unreadable."""
    with VideoReader(path, ReadOptions()) as again:
        there, facts, setup = again.metadata, again.metadata.facts, detail.setup
        turned = _turns(facts.display_matrix) == _turns(detail.display_matrix)
        stated = {
            "rotation": turned,
            "rotation and flip": turned,
            "HDR10 mastering metadata": _alike(facts.mastering, source.facts.mastering),
            "closed captions": facts.captions,
            f"pixel aspect {source.pixel_aspect}": there.pixel_aspect == setup.pixel_aspect,
            "field order": (again.info.interlaced, again.info.top_field_first)
            == (True, info.top_field_first),
            "cropping": (there.track.cropped, there.track.crop)
            == (True, source.track.crop if detail.display else there.track.crop),
            "marks of single fields": there.single_fields,
            "colour tags": all(
                want in (have, UNSPECIFIED) for want, have in _pairs(setup, there.colour)
            ),
            **{extra: extra in facts.extras for extra in source.facts.extras},
        }
    return [what for what in kept if not stated.get(what, True)]


def _turns(matrix: Sequence[int]) -> list[float]:
    """The part of a display matrix that turns and flips, to two decimals."""
    return [round(value / 65536, 2) for value in (*matrix[:2], *matrix[3:5])]


def _alike(one: Mastering | None, other: Mastering | None) -> bool:
    """Whether two displays are the same, but for the rounding of their codes."""
    if one is None or other is None or one.light != other.light:
        return one is other
    return len(one.display) == len(other.display) and all(
        abs(a - b) <= max(Fraction(1, 1000), abs(b) / 1000)
        for a, b in zip(one.display, other.display, strict=True)
    )


def _pairs(setup: EncoderSetup, there: ColourTags) -> Iterator[tuple[int, int]]:
    """Colour tags as they should be, and as they are."""
    yield setup.tags.primaries, there.primaries
    yield setup.tags.transfer, there.transfer
    if says_matrix(setup.encoder, setup.tags.matrix):
        yield setup.tags.matrix, there.matrix


def _part(there: int, of: int, what: str) -> str:
    return f"{of - there} of {count(of, what)}"


def _lost_streams(
    detail: VideoDetail, container: InputContainer, sent: Mapping[int, Packets],
    came: Mapping[int, Packets], video: int,
) -> Iterator[str]:  # fmt: skip
    free = [s for s in container.streams if s.index != video and not is_cover(s)]
    pictures = {came[s.index].first for s in container.streams if is_cover(s)} - {b""}
    for plan in detail.streams:
        gave = sent.get(plan.stream.index, Packets())
        if is_cover(plan.stream):
            if gave.first not in pictures:
                yield plan.words
            continue
        match = next((s for s in free if _is_it(s, plan)), None)
        if match is None:
            yield plan.words
            continue
        free.remove(match)
        yield from _differences(detail.container, plan, match, gave, came[match.index])


def _is_it(stream: Stream, plan: StreamPlan) -> bool:
    if stream.type != plan.stream.type:
        return False
    return stream.type != "attachment" or _content(stream) == _content(plan.stream)


def _content(attachment: Stream) -> bytes | None:
    data = getattr(attachment, "data", None)
    return None if data is None else bytes(data)


def _differences(
    container: Container, plan: StreamPlan, stream: Stream, gave: Packets, came: Packets
) -> Iterator[str]:
    if stream.type == "attachment":
        return
    if gave.count and not came.count:
        yield plan.words
    elif came.count < gave.count and came.size < gave.size:
        yield f"{_part(came.count, gave.count, 'packet')} of {plan.words}"
    language = plan.stream.language
    stated = container.holds_language(plan.stream) and language not in (None, "", "und")
    if stated and _language(stream.language) != _language(language):
        yield f"language of {plan.words}"
    title = title_of(plan.stream.metadata)
    if "title" in container.stream_tags and title and title_of(stream.metadata).strip() != title:
        yield f"title of {plan.words}"


def _language(code: str | None) -> str:
    """A language by one of its codes, of which ISO 639-2 has two for some."""
    return QUICKTIME.get(code or "", code or "")


def _lost_tags(
    wanted: Mapping[str, str], there: Mapping[str, str], container: Container
) -> Sequence[str]:
    have = {key.lower(): value for key, value in there.items()}
    lost = [
        key
        for key, value in wanted.items()
        if container.holds_tag(key)
        and value.strip()
        and not (key.lower() in have and key.lower() in _RESTATED)
        and value.strip() not in {text.strip() for text in have.values()}
    ]
    if not lost:
        return ()
    return ("metadata",) if len(lost) == len(wanted) else (f"tags {', '.join(lost)}",)
