"""f2r's provenance in PNG and APNG files: a text chunk of its own."""

import struct
from pathlib import Path
from zlib import crc32

from f2rcli.documents import LARGEST

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORD = b"f2r\0"
_END = struct.pack(">I4sI", 0, b"IEND", crc32(b"IEND"))  # the last chunk of every file


def text_chunk(text: str) -> tuple[bytes, bytes]:
    """A chunk with a text in ASCII: its kind, and its bytes."""
    body = b"tEXt" + _KEYWORD + text.encode("ascii")
    return b"tEXt", struct.pack(">I", len(body) - 4) + body + struct.pack(">I", crc32(body))


def is_text_chunk(kind: bytes, raw: bytes) -> bool:
    """Whether a chunk is such a one."""
    return kind == b"tEXt" and raw.startswith(_KEYWORD, 8)


def text_of(path: Path) -> str:
    """The text of such a chunk in a file; "" for none."""
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return ""
        while len(head := file.read(8)) == 8:
            after = file.tell() + int.from_bytes(head[:4], "big") + 4
            if head[4:] == b"tEXt" and file.read(len(_KEYWORD)) == _KEYWORD:
                return file.read(max(0, min(after - 4 - file.tell(), LARGEST))).decode("latin-1")
            if head[4:] == b"IEND":
                break
            file.seek(after)
    return ""


def append_text(path: Path, text: str) -> None:
    """Put such a chunk before the last of a finished file."""
    with path.open("r+b") as file:
        file.seek(-len(_END), 2)
        if file.read() == _END:
            file.seek(-len(_END), 2)
            file.write(text_chunk(text)[1] + _END)
