"""Speed of `f2r`: whole runs and looks, and FFmpeg's nlmeans beside them.

    python benchmarks/speed.py [--sizes 640x360 1920x1080] [--frames 8 48] [--threads 1 2]

Runs are child processes on a synthetic noisy H.264 clip; their CPU seconds hold start, opening,
decoding, encoding and verification. Times depend on the machine and on what else it does, CPU
seconds less than wall clock: compare figures of one run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

LONG = 48  # frames of a run beside others
NLMEANS = "s=6:p=7:r=15"
TINY = (160, 96, 4)  # width, height, frames


def write_clip(path: Path, width: int, height: int, frames: int) -> Path:
    """A textured scene that drifts, with noise of sigma 20, as H.264."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((height // 8 + 8, width // 8 + 8, 3)), np.ones((8, 8, 1))) * 160 + 40
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for index in range(frames):
            moved = index % 56  # the scene is so much larger than a frame
            view = scene[moved : moved + height, moved : moved + width]
            noisy = view + rng.normal(0, 20, view.shape)
            picture = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


class Run(NamedTuple):
    """What a child process took."""

    wall: float  # seconds
    user: float
    system: float
    peak: float  # MB
    rate: float  # frames per second once the first is done; 0 where none is counted

    @property
    def cpu(self) -> float:
        return self.user + self.system


def run(*arguments: str) -> Run:
    """One `f2r` command in a process of its own."""
    began = os.times().elapsed
    command = [sys.executable, "-m", "f2rcli", *arguments, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        events = [json.loads(line) for line in child.stdout]
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"speed.py: f2r {arguments[0]} ended with exit code {child.returncode}")
    wall = os.times().elapsed - began
    return Run(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss / 1024, _rate(events))


def _rate(events: list[dict[str, Any]]) -> float:
    steps = [e for e in events if e["event"] == "progress" and e["frames"]]
    if len(steps) < 2:
        return 0.0
    first, last = steps[0], steps[-1]
    return float((last["frames"] - first["frames"]) / max(last["time"] - first["time"], 1e-9))


def denoised(clip: Path, threads: int) -> Run:
    """One whole `f2r denoise`."""
    target = str(clip.with_suffix(".out.mp4"))
    return run("denoise", str(clip), "-o", target, "--overwrite", "--threads", str(threads))


def run_rows(folder: Path, wanted: argparse.Namespace) -> Iterator[str]:
    """A table of whole runs, and of looks."""
    yield "| frame | frames | threads | CPU-s per frame | of it kernel | frames/s | peak, MB |"
    yield "|---|---|---|---|---|---|---|"
    for size in wanted.sizes:
        width, height = map(int, size.split("x"))
        for count in wanted.frames:
            clip = write_clip(folder / f"{size}.{count}.mp4", width, height, count)
            for threads in wanted.threads:
                one = denoised(clip, threads)
                share, each = one.system / one.cpu, one.cpu / count
                yield (
                    f"| {size} | {count} | {threads} | {each:.3f} | {share:.0%} | {one.rate:.2f} | "
                    f"{one.peak:.0f} |"
                )
    yield ""
    yield "| command | wall, s | CPU-s |\n|---|---|---|"
    tiny = write_clip(folder / "tiny.mp4", *TINY)
    large = write_clip(folder / "large.mp4", 640, 360, 8)
    for name, clip in (("160x96", tiny), ("640x360", large)):
        look = run("info", str(clip))
        yield f"| f2r info, {name} | {look.wall:.2f} | {look.cpu:.2f} |"


def beside(clip: Path, size: str) -> str:
    """A row: a whole run of LONG frames, and FFmpeg's filter, on one thread."""
    own, found = denoised(clip, 1).cpu / LONG, nlmeans(clip, 8)
    other = "not there |" if found is None else f"{found:.3f} | {own / found:.1f}"
    return f"| {size} | {own:.3f} | {other} |"


def nlmeans(clip: Path, count: int) -> float | None:
    """CPU seconds per frame of FFmpeg's non-local means on one thread; None without the filter."""
    if "nlmeans" not in av.filter.filters_available:
        return None
    with av.open(str(clip)) as container:
        frames = list(islice(container.decode(video=0), count))
    graph = av.filter.Graph()
    graph.threads = 1
    nodes = graph.add_buffer(template=None, width=frames[0].width, height=frames[0].height,
                             format=frames[0].format, time_base=Fraction(1, 25)), graph.add(
        "nlmeans", NLMEANS), graph.add("buffersink")  # fmt: skip
    graph.link_nodes(*nodes).configure()
    started = time.process_time()
    for frame in frames:
        graph.vpush(frame)
        graph.vpull()
    return (time.process_time() - started) / len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1920x1080"])
    parser.add_argument("--frames", nargs="+", type=int, default=[8, 48])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    wanted = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # installed modules are compiled once
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row in run_rows(folder, wanted):
            print(row, flush=True)
        print(f"\n| one thread, CPU-s a frame | f2r | FFmpeg nlmeans {NLMEANS} | times |")
        print("|---|---|---|---|")
        for size in wanted.sizes:
            width, height = map(int, size.split("x"))
            clip = write_clip(folder / f"others.{size}.mp4", width, height, LONG)
            print(beside(clip, size), flush=True)


if __name__ == "__main__":
    main()
