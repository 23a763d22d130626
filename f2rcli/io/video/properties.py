"""Properties of a clip beside its streams: which of them a target keeps, in words."""

from collections.abc import Iterator
from fractions import Fraction

from f2rcli.frames import Family
from f2rcli.io.base import Reader
from f2rcli.io.containers.ffmpeg_input import PIPE
from f2rcli.io.containers.kinds import Container, plain_tags, refusal
from f2rcli.io.ffmpeg.encoders import CAPTIONERS, EncoderSetup, says_matrix
from f2rcli.io.ffmpeg.metadata import is_cover, metadata_of, stream_line, title_of
from f2rcli.io.video.encoder_choice import says_fields

_MP4_TAGS = {  # what mp4 and mov store under names of their own
    "title", "artist", "album_artist", "album", "composer", "date", "year", "comment", "genre",
    "copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network",
    "keywords", "track", "disc", "creation_time", "timecode", "location", "location-eng",
}  # fmt: skip
_TAGS_OR_COVER = "mp4 holds either these or cover art"


def properties(
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
    tags = plain_tags(source.container_tags)
    note(bool(tags), container.metadata, "metadata", no)
    unnamed = [tag for tag in tags if not container.holds_tag(tag)]
    note(bool(unnamed) and container.metadata, False, f"tags {', '.join(unnamed)}", no)
    dropped += [f"{stream} ({no})" for stream in _untitled(reader, container)]
    rare = rare_tags(reader, container)
    crowded = bool(rare) and has_cover(reader, container)
    note(crowded, False, f"tags {', '.join(rare)}", _TAGS_OR_COVER)
    matrix = source.facts.display_matrix
    turns = holds_matrix(container, matrix)
    note(bool(matrix), turns, "rotation" if is_rotation(matrix) else "rotation and flip", no)
    note(
        source.facts.mastering is not None,
        setup.encoder in ("libx265", "libsvtav1") or boxed(container, target),
        "HDR10 mastering metadata", f"{setup.encoder} cannot carry it; hevc and av1 can",
    )  # fmt: skip
    carried = setup.encoder in CAPTIONERS and source.pix_fmt == setup.form.name
    note(source.facts.captions, carried, "closed captions", f"{setup.encoder} cannot carry them")
    dropped += [f"{extra} (f2r cannot carry it)" for extra in source.facts.extras]
    bitstream = setup.encoder in ("libx264", "libx264rgb", "libx265", "mpeg4", "mpeg2video")
    shaped = container.pixel_aspect or bitstream or patched(container, target)
    shape = f"pixel aspect {source.pixel_aspect}"
    note(anamorphic(reader), shaped, shape, f"f2r cannot write it to {container.name}")
    fielded = says_fields(container, setup.encoder)
    reason = f"{setup.encoder} in {container.name} does not store it"
    note(reader.info.interlaced, fielded, "field order", reason)
    other = not says_matrix(setup.encoder, setup.tags.matrix)
    note(other, False, "colour matrix", f"{setup.encoder} has no code for it")
    coloured = setup.tags.primaries != 2 or setup.tags.transfer != 2 or setup.coding.full_range
    coloured &= setup.coding.family is not Family.RGB or setup.tags.primaries != 2
    note(coloured, container.colour or bitstream, "colour tags", no)
    return kept, dropped, matrix if turns else ()


def holds_matrix(container: Container, matrix: tuple[int, ...]) -> bool:
    return container.display_matrix == "all" or (
        container.display_matrix == "rotation" and is_rotation(matrix)
    )


def _untitled(reader: Reader, container: Container) -> Iterator[str]:
    """Languages and titles of streams that are kept without them."""
    for stream in metadata_of(reader).others:
        if stream.type == "attachment" or is_cover(stream) or refusal(container, stream):
            continue
        named = stream.language not in (None, "", "und")
        if named and not container.holds_language(stream):
            yield f"language of {stream_line(stream)}"
        if title_of(stream.metadata) and "title" not in container.stream_tags:
            yield f"title of {stream_line(stream)}"


def anamorphic(reader: Reader) -> bool:
    return metadata_of(reader).pixel_aspect not in (None, Fraction(1))


def boxed(container: Container, target: str) -> bool:
    """Whether HDR10 metadata is written into the finished file's header."""
    return container.name in ("mp4", "mov") and target != PIPE


def patched(container: Container, target: str) -> bool:
    """Whether the pixel aspect is written into the finished file's header."""
    return container.name in ("matroska", "webm") and target != PIPE


def is_rotation(matrix: tuple[int, ...]) -> bool:
    """Whether a display matrix turns without flipping."""
    return not matrix or matrix[0] * matrix[4] - matrix[1] * matrix[3] > 0


def file_tags(reader: Reader, container: Container) -> dict[str, str]:
    """The tags of the file that the container has room for."""
    tags = plain_tags(metadata_of(reader).container_tags)
    if not container.metadata:
        return tags
    rare = rare_tags(reader, container) if has_cover(reader, container) else []
    return {k: v for k, v in tags.items() if container.holds_tag(k) and k not in rare}


def rare_tags(reader: Reader, container: Container) -> list[str]:
    """Tags that mp4 and mov have no name for: they need its other, open list of keys."""
    if container.name not in ("mp4", "mov"):
        return []
    tags = plain_tags(metadata_of(reader).container_tags)
    return [name for name in tags if name.lower() not in _MP4_TAGS]


def has_cover(reader: Reader, container: Container) -> bool:
    """Whether a picture is kept where tags are."""
    return container.covers == "stream" and any(map(is_cover, metadata_of(reader).others))
