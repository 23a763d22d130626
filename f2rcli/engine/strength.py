"""The share of the noise that is removed from each plane.

Below 1 a strength keeps that share of what would be taken out of a plane. Above 1 nothing is
scaled up, which would put the noise back in negative: the noise is taken to be that much stronger.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError
from f2rcli.frames import ClipInfo, Family, Matrix, PlaneLayout
from f2rcli.yuv import LUMA_WEIGHTS

C = TypeVar("C", bound=Any)  # a change of a plane, in its own units: an array or a tensor


def luma_and_chroma(settings: EngineSettings) -> tuple[float, float]:
    """The strengths of luma and of chroma, from 0 to 4."""
    whole, luma, chroma = settings.strength, settings.luma_strength, settings.chroma_strength
    return whole if luma is None else luma, whole if chroma is None else chroma


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


def scaled(changes: Sequence[C], layout: PlaneLayout, settings: EngineSettings) -> list[C]:
    """The share of the changes of a picture's colour planes that is asked for.

    changes: (H, W) each, in units of each plane (`yuv.plane_changes`), arrays or tensors; of a
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
