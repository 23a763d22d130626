"""Errors say what to do next."""

import ast
from pathlib import Path

import pytest

from f2rcli import errors
from tests.sources import PACKAGE, nodes_of

# An input that is damaged has no remedy but another copy; all others have one.
EVERY = {errors.F2RError, *errors.F2RError.__subclasses__()}
OURS = {kind.__name__ for kind in EVERY} - {"InputError", "CancelledError"}
SAYS_ITSELF = ("must be", "must lie", "choose one", "available()")  # in the message


def raised(path: Path) -> list[str]:
    """The calls that make an error without a hint, as they are written."""
    found = []
    for node in nodes_of(path):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(name), args=[first, *_], keywords=given)):
                said = ast.unparse(first)
                silent = "hint" not in {keyword.arg for keyword in given}
                if name in OURS and silent and not any(word in said for word in SAYS_ITSELF):
                    found.append(said)
    return found


@pytest.mark.parametrize("room", sorted(path.name for path in PACKAGE.iterdir()))
def test_every_error_has_a_hint_or_says_what_must_be(room: str) -> None:
    paths = [PACKAGE / room, *(PACKAGE / room).rglob("*")]
    modules = [path for path in paths if path.suffix == ".py"]
    assert {str(path): found for path in modules if (found := raised(path))} == {}
