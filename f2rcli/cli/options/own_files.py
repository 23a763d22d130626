"""Logs and results are files of their own: no clip, nothing else that a run reads or writes."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from f2rcli.errors import UsageError
from f2rcli.io import readable_suffixes
from f2rcli.io.targets import same_file

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ "  # that each entry of a log begins with
RESULTS = ("csv", "json_file", "plot", "report")  # options that name results


def check_log_file(name: str, given: Mapping[str, Any]) -> None:
    """Raise UsageError for a log file that another option or argument of the run (`given`)
    names."""
    path = Path(name)
    _check_own("log_file", path, given)
    if path.is_file() and path.stat().st_size and not _is_log(path):
        raise UsageError(f"--log-file {name}: exists and is not an f2r log.", hint=_HINT)


def check_results(given: Mapping[str, Any]) -> None:
    """Raise UsageError for results that would replace a clip or another file the run names."""
    for name in RESULTS:
        target = given.get(name)
        if target == "-" and name == "json_file":
            raise UsageError(
                "json_file='-': results go to a file.",
                hint="json=True prints them on standard output.",
            )
        if target not in (None, "-"):
            _check_own(name, Path(target), given)


_HINT = "Name another file; clips, settings and weights are never written."


def _check_own(name: str, path: Path, given: Mapping[str, Any]) -> None:
    """Raise UsageError where the option `name` names a clip or another file of the run."""
    others = [Path(word) for key in given if key != name for word in _words(given[key])]
    taken = path.suffix.lower() in readable_suffixes()
    own = any(same_file(path, one) for one in others)
    if own or taken:
        what = "names another file of this run" if own else "is named like a clip"
        raise UsageError(f"--{name.replace('_', '-')} {path}: {what}.", hint=_HINT)


def _words(value: Any) -> Iterator[str]:
    """The words of an option's value, and of NAME=PATH the path, too."""
    several = value if isinstance(value, list | tuple) else [value]
    for word in (word for word in several if isinstance(word, str)):
        yield from (word, word.partition("=")[2] or word)


def _is_log(path: Path) -> bool:
    with path.open("rb") as file:
        return re.match(STAMP.encode(), file.read(64)) is not None
