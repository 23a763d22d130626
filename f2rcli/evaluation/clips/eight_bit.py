"""Frames as the 8-bit planes that third-party denoisers take, and back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

import numpy as np
import torch

from f2rcli.errors import InputError
from f2rcli.evaluation.clips.reading import SUBSAMPLED
from f2rcli.frames import ClipInfo, Codes, Family, Frame, PlaneLayout
from f2rcli.noise.codec import to_codes
from f2rcli.noise.measurement.detail import single_frame_sigma
from f2rcli.yuv import code_span, to_rgb


@dataclass(frozen=True, slots=True)
class EightBitPlanes:
    """A picture's planes, in FFmpeg's order for `pix_fmt`."""

    planes: tuple[Codes, ...]
    pix_fmt: str  # yuv4xxp, gray or gbrp


def refuse_mosaic(info: ClipInfo, who: str) -> None:
    """Raise InputError for mosaics, which third-party denoisers cannot take."""
    if info.layout.family is Family.BAYER:
        raise InputError(
            f"{info.name}: {who} cannot denoise mosaics.", hint="Leave it out of baselines=."
        )


def to_eight_bit(frame: Frame) -> EightBitPlanes:
    """The frame's own planes if 8-bit Y'CbCr or gray, else 8-bit RGB or gray, rounded, clipped."""
    layout = frame.layout
    if _own(layout):
        planes = tuple(
            np.ascontiguousarray(plane) for plane in frame.planes[: layout.colour_planes]
        )
        name = "gray" if len(planes) == 1 else SUBSAMPLED[layout.log2_chroma]
        return EightBitPlanes(planes, name)
    codes = to_codes(to_rgb(frame))
    if len(codes) == 1:
        return EightBitPlanes((codes[0],), "gray")
    red, green, blue = codes
    return EightBitPlanes((green, blue, red), "gbrp")


def from_eight_bit(plain: EightBitPlanes, like: Frame) -> Frame:
    """The frame with these planes: in its own layout if `to_eight_bit` kept it, else in floats."""
    if _own(like.layout):
        return replace(like, planes=plain.planes + like.planes[like.layout.colour_planes :])
    order = (0,) if plain.pix_fmt == "gray" else (2, 0, 1)
    return float_frame([plain.planes[i] for i in order], like)


def float_frame(planes: Sequence[Codes], like: Frame) -> Frame:
    """A frame of gray or RGB planes of 8 bits, in floats: 0..1, or the codes of a stack."""
    family = Family.GRAY if len(planes) == 1 else Family.RGB
    layout = PlaneLayout(family=family, bits=32, levels=like.layout.levels)
    zero, span = (np.float32(number) for number in code_span(layout, chroma=False))
    values = tuple(zero + span * (plane.astype(np.float32) / np.float32(255)) for plane in planes)
    return Frame(
        planes=values, layout=layout, pts=like.pts, duration=like.duration,
        time_base=like.time_base, lane=like.lane,
    )  # fmt: skip


def by_lane(
    frames: Iterable[Frame], sigma8: float | None
) -> Iterator[tuple[float, Iterator[Frame]]]:
    """Each lane's frames and noise sigma in 8-bit units, roughly of the first one if not given."""
    for _, lane in groupby(frames, key=lambda frame: frame.lane):
        first = next(lane)
        sigma = sigma8
        if sigma is None:
            sigma = 255 * single_frame_sigma(torch.from_numpy(to_rgb(first))[None])
        yield sigma, chain([first], lane)  # noqa: B031  # goes on


def _own(layout: PlaneLayout) -> bool:
    if layout.bits != 8 or layout.levels is not None:
        return False
    return layout.family is Family.GRAY or (
        layout.family is Family.YUV and layout.log2_chroma in SUBSAMPLED
    )
