"""What a command asks of the engine, checked before torch is loaded."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from f2rcli import methods, weights
from f2rcli.cli.console import Console
from f2rcli.cli.options import checks
from f2rcli.engine.strength import changes_nothing
from f2rcli.frames import ClipInfo

if TYPE_CHECKING:
    from f2rcli.engine.returned import Returned
    from f2rcli.engine.stream import Engine
    from f2rcli.noise.model import NoiseModel

MUCH_RETURNED = 0.1  # of what was taken out, from where a receipt says so


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The engine's settings as given on the command line.

    The same fields as EngineSettings, which lives beside torch: a typing mistake should not cost
    the seconds torch takes to load. Raises UsageError.
    """

    method: str = methods.DEFAULT
    weights: str | None = None  # name or path; None: the bundled ones that suit the clip
    strength: float = 1.0
    luma_strength: float | None = None  # None: as strength
    chroma_strength: float | None = None
    sigma: float | None = None  # 8-bit units; None: estimated
    device: str = "auto"
    precision: str = "auto"
    tile: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        checks.check_choice("--method", self.method, methods.available())
        checks.check_weights(self.weights, weights.available())
        checks.check_number("--strength", self.strength, 0.0, 4.0)
        checks.check_number("--luma-strength", self.luma_strength, 0.0, 4.0)
        checks.check_number("--chroma-strength", self.chroma_strength, 0.0, 4.0)
        checks.check_number("--sigma", self.sigma, 0.0, 255.0)
        checks.check_device(self.device)
        checks.check_choice("--precision", self.precision, list(checks.PRECISIONS))
        checks.check_tile(self.tile)

    @property
    def changes_nothing(self) -> bool:
        """Whether every sample is to be given back as it is."""
        return changes_nothing(self)

    def load(self, info: ClipInfo, console: Console) -> "Engine":
        """The engine for a clip; says what it settled on."""
        from f2rcli.engine.stream import EngineSettings, load_engine  # brings torch

        engine = load_engine(EngineSettings(**asdict(self)), info)
        say_notes(engine, console)
        console.detail(f"engine: {engine_words(engine)}")
        return engine


def say_notes(engine: "Engine", console: Console) -> None:
    """Say what the engine noted since it was asked last."""
    while engine.notes:
        console.note(f"note: {engine.notes.pop(0)}")


def engine_values(engine: "Engine") -> dict[str, object]:
    """What an engine settled on, for programs."""
    return {
        "method": engine.method_name,
        "weights": engine.weights_name,
        "device": engine.device,
        "precision": engine.precision,
        "tile": engine.tile,
    }


def engine_words(engine: "Engine") -> str:
    """What an engine settled on, in one line."""
    tiling = "whole frames" if engine.tile is None else f"tiles of {engine.tile} pixels"
    return (
        f"{engine.method_name}, weights {engine.weights_name}, {engine.device}, "
        f"{engine.precision}, {tiling}"
    )


def sigma_of(engine: "Engine") -> float | None:
    """The estimated noise, mean of the channels, in 8-bit units; None before it is known."""
    if engine.noise is None:
        return None
    levels = engine.noise.sigma8
    return float(sum(levels) / len(levels))


def noise_lines(info: ClipInfo, engine: "Engine | None") -> list[str]:
    """The noise of each lane of a stack in the file's own units; none for other clips."""
    heard = zip(info.lanes, getattr(engine, "lane_noise", []), strict=False)
    return [
        f"noise{f' of {label}' if label else ''}: {noise_in_codes(layout.levels, model)}"
        for label, (layout, model) in heard
        if layout.levels is not None
    ]


def returned_of(engine: "Engine | None") -> "Returned | None":
    """What the residual contract gave back; None where no engine tells."""
    return getattr(engine, "returned", None)


def aside_lines(engine: "Engine | None") -> list[str]:
    """What an engine set aside as no picture, in words."""
    found = getattr(engine, "aside", None)
    return [] if found is None else found.lines()


def returned_lines(returned: "Returned | None") -> list[str]:
    """A line for a receipt where the contract gave back much of what was taken out."""
    if returned is None or returned.share <= MUCH_RETURNED:
        return []
    return [
        f"the contract gave back {100 * returned.share:.0f} % of what was taken out: texture that "
        "the noise law does not explain"
    ]


def returned_values(returned: "Returned | None") -> dict[str, object] | None:
    """The same for programs: shares of energy, 0..1."""
    if returned is None:
        return None
    return {"share": round(returned.share, 4), "by_plane": [round(s, 4) for s in returned.by_plane]}


def noise_in_codes(levels: tuple[float, float], model: "NoiseModel") -> str:
    """Standard deviations at three codes, and the Poisson-Gaussian line if it is one."""
    black, span = levels[0], levels[1] - levels[0]
    knots = model.at_knots()
    last = len(knots[0]) - 1
    words = []
    for place in (0.25, 0.5, 0.75):
        sigma = span * sum(curve[round(place * last)] for curve in knots) / len(knots)
        words.append(f"{sigma:.3g} at {black + place * span:.5g}")
    said = f"sigma {', '.join(words)}"
    gain, read, dark = (sum(part) / len(part) for part in (model.gain, model.read, model.pedestal))
    if model.curve is not None or not gain:
        return said
    offset = black + span * (dark - read**2 / gain)
    sign = "+" if offset < 0 else "-"
    return f"{said}; variance {gain * span:.3g} x (code {sign} {abs(offset):.4g})"
