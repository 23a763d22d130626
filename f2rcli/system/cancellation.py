"""Cancellation: long work calls a check now and then, which raises to end it."""

from collections.abc import Callable

CancelCheck = Callable[[], None]


def never_cancelled() -> None:
    """The check of work that nobody can cancel."""
