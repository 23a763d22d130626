"""The output plan for a video: encoder, pixel format, streams and metadata to keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from av.audio.stream import AudioStream
from av.stream import Stream

from f2rcli.frames import Family, PlaneLayout
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.ffmpeg.encoders import (
    CAPTIONERS,
    EncoderSetup,
    encoders_for,
    family_of_encoder,
    quality,
    says_matrix,
)
from f2rcli.io.ffmpeg.metadata import family_of, is_cover, metadata_of, stream_line, title_of
from f2rcli.io.ffmpeg.turning import TURNED, Turn, TurnedReader, fits, turn_of
from f2rcli.io.targets import check_target
from f2rcli.io.video.containers import Container, container_for, plain_tags, refusal
from f2rcli.io.video.encoder_choice import (
    EncoderChoice,
    check_options,
    choose_encoder,
    one_rate,
    says_fields,
)
from f2rcli.io.video.ffmpeg_input import PIPE
from f2rcli.io.video.sound import SoundSetup, choose_sound, sound_words

_TEXT = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text")
_MP4_TAGS = {  # what mp4 and mov store under names of their own
    "title", "artist", "album_artist", "album", "composer", "date", "year", "comment", "genre",
    "copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network",
    "keywords", "track", "disc", "creation_time", "timecode", "location", "location-eng",
}  # fmt: skip
_TAGS_OR_COVER = "mp4 holds either these or cover art"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """A stream beside the video that the target keeps."""

    stream: Stream
    action: Literal["copy", "subtitle", "sound", "attach"]
    codec: str = ""  # the subtitle codec it is turned into
    sound: SoundSetup | None = None  # the encoder its sound goes through

    @property
    def words(self) -> str:
        """The stream, and the codec it is turned into."""
        codec = family_of_encoder(self.sound.encoder) if self.sound else self.codec
        return stream_line(self.stream) + (f" as {codec}" if codec else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDetail:
    """The writer's part of the plan."""

    container: Container
    setup: EncoderSetup
    streams: tuple[StreamPlan, ...]
    container_options: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]
    display_matrix: tuple[int, ...]
    turn: Turn | None  # of the pictures, where the container holds no matrix
    patch_aspect: bool  # the pixel aspect is written into the finished file


def plan_video(reader: Reader, target: str | Path, options: WriteOptions) -> WritePlan:
    """Plan a video file or pipe. Raises UsageError or OutputError for what cannot be done."""
    where = str(target)
    container = container_for(where, metadata_of(reader).container, options.codec)
    if where != PIPE:
        check_target(Path(where), reader.paths(), overwrite=options.overwrite)
    check_options(container, options)
    turn = _turn(reader, container, options)
    reader = reader if turn is None else TurnedReader(reader, turn)
    choice = choose_encoder(reader, container, options)
    setup = choice.setup
    streams, kept, dropped = _streams(reader, container, options)
    kept_facts, dropped_facts, matrix = _facts(reader, container, setup, where)
    crf, preset = quality(setup.encoder, options)
    return WritePlan(
        target=where,
        container=container.name,
        encoder=setup.encoder,
        pix_fmt=setup.form.name,
        crf=crf,
        preset=preset,
        options=setup.options,
        kept=(*kept, *kept_facts, *([TURNED] if turn else [])),
        dropped=(*choice.lost, *dropped, *dropped_facts),
        notes=(
            *_notes(reader, container, choice, options),
            *([f"the pictures themselves are turned: {container.name} holds none"] if turn else []),
            *(sound_words(container, p.stream, p.sound) for p in streams if p.sound),
        ),
        overwrite=options.overwrite,
        keep_partial=options.keep_partial,
        detail=VideoDetail(
            container=container,
            setup=setup,
            streams=streams,
            container_options=_container_options(reader, container, setup.time_base),
            metadata=tuple(_tags(reader, container).items()),
            display_matrix=matrix,
            turn=turn,
            patch_aspect=_patched(container, where) and _anamorphic(reader),
        ),
    )


def _streams(
    reader: Reader, container: Container, options: WriteOptions
) -> tuple[tuple[StreamPlan, ...], list[str], list[str]]:
    """Plans of the other streams; those kept in words, and those dropped with the reason."""
    plans, kept, dropped = [], [], []
    for stream in metadata_of(reader).others:
        if _rebuilt(reader, container, stream):
            continue
        plan, reason = _stream(container, stream, options)
        if plan is None:
            dropped.append(f"{stream_line(stream)} ({reason})")
            continue
        plans.append(plan)
        kept.append(plan.words)
    return tuple(plans), kept, dropped


def _rebuilt(reader: Reader, container: Container, stream: Stream) -> bool:
    """Whether a data stream of mov or mp4 repeats what is written anew.

    Chapters are text tracks there, and the time code is a track and a tag.
    """
    if stream.type != "data" or not container.chapters:
        return False
    source = metadata_of(reader)
    if str(stream.codec_tag if stream.codec_context else "") == "tmcd":
        return "timecode" in source.stream_tags
    mov = "mov" in source.container and stream.codec_context is None
    timecode = mov and "timecode" in stream.metadata
    return timecode or (mov and bool(source.chapters) and stream.frames == len(source.chapters))


def _stream(
    container: Container, stream: Stream, options: WriteOptions
) -> tuple[StreamPlan | None, str]:
    if is_cover(stream):
        if container.covers == "attachment":
            return StreamPlan(stream=stream, action="attach"), ""
        if not container.covers:
            return None, f"{container.name} holds no cover art"
    reason = refusal(container, stream)
    if reason is None:
        return StreamPlan(stream=stream, action="copy"), ""
    if options.copy_only:
        return None, reason
    if isinstance(stream, AudioStream) and (sound := choose_sound(container, stream)):
        return StreamPlan(stream=stream, action="sound", sound=sound), ""
    text = container.text_subtitles
    if stream.type == "subtitle" and text and family_of(stream) in _TEXT:
        return StreamPlan(stream=stream, action="subtitle", codec=text), ""
    return None, reason


def _facts(
    reader: Reader, container: Container, setup: EncoderSetup, target: str
) -> tuple[list[str], list[str], tuple[int, ...]]:
    """Properties kept and dropped, in words, and the display matrix to write."""
    source = metadata_of(reader)
    kept: list[str] = []
    dropped: list[str] = []

    def note(there: bool, held: bool, what: str, reason: str) -> None:
        if there:
            (kept if held else dropped).append(what if held else f"{what} ({reason})")

    no = f"{container.name} holds none"
    chapters = len(source.chapters)
    note(bool(chapters), container.chapters, f"{chapters} chapters", no)
    note(bool(plain_tags(dict(source.container_tags))), container.metadata, "metadata", no)
    unnamed = [
        tag for tag in plain_tags(dict(source.container_tags)) if not container.holds_tag(tag)
    ]
    note(bool(unnamed) and container.metadata, False, f"tags {', '.join(unnamed)}", no)
    for stream in _untitled(reader, container):
        dropped.append(f"{stream} ({no})")
    rare = _rare_tags(reader, container)
    note(
        bool(rare) and _has_cover(reader, container),
        False,
        f"tags {', '.join(rare)}",
        _TAGS_OR_COVER,
    )
    matrix = source.facts.display_matrix
    turns = _holds_matrix(container, matrix)
    note(bool(matrix), turns, "rotation" if is_rotation(matrix) else "rotation and flip", no)
    note(
        source.facts.mastering is not None, setup.encoder in ("libx265", "libsvtav1"),
        "HDR10 mastering metadata", f"{setup.encoder} cannot carry it; hevc and av1 can",
    )  # fmt: skip
    captioned = source.facts.captions
    carried = setup.encoder in CAPTIONERS and source.pix_fmt == setup.form.name
    note(captioned, carried, "closed captions", f"{setup.encoder} cannot carry them")
    dropped += [f"{extra} (f2r cannot carry it)" for extra in source.facts.extras]
    bitstream = setup.encoder in ("libx264", "libx264rgb", "libx265", "mpeg4", "mpeg2video")
    shaped = container.pixel_aspect or bitstream or _patched(container, target)
    note(_anamorphic(reader), shaped, f"pixel aspect {source.pixel_aspect}", no)
    fielded = says_fields(container, setup.encoder)
    reason = f"{setup.encoder} in {container.name} does not store it"
    note(reader.info.interlaced, fielded, "field order", reason)
    other = not says_matrix(setup.encoder, setup.tags.matrix)
    note(other, False, "colour matrix", f"{setup.encoder} has no code for it")
    coloured = setup.tags.primaries != 2 or setup.tags.transfer != 2 or setup.coding.full_range
    coloured &= setup.coding.family is not Family.RGB or setup.tags.primaries != 2
    note(coloured, container.colour or bitstream, "colour tags", no)
    return kept, dropped, matrix if turns else ()


def _turn(reader: Reader, container: Container, options: WriteOptions) -> Turn | None:
    """The turn that pictures need, because the container cannot state it."""
    matrix = metadata_of(reader).facts.display_matrix
    if not matrix or _holds_matrix(container, matrix) or options.copy_only:
        return None
    turn = turn_of(matrix)
    return turn if turn is not None and fits(turn, reader.info) else None


def _holds_matrix(container: Container, matrix: tuple[int, ...]) -> bool:
    return container.display_matrix == "all" or (
        container.display_matrix == "rotation" and is_rotation(matrix)
    )


def _untitled(reader: Reader, container: Container) -> Iterator[str]:
    """Languages and titles of streams that are kept without them."""
    for stream in metadata_of(reader).others:
        if stream.type not in ("audio", "subtitle") or refusal(container, stream):
            continue
        named = stream.language not in (None, "", "und")
        if named and "language" not in container.stream_tags:
            yield f"language of {stream_line(stream)}"
        if title_of(stream.metadata) and "title" not in container.stream_tags:
            yield f"title of {stream_line(stream)}"


def _anamorphic(reader: Reader) -> bool:
    return metadata_of(reader).pixel_aspect not in (None, Fraction(1))


def _patched(container: Container, target: str) -> bool:
    """Whether the pixel aspect is written into the finished file's header."""
    return container.name in ("matroska", "webm") and target != PIPE


def is_rotation(matrix: tuple[int, ...]) -> bool:
    """Whether a display matrix turns without flipping."""
    return not matrix or matrix[0] * matrix[4] - matrix[1] * matrix[3] > 0


def _container_options(
    reader: Reader, container: Container, time_base: Fraction
) -> tuple[tuple[str, str], ...]:
    options = dict(container.options)
    if container.name in ("mp4", "mov"):  # else offsets and holds are rounded to milliseconds
        options["movie_timescale"] = str(max(1000, time_base.denominator))
    if _rare_tags(reader, container) and not _has_cover(reader, container):
        options["movflags"] += "+use_metadata_tags"
    return tuple(options.items())


def _tags(reader: Reader, container: Container) -> dict[str, str]:
    """The tags of the file that the container has room for."""
    tags = plain_tags(dict(metadata_of(reader).container_tags))
    if not container.metadata:
        return tags
    rare = _rare_tags(reader, container) if _has_cover(reader, container) else []
    return {k: v for k, v in tags.items() if container.holds_tag(k) and k not in rare}


def _rare_tags(reader: Reader, container: Container) -> list[str]:
    """Tags that mp4 and mov have no name for: they need its other, open list of keys."""
    if container.name not in ("mp4", "mov"):
        return []
    tags = plain_tags(dict(metadata_of(reader).container_tags))
    return [name for name in tags if name.lower() not in _MP4_TAGS]


def _has_cover(reader: Reader, container: Container) -> bool:
    """Whether a picture is kept where tags are."""
    return container.covers == "stream" and any(map(is_cover, metadata_of(reader).others))


def _notes(
    reader: Reader, container: Container, choice: EncoderChoice, options: WriteOptions
) -> Iterator[str]:
    info, source, setup = reader.info, metadata_of(reader).family, choice.setup
    family = family_of_encoder(setup.encoder)
    own = encoders_for(source)
    if source and not options.codec and not options.lossless and setup.encoder not in own:
        if not own:
            why = f"f2r cannot write {source}"
        elif not any(family_of_encoder(name) in container.families for name in own):
            why = f"{container.name} files cannot hold {source}"
        else:
            takes = f"does not take {_samples(info.layout)} at {info.width}x{info.height}"
            why = f"the {source} encoder {choice.refusals.get(own[0], takes)}"
        yield f"written as {family}: {why}"
    extra = [a for a, b in zip(setup.form.log2_chroma, info.layout.log2_chroma, strict=True)]
    if setup.form.family is info.layout.family and tuple(extra) != info.layout.log2_chroma:
        yield f"stored as {setup.form.name}, which holds every sample of the input"
    if one_rate(container, setup.encoder):
        what = setup.encoder if container.variable_rate else container.name
        yield f"{what} has one frame rate, {float(setup.rate):g}: frame times are rounded"


def _samples(layout: PlaneLayout) -> str:
    alpha = " with alpha" if layout.alpha else ""
    return f"{layout.bits}-bit {layout.family.value}{alpha}"
