"""Benchmarks. One is a TOML file here; its name is the registry.

It has the benchmark's title, protocol, noises, where its files lie (`layout`), and rows that others
published. `loader` names the module in `loaders` that reads such a layout. One without `expects`
is simulated here and needs no files.
"""

import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING

from f2rcli.settings import check_choice

if TYPE_CHECKING:
    from f2rcli.evaluation.benchmarks.benchmark import Benchmark


def available() -> list[str]:
    """The names of all benchmarks, without reading any of them."""
    names = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def needs_files(name: str) -> bool:
    """Whether a benchmark reads files of others; raises UsageError for an unknown one."""
    return "expects" in tomllib.loads(_described(name))


def load(name: str) -> "Benchmark":
    """A benchmark by name; raises UsageError for an unknown one."""
    from f2rcli.evaluation.benchmarks.benchmark import Benchmark

    return Benchmark.parse(name, _described(name))


def _described(name: str) -> str:
    check_choice("benchmark", name, available())
    return files(__name__).joinpath(f"{name}.toml").read_text()
