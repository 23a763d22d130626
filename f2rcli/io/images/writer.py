"""A clip written as numbered pictures, all of them or none."""

from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Frame, Matrix, PlaneLayout
from f2rcli.io.atomic import PartFolder
from f2rcli.io.base import Reader, Receipt, WriteOptions, WritePlan, Writer
from f2rcli.io.disk_errors import disk_errors, misread_error
from f2rcli.io.images.files import WRITTEN, read_metadata, with_metadata
from f2rcli.io.images.reader import ImageReader, decode_picture
from f2rcli.io.numbering import is_pattern, numbered
from f2rcli.io.provenance import text_chunk
from f2rcli.io.targets import check_folder
from f2rcli.io.video.colour import FULL, picture_facts
from f2rcli.io.video.encoders import LAMBDA, closest_format, formats_of, losses
from f2rcli.io.video.pixels import PixelFormat, converted, make_frame
from f2rcli.io.video.source import ffmpeg_reason, metadata_of, quiet_ffmpeg, stream_line
from f2rcli.units import count

METADATA = "colour profile, EXIF and text of the pictures"
_FIRST = 1  # the number of the first picture of a clip that has no numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetail:
    """The writer's part of the plan."""

    folder: Path
    pattern: str  # a file name with %05d in it; "" keeps the names of the source
    suffix: str
    form: PixelFormat
    coding: PlaneLayout


def plan_images(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan numbered pictures. Raises UsageError or OutputError for what cannot be done."""
    folder, pattern, suffix = _places(reader, Path(target))
    options.refuse_encoding(f"{suffix} pictures", pix_fmt=False)
    codec = WRITTEN[suffix]
    if options.lossless and codec != "png":
        raise UsageError(
            f"lossless=True: {suffix} pictures are lossy.", hint="Write .png pictures."
        )
    paths, video = reader.paths(), not isinstance(reader, ImageReader)
    layout = reader.info.layout
    form = _form(codec, layout, options.pix_fmt)
    coding = form.layout(
        full_range=True, matrix=Matrix.BT601 if codec == "mjpeg" else layout.matrix
    )
    check_folder(folder, paths, pattern=pattern, overwrite=options.overwrite)
    source = metadata_of(reader)
    none = "pictures hold none"
    dropped = [*losses(form, layout), *(f"{stream_line(s)} ({none})" for s in source.others)]
    dropped += [f"{len(source.chapters)} chapters ({none})"] if source.chapters else []
    turned = bool(source.facts.display_matrix) and source.family != codec
    dropped += [f"rotation ({none})"] if turned else []
    kept = []
    if source.pixel_aspect not in (None, Fraction(1)):
        kept.append(f"pixel aspect {source.pixel_aspect}")
    if paths and not video and read_metadata(paths[0]):
        (kept if source.family == codec else dropped).append(METADATA)
    return WritePlan(
        target=target,
        container="images",
        encoder=codec,
        pix_fmt=form.name,
        kept=tuple(kept),
        dropped=tuple(dropped),
        notes=("pictures carry no time: frame times and rate are not kept",) if video else (),
        detail=ImageDetail(folder=folder, pattern=pattern, suffix=suffix, form=form, coding=coding),
    )


def _places(reader: Reader, target: Path) -> tuple[Path, str, str]:
    if target.suffix.lower() in WRITTEN and not target.is_dir():
        if not is_pattern(str(target)) and reader.info.frames != 1:
            raise UsageError(
                f"{target.name}: is a single picture, but the clip has several frames.",
                hint=f"Pass a pattern: {target.stem}_%05d{target.suffix}.",
            )
        return target.parent, target.name, target.suffix.lower()
    if isinstance(reader, ImageReader):
        return target, "", ".jpg" if reader.metadata.family == "mjpeg" else ".png"
    raise UsageError(
        f"{target}: names neither a file with a suffix nor a folder that is there.",
        hint=f"Pass {target}.mp4 or .mkv for a film, or {target}/%05d.png for pictures.",
    )


def _form(codec: str, layout: PlaneLayout, wanted: str | None) -> PixelFormat:
    form = closest_format(codec, layout)
    if wanted is None and form is not None:
        return form
    names = {f.name: f for f in formats_of(codec)}
    if wanted not in names:
        raise UsageError(
            f"pix_fmt={wanted!r}: {codec} does not take it.", hint=f"It takes {' '.join(names)}."
        )
    return names[wanted]


def encode_picture(picture: av.VideoFrame, codec: str, aspect: Fraction | None = None) -> bytes:
    """The bytes of a file with a picture. aspect: of its pixels. Raises av.FFmpegError."""
    quiet_ffmpeg()
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = picture.format.name
    context.time_base, picture.pts = Fraction(1, 25), 0  # nothing of it reaches the file
    context.thread_count = 1
    if aspect is not None:
        context.sample_aspect_ratio = aspect
    if codec == "mjpeg":
        context.color_range = FULL
        context.options = {"flags": "+qscale", "global_quality": str(2 * LAMBDA)}
    return b"".join(bytes(packet) for packet in (*context.encode(picture), *context.encode(None)))


class ImageWriter(Writer):
    """Pictures are gathered in a part folder and moved to their places at the very end."""

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        self.reader = reader
        self.plan = plan
        self.detail: ImageDetail = plan.detail
        self._size = reader.info.width, reader.info.height
        self._aspect = metadata_of(reader).pixel_aspect
        self._provenance: str | None = None  # once the first frame is there
        self._digests: dict[str, bytes] = {}  # of what was written, by name
        self._bare = False  # whether a picture lacks metadata that it was given
        self._part = PartFolder(
            self.detail.folder, overwrite=plan.overwrite, keep=plan.keep_partial
        )

    def write(self, frame: Frame) -> None:
        name = self._name(frame)
        picture = make_frame(
            converted(frame, self.detail.form, self.detail.coding), self.detail.form
        )
        try:
            with disk_errors(Path(name)):
                parts = self._metadata(frame)
                data = with_metadata(
                    encode_picture(picture, self.plan.encoder, self._aspect), parts
                )
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(
                f"{name}: encoding failed: {ffmpeg_reason(error)}.",
                hint="Try another pix_fmt= or suffix.",
            ) from error
        self._part.add(name, data)
        self._digests[name] = sha256(data).digest()
        self._bare |= any(raw not in data for _, raw in parts)

    def _metadata(self, frame: Frame) -> list[tuple[bytes, bytes]]:
        same = metadata_of(self.reader).family == self.plan.encoder
        parts = read_metadata(frame.source) if same and isinstance(frame.source, Path) else []
        if self._provenance is None:
            self._provenance = self.plan.provenance_text() if self.plan.encoder == "png" else ""
        return [*parts, text_chunk(self._provenance)] if self._provenance else parts

    def _name(self, frame: Frame) -> str:
        detail = self.detail
        if not detail.pattern and frame.source is not None:
            return Path(frame.source).stem + detail.suffix
        if not detail.pattern:
            return f"{_FIRST + len(self._part.names):06d}{detail.suffix}"
        if not is_pattern(detail.pattern):
            return detail.pattern
        return numbered(detail.folder / detail.pattern, _FIRST + len(self._part.names)).name

    def finish(self) -> Receipt:
        if not self._part.names:
            raise InputError(
                f"{self.reader.info.name}: has no frames; nothing was written.",
                hint="Check start= and end=, or the input.",
            )
        verified, lost = self._verify()
        frames, size = len(self._part.names), self._part.publish()
        return self.plan.receipt(  # pictures carry no time
            frames=frames, seconds=0.0, size=size, verified=verified, lost=lost
        )

    def _verify(self) -> tuple[tuple[str, ...], list[str]]:
        """Facts verified of the pictures on the disk, and the parts of the plan that they lack."""
        names = self._part.names
        for name in names:
            if not self._is_written(name):
                raise misread_error(name)
        last = decode_picture(self._part.path / names[-1])
        if (last.width, last.height) != self._size:
            raise misread_error(names[-1], "reads back in another size")
        there = {METADATA: not self._bare, f"pixel aspect {picture_facts(last).pixel_aspect}": True}
        lost = [
            what for what in self.plan.kept
            if not there.get(what, not what.startswith("pixel aspect"))
        ]  # fmt: skip
        return (f"{count(len(names), 'picture')}, each read back",), lost

    def _is_written(self, name: str) -> bool:
        try:
            return sha256((self._part.path / name).read_bytes()).digest() == self._digests[name]
        except FileNotFoundError:
            return False

    def abandon(self) -> None:
        self._part.discard()
