"""`--preview N`: where it goes, and the pairs of frames that it shows."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from f2rcli import sensor
from f2rcli.errors import UsageError
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.io.base import Reader
from f2rcli.io.preview import CLIP, STILL

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine


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
    """Up to `count` (before, after) frames of the stretch that is read; their windows look back
    and ahead as in a run, and no farther is read."""
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
    """The frame, or a quick look at it if it is a mosaic."""
    if frame.layout.mosaic is None:
        return frame
    codes = np.rint(255 * sensor.to_picture(frame)).astype(np.uint8)
    return replace(frame, planes=tuple(codes), layout=PlaneLayout(family=Family.RGB, bits=8))
