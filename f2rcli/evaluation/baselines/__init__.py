"""Third-party denoisers to compare with. Each file has BASELINES; its name is their group."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from f2rcli.settings import check_choice

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Baseline


def available() -> dict[str, "tuple[Baseline, ...]"]:
    """All baselines by group, including those that cannot run here."""
    groups = sorted(module.name for module in iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").BASELINES for name in groups}


def find(names: tuple[str, ...]) -> "list[Baseline]":
    """The baselines of these names and groups, each once. Raises UsageError for unknown names."""
    groups = available()
    known = {baseline.name: (baseline,) for group in groups.values() for baseline in group} | groups
    chosen: dict[str, Baseline] = {}
    for name in names:
        check_choice("baselines", name, list(known))
        chosen |= {baseline.name: baseline for baseline in known[name]}
    return list(chosen.values())
