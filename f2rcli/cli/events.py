"""`--json`: one event per line on standard output, for programs that run f2r."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO


@dataclass
class EventStream:
    """NDJSON: every line has `event` (start, plan, progress, warning, result, error) and `time`.

    `time` is in seconds since the run began. Text is ASCII with escapes, so that no locale and
    no odd file name can break a line.
    """

    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def write(self, event: str, **fields: Any) -> None:
        """Write one event and flush; values are JSON values, NaN excluded."""
        line = {"event": event, "time": round(self.clock() - self.began, 3), **fields}
        self.stream.write(json.dumps(line, allow_nan=False, default=str) + "\n")
        self.stream.flush()
