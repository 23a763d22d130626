"""Numbered pictures read as a clip."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import MOST_PIXELS, ReadOptions
from f2rcli.io.images.files import PICTURES, find_pictures, picture_size
from f2rcli.io.provenance import text_of
from f2rcli.io.sequence import (
    RATE,
    MismatchError,
    SequenceReader,
    first_readable,
    tell_missing,
)
from f2rcli.io.video.colour import colour_tags, picture_facts
from f2rcli.io.video.pixels import fits, read_planes
from f2rcli.io.video.source import SourceMetadata, ffmpeg_reason, quiet_ffmpeg

_ERRORS = (av.FFmpegError, ValueError, OSError)
WHOLE = "Check that it is a whole picture, as its suffix says."


def decode_picture(path: Path) -> av.VideoFrame:
    """The picture of a file. Raises InputError with the reason it cannot be read.

    Every file gets a decoder of its own: FFmpeg's PNG decoder takes a second file for the next
    frame of an animation and adds it to the first.
    """
    quiet_ffmpeg()
    context = av.CodecContext.create(PICTURES.get(path.suffix.lower(), "png"), "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.options = {"max_pixels": str(MOST_PIXELS)}
    try:
        data = path.read_bytes()
        if not data:
            raise InputError(f"{path.name}: is empty (0 bytes).", hint="Copy or record it again.")
        frames = context.decode(Packet(data)) or context.decode(None)
    except _ERRORS as error:
        why = ffmpeg_reason(error)
        raise InputError(
            f"{path.name}: is not a picture that FFmpeg can read ({why}).", hint=WHOLE
        ) from error
    if not frames:
        raise InputError(f"{path.name}: holds no picture that FFmpeg can decode.", hint=WHOLE)
    return frames[0]


class ImageReader(SequenceReader):
    """A folder, pattern or single file of still pictures, 25 to the second."""

    every: list[Path]

    def __init__(self, source: str, options: ReadOptions) -> None:
        every = find_pictures(source)
        _check_sizes(every)
        super().__init__(source, options, every)
        self.files = every[self.asked.start : self.asked.stop]
        tell_missing(self.ledger, self.files)
        self.info = self._info(first_readable(self.files, decode_picture, strict=options.strict))

    def _info(self, picture: av.VideoFrame) -> ClipInfo:
        facts = picture_facts(picture)
        tags = colour_tags(picture, picture, facts.chroma_location)
        form, _ = read_planes(picture)
        layout, note = form.layout_tagged(tags, picture.height)
        self.metadata = SourceMetadata(
            family=PICTURES.get(self.files[0].suffix.lower(), "png"),
            pix_fmt=picture.format.name,
            pixel_aspect=facts.pixel_aspect,
            colour=tags,
            facts=facts,
        )
        notes = [note] if note else []
        if len(self.files) > 1:
            notes.append(f"pictures carry no time; {RATE} frames/s assumed")
        return ClipInfo(
            name=self.source.name,
            width=picture.width,
            height=picture.height,
            layout=layout,
            frames=len(self.files),
            duration=float(len(self.files) / RATE),
            rate=RATE,
            time_base=1 / RATE,
            interlaced=self.options.fields == "on",
            notes=tuple(notes),
        )

    def provenance_text(self) -> str:
        return text_of(self.files[0])

    def _read(self, index: int) -> Frame:
        path = self.every[index]
        picture = decode_picture(path)
        form, planes = read_planes(picture)
        size, others = (picture.width, picture.height), (self.info.width, self.info.height)
        if size != others:
            raise _size_error(path, size, "the pictures before are", others)
        if not fits(self.info.layout, form):
            raise MismatchError(
                f"{path.name}: is {form.name}, the pictures before are {self.metadata.pix_fmt}.",
                hint="Convert them to one pixel format first.",
            )
        return Frame(planes=planes, layout=self.info.layout, source=path)

    def _named(self, frame: Frame, index: int) -> Frame:
        return replace(frame, source=self.every[index])

    def describe(self) -> list[dict[str, Any]]:
        """One dict: a sequence is one stream."""
        return [
            {
                "index": 0, "kind": "video", "codec": self.metadata.family, "denoised": True,
                "width": self.info.width, "height": self.info.height, "frames": len(self.files),
                "pixel_format": self.metadata.pix_fmt, "bits": self.info.layout.bits,
                "first": self.files[0].name, "last": self.files[-1].name,
            }
        ]  # fmt: skip

    def paths(self) -> list[Path]:
        return list(self.files)

    def close(self) -> None:
        """Nothing stays open between pictures."""


def _check_sizes(files: list[Path]) -> None:
    """Refuse pictures of several sizes before any work, by their headers."""
    first: tuple[Path, tuple[int, int]] | None = None
    for path in files:
        if (size := picture_size(path)) is not None:
            first = first or (path, size)
            if size != first[1]:
                raise _size_error(path, size, f"{first[0].name} is", first[1])


def _size_error(
    path: Path, size: tuple[int, int], others: str, theirs: tuple[int, int]
) -> MismatchError:
    return MismatchError(
        f"{path.name}: is {size[0]}x{size[1]}, {others} {theirs[0]}x{theirs[1]}.",
        hint="A clip has one size: denoise the parts separately.",
    )
