"""The header of weights: what rebuilds their networks, checked field by field."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from f2rcli.documents import LARGEST, parse_json
from f2rcli.errors import WeightsError
from f2rcli.frames import Space

FORMAT = 1
SIGMA_RANGE = (0.0, 55.0)
CHANNELS = {Space.RGB: 3, Space.GRAY: 1, Space.BAYER: 4}


def _between(low: float, high: float, kinds: tuple[type, ...] = (int,)) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds and low <= value <= high


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 4096


def _range(value: Any) -> bool:
    number = _between(0, 1e6, (int, float))
    pair = isinstance(value, list | tuple) and len(value) == 2 and all(map(number, value))
    return pair and value[0] <= value[1]


def _networks(value: Any, depth: int = 3) -> bool:
    """Whether a value can be an argument of networks, or a table of such."""
    if isinstance(value, dict):
        return depth > 0 and len(value) <= 64 and all(
            _text(key) and _networks(item, depth - 1) for key, item in value.items()
        )  # fmt: skip
    if isinstance(value, list | tuple):
        return len(value) <= 16 and all(_width(item) or _text(item) for item in value)
    return isinstance(value, bool) or _width(value) or (isinstance(value, str) and _text(value))


_width = _between(0, 1 << 14)
# What each field of a header may hold: a file may come from anyone.
SCHEMA: dict[str, Callable[[Any], bool]] = {
    "method": lambda value: _text(value) and bool(re.fullmatch(r"[a-z0-9_-]+", value)),
    "space": lambda value: value in [space.value for space in Space],
    "channels": _between(1, 4),
    "length": lambda value: _between(1, 63)(value) and value % 2 == 1,
    "config": lambda value: isinstance(value, dict) and _networks(value),
    "size": _text,
    "order": _text,
    "sigma_range": _range,
    "trained_on": _text,
    "level": lambda value: type(value) in (int, float) and 0 <= value <= 100,
    "estimate": lambda value: value in [one.value for one in Estimate],
    "format": _between(FORMAT, FORMAT),
}


class Estimate(StrEnum):
    """Which of a pipeline's estimates is given out: the best that its training came to."""

    COARSE = "coarse"  # of the frame alone
    ANCHOR = "anchor"  # stage 1
    REFINED = "refined"  # stage 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Everything needed to rebuild a network before its tensors are read."""

    method: str
    space: Space
    channels: int
    length: int  # frames per window, centre included
    config: dict[str, Any]  # of the networks: widths and the like
    size: str = "small"
    order: str = "RGB"
    sigma_range: tuple[float, float] = SIGMA_RANGE  # trained on, 8-bit units
    trained_on: str = ""
    level: float = 1.0  # what the measured noise level is multiplied by; 0: it is unknown
    estimate: Estimate = Estimate.REFINED  # given out (F2R)
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"space": self.space.value}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, name: str) -> "Header":
        """Raises WeightsError for a header of another format, or with fields missing."""
        try:
            found = parse_json(text) if len(text) <= LARGEST else None
        except ValueError as error:
            raise no_header(name, str(error)) from error
        if not isinstance(found, dict) or "format" not in found:
            raise no_header(name, "no table with a format")
        if type(found["format"]) is int and found["format"] != FORMAT:
            raise WeightsError(
                f"{name}: weights of format {found['format']:.6g}, this f2r reads {FORMAT}.",
                hint="Install the f2r version these weights were made with, or newer.",
            )
        _check(found, {f.name for f in fields(cls)}, name)
        space = Space(found["space"])
        if found["channels"] != CHANNELS[space]:
            raise no_header(name, f"{space.value} pictures of {found['channels']} channels")
        low, high = found.get("sigma_range", SIGMA_RANGE)
        estimate = Estimate(found.get("estimate", Estimate.REFINED))
        known = {"space": space, "sigma_range": (low, high), "estimate": estimate}
        return cls(**found | known)


def _check(found: dict[str, Any], known: set[str], name: str) -> None:
    """Raise WeightsError for a header with a field that is unknown, missing or impossible."""
    needed = {"method", "space", "channels", "length", "config"}
    for key in sorted((found.keys() - known) | (needed - found.keys())):
        raise no_header(name, f"{'unknown' if key in found else 'no'} field {key[:40]!r}")
    for key, value in found.items():
        if not SCHEMA[key](value):
            raise no_header(name, f"{key} = {json.dumps(value)[:40]}")


def no_header(name: str, why: str) -> WeightsError:
    return WeightsError(
        f"{name}: the weights' header is not f2r's ({why}).",
        hint="The file is damaged or was edited; take a fresh copy.",
    )
