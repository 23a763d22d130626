"""Result files: checked before there is work to lose, written or printed at the end."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2rcli.cli.terminal.console import RUN, Console
from f2rcli.errors import OutputError
from f2rcli.io.atomic import write_file
from f2rcli.io.targets import check_target
from f2rcli.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """The options of commands that write results."""

    json_file: str | None = setting(
        None, "Write the results as JSON.", metavar="OUT.json", group=RUN
    )
    overwrite: bool = setting(False, "Replace existing files.", group=RUN)


def check_result(name: str, target: str, *, overwrite: bool) -> None:
    """Raise if a result file, of setting `name`, cannot be written; `own_files` has checked
    clashes."""
    path = Path(target)
    with about_result(name):
        if overwrite and path.exists() and not (path.is_file() or path.is_dir()):
            raise OutputError(f"{path.name}: is not a regular file.", hint="Name a file.")
        check_target(path, [], overwrite=overwrite)


@contextmanager
def about_result(name: str) -> Iterator[None]:
    """Errors within name the option of a result file, and not -o, for what to change."""
    try:
        yield
    except OutputError as error:
        hint = (error.hint or "").replace("output=", f"{name}=")
        raise OutputError(f"--{name.replace('_', '-')}: {error}", hint=hint) from error


def command_typed() -> str:
    """The command line, with file names instead of private paths."""
    return " ".join(["f2r", *(Path(word).name if "/" in word else word for word in sys.argv[1:])])


def deliver(
    kind: str, values: dict[str, Any], lines: Iterable[str], console: Console, files: ResultFiles
) -> None:
    """Write results to the JSON file, if there is to be one, and print them: as an event of --json,
    else as lines. Numbers that are not finite become null."""
    values = finite(values)
    if files.json_file is not None:
        text = json.dumps(values, indent=1)
        with about_result("json_file"):
            write_file(Path(files.json_file), f"{text}\n".encode(), overwrite=files.overwrite)
        console.note(f"results: {files.json_file}")
    console.event(kind, **values)
    if console.events is None and not console.quiet:
        console.rows(lines)


def finite(value: Any) -> Any:
    """A JSON value with null in place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
