"""Still pictures: a folder, a pattern such as frames/%05d.png, or one file.

FFmpeg's codecs read and write them. Its encoders write little metadata (colour profile, EXIF, text,
resolution), so that is copied from file to file as it is.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

import f2rcli.io.files as disk
from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Family, Frame, Plane
from f2rcli.io.base import Reader, ReadOptions, Receipt, WriteOptions, WritePlan, Writer
from f2rcli.io.formats import PICTURES, WRITTEN_PICTURES
from f2rcli.io.numbering import axes_in_names, clip_files, is_pattern, matching, numbered
from f2rcli.io.sequence import RATE, SequenceReader, first_readable, mismatch, tell_missing
from f2rcli.io.video.encoders import EncoderSetup, choose_encoder, losses
from f2rcli.io.video.pixels import converted, fits, make_frame, overheard, read_planes, stays
from f2rcli.io.video.source import BOUNDED, ffmpeg_reason, picture_facts, quiet_ffmpeg
from f2rcli.io.video.streams import Container, plan_streams, plan_tags
from f2rcli.units import count
from f2rcli.yuv import developed, to_rgb

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"  # what files begin with
# What chunks of PNG and segments of JPEG (APP0 to 15 but Adobe's 14, COM) hold, by how they begin.
_PROFILE = "colour profile"
_HELD = {
    _PROFILE: rb"iCCP|\xe2ICC_PROFILE\0", "colours": rb"sRGB|cICP|gAMA|cHRM|mDCV|cLLI",
    "resolution": rb"pHYs.{8}\x01|\xe0JFIF\0..[\1\2]", "EXIF": rb"eXIf|\xe1Exif",
    "text": rb"tEXt|zTXt|iTXt|\xe1(?!Exif)|[\xed\xfe]", "time": rb"tIME",
    "data of makers": rb"\xe2(?!ICC_PROFILE\0|MPF\0)|[\xe3-\xea\xec\xef]",
    "second pictures (as gain maps)": rb"\xe2MPF\0",  # their places, behind the first: CIPA DC-007
    "signatures": rb"\xeb", "old previews": rb"\xe0(?!JFIF)",
}  # fmt: skip
_STALE = {"second pictures (as gain maps)", "signatures", "old previews"}
_COLOUR = {b"iCCP", b"sRGB", b"cICP", b"gAMA", b"cHRM"}  # one of them replaces all of the encoder's
_JFIF, _START_OF_SCAN = 0xE0, 0xDA
# What FFmpeg says, and no more, of a JPEG that is cut off or whose samples are damaged.
_DAMAGE = re.compile(r"EOI missing|overread|error count|error y=|bad vlc")


def default_target(source: Path) -> Path:
    """`frames_f2r` beside `frames`, `frames_f2r/%05d.png` for a pattern, `a_f2r.png` for one."""
    suffix = source.suffix if source.suffix.lower() in WRITTEN_PICTURES else ".png"
    folder = disk.default_folder(source)
    if folder is None:
        return source.with_name(f"{source.stem}_f2r{suffix}")
    return folder if source.is_dir() else folder / f"{source.stem}{suffix}"


# --- Files, and what PNG and JPEG state ----------------------------------------------------------
def find_pictures(source: str) -> list[Path]:
    """The files of a sequence in order; see `clip_files`. Raises InputError for names that count
    more than time, too: such pictures are no neighbours."""
    files = clip_files(source, PICTURES, "pictures")
    named = axes_in_names(files) if Path(source).is_dir() else None
    if named is not None and len(named[0]) > 1:
        axes = ", ".join(f"{axis} {size}" for axis, size in named[0].items())
        raise InputError(
            f"{Path(source).name}: names of its pictures count {axes}: which follow each other?",
            hint="Save them as TIFF, whose names make lanes; or pass a pattern with one number, "
            "such as exp_T%04d_C00_Z00.png.",
        )
    return files


def read_metadata(path: Path) -> list[tuple[str, bytes]]:
    """The metadata of a file as (what it is, raw bytes); empty for other formats."""
    data = path.read_bytes() if path.exists() else b""
    raws = [raw for _, raw in _png_chunks(data)] if data.startswith(_PNG) else []
    raws += [raw for _, raw in jpeg_segments(data)] if data.startswith(_JPEG) else []
    heads = (raw[4:8] if data.startswith(_PNG) else raw[1:2] + raw[4:20] for raw in raws)
    return [
        (word, raw) for raw, head in zip(raws, heads, strict=True) for word, begin in _HELD.items()
        if re.match(begin, head, re.DOTALL)
    ]  # fmt: skip


def staying(parts: list[tuple[str, bytes]], family: Family) -> list[tuple[str, bytes]]:
    """What is true of a denoised picture of this family: of its colours, and of its bytes."""
    spaces = {_space(raw) for word, raw in parts if word == _PROFILE} - {b""}
    other = spaces - {b"GRAY" if family is Family.GRAY else b"RGB "}
    return [part for part in parts if part[0] not in _STALE | ({_PROFILE} if other else set())]


def _space(profile: bytes) -> bytes:
    """The colour space in the header of an ICC profile; b"" for none."""
    if profile.startswith(b"\xff"):  # of a segment, the first of which has the header
        return profile[34:38] if profile[16:17] == b"\1" else b""
    with suppress(zlib.error, ValueError):
        packed = profile[profile.index(b"\0", 8) + 2 : -4]
        return zlib.decompressobj().decompress(packed, 20)[16:]
    return b""


def with_metadata(picture: bytes, parts: list[tuple[str, bytes]]) -> bytes:
    """An encoded picture of the same format with this metadata in place of its own."""
    if not parts:
        return picture
    if picture.startswith(_PNG):
        replaced = {raw[4:8] for _, raw in parts}
        replaced |= _COLOUR if replaced & _COLOUR else set()
        header, *rest = (raw for kind, raw in _png_chunks(picture) if kind not in replaced)
        return b"".join((_PNG, header, *(raw for _, raw in parts), *rest))
    first = [raw for _, raw in parts if raw[1] == _JFIF]  # which stands in front
    own = b"".join(raw for kind, raw in jpeg_segments(picture) if kind == _JFIF)
    rest = [raw for _, raw in parts if raw[1] != _JFIF]
    return b"".join((_JPEG, *(first or [own]), *rest, picture[2 + len(own) :]))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place : place + 12 + length]
        place += 12 + length


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and bytes of each segment of a JPEG file before its samples, without the fill bytes 0xFF
    that may precede a marker (ITU-T T.81, B.1.1.2)."""
    place = 2
    while data[place : place + 1] == b"\xff":
        while data[place + 1 : place + 2] == b"\xff":
            place += 1
        if place + 4 > len(data) or data[place + 1] == _START_OF_SCAN:
            return
        length = 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield data[place + 1], data[place : place + length]
        place += length


# --- Reading -------------------------------------------------------------------------------------
def decode_picture(path: Path) -> av.VideoFrame:
    """The picture of a file, by a decoder of its own: FFmpeg's of PNG takes a second file for the
    next frame of an animation and adds it to the first. Raises InputError."""
    quiet_ffmpeg()
    context = av.Codec(PICTURES.get(path.suffix.lower(), "png"), "r").create("video")
    context.thread_count = 1
    context.options = BOUNDED.copy()
    disk.check_not_empty(path)
    frames, why = list[av.VideoFrame](), "it holds none"
    try:
        with overheard(av.logging.WARNING) as said:
            frames = context.decode(Packet(path.read_bytes())) or context.decode(None)
        if damage := [text.strip() for _, _, text in said if _DAMAGE.search(text)]:
            frames, why = [], f"damaged or cut off: {damage[0]}"
    except (av.FFmpegError, ValueError, OSError) as error:
        why = ffmpeg_reason(error)
    if not frames:
        hint = "Check that it is a whole picture, as its suffix says."
        raise InputError(f"{path.name}: is not a picture that FFmpeg can read ({why}).", hint=hint)
    return frames[0]


class ImageReader(SequenceReader):
    """A folder, pattern or single file of still pictures, 25 to the second."""

    format = "pictures"

    def __init__(self, source: str, options: ReadOptions) -> None:
        super().__init__(source, options, find_pictures(source))
        tell_missing(self.ledger, self.files)
        picture = first_readable(self.files, decode_picture)
        facts = picture_facts(picture)
        form, _ = read_planes(picture)
        layout, note = form.layout_tagged(facts.colour, picture.height)
        family = PICTURES.get(self.files[0].suffix.lower(), "png")
        self.metadata = replace(facts, family=family)
        notes = [note] if note else []
        if len(self.files) > 1:
            notes.append(f"pictures carry no time; {RATE} frames/s assumed")
        fields = self.options.fields == "on"
        self.info = self._info(picture.width, picture.height, layout, notes, interlaced=fields)

    def _read(self, index: int) -> Frame:
        path = self.every[index]
        picture = decode_picture(path)
        form, planes = read_planes(picture)
        first, now = self.info, f"{picture.width}x{picture.height}"
        before = f"{first.width}x{first.height}"
        if now != before or not fits(first.layout, form.samples):
            others = f"{before} {self.metadata.pix_fmt}"
            raise mismatch(path.name, f"is {now} {form.name}", others)
        return Frame(planes=planes, layout=first.layout)

    def describe(self) -> list[dict[str, Any]]:
        return [{
            "index": 0, "kind": "video", "codec": self.metadata.family, "denoised": True,
            "width": self.info.width, "height": self.info.height, "frames": len(self.files),
            "pixel_format": self.metadata.pix_fmt, "bits": self.info.layout.bits,
            "first": self.files[0].name, "last": self.files[-1].name,
        }]  # fmt: skip


# --- Writing, all pictures or none ---------------------------------------------------------------
_STILL = Container(name="a picture", muxer="image2", suffixes=(), families=("png", "mjpeg"),
                   only_pictures=True)  # fmt: skip


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    folder, pattern, suffix = _places(reader, Path(target))
    options.refuse_encoding(f"{suffix} pictures", "pix_fmt")
    codec, source = WRITTEN_PICTURES[suffix], reader.metadata
    paths, video = reader.paths(), not isinstance(reader, ImageReader)
    setup = choose_encoder(reader, _STILL, replace(options, codec=codec), piped=False)
    form, layout = setup.form, reader.info.layout
    disk.check_folder(folder, paths, pattern=pattern, overwrite=options.overwrite)
    fates = list(setup.fates())
    if video:
        fates += plan_streams(source, _STILL, options)[1] + plan_tags(source, _STILL)[2]
    else:  # what the files hold says the rest
        turned = ["rotation"] * (source.family != codec)
        fates = [fate for fate in fates if fate[0].startswith(("pixel", *turned))]
    kept = [what for what, reason in fates if not reason]
    dropped = losses(form.samples, layout)
    dropped += [f"{what} ({reason})" for what, reason in fates if reason]
    parts = read_metadata(paths[0]) if paths and not video else []
    stay = staying(parts, form.samples.family) if source.family == codec else []
    for group, some in ((kept, stay), (dropped, [part for part in parts if part not in stay])):
        if words := ", ".join(dict.fromkeys(word for word, _ in some)):
            group.append(f"{words} of the pictures")
    return WritePlan(
        target=target, container="images", encoder=codec, pix_fmt=form.name, kept=tuple(kept),
        dropped=tuple(dropped), converts=not stays(layout, setup.coding),
        notes=("pictures carry no time: frame times and rate are not kept",) if video else (),
        detail=(folder, pattern, suffix, setup),
    )  # fmt: skip


def _places(reader: Reader, target: Path) -> tuple[Path, str, str]:
    """A folder, its files' name or pattern, "" for those of the source, and their suffix."""
    if target.suffix.lower() in WRITTEN_PICTURES and not target.is_dir():
        if not is_pattern(str(target)) and reader.info.frames != 1:
            what = f"{target.name}: is a single picture, but the clip has several frames."
            raise UsageError(what, hint=f"Pass a pattern: {target.stem}_%05d{target.suffix}.")
        return target.parent, target.name, target.suffix.lower()
    if isinstance(reader, ImageReader):
        return target, "", ".jpg" if reader.metadata.family == "mjpeg" else ".png"
    raise UsageError(
        f"{target}: names neither a file with a suffix nor a folder that is there.",
        hint=f"Pass {target}.mp4 or .mkv for a film, or {target}/%05d.png for pictures.",
    )


def encode_picture(planes: tuple[Plane, ...], setup: EncoderSetup) -> bytes:
    """The bytes of a file with a picture. Raises av.FFmpegError."""
    quiet_ffmpeg()
    context, picture = av.Codec(setup.encoder, "w").create("video"), make_frame(planes, setup.form)
    setup.apply(context)
    context.thread_count = 1
    picture.pts = 0  # which does not reach the file
    return b"".join(bytes(packet) for packet in (*context.encode(picture), *context.encode(None)))


class ImageWriter(Writer):
    """Pictures are gathered in a part folder and moved to their places at the very end."""

    part: disk.PartFile

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        super().__init__(reader, plan)
        folder, self._pattern, self._suffix, self._setup = plan.detail
        self._numbers: dict[Path | None, int] = {}  # of a pattern's files, where all differ
        if isinstance(reader, ImageReader) and is_pattern(reader.source.name):
            own = dict(found := matching(reader.source))
            self._numbers = {path: n for n, path in found} if len(own) == len(found) else {}
        alone = self._pattern and not is_pattern(self._pattern)
        kind = disk.PartFile if alone else disk.PartFolder
        self.part = kind(folder / self._pattern if alone else folder, overwrite=plan.overwrite)

    def write(self, frame: Frame) -> None:
        codec = self.plan.encoder
        own = self.reader.every[frame.index or 0] if isinstance(self.reader, ImageReader) else None
        name: str = self._pattern
        if own is not None and not name:
            name = own.stem + self._suffix
        elif is_pattern(name):
            name = numbered(name, self._numbers.get(own, 1 + self.frames))
        planes = converted(frame, self._setup.coding)
        try:
            data = encode_picture(planes, self._setup)
            if own is not None and self.reader.metadata.family == codec:
                parts = staying(read_metadata(own), self._setup.form.samples.family)
                data = with_metadata(data, parts)
        except (av.FFmpegError, ValueError) as error:
            what = f"{name}: encoding failed: {ffmpeg_reason(error)}."
            raise OutputError(what, hint="Try another pix_fmt= or suffix.") from error
        self.part.add(name, data)
        self.frames += 1

    def _complete(self) -> tuple[str, ...]:
        return (f"{count(self.frames, 'picture')}, each read back",)


def write_preview(
    reader: Reader, restored: Iterable[Frame], target: str, write: WriteOptions
) -> Receipt:
    """Write the first frame, whose source is the frame before, beside that as a PNG still, upright:
    to be looked at and thrown away. `check_target` comes before there is work to lose."""
    import cv2  # which takes long to load

    path = Path(target)
    after = next(iter(restored), None)
    if after is None:
        raise InputError(f"{reader.info.name}: no frame to show.", hint="Check start= and end=.")
    video = next((row for row in reader.describe() if row.get("kind") in ("video", "raw")), {})
    turns = round(float(video.get("rotation") or 0) / 90) % 4
    codes = np.concatenate([_upright(frame, turns) for frame in (after.source, after)], axis=1)
    picture = bytes(cv2.imencode(".png", codes[..., ::-1])[1])
    disk.write_file(path, picture, overwrite=write.overwrite)
    seen = ("1 picture, read back",)
    return Receipt(path=target, frames=1, seconds=0, bytes=len(picture), codec="png", verified=seen)


def _upright(frame: Frame, turns: int) -> Plane:
    """(H, W, 3) uint8, turned by so many quarters anticlockwise; of a mosaic a quick look."""
    seen = np.rot90(developed(to_rgb(frame), frame.layout.mosaic), turns, axes=(1, 2))
    codes = np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))


open_reader, open_writer = ImageReader, ImageWriter
