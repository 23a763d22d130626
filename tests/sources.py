"""The package's modules as syntax trees, parsed once for all tests of how they are written."""

import ast
from functools import cache
from pathlib import Path

import f2rcli

PACKAGE = Path(f2rcli.__file__).parent


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Every node of a module."""
    return list(ast.walk(parsed(path)))
