"""Settings: dataclass fields that know their range and choices, for the command line and Python;
and the documents that settings come from.

Messages name a setting as Python writes it, `sigma=-1`; the command line spells it `--sigma -1`.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from f2rcli.errors import UsageError, nearest, shown

KEY = "setting"  # of a field's metadata
WORDS = {float: "a number", int: "a whole number", str: "text", bool: "True or False"}
Choices = Sequence[str] | Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a value that users may set can be."""

    low: float | None = None  # the range includes both ends
    high: float | None = None  # None: it is open
    unit: str = ""  # such as "8-bit units"
    choices: Choices = ()  # (): any
    pattern: str = ""  # a regular expression for values beside the choices; "": none
    others: str = ""  # those values in words

    def check(self, name: str, value: Any) -> None:
        """Raise UsageError for a value that cannot be; None is always allowed."""
        if value is not None and self.low is not None:
            self._check_range(name, value, self.low)
        if value is not None and (self.pattern or self.choices):
            known = list(self.choices() if callable(self.choices) else self.choices)
            own = self.pattern and isinstance(value, str) and re.fullmatch(self.pattern, value)
            if not own and not (isinstance(value, str) and value in known):
                hint = nearest(str(value), known, self.others)
                raise UsageError(f"{name}={shown(value)}: no such choice.", hint=hint)

    def _check_range(self, name: str, value: Any, low: float) -> None:
        number = isinstance(value, Real)
        high = math.inf if self.high is None else self.high
        if not number or not math.isfinite(value) or not low <= value <= high:
            given = f"{float(value):g}" if number else shown(value)
            inside = f"{low:g} or more" if self.high is None else f"between {low:g} and {high:g}"
            unit = f" ({self.unit})" if self.unit else ""
            raise UsageError(f"{name}={given}: must be {inside}{unit}.")


def setting(default: Any = MISSING, **known: Any) -> Any:
    """A dataclass field for users to set; the other arguments are those of `Setting`."""
    return field(default=default, metadata={KEY: Setting(**known)})


def like(kind: Any, name: str) -> Any:
    """A dataclass field for users to set, as `kind` has it."""
    known = kind.__dataclass_fields__[name]
    return field(default=known.default, metadata=known.metadata)


def settings_of(kind: Any) -> dict[str, Setting]:
    """The settings of a dataclass, by the names of their fields."""
    return {f.name: f.metadata[KEY] for f in fields(kind) if KEY in f.metadata}


def check(settings: Any) -> None:
    """Raise UsageError for the first field of a dataclass that cannot be: a setting out of its
    range, or a number, text or bool that is none."""
    types, known = get_type_hints(type(settings)), settings_of(settings)
    for name, kind in types.items():
        value, kinds = getattr(settings, name), set(get_args(kind)) or {kind}
        if name in known:
            known[name].check(name, value)
        if not kinds <= {*WORDS, NoneType} or (value is None and NoneType in kinds):
            continue
        number = isinstance(value, Real) and not isinstance(value, bool)
        fits = {
            float: number, int: number and isinstance(value, Integral),
            str: isinstance(value, str), bool: isinstance(value, bool),
        }  # fmt: skip
        if not any(fits[one] for one in kinds - {NoneType}):
            wanted = " or ".join(word for one, word in WORDS.items() if one in kinds)
            raise UsageError(f"{name}={shown(value)}: must be {wanted}.")


def clock(name: str, text: str | None) -> float | None:
    """Seconds from `12.5`, `1:30`, `1:02:03.5`, `90s`, `25m` or `1h30m`."""
    if text is None:
        return None
    text = text.strip()
    units = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", text) if text else None
    if units is None and not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?|\.\d+", text):
        hint = "Write seconds (12.5), h:mm:ss (0:01:30.5) or 1h30m."
        raise UsageError(f"{name}={text!r}: not a time.", hint=hint)
    parts = text.split(":") if units is None else units.groups()
    return sum(float(part or 0) * 60.0**place for place, part in enumerate(reversed(parts)))


def pairs(name: str, texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The pairs of `["key=value", ...]`."""
    split = [text.partition("=") for text in texts]
    for text, (key, equals, _) in zip(texts, split, strict=True):
        if not (key and equals):
            raise UsageError(
                f"{name}={text!r}: not key=value.", hint=f"For example {name}='tune=grain'."
            )
    return tuple((key.strip(), value) for key, _, value in split)


# --- JSON that anyone may have written: limited in size, errors of one kind -----------------------


LARGEST = 1 << 20  # bytes


def read_text(path: Path, errors: str = "strict") -> str:
    """The text of a file. Raises OSError, and ValueError for one that is too large or no text.

    Devices may have no end: no more is read than may be there.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    return data.decode("utf-8", errors)


def parse_json(text: str) -> Any:
    """The value that JSON describes. Raises ValueError for everything that is wrong with it."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_table(path: Path) -> dict[str, Any]:
    """The table in a JSON file; empty where there is none, or none that can be read."""
    try:
        found = parse_json(read_text(path))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
