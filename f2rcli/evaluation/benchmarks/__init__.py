"""Published benchmarks. One is a TOML file here; its name is the registry.

It has the benchmark's title, protocol, noises, where its files lie (`layout`), and rows that others
published. `loader` names the module in `loaders` that reads such a layout.
"""

from importlib.resources import files
from typing import TYPE_CHECKING

from f2rcli.errors import UsageError, nearest

if TYPE_CHECKING:
    from f2rcli.evaluation.benchmarks.published import PublishedBenchmark


def available() -> list[str]:
    """The names of all benchmarks, without reading any of them."""
    names = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load(name: str) -> "PublishedBenchmark":
    """A benchmark by name; raises UsageError for an unknown one."""
    from f2rcli.evaluation.benchmarks.published import PublishedBenchmark

    if name not in available():
        raise UsageError(f"benchmark={name!r}: no such choice.", hint=nearest(name, available()))
    return PublishedBenchmark.parse(name, files(__name__).joinpath(f"{name}.toml").read_text())
