"""Planes to a device and back: one copy each way per frame, beside the work where CUDA allows it.

CUDA copies between pinned memory and the device while kernels run, on a stream of its own. Two
buffers each way take turns: one is filled or read while the other travels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli.frames import Plane

BUFFERS = 2
AS_BYTES = {np.dtype(np.uint8): torch.uint8, np.dtype(np.uint16): torch.int16,
            np.dtype(np.float32): torch.float32}  # fmt: skip


def travels(planes: Sequence[Plane]) -> bool:
    """Whether these planes can go over in one piece."""
    kinds = {plane.dtype for plane in planes}
    return len(kinds) == 1 and kinds <= AS_BYTES.keys()


def overlaps(device: torch.device) -> bool:
    """Whether a device copies from and to pinned memory beside its work."""
    return device.type == "cuda"


class _Buffer(NamedTuple):
    host: Tensor  # pinned, 1-D
    done: "torch.cuda.Event"  # the last copy from it, or into it


class Transfers:
    """Copies between the processor and one device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if overlaps(device) else None  # type: ignore[no-untyped-call]  # torch's stub
        self._rings: dict[tuple[bool, torch.dtype, int], list[_Buffer]] = {}

    def up(self, planes: Sequence[Plane]) -> Tensor:
        """Upload all samples of some planes, concatenated, as a tensor on the device."""
        size, kind = sum(plane.size for plane in planes), AS_BYTES[planes[0].dtype]
        if self._stream is None:
            return _filled(torch.empty(size, dtype=kind), planes).to(self.device)
        buffer = self._buffer(kind, size, up=True)
        buffer.done.synchronize()  # what it held is over there
        _filled(buffer.host, planes)
        with torch.cuda.stream(self._stream):
            there = buffer.host.to(self.device, non_blocking=True)
            buffer.done.record(self._stream)
        torch.cuda.current_stream(self.device).wait_event(buffer.done)
        there.record_stream(torch.cuda.current_stream(self.device))
        return there

    def down(self, samples: Tensor) -> Tensor:
        """A tensor on the processor, its own memory; waits for what makes it."""
        if self._stream is None:
            return samples.cpu()
        buffer = self._buffer(samples.dtype, samples.numel(), up=False)
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            buffer.host.copy_(samples, non_blocking=True)
            buffer.done.record(self._stream)
        samples.record_stream(self._stream)
        buffer.done.synchronize()
        return torch.from_numpy(buffer.host.numpy().copy())  # in this thread, see `_filled`

    def _buffer(self, dtype: torch.dtype, size: int, *, up: bool) -> _Buffer:
        ring = self._rings.setdefault((up, dtype, size), [])
        if len(ring) < BUFFERS:
            host = torch.empty(size, dtype=dtype, pin_memory=True)
            ring.append(_Buffer(host, torch.cuda.Event()))  # type: ignore[no-untyped-call]  # torch's stub
            return ring[-1]
        ring.append(ring.pop(0))
        return ring[-1]


def _filled(samples: Tensor, planes: Sequence[Plane]) -> Tensor:
    """A tensor (N,) with all samples of some planes, one after the other.

    NumPy copies them once, whatever their order in memory and whether or not they may be written
    to, and in this thread: torch would wake all others for a few megabytes.
    """
    values = samples.numpy().view(planes[0].dtype)
    ends = np.cumsum([plane.size for plane in planes])
    for plane, end in zip(planes, ends, strict=True):
        values[end - plane.size : end].reshape(plane.shape)[...] = plane
    return samples
