"""An append-only file of finished frames, lossless, each with its hash and its source frame's."""

import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import cv2
import numpy as np

from f2rcli.errors import StaleError
from f2rcli.frames import Frame, Plane

LINE = 1 << 12  # bytes of an entry's first line at most
AT_ONCE = 4  # frames that wait to be packed


class FrameLog:
    """Frames of one run, in order; packed beside the run, they wait in memory for `write`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = self.size = 0  # of all that is packed; size in bytes
        self.waiting = 0  # bytes that are not written
        self._entries: list[bytes] = []
        self._packing: deque[Future[bytes]] = deque()
        self._packer = ThreadPoolExecutor(1)

    def add(self, frame: Frame, source: str) -> None:
        """Take in the next frame; source: the digest of what it was made of."""
        self._packing.append(self._packer.submit(_entry, frame, source))
        self.settle(AT_ONCE)

    def settle(self, most: int = 0) -> None:
        """Wait until all frames but the last few are packed."""
        while len(self._packing) > most:
            entry = self._packing.popleft().result()
            self._entries.append(entry)
            self.frames, self.size = self.frames + 1, self.size + len(entry)
            self.waiting += len(entry)

    def write(self, *, sync: bool = False) -> None:
        """Write what is packed; sync: down to the disk. Raises OSError."""
        with self.path.open("ab") as file:
            file.writelines(self._entries)
            self._entries, self.waiting = [], 0
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def close(self) -> None:
        """Stop packing."""
        self._packer.shutdown(cancel_futures=True)

    def reopened(self, frames: int, size: int) -> Iterator[tuple[str, list[bytes]]]:
        """Forget all but the first so many frames, which take `size` bytes, and read those: the
        digest of what each was made of, and its planes. Raises OSError, and StaleError for damage.
        """
        with self.path.open("rb+") as file:
            file.truncate(size)
        self.frames, self.size = frames, size
        return self._read(frames)

    def _read(self, frames: int) -> Iterator[tuple[str, list[bytes]]]:
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


def _entry(frame: Frame, source: str) -> bytes:
    parts = [packed(plane) for plane in frame.planes]
    body = b"".join(parts)
    line = json.dumps([source, blake2b(body, digest_size=16).hexdigest(), *map(len, parts)])
    return line.encode() + b"\n" + body


def digest_of(frame: Frame) -> str:
    """The digest of a frame's samples and time."""
    whole = blake2b(repr((frame.pts, frame.lane)).encode(), digest_size=16)
    for plane in frame.planes:
        whole.update(np.ascontiguousarray(plane).data)
    return whole.hexdigest()


def filled(frame: Frame, parts: list[bytes]) -> Frame:
    """The frame with planes like its own out of a log. Raises StaleError."""
    if len(parts) != len(frame.planes):
        raise StaleError
    pairs = zip(parts, frame.planes, strict=True)
    return replace(frame, planes=tuple(unpacked(*pair) for pair in pairs))


def packed(plane: Plane) -> bytes:
    """A plane as a PNG of its bytes, compressed fast."""
    kind = "u1" if plane.itemsize == 1 else "u2"
    codes = np.ascontiguousarray(plane).view(kind)
    return cv2.imencode(".png", codes, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def unpacked(data: bytes, like: Plane) -> Plane:
    """The inverse of `packed`, for a plane of this shape and type. Raises StaleError."""
    codes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if codes is None or codes.nbytes != like.nbytes:
        raise StaleError
    return np.ascontiguousarray(codes).view(like.dtype).reshape(like.shape)
