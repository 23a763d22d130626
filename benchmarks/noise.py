"""Accuracy of noise measurement: clean clips with made noise, against the noise that was added.

    python benchmarks/noise.py CLIPS [--noise g5 g30 corr30 pg h264] [--frames 7] [--method NAME]

CLIPS is a folder of clean clips. Every noisy input (see noisy_clips.py) is measured as `f2r noise`
does, from the file alone. The true sigma is the root mean square of noisy - clean (8-bit codes,
after rounding) over samples that were not clipped: those whose clean value is at least 2 sigma from
black and white (1.5, 1 or 0 where fewer than 2 % are). For `pg` it is the root mean square of the
law over the clean picture. True and measured sigma are means over the channels; "channel" is the
error of the worst channel. With `--method blind2sound` its own estimator is measured, for which
`--frames 1` is enough.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from noisy_clips import clean_clips, make_noisy, read
from numpy.typing import NDArray

from f2rcli.engine.noise.measurement import measure_noise
from f2rcli.engine.stream import EngineSettings, load_engine
from f2rcli.io import open_reader
from f2rcli.noise.report import NoiseReport

Samples = NDArray[np.float64]  # (T, H, W, 3) codes
NOISES = ("g5", "g10", "g20", "g30", "g50", "corr10", "corr30", "pg", "h264")
PG_GAIN, PG_READ = 0.01, 4 / 255


class Truth(NamedTuple):
    sigma: NDArray[np.float64]  # (3,), 8-bit codes
    rho: float  # lag-1 correlation, mean of x and y


class Row(NamedTuple):
    clip: str
    truth: Truth
    report: NoiseReport | None
    seconds: float

    @property
    def errors(self) -> NDArray[np.float64]:
        """Relative, per channel; NaN where nothing was measured."""
        if self.report is None:
            return np.full(3, np.nan)
        return np.array(self.report.model.sigma8) / self.truth.sigma - 1

    @property
    def error(self) -> float:
        """Of the mean over the channels."""
        if self.report is None:
            return float("nan")
        return float(np.mean(self.report.model.sigma8) / np.mean(self.truth.sigma) - 1)


def truth_of(noisy: Samples, clean: Samples, noise: str) -> Truth:
    error = noisy - clean
    rough = float(np.sqrt(np.mean(error**2)))
    sigma = []
    for channel in range(3):
        x, e = clean[..., channel], error[..., channel]
        for room in (2.0, 1.5, 1.0, 0.0):
            inside = (x > room * rough) & (x < 255 - room * rough)
            if inside.mean() > 0.02:
                break
        law = PG_GAIN * x / 255 + PG_READ**2
        value = 255 * np.sqrt(law.mean()) if noise == "pg" else np.sqrt(np.mean(e[inside] ** 2))
        sigma.append(float(value))
    lags = [np.mean(error[:, :, 1:] * error[:, :, :-1]), np.mean(error[:, 1:] * error[:, :-1])]
    return Truth(np.array(sigma), float(np.mean(lags)) / max(rough, 1e-9) ** 2)


def measure(clip: Path, noise: str, arguments: argparse.Namespace, work: Path) -> Row:
    noisy = make_noisy(clip, noise, work, arguments.frames)
    with open_reader(str(noisy)) as reader:
        engine = load_engine(
            EngineSettings(method=arguments.method, threads=arguments.threads), reader.info
        )
        started = time.monotonic()
        report = measure_noise(reader, reader.info, engine, arguments.windows)
        seconds = time.monotonic() - started
    given = read(noisy).astype(np.float64)
    clean = read(clip, len(given))[:, : given.shape[1], : given.shape[2]].astype(np.float64)
    noisy.unlink()
    return Row(clip.stem, truth_of(given, clean, noise), report, seconds)


def line(noise: str, row: Row) -> str:
    start = f"| {noise} | {row.clip} | {row.truth.sigma.mean():.2f} |"
    if row.report is None:
        return f"{start} not measured |"
    report, worst = row.report, row.errors[np.abs(row.errors).argmax()]
    law = "curve" if report.model.curve else f"{np.mean(report.model.gain):.4f}"
    spectrum, time_ = report.spectrum, report.temporal.compensated
    rho = float("nan") if spectrum is None else np.mean(spectrum.rho_x + spectrum.rho_y)
    flags = {"white": report.white, "separate": report.separate, "independent": report.independent}
    return (
        f"{start} {np.mean(report.model.sigma8):.2f} | {100 * row.error:+.1f} | {100 * worst:+.1f} "
        f"| {law} | {row.truth.rho:.2f} | {rho:.2f} | {'?' if time_ is None else f'{time_:.2f}'} "
        f"| {', '.join(name for name, there in flags.items() if there)} "
        f"| {report.confidence.word}, {report.confidence.percent:.0f} % | {row.seconds:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--noise", nargs="+", default=NOISES)
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--windows", type=int, default=2, help="frames that are measured")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--method", default="f2r")
    parser.add_argument("--only", default="", help="clips whose name contains this")
    arguments = parser.parse_args()
    clips = clean_clips(arguments.clips, arguments.only)
    names = "noise|clip|true|measured|error %|channel %|gain|true rho|rho|temporal|flags|sure|s"
    print("| " + names.replace("|", " | ") + " |")
    print("|---" * (names.count("|") + 1) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for noise in arguments.noise:
            rows = []
            for clip in clips:
                rows.append(measure(clip, noise, arguments, Path(folder)))
                print(line(noise, rows[-1]), flush=True)
            errors = np.abs([row.error for row in rows])
            print(
                f"| {noise} | **worst of {len(rows)}** | | | {100 * errors.max():.1f} | "
                f"{100 * np.abs([row.errors for row in rows]).max():.1f} |" + " |" * 7,
                flush=True,
            )


if __name__ == "__main__":
    main()
