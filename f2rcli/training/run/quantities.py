"""Sizes and times as users write them."""

import re

from f2rcli.errors import ConfigError

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip


def size_in_bytes(name: str, text: str) -> int:
    """`2GiB`, `500 MB` or `1000000` in bytes; raises ConfigError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ConfigError(f"{name}={text!r}: not a size.", hint="Write 2GiB, 500MB or bytes.")
    return int(float(match[1]) * UNITS[(match[2] or "").upper()])


def span_in_seconds(name: str, text: str) -> float:
    """`25m`, `1h30m`, `90s` or `90` (seconds) in seconds; raises ConfigError."""
    match = re.fullmatch(r"\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+(?:\.\d+)?)s?)?\s*", text)
    if match is None or not any(match.groups()):
        raise ConfigError(f"{name}={text!r}: not a time.", hint="Write 25m, 1h30m or 90s.")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
