"""Training: footage to learn from, a loop for every method's stages, exams, and `--adapt`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from f2rcli.training.adapt import Adaptation
    from f2rcli.training.config import TrainConfig
    from f2rcli.training.exams import ValidationErrors, error_reduction, is_significant
    from f2rcli.training.folder import running
    from f2rcli.training.footage import Decoding, Footage, open_footage
    from f2rcli.training.loop import Trainer
    from f2rcli.training.muon import Muon
    from f2rcli.training.report import summarise
    from f2rcli.training.session import TrainResult, train
    from f2rcli.training.stage import Stage, TrainSettings

__all__ = [
    "Adaptation", "Decoding", "Footage", "Muon", "Stage", "TrainConfig", "TrainResult",
    "TrainSettings", "Trainer", "ValidationErrors", "error_reduction", "is_significant",
    "open_footage", "running", "summarise", "train",
]  # fmt: skip

_HOMES = {
    "adapt": ("Adaptation",),
    "config": ("TrainConfig",),
    "exams": ("ValidationErrors", "error_reduction", "is_significant"),
    "folder": ("running",),
    "footage": ("Decoding", "Footage", "open_footage"),
    "loop": ("Trainer",),
    "muon": ("Muon",),
    "report": ("summarise",),
    "session": ("TrainResult", "train"),
    "stage": ("Stage", "TrainSettings"),
}


def __getattr__(name: str) -> Any:
    """The public names, each imported once it is used: most of them bring torch."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
