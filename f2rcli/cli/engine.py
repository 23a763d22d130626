"""The engine as commands use it; its choices, costs and findings in words and values."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from f2rcli.engine.settings import EngineSettings
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io import Reader
from f2rcli.system import keep_memory

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine

PROBE_FRAMES = 32  # at most: stacks of few photons take as many for the noise estimate
MUCH_RETURNED = 0.1  # of what was removed, from where a receipt says so
# The noise alone, as a PSNR, is 34 dB at 5 of 255 and 22 dB at 20: hardly seen, and seen at once.
LIGHT, STRONG = 5.0, 20.0


def loaded(settings: EngineSettings, info: ClipInfo, say: Callable[[str], None]) -> "Engine":
    """The engine for a clip; its notes are said."""
    from f2rcli.engine.stream import load_engine  # brings torch

    keep_memory()
    engine = load_engine(settings, info)
    say_notes(engine, say)
    return engine


def restored(reader: Reader, frames: Iterable[Frame], engine: "Engine") -> Iterable[Frame]:
    """The frames of a clip, restored."""
    from f2rcli.engine.stream import denoise_stream

    return denoise_stream(frames, reader.info, engine, reader.opening)


def say_notes(engine: "Engine", say: Callable[[str], None]) -> None:
    """Say the engine's new notes."""
    while engine.found.notes:
        say(f"note: {engine.found.notes.pop(0)}")


def look_ahead(engine: "Engine", reader: Reader) -> tuple[Any, Any]:
    """The noise that a run finds in a clip's first frames, and the method with the networks that it
    chooses for it, which are the engine's from now on; None without frames."""
    from f2rcli.engine.stream import looked_ahead

    first = islice(reader, PROBE_FRAMES)
    noise = looked_ahead(first, reader.info, engine)
    return (None, None) if noise is None else (noise.measured, noise.new_method())


def engine_values(engine: "Engine") -> dict[str, object]:
    """The engine's choices, for programs."""
    return {
        "method": engine.method_name,
        "weights": engine.weights_name,
        "device": engine.device,
        "precision": engine.precision,
        "tile": engine.tile,
    }


def engine_words(engine: "Engine") -> str:
    """The engine's choices, in one line."""
    tiling = "whole frames" if engine.tile is None else f"tiles of {engine.tile} pixels"
    return (
        f"{engine.method_name}, weights {engine.weights_name}, {engine.device}, "
        f"{engine.precision}, {tiling}"
    )


def sigma_of(model: Any) -> float | None:
    """The one number of a noise: its standard deviation, mean of the channels, of 255."""
    return None if model is None else round(float(sum(model.sigma8) / len(model.sigma8)), 1)


def noise_words(model: Any, levels: tuple[float, float] | None = None) -> str:
    """A noise in words; levels: black and white of a stack, whose own units it is told in."""
    if model is None:
        return "too little to measure"
    if levels is not None:
        return f"{model.in_codes(levels)}, in the file's own units"
    return sigma_words(sigma_of(model) or 0.0)


def sigma_words(sigma: float) -> str:
    """A standard deviation, of 255, with a word for it."""
    word = "light" if sigma < LIGHT else "strong" if sigma > STRONG else "usual"
    return f"{word}, sigma {sigma:.1f} of 255"


def noise_lines(info: ClipInfo, engine: "Engine | None") -> list[str]:
    """The noise that a run has found: of each lane of a stack, or of the clip."""
    if engine is None:
        return []
    lanes = zip(info.lanes, engine.found.lane_noise, strict=False)
    found = [
        f"noise{f' of {label}' if label else ''}: {noise_words(model, layout.levels)}"
        for label, (layout, model) in lanes
        if layout.levels is not None
    ]
    noise = engine.found.noise
    return found or ([] if noise is None else [f"noise: {noise_words(noise, info.layout.levels)}"])


def aside_lines(engine: "Engine | None") -> list[str]:
    """The samples that an engine set aside as defects, in words."""
    return [] if engine is None else engine.found.aside.lines()


def returned_lines(engine: "Engine | None", info: ClipInfo) -> list[str]:
    """A line for the receipt where the contract gave back much of what was removed. None where
    hardly any noise, or none, was measured: then most comes back as a matter of course."""
    if engine is None or engine.contract.returned.share <= MUCH_RETURNED:
        return []
    from f2rcli.engine.level import hardly_any

    noise = engine.found.noise
    if noise is None or not any(noise.sigma) or hardly_any(noise, info.layout):
        return []
    share = engine.contract.returned.share
    return [
        f"{100 * share:.0f} % of what the networks took out was put back: texture that "
        "the measured noise does not explain"
    ]


def returned_values(engine: "Engine | None") -> dict[str, object] | None:
    """The contract's account as JSON values: a share of energy, 0..1."""
    return None if engine is None else {"share": round(engine.contract.returned.share, 4)}
