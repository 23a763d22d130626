"""Offers: what may be chosen when a method is trained. One file per method, found by name.

They are apart from the recipes so that a mistyped choice is refused before torch is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules

from f2rcli.errors import ConfigError

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Offer:
    """The choices of one method; of several names the first one is meant where nothing is said."""

    recipes: Mapping[str, str]  # name -> what it means
    sizes: tuple[str, ...]  # names for --size
    widths: bool = False  # whether --size also takes a list of numbers
    variants: Mapping[str, str] = field(default_factory=lambda: NOTHING)  # of networks and losses
    adapt: tuple[str, ...] = ()  # levels of --adapt
    scratch: bool = False  # whether --adapt may begin from nothing
    lengths: tuple[int, ...] = tuple(range(3, 16, 2))  # frames per window
    length: int = 5  # where none is asked for


def offered() -> list[str]:
    """The methods that can be trained."""
    return sorted(module.name for module in iter_modules(__path__))


def load(method: str) -> Offer:
    """What may be chosen for a method. Raises ConfigError for one that cannot be trained."""
    if method not in offered():
        raise ConfigError(
            f"method = {method}: this method cannot be trained.",
            hint=f"There is: {', '.join(offered())}.",
        )
    offer: Offer = import_module(f"f2rcli.training.offers.{method}").OFFER
    return offer
