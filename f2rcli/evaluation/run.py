"""Run an evaluation: cases in, one `Evaluation` out."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from f2rcli import __version__
from f2rcli.errors import F2RError, UsageError
from f2rcli.evaluation import metrics
from f2rcli.evaluation.base import Case, OpenClip, Plan
from f2rcli.evaluation.baselines import Contestant, Filter, MethodContestant
from f2rcli.evaluation.frame_set import FrameSet, NoiseLeft
from f2rcli.evaluation.lockstep import DenoiserRun, Lockstep
from f2rcli.evaluation.metrics import MEASURES, METRICS, ChannelValues, series_of
from f2rcli.evaluation.pictures import ReportPictures
from f2rcli.evaluation.result import (
    NOISY,
    BenchmarkFacts,
    ClipResult,
    Evaluation,
    MethodFacts,
    MethodResult,
)

FAR = 0.1  # of the range: a difference in mean brightness that no denoiser makes
PACKAGES = ("torch", "numpy", "opencv-python-headless", "av")


class Scores:
    """All that is measured of one estimate of one clip."""

    def __init__(self, name: str, metrics: Iterable[str]) -> None:
        self.name, self.frames = name, 0
        self.rows: dict[str, list[ChannelValues | None]]  # by metric, frame by frame
        self.rows = {metric: [] for metric in metrics if metric in MEASURES}
        self.noise = NoiseLeft() if "noise_left" in metrics else None
        self.offset = 0.0  # sum over frames of how much brighter it is than the reference

    def add(self, frame_set: FrameSet) -> None:
        for name, rows in self.rows.items():
            rows.append(MEASURES[name](frame_set, self.name))
        estimate = frame_set.sides[self.name]
        if self.noise is not None:
            self.noise.add(estimate)
        self.frames += 1
        if frame_set.reference is not None:
            self.offset += float(estimate.mean()) - float(frame_set.reference.mean())

    def finish(self, run: DenoiserRun | None) -> MethodResult:
        """All results; for a run that failed, only the reason."""
        if run is not None and run.failed is not None:
            return MethodResult(method=self.name, failed=run.failed)
        series, notes = {name: series_of(rows) for name, rows in self.rows.items()}, self._remarks()
        if self.noise is not None:
            try:
                series["noise_left"] = self.noise.finish()
            except F2RError as error:
                notes.append(str(error))
        return MethodResult(
            method=self.name, metrics=series, notes=tuple(notes),
            seconds_per_frame=None if run is None else run.seconds_per_frame,
            noise=None if self.noise is None else self.noise.report,
        )  # fmt: skip

    def _remarks(self) -> list[str]:
        offset = self.offset / max(self.frames, 1)
        if abs(offset) < FAR:
            return []
        how = "brighter" if offset > 0 else "darker"
        far = f"{abs(offset):.0%} of the range {how} than the reference"
        return [f"{far}: are they on the same scale, and of the same clip?"]


class Evaluator:
    """Evaluates one case after the other, with the same methods and metrics."""

    def __init__(
        self, plan: Plan, *, kind: str, baselines: Iterable[Filter] = (),
        pictures: ReportPictures | None = None, progress: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """kind: reference, synthetic or blind. Raises UsageError for metrics that do not suit."""
        self.plan, self.kind = plan, kind
        self.pictures, self.progress = pictures, progress
        self.notes: list[str] = []
        self.metrics = self._metrics()
        self.contestants = list[Contestant]()
        for name in (name for name in plan.methods if name != NOISY):
            self.contestants.append(MethodContestant(name, replace(plan.engine, method=name)))
        for baseline in baselines:
            if baseline.missing:
                self.notes.append(f"{baseline.name} left out: {baseline.missing}")
            else:
                self.contestants.append(baseline)
        self.damaged = False  # whether any input was
        self.started, self.began = time.time(), time.monotonic()  # a clock may be set meanwhile

    def _metrics(self) -> list[str]:
        asked = metrics.check(self.plan.metrics)
        if self.kind != "blind":
            return [*(asked or metrics.WITH_REFERENCE)]
        names = asked or metrics.WITHOUT
        need = [name for name in names if METRICS[name].reference]
        if need and "all" not in self.plan.metrics:
            hint = f"Pass clean=, or choose from {', '.join(metrics.WITHOUT)}."
            raise UsageError(f"metrics={need[0]!r}: needs a clean reference.", hint=hint)
        return [name for name in names if name not in need]

    def clip(self, case: Case) -> ClipResult:
        """Evaluate one case. Raises InputError where its clips cannot be compared."""
        plan = self.plan
        with Lockstep(case) as steps:
            steps.make_noise(seed=plan.seed, clipped=plan.clipped)
            steps.enter(self.contestants)
            noisy = NOISY in steps.sides and (NOISY in plan.methods or bool(case.given))
            names = [NOISY] * noisy + [run.name for run in steps.runs]
            scores = {name: Scores(name, self.metrics) for name in names}
            if self.pictures is not None:
                self.pictures.begin(steps.first.layout.mosaic)
            frame_set = None
            for frame_set in steps.frame_sets():
                for name in (name for name in names if name in frame_set.sides):
                    scores[name].add(frame_set)
                if self.pictures is not None:
                    self.pictures.see(frame_set)
                self.progress()
            return self._result(steps, scores, frame_set)

    def _result(
        self, steps: Lockstep, scores: Mapping[str, Scores], last: FrameSet | None
    ) -> ClipResult:
        case, runs = steps.case, {run.name: run for run in steps.runs}
        done = tuple(score.finish(runs.get(name)) for name, score in scores.items())
        height, width = next(iter(last.sides.values())).shape[1:] if last else (0, 0)
        damage = [line for clip in steps.opened for line in self._damage(clip)]
        noise = next((result.noise for result in done if result.method == NOISY), None)
        return ClipResult(
            name=case.name, group=case.group, width=width, height=height,
            frames=last.index + 1 if last else 0, space=steps.first.space.value,
            noise_made=case.noise.name if case.noise is not None else "",
            files=case.files, methods=done, noise=noise,
            notes=(*steps.remarks, *damage),
            pictures=() if self.pictures is None else self.pictures.end(),
        )  # fmt: skip

    def _damage(self, clip: OpenClip) -> list[str]:
        """A reader's account of its file: what it took it for, and what was wrong with it."""
        ledger = getattr(clip, "ledger", None)
        if ledger is None:
            return []
        self.damaged = self.damaged or ledger.damaged
        return [f"{clip.info.name}: {line}" for line in (*clip.info.notes, *ledger.lines())]

    def evaluation(
        self, clips: list[ClipResult], *, command: str = "", benchmark: BenchmarkFacts | None = None
    ) -> Evaluation:
        present = dict.fromkeys(result.method for clip in clips for result in clip.methods)
        facts = [MethodFacts(name=NOISY, title="noisy input", kind="noisy")] * (NOISY in present)
        others = {NOISY, *(contestant.name for contestant in self.contestants)}
        given = [name for name in present if name not in others]
        facts += [MethodFacts(name=name, title=name, kind="given") for name in given]
        facts += [contestant.facts() for contestant in self.contestants]
        return Evaluation(
            kind=self.kind, metrics=tuple(METRICS[name] for name in self.metrics),
            methods=tuple(facts), clips=tuple(clips), settings=self.plan.values(),
            versions={
                "f2r": __version__, "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in PACKAGES},
            },
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores",
            started=datetime.fromtimestamp(self.started, UTC).isoformat(timespec="seconds"),
            seconds=time.monotonic() - self.began, command=command, benchmark=benchmark,
            notes=tuple(self.notes),
        )  # fmt: skip
