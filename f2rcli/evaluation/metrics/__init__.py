"""Metrics. A metric is one file here with a METRIC; its name is the registry. Those of simulated
scenes are in `quantities`, groups of METRICS."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from f2rcli.errors import UsageError, nearest
from f2rcli.evaluation import quantities

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Metric

REFUSED = {"lpips": "LPIPS downloads its weights, and f2r downloads nothing. "}
WITH_REFERENCE = ("psnr", "ssim", "warping", "flicker")  # what is measured unless asked otherwise
WITHOUT = ("noise_left", "whiteness", "structure", "warping", "flicker", "sharpness", "drift")


def available() -> list[str]:
    """The names of all metrics of any clip, without importing any of them."""
    return sorted(module.name for module in iter_modules(__path__))


def of_scenes() -> list[str]:
    """The groups of metrics that need a simulated scene."""
    return sorted(module.name for module in iter_modules(quantities.__path__))


def check(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names without duplicates, "all" expanded; raises UsageError for an unknown one."""
    general = available()
    known = [*general, *of_scenes()]
    for name in names:
        if name != "all" and name.replace("-", "_") not in known:
            hint = REFUSED.get(name, "") + nearest(name, known)
            raise UsageError(f"metrics={name!r}: no such choice.", hint=hint)
    spelt = [n for name in names for n in (general if name == "all" else [name.replace("-", "_")])]
    return tuple(dict.fromkeys(spelt))


def load(name: str) -> "tuple[Metric, ...]":
    """The metrics of a name: one, or a group's; raises UsageError for an unknown one."""
    (known,) = check((name,))
    if known in of_scenes():
        return tuple(import_module(f"{quantities.__name__}.{known}").METRICS)
    return (import_module(f"{__name__}.{known}").METRIC,)
