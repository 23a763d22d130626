"""The options of `f2r eval`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from f2rcli import methods
from f2rcli.cli.terminal.console import RUN
from f2rcli.evaluation import benchmarks, metrics
from f2rcli.evaluation.plan import BASELINES
from f2rcli.evaluation.result import NOISY
from f2rcli.io.base import SPAN
from f2rcli.noise import synthesis
from f2rcli.settings import check, setting

CLIPS = "Clips"
NOISE = "Synthetic noise"
WHO = "Methods"
MEASURES = "Metrics"
RESULTS = "Results"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[LABEL=]DENOISED",
        show_default=False,
        help="Denoised clip, or folder of clips; the same as --denoised.",
    ),
]


def denoisers() -> list[str]:
    """The values of --methods."""
    return [*methods.available(), NOISY]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """The evaluation asked for. Raises UsageError for values that do not exist."""

    denoised: list[str] | None = setting(
        None, "Denoised clip, or folder of clips; may be repeated to compare.",
        metavar="[LABEL=]PATH", group=CLIPS,
    )  # fmt: skip
    clean: str | None = setting(
        None, "Clean clip, or folder of clips, to compare with.", metavar="PATH", group=CLIPS
    )
    noisy: str | None = setting(
        None, "Noisy clip, or folder of clips: the input of DENOISED or of --methods.",
        metavar="PATH", group=CLIPS,
    )  # fmt: skip
    benchmark: str | None = setting(
        None, "A published benchmark with its protocol; needs --root.",
        metavar="NAME", group=CLIPS, choices=benchmarks.available, others="one of them",
    )  # fmt: skip
    root: str | None = setting(
        None, "The folder with a published benchmark's files.", metavar="DIR", group=CLIPS
    )
    any_clips: bool = setting(
        False, "Take whatever clips --root has, under the benchmark's protocol.", group=CLIPS
    )
    noise: list[str] | None = setting(
        None, "gaussian:30, poisson-gaussian:0.01,4, salt-pepper, correlated:30, compressed:30,23, "
        "mixture or compressed-mixture; ranges such as gaussian:5-55 are drawn per clip. "
        "Repeatable.",
        metavar="KIND[:NUMBERS]", group=NOISE,
        choices=synthesis.kinds, others="ranges and numbers of each", mark="+",
    )  # fmt: skip
    clipped: bool | None = setting(
        None, "8-bit codes, as files hold them (default), or floats, as papers use them.",
        flags=("--clipped/--unclipped",), group=NOISE,
    )  # fmt: skip
    seed: int = setting(0, "Same seed, same noise.", metavar="N", group=NOISE, low=0)
    methods: str | None = setting(
        None, "Methods that denoise the noisy clips here; none is the noisy clip itself.",
        metavar="A,B,none", group=WHO, choices=denoisers, others="several with commas",
    )  # fmt: skip
    baselines: str | None = setting(
        None, "Third-party denoisers to compare with: ffmpeg, opencv, or a single filter.",
        metavar="A,B", group=WHO, choices=lambda: [*BASELINES], others="several with commas",
    )  # fmt: skip
    metrics: str | None = setting(
        None, "Metrics to compute (default: depends on whether there is a clean clip).",
        metavar="A,B|all", group=MEASURES, choices=metrics.available, others="several with commas",
    )  # fmt: skip
    frames: int | None = setting(
        None, "At most N frames of each clip.", metavar="N", group=SPAN, low=1
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The files that results go to."""

    csv: str | None = setting(
        None, "Every value as a table; - prints it.", metavar="OUT.csv", group=RESULTS
    )
    json_file: str | None = setting(None, "All results as JSON.", metavar="OUT.json", group=RESULTS)
    report: str | None = setting(
        None, "A page with tables, curves and pictures, in one file.",
        metavar="OUT.html", group=RESULTS,
    )  # fmt: skip
    overwrite: bool = setting(False, "Replace existing result files.", group=RUN)
