"""Numbers that stay on a device: copying them anew for every frame would make it wait."""

from functools import lru_cache

import torch
from torch import Tensor


def kept(values: tuple[float, ...], like: Tensor) -> Tensor:
    """A few numbers as a tensor of the same type and device as another; not to be written to."""
    return _kept(values, like.dtype, like.device, torch.is_inference_mode_enabled())


@lru_cache(maxsize=256)
def _kept(
    values: tuple[float, ...], dtype: torch.dtype, device: torch.device, _inference: bool
) -> Tensor:
    """Tensors made for inference serve nothing else, hence the last part of the key."""
    return torch.tensor(values, dtype=dtype, device=device)
