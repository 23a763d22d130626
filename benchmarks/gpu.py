"""The GPU route: its agreement with the processor and its speed.

    python benchmarks/gpu.py [--minutes 10]

From a checkout, with clips it makes itself, on a CUDA device: the four methods on both in dB, and
frames per second and memory by size and by clips side by side; without one, what a frame would
start and move there. `pytest -m gpu` has the tests.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Thread

import numpy as np
import torch

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from noisy_clips import psnr  # noqa: E402  # which imports f2rcli as well

from f2rcli import methods  # noqa: E402  # of this checkout
from f2rcli.engine.stream import Engine, denoise_stream  # noqa: E402
from f2rcli.frames import Family, Frame, Matrix, PlaneLayout  # noqa: E402
from tests.engine.made import engine_for, info_of  # noqa: E402
from tests.engine.pretend_gpu import Launches, pretending  # noqa: E402

LAYOUT = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)
SIZES = {"640x360": (360, 640), "1920x1080": (1080, 1920), "3840x2160": (2160, 3840)}
TICK = Fraction(1, 25)
SIGMA = 15.0  # codes, of the noise that is added to every plane
FRAMES = 64  # of a clip whose speed is measured
SETTLED = 24  # frames until windows are full, and work that recurs is recorded
LAST = 8  # frames that are read ahead: at the end nothing is


def clean_picture(index: int, height: int, width: int) -> np.ndarray:
    """Soft waves that drift by a pixel and a half per frame, with edges: (H, W) in 0..1."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = columns + 1.5 * index, rows + 0.5 * index
    waves = np.sin(x / 9) * np.cos(y / 13) + np.sin(x / 37) + (np.sin(x / 61) * np.cos(y / 47) > 0)
    return 0.5 + 0.12 * waves


def clip(count: int, size: tuple[int, int], sigma: float = SIGMA) -> list[Frame]:
    """Y'CbCr 4:2:0 frames of 8 bits with white noise."""
    rng = np.random.default_rng(0)
    frames = []
    for index in range(count):
        luma = 16 + 219 * clean_picture(index, *size)
        half = luma[::2, ::2]
        planes = [luma, 128 + (half - 128) / 4, 128 - (half - 128) / 6]
        codes = [np.clip(np.rint(p + rng.normal(0, sigma, p.shape)), 0, 255) for p in planes]
        planes = tuple(code.astype(np.uint8) for code in codes)
        frames.append(Frame(planes=planes, layout=LAYOUT, pts=index, duration=1, time_base=TICK))
    return frames


def restored(frames: list[Frame], engine: Engine) -> list[Frame]:
    return list(denoise_stream(iter(frames), info_of(frames), engine))


def close(frames: list[Frame], others: list[Frame]) -> float:
    """PSNR of luma, in dB."""
    return psnr([one.planes[0] for one in frames], [one.planes[0] for one in others])


def agreement() -> list[str]:
    """Every method on processor and GPU, in dB between their results and against the clean clip."""
    frames, clean = clip(20, (180, 320)), clip(20, (180, 320), sigma=0)
    rows = ["| method | processor, dB | GPU, dB | apart, dB |", "|---|---|---|---|"]
    for name in methods.available():
        size = {"model": "full"} if name == "f2r" else {}  # the default on a GPU
        done = [
            restored(frames, engine_for(frames, method=name, device=device, **size))
            for device in ("cpu", "cuda")
        ]
        each = " | ".join(f"{close(one, clean):.2f}" for one in done)
        rows.append(f"| {name} | {each} | {close(*done):.2f} |")
    return rows


def going_on(frames: list[Frame], count: int) -> Iterator[Frame]:
    """So many frames, forth and back through some: none like the one before, all to be uploaded."""
    turn = 2 * (len(frames) - 1)
    for index in range(count):
        place = index % turn
        frame = frames[min(place, turn - place)]
        yield replace(frame, planes=tuple(plane.view() for plane in frame.planes), pts=index)


class Run:
    """A clip through an engine on the GPU, with the time of every frame that comes out."""

    def __init__(self, frames: list[Frame], count: int) -> None:
        self.engine = engine_for(frames, device="cuda")
        self._frames, self._count = frames, count
        self._times: list[float] = []

    def __call__(self) -> None:
        stream = going_on(self._frames, self._count)
        info = replace(info_of(self._frames), frames=self._count)
        for _ in denoise_stream(stream, info, self.engine):
            self._times.append(time.monotonic())

    def steady(self) -> float:
        """Frames per second once everything is recorded, and before the last are read."""
        part = self._times[SETTLED : self._count - LAST]
        return (len(part) - 1) / (part[-1] - part[0])


def speed(until: float) -> list[str]:
    """Frames per second of one clip and of several side by side, each in a thread: of the whole
    clip from the first frame read, and from frame SETTLED on."""
    rows = [
        f"| size | clips | frames/s, {FRAMES} frames | frames/s from frame {SETTLED} on | GB |",
        "|---|---|---|---|---|",
    ]
    for name, size in SIZES.items():
        frames = clip(12, size)
        for clips in (1, 2, 4):
            if time.monotonic() > until:
                return [*rows, "| out of time | | | | |"]
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            runs = [Run(frames, FRAMES) for _ in range(clips)]
            threads = [Thread(target=run) for run in runs]
            started = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            torch.cuda.synchronize()
            whole = clips * FRAMES / (time.monotonic() - started)
            steady = sum(run.steady() for run in runs)
            gigabytes = torch.cuda.max_memory_reserved() / 1e9
            rows.append(f"| {name} | {clips} | {whole:.1f} | {steady:.1f} | {gigabytes:.1f} |")
            rows += [f"not recorded: {why}" for run in runs for why in run.engine.graphs.failures]
            del runs, threads
    return rows


def counted() -> str:
    """Of one frame in a full window, at a size whose pyramids have as many levels as any larger."""
    height, width = 256, 320
    frames = clip(9, (height, width))
    with pretending():
        engine = engine_for(frames, device="cuda", precision="fp32")
        stream = denoise_stream(iter(frames), info_of(frames), engine)
        launches = Launches.of(stream)
    moved = launches.bytes * 1920 * 1080 / (height * width)
    return f"{launches.kernels} kernels a frame, {moved / 1e9:.1f} GB of a frame of 1080p"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    until = time.monotonic() + 60 * parser.parse_args().minutes
    if not torch.cuda.is_available():
        print("no CUDA device here;", counted())
        return
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    for part in (agreement, lambda: speed(until)):
        print("\n" + "\n".join(part()), flush=True)


if __name__ == "__main__":
    main()
