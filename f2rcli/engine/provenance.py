"""The provenance of a clip, as JSON values, for its metadata."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from f2rcli import __version__

if TYPE_CHECKING:
    from f2rcli.engine.engine import Engine


def provenance_of(
    engine: "Engine | None", settings: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    """A clip's provenance, final once its noise is known; without an engine that of a copy."""

    def facts() -> dict[str, Any]:
        facts: dict[str, Any] = {"f2r": __version__, "settings": settings}
        if engine is None:
            return facts
        facts |= {"method": engine.method_name, "weights": engine.weights_name}
        facts["sha256"] = engine.weights_sha256
        facts |= {"precision": engine.precision, "device": engine.device, "tile": engine.tile}
        facts["contract"] = engine.settings.contract
        if engine.found.noise is not None:
            facts["noise"] = _noise(engine.found.noise)
        return facts

    return facts


def _noise(model: Any) -> dict[str, Any]:
    """The law of the noise: 8-bit units, per channel."""
    facts = {"sigma8": [round(level, 3) for level in model.sigma8]}
    for name in ("gain", "read", "dark"):
        values = getattr(model, name, ())
        if any(values):
            facts[name] = [float(f"{value:.6g}") for value in values]
    return facts
