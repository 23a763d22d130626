"""Tensors that pretend to be on a GPU: their data stays here, their `device` says cuda or mps.

Mixing them with tensors that do not pretend raises as CUDA would, and so does `.numpy()`. Every
copy between the two is counted with its number of elements. Work that CUDA itself does (autocast,
streams, pinned memory) is not covered. `Launches` counts what a GPU would have been told to do.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from f2rcli.engine import planes_store
from f2rcli.engine.device import Runner
from f2rcli.models.recorded import Graphs

MOVING = ("to", "cpu", "cuda")
ASKING = ("item", "tolist", "__float__", "__bool__", "__int__", "__index__")


class There(Tensor):
    """A tensor that pretends."""


HELD = There, torch.nn.Parameter  # the latter wherever its network is


class Move(NamedTuple):
    """A copy between the processor and the device."""

    way: str  # "up", "down", or "asked" where a number was wanted
    elements: int
    dtype: torch.dtype


@dataclass
class PretendGpu(TorchFunctionMode):
    """Within it `device='cuda'`, or what `kind` says, works, and `moves` lists what went back and
    forth. As Apple's, a device of kind mps knows no float64."""

    kind: str = "cuda"
    moves: list[Move] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", str(func))
        there = There in types
        if not there and name not in MOVING and kwargs.get("device") is None:  # most calls by far
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            if name == "__get__":
                return self._attribute(func, args, kwargs)
            if name in MOVING:
                return self._moved(func, name, args, kwargs)
            if name in ("numpy", "__array__"):
                raise TypeError("can't convert cuda:0 device type tensor to numpy")
            if name in ASKING:
                self._count("asked", args[0])
                return func(_plain(args[0]), *args[1:], **kwargs)
            if name.startswith("new_") and there:
                if name == "new_tensor":
                    self.moves.append(Move("up", 1, args[0].dtype))
                return _tagged(func(*args, **kwargs))
            if self._means(kwargs.get("device")):
                kwargs = {key: value for key, value in kwargs.items() if key != "device"}
                made = self._held(func(*args, **kwargs))
                if name in ("tensor", "as_tensor"):
                    self._count("up", made)
                return _tagged(made)
            if there and not name.startswith("_"):
                self._check(name, (*args, *kwargs.values()))
            made = func(*args, **kwargs)
            return _tagged(self._held(made)) if there else made

    def _means(self, device: Any) -> bool:
        return device is not None and torch.device(device).type == self.kind

    def _held(self, made: Any) -> Any:
        """What the device can hold. Raises TypeError, as MPS does."""
        for one in _leaves(made) if self.kind == "mps" else ():
            if one.dtype is torch.float64:
                raise TypeError("the MPS framework doesn't support float64")
        return made

    def _attribute(self, func: Any, args: Any, kwargs: Any) -> Any:
        which = getattr(getattr(func, "__self__", None), "__name__", "")
        if which in ("device", "is_cuda"):
            return torch.device(self.kind) if which == "device" else self.kind == "cuda"
        return _tagged(func(*args, **kwargs))

    def _moved(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        source, *rest = args
        there = isinstance(source, There)
        target = {"cpu": "cpu", "cuda": "cuda"}.get(name, kwargs.get("device"))
        kind = kwargs.get("dtype")
        for one in rest:
            if isinstance(one, torch.device | str):
                target = one
            elif isinstance(one, torch.dtype):
                kind = one
            elif isinstance(one, Tensor):
                target, kind = (self.kind if isinstance(one, There) else "cpu"), one.dtype
        order = kwargs.get("memory_format") or torch.preserve_format
        made = _plain(source).to(kind or source.dtype, memory_format=order)
        goes = there if target is None else self._means(target)
        if goes != there:
            self._count("up" if goes else "down", made)
        return self._held(made).as_subclass(There) if goes else made

    def _check(self, name: str, given: Iterable[Any]) -> None:
        for one in given:
            if isinstance(one, Tensor):
                if not isinstance(one, HELD) and one.dim() > 0:
                    raise RuntimeError(
                        f"{name}: expected all tensors on one device, found {tuple(one.shape)} here"
                    )
            elif isinstance(one, list | tuple):
                self._check(name, one)

    def _count(self, way: str, tensor: Tensor) -> None:
        self.moves.append(Move(way, tensor.numel(), tensor.dtype))


def _plain(tensor: Tensor) -> Tensor:
    return tensor.as_subclass(Tensor)


def _tagged(made: Any) -> Any:
    if isinstance(made, Tensor):
        return made.as_subclass(There)
    if isinstance(made, tuple) and hasattr(made, "_fields"):
        return type(made)(*map(_tagged, made))
    return type(made)(map(_tagged, made)) if isinstance(made, list | tuple) else made


def _leaves(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, list | tuple):
        for branch in tree:
            yield from _leaves(branch)
    elif isinstance(tree, dict):
        yield from _leaves(list(tree.values()))


@contextmanager
def pretending() -> Iterator[PretendGpu]:
    """A machine with a GPU of CUDA that pretends, on which nothing is recorded."""
    cuda = {
        "is_available": lambda: True, "device_count": lambda: 1,
        "mem_get_info": lambda device: (1 << 36, 1 << 37),
    }  # fmt: skip
    with ExitStack() as stack:
        for name, value in cuda.items():
            stack.enter_context(mock.patch(f"torch.cuda.{name}", value))
        stack.enter_context(mock.patch.object(planes_store, "overlaps", return_value=False))
        stack.enter_context(mock.patch.object(Graphs, "on", side_effect=lambda _: Graphs()))
        yield stack.enter_context(PretendGpu())


NO_LAUNCH = {"empty", "empty_like", "new_empty", "empty_strided", "_local_scalar_dense"}


class Launches(TorchDispatchMode):
    """Kernels, and the bytes that they read and write, of networks those of bf16; what makes a view
    is none."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.bytes, self._share = 0, 0.0, 1.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given, results = list(_leaves(args)), list(_leaves(made))
        known = {one.untyped_storage().data_ptr() for one in given}
        view = all(one.untyped_storage().data_ptr() in known for one in results)
        if func.overloadpacket.__name__ not in NO_LAUNCH and (func._schema.is_mutable or not view):
            self.kernels += 1
            moved = sum(one.numel() * one.element_size() for one in (*given, *results))
            self.bytes += self._share * moved
        return made

    @classmethod
    def of(cls, stream: Iterator[Any]) -> "Launches":
        """Those of a stream's fifth frame: windows are full by then."""
        for _ in range(4):
            next(stream)
        found = cls()
        with found.counting():
            next(stream)
        return found

    @contextmanager
    def counting(self) -> Iterator[None]:
        """While this lasts, work is counted."""
        run = Runner._run

        def in_half(*arguments: Any) -> Any:
            self._share = 0.5
            try:
                return run(*arguments)
            finally:
                self._share = 1.0

        with mock.patch.object(Runner, "_run", in_half), self:
            yield
