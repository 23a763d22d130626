"""The engine as commands load it; its choices, costs and findings in words and values."""

from itertools import islice
from typing import TYPE_CHECKING, Any

from f2rcli.cli.terminal.console import Console
from f2rcli.engine.settings import EngineSettings
from f2rcli.frames import ClipInfo
from f2rcli.io.base import Reader
from f2rcli.units import size, span

if TYPE_CHECKING:
    from f2rcli.engine.contract.returned import Returned
    from f2rcli.engine.noise.tracking import NoiseTracker
    from f2rcli.engine.stream import Engine
    from f2rcli.methods.base import Method

PROBE_FRAMES = 32  # at most: stacks of few photons take as many for the noise estimate
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


def looked_at(engine: "Engine", reader: Reader) -> "tuple[NoiseTracker | None, Method | None]":
    """The noise that a run finds in a clip's first frames, and the method with the networks that it
    chooses for it, which are the engine's from now on; None without frames."""
    from f2rcli.engine.stream import looked_ahead  # brings torch

    first = islice(reader, PROBE_FRAMES)
    noise = looked_ahead(first, reader.info, engine)
    return noise, None if noise is None else noise.new_method()


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


def forecast(
    engine: "Engine", info: ClipInfo, method: "Method | None"
) -> tuple[str, dict[str, Any]]:
    """The cost of denoising a clip on this machine, in one line and in seconds and bytes."""
    cost, (frames, _) = engine.predict(info, method), expected_frames(info)
    pace = cost.seconds_per_frame
    seconds = None if frames is None else frames * pace
    total = "length not known" if seconds is None else f"about {span(seconds)} in all"
    words = f"{pace:.2g} s per frame, {total}, about {size(cost.peak_bytes)} of memory"
    values = {"frames": frames, "seconds_per_frame": pace, "seconds": seconds}
    return words, {**values, "peak_bytes": cost.peak_bytes}


def expected_frames(info: ClipInfo) -> tuple[int | None, bool]:
    """The number of frames a clip should have, and whether its container counts them; otherwise
    duration times rate, a guess at varying rates."""
    if info.frames is not None:
        return info.frames, True
    if info.duration is None or info.rate is None:
        return None, False
    return max(round(info.duration * float(info.rate)), 1), False


def sigma_of(engine: "Engine | None") -> float | None:
    """The estimated noise, mean of the channels, in 8-bit units; None before it is known."""
    if engine is None or engine.noise is None:
        return None
    levels = engine.noise.sigma8
    return float(sum(levels) / len(levels))


def noise_lines(info: ClipInfo, engine: "Engine | None") -> list[str]:
    """The noise of each lane of a stack in the file's own units; none for other clips."""
    lanes = zip(info.lanes, getattr(engine, "lane_noise", []), strict=False)
    return [
        f"noise{f' of {label}' if label else ''}: {model.in_codes(layout.levels)}"
        for label, (layout, model) in lanes
        if layout.levels is not None
    ]


def returned_of(engine: "Engine | None") -> "Returned | None":
    """The residual contract's account; None without an engine that keeps one."""
    return getattr(engine, "returned", None)


def aside_lines(engine: "Engine | None") -> list[str]:
    """The samples that an engine set aside as defects, in words."""
    found = getattr(engine, "aside", None)
    return [] if found is None else found.lines()


def returned_lines(engine: "Engine | None", info: ClipInfo) -> list[str]:
    """A line for the receipt where the contract gave back much of what was removed. None where
    hardly any noise, or none, was measured: then most comes back as a matter of course."""
    returned = returned_of(engine)
    if engine is None or returned is None or returned.share <= MUCH_RETURNED:
        return []
    from f2rcli.engine.noise.opening import hardly_any  # brings torch, as the engine did

    noise = engine.noise
    if noise is None or not any(noise.sigma) or hardly_any(noise, info.layout):
        return []
    return [
        f"{100 * returned.share:.0f} % of what the networks took out was put back: texture that "
        "the measured noise does not explain"
    ]


def returned_values(returned: "Returned | None") -> dict[str, object] | None:
    """JSON values: shares of energy, 0..1."""
    if returned is None:
        return None
    return {"share": round(returned.share, 4), "by_plane": [round(s, 4) for s in returned.by_plane]}
