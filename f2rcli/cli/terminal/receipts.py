"""Receipts: a line of numbers, then the streams kept and dropped, and the checks made."""

from collections.abc import Iterator
from dataclasses import dataclass

from f2rcli.io.base import Reader, Receipt, written_name
from f2rcli.units import count, duration, size


@dataclass(frozen=True, slots=True)
class Finished:
    """A receipt with what the run knows beside it."""

    receipt: Receipt
    seconds: float  # of wall clock, from the first frame to the last
    source_bytes: int | None = None  # None: a pipe, or not the whole of it was read

    def lines(self) -> Iterator[str]:
        """The receipt for people."""
        yield f"{written_name(self.receipt.path)}: {', '.join(self._numbers())}"
        yield from (f"  {fate}" for fate in self.receipt.fates())

    def _numbers(self) -> Iterator[str]:
        wrote = self.receipt
        yield count(wrote.frames)
        if wrote.seconds:
            yield duration(wrote.seconds)
        if wrote.bytes:
            before = f"{size(self.source_bytes)} -> " if self.source_bytes else ""
            yield f"{before}{size(wrote.bytes)}"
        yield wrote.codec
        if wrote.seconds and self.seconds > 0:
            yield f"{wrote.seconds / self.seconds:.2g}x real time"


def source_bytes(reader: Reader) -> int | None:
    """The size of what is read; None for pipes."""
    paths = reader.paths()
    if not paths or not all(path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)
