"""How a file was made, in the file: a tag of its container, or a text chunk of its PNG pictures."""

import struct
from pathlib import Path
from typing import Any
from zlib import crc32

from f2rcli.documents import LARGEST, parse_json
from f2rcli.io.base import MARK, Reader

PNG = b"\x89PNG\r\n\x1a\n"  # what every PNG file begins with
_KEYWORD = b"f2r\0"


def read_provenance(reader: Reader) -> dict[str, Any] | None:
    """The provenance of a clip; None where f2r did not make it, or did not say. Raises nothing."""
    tags = getattr(getattr(reader, "metadata", None), "container_tags", {})
    for value in (*tags.values(), reader.provenance_text()):
        if not value.startswith(MARK) or len(value) > LARGEST:
            continue
        try:
            facts = parse_json(value)
        except ValueError:
            continue
        if isinstance(facts, dict) and isinstance(facts.get("settings", {}), dict):
            return facts
    return None


def text_chunk(text: str) -> tuple[bytes, bytes]:
    """A PNG chunk with a text in ASCII: its kind, and its bytes."""
    body = b"tEXt" + _KEYWORD + text.encode("ascii")
    return b"tEXt", struct.pack(">I", len(body) - 4) + body + struct.pack(">I", crc32(body))


def is_text_chunk(kind: bytes, raw: bytes) -> bool:
    """Whether a chunk is such a one."""
    return kind == b"tEXt" and raw.startswith(_KEYWORD, 8)


def text_of(path: Path) -> str:
    """The text of such a chunk in a PNG file; "" for none."""
    with path.open("rb") as file:
        if file.read(len(PNG)) != PNG:
            return ""
        while len(head := file.read(8)) == 8:
            after = file.tell() + int.from_bytes(head[:4], "big") + 4
            if head[4:] == b"tEXt" and file.read(len(_KEYWORD)) == _KEYWORD:
                return file.read(max(0, min(after - 4 - file.tell(), LARGEST))).decode("latin-1")
            if head[4:] == b"IEND":
                break
            file.seek(after)
    return ""
