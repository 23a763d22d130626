"""Second opinions on files: PyAV alone and tifffile alone, without any code of f2r."""

import json
from pathlib import Path

import av
import tifffile
from children import forked

STACKS = (".tif", ".tiff")


def frames(path: Path, folder: Path) -> int | None:
    """The number of frames that another reader finds in a file, in a child; None for none."""
    report = folder.parent / "judge.json"
    report.unlink(missing_ok=True)

    def work() -> int:
        report.write_text(json.dumps(_pages(path) if path.suffix in STACKS else _frames(path)))
        return 0

    ended = forked(work, folder)
    return json.loads(report.read_text()) if ended.code == 0 else None


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


def _pages(path: Path) -> int:
    count = 0
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            try:
                page.asarray()
            except (ValueError, RuntimeError, OSError, KeyError):
                continue
            count += 1
    return count
