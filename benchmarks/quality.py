"""Quality on clean clips with noise made on the spot, blind, through the command line.

    python benchmarks/quality.py CLIPS MAKE_NOISY [--noise g20 g30 g50 pg corr30 h264]
        [--frames 8] [--only NAME] [--threads 1] [--stages] [--options ...]

CLIPS is a folder of clean clips kept out of training, MAKE_NOISY the script that makes the noisy
inputs. Each input goes through `f2r denoise --lossless`, and the file that comes out is read back
and compared with the clean frames: PSNR over all pixels and channels of 8-bit RGB per frame, SSIM
with a Gaussian window of 1.5 and population covariance; mean over frames, then over clips.
`--stages` adds the coarse, anchor and refined estimates from inside the pipeline. At the end the
means stand beside what a trained DVDnet reaches on the same inputs when it is told the noise, and
beside the bars f2r is held to; both are means over the ten clips of the project, first 8 frames.
"""

import argparse
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

Clip = NDArray[np.uint8]
NOISES = ("g20", "g30", "g50", "pg", "corr30", "h264")
DVDNET = {"g20": 35.07, "g30": 32.92, "g50": 29.36, "pg": 34.83, "corr30": 23.42, "h264": 27.15}
BARS = {"g20": 35.2, "g30": 33.2, "g50": 29.8, "pg": 35.1, "corr30": 30.8, "h264": 32.2}


class Score(NamedTuple):
    psnr: float
    ssim: float


def read(path: Path, frames: int) -> Clip:
    with av.open(str(path)) as container:
        pictures = islice(container.decode(video=0), frames)
        return np.stack(
            [f.to_ndarray(format="rgb24") for f, _ in zip(pictures, range(frames), strict=False)]
        )


def score(estimate: NDArray[np.generic], clean: Clip) -> Score:
    from skimage.metrics import structural_similarity

    each = []
    for one, truth in zip(estimate, clean, strict=True):
        error = np.mean((one.astype(np.float64) - truth) ** 2)
        ssim = structural_similarity(
            one,
            truth,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        each.append((10 * np.log10(255**2 / error), ssim))
    return Score(*(float(v) for v in np.mean(each, axis=0)))


def stages(noisy: Path, clean: Clip) -> dict[str, Score]:
    """The estimates inside the pipeline, clipped and rounded to 8 bits."""
    from f2rcli.engine.stream import EngineSettings, load_engine, restore_stream
    from f2rcli.io import open_reader
    from f2rcli.methods.base import Restored

    estimates: dict[str, list[NDArray[np.uint8]]] = {"coarse": [], "anchor": [], "refined": []}
    with open_reader(noisy) as reader:
        engine = load_engine(EngineSettings(), reader.info)

        def keep(restored: Restored) -> None:
            for name, values in estimates.items():
                picture = getattr(restored, name)[0].clamp(0, 1).mul(255).round()
                values.append(picture.byte().permute(1, 2, 0).numpy())

        for _ in restore_stream(iter(reader), engine, keep):
            pass
    return {name: score(np.stack(values), clean) for name, values in estimates.items()}


def make_input(clip: Path, noise: str, arguments: argparse.Namespace, work: Path) -> Path:
    """The noisy rendition of a clip, made by the script that `arguments` name."""
    noisy = work / f"{clip.stem}.{noise}{'.mp4' if noise.startswith('h264') else '.mkv'}"
    make = [sys.executable, arguments.make_noisy, clip, noisy, "--noise", noise]
    subprocess.run([*make, "--frames", str(arguments.frames)], check=True)
    return noisy


def measure(clip: Path, noise: str, arguments: argparse.Namespace, work: Path) -> dict[str, Score]:
    noisy = make_input(clip, noise, arguments, work)
    done = work / f"{noisy.stem}.f2r.mkv"
    command = [sys.executable, "-m", "f2rcli", "denoise", noisy, "-o", done, "--lossless", "-q"]
    threads = ["--threads", str(arguments.threads)] if arguments.threads else []
    subprocess.run([*command, "--overwrite", *threads, *arguments.options], check=True)
    given = read(noisy, arguments.frames)
    clean = read(clip, arguments.frames)[:, : given.shape[1], : given.shape[2]]
    scores = {"noisy": score(given, clean)}
    if arguments.stages:
        scores |= stages(noisy, clean)
    return scores | {"f2r": score(read(done, arguments.frames), clean)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("make_noisy", type=Path)
    parser.add_argument("--noise", nargs="+", default=list(NOISES))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--threads", type=int, help="of f2r denoise; default: all cores")
    parser.add_argument(
        "--stages", action="store_true", help="also score coarse, anchor and refined"
    )
    parser.add_argument("--only", default="", help="clips whose name contains this")
    parser.add_argument(
        "--options", nargs=argparse.REMAINDER, default=[], help="passed to f2r denoise"
    )
    arguments = parser.parse_args()
    clips = [c for c in sorted(arguments.clips.glob("*.mkv")) if arguments.only in c.stem]
    print("| noise | clip | " + " | ".join(_columns(arguments)) + " |")
    print("|---" * (2 + len(_columns(arguments))) + "|")
    means = {}
    with tempfile.TemporaryDirectory() as folder:
        for noise in arguments.noise:
            rows = [measure(clip, noise, arguments, Path(folder)) for clip in clips]
            for clip, row in zip(clips, rows, strict=True):
                _print(noise, clip.stem, row)
            mean = {k: Score(*np.mean([row[k] for row in rows], axis=0)) for k in rows[0]}
            _print(noise, f"**mean of {len(rows)}**", mean)
            means[noise] = mean
    print(summary(means, len(clips), whole=not arguments.only and arguments.frames == 8))


def summary(means: dict[str, dict[str, Score]], clips: int, whole: bool) -> str:
    """Mean PSNR per noise as a table; with peer and bar if it is the `whole` set they speak of."""
    reached = {noise: mean["f2r"].psnr for noise, mean in means.items()}
    rows: dict[str, list[float | None]] = {
        f"noisy, mean of {clips} clips": [mean["noisy"].psnr for mean in means.values()]
    }
    if whole:
        rows["DVDnet, told the noise"] = [DVDNET.get(noise) for noise in means]
        rows["bar"] = [BARS.get(noise) for noise in means]
    rows[f"**f2r, blind, mean of {clips} clips**"] = list(reached.values())
    if whole:
        rows["above the bar"] = [
            psnr - BARS[noise] if noise in BARS else None for noise, psnr in reached.items()
        ]
    lines = [f"\n| mean PSNR, dB | {' | '.join(means)} |", "|---" * (1 + len(means)) + "|"]
    for name, values in rows.items():
        cells = ("" if value is None else f"{value:.2f}" for value in values)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _columns(arguments: argparse.Namespace) -> list[str]:
    inner = ["coarse", "anchor", "refined"] if arguments.stages else []
    return ["noisy", *inner, "f2r, as written to the file"]


def _print(noise: str, name: str, row: dict[str, Score]) -> None:
    cells = " | ".join(f"{s.psnr:.2f} / {s.ssim:.3f}" for s in row.values())
    print(f"| {noise} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
