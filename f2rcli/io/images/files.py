"""Still pictures: numbered files, patterns and folders, and one decoder per kind of file."""

import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError
from f2rcli.io.video.ffmpeg_input import ffmpeg_reason, quiet_ffmpeg

# Suffix -> FFmpeg's codec.
PICTURES = {
    ".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg", ".bmp": "bmp", ".webp": "webp",
    ".tga": "targa", ".ppm": "ppm", ".pgm": "pgm", ".pnm": "ppm", ".exr": "exr", ".dpx": "dpx",
    ".jp2": "jpeg2000", ".j2k": "jpeg2000",
}  # fmt: skip
WRITTEN = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}
MAX_HOLE = 100  # missing numbers in a row; beyond it the files are hardly one clip
_MAX_PIXELS = 1 << 29
_PATTERN = re.compile(r"%0?(\d*)d")
_ERRORS = (av.FFmpegError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Slot:
    """One frame of a sequence: its file, or the name of one that is missing."""

    path: Path
    there: bool = True


def is_pattern(source: str) -> bool:
    """Whether a name is a pattern such as `frames/%05d.png`."""
    return len(_PATTERN.findall(Path(source).name)) == 1


def holds_pictures(folder: Path) -> bool:
    """Whether a folder has pictures in it, hidden files apart."""
    return any(_is_picture(path) for path in folder.iterdir())


def _is_picture(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in PICTURES and not hidden and path.is_file()


def find_slots(source: str) -> list[Slot]:
    """The frames of a sequence in order: by number, or by name where numbers count as numbers.

    source: a folder, a pattern or one file. Raises InputError for a mixture of kinds, for a
    pattern without files, and for holes too wide to be lost frames.
    """
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if not path.exists() and is_pattern(source):
        return _of_pattern(path)
    return [Slot(path)]


def _of_folder(folder: Path) -> list[Slot]:
    files = [path for path in folder.iterdir() if _is_picture(path)]
    kinds: dict[str, int] = {}
    for path in files:
        kinds[path.suffix.lower()] = kinds.get(path.suffix.lower(), 0) + 1
    if len(kinds) > 1:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise InputError(
            f"{folder.name}: holds pictures of several kinds ({counts}).",
            hint="Pass a pattern, e.g. folder/%05d.png.",
        )
    if not files:
        raise InputError(f"{folder.name}: holds no pictures.")
    ordered = sorted(files, key=natural_key)
    stems = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in ordered]
    if any(stem is None for stem in stems) or len({stem[1] for stem in stems if stem}) > 1:
        return [Slot(path) for path in ordered]
    return _with_holes(
        {int(stem[2]): path for stem, path in zip(stems, ordered, strict=True) if stem}
    )


def _of_pattern(pattern: Path) -> list[Slot]:
    before, width, after = _split(pattern.name)
    number = re.compile(re.escape(before) + rf"(\d{{{max(width, 1)},}})" + re.escape(after))
    found = {}
    if pattern.parent.is_dir():
        for path in pattern.parent.iterdir():
            match = number.fullmatch(path.name)
            if match:
                found[int(match[1])] = path
    if not found:
        raise InputError(
            f"{pattern}: no file matches.", hint="Check the folder and the number of digits."
        )
    return _with_holes(found)


def numbered_files(pattern: Path) -> list[Path]:
    """The files of a pattern by number. Raises InputError where any of them is missing."""
    slots = _of_pattern(pattern)
    if missing := [slot.path.name for slot in slots if not slot.there]:
        raise InputError(f"{pattern.name}: {missing[0]} is missing.", hint="Number the files anew.")
    return [slot.path for slot in slots]


def _with_holes(files: dict[int, Path]) -> list[Slot]:
    """Every number from the first to the last; those without a file are marked."""
    numbers = sorted(files)
    slots: list[Slot] = []
    for before, number in zip([numbers[0], *numbers], numbers, strict=False):
        if number - before - 1 > MAX_HOLE:
            raise InputError(
                f"{files[number].name}: the numbers jump from {before} to {number}.",
                hint="Denoise the two parts on their own.",
            )
        for missing in range(before + 1, number):
            slots.append(Slot(_renumbered(files[before], before, missing), there=False))
        slots.append(Slot(files[number]))
    return slots


def _renumbered(path: Path, number: int, other: int) -> Path:
    """The name `path` would have with another number."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.name)
    if match is None or int(match[2]) != number:
        return path.with_name(f"{other}{path.suffix}")
    return path.with_name(f"{match[1]}{other:0{len(match[2])}d}{match[3]}")


def numbered(pattern: Path, number: int) -> Path:
    """The file of a pattern with this number."""
    before, width, after = _split(pattern.name)
    return pattern.with_name(f"{before}{number:0{width}d}{after}")


def _split(name: str) -> tuple[str, int, str]:
    match = _PATTERN.search(name)
    if match is None:
        raise ValueError(f"{name}: not a pattern")
    return name[: match.start()], int(match[1] or 0), name[match.end() :]


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts `im 2` before `im 10`."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height by the header of a PNG or JPEG file; None for others and damaged ones."""
    with path.open("rb") as handle:
        head = handle.read(1 << 16)
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return int(width), int(height)
    if not head.startswith(b"\xff\xd8"):
        return None
    place = 2
    while place + 9 < len(head) and head[place] == 0xFF:
        kind, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[place + 5 : place + 9])
            return int(width), int(height)
        place += 2 + length
    return None


def decode_picture(path: Path) -> av.VideoFrame:
    """The picture of a file. Raises InputError with the reason it cannot be read.

    Every file gets a decoder of its own: FFmpeg's PNG decoder takes a second file for the next
    frame of an animation and adds it to the first.
    """
    quiet_ffmpeg()
    context = av.CodecContext.create(PICTURES.get(path.suffix.lower(), "png"), "r")
    if not isinstance(context, VideoCodecContext):
        raise TypeError(f"{path.suffix} is not a picture")
    context.thread_count = 1
    context.options = {"max_pixels": str(_MAX_PIXELS)}
    try:
        data = path.read_bytes()
        if not data:
            raise InputError(f"{path.name}: is empty (0 bytes).")
        frames = context.decode(Packet(data)) or context.decode(None)
    except _ERRORS as error:
        raise InputError(f"{path.name}: {ffmpeg_reason(error)}.") from error
    if not frames:
        raise InputError(f"{path.name}: holds no picture that FFmpeg can decode.")
    return frames[0]


class PictureEncoder:
    """Encodes pictures of one size into files of one kind."""

    def __init__(
        self, codec: str, size: tuple[int, int], pix_fmt: str, aspect: Fraction | None
    ) -> None:
        quiet_ffmpeg()
        context = av.CodecContext.create(codec, "w")
        if not isinstance(context, VideoCodecContext):
            raise TypeError(f"{codec} is not a picture codec")
        context.width, context.height = size
        context.pix_fmt = pix_fmt
        context.time_base = Fraction(1, 25)  # nothing of it reaches the file
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        context.thread_count = 1  # one file out for each picture in
        if codec == "mjpeg":
            context.color_range = 2
            context.options = {"flags": "+qscale", "global_quality": str(2 * 118)}
        self._context = context
        self._count = 0

    def encode(self, picture: av.VideoFrame) -> bytes:
        """The bytes of a file."""
        picture.pts = self._count
        self._count += 1
        return b"".join(bytes(packet) for packet in self._context.encode(picture))
