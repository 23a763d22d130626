"""Metrics. A metric is one file here with a METRIC; its name is the registry."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from f2rcli.errors import UsageError, nearest

if TYPE_CHECKING:
    from f2rcli.evaluation.measures.meters import MetricSpec

REFUSED = {"lpips": "LPIPS downloads its weights, and f2r downloads nothing. "}
WITH_REFERENCE = ("psnr", "ssim", "warping", "flicker")  # what is measured unless asked otherwise
WITHOUT = ("noise_left", "whiteness", "structure", "warping", "flicker", "sharpness", "drift")


def available() -> list[str]:
    """The names of all metrics, without importing any of them."""
    return sorted(module.name for module in iter_modules(__path__))


def check(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names without duplicates, "all" expanded; raises UsageError for an unknown one."""
    known = available()
    for name in names:
        if name != "all" and name.replace("-", "_") not in known:
            hint = REFUSED.get(name, "") + nearest(name, known)
            raise UsageError(f"metrics={name!r}: no such choice.", hint=hint)
    spelt = [n for name in names for n in (known if name == "all" else [name.replace("-", "_")])]
    return tuple(dict.fromkeys(spelt))


def load(name: str) -> "MetricSpec":
    """A metric by name; raises UsageError for an unknown one."""
    (known,) = check((name,))
    metric: MetricSpec = import_module(f"{__name__}.{known}").METRIC
    return metric
