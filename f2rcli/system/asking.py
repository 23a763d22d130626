"""Long work asks now and then whether it is still wanted."""

from collections.abc import Callable

Ask = Callable[[], None]  # raises to end the work


def nobody_asks() -> None:
    """For work that is always wanted."""
