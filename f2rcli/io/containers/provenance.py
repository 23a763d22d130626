"""A file's provenance, as one tag of its container: written by f2r, read back by `f2r info`."""

from typing import Any

from f2rcli.documents import LARGEST, parse_json
from f2rcli.io.base import MARK, Reader
from f2rcli.io.ffmpeg.metadata import metadata_of

# The tag of each container that holds one; mp4's and avi's are the program's name, which FFmpeg
# reads back as `encoder` and `software`.
TAGS = {"mp4": "encoding_tool", "mov": "f2r", "matroska": "F2R", "webm": "F2R", "nut": "f2r",
        "avi": "ISFT"}  # fmt: skip


def provenance_tag(container: str, text: str) -> dict[str, str]:
    """The tag of a container with a text; none where it holds no such tag."""
    return {TAGS[container]: text} if text and container in TAGS else {}


def read_provenance(reader: Reader) -> dict[str, Any] | None:
    """The provenance of a clip; None where f2r did not make it, or did not say. Raises nothing."""
    for value in (*metadata_of(reader).container_tags.values(), reader.provenance_text()):
        if not value.startswith(MARK) or len(value) > LARGEST:
            continue
        try:
            facts = parse_json(value)
        except ValueError:
            continue
        if isinstance(facts, dict) and isinstance(facts.get("settings", {}), dict):
            return facts
    return None
