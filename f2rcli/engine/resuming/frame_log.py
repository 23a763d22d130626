"""Finished frames in a file that only grows: without loss, each with its own hash and that of the
frame that it was made of."""

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from f2rcli.errors import StaleError
from f2rcli.frames import Frame, Plane

LINE = 1 << 12  # bytes of an entry's first line at most
WAITING = 32 << 20  # bytes that wait in memory before they are written


class FrameLog:
    """Frames of one run, in order. Nothing is written before `write`, or 32 MiB of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = self.size = 0  # of all that was added; size in bytes
        self._waiting: list[bytes] = []
        self._held = 0

    def add(self, frame: Frame, source: str) -> None:
        """Take in the next frame; source: the digest of what it was made of. Raises OSError."""
        parts = [packed(plane) for plane in frame.planes]
        body = b"".join(parts)
        line = json.dumps([source, blake2b(body, digest_size=16).hexdigest(), *map(len, parts)])
        entry = line.encode() + b"\n" + body
        self._waiting.append(entry)
        self._held += len(entry)
        self.frames, self.size = self.frames + 1, self.size + len(entry)
        if self._held > WAITING:
            self.write()

    def write(self, *, sync: bool = False) -> None:
        """Write what waits; sync: down to the disk. Raises OSError."""
        with self.path.open("ab") as file:
            file.write(b"".join(self._waiting))
            self._waiting, self._held = [], 0
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def reopened(self, frames: int, size: int) -> Iterator[tuple[str, list[bytes]]]:
        """Forget all but the first so many frames, which take `size` bytes, and read those: the
        digest of what each was made of, and its planes.

        Raises OSError, and StaleError for damage.
        """
        with self.path.open("rb+") as file:
            file.truncate(size)
        self.frames, self.size = frames, size
        return self._entries(frames)

    def _entries(self, frames: int) -> Iterator[tuple[str, list[bytes]]]:
        with self.path.open("rb") as file:
            for _ in range(frames):
                try:
                    source, digest, *lengths = json.loads(file.readline(LINE))
                    parts = [file.read(max(length, 0)) for length in lengths]
                except (ValueError, TypeError, RecursionError) as error:
                    raise StaleError from error
                if blake2b(b"".join(parts), digest_size=16).hexdigest() != digest:
                    raise StaleError
                yield source, parts


def digest_of(frame: Frame) -> str:
    """Of a frame's samples and time."""
    whole = blake2b(repr((frame.pts, frame.lane)).encode(), digest_size=16)
    for plane in frame.planes:
        whole.update(np.ascontiguousarray(plane).data)
    return whole.hexdigest()


def filled(frame: Frame, parts: list[bytes]) -> Frame:
    """The frame with planes like its own out of a log. Raises StaleError."""
    pairs = zip(frame.planes, parts, strict=len(parts) == len(frame.planes))
    planes = tuple(unpacked(part, plane) for plane, part in pairs)
    if len(planes) != len(frame.planes):
        raise StaleError
    return replace(frame, planes=planes)


def packed(plane: Plane) -> bytes:
    """A plane as what differs from the row above, byte by byte of its samples, compressed fast."""
    values = np.ascontiguousarray(plane).view(f"u{plane.itemsize}")
    apart = values.copy()
    apart[1:] -= values[:-1]
    split = apart.view(np.uint8).reshape(-1, plane.itemsize).T
    press = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return press.compress(np.ascontiguousarray(split).data) + press.flush()


def unpacked(data: bytes, like: Plane) -> Plane:
    """What `packed` made of a plane of this shape and type. Raises StaleError."""
    try:
        split = zlib.decompressobj().decompress(data, like.nbytes)
    except zlib.error as error:
        raise StaleError from error
    if len(split) != like.nbytes:
        raise StaleError
    joined = np.frombuffer(split, np.uint8).reshape(like.itemsize, -1).T
    apart = np.ascontiguousarray(joined).view(f"u{like.itemsize}").reshape(like.shape)
    values = np.add.accumulate(apart, axis=0, dtype=apart.dtype)
    whole: Plane = values.view(like.dtype)
    return whole
