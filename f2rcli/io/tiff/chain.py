"""The list of pages of a TIFF file, followed without tifffile, which runs in circles for ever."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import tifffile

from f2rcli.io.tiff.library import DAMAGE, quiet_tifffile


@dataclass(frozen=True, slots=True)
class Chain:
    """The number of pages listed, and whether the list comes back to one of them."""

    pages: int
    circular: bool = False


def follow(path: Path) -> Chain:
    """Follow the list of pages to its end. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\0", b"\0+")
        count, tag, link = (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
        place = head[8:16] if big else head[4:8]
        return _follow(file, place, count, tag, link)


def _follow(file: BinaryIO, place: bytes, count: str, tag: int, link: str) -> Chain:
    seen: set[int] = set()
    size = file.seek(0, 2)
    while len(place) == struct.calcsize(link):
        (offset,) = struct.unpack(link, place)
        if offset in seen:
            return Chain(len(seen), circular=True)
        if not 0 < offset < size:
            break
        seen.add(offset)
        file.seek(offset)
        tags = file.read(struct.calcsize(count))
        if len(tags) < struct.calcsize(count):
            break
        end = file.tell() + struct.unpack(count, tags)[0] * tag
        if end >= size:  # a damaged count may be more than any file holds
            break
        file.seek(end)
        place = file.read(struct.calcsize(link))
    return Chain(len(seen))


def distinct_pages(file: tifffile.TiffFile, chain: Chain) -> Any:
    """The pages of a circular list as one array, as far as they are like the first."""
    first = file.pages.first
    pages = pages_like(file, first, chain.pages)
    several = len(pages) > 1
    return tifffile.TiffPageSeries(
        pages, (len(pages), *first.shape) if several else first.shape, first.dtype,
        "I" + first.axes if several else first.axes, kind="generic",
    )  # fmt: skip


def pages_like(file: tifffile.TiffFile, keyframe: Any, stop: int) -> list[Any]:
    """The pages from `keyframe` on, up to `stop` or the first that is unreadable or unlike it."""
    pages = [keyframe]
    with quiet_tifffile():
        for index in range(keyframe.index + 1, stop):
            try:
                page = file.pages[index].aspage()
            except DAMAGE:
                break
            if page.hash != keyframe.hash:
                break
            pages.append(page)
    return pages
