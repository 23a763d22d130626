"""How a file was made, as one tag of its container: written by f2r, read back by `f2r info`."""

from typing import Any

from f2rcli.documents import LARGEST, parse_json
from f2rcli.io.base import Reader, WritePlan
from f2rcli.io.ffmpeg.metadata import metadata_of

MARK = '{"f2r": '  # what such a tag begins with
# The tag of each container that holds one; mp4's is the program's name, which FFmpeg reads back as
# `encoder`.
TAGS = {"mp4": "encoding_tool", "mov": "f2r", "matroska": "F2R", "webm": "F2R", "nut": "f2r"}


def provenance_tag(container: str, plan: WritePlan) -> dict[str, str]:
    """The tag of a container with what is told; none where it holds no such tag."""
    if container not in TAGS or plan.provenance is None:
        return {}
    return {TAGS[container]: plan.told()}


def read_provenance(reader: Reader) -> dict[str, Any] | None:
    """How a clip was made; None where f2r did not make it, or did not say. Raises nothing."""
    for value in (*metadata_of(reader).container_tags.values(), reader.told()):
        if not value.startswith(MARK) or len(value) > LARGEST:
            continue
        try:
            facts = parse_json(value)
        except ValueError:
            continue
        if isinstance(facts, dict) and isinstance(facts.get("settings", {}), dict):
            return facts
    return None
