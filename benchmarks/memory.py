"""Memory of `f2r denoise` on a large stack of pages that all differ, or on a long clip.

    python benchmarks/memory.py [--gib 4] [--side 1024] [--strength 0] [--seconds 600]
    python benchmarks/memory.py --clip 10000 [--seconds 1800]

A BigTIFF of 16-bit pages, a scene that drifts under photon noise drawn afresh for every page, is
made in --folder (a temporary one unless named; twice the size must fit) and removed afterwards. The
command runs as a child; its resident memory is read from /proc once a second. A run is ended after
`--seconds`: what counts is whether the curve has become flat, not the last page. `anonymous` is
what the process holds itself; the rest is the program, libraries and pages of files in the cache.
--clip: a film of so many frames of 48x32 instead, lossless, each with noise of its own.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import tifffile
from numpy.typing import NDArray

ROWS = 12  # of the printed curve
MB = 1e6


@dataclass(frozen=True)
class Look:
    """Memory of the child at one moment."""

    seconds: float
    resident: int  # bytes
    anonymous: int  # bytes


@dataclass(frozen=True)
class Run:
    """Time and memory of a run."""

    looks: list[Look]
    peak: int  # bytes of resident memory, as the kernel counted it
    ended: bool  # by itself
    code: int


def pages(count: int, side: int, seed: int = 0) -> Iterator[NDArray[np.uint16]]:
    """Pages (side, side) in the order of time, no two alike."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(20, 120, (side // 16 + count // 64 + 2, side // 16 + 2)).astype(np.float32)
    scene = np.kron(cells, np.ones((16, 16), np.float32))
    for number in range(count):
        light = scene[number // 4 : number // 4 + side, :side]
        noise = rng.standard_normal((side, side), np.float32) * np.sqrt(6 * light + 16)
        yield np.rint(100 + light + noise).clip(0, 65535).astype(np.uint16)


def write_stack(path: Path, gib: float, side: int) -> int:
    """Write the stack; returns its number of pages."""
    count = max(round(gib * 2**30 / (2 * side * side)), 1)
    tifffile.imwrite(
        path, pages(count, side), shape=(count, side, side), dtype=np.uint16, bigtiff=True,
        photometric="minisblack", metadata={"axes": "TYX"},
    )  # fmt: skip
    return count


def write_clip(path: Path, count: int) -> None:
    """A small film that drifts under noise, FFV1."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(40, 200, (3, 80)), np.ones((16, 16)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(count):
            start = number // 4 % 1024
            noisy = scene[:32, start : start + 48] + rng.normal(0, 8, (32, 48))
            picture = noisy.clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def watched(command: list[str], limit: float, every: float = 1.0) -> Run:
    """Run a command, at most `limit` seconds, and watch its memory."""
    looks: list[Look] = []
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    stopped = False
    while True:
        done, status, usage = os.wait4(child.pid, os.WNOHANG)
        if done:
            child.returncode = os.waitstatus_to_exitcode(status)
            return Run(looks, usage.ru_maxrss * 1024, not stopped, child.returncode)
        since = time.monotonic() - started
        looks.append(Look(since, *memory(child.pid)))
        if since > limit and not stopped:
            child.send_signal(signal.SIGTERM)
            stopped = True
        time.sleep(every)


def memory(process: int) -> tuple[int, int]:
    """Resident and anonymous bytes of a process; zeros where it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0, 0
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    resident, anonymous = (
        1024 * int(facts.get(k, "0 kB").split()[0]) for k in ("VmRSS", "RssAnon")
    )
    return resident, anonymous


def curve(looks: list[Look]) -> list[str]:
    """The highest memory of each of some equal spans of time, as rows of a table."""
    rows = ["| seconds | resident, MB | anonymous, MB |", "|---|---|---|"]
    for part in np.array_split(np.arange(len(looks)), min(ROWS, len(looks))):
        span = [looks[i] for i in part]
        resident, anonymous = (max(getattr(x, n) for x in span) for n in ("resident", "anonymous"))
        rows.append(f"| {span[-1].seconds:.0f} | {resident / MB:.0f} | {anonymous / MB:.0f} |")
    return rows


def main() -> None:
    """Make the stack, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--clip", type=int, default=0, help="frames of a film instead of a stack")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=600, help="after which a run is ended")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", help="where there is room")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        suffix = ".mkv" if given.clip else ".tif"
        source, target = Path(folder) / f"large{suffix}", Path(folder) / f"out{suffix}"
        if given.clip:
            write_clip(source, given.clip)
            what = f"{given.clip} frames of 48x32"
        else:
            count = write_stack(source, given.gib, given.side)
            what = f"{count} pages of {given.side}x{given.side}"
        print(f"{source.stat().st_size / 1e9:.2f} GB, {what}", flush=True)
        run = watched(
            [sys.executable, "-m", "f2rcli", "denoise", str(source), "-o", str(target), "-q",
             "--strength", str(given.strength), "--threads", str(given.threads)],
            given.seconds,
        )  # fmt: skip
        print("\n".join(curve(run.looks)))
        how = f"ended with code {run.code}" if run.ended else f"stopped after {given.seconds:g} s"
        took = run.looks[-1].seconds if run.looks else 0.0
        print(f"peak {run.peak / MB:.0f} MB; {how}; {took:.0f} s")
        if run.ended and run.code == 0 and given.strength == 0:
            same = same_bytes(source, target)
            print("the same bytes" if same else "THE BYTES DIFFER")


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes, read piece by piece."""
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            parts = first.read(1 << 24), second.read(1 << 24)
            if parts[0] != parts[1]:
                return False
            if not parts[0]:
                return True


if __name__ == "__main__":
    main()
