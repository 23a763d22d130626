"""HTML and SVG elements that escape whatever they are given: file names come from anywhere."""

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

VOID = {"br", "col", "hr", "img", "input", "link", "meta"}


class Markup(str):
    """Text that is markup already. Every other string is escaped where it enters an element."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"
Value: TypeAlias = "str | float | bool | None"


def tag(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """An element. Children are markup, strings (escaped), None (nothing), or iterables of those.

    Attributes: `class_` is written `class`, `data_side` is `data-side`; True stands alone, None and
    False are left out, numbers are written short.
    """
    inside = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{inside}>")
    return Markup(f"<{name}{inside}>{''.join(_flat(children))}</{name}>")


def join(*parts: Child) -> Markup:
    """Elements one after another."""
    return Markup("".join(_flat(parts)))


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        elif child is not None:
            yield from _flat(child)


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else f"{value:.6g}"
    return f' {name}="{escape(text)}"'
