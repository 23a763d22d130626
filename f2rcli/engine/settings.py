"""The engine's settings for users; without torch, so that a typing mistake costs no wait."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from f2rcli import __version__, methods, weights
from f2rcli.errors import UsageError
from f2rcli.frames import ClipInfo, Family, Matrix, PlaneLayout
from f2rcli.settings import Setting, check, setting
from f2rcli.system import MOST_THREADS
from f2rcli.yuv import LUMA_WEIGHTS

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DEVICES = ("auto", "cpu", "cuda", "cuda:1", "mps")  # cuda:0, cuda:2 ... as well
LITE, FULL = "lite", "full"  # of `model`: by default on processors, and on GPUs
SMALLEST_TILE = 64  # pixels per side


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The engine's settings. Raises UsageError for values that cannot be."""

    # 1 removes the measured noise, less keeps grain, 0 changes nothing; above 1, up to 4, f2r
    # assumes noise that many times stronger.
    strength: float = setting(1.0, low=0, high=4)
    # The same for chroma alone (default: as strength).
    chroma_strength: float | None = setting(None, low=0, high=4)
    # Standard deviation of the noise in 8-bit units (default: measured).
    sigma: float | None = setting(None, low=0, high=255, unit="8-bit units")
    # Denoising method.
    method: str = setting(methods.DEFAULT, choices=methods.available)
    # Size of the bundled networks: lite, which is faster, or full.
    model: str | None = setting(None, choices=(LITE, FULL))
    # Trained weights (default: the bundled ones that suit the clip).
    weights: str | None = setting(
        None,
        choices=weights.available,
        pattern=r"(?s).*[./\\].*",
        others="the path of a .safetensors file",
    )
    # Device to run on.
    device: str = setting("auto", choices=DEVICES, pattern=r"cuda:\d+")
    # CPU threads (default: all).
    threads: int | None = setting(None, low=1, high=MOST_THREADS)
    # Precision of the networks.
    precision: str = setting("auto", choices=PRECISIONS)
    # Process frames in tiles of N pixels; auto does so for stacks, and for frames that do not fit
    # in memory.
    tile: str = setting("auto", choices=("auto", "off"), pattern=r"\d+", others="pixels per side")

    def __post_init__(self) -> None:
        check(self)
        if self.model is not None and self.weights is not None:
            raise UsageError("model= and weights=: choose one of them.", hint="Leave one out.")
        if self.tile.isdigit():
            Setting(low=SMALLEST_TILE, unit="pixels per side").check("tile", int(self.tile))

    def size(self, space: Family, *, processor: bool) -> str:
        """The size of bundled networks for such pictures on a processor, or on a GPU: small ones
        for mosaics lose twice as much as others."""
        return self.model or (LITE if processor and space is not Family.BAYER else FULL)

    def units(self, span: float) -> float:
        """The number of units of sigma from black to white. span: that of the clip's codes."""
        return 255.0


def luma_and_chroma(settings: EngineSettings) -> tuple[float, float]:
    """The strengths of luma and of chroma, from 0 to 4."""
    luma, chroma = settings.strength, settings.chroma_strength
    return luma, luma if chroma is None else chroma


def changes_nothing(settings: EngineSettings) -> bool:
    """Is every sample to be given back as it is, whatever the picture?"""
    return luma_and_chroma(settings) == (0, 0)


def check_strengths(settings: EngineSettings, info: ClipInfo) -> None:
    """Raise UsageError where a strength of chroma is asked for of pictures that have none."""
    if settings.chroma_strength is None or info.layout.family in (Family.YUV, Family.RGB):
        return
    mosaic = info.layout.family is Family.BAYER
    what = "raw sensor values, whose colours are not separate yet" if mosaic else "gray pictures"
    raise UsageError(
        f"chroma_strength={settings.chroma_strength:g}: {info.name} holds {what}.",
        hint="Leave it out; strength= is all there is for them.",
    )


def allowance(settings: EngineSettings, layout: PlaneLayout) -> tuple[float, ...]:
    """The multiple of its measured standard deviation that each colour plane's noise is taken to
    have, 1 or more. Red, green and blue hold luma and chroma: theirs is the larger of both."""
    luma, chroma = (max(1.0, strength) for strength in luma_and_chroma(settings))
    if layout.family is Family.YUV:
        return luma, chroma, chroma
    if layout.family is Family.RGB:
        return (max(luma, chroma),) * 3
    return (luma,)


def scaled(changes: Sequence[Any], layout: PlaneLayout, settings: EngineSettings) -> list[Any]:
    """The share of the changes of a picture's colour planes that is asked for.

    changes: (H, W) each, in units of each plane (`yuv.parted`), arrays or tensors; of a
    mosaic, those of its four colours. RGB: luma and chroma are those of the BT.709 Y'CbCr of the
    change. Strengths of 1 or more give back `changes` themselves.
    """
    luma, chroma = (min(1.0, strength) for strength in luma_and_chroma(settings))
    if layout.family is Family.YUV:
        shares = [luma] + [chroma] * (len(changes) - 1)
    elif layout.family is Family.RGB and luma != chroma:
        return _mixed(changes, luma, chroma)
    else:
        shares = [luma] * len(changes)
    return [
        change if share == 1 else change * share
        for change, share in zip(changes, shares, strict=True)
    ]


def _mixed(changes: Sequence[Any], luma: float, chroma: float) -> list[Any]:
    """R'G'B' changes with shares of their luma and of what differs from it: their chroma."""
    red, blue = LUMA_WEIGHTS[Matrix.BT709]
    weights = (red, 1 - red - blue, blue)
    light = sum(w * change for w, change in zip(weights, changes, strict=True))
    return [chroma * change + (luma - chroma) * light for change in changes]


Facts = Callable[[], dict[str, Any]]


def provenance_of(settings: dict[str, Any], own: Facts = dict) -> Facts:
    """A clip's provenance, final once its noise is known. own: `Engine.provenance`; without it that
    of a copy."""
    return lambda: {"f2r": __version__, "settings": settings, **own()}
