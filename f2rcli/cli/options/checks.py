"""The first check of what was typed: without torch or a file, so that a mistake costs no wait."""

import re
from typing import cast

from f2rcli.errors import UsageError, nearest
from f2rcli.io.base import FieldMode, ReadOptions

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
FIELDS = ("auto", "on", "off")


def check_choice(option: str, value: str, known: list[str]) -> None:
    """Raise UsageError unless `value` is one of `known`."""
    if value not in known:
        raise UsageError(f"{option} {value}: no such choice.", hint=nearest(value, known))


def check_number(option: str, value: float | None, low: float, high: float) -> None:
    """Raise UsageError unless `value` is None or lies in [low, high] (NaN does not)."""
    if value is not None and not low <= value <= high:
        raise UsageError(f"{option} {value:g}: must lie between {low:g} and {high:g}.")


def check_device(value: str) -> None:
    """Raise UsageError unless `value` is written as a device is."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise UsageError(
            f"--device {value}: no such choice.", hint="There is: auto, cpu, cuda, cuda:1, mps."
        )


def check_tile(value: str) -> None:
    """Raise UsageError unless `value` is auto, off or a whole number of pixels."""
    if value not in ("auto", "off") and not re.fullmatch(r"[1-9]\d*", value):
        raise UsageError(
            f"--tile {value}: no such choice.", hint="There is: auto, off, or pixels per side."
        )


def check_weights(value: str | None, known: list[str], option: str = "--weights") -> None:
    """Raise UsageError for a name that is neither bundled nor a path."""
    looks_like_path = value is not None and ("/" in value or "\\" in value or "." in value)
    if value is not None and not looks_like_path:
        check_choice(option, value, known)


def seconds(option: str, value: str | None) -> float | None:
    """A time as written, `12.5`, `1:30` or `1:02:03.5`, in seconds."""
    if value is None:
        return None
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?|\.\d+", value.strip()):
        raise UsageError(
            f"{option} {value}: not a time.", hint="Write seconds (12.5) or h:mm:ss (0:01:30.5)."
        )
    total = 0.0
    for part in value.strip().split(":"):
        total = total * 60 + float(part)
    return total


def check_span(start: float | None, end: float | None) -> None:
    """Raise UsageError for a span that holds nothing."""
    if end is not None and end <= (start or 0.0):
        raise UsageError(
            f"--start {start or 0:g} --end {end:g}: nothing lies between them.",
            hint="Both count from the clip's first frame, in seconds.",
        )


def read_options(
    start: str | None,
    end: str | None,
    frames: int | None,
    fields: str,
    axes: str | None = None,
    *,
    strict: bool,
) -> ReadOptions:
    """The options that say which part of a clip to read, checked."""
    check_choice("--fields", fields, list(FIELDS))
    first, last = seconds("--start", start), seconds("--end", end)
    check_span(first, last)
    mode = cast(FieldMode, fields)
    return ReadOptions(strict=strict, start=first, end=last, frames=frames, fields=mode, axes=axes)


def pairs(values: list[str] | None) -> tuple[tuple[str, str], ...]:
    """`["k=v", ...]` as pairs; raises UsageError for one without `=`."""
    split = [value.partition("=") for value in values or []]
    for key, equals, value in split:
        if not (key and equals):
            raise UsageError(
                f"--encoder-opt {key}{equals}{value}: not key=value.",
                hint="For example --encoder-opt tune=grain.",
            )
    return tuple((key.strip(), value) for key, _, value in split)
