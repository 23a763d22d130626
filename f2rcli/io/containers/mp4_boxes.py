"""HDR10 boxes (mdcv, clli) in the headers of MP4 and MOV files, which PyAV cannot reach.

FFmpeg's muxer takes them from a field of its stream that PyAV cannot set, so they are written into
the finished file. Room for them comes from `PADDING`, put into the track's name when the file is
muxed and taken out here; nothing behind the track's header moves. ISO/IEC 14496-12.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from f2rcli.io.ffmpeg.colour import Mastering

PADDING = " " * 44  # what the two boxes take
_HEADER = 8  # bytes of a box before its content
_MOST = 1 << 28  # bytes of a moov box


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    end: int


def write_mastering(path: Path, mastering: Mastering) -> None:
    """State mastering display and light levels in the track named with `PADDING`. Raises ValueError
    for a layout other than FFmpeg's."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        place = 0
        while place < size:
            file.seek(place)
            length, kind = struct.unpack(">I4s", file.read(_HEADER))
            if kind == b"moov" and _HEADER <= length < _MOST:
                file.seek(place)
                changed = _with_boxes(file.read(length), mastering)
                file.seek(place)
                file.write(changed)
                return
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8))
            place += max(length, _HEADER) if length else size
    raise ValueError("no moov box in the header")


def _with_boxes(moov: bytes, mastering: Mastering) -> bytes:
    for track in _boxes(moov, _HEADER, len(moov), b"trak"):
        try:
            udta = _only(moov, track, b"udta")
            name = _only(moov, udta, b"name")
            title = moov[name.start + _HEADER : name.end]
            if not title.endswith(PADDING.encode()):
                continue
            above = [_only(moov, track, b"mdia")]
            for kind in (b"minf", b"stbl", b"stsd"):
                above.append(_only(moov, above[-1], kind))
            entry = next(_boxes(moov, above[-1].start + _HEADER + 8, above[-1].end))
        except (StopIteration, struct.error):
            continue
        return _moved(moov, [*above, entry], udta, name, mastering)
    raise ValueError("no track has room for HDR10 boxes")


def _moved(moov: bytes, above: list[_Box], udta: _Box, name: _Box, mastering: Mastering) -> bytes:
    """Boxes at the end of a sample entry, at the cost of the track's name behind it."""
    entry = above[-1]
    if entry.end > name.start:
        raise ValueError("the track's name comes first")
    boxes = _mdcv(mastering) + _clli(mastering)
    title = moov[name.start + _HEADER : name.end - len(PADDING)]
    spare = len(PADDING) - len(boxes)
    named = _box(b"name", title) if title else b""
    spare += 0 if title else _HEADER
    named += _box(b"free", bytes(spare - _HEADER)) if spare else b""
    changed = bytearray(
        moov[: entry.end] + boxes + moov[entry.end : name.start] + named + moov[name.end :]
    )
    for box in above:
        struct.pack_into(">I", changed, box.start, box.end - box.start + len(boxes))
    shorter = udta.end - udta.start - len(boxes)
    struct.pack_into(">I", changed, udta.start + len(boxes), shorter)
    return bytes(changed)


def _mdcv(mastering: Mastering) -> bytes:
    """The mastering display: G, B, R, white; brightest, darkest."""
    if not mastering.display:
        return b""
    *red, gx, gy, bx, by, wx, wy, low, high = mastering.codes
    return _box(b"mdcv", struct.pack(">8H2I", gx, gy, bx, by, *red, wx, wy, high, low))


def _clli(mastering: Mastering) -> bytes:
    """The content's light levels, in cd/m2."""
    return _box(b"clli", struct.pack(">2H", *mastering.light)) if mastering.light else b""


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", _HEADER + len(content), kind) + content


def _only(data: bytes, within: _Box, kind: bytes) -> _Box:
    return next(_boxes(data, within.start + _HEADER, within.end, kind))


def _boxes(data: bytes, start: int, end: int, kind: bytes = b"") -> Iterator[_Box]:
    while start + _HEADER <= end:
        length, found = struct.unpack(">I4s", data[start : start + _HEADER])
        if length < _HEADER:
            return
        if kind in (b"", found):
            yield _Box(found, start, start + length)
        start += length
