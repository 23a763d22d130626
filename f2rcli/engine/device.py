"""The device and the precision that networks run in."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import cv2
import torch

from f2rcli.errors import DeviceError
from f2rcli.models.large.codes import LARGE
from f2rcli.system.machine import asked_threads, memory, processors
from f2rcli.units import count

# glibc's mallopt: arrays of every size, of all threads, come from one heap, which gives nothing
# back while the process runs.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
NEVER = -1
KEPT = {M_MMAP_MAX: 0, M_ARENA_MAX: 1, M_TRIM_THRESHOLD: NEVER, M_TOP_PAD: 2**24}
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
    return "bf16" if on_cpu and _bf16_serves(pixels) else "fp32"


def _bf16_serves(pixels: int) -> bool:
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


def use_threads(count: int | None) -> int:
    """Set how many threads networks, flow and filters may use; by default all cores there are."""
    chosen = count or asked_threads() or processors()
    torch.set_num_threads(chosen)
    cv2.setNumThreads(chosen)
    return chosen


def keep_memory() -> bool:
    """Let the C library keep the memory of freed arrays for the next ones; False where it cannot.

    Left alone, glibc maps every array of a few hundred kilobytes anew, and the system clears each
    page of it: a sixth of all time at 1920x1080. Does nothing with other C libraries.
    """
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  # raises where the library is another
        return all(library.mallopt(which, size) for which, size in KEPT.items())
    except (AttributeError, OSError, TypeError):
        return False


def give_memory_back() -> None:
    """Return memory that `keep_memory` kept and nothing uses to the system."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def memory_of(device: torch.device) -> int:
    """Bytes of memory a device has in all; of a GPU, those that are free now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return memory()
