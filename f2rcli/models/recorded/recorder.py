"""Recording of work on a device."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import torch

from f2rcli.models.layers import leaves


class Recorder(Protocol):
    """Recording of work on a device."""

    def has_room(self) -> bool:
        """Whether the device has memory for a recording."""

    def record(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any, Any]:
        """What replays `run`, the result whose memory that fills, and a result by itself."""

    def let_go(self) -> None:
        """Give memory back that nothing uses."""


def records(device: torch.device) -> bool:
    """Whether work on this device can be recorded."""
    return device.type == "cuda" and torch.version.cuda is not None


class CudaRecorder:
    """CUDA graphs that share their memory: they run one after the other, in one stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None
        self._stream: Any = None

    def has_room(self) -> bool:
        """Whether as much is free as was needed at most so far."""
        cuda, device = torch.cuda, self._device
        unused = cuda.memory_reserved(device) - cuda.memory_allocated(device)
        return cuda.mem_get_info(device)[0] + unused > cuda.max_memory_allocated(device)

    def record(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any, Any]:
        """See Recorder. Before it is recorded, it runs once in the stream that records: libraries
        prepare themselves there."""
        cuda, whole = torch.cuda, False
        with cuda.device(self._device):
            before = cuda.current_stream()
            if self._pool is None:
                self._pool, self._stream = cuda.graph_pool_handle(), cuda.Stream()  # type: ignore[no-untyped-call]  # torch's stub
            try:
                self._stream.wait_stream(before)
                with cuda.stream(self._stream):
                    wanted = run()
                before.wait_stream(self._stream)
                for one in leaves(wanted):
                    one.record_stream(before)
                graph = cuda.CUDAGraph()
                with cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                    result = run()
                whole = True
                return graph.replay, result, wanted
            finally:
                cuda.set_stream(before)  # torch leaves the other in place where recording fails,
                if not whole:
                    self._forget_pool()

    def _forget_pool(self) -> None:
        """And may go on taking this thread's memory from the pool."""
        with suppress(RuntimeError, AttributeError, TypeError):
            torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self._pool)
        self._pool = self._stream = None

    def let_go(self) -> None:
        """See Recorder."""
        self._pool = self._stream = None
        torch.cuda.empty_cache()
