"""The engine as commands load it, and its choices in words and values."""

from typing import TYPE_CHECKING

from f2rcli.cli.terminal.console import Console
from f2rcli.engine.settings import EngineSettings
from f2rcli.frames import ClipInfo

if TYPE_CHECKING:
    from f2rcli.engine.contract.returned import Returned
    from f2rcli.engine.stream import Engine

MUCH_RETURNED = 0.1  # of what was removed, from where a receipt says so


def loaded(settings: EngineSettings, info: ClipInfo, console: Console) -> "Engine":
    """Load the engine for a clip, and print its notes."""
    from f2rcli.engine.stream import load_engine  # brings torch

    engine = load_engine(settings, info)
    say_notes(engine, console)
    console.detail(f"engine: {engine_words(engine)}")
    return engine


def say_notes(engine: "Engine", console: Console) -> None:
    """Print the engine's new notes."""
    while engine.notes:
        console.note(f"note: {engine.notes.pop(0)}")


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


def sigma_of(engine: "Engine") -> float | None:
    """The estimated noise, mean of the channels, in 8-bit units; None before it is known."""
    if engine.noise is None:
        return None
    levels = engine.noise.sigma8
    return float(sum(levels) / len(levels))


def noise_lines(info: ClipInfo, engine: "Engine | None") -> list[str]:
    """The noise of each lane of a stack in the file's own units; none for other clips."""
    lanes = zip(info.lanes, getattr(engine, "lane_noise", []), strict=False)
    lines = []
    for label, (layout, model) in lanes:
        if layout.levels is not None:
            of = f" of {label}" if label else ""
            lines.append(f"noise{of}: {model.in_codes(layout.levels)}")
    return lines


def returned_of(engine: "Engine | None") -> "Returned | None":
    """The residual contract's account; None without an engine that keeps one."""
    return getattr(engine, "returned", None)


def aside_lines(engine: "Engine | None") -> list[str]:
    """The samples that an engine set aside as defects, in words."""
    found = getattr(engine, "aside", None)
    return [] if found is None else found.lines()


def returned_lines(engine: "Engine | None", info: ClipInfo) -> list[str]:
    """A line for the receipt where the contract gave back much of what was removed.

    None where there was hardly any noise: then giving most of it back is a matter of course.
    """
    returned = returned_of(engine)
    if engine is None or returned is None or returned.share <= MUCH_RETURNED:
        return []
    from f2rcli.engine.noise.tracking import hardly_any  # brings torch, as the engine did

    if engine.noise is not None and hardly_any(engine.noise, info.layout):
        return []
    return [
        f"the contract gave back {100 * returned.share:.0f} % of what was removed: texture that "
        "the noise model does not explain"
    ]


def returned_values(returned: "Returned | None") -> dict[str, object] | None:
    """The same for programs: shares of energy, 0..1."""
    if returned is None:
        return None
    return {"share": round(returned.share, 4), "by_plane": [round(s, 4) for s in returned.by_plane]}
