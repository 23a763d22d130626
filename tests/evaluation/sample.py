"""An evaluation as `f2r eval` finds it, with awkward names, to be drawn."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from f2rcli.evaluation.base import ClipFacts
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import (
    BenchmarkFacts,
    ClipResult,
    Evaluation,
    FileFacts,
    GivenBack,
    MethodFacts,
    MethodResult,
    MetricFacts,
    MetricSeries,
    PlaneChange,
    Published,
    Residual,
)
from f2rcli.evaluation.visuals.pictures import ReportPictures
from f2rcli.frames import Space
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel

EVIL = "<script>alert('x')</script> \"&' clip.mkv"
PSNR = MetricFacts(name="psnr", title="PSNR", unit="dB", definition="10 log10(1 / MSE)")
FLICKER = MetricFacts(name="flicker", title="Flicker", better="lower", digits=3)


def _series(metric: str, values: tuple[float | None, ...]) -> MetricSeries:
    known = [value for value in values if value is not None]
    return MetricSeries(
        metric=metric, frames={"all": values}, clip={"all": sum(known) / len(known)}
    )


def _residual(rng: np.random.Generator) -> Residual:
    power = rng.uniform(0.5, 1.5, (32, 32))
    rows = tuple(map(tuple, (power / power.mean()).tolist()))
    return Residual(
        sigma8=(20.0,) * 3, mean8=(0.0,) * 3, autocorrelation=((1.0,),), spectrum=rows,
        structure=0.1,
    )  # fmt: skip


def _change(name: str, lift: float) -> PlaneChange:
    """A plane whose dark third is lifted."""
    return PlaneChange(
        name=name, against="", brightness=(2.0, 6.0, 10.0), mean=(lift, 0.0, -0.1),
        spread=(4.0, 5.0, 6.0), samples=(10_000,) * 3,
    )  # fmt: skip


def _noise(rng: np.random.Generator) -> dict[str, Any]:
    """What `NoiseReport.values()` says, as far as the page shows it."""
    return {
        "sigma8": [25.0, 26.0, 27.0],
        "level_points8": [[[30.0, 24.0], [200.0, 26.5]]] * 3,
        "power_spectrum": [_residual(rng).spectrum] * 3,
        "confidence": {"word": "high", "percent": 2.0, "reasons": []},
        "meaning": ["white: neighbouring pixels are independent."],
        "law": NoiseLaw(NoiseModel.gaussian(0.1, 3)).values(),
    }


def _clip(name: str, frames: int, pictures: ReportPictures) -> ClipResult:
    rng = np.random.default_rng(frames)
    clean = np.repeat(np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(1, 96, 128), 3, 0)
    noisy = clean + rng.normal(0, 0.1, clean.shape).astype(np.float32)
    pictures.begin(name, ClipFacts(space=Space.RGB, rate=25.0), ("none", "f2r", "other"))
    pictures.noise = None  # takes its seconds
    for index in range(frames):
        estimates = {"f2r": clean + 0.01, "other": np.clip(clean, 0.1, 0.9)}
        pictures.see(FrameSet(index, reference=clean, noisy=noisy), estimates)
    rising = tuple(30 + 0.1 * index for index in range(frames))
    exact = (math.inf, *rising[1:])
    methods = (
        MethodResult(method="none", series=(_series("psnr", (20.0,) * frames),)),
        MethodResult(
            method="f2r",
            series=(_series("psnr", rising), _series("flicker", (None, *rising[1:]))),
            seconds_per_frame=0.25,
            residual=_residual(rng),
            change=tuple(_change(name, lift) for name, lift in (("R", 0.1), ("G", 3.0), ("B", 0))),
            given_back=GivenBack(
                share=0.234,
                by_plane=(0.3, 0.2, 0.1),
                planes=("R", "G", "B"),
                places=((0.0, 0.5), (0.25, 1.0)),
            ),
        ),
        MethodResult(method="other", series=(_series("psnr", exact),), notes=("a <b>note</b>",)),
        MethodResult(method="broken", failed="no FFmpeg"),
    )
    result = ClipResult(
        name=name, group="gaussian:30", width=128, height=96, frames=frames, space="rgb",
        rate=25.0, noise_made="gaussian:30", methods=methods, noise=_noise(rng),
        files=(FileFacts(role="clean", path=f"dir/{name}", sha256="ab" * 32),),
    )  # fmt: skip
    return replace(result, pictures=pictures.end(result))


def evaluation(name: str = EVIL, clips: int = 2, frames: int = 6) -> Evaluation:
    """Everything a report can show, of made-up clips."""
    pictures = ReportPictures(clips)
    names = [name, *(f"clip {number}" for number in range(1, clips))]
    benchmark = BenchmarkFacts(
        name="davis", title="DAVIS", protocol=("85 frames at most",), complete=False,
        published=(Published(title="FastDVDnet", source="CVPR 2020",
                             values={"gaussian:30": {"psnr": 34.06}}),),
    )  # fmt: skip
    return Evaluation(
        kind="synthetic",
        metrics=(PSNR, FLICKER),
        methods=(
            MethodFacts(name="none", title="noisy input", kind="noisy"),
            MethodFacts(name="f2r", title="f2r", weights="small", settings={"strength": 1.0}),
            MethodFacts(name="other", title="<i>other</i>", kind="baseline"),
            MethodFacts(name="broken", title="broken", kind="baseline"),
        ),
        clips=tuple(_clip(each, frames, pictures) for each in names),
        settings={"seed": 0, "noise": ["gaussian:30"], "border": None},
        versions={"f2r": "1.0", "torch": "2.13"},
        command=f"f2r eval --clean {name!r}",
        started="2026-01-02T03:04:05+00:00",
        benchmark=benchmark,
    )
