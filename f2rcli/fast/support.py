"""Whether fused loops run here, and if not, why."""

from functools import cache
from importlib import metadata
from typing import NamedTuple

import torch
from torch import Tensor

OLDEST = "0.68"  # of numba
SMALLEST = 256**2  # pixels of a picture: for smaller ones, loading takes longer than is saved
# What an installation that does not fit raises: compilers fail in many ways.
BROKEN = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError,
    RuntimeError, SystemError, TypeError, ValueError,
)  # fmt: skip
PRECISIONS = (torch.bfloat16, torch.float32)


class Found(NamedTuple):
    """The numba found here."""

    version: str | None  # None: it is not installed
    trouble: str | None = None  # None: kernels run


def found(codes: bool = False) -> Found:
    """Loads numba, and runs every kernel once, on codes or float32, in the precision of the
    caller's autocast: what can fail fails here, where the reference can still take over."""
    return _found(codes)


@cache
def _found(codes: bool) -> Found:
    try:
        version = metadata.version("numba")
    except metadata.PackageNotFoundError:
        return Found(None)
    if _numbers(version) < _numbers(OLDEST):
        return Found(version, f"{OLDEST} is the oldest that works")
    try:
        from f2rcli.fast.check import check

        check(codes)
    except BROKEN as error:
        words = str(error).strip() or type(error).__name__
        return Found(version, words.splitlines()[0])
    return Found(version)


def note() -> str | None:
    """The note of a run where kernels are installed but cannot be used."""
    version, trouble = found()
    if trouble is None:
        return None
    return f"fused loops are left out: numba {version} cannot be used ({trouble})"


def serve(picture: Tensor) -> bool:
    """Whether kernels run: on a processor with numba, of float32 or codes, without gradient."""
    if picture.requires_grad or picture.device.type != "cpu" or type(picture) is not Tensor:
        return False
    if picture.dtype not in (torch.float32, torch.uint16) or picture.stride(-1) != 1:
        return False
    large = picture.shape[-2] * picture.shape[-1] >= SMALLEST
    return large and works(codes=picture.dtype is torch.uint16)


def works(codes: bool = False) -> bool:
    """Whether kernels run here, on codes or float32."""
    version, trouble = found(codes)
    return version is not None and trouble is None


def precision() -> torch.dtype:
    """The precision that convolutions will run in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
