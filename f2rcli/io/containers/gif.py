"""The blocks of a GIF: whether they go on to the trailer, and whether each holds its pixels.

GIF has no checksums. Damage that gives other pixels in the right number shows nowhere.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

LONGEST = 1 << 12  # codes of a table; no more are added to a full one


def ends_with_trailer(file: BinaryIO) -> bool:
    """Whether the blocks of a GIF go on to its trailer, and nothing but padding follows."""
    try:
        for _ in _pictures(file):
            pass
    except ValueError:
        return False
    return not file.read().strip(b"\0\r\n ")  # pictures behind it are shown by nobody


def unfilled(file: BinaryIO) -> Iterator[int]:
    """Numbers, from 1, of pictures with too few or many pixels, up to where blocks break off."""
    try:
        for number, (pixels, size, parts) in enumerate(_pictures(file), 1):
            if pixels != unpacked_pixels(b"".join(parts), size):
                yield number
    except ValueError:
        return


def _pictures(file: BinaryIO) -> Iterator[tuple[int, int, list[bytes]]]:
    """Pixels, size of codes and data of every picture. Raises ValueError before the trailer."""
    file.seek(0)
    file.seek(_colours(_read(file, 13)[10]), 1)
    while (block := _read(file, 1)) != b"\x3b":
        if block == b"\x2c":  # a picture: place, size and flags, colours, size of codes
            width, height, flags = struct.unpack("<4xHHB", _read(file, 9))
            file.seek(_colours(flags), 1)
            size = _read(file, 1)[0]
            yield width * height, size, list(_parts(file))
        elif block == b"\x21":
            file.seek(1, 1)
            for _ in _parts(file):
                pass
        else:
            raise ValueError("no block of a GIF")


def _read(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise ValueError("the file ends")
    return data


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while length := _read(file, 1)[0]:
        yield _read(file, length)


def unpacked_pixels(data: bytes, size: int) -> int:
    """The number of pixels in LZW codes that begin with `size` + 1 bits; -1 if impossible. Only
    lengths of strings are followed."""
    if not 1 <= size <= 11:
        return -1
    clear = 1 << size
    lengths, width, before, total = [1] * clear + [0, 0], size + 1, 0, 0
    held = bits = 0
    for byte in data:
        held |= byte << bits
        bits += 8
        while bits >= width:
            code = held & ((1 << width) - 1)
            held >>= width
            bits -= width
            if code == clear:
                del lengths[clear + 2 :]
                width, before = size + 1, 0
                continue
            if code == clear + 1:
                return total
            known = len(lengths)
            if code > known or (code == known and not before):
                return -1
            now = lengths[code] if code < known else before + 1
            if before and known < LONGEST:
                lengths.append(before + 1)
                width += known + 1 == 1 << width and width < 12
            total, before = total + now, now
    return total
