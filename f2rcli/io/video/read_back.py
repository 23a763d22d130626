"""A check of the finished file for everything that was to be kept beside the picture.

A muxer takes much that it does not write; only reading back tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from f2rcli.frames import ClipInfo
from f2rcli.io.base import ReadOptions
from f2rcli.io.containers.kinds import QUICKTIME, Container, Packets
from f2rcli.io.ffmpeg.colour import UNSPECIFIED, ColourTags, Mastering
from f2rcli.io.ffmpeg.encoders import EncoderSetup, says_matrix
from f2rcli.io.ffmpeg.metadata import SourceMetadata, is_cover, title_of
from f2rcli.io.video.plan import StreamPlan, VideoDetail
from f2rcli.io.video.reader import VideoReader
from f2rcli.units import count

_RESTATED = ("creation_time", "date")  # tags that containers write in their own form


def facts_not_kept(
    path: Path, kept: Sequence[str], source: SourceMetadata, info: ClipInfo, detail: VideoDetail
) -> list[str]:
    """Picture properties of `kept` that a finished file lacks. Raises InputError if unreadable."""
    with VideoReader(path, ReadOptions()) as again:
        there, facts, setup = again.metadata, again.metadata.facts, detail.setup
        matrix = facts.display_matrix
        stated = {
            "rotation": _turns(matrix) == _turns(detail.display_matrix),
            "rotation and flip": _turns(matrix) == _turns(detail.display_matrix),
            "HDR10 mastering metadata": _alike(facts.mastering, source.facts.mastering),
            "closed captions": facts.captions,
            f"pixel aspect {source.pixel_aspect}": there.pixel_aspect == setup.pixel_aspect,
            "field order": (again.info.interlaced, again.info.top_field_first)
            == (True, info.top_field_first),
            "colour tags": all(
                want in (have, UNSPECIFIED) for want, have in _pairs(setup, there.colour)
            ),
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


def not_kept(
    path: Path, detail: VideoDetail, sent: Mapping[int, Packets], chapters: int, video: int
) -> list[str]:
    """Parts of the plan that a finished file lacks, in the plan's words where all of one is gone.

    sent: packets given to the muxer by index of the source stream. chapters: their number.
    video: index of the picture's own stream. Raises av.FFmpegError for a file that cannot be read.
    """
    with av.open(f"file:{path}", "r", metadata_errors="replace") as container:
        lost = list(_lost_streams(detail, container, sent, video))
        there = len(container.chapters())
        if there < chapters:
            lost.append(f"{chapters} chapters" if not there else _part(there, chapters, "chapter"))
        if detail.container.metadata:
            lost += _lost_tags(dict(detail.metadata), container.metadata, detail.container)
    return lost


def _part(there: int, of: int, what: str) -> str:
    return f"{of - there} of {count(of, what)}"


def _packets(container: InputContainer) -> dict[int, Packets]:
    """The packets of each stream, with the first of cover art."""
    found = {stream.index: Packets() for stream in container.streams}
    for packet in container.demux(*(s for s in container.streams if s.type != "attachment")):
        if packet.size:
            found[packet.stream_index].add(packet, keep=is_cover(packet.stream))
    return found


def _lost_streams(
    detail: VideoDetail, container: InputContainer, sent: Mapping[int, Packets], video: int
) -> Iterator[str]:
    free = [s for s in container.streams if s.index != video and not is_cover(s)]
    came = _packets(container)
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
