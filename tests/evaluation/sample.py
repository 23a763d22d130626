"""An evaluation as `f2r eval` finds it, with awkward names, to be drawn."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from f2rcli.evaluation import frame_set, pictures, result
from f2rcli.noise import model, spectrum

EVIL = "<script>alert('x')</script> \"&' clip.mkv"
PSNR = result.MetricFacts(name="psnr", title="PSNR", unit="dB", definition="10 log10(1 / MSE)")
WARPING = result.MetricFacts(name="warping", title="Warping error", better="lower", digits=3)


def _series(values: tuple[float | None, ...]) -> result.MetricSeries:
    known = [value for value in values if value is not None]
    return result.MetricSeries(frames={"all": values}, clip={"all": sum(known) / len(known)})


def _power(rng: np.random.Generator) -> tuple[tuple[float, ...], ...]:
    power = rng.uniform(0.5, 1.5, (32, 32))
    return tuple(map(tuple, (power / power.mean()).tolist()))


def _noise(rng: np.random.Generator) -> dict[str, Any]:
    """What `NoiseReport.values()` says, as far as the page shows it."""
    return {
        "sigma8": [25.0, 26.0, 27.0],
        "level_points8": [[[30.0, 24.0], [200.0, 26.5]]] * 3,
        "power_spectrum": [_power(rng)] * 3,
        "confidence": {"word": "high", "percent": 2.0, "reasons": []},
        "meaning": ["white: neighbouring pixels are independent."],
        "law": spectrum.NoiseLaw(model.NoiseModel.gaussian(0.1, 3)).values(),
    }


def _clip(name: str, frames: int, kept: pictures.ReportPictures) -> result.ClipResult:
    rng = np.random.default_rng(frames)
    clean = np.repeat(np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(1, 96, 128), 3, 0)
    noisy = clean + rng.normal(0, 0.1, clean.shape).astype(np.float32)
    kept.begin(None)
    for index in range(frames):
        estimates = {"f2r": clean + 0.01, "other": np.clip(clean, 0.1, 0.9)}
        kept.see(frame_set.FrameSet(index, {result.NOISY: noisy, **estimates, result.CLEAN: clean}))
    rising = tuple(30 + 0.1 * index for index in range(frames))
    exact = (math.inf, *rising[1:])
    methods = (
        result.MethodResult(method="none", metrics={"psnr": _series((20.0,) * frames)}),
        result.MethodResult(
            method="f2r",
            metrics={"psnr": _series(rising), "warping": _series((None, *rising[1:]))},
            seconds_per_frame=0.25,
        ),
        result.MethodResult(
            method="other", metrics={"psnr": _series(exact)}, notes=("a <b>note</b>",)
        ),
        result.MethodResult(method="broken", failed="no FFmpeg"),
    )
    found = result.ClipResult(
        name=name, group="gaussian:30", width=128, height=96, frames=frames, space="rgb",
        noise_made="gaussian:30", methods=methods, noise=_noise(rng),
        files=(result.FileFacts(role="clean", path=f"dir/{name}", sha256="ab" * 32),),
    )  # fmt: skip
    return replace(found, pictures=kept.end())


def evaluation(name: str = EVIL, clips: int = 2, frames: int = 6) -> result.Evaluation:
    """Everything a report can show, of made-up clips."""
    kept = pictures.ReportPictures(clips)
    names = [name, *(f"clip {number}" for number in range(1, clips))]
    benchmark = result.BenchmarkFacts(
        name="davis", title="DAVIS", protocol=("85 frames at most",), complete=False,
        published=(result.Published(title="FastDVDnet", source="CVPR 2020",
                             values={"gaussian:30": {"psnr": 34.06}}),),
    )  # fmt: skip
    return result.Evaluation(
        kind="synthetic",
        metrics=(PSNR, WARPING),
        methods=(
            result.MethodFacts(name="none", title="noisy input", kind="noisy"),
            result.MethodFacts(
                name="f2r", title="f2r", weights="small", settings={"strength": 1.0}
            ),
            result.MethodFacts(name="other", title="<i>other</i>", kind="baseline"),
            result.MethodFacts(name="broken", title="broken", kind="baseline"),
        ),
        clips=tuple(_clip(each, frames, kept) for each in names),
        settings={"seed": 0, "clipped": True, "frames": None},
        versions={"f2r": "1.0", "torch": "2.13"},
        command=f"f2r eval --clean {name!r}",
        started="2026-01-02T03:04:05+00:00",
        benchmark=benchmark,
    )
