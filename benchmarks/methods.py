"""Quality and cost of every method with bundled weights, on the same noisy clips.

    python benchmarks/methods.py CLIPS [--noise g30 pg corr30 h264] [--frames 8] [--methods ...]

Each method is one `f2r eval` per noise (files' own 8-bit noise, blind, FFmpeg's conversion, as in
README's table): PSNR dB / SSIM, mean over frames and clips. CPU seconds are those of
the process, without those of the same run without a method, per frame of 640x360.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from f2rcli import methods

SIZE = 640 * 360


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of clean clips")
    parser.add_argument("--noise", nargs="+", default=["g20", "g30", "g50", "pg", "corr30", "h264"])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--methods", nargs="+", default=methods.available())
    parser.add_argument("--per-clip", action="store_true", help="a row for every clip as well")
    given = parser.parse_args()
    print(f"| method | {' | '.join(given.noise)} | CPU s per 640x360 frame |")
    print("|---|" + "---|" * (len(given.noise) + 1))
    empty = {noise: evaluated("none", noise, given) for noise in given.noise}
    for method in ("none", *given.methods):
        found = {
            noise: empty[noise] if method == "none" else evaluated(method, noise, given)
            for noise in given.noise
        }
        spent = sum(found[n][1] - empty[n][1] for n in given.noise)
        pixels = sum(worked_on(result) for result, _ in found.values())
        cells = [score(result["means"][-1]["values"]) for result, _ in found.values()]
        cost = f"{spent / pixels * SIZE:.2f}" if method != "none" else ""
        print(f"| {method} | {' | '.join(cells)} | {cost} |", flush=True)
        if given.per_clip:
            print_clips(method, found)


def evaluated(method: str, noise: str, given: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """What `f2r eval` found, and the CPU seconds it took."""
    before = spent()
    command = [
        sys.executable, "-m", "f2rcli", "eval", "--clean", str(given.clips), "--noise", noise,
        "--methods", method, "--frames", str(given.frames), "--metrics", "psnr,ssim",
        "--threads", "1", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]), spent() - before


def spent() -> float:
    """CPU seconds of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def worked_on(result: dict[str, Any]) -> int:
    """Pixels of all frames of all clips."""
    return sum(clip["width"] * clip["height"] * clip["frames"] for clip in result["clips"])


def score(values: dict[str, Any]) -> str:
    return f"{values['psnr']:.2f} / {values['ssim']:.3f}"


def print_clips(method: str, found: dict[str, tuple[dict[str, Any], float]]) -> None:
    """A row for every clip."""
    for places in zip(*(result["clips"] for result, _ in found.values()), strict=True):
        values = [place["methods"][-1]["metrics"] for place in places]
        cells = [score({name: v[name]["clip"]["all"] for name in ("psnr", "ssim")}) for v in values]
        print(f"| {method}, {places[0]['name']} | {' | '.join(cells)} | |")


if __name__ == "__main__":
    main()
