"""f2r: two-stage video denoising, pre-trained, and trained further on noisy footage alone.

`denoise`, `Denoiser` and `judge` are the Python interface (docs/python.md); `import f2rcli` loads
neither torch nor anything else that takes time.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from f2rcli.api import Denoiser, LaneNoise, Report, denoise
    from f2rcli.evaluation.judge import Score, judge

__version__ = "0.1.0"
__all__ = ["Denoiser", "LaneNoise", "Report", "Score", "__version__", "denoise", "judge"]


def __getattr__(name: str) -> Any:
    if name in ("Score", "judge"):
        from f2rcli.system import load_torch

        load_torch()
        from f2rcli.evaluation import judge as judging

        return getattr(judging, name)
    if name in __all__:
        from f2rcli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
