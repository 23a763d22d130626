"""The output plan for a video: encoder, pixel format, streams and metadata to keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from av.audio.stream import AudioStream
from av.stream import Stream

from f2rcli.frames import PlaneLayout
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.containers.ffmpeg_input import PIPE
from f2rcli.io.containers.kinds import Container, container_for, refusal
from f2rcli.io.containers.sound import SoundSetup, choose_sound, sound_words
from f2rcli.io.ffmpeg.colour import Mastering
from f2rcli.io.ffmpeg.encoders import EncoderSetup, encoders_for, family_of_encoder, quality
from f2rcli.io.ffmpeg.metadata import family_of, is_cover, metadata_of, stream_line
from f2rcli.io.ffmpeg.turning import TURNED, Turn, as_turned, turn_for
from f2rcli.io.targets import check_target
from f2rcli.io.video.encoder_choice import EncoderChoice, check_options, choose_encoder, one_rate
from f2rcli.io.video.properties import (
    anamorphic,
    boxed,
    file_tags,
    has_cover,
    holds_matrix,
    patched,
    properties,
    rare_tags,
)

_TURNING = "has no rotation flag: the pictures themselves are rotated"
_TEXT = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text")


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
    mastering: Mastering | None  # likewise


def plan_video(reader: Reader, target: str | Path, options: WriteOptions) -> WritePlan:
    """Plan a video file or pipe. Raises UsageError or OutputError for what cannot be done."""
    where = str(target)
    container = container_for(where, metadata_of(reader).container, options.codec)
    if where != PIPE:
        check_target(Path(where), reader.paths(), overwrite=options.overwrite)
    check_options(container, options)
    turn = _turn(reader, container, options)
    reader = reader if turn is None else as_turned(reader, turn)
    choice = choose_encoder(reader, container, options)
    setup = choice.setup
    streams, kept, dropped = _streams(reader, container, options)
    kept_facts, dropped_facts, matrix = properties(reader, container, setup, where)
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
            *([f"{container.name} {_TURNING}"] if turn else []),
            *(sound_words(container, p.stream, p.sound) for p in streams if p.sound),
        ),
        detail=VideoDetail(
            container=container,
            setup=setup,
            streams=streams,
            container_options=_container_options(reader, container, setup.time_base, options),
            metadata=tuple(file_tags(reader, container).items()),
            display_matrix=matrix,
            turn=turn,
            mastering=metadata_of(reader).facts.mastering if boxed(container, where) else None,
            patch_aspect=patched(container, where) and anamorphic(reader),
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
    """Whether a mov or mp4 data stream is written anew: chapters (text tracks) and time codes."""
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


def _turn(reader: Reader, container: Container, options: WriteOptions) -> Turn | None:
    """The turn that pictures need, because the container cannot state it."""
    matrix = metadata_of(reader).facts.display_matrix
    held = not matrix or holds_matrix(container, matrix)
    return None if held or options.copy_only else turn_for(reader)


def _container_options(
    reader: Reader, container: Container, time_base: Fraction, asked: WriteOptions
) -> tuple[tuple[str, str], ...]:
    options = dict(container.options)
    if container.name in ("mp4", "mov"):  # else offsets and holds are rounded to milliseconds
        options["movie_timescale"] = str(max(1000, time_base.denominator))
    keys = rare_tags(reader, container) or (container.name == "mov" and asked.provenance)
    if keys and not has_cover(reader, container):
        options["movflags"] += "+use_metadata_tags"
    return tuple(options.items())


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
    if one_rate(container, setup.encoder) and metadata_of(reader).container != "yuv4mpegpipe":
        what = setup.encoder if container.variable_rate else container.name
        yield f"{what} has one frame rate, {float(setup.rate):g}: frame times are rounded"


def _samples(layout: PlaneLayout) -> str:
    alpha = " with alpha" if layout.alpha else ""
    return f"{layout.bits}-bit {layout.family.value}{alpha}"
