"""--log-file: a file of its own, or a log of earlier runs, which grows."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from f2rcli.errors import UsageError
from f2rcli.io import readable_suffixes
from f2rcli.io.targets import same_file

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ "  # that each entry of a log begins with


def check_log_file(name: str, given: Mapping[str, Any]) -> None:
    """Raise UsageError for a log file that is another file: text would be appended to that.

    given: the other options and arguments of the run.
    """
    path = Path(name)
    hint = "Name another file; inputs and results hold no log."
    others = [Path(word) for value in given.values() for word in _words(value)]
    if path.suffix.lower() in readable_suffixes() or any(same_file(path, one) for one in others):
        raise UsageError(f"--log-file {name}: names a clip or another file of this run.", hint=hint)
    if path.is_file() and path.stat().st_size and not _is_log(path):
        raise UsageError(f"--log-file {name}: exists and is not a log of f2r.", hint=hint)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        yield from (word for word in value if isinstance(word, str))


def _is_log(path: Path) -> bool:
    with path.open("rb") as file:
        return re.match(STAMP.encode(), file.read(64)) is not None
