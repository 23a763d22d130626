"""Training recipes: one file per method, found by name, with its RECIPE; `rm` removes one."""

from pkgutil import iter_modules

from f2rcli.methods import DEFAULT

ADAPTABLE = ("f2r", "udvd")  # methods whose weights can be fitted to one clip


def trainable() -> list[str]:
    """The methods that can be trained, the default first."""
    names = (module.name for module in iter_modules(__path__) if module.name != "base")
    return sorted(names, key=lambda name: (name != DEFAULT, name))
