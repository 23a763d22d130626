"""`--resume`: the record of a long run beside its output, and what is said of it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from f2rcli.cli.terminal.console import Console
from f2rcli.engine.strength import changes_nothing
from f2rcli.frames import Frame
from f2rcli.io.base import Reader, ReadOptions, WritePlan

if TYPE_CHECKING:
    from f2rcli.engine.resuming.record import Record
    from f2rcli.engine.stream import Engine


@contextmanager
def recorded(
    plan: WritePlan,
    read: ReadOptions,
    reader: Reader,
    engine: "Engine | None",
    total: int | None,
    console: Console,
    *,
    wanted: bool,
) -> "Iterator[Record | None]":
    """The record of a run that alone writes its target; None where it is to have none, which
    removes an earlier run's. Raises StaleError once the clip turns out to be another one."""
    if engine is None or plan.target == "-" or changes_nothing(engine.settings):
        yield None
        return
    from f2rcli.engine.resuming.record import Record, forget, identity_of  # brings torch

    if not wanted:
        forget(Path(plan.target))
        yield None
        return
    identity = identity_of(engine, read, reader.info)

    def say(line: str) -> None:
        console.note(f"note: {line}")

    with Record(Path(plan.target), engine, identity, total, say) as record:
        yield record


def denoised(reader: Reader, engine: "Engine | None", record: "Record | None") -> Iterable[Frame]:
    """Every frame of a clip restored, those that the record has from there; as they are without
    an engine."""
    from f2rcli.engine.stream import denoise_stream  # brings torch

    if engine is None:
        return (frame for frame in reader if not frame.context)
    if record is None:
        return denoise_stream(reader, reader.info, engine, reader.opening)
    engine.marks = record.open()
    frames = denoise_stream(record.reading(reader), reader.info, engine, reader.opening)
    return record.keeping(frames)
