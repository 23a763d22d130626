"""TOML and JSON that anyone may have written: limited in size, and errors of one kind."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

LARGEST = 1 << 20  # bytes


def read_text(path: Path, largest: int = LARGEST, errors: str = "strict") -> str:
    """The text of a file. Raises OSError, and ValueError for one that is too large or no text.

    Devices may have no end: no more is read than may be there.
    """
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise ValueError(f"more than {largest} bytes")
    return data.decode("utf-8", errors)


def parse_json(text: str, loads: Callable[[str], Any] = json.loads) -> Any:
    """The value that JSON describes. Raises ValueError for everything that is wrong with it."""
    try:
        return loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The top table of TOML. Raises ValueError for everything that is wrong with it."""
    found: dict[str, Any] = parse_json(text, tomllib.loads)
    return found
