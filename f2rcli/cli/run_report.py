"""`f2r denoise --report`: a page on a run, made of its input and its output once it is complete.

A pass of its own over both files: what could go wrong with a report cannot touch the output.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2rcli import __version__
from f2rcli.cli.engine import returned_of
from f2rcli.cli.results import check_result, command_typed
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.progress import RunMeter
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError
from f2rcli.frames import ClipInfo
from f2rcli.io.base import ReadOptions
from f2rcli.io.digest import digest

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine
    from f2rcli.evaluation.base import Case
    from f2rcli.evaluation.result import Evaluation, MethodFacts, MethodResult

FRAMES = 250  # the first ones of a clip, which the page is about: enough to see, soon enough done
SIDE = "denoised"  # what the page's results are filed under


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A page to be written after a run."""

    page: str
    source: str
    target: str
    read: ReadOptions
    overwrite: bool

    def check(self) -> None:
        """Raise for what could not be written at the end, before there is work to lose."""
        if "-" in (self.source, self.target):
            which = "input" if self.source == "-" else "output"
            raise UsageError(
                f"--report: the {which} is a pipe, which cannot be read a second time.",
                hint="Name files for both.",
            )
        check_result("report", self.page, overwrite=self.overwrite)

    def write(
        self, settings: EngineSettings, info: ClipInfo, engine: "Engine | None", console: Console
    ) -> None:
        """Look at both clips and write the page. Raises F2RError; the output stays as it is.

        info: of the input; engine: the one that ran, or None at strength 0.
        """
        from f2rcli.evaluation.plan import Plan
        from f2rcli.evaluation.report import write_report
        from f2rcli.evaluation.result import NOISY
        from f2rcli.evaluation.run import Evaluator
        from f2rcli.evaluation.visuals.pictures import ReportPictures  # brings torch

        console.if_stopped = "the output is complete; the report was not written."
        plan = Plan(
            methods=(NOISY,),
            engine=EngineSettings(device=settings.device, threads=settings.threads),
            frames=min(self.read.frames or FRAMES, FRAMES),
        )  # fmt: skip
        with RunMeter(console, "report", plan.frames, exact=False) as meter:
            pictures = ReportPictures(clips=1)
            run = Evaluator(
                plan, kind="blind", observers=[pictures],
                progress=lambda *_: meter.advance() if console.events is None else None,
            )  # fmt: skip
            clip = run.clip(self._case(plan.frames))
            results = [_with_returned(result, info, engine) for result in clip.methods]
            found = run.evaluation([replace(clip, methods=tuple(results))])
        described = _described(found, settings, engine, self._settings())
        write_report(described, Path(self.page), overwrite=self.overwrite, title="Denoising run")
        console.event("report", path=self.page)
        console.note(f"report: {self.page}")

    def _case(self, frames: int | None) -> "Case":
        from f2rcli.evaluation.base import Case
        from f2rcli.evaluation.clips.pairing import File
        from f2rcli.evaluation.result import FileFacts

        axes = self.read.axes if Path(self.target).suffix.lower() in (".tif", ".tiff") else None
        series = self.read.series
        if series is not None and Path(self.source).suffix.lower() not in (".tif", ".tiff"):
            series = "all"  # those that were chosen
        noisy = File(Path(self.source), replace(self.read, frames=frames, strict=False))
        result = File(
            Path(self.target),
            ReadOptions(frames=frames, fields=self.read.fields, axes=axes, series=series),
        )
        sides = (("noisy", noisy), ("denoised", result))
        return Case(
            name=Path(self.source).name, noisy=noisy, given={SIDE: result},
            files=tuple(
                FileFacts(
                    role=role, path=str(file.path),
                    sha256=digest(file.path) if file.path.exists() else "",
                )
                for role, file in sides
            ),
        )  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        """The part of the clip that was denoised, where that is not all of it."""
        names = ("start", "end", "frames", "axes", "series")
        return {name: v for name in names if (v := getattr(self.read, name)) is not None}


def _with_returned(
    result: "MethodResult", info: ClipInfo, engine: "Engine | None"
) -> "MethodResult":
    """The denoised side's figures with what the run's engine gave back."""
    from f2rcli.evaluation.measures.change import plane_names
    from f2rcli.evaluation.result import GivenBack

    returned = returned_of(engine)
    if result.method != SIDE or returned is None or not returned.places.size:
        return result
    places = tuple(map(tuple, returned.places.tolist()))
    back = GivenBack(
        share=returned.share, by_plane=returned.by_plane, places=places,
        planes=plane_names(info.layout.family),
    )  # fmt: skip
    return replace(result, given_back=back)


def _described(
    found: "Evaluation", settings: EngineSettings, engine: "Engine | None", part: dict[str, Any]
) -> "Evaluation":
    """The evaluation, which only sees two files, with the engine that made one from the other."""
    methods = tuple(_made_by(settings, engine) if m.name == SIDE else m for m in found.methods)
    kept = {name: found.settings[name] for name in ("border", "conversion")}
    return replace(found, methods=methods, settings=part | kept, command=command_typed())


def _made_by(settings: EngineSettings, engine: "Engine | None") -> "MethodFacts":
    from f2rcli.evaluation.result import MethodFacts

    facts: dict[str, Any] = {"strength": settings.strength}
    for name in ("luma_strength", "chroma_strength", "sigma"):
        if (value := getattr(settings, name)) is not None:
            facts[name] = value
    if engine is None:  # strength 0 of what no weights suit
        return MethodFacts(name=SIDE, title=settings.method, version=__version__, settings=facts)
    facts |= {"device": engine.device, "precision": engine.precision, "tile": engine.tile}
    return MethodFacts(
        name=SIDE, title=engine.method_name, version=__version__, weights=engine.weights_name,
        weights_sha256=engine.weights.sha256, settings=facts,
    )  # fmt: skip
