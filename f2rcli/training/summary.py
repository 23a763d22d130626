"""What a run came to, for people: a page in the run folder and a few lines on the terminal."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from f2rcli.training.config import TrainConfig
from f2rcli.training.pictures import draw_curve
from f2rcli.training.runfolder import record_result, write_whole
from f2rcli.training.sources import Source, find_sources

REPORT = "report.md"
CURVE = "curve.png"

HOW_TO_READ = """\
The blind loss is measured on frames that were never trained on: how far the prediction of a frame
from its neighbours alone lies from the noisy frame itself. The noise of that frame cannot be
predicted by anyone, so most of the number is noise and stays, however good the weights are; only
the rest can be learnt. A change in dB therefore looks small and understates what was gained. It
says on which side of the start the weights are; it is not a PSNR against clean frames, which
noisy footage does not have. Look at the crops as well."""


class Outcome(Protocol):
    """What a training session ended with; see session.TrainResult."""

    @property
    def weights(self) -> Path: ...
    @property
    def run(self) -> Path: ...
    @property
    def start_loss(self) -> float: ...
    @property
    def best_loss(self) -> float: ...
    @property
    def kept(self) -> bool: ...
    @property
    def stopped(self) -> str: ...
    @property
    def noise(self) -> Any: ...
    @property
    def curve(self) -> Sequence[tuple[int, float]]: ...
    @property
    def crops(self) -> Sequence[Path]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def notes(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Summary:
    """The same facts as lines for a terminal, as a page, and as values for programs."""

    lines: tuple[str, ...]
    page: Path
    values: dict[str, Any]


def summarise(outcome: Outcome, config: TrainConfig, crops: Sequence[Path] = ()) -> Summary:
    """Write report.md, curve.png and result.json into the run folder; returns what they say.

    crops: pictures before and after, in addition to the session's own.
    Raises OutputError when the folder cannot be written; the weights are there all the same.
    """
    draw_curve(outcome.curve, outcome.run / CURVE, start=outcome.start_loss)
    page = outcome.run / REPORT
    write_whole(page, _page(outcome, config, [*outcome.crops, *crops]))
    values = _values(outcome, config)
    record_result(outcome.run, Path(config.output), values)
    return Summary(tuple(_lines(outcome, config, page)), page, values)


def gain_db(start: float, best: float) -> float | None:
    """How much lower a mean squared error is, in dB; None where that says nothing."""
    if not (math.isfinite(start) and math.isfinite(best) and start > 0 and best > 0):
        return None
    return 10 * math.log10(start / best)


def use_command(config: TrainConfig) -> str:
    """The command that denoises the first clip with the new weights."""
    found = find_sources([Path(item) for item in config.inputs])
    clip = next((item for item in found if isinstance(item, Source)), None)
    if clip is None:
        return shlex.join(["f2r", "denoise", "CLIP", "--weights", config.output])
    words = ["f2r", "denoise", clip.source, "--weights", config.output]
    single = clip.files == (Path(clip.source),)  # pictures are written beside the input without -o
    return shlex.join([*words, "-o", f"clean{Path(clip.source).suffix}"] if single else words)


def resume_command(config: TrainConfig) -> str:
    """The command that goes on with a run."""
    words = ["f2r", "train", "--resume", "-o", config.output]
    return shlex.join(words if config.run is None else [*words, "--run", config.run])


def verdict(outcome: Outcome) -> str:
    """Whether the run found better weights, in one sentence with the numbers."""
    start, best = outcome.start_loss, outcome.best_loss
    if not outcome.kept:
        return "nothing better than the weights it began from was found; they are kept"
    gain = gain_db(start, best)
    if gain is None:
        return f"blind loss on held-out frames: {best:.4g}"
    change = f"{abs(gain):.3f} dB {'lower' if gain >= 0 else 'higher'}"
    return f"blind loss on held-out frames: {start:.5g} -> {best:.5g} ({change})"


def _lines(outcome: Outcome, config: TrainConfig, page: Path) -> list[str]:
    return [
        f"result   {verdict(outcome)}",
        *(f"note     {note}" for note in outcome.notes),
        f"weights  {config.output}",
        f"report   {page}",
        f"use      {use_command(config)}",
        *([] if _finished(outcome) else [f"go on    {resume_command(config)}"]),
    ]


def _finished(outcome: Outcome) -> bool:
    return "time" not in outcome.stopped


def _values(outcome: Outcome, config: TrainConfig) -> dict[str, Any]:
    """Everything as JSON values."""

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "weights": str(config.output),
        "run": str(outcome.run),
        "kept": outcome.kept,
        "stopped": outcome.stopped,
        "start_loss": number(outcome.start_loss),
        "best_loss": number(outcome.best_loss),
        "gain_db": gain_db(outcome.start_loss, outcome.best_loss),
        "curve": [[step, number(loss)] for step, loss in outcome.curve],
        "seconds": round(outcome.seconds, 1),
        "notes": list(outcome.notes),
    }


def _page(outcome: Outcome, config: TrainConfig, crops: list[Path]) -> str:
    clips = "\n".join(f"- `{clip}`" for clip in config.inputs)
    parts = [
        f"# {Path(config.output).name}",
        f"{_capital(verdict(outcome))}.",
        f"Trained {outcome.seconds / 60:.1f} minutes with recipe `{config.recipe}`"
        f"{_begun(config)}; ended because: {outcome.stopped}. On:\n\n{clips}",
        *([f"Noise: {_noise_words(outcome.noise)}"] if outcome.noise is not None else []),
        *(f"Note: {note}" for note in outcome.notes),
        f"## Use\n\n```\n{use_command(config)}\n```",
        f"The weights are `{config.output}`.",
        *([] if _finished(outcome) else [f"Go on:\n\n```\n{resume_command(config)}\n```"]),
        f"## Held-out loss\n\n![loss over steps]({CURVE})\n\n{HOW_TO_READ}",
        *_pictures(crops, outcome.run),
        "Everything that was asked for is in `config.toml`, every row of the curve in the `.csv` "
        "files beside this page.",
    ]
    return "\n\n".join(parts) + "\n"


def _begun(config: TrainConfig) -> str:
    if config.adapt is not None:
        return f", adapting ({config.adapt}) {config.init or 'the bundled weights'}"
    return ", from scratch" if config.init is None else f", from {config.init}"


def _pictures(crops: list[Path], folder: Path) -> list[str]:
    if not crops:
        return []
    shown = "\n\n".join(f"![{path.stem}]({_beside(path, folder)})" for path in crops)
    return [f"## Before and after\n\nWhere the two differ most.\n\n{shown}"]


def _beside(path: Path, folder: Path) -> str:
    """A path as a page in `folder` writes it."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _noise_words(noise: Any) -> str:
    return str(noise)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
