"""The engine's settings for users; without torch, so that a typing mistake costs no wait."""

from dataclasses import dataclass

from f2rcli import methods, weights
from f2rcli.errors import UsageError
from f2rcli.settings import check, check_range, setting
from f2rcli.system import MOST_THREADS

ENSEMBLE = ("off", "on")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DEVICES = ("auto", "cpu", "cuda", "cuda:1", "mps")  # cuda:0, cuda:2 ... as well
LITE, FULL = "lite", "full"  # of `model`
SMALLEST_TILE = 64  # pixels per side


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The engine's settings. Raises UsageError for values that cannot be."""

    # 1 removes the measured noise, less keeps grain, 0 changes nothing; above 1, up to 4, f2r
    # assumes noise that many times stronger.
    strength: float = setting(1.0, low=0, high=4)
    # The same for luma alone (default: as strength).
    luma_strength: float | None = setting(None, low=0, high=4)
    # The same for chroma alone (default: as strength).
    chroma_strength: float | None = setting(None, low=0, high=4)
    # Standard deviation of the noise in 8-bit units (default: measured).
    sigma: float | None = setting(None, low=0, high=255, unit="8-bit units")
    # Denoising method.
    method: str = setting(methods.DEFAULT, choices=methods.available)
    # Size of the bundled networks: lite, which is faster, or full.
    model: str | None = setting(None, choices=weights.sizes)
    # Trained weights (default: the bundled ones that suit the clip).
    weights: str | None = setting(
        None,
        choices=weights.available,
        pattern=r"(?s).*[./\\].*",
        others="the path of a .safetensors file",
    )
    # Average the networks over each frame and its mirror images: two to three times as long, for
    # 0.1 to 0.3 dB where the noise is below 4 of 255.
    ensemble: str = setting("off", choices=ENSEMBLE)
    # Device to run on.
    device: str = setting("auto", choices=DEVICES, pattern=r"cuda:\d+")
    # CPU threads (default: all).
    threads: int | None = setting(None, low=1, high=MOST_THREADS)
    # Precision of the networks.
    precision: str = setting("auto", choices=PRECISIONS)
    # Process frames in tiles of N pixels; auto does so for stacks, and for frames that do not fit
    # in memory.
    tile: str = setting("auto", choices=("auto", "off"), pattern=r"\d+", others="pixels per side")
    contract: bool = True  # hold what is removed to the measured noise; False: for comparisons

    def __post_init__(self) -> None:
        check(self)
        if self.model is not None and self.weights is not None:
            raise UsageError("model= and weights=: choose one of them.", hint="Leave one out.")
        if self.tile.isdigit():
            check_range("tile", int(self.tile), SMALLEST_TILE, None, "pixels per side")

    def units(self, span: float) -> float:
        """The number of units of sigma from black to white. span: that of the clip's codes."""
        return 255.0
