"""Files of real cameras, encoders and microscopes: does every one come back with nothing lost?

    python benchmarks/real_files.py FILES_OR_FOLDERS [--frames 24]

Each clip is read and written as it is, without a denoiser. A line per file says how many frames
came back at the same times, whether stacks and raw files are the very bytes, and what was left
behind. Tests make their odd files themselves; this is for those that nobody can make. The exit
code is the number of files that failed.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from f2rcli.errors import F2RError, InputError
from f2rcli.frames import Frame
from f2rcli.io import (
    ReadOptions,
    WriteOptions,
    default_target,
    open_reader,
    open_writer,
    plan_output,
)

SAME_BYTES = {".tif", ".tiff", ".dng"}
ROUNDING = Fraction(1, 1_000_000)


def clips(paths: list[Path]) -> Iterator[Path]:
    """The files, and those below the folders."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file())
        else:
            yield path


def times(frames: list[Frame]) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    return [(frame.pts or 0) * frame.time_base for frame in frames]


def same_times(before: list[Fraction], after: list[Fraction]) -> bool:
    """Whether frames come at the same times, but for what stacks round of their interval."""
    pairs = zip(before, after, strict=False)
    return len(before) == len(after) and all(abs(a - b) <= abs(a) * ROUNDING for a, b in pairs)


def passed(source: Path, target: Path, options: ReadOptions) -> str:
    """What became of one file. Raises F2RError."""
    with open_reader(source, options) as reader:
        with open_writer(reader, plan_output(reader, target, WriteOptions())) as writer:
            before = []
            for frame in reader:
                writer.write(frame)
                before.append(frame)
            receipt = writer.finish()
        damage = reader.ledger.lines()
    with open_reader(target) as reader:
        after = list(reader)
    if not same_times(times(before), times(after)):
        raise InputError(f"{source.name}: {len(before)} frames came back at other times.")
    if source.suffix in SAME_BYTES and target.suffix == source.suffix:
        same = target.read_bytes() == source.read_bytes()
        return f"{len(after)} frames, {'the very bytes' if same else 'other bytes'}"
    said = [f"{len(after)} frames, {receipt.codec}", *damage]
    return "; ".join([*said, *(f"left behind: {line}" for line in receipt.dropped)])


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, help="of each video at most")
    options = parser.parse_args()
    failed = 0
    for source in clips(options.paths):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / default_target(source).name
            try:
                frames = None if source.suffix in SAME_BYTES else options.frames
                line = passed(source, target, ReadOptions(frames=frames))
            except F2RError as error:
                failed += 1
                line = f"FAILED: {error}"
        print(f"{source.name}: {line}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
