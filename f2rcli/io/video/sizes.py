"""Promises in the bytes of a video file that its demuxer does not report: sizes and end marks."""

import struct
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from f2rcli.io.containers.ffmpeg_input import StandardInput
from f2rcli.io.containers.gif import ends_with_trailer, unfilled
from f2rcli.io.containers.matroska import segment_end
from f2rcli.io.ledger import Ledger
from f2rcli.io.video.decoder import Decoder

_NAMED = 20  # damaged pictures at most
_FRAME = b"FRAME\n"  # of y4m
_PACKETS = {188: 0, 192: 4, 204: 0}  # bytes of a transport packet -> where its sync byte lies


def check_size(ledger: Ledger, form: str, path: Path, decoder: Decoder) -> None:
    """Compare a file's size with what its header promises. Raises InputError if strict."""
    check = _CHECKS.get(form)
    if check is not None:
        with path.open("rb") as file:
            check(ledger, file, decoder)


def check_piped(ledger: Ledger, form: str, pipe: StandardInput, decoder: Decoder) -> None:
    """Compare the bytes that came through a pipe with whole frames of y4m."""
    if form == "yuv4mpegpipe":
        _check_y4m(ledger, pipe.head, pipe.size, decoder)


def _check_y4m(ledger: Ledger, head: bytes, size: int, decoder: Decoder) -> None:
    header = head.find(b"\n") + 1
    if not header or not head.startswith(_FRAME, header):
        return  # parameters of frames: their length is not known
    frame = len(_FRAME) + decoder.packet_size
    ledger.promised("its size", -(-(size - header) // frame), decoder.packets)


def _y4m(ledger: Ledger, file: BinaryIO, decoder: Decoder) -> None:
    head = file.read(StandardInput.HEAD)
    _check_y4m(ledger, head, file.seek(0, 2), decoder)


def _matroska(ledger: Ledger, file: BinaryIO, decoder: Decoder) -> None:
    promised = segment_end(file)
    if promised is not None:
        ledger.promised("its header", promised, file.seek(0, 2), "byte")


def _transport(ledger: Ledger, file: BinaryIO, decoder: Decoder) -> None:
    head = file.read(2 * max(_PACKETS))
    for length, sync in _PACKETS.items():
        if head[sync : sync + 1] == head[length + sync : length + sync + 1] == b"\x47":
            size = file.seek(0, 2)
            ledger.promised("its last packet", -(-size // length) * length, size, "byte")
            return


def _apng(ledger: Ledger, file: BinaryIO, decoder: Decoder) -> None:
    head = file.read(1 << 16)
    place = head.find(b"acTL")
    if place > 0:
        (frames,) = struct.unpack(">I", head[place + 4 : place + 8].rjust(4, b"\0"))
        ledger.promised("its header", frames, decoder.packets)


def _gif(ledger: Ledger, file: BinaryIO, decoder: Decoder) -> None:
    if not ends_with_trailer(file):
        ledger.fault("its trailer is missing: the file breaks off, and frames may be missing")
    for number in islice(unfilled(file), _NAMED):
        ledger.fault(f"picture {number} is damaged: its data have too few pixels, or too many")


_CHECKS: dict[str, Callable[[Ledger, BinaryIO, Decoder], None]] = {
    "yuv4mpegpipe": _y4m, "matroska,webm": _matroska, "mpegts": _transport, "gif": _gif,
    "apng": _apng,
}  # fmt: skip
