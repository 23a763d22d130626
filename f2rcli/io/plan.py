"""What writing a clip would do: encoder, pixel format, streams kept; no side effects."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from av.stream import Stream

from f2rcli.errors import UsageError
from f2rcli.frames import Family, PlaneLayout
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.containers import Container, accepts, container_for, plain_tags, refusal
from f2rcli.io.encoders import (
    EncoderSetup,
    closest_format,
    coding_for,
    colour_for,
    encoder_options,
    encoders_for,
    family_name,
    family_of_encoder,
    formats_of,
    losses,
    named_encoders,
    other_encoders,
    quality,
)
from f2rcli.io.origin import family_of, stream_line
from f2rcli.io.part import check_target
from f2rcli.io.pixels import PixelFormat
from f2rcli.io.source import PIPE, is_cover

_LOSSLESS = "ffv1"
_TEXT = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text")
_MP4_TAGS = {  # what mp4 and mov store under names of their own
    "title", "artist", "album_artist", "album", "composer", "date", "year", "comment", "genre",
    "copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network",
    "keywords", "track", "disc", "creation_time", "timecode", "location", "location-eng",
}  # fmt: skip


_TAGS_OR_COVER = "mp4 and mov hold either these or cover art"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """How one of the other streams travels."""

    stream: Stream
    action: Literal["copy", "subtitle", "attach"]
    codec: str = ""  # the subtitle codec it is turned into


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDetail:
    """What a video writer needs beyond the plan that users see."""

    container: Container
    setup: EncoderSetup
    streams: tuple[StreamPlan, ...]
    container_options: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]
    display_matrix: tuple[int, ...]
    patch_aspect: bool  # the pixel aspect is written into the finished file


@dataclass(frozen=True, slots=True)
class _Choice:
    setup: EncoderSetup
    lost: tuple[str, ...]
    refusals: dict[str, str]  # by encoder, the first reason it gave


def plan_video(reader: Reader, target: str | Path, options: WriteOptions) -> WritePlan:
    """Plan a video file or pipe. Raises UsageError or OutputError for what cannot be done."""
    where = str(target)
    container = container_for(where, reader.origin.container, options.codec)
    if where != PIPE:
        check_target(Path(where), reader.paths(), overwrite=options.overwrite)
    _check_options(container, options)
    choice = _choose(reader, container, options)
    setup = choice.setup
    streams, kept, dropped = _streams(reader, container)
    kept_facts, dropped_facts, matrix = _facts(reader, container, setup, where)
    crf, preset = quality(setup.encoder, options)
    return WritePlan(
        target=where,
        container=container.name,
        encoder=setup.encoder,
        family=family_of_encoder(setup.encoder),
        pix_fmt=setup.form.name,
        crf=crf,
        preset=preset,
        options=setup.options,
        kept=(*kept, *kept_facts),
        dropped=(*choice.lost, *dropped, *dropped_facts),
        notes=tuple(_notes(reader, container, choice, options)),
        overwrite=options.overwrite,
        keep_partial=options.keep_partial,
        detail=VideoDetail(
            container=container,
            setup=setup,
            streams=streams,
            container_options=_container_options(reader, container),
            metadata=tuple(plain_tags(dict(reader.origin.metadata)).items()),
            display_matrix=matrix,
            patch_aspect=_patched(container, where) and _anamorphic(reader),
        ),
    )


def _check_options(container: Container, options: WriteOptions) -> None:
    if options.lossless and options.crf is not None:
        raise UsageError("crf and lossless: only one of them.", hint="Leave out --crf.")
    if options.lossless and options.codec and family_name(options.codec) != _LOSSLESS:
        raise UsageError(
            f"codec {options.codec} and lossless: --lossless means FFV1.",
            hint="Leave out --codec or --lossless.",
        )
    if options.lossless and _LOSSLESS not in container.families:
        raise UsageError(
            f"lossless: {container.name} cannot hold FFV1.", hint="Name an .mkv file with -o."
        )


def _choose(reader: Reader, container: Container, options: WriteOptions) -> _Choice:
    """The first encoder, in order of preference, that loses nothing; else what loses least."""
    encoders = _candidates(reader, container, options)
    layout = reader.info.layout
    refusals: dict[str, str] = {}
    for any_form in (False, True):  # the closest format of each, then larger ones
        for encoder in encoders:
            for form in _lossless_forms(encoder, reader, container, options, any_form):
                setup, reason = _tried(reader, container, encoder, form, options)
                if reason is None:
                    lost = (*_tolerated(encoder, form, reader), *_coding_losses(reader, setup))
                    return _Choice(setup, lost, refusals)
                refusals.setdefault(encoder, reason)
    lossy = [(e, f) for e in encoders for f in _forms(e, container, options)]
    for encoder, form in sorted(lossy, key=lambda pair: _regret(pair[1], layout)):
        setup, reason = _tried(reader, container, encoder, form, options)
        if reason is None:
            worse = [*losses(form, layout), *_coding_losses(reader, setup)]
            return _Choice(setup, tuple(f"{line} ({encoder})" for line in worse), refusals)
        refusals.setdefault(encoder, reason)
    reasons = [f"{encoder}: {reason}" for encoder, reason in refusals.items()]
    raise UsageError(
        f"{reader.info.name}: cannot be encoded for {container.name}: "
        f"{reasons[0] if reasons else 'no encoder fits'}.",
        hint="Try another --codec, --pix-fmt or container; .mkv with --lossless holds everything.",
    )


def _tried(
    reader: Reader, container: Container, encoder: str, form: PixelFormat, options: WriteOptions
) -> tuple[EncoderSetup, str | None]:
    """An encoder set up, and why it refuses. Raises UsageError if the user's options are why."""
    setup = _setup(reader, container, encoder, form, options)
    reason = setup.trial()
    if reason is not None and (options.encoder_options or options.preset or options.crf):
        bare = replace(options, encoder_options=(), preset=None, crf=None)
        if _setup(reader, container, encoder, form, bare).trial() is None:
            raise UsageError(
                f"{encoder} refuses its options: {reason}.",
                hint="Check --encoder-opt, --preset and --crf.",
            )
    return setup, reason


def _regret(form: PixelFormat, layout: PlaneLayout) -> tuple[int, int]:
    return len(losses(form, layout)), max(0, layout.bits - form.bits)


def _candidates(reader: Reader, container: Container, options: WriteOptions) -> list[str]:
    """Encoders to try, best first, of those whose streams the container holds."""
    if options.lossless:
        names: tuple[str, ...] = (_LOSSLESS,)
    elif options.codec:
        names = named_encoders(options.codec)
    else:
        own = encoders_for(reader.origin.family)
        names = own + tuple(name for name in other_encoders() if name not in own)
    fitting = [name for name in names if accepts(container, name)]
    if not fitting:
        raise UsageError(
            f"codec {options.codec}: {container.name} files do not hold it.",
            hint=f"{container.name} holds {', '.join(container.families)}; .mkv holds most.",
        )
    if options.pix_fmt:
        fitting = _with_pix_fmt(fitting, options.pix_fmt)
    return fitting


def _with_pix_fmt(encoders: list[str], pix_fmt: str) -> list[str]:
    fitting = [name for name in encoders if any(f.name == pix_fmt for f in formats_of(name))]
    if not fitting:
        names = " ".join(form.name for form in formats_of(encoders[0]))
        raise UsageError(
            f"pixel format {pix_fmt}: {encoders[0]} does not take it.", hint=f"It takes {names}."
        )
    return fitting


def _forms(encoder: str, container: Container, options: WriteOptions) -> Iterator[PixelFormat]:
    """Formats of an encoder, as far as the container carries them; VP9's alpha travels beside."""
    beside = encoder == "libvpx-vp9" and container.name not in ("matroska", "webm")
    for form in formats_of(encoder):
        if options.pix_fmt in (None, form.name) and not (beside and form.alpha):
            yield form


def _coding_losses(reader: Reader, setup: EncoderSetup) -> list[str]:
    narrowed = reader.info.layout.full_range and not setup.coding.full_range
    return ["full range becomes limited"] if narrowed else []


def _lossless_forms(
    encoder: str, reader: Reader, container: Container, options: WriteOptions, any_form: bool
) -> Iterator[PixelFormat]:
    """Formats of an encoder that hold every sample: the closest one, or all the others."""
    layout = reader.info.layout
    closest = closest_format(encoder, layout)
    for form in _forms(encoder, container, options):
        if (form == closest) is any_form and options.pix_fmt is None:
            continue
        if not losses(form, layout) or _tolerated(encoder, form, reader):
            yield form


def _tolerated(encoder: str, form: PixelFormat, reader: Reader) -> tuple[str, ...]:
    """ProRes 4444 decodes to 12 bits, of which its only free encoder takes 10: still the family."""
    lost = losses(form, reader.info.layout)
    own = encoder == "prores_ks" and reader.origin.family == "prores"
    if own and lost == ["12 bits become 10"]:
        return ("12 bits become 10 (the ProRes encoder takes no more)",)
    return ()


def _setup(
    reader: Reader, container: Container, encoder: str, form: PixelFormat, options: WriteOptions
) -> EncoderSetup:
    info, origin = reader.info, reader.origin
    rate = info.rate or Fraction(25)
    chosen = encoder_options(
        encoder, form, info, origin.profile, origin.facts.mastering,
        origin.tags.chroma_location, options, in_order=not container.variable_rate,
    )  # fmt: skip
    coding = coding_for(encoder, form, info.layout)
    order = 1 if not info.interlaced else 2 if info.top_field_first else 3
    hevc = family_of_encoder(encoder) == "hevc" and container.name in ("mp4", "mov")
    return EncoderSetup(
        encoder=encoder,
        form=form,
        width=info.width,
        height=info.height,
        rate=rate,
        time_base=info.time_base if container.variable_rate else 1 / rate,
        tags=colour_for(coding, origin.tags),
        coding=coding,
        pixel_aspect=origin.pixel_aspect,
        field_order=order,
        codec_tag="hvc1" if hevc else "",  # QuickTime plays no other
        options=tuple(chosen.items()),
    )


def _streams(
    reader: Reader, container: Container
) -> tuple[tuple[StreamPlan, ...], list[str], list[str]]:
    """How the other streams travel; lines of those kept, and of those dropped with the reason."""
    plans, kept, dropped = [], [], []
    for stream in reader.origin.others:
        if _rebuilt(reader, container, stream):
            continue
        plan, reason = _stream(container, stream)
        if plan is None:
            dropped.append(f"{stream_line(stream)} ({reason})")
            continue
        plans.append(plan)
        turned = f" as {plan.codec}" if plan.action == "subtitle" else ""
        kept.append(stream_line(stream) + turned)
    return tuple(plans), kept, dropped


def _rebuilt(reader: Reader, container: Container, stream: Stream) -> bool:
    """Whether a data stream of mov or mp4 only says again what is written anew.

    Chapters are text tracks there, and the time code is a track and a tag.
    """
    if stream.type != "data" or not container.chapters:
        return False
    if str(stream.codec_tag if stream.codec_context else "") == "tmcd":
        return "timecode" in reader.origin.stream_metadata
    chapters = reader.origin.chapters
    mov = "mov" in reader.origin.container and stream.codec_context is None
    timecode = mov and "timecode" in stream.metadata
    return timecode or (mov and bool(chapters) and stream.frames == len(chapters))


def _stream(container: Container, stream: Stream) -> tuple[StreamPlan | None, str]:
    if is_cover(stream):
        if container.covers == "attachment":
            return StreamPlan(stream=stream, action="attach"), ""
        if not container.covers:
            return None, f"{container.name} holds no cover art"
    reason = refusal(container, stream)
    if reason is None:
        return StreamPlan(stream=stream, action="copy"), ""
    text = container.text_subtitles
    if stream.type == "subtitle" and text and family_of(stream) in _TEXT:
        return StreamPlan(stream=stream, action="subtitle", codec=text), ""
    return None, reason


def _facts(
    reader: Reader, container: Container, setup: EncoderSetup, target: str
) -> tuple[list[str], list[str], tuple[int, ...]]:
    """Properties that travel and that do not, in words, and the display matrix to write."""
    origin = reader.origin
    kept: list[str] = []
    dropped: list[str] = []

    def note(there: bool, held: bool, what: str, reason: str) -> None:
        if there:
            (kept if held else dropped).append(what if held else f"{what} ({reason})")

    no = f"{container.name} holds none"
    chapters = len(origin.chapters)
    note(bool(chapters), container.chapters, f"{chapters} chapters", no)
    note(bool(plain_tags(dict(origin.metadata))), container.metadata, "metadata", no)
    rare = _rare_tags(reader, container)
    note(bool(rare) and _has_cover(reader), False, f"tags {', '.join(rare)}", _TAGS_OR_COVER)
    matrix = origin.facts.display_matrix
    turns = container.display_matrix == "all" or (
        container.display_matrix == "rotation" and is_rotation(matrix)
    )
    note(bool(matrix), turns, "rotation" if is_rotation(matrix) else "rotation and flip", no)
    note(
        origin.facts.mastering is not None, setup.encoder in ("libx265", "libsvtav1"),
        "HDR10 mastering metadata", f"{setup.encoder} cannot carry it; hevc and av1 can",
    )  # fmt: skip
    bitstream = setup.encoder in ("libx264", "libx264rgb", "libx265", "mpeg4", "mpeg2video")
    shaped = container.pixel_aspect or bitstream or _patched(container, target)
    note(_anamorphic(reader), shaped, f"pixel aspect {origin.pixel_aspect}", no)
    coloured = setup.tags.primaries != 2 or setup.tags.transfer != 2 or setup.coding.full_range
    coloured &= setup.coding.family is not Family.RGB or setup.tags.primaries != 2
    note(coloured, container.colour or bitstream, "colour tags", no)
    return kept, dropped, matrix if turns else ()


def _anamorphic(reader: Reader) -> bool:
    return reader.origin.pixel_aspect not in (None, Fraction(1))


def _patched(container: Container, target: str) -> bool:
    """Whether the pixel aspect is written into the finished file's header."""
    return container.name in ("matroska", "webm") and target != PIPE


def is_rotation(matrix: tuple[int, ...]) -> bool:
    """Whether a display matrix turns without flipping."""
    return not matrix or matrix[0] * matrix[4] - matrix[1] * matrix[3] > 0


def _container_options(reader: Reader, container: Container) -> tuple[tuple[str, str], ...]:
    options = dict(container.options)
    if _rare_tags(reader, container) and not _has_cover(reader):
        options["movflags"] += "+use_metadata_tags"
    return tuple(options.items())


def _rare_tags(reader: Reader, container: Container) -> list[str]:
    """Tags that mp4 and mov have no name for: they need its other, open list of keys."""
    if container.name not in ("mp4", "mov"):
        return []
    return [k for k in plain_tags(dict(reader.origin.metadata)) if k.lower() not in _MP4_TAGS]


def _has_cover(reader: Reader) -> bool:
    return any(is_cover(stream) for stream in reader.origin.others)


def _notes(
    reader: Reader, container: Container, choice: _Choice, options: WriteOptions
) -> Iterator[str]:
    info, source, setup = reader.info, reader.origin.family, choice.setup
    family = family_of_encoder(setup.encoder)
    own = encoders_for(source)
    if source and not options.codec and not options.lossless and setup.encoder not in own:
        if not own:
            why = f"there is no {source} encoder here"
        elif not any(family_of_encoder(name) in container.families for name in own):
            why = f"{container.name} files do not hold {source}"
        else:
            takes = f"takes no {_samples(info.layout)} of {info.width}x{info.height}"
            why = f"the {source} encoder {choice.refusals.get(own[0], takes)}"
        yield f"written as {family}: {why}"
    extra = [a for a, b in zip(setup.form.log2_chroma, info.layout.log2_chroma, strict=True)]
    if setup.form.family is info.layout.family and tuple(extra) != info.layout.log2_chroma:
        yield f"stored as {setup.form.name}, which holds every sample of the input"
    flagged = container.name in ("matroska", "mov") or "flags" in dict(setup.options)
    if info.interlaced and not flagged:
        yield f"{setup.encoder} in {container.name} does not say that the picture is interlaced"
    if not container.variable_rate:
        yield f"{container.name} has one frame rate, {float(setup.rate):g}: frame times are rounded"


def _samples(layout: PlaneLayout) -> str:
    alpha = " with alpha" if layout.alpha else ""
    return f"{layout.bits}-bit {layout.family.value}{alpha}"
