"""f2r: two-stage video denoising, pre-trained, and trained further on noisy footage alone.

`denoise` and `Denoiser` are the Python interface (docs/api.md); `import f2rcli` loads neither
torch nor anything else that takes time.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from f2rcli.api import Denoiser, LaneNoise, Report, denoise

__version__ = "0.1.0"
__all__ = ["Denoiser", "LaneNoise", "Report", "__version__", "denoise"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from f2rcli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
