"""Memory of `f2r denoise` on a stack of pages that all differ, or on a long clip: does it grow?

    python benchmarks/memory.py [--pages 2000] [--side 1024] [--seconds 600]
    python benchmarks/memory.py --clip 10000 [--seconds 1800]

A BigTIFF of 16-bit pages that drift under photon noise, or a lossless film of 48x32, is made in
--folder and removed afterwards. The command runs as a child; its resident memory, and what of it is
its own (not pages of files), are read from /proc once a second and printed as a curve. A run is
ended after `--seconds`: what counts is whether the curve has become flat.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import tifffile
from numpy.typing import NDArray

ROWS = 12  # of the printed curve


def pages(count: int, side: int) -> Iterator[NDArray[np.uint16]]:
    """Pages (side, side) in the order of time, no two alike."""
    rng = np.random.default_rng(0)
    cells = rng.uniform(20, 120, (side // 16 + count // 64 + 2, side // 16 + 2)).astype(np.float32)
    scene = np.kron(cells, np.ones((16, 16), np.float32))
    for number in range(count):
        light = scene[number // 4 : number // 4 + side, :side]
        noise = rng.standard_normal((side, side), np.float32) * np.sqrt(6 * light + 16)
        yield np.rint(100 + light + noise).clip(0, 65535).astype(np.uint16)


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


def watched(command: list[str], limit: float) -> tuple[list[tuple[float, int, int]], int, int]:
    """Seconds, resident and own kilobytes, look by look; the peak; the exit code."""
    looks, started, stopped = [], time.monotonic(), False
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while True:
        done, status, usage = os.wait4(child.pid, os.WNOHANG)
        if done:
            child.returncode = os.waitstatus_to_exitcode(status)
            return looks, usage.ru_maxrss, child.returncode
        since = time.monotonic() - started
        lines = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8").splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        if "VmRSS" in facts:
            looks.append((since, *(int(facts[key].split()[0]) for key in ("VmRSS", "RssAnon"))))
        if since > limit and not stopped:
            child.send_signal(signal.SIGTERM)
            stopped = True
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--clip", type=int, default=0, help="frames of a film instead of a stack")
    parser.add_argument("--seconds", type=float, default=600, help="after which a run is ended")
    parser.add_argument("--folder", help="where there is room")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        suffix = ".mkv" if given.clip else ".tif"
        source, target = Path(folder) / f"large{suffix}", Path(folder) / f"out{suffix}"
        if given.clip:
            write_clip(source, given.clip)
        else:
            tifffile.imwrite(
                source, pages(given.pages, given.side), dtype=np.uint16, bigtiff=True,
                shape=(given.pages, given.side, given.side), photometric="minisblack",
                metadata={"axes": "TYX"},
            )  # fmt: skip
        print(f"{source.stat().st_size / 1e9:.2f} GB\n", flush=True)
        words = ["denoise", str(source), "-o", str(target), "-q", "--threads", "1"]
        looks, peak, code = watched([sys.executable, "-m", "f2rcli", *words], given.seconds)
    print("| seconds | resident, MB | its own, MB |\n|---|---|---|")
    for span in np.array_split(np.array(looks), min(ROWS, len(looks))):
        most = span.max(0)
        print(f"| {most[0]:.0f} | {most[1] / 1e3:.0f} | {most[2] / 1e3:.0f} |")
    print(f"\npeak {peak / 1e3:.0f} MB; exit code {code} (143: ended after {given.seconds:g} s)")


if __name__ == "__main__":
    main()
