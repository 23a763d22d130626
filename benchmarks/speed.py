"""Speed and memory of `f2r denoise` here: whole runs, and what each stage costs.

    python benchmarks/speed.py [--sizes 640x360 1920x1080] [--frames 24] [--threads 2]

Whole runs are child processes on a synthetic noisy H.264 clip: frames per second after start-up
(from the run's own progress events) and peak resident memory. Stages are timed in this process,
mean over frames, after one frame of warming up. Absolute times depend on the machine and on what
else it does: compare figures of one run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def write_clip(path: Path, width: int, height: int, frames: int) -> None:
    """A textured scene that drifts, with noise of sigma 20, as H.264."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((height // 8 + 8, width // 8 + 8, 3)), np.ones((8, 8, 1))) * 160 + 40
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for index in range(frames):
            view = scene[index : index + height, index : index + width]
            noisy = view + rng.normal(0, 20, view.shape)
            picture = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def whole_run(clip: Path, threads: int) -> tuple[float, float]:
    """(frames per second, peak resident memory in MB) of one `f2r denoise`."""
    target = clip.with_suffix(".out.mp4")
    command = [sys.executable, "-m", "f2rcli", "denoise", str(clip), "-o", str(target)]
    command += ["--json", "--overwrite", "--threads", str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        events = [json.loads(line) for line in child.stdout]
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"speed.py: f2r denoise ended with exit code {child.returncode}")
    steps = [e for e in events if e["event"] == "progress" and e["frames"]]
    first, last = steps[0], next(e for e in reversed(events) if e["event"] == "result")
    rate = (last["frames"] - first["frames"]) / (last["time"] - first["time"])
    return rate, usage.ru_maxrss / 1024


def stage_costs(clip: Path, threads: int) -> dict[str, float]:
    """Milliseconds per frame of every stage."""
    import torch

    from f2rcli import yuv
    from f2rcli.engine.stream import EngineSettings, load_engine, restore_stream
    from f2rcli.engine.tiles import Runner
    from f2rcli.io import open_reader
    from f2rcli.methods import f2r

    spent: dict[str, float] = defaultdict(float)

    def timed(label: str | Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = function(*args, **named)
            name = label if isinstance(label, str) else label(*args)
            spent[name] += time.perf_counter() - started
            return result

        return run

    run_network = timed(lambda _, network, *rest: type(network).__name__, Runner.__call__)
    Runner.__call__ = run_network  # type: ignore[method-assign]
    f2r.FlowBook.fresh = timed("flow", f2r.FlowBook.fresh)  # type: ignore[method-assign]
    f2r.F2R.align = timed("flow and alignment", f2r.F2R.align)  # type: ignore[method-assign]
    yuv.to_rgb = timed("planes to RGB", yuv.to_rgb)
    yuv.add_residual = timed("change to planes", yuv.add_residual)
    torch.set_num_threads(threads)
    with open_reader(clip) as reader:
        engine = load_engine(EngineSettings(threads=threads), reader.info)
        frames = restore_stream(iter(reader), engine)
        next(frames)
        spent.clear()
        started = time.perf_counter()
        count = sum(1 for _ in frames)
        spent["all of the engine, with decoding"] = time.perf_counter() - started
    return {name: 1000 * seconds / count for name, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1920x1080"])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("| size | frames/s | peak memory, MB |\n|---|---|---|")
        for size in arguments.sizes:
            width, height = map(int, size.split("x"))
            clip = Path(folder) / f"{size}.mp4"
            write_clip(clip, width, height, arguments.frames)
            rate, peak = whole_run(clip, arguments.threads)
            print(f"| {size} | {rate:.2f} | {peak:.0f} |", flush=True)
        first = Path(folder) / f"{arguments.sizes[0]}.mp4"
        print(f"\n| stage, {arguments.sizes[0]} | ms per frame |\n|---|---|")
        for name, cost in sorted(stage_costs(first, arguments.threads).items(), key=lambda i: i[1]):
            print(f"| {name} | {cost:.1f} |")


if __name__ == "__main__":
    main()
