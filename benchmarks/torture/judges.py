"""Second opinions on files: PyAV alone and tifffile alone, without any code of f2r."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import tifffile
from children import forked

STACKS = (".tif", ".tiff")


def frames(path: Path, folder: Path) -> int | None:
    """The number of frames that another reader finds in a file, in a child; None for none."""
    return _asked(lambda: len(_pages(path)) if path.suffix in STACKS else _frames(path), folder)


def untouched(before: Path, after: Path, folder: Path) -> int:
    """The number of pages of a stack that can be read and have not changed."""
    pages = _asked(lambda: sum(map(np.array_equal, _pages(before), _pages(after))), folder)
    return pages or 0


def _asked(count: Callable[[], int], folder: Path) -> int | None:
    """A number that another reader finds, in a child; None where it fails."""
    report = folder.parent / "judge.json"
    report.unlink(missing_ok=True)

    def work() -> int:
        report.write_text(json.dumps(count()))
        return 0

    ended = forked(work, folder)
    return int(json.loads(report.read_text())) if ended.code == 0 else None


def _frames(path: Path) -> int:
    count = 0
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        for packet in container.demux(video):
            try:
                count += len(packet.decode())
            except av.FFmpegError:
                continue
    return count


def _pages(path: Path) -> list[Any]:
    """Every page that can be read."""
    found = []
    with contextlib.suppress(Exception), tifffile.TiffFile(path) as file:  # the list may break off
        for page in file.pages:
            with contextlib.suppress(Exception):  # whatever fails: that page cannot be read
                found.append(page.asarray())
    return found
