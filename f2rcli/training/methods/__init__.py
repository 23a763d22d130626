"""Training recipes: one folder per method, found by name; `rm -r` removes one.

`choices.py` says what may be chosen, `recipe.py` how it is done. Choices are apart so that a
mistyped one is refused before torch is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules

from f2rcli.errors import ConfigError
from f2rcli.methods import DEFAULT


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The choices of one method; of several names the first one is meant where nothing is said."""

    recipes: Mapping[str, str]  # name -> what it means
    sizes: tuple[str, ...]  # names for --size
    widths: bool = False  # whether --size also takes a list of numbers
    variants: Mapping[str, str] = field(default_factory=dict)  # of networks and losses
    adapt: tuple[str, ...] = ()  # levels of --adapt
    scratch: bool = False  # whether --adapt may begin from nothing
    lengths: tuple[int, ...] = tuple(range(3, 16, 2))  # frames per window
    length: int = 5  # where none is asked for


def trainable() -> list[str]:
    """The methods that can be trained, the default first."""
    names = (module.name for module in iter_modules(__path__) if module.ispkg)
    return sorted(names, key=lambda name: (name != DEFAULT, name))


def capabilities_of(method: str) -> Capabilities:
    """Choices that a method offers. Raises ConfigError for one that cannot be trained."""
    if method not in trainable():
        raise ConfigError(
            f"method={method!r}: cannot be trained.",
            hint=f"Choose from {', '.join(trainable())}.",
        )
    found: Capabilities = import_module(f"{__name__}.{method}.choices").CAPABILITIES
    return found


def every_choice(field: str) -> list[str]:
    """The names that any method offers for a field of Capabilities."""
    return list(dict.fromkeys(n for m in trainable() for n in getattr(capabilities_of(m), field)))


def by_method(field: str) -> str:
    """The names that every method offers for a field, in words."""
    offered = {method: getattr(capabilities_of(method), field) for method in trainable()}
    return "; ".join(f"{method}: {', '.join(names)}" for method, names in offered.items() if names)


def recipes_in_words() -> str:
    """Every method's recipes and what they mean."""
    return " ".join(
        f"For {method}, {in_words(capabilities_of(method).recipes)}." for method in trainable()
    )


def in_words(choices: Mapping[str, str]) -> str:
    """Names and what they mean."""
    return "; ".join(f"{name}: {meaning}" for name, meaning in choices.items())
