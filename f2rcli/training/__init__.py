"""Training: footage to learn from, a loop for every method's stages, exams, and `--adapt`."""

from importlib import import_module
from typing import Any

_HOMES = {
    "adapt": ("Adaptation",),
    "config": ("TrainConfig",),
    "events": ("Event", "EventKind"),
    "exams": ("Noise", "ValidationErrors", "error_reduction", "is_significant", "recorrupted"),
    "folder": ("running", "summarise"),
    "footage": ("Decoding", "Footage", "open_footage"),
    "loop": ("Trainer",),
    "muon": ("Muon",),
    "session": ("TrainResult", "train"),
    "stage": ("Stage", "TrainSettings"),
}


def __getattr__(name: str) -> Any:
    """The public names, each imported once it is used: most of them bring torch."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
