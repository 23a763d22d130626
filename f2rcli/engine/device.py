"""The device and the precision that networks run in."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import ClassVar

import cv2
import torch

from f2rcli.errors import DeviceError
from f2rcli.system import asked_threads, memory, processors
from f2rcli.units import count

LARGE = 1_000_000  # pixels: memory of smaller frames is no burden
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(wish: str) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps` -> a device that works here, or DeviceError."""
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = wish.partition(":")
    there = torch.cuda.device_count() if kind == "cuda" else 0
    if kind == "cuda" and int(number or 0) >= there:
        raise DeviceError(
            f"device={wish!r}: this machine offers {count(there, 'CUDA device')}.",
            hint="Pass device='auto', or install a CUDA build of torch.",
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device='mps': not available here.", hint="Pass device='auto'.")
    return torch.device(wish)


def choose_precision(wish: str, device: torch.device, pixels: int = 0) -> str:
    """`auto` -> the fastest precision without visible loss for a picture of so many pixels; others
    are checked: DeviceError."""
    on_cpu = device.type == "cpu"
    if wish == "fp16" and on_cpu:
        raise DeviceError("precision='fp16': slower than fp32 on CPUs.", hint="Pass bf16 or fp32.")
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if on_cpu and bf16_serves(pixels) else "fp32"


def bf16_serves(pixels: int) -> bool:
    """Does this processor multiply bf16 faster than float32, or is a picture so large that half
    the memory is worth a tenth more time?

    Matrix units do. The vectors of Intel's processors since Sapphire Rapids, which have avx512_fp16
    too, are half as fast as in float32 (43 against 77 GMAC/s): they count where a virtual machine
    hides the units. Other vectors were not measured and are taken at their word; emulation is
    slower.
    """
    if getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        return True
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    vectors = bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    return vectors and (pixels >= LARGE or not known.get("avx512_fp16"))


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Convolutions in `precision`, everything else in float32."""
    kind = DTYPES[precision]
    with nullcontext() if kind is torch.float32 else torch.autocast(device.type, kind):
        yield


def threads_for(count: int | None) -> int:
    """How many threads networks, flow and filters may use; by default as many as cores."""
    return count or asked_threads() or processors()


def use_threads(count: int) -> None:
    """Let this thread's torch, and OpenCV in all of them, work on so many threads from now on."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


class _Lent:
    """The numbers of threads that callers had, while streams have theirs."""

    lock = Lock()
    users = 0  # streams that work at this moment, in any thread
    before = 1, 1  # torch's and OpenCV's, when the first of them began
    counts: ClassVar[set[int]] = set()  # that these were given


@contextmanager
def lent_threads(count: int) -> Iterator[None]:
    """So many threads for torch and OpenCV, and the caller's own number afterwards. torch counts
    threads for each calling thread, OpenCV for the process: it gets its number back once the last
    of several streams rests."""
    with _Lent.lock:
        own = torch.get_num_threads()
        if not _Lent.users:
            _Lent.before, _Lent.counts = (own, cv2.getNumThreads()), set()
        elif own in _Lent.counts:  # a thread that has begun meanwhile
            own = _Lent.before[0]
        _Lent.users += 1
        _Lent.counts.add(count)
        use_threads(count)
    try:
        yield
    finally:
        with _Lent.lock:
            _rest(own)


@contextmanager
def threads_given_back(own: int, count: int) -> Iterator[None]:
    """Within `lent_threads`, the caller's numbers for a while; own: torch's; count: of threads
    that are lent again afterwards."""
    with _Lent.lock:
        _rest(own)
    try:
        yield
    finally:
        with _Lent.lock:
            _Lent.users += 1
            _Lent.counts.add(count)
            use_threads(count)


def _rest(own: int) -> None:
    _Lent.users -= 1
    torch.set_num_threads(own)
    if not _Lent.users:
        cv2.setNumThreads(_Lent.before[1])


def memory_of(device: torch.device) -> int:
    """Bytes of memory a device has in all; of a GPU, those that are free now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return memory()
