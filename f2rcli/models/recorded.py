"""Constants that stay on a device, and work of fixed shapes as CUDA graphs.

Copying a constant for every frame would make a device wait. torch takes some ten microseconds of
the host for every kernel, and a frame has thousands, most of them shorter than that. CUDA records
what a function starts, and starts all of it again by one call (Nguyen et al., "Accelerating PyTorch
with CUDA Graphs", 2021). What is recorded reads and writes the same memory every time: inputs are
copied there, and results are copied out.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from threading import Lock, RLock, local
from typing import Any, NamedTuple, ParamSpec

import torch
from torch import Tensor

from f2rcli.models.layers import leaves, mapped

P = ParamSpec("P")


class _Thread(local):
    used: list[Tensor] | None = None  # constants since somebody began to collect them
    recording = False
    parts = False  # whether within a function that is recorded as a whole, or will be


_thread = _Thread()


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
            if _thread.used is not None:
                _thread.used.append(found)
            return found

        return inner

    return decorate


def as_constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """A few numbers as a tensor of the same type and device as another; not to be written to."""
    return _constant(values, like.dtype, like.device)


@constant(256)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)


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
        """What replays `run`, the result whose memory that fills, and a result by itself. Before it
        is recorded, it runs once in the stream that records: libraries prepare themselves there."""
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
        """Give memory back that nothing uses."""
        self._pool = self._stream = None
        torch.cuda.empty_cache()


FIRST = 2  # calls of the same shapes that run as they are: one frame has many sizes and windows
MOST = 40  # recordings that are kept, those used last
PAUSE = 256  # calls without recording after a lack of memory: some frames; each next one is double
CLOSE = 0.02  # of the largest value: a recording that is farther from what it recorded is not used
# Why something could not be recorded: torch's errors are of these kinds.
REASONS = (RuntimeError, TypeError, ValueError, AttributeError, AssertionError, SystemError)

Key = tuple[Hashable, ...]  # the name of a function first

_one_at_a_time = Lock()  # recordings, of all clips of the process


class _Recording(NamedTuple):
    replay: Callable[[], None]
    function: Callable[..., Any]  # with the networks that it runs
    inputs: list[Tensor]
    result: Any
    held: list[Tensor]  # constants that it reads


class Graphs:
    """Functions of tensors, recorded once their shapes have come a few times, and replayed from
    then on. One of these serves one stream of frames. Functions must depend on nothing but their
    tensors and name, ask for no number, and keep what they are given as it is."""

    def __init__(self, recorder: CudaRecorder | None = None) -> None:
        """Without a recorder, functions run as they are."""
        self.failures: list[str] = []  # why functions were not recorded
        self.short: Callable[[], object] = bool  # called where memory runs short
        self._recorder = recorder
        self._recordings: OrderedDict[Key, _Recording] = OrderedDict()
        self._seen: Counter[Key] = Counter()
        self._refused: set[Key] = set()
        self._lock = RLock()
        self._pause, self._wait = PAUSE, 0  # calls, of the next pause and of this one

    @classmethod
    def on(cls, device: torch.device) -> "Graphs":
        records = device.type == "cuda" and torch.version.cuda is not None
        return cls(CudaRecorder(device) if records else None)

    def __call__(self, name: Hashable, function: Callable[..., Any], *inputs: Any) -> Any:
        """The function's result for inputs, tensors or (named) tuples and lists of them. name: of
        the function, with everything besides tensors that its result depends on."""
        recorder = self._recorder
        if recorder is None or _thread.parts:
            return function(*inputs)
        with self._lock, _within(parts=True):
            if self._wait:
                self._wait -= 1
                return function(*inputs)
            parts = list(leaves(inputs))
            shapes = tuple((p.shape, p.dtype) for p in parts)
            key = name, torch.is_inference_mode_enabled(), shapes
            try:
                known = self._recordings.get(key) or self._new(recorder, key, function, inputs)
                if known is not None:
                    self._recordings.move_to_end(key)
                    return _replayed(known, parts)
            except torch.OutOfMemoryError:
                self.drop()
            try:
                return function(*inputs)
            except torch.OutOfMemoryError:
                if not self.drop():
                    raise
            return function(*inputs)

    def drop(self) -> bool:
        """Free the recordings' memory and record nothing for a while; False if there were none."""
        had = bool(self._recordings)
        self._recordings.clear()
        if self._recorder is not None:
            self._wait, self._pause = self._pause, 2 * self._pause
            self.short()
            if not recording():
                self._recorder.let_go()
        return had

    def _new(
        self, recorder: CudaRecorder, key: Key, function: Callable[..., Any], inputs: Any
    ) -> _Recording | None:
        """A recording, once the shapes have come a few times and if it can be made."""
        self._seen[key] += 1
        if self._seen[key] <= FIRST or key in self._refused:
            return None
        try:
            if not recorder.has_room():
                self._refuse(key, "no memory to spare")
                return None
            with _plain():
                given = mapped(inputs, torch.clone)
            held = list[Tensor]()
            with _one_at_a_time, _within(used=held, recording=True):
                replay, result, wanted = recorder.record(lambda: function(*given))
            made = _Recording(replay, function, list(leaves(given)), result, held)
            if not _alike(_replayed(made, list(leaves(inputs))), wanted):
                self._refuse(key, "replayed, its result was another")
                return None
        except torch.OutOfMemoryError:
            raise
        except REASONS as error:
            self._refuse(key, f"{type(error).__name__}: {error}")
            return None
        self._recordings[key] = made
        while len(self._recordings) > MOST:
            self._recordings.popitem(last=False)
        return made

    def _refuse(self, key: Key, why: str) -> None:
        self._refused.add(key)
        self.failures.append(f"{key[0]}: {why}")


def _replayed(known: _Recording, parts: Sequence[Tensor]) -> Any:
    """A copy of the result for other inputs."""
    with _plain():
        for place, part in zip(known.inputs, parts, strict=True):
            place.copy_(part)
        known.replay()
        return mapped(known.result, torch.clone)


def _alike(one: Any, other: Any) -> bool:
    """Whether two results are the same but for rounding."""
    with _plain():
        for a, b in zip(leaves(one), leaves(other), strict=True):
            a, b = a.float().nan_to_num(), b.float().nan_to_num()
            if a.numel() and bool((a - b).abs().max() > CLOSE * b.abs().max() + 1e-6):
                return False
    return True


@contextmanager
def _plain() -> Iterator[None]:
    """Where memory that is written to again and again can be made and filled."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def recording() -> bool:
    """Whether this thread records: the device answers nothing, and lack of memory is final."""
    return _thread.recording


@contextmanager
def _within(**state: Any) -> Iterator[None]:
    """Where the thread is in such a state."""
    before = {name: getattr(_thread, name) for name in state}
    vars(_thread).update(state)
    try:
        yield
    finally:
        vars(_thread).update(before)
