"""Methods: how networks become a denoiser. A method is a file here, found by name."""

import ast
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from f2rcli.settings import Setting

if TYPE_CHECKING:
    from f2rcli.methods.base import Method

DEFAULT = "f2r"
NOT_METHODS = {"base", "flows", "rgb"}


def available() -> list[str]:
    """The names of all methods, without importing any of them."""
    return sorted(one.name for one in iter_modules(__path__) if one.name not in NOT_METHODS)


def described() -> dict[str, str]:
    """A line about each method, by name: the first one of its file."""
    found = {}
    for name in available():
        text = Path(__path__[0], f"{name}.py").read_text(encoding="utf-8")
        found[name] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return found


def load(name: str) -> "type[Method]":
    """The class of a method, by name. Raises UsageError for an unknown one."""
    Setting(choices=available).check("method", name)
    return import_module(f"f2rcli.methods.{name}").METHOD
