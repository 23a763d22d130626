"""Published benchmarks. One is a file here with a BENCHMARK; its name is the registry."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from f2rcli.errors import UsageError, nearest

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Benchmark


def available() -> list[str]:
    """The names of all benchmarks, without importing any of them."""
    return sorted(module.name for module in iter_modules(__path__))


def load(name: str) -> "Benchmark":
    """A benchmark by name; raises UsageError for a name that no file here has."""
    if name not in available():
        raise UsageError(f"--benchmark {name}: no such benchmark.", hint=nearest(name, available()))
    benchmark: Benchmark = import_module(f"{__name__}.{name}").BENCHMARK
    return benchmark
