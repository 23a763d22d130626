"""Kernels: compiled by numba, and kept on disk in a file for each variant, without an index.

numba numbers these files by an index. Two processes that compile different variants at once write
over each other's index, and one's file is then loaded as the other's; a process killed between
index and file leaves an old file under a new number. Here a file's name is a hash of all that it
depends on, and its last bytes are a hash of all that it holds.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

DIGEST = 32  # bytes


def compiled(function: Callable[..., Any]) -> Any:
    """A kernel: compiled at its first call. Other threads go on meanwhile, division by zero is
    IEEE's, and only products may join sums. Raises RuntimeError where no kernel can be kept."""
    kernel = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})(function)
    kernel._cache = _Kept(function)
    return kernel


class _Kept(FunctionCache):
    """The variants of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            super().__init__(function)
        except RuntimeError as error:
            # Compiling anew at every start would take longer than it saves.
            missing = "no folder for what it compiles; NUMBA_CACHE_DIR names one"
            raise RuntimeError(missing) from error
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, _stamp())

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a variant. It runs all the same where the disk is full, or locked by now."""
        with suppress(OSError):
            super().save_overload(sig, data)


class _Files(IndexDataCacheFile):
    def save(self, key: Any, data: Any) -> None:
        payload = self._dump(data)
        with self._open_for_write(self._data_path(self._name(key))) as file:  # renamed when whole
            file.write(payload + sha256(payload).digest())

    def load(self, key: Any) -> Any:
        name = self._name(key)
        with suppress(OSError):
            found = Path(self._data_path(name)).read_bytes()
            if found[-DIGEST:] == sha256(found[:-DIGEST]).digest():
                return self._load_data(name)
        return None

    def _name(self, key: Any) -> str:
        """key: the arguments' types, the processor, and the function's own code."""
        depends = sha256(repr((self._source_stamp, key)).encode()).hexdigest()
        return f"{self._index_name.removesuffix('.nbi')}.{depends[:DIGEST]}.nbc"


@cache
def _stamp() -> tuple[str, str]:
    """What is new where any module of this folder is, for a kernel holds what it calls."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return numba.__version__, sha256(b"".join(m.read_bytes() for m in modules)).hexdigest()
