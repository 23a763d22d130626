"""Constants cached on a device: copying them for every frame would make it wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from threading import local
from typing import Any, ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")

_thread = local()


def constant(most: int) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Decorates a function that makes a tensor of a few hashable arguments: the last `most` of its
    results are kept, and are not to be written to. Tensors made for inference serve nothing else,
    so they are kept apart."""

    def decorate(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
        @lru_cache(maxsize=most)
        def known(_inference: bool, *args: Any) -> Tensor:
            return make(*args)  # type: ignore[call-arg]  # positions only

        @wraps(make)
        def inner(*args: P.args, **kwargs: P.kwargs) -> Tensor:
            found = known(torch.is_inference_mode_enabled(), *args)
            if (used := getattr(_thread, "used", None)) is not None:
                used.append(found)
            return found

        return inner

    return decorate


@contextmanager
def holding() -> Iterator[list[Tensor]]:
    """Collect every constant that this thread uses, for callers that must keep them longer."""
    before, _thread.used = getattr(_thread, "used", None), []
    try:
        yield _thread.used
    finally:
        _thread.used = before


def kept(values: tuple[float, ...], like: Tensor) -> Tensor:
    """A few numbers as a tensor of the same type and device as another; not to be written to."""
    return _kept(values, like.dtype, like.device)


@constant(256)
def _kept(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)
