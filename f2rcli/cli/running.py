"""The frames of a run: restored, with the record that `--resume` needs, or for `--preview N`."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from f2rcli import sensor
from f2rcli.cli.engine import expected_frames
from f2rcli.cli.terminal.console import Console
from f2rcli.engine.strength import changes_nothing
from f2rcli.errors import UsageError
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.io.base import Reader, WritePlan
from f2rcli.io.preview import CLIP, STILL

if TYPE_CHECKING:
    from f2rcli.cli.options.denoise import Job
    from f2rcli.engine.resuming.record import RunRecord
    from f2rcli.engine.stream import Engine


@contextmanager
def recorded(
    job: "Job", plan: WritePlan, reader: Reader, engine: "Engine | None", console: Console
) -> "Iterator[RunRecord | None]":
    """The record of a run that alone writes its target; None where it is to have none, which
    removes an earlier run's. Raises StaleError once the clip turns out to be another one."""
    if engine is None or plan.target == "-" or changes_nothing(engine.settings):
        yield None
        return
    from f2rcli.engine.resuming.record import RunRecord, forget, identity_of  # brings torch

    if not job.resume:
        forget(Path(plan.target))
        yield None
        return
    total, _ = expected_frames(reader.info)
    identity = identity_of(engine, job.read, reader.info)

    def say(line: str) -> None:
        console.note(f"note: {line}")

    with RunRecord(Path(plan.target), engine, identity, total, say) as record:
        yield record


def denoised(reader: Reader, engine: "Engine | None", saved: "RunRecord | None") -> Iterable[Frame]:
    """Every frame of a clip restored, saved ones from their record; unchanged without an engine."""
    from f2rcli.engine.stream import denoise_stream  # brings torch

    if engine is None:
        return (frame for frame in reader if not frame.context)
    if saved is None:
        return denoise_stream(reader, reader.info, engine, reader.opening)
    engine.marks = saved.open()
    frames = denoise_stream(saved.reading(reader), reader.info, engine, reader.opening)
    return saved.keeping(frames)


def preview_target(named: str | None, full: str, count: int) -> str:
    """The preview's path: `named` if that can hold it, else beside the full output.

    So `--preview` may be added to a command line as it stands: `-o out.mkv --preview 1` writes
    out_preview.png. Raises UsageError for standard output.
    """
    if full == "-":
        raise UsageError("--preview: writes a file.", hint="Name it with -o, e.g. -o look.png.")
    allowed = STILL if count == 1 else CLIP
    if named is not None and Path(named).suffix.lower() in allowed:
        return named
    path = Path(full)
    suffix = path.suffix if path.suffix.lower() in allowed else allowed[0]
    return str(path.with_name(f"{path.stem}_preview{suffix}"))


def pairs(reader: Reader, engine: "Engine", count: int) -> Iterator[tuple[Frame, Frame]]:
    """Up to `count` (before, after) frames; windows look back and ahead as in a whole run."""
    from f2rcli.engine.stream import denoise_stream  # brings torch

    originals: deque[Frame] = deque()

    def remembered() -> Iterator[Frame]:
        for frame in reader:
            if not frame.context:
                originals.append(frame)
            yield frame

    restored = denoise_stream(remembered(), reader.info, engine, reader.opening)
    for after in islice(restored, count):
        yield _viewable(originals.popleft()), _viewable(after)


def _viewable(frame: Frame) -> Frame:
    """The frame; of a mosaic a quick development."""
    if frame.layout.mosaic is None:
        return frame
    codes = np.rint(255 * sensor.to_picture(frame)).astype(np.uint8)
    return replace(frame, planes=tuple(codes), layout=PlaneLayout(family=Family.RGB, bits=8))
