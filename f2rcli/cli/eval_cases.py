"""Turn the options of `f2r eval` into a plan and matched clips."""

from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from f2rcli import methods
from f2rcli.cli.options.eval import EvalOptions, denoisers
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError
from f2rcli.evaluation import benchmarks, metrics
from f2rcli.evaluation.plan import Plan
from f2rcli.evaluation.result import NOISY, BenchmarkFacts
from f2rcli.io import ReadOptions
from f2rcli.settings import check_choice

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Baseline, Case


@dataclass(slots=True)
class EvalRequest:
    """The clips to evaluate, and with what."""

    kind: str
    cases: "list[Case]"
    remarks: list[str] = field(default_factory=list)
    baselines: "list[Baseline]" = field(default_factory=list)
    benchmark: BenchmarkFacts | None = None


def plan_of(options: EvalOptions, engine: EngineSettings) -> Plan:
    """The plan that the options describe. Raises UsageError for what does not exist or clashes."""
    names = _listed(options.methods)
    if options.methods is None and not options.denoised:
        names = (NOISY, methods.DEFAULT)
    for name in names:
        check_choice("methods", name, denoisers())
    made = [name for name in names if name != NOISY]
    if engine.weights is not None and len(made) != 1:
        raise UsageError(
            f"--weights {engine.weights}: for which of {', '.join(made) or 'no'} methods?",
            hint="Pass one method with --methods.",
        )
    _check_sides(options)
    measured = metrics.check(_listed(options.metrics))
    return Plan(
        metrics=measured, methods=names,
        baselines=_listed(options.baselines), seed=options.seed,
        clipped=options.clipped is not False, frames=options.frames, engine=engine,
    )  # fmt: skip


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _check_sides(options: EvalOptions) -> None:
    """Raise UsageError for sides that do not make an evaluation."""
    clean, noisy, denoised = options.clean, options.noisy, options.denoised
    noises = options.noise
    if (options.benchmark is None) != (options.root is None):
        raise UsageError("--benchmark and --root: go together.", hint="Pass both.")
    if options.any_clips and options.benchmark is None:
        raise UsageError("--any-clips: says which clips a --benchmark takes.", hint="Leave it out.")
    if options.benchmark is not None:
        if clean or noisy or denoised:
            raise UsageError(
                "--benchmark: names its own clips.", hint="Leave --clean, --noisy, DENOISED out."
            )
        return
    if noises and (clean is None or noisy or denoised):
        raise UsageError(
            "--noise: is made on clean clips, for methods that run here.",
            hint="Pass --clean, and neither --noisy nor DENOISED.",
        )
    if not noises and not denoised and noisy is None:
        raise UsageError(
            "nothing to evaluate.",
            hint="f2r eval DENOISED --clean CLEAN, f2r eval --clean CLEAN --noise gaussian:30, or "
            "f2r eval DENOISED --noisy NOISY.",
        )
    if denoised and clean is None and noisy is None:
        raise UsageError(
            f"{denoised[0]}: nothing to compare it with.", hint="Pass --clean or --noisy, or both."
        )


def request(options: EvalOptions, read: ReadOptions, plan: Plan) -> tuple[EvalRequest, Plan]:
    """The cases, and the plan as a benchmark's protocol wants it. Raises InputError for no
    match."""
    from f2rcli.noise.synthesis import spec  # brings torch

    noises = [spec.parse(text) for text in options.noise or []]
    if options.benchmark is not None:
        found, plan = _benchmark(options, options.benchmark, plan)
    else:
        from f2rcli.evaluation.pairing import Sides, paired

        sides = Sides(_path(options.clean), _path(options.noisy), _labelled(options.denoised or []))
        cases, remarks = paired(sides, replace(read, frames=plan.frames), noises)
        kind = "synthetic" if noises else "blind" if options.clean is None else "reference"
        found = EvalRequest(kind, cases, remarks)
    if plan.baselines:
        from f2rcli.evaluation import baselines

        found.baselines = baselines.find(plan.baselines)
    return found, plan


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _labelled(texts: list[str]) -> dict[str, Path]:
    """The denoised sides by label; without one by their own name, made unlike all others."""
    sides: dict[str, Path] = {}
    for text in texts:
        label, _, path = text.partition("=")
        if not (label and path) or Path(text).exists():
            label, path = "", text
        taken = {"clean", "noisy", NOISY, *sides}
        if label in taken:
            raise UsageError(
                f"{text}: the label {label} is taken.", hint="Write LABEL=PATH with another label."
            )
        own = Path(path).resolve().stem
        names = chain([own], (f"{own} ({number})" for number in count(2)))
        sides[label or next(name for name in names if name not in taken)] = Path(path)
    return sides


def _benchmark(options: EvalOptions, name: str, plan: Plan) -> tuple[EvalRequest, Plan]:
    chosen = benchmarks.load(name)
    cases = chosen.cases(
        Path(options.root or ""), tuple(options.noise or ()), plan.frames,
        any_clips=options.any_clips,
    )  # fmt: skip
    facts = chosen.facts(cases, plan.frames)
    plan = replace(
        plan,
        metrics=plan.metrics or chosen.metrics,
        clipped=chosen.clipped if options.clipped is None else options.clipped,
        frames=plan.frames or chosen.frames,
    )
    kind = "synthetic" if any(case.noise is not None for case in cases) else "reference"
    return EvalRequest(kind, cases, benchmark=facts), plan
