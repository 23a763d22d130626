"""The output plan for a video: container, encoder, and what is kept beside the picture.

Everything that a run will lose is said here, before it begins. `kept` names only what the
container stores by the tests of it, in which other readers look.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from f2rcli.frames import Family
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.files import check_target
from f2rcli.io.video.encoders import (
    MASTERED,
    EncoderChoice,
    EncoderSetup,
    choose_encoder,
    family_of_encoder,
    one_rate,
    says_fields,
    says_matrix,
)
from f2rcli.io.video.header import display_size
from f2rcli.io.video.pixels import DOLBY, SPHERICAL, STEREO
from f2rcli.io.video.source import (
    PIPE,
    SourceMetadata,
    is_cover,
    metadata_of,
    stream_line,
    title_of,
)
from f2rcli.io.video.streams import (
    CONTAINERS,
    Container,
    StreamPlan,
    container_for,
    plain_tags,
    plan_streams,
    turns,
)

_MP4_TAGS = {  # what mp4 and mov store under names of their own
    "title", "artist", "album_artist", "album", "composer", "date", "year", "comment", "genre",
    "copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network",
    "keywords", "track", "disc", "creation_time", "timecode", "location", "location-eng",
}  # fmt: skip
_IN_STREAM = ("libx264", "libx264rgb", "libx265", "mpeg4")  # that hold any shape of pixels
_MPEG2_SHAPES = (Fraction(4, 3), Fraction(16, 9), Fraction(221, 100))  # of whole pictures
# Families whose stream in the file may begin as a copy of the source's, side data included.
_ALIKE = ("h264", "hevc", "av1", "vp9", "vp8", "prores", "ffv1", "mjpeg", "dnxhd")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDetail:
    """The writer's part of the plan."""

    container: Container
    setup: EncoderSetup
    streams: tuple[StreamPlan, ...]
    container_options: dict[str, str]
    metadata: dict[str, str]
    display_matrix: tuple[int, ...]
    # The source's stream, whose copy states in the file's header what PyAV has no call for:
    # cropping, 360-degree and stereoscopic layouts, HDR10 metadata.
    template: av.VideoStream | None = field(repr=False)
    display: tuple[int, int] | None  # written into the finished Matroska file


@dataclass(frozen=True, slots=True)
class _Fact:
    """Something beside the samples that a source has."""

    words: str
    held: bool
    reason: str = ""  # why the target does not hold it


def plan_video(reader: Reader, target: str | Path, options: WriteOptions) -> WritePlan:
    """Plan a video file or pipe. Raises UsageError or OutputError for what cannot be done."""
    where, source = str(target), metadata_of(reader)
    container = container_for(where, source.container, options.codec)
    if where != PIPE:
        check_target(Path(where), reader.paths(), overwrite=options.overwrite)
    choice = choose_encoder(reader, container, options)
    setup = choice.setup
    streams, dropped = plan_streams(source, container, options)
    template = _template(container, setup, source)
    cropped = source.header.cropped and template is not None
    tags, tag_options, tag_facts = _tags(source, container)
    facts = [*tag_facts, *_facts(reader, container, setup, template)]
    facts += _stream_facts(container, streams)
    encoding = dict(setup.options)
    crf = encoding.get("crf", "")  # FFmpeg takes expressions, too
    matrix = source.facts.display_matrix
    timescale = {"movie_timescale": str(max(1000, setup.time_base.denominator))}
    return WritePlan(
        target=where,
        container=container.name,
        encoder=setup.encoder,
        pix_fmt=setup.form.name,
        crf=float(crf) if crf.replace(".", "", 1).isdecimal() else None,
        preset=encoding.get("preset"),
        options=setup.options,
        kept=(*(plan.words for plan in streams), *(fact.words for fact in facts if fact.held)),
        dropped=(
            *choice.lost, *dropped,
            *(f"{fact.words} ({fact.reason})" for fact in facts if not fact.held),
        ),
        notes=tuple(_notes(reader, container, choice, options)),
        detail=VideoDetail(
            container=container,
            setup=setup,
            streams=tuple(streams),
            # Without a time scale of their own, mp4 and mov round offsets and holds.
            container_options=tag_options | (timescale if container.movie else {}),
            metadata=tags,
            display_matrix=matrix if matrix and container.holds_matrix(matrix) else (),
            template=template,
            display=None if where == PIPE else _display(container, setup, source, cropped),
        ),
    )  # fmt: skip


def _template(
    container: Container, setup: EncoderSetup, source: SourceMetadata
) -> av.VideoStream | None:
    """The source's stream, where it states what PyAV has no call for and what is written is of the
    same kind. It would not say the rate: time codes need that."""
    facts, family = source.facts, family_of_encoder(setup.encoder)
    stated = facts.mastering or source.header.cropped or {SPHERICAL, STEREO} & {*facts.extras}
    alike = family == source.family and family in _ALIKE
    same = source.pix_fmt.replace("yuvj", "yuv") == setup.form.name
    if not (stated and alike and same and container.side_data):
        return None
    if "timecode" in source.stream_tags or DOLBY in facts.extras:  # whose layer is not written
        return None
    return source.stream


def _display(
    container: Container, setup: EncoderSetup, source: SourceMetadata, cropped: bool
) -> tuple[int, int] | None:
    """The display size to write into a Matroska file, where pixels are not square or the source's
    header says. cropped: the source's cropping is written, too."""
    header, stereo = source.header, STEREO in source.facts.extras
    stated = cropped or _anamorphic(source) or (stereo and header.display)
    if container.name not in ("matroska", "webm") or not stated:
        return None
    hidden = header.crop if cropped else (0, 0)
    seen = setup.width - hidden[0], setup.height - hidden[1]
    shown = display_size(seen, source.pixel_aspect or Fraction(1))
    own = header.display
    return own if own is not None and Fraction(*own) == Fraction(*shown) else shown


def _anamorphic(source: SourceMetadata) -> bool:
    """Whether pixels are not square."""
    return source.pixel_aspect not in (None, Fraction(1))


def _stream_facts(container: Container, streams: list[StreamPlan]) -> Iterator[_Fact]:
    """Languages and titles that streams which are kept lose."""
    none = f"{container.name} holds none"
    for stream in (plan.stream for plan in streams):
        if stream.type == "attachment" or is_cover(stream):
            continue
        named = stream.language not in (None, "", "und")
        if named and not container.holds_language(stream):
            yield _Fact(f"language of {stream_line(stream)}", False, none)
        if title_of(stream.metadata) and not container.titles:
            yield _Fact(f"title of {stream_line(stream)}", False, none)


def _tags(
    source: SourceMetadata, container: Container
) -> tuple[dict[str, str], dict[str, str], list[_Fact]]:
    """The file's tags to write, the container's options, and what becomes of the tags."""
    tags, options = plain_tags(source.container_tags), dict(container.options)
    facts = [_Fact("metadata", container.metadata, f"{container.name} holds none")] * bool(tags)
    levels = [name for name in tags if "/" in name and "matroska" in source.container]
    if levels and container.metadata:
        facts.append(
            _Fact(f"levels of tags ({', '.join(levels)})", False, "f2r writes a flat list")
        )
    if source.header.long_languages:
        languages = ", ".join(source.header.long_languages)
        facts.append(_Fact(f"languages {languages}", False, "f2r writes three letters"))
    if source.header.device_boxes:
        boxes = ", ".join(source.header.device_boxes)
        facts.append(_Fact(f"the camera's own data {boxes}", False, "f2r cannot carry it"))
    if not container.movie:  # mp4 and mov have an open list of keys for rare ones
        return tags, options, facts
    rare = [name for name in tags if name.lower() not in _MP4_TAGS]
    if rare and container.covers and any(map(is_cover, source.others)):
        why = "mp4 holds either these or cover art"
        facts.append(_Fact(f"tags {', '.join(rare)}", False, why))
        return {key: value for key, value in tags.items() if key not in rare}, options, facts
    if rare or container.name == "mov":  # f2r's own is one
        options["movflags"] += "+use_metadata_tags"
    return tags, options, facts


def _facts(
    reader: Reader, container: Container, setup: EncoderSetup, template: av.VideoStream | None
) -> Iterator[_Fact]:
    """What the picture and the file state beside samples and tags."""
    source, facts, encoder = metadata_of(reader), metadata_of(reader).facts, setup.encoder
    none = f"{container.name} holds none"
    if source.chapters:
        yield _Fact(f"{len(source.chapters)} chapters", container.chapters, none)
    if source.header.odd_chapters and container.chapters:
        yield _Fact("levels, languages and flags of chapters", False, "f2r writes a flat list")
    if matrix := facts.display_matrix:
        words = "rotation" if turns(matrix) else "rotation and flip"
        yield _Fact(words, container.holds_matrix(matrix), none)
    if facts.mastering is not None:
        stated = template is not None and source.family not in ("h264", "hevc", "av1")
        why = f"{encoder} cannot carry it; hevc and av1 can"
        yield _Fact("HDR10 mastering metadata", stated or encoder in MASTERED, why)
    for extra in facts.extras:
        layout = template is not None and _holds_layout(container, extra, facts.stereo)
        yield _Fact(extra, layout, "f2r cannot carry it")
    if source.header.cropped:
        why = "pictures are written whole, and the file does not say what to hide"
        yield _Fact("cropping", template is not None, why)
    if _anamorphic(source):
        shape = Fraction(setup.width, setup.height) * (source.pixel_aspect or 1)
        coded = encoder in _IN_STREAM or (encoder == "mpeg2video" and shape in _MPEG2_SHAPES)
        shaped = container.pixel_aspect or container.side_data or coded
        why = f"{encoder} in {container.name} does not store it"
        yield _Fact(f"pixel aspect {source.pixel_aspect}", shaped, why)
    if reader.info.interlaced:
        why = f"{encoder} in {container.name} does not store it"
        yield _Fact("field order", says_fields(container, encoder), why)
    if source.single_fields:
        yield _Fact("marks of single fields", encoder == "libx265", f"{encoder} has none")
    if not says_matrix(encoder, setup.tags.matrix):
        yield _Fact("colour matrix", False, f"{encoder} has no code for it")
    rgb = setup.coding.family is Family.RGB
    named = setup.tags.primaries != 2 or (setup.tags.transfer != 2 and not rgb)
    ranged = setup.coding.full_range and not rgb
    if named and container.only_pictures:
        yield _Fact("colour tags but the range", False, none)
    elif named or ranged:
        yield _Fact("colour tags", True)


def _holds_layout(container: Container, extra: str, stereo: tuple[int, ...]) -> bool:
    """Whether FFmpeg states a 360-degree or stereoscopic layout there: none in mov; in mp4 no
    stereo but side by side and top and bottom, left or upper eye first (1 and 2, 0 is none)."""
    if extra not in (SPHERICAL, STEREO) or container.name == "mov":
        return False
    number, flags = stereo or (0, 0)  # 8: in a box of which FFmpeg reads no layout
    return extra == SPHERICAL or (number < 3 and not flags if container.movie else number < 8)


def _notes(
    reader: Reader, container: Container, choice: EncoderChoice, options: WriteOptions
) -> Iterator[str]:
    source, layout, setup = metadata_of(reader), reader.info.layout, choice.setup
    ours = {container.muxer for container in CONTAINERS}
    if source.container and not ours & {*source.container.split(",")}:
        yield f"written as {container.name}: f2r does not write {source.container}"
    why = choice.reason(container, source.family, layout)
    if why and not options.codec and not options.lossless:
        yield f"written as {family_of_encoder(setup.encoder)}: {why}"
    finer = any(a < b for a, b in zip(setup.form.log2_chroma, layout.log2_chroma, strict=True))
    if setup.form.family is layout.family and finer and not choice.lost:
        yield f"stored as {setup.form.name}, which holds every sample of the input"
    if one_rate(container, setup.encoder) and source.container != "yuv4mpegpipe":
        what = setup.encoder if container.variable_rate else container.name
        yield f"{what} has one frame rate, {float(setup.rate):g}: frame times are rounded"
