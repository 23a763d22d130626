"""What `f2r eval` is asked to do: its options as a plan and as clips that belong together."""

from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2rcli import methods
from f2rcli.cli.options import checks
from f2rcli.cli.options.engine import EngineChoice
from f2rcli.errors import UsageError
from f2rcli.evaluation import metrics
from f2rcli.evaluation.plan import CONVERSIONS, Plan
from f2rcli.evaluation.result import NOISY, BenchmarkFacts
from f2rcli.io import ReadOptions

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Baseline, Case

ENGINE_OPTIONS = (
    "weights", "strength", "luma_strength", "chroma_strength", "sigma", "device", "precision",
    "tile", "threads",
)  # fmt: skip


@dataclass(slots=True)
class EvalRequest:
    """What is to be evaluated, once it is known what there is."""

    kind: str
    cases: "list[Case]"
    remarks: list[str] = field(default_factory=list)
    baselines: "list[Baseline]" = field(default_factory=list)
    benchmark: BenchmarkFacts | None = None


def plan_of(given: dict[str, Any]) -> Plan:
    """The plan that the options describe. Raises UsageError for what does not exist or clashes."""
    denoised, noises = given["denoised"], given["noise"] or []
    if given["methods"] is None:
        names = [] if denoised else [NOISY, methods.DEFAULT]
    else:
        names = _listed(given["methods"])
    for name in names:
        checks.check_choice("--methods", name, [*methods.available(), NOISY])
    made = [name for name in names if name != NOISY]
    checks.check_choice("--conversion", given["conversion"], list(CONVERSIONS))
    engine = {name: given[name] for name in ENGINE_OPTIONS}
    for name in made or [methods.DEFAULT]:
        EngineChoice(method=name, **engine)
    if given["weights"] is not None and len(made) != 1:
        raise UsageError(
            f"--weights {given['weights']}: for which of {', '.join(made) or 'no'} methods?",
            hint="Pass one method with --methods.",
        )
    if given["csv"] == given["json"] == "-":
        raise UsageError("--csv - --json -: one of them at a time.", hint="Write one to a file.")
    _check_sides(given, denoised, noises)
    return Plan(
        metrics=metrics.check(tuple(_listed(given["metrics"] or ""))), methods=tuple(names),
        baselines=tuple(_listed(given["baselines"] or "")), seed=given["seed"],
        clipped=given["clipped"], frames=given["frames"], border=given["border"],
        conversion=given["conversion"], engine=engine,
    )  # fmt: skip


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def split(text: str) -> tuple[str | None, str]:
    """A label, if there is one, and a path, of `label=path`."""
    label, equals, path = text.partition("=")
    if equals and label and path and not Path(text).exists():
        return label, path
    return None, text


def _check_sides(given: dict[str, Any], denoised: list[str], noises: list[str]) -> None:
    """Raise UsageError for sides that do not make an evaluation."""
    clean, noisy = given["clean"], given["noisy"]
    if (given["benchmark"] is None) != (given["root"] is None):
        raise UsageError("--benchmark and --root: go together.", hint="Pass both.")
    if given["benchmark"] is not None:
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


def ask(given: dict[str, Any], plan: Plan, said: set[str]) -> tuple[EvalRequest, Plan]:
    """The cases, and the plan as a benchmark's protocol wants it; `said` are the options that were
    not left at their default. Raises InputError where no clips belong together."""
    from f2rcli.noise.synthesis import spec  # brings torch

    noises = [spec.parse(text) for text in given["noise"] or []]
    options = ReadOptions(frames=plan.frames, axes=given["axes"])
    if given["benchmark"] is not None:
        asked, plan = _benchmark(given, plan, said)
    else:
        from f2rcli.evaluation.clips.pairing import Sides, paired

        sides = Sides(_path(given["clean"]), _path(given["noisy"]), _labelled(given["denoised"]))
        cases, remarks = paired(sides, options, noises)
        kind = "synthetic" if noises else "blind" if given["clean"] is None else "reference"
        asked = EvalRequest(kind, cases, remarks)
    if plan.baselines:
        from f2rcli.evaluation import baselines

        asked.baselines = baselines.find(plan.baselines)
    return asked, plan


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _labelled(texts: list[str]) -> dict[str, Path]:
    """The denoised sides by label; without one by their own name, made unlike all others."""
    sides: dict[str, Path] = {}
    for text in texts:
        label, path = split(text)
        taken = {"clean", "noisy", NOISY, *sides}
        if label in taken:
            raise UsageError(
                f"{text}: the label {label} is taken.", hint="Write LABEL=PATH with another label."
            )
        own = Path(path).resolve().stem
        names = chain([own], (f"{own} ({number})" for number in count(2)))
        sides[label or next(name for name in names if name not in taken)] = Path(path)
    return sides


def _benchmark(given: dict[str, Any], plan: Plan, said: set[str]) -> tuple[EvalRequest, Plan]:
    from f2rcli.evaluation import benchmarks

    chosen = benchmarks.load(given["benchmark"])
    cases = chosen.cases(Path(given["root"]), tuple(given["noise"] or ()), plan.frames)
    plan = replace(
        plan,
        metrics=plan.metrics or chosen.metrics,
        clipped=plan.clipped if "clipped" in said else chosen.clipped,
        frames=plan.frames or chosen.frames,
    )
    kind = "synthetic" if any(case.noise is not None for case in cases) else "reference"
    return EvalRequest(kind, cases, benchmark=chosen.facts(cases)), plan
