"""Planes of a decoded picture as NumPy arrays, and back, sample for sample.

Neither swscale nor `to_ndarray` is used for Y'CbCr: both change samples or refuse formats.
Every picture is copied out of the decoder's buffers once, so that frames own their planes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Family, Matrix, Plane, PlaneLayout
from f2rcli.io.ffmpeg.filters import Filter

# Interleaved formats by the type of their samples. Their names say where the channels lie within a
# pixel; 0 and x are unused.
_BY_TYPE = {
    "u1": "rgb24 bgr24 rgba bgra argb abgr rgb0 bgr0 0rgb 0bgr ya8 vuya vuyx ayuv uyva vyu444",
    "<u2": "rgb48le bgr48le rgba64le bgra64le ya16le ayuv64le",
    ">u2": "rgb48be bgr48be rgba64be bgra64be ya16be",
    "<f4": "rgbf32le rgbaf32le",
}


def _interleaved(names: str) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    """Name, samples per pixel and the places of the planes of the layout's family: R, G, B [, A],
    Y [, A] or Y, U, V [, A]."""
    for name in names.split():
        order = re.findall("^[0axrgbyuv]+", name)[0]
        yield name, len(order), tuple(order.index(c) for c in "rgbyuva" if c in order)


_INTERLEAVED = {
    name: (kind, step, places)
    for kind, names in _BY_TYPE.items()
    for name, step, places in _interleaved(names)
}
# 4:2:2 with two luma samples per four: where the luma starts, Cb, Cr, and the low bits unused.
_YUYV: dict[str, tuple[str, int, int, int, int]] = {
    "yuyv422": ("u1", 0, 1, 3, 0),
    "uyvy422": ("u1", 1, 0, 2, 0),
    "yvyu422": ("u1", 0, 3, 1, 0),
    "y210le": ("<u2", 0, 1, 3, 6),
    "y212le": ("<u2", 0, 1, 3, 4),
    "y216le": ("<u2", 0, 1, 3, 0),
}
# One luma plane and one of chroma pairs: whether Cr comes first, and the low bits unused.
_SEMIPLANAR: dict[str, tuple[bool, int]] = {
    "nv12": (False, 0), "nv16": (False, 0), "nv24": (False, 0), "nv20le": (False, 0),
    "nv21": (True, 0), "nv42": (True, 0),
    "p010le": (False, 6), "p210le": (False, 6), "p410le": (False, 6),
    "p012le": (False, 4), "p212le": (False, 4), "p412le": (False, 4),
    "p016le": (False, 0), "p216le": (False, 0), "p416le": (False, 0),
}  # fmt: skip
# Formats of less than eight bits per channel: FFmpeg's widening to the format on the right
# is exact and reversible.
_WIDENED = {
    **dict.fromkeys(("rgb565le", "bgr565le", "rgb555le", "bgr555le", "rgb444le", "bgr444le",
                     "rgb565be", "bgr565be", "rgb555be", "bgr555be", "rgb8", "bgr8", "rgb4_byte",
                     "bgr4_byte"), "rgb24"),
    **dict.fromkeys(("x2rgb10le", "x2bgr10le", "gbrp10be"), "gbrp10le"),
    "gbrp12be": "gbrp12le", "monob": "gray", "monow": "gray", "pal8": "bgra",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """Properties of an FFmpeg pixel format that reading and writing its samples needs."""

    name: str
    family: Family
    bits: int
    log2_chroma: tuple[int, int]
    alpha: bool
    planes: tuple[int, ...]  # for planar formats: which plane holds which channel
    dtype: str  # of a stored sample

    def layout(
        self, *, full_range: bool, matrix: Matrix, siting: tuple[float, float] = (0.0, 0.5)
    ) -> PlaneLayout:
        """The layout of frames read from this format."""
        return PlaneLayout(
            family=self.family,
            bits=self.bits,
            log2_chroma=self.log2_chroma,
            alpha=self.alpha,
            full_range=full_range,
            matrix=matrix,
            siting=siting,
        )


@cache
def pixel_format(name: str) -> PixelFormat | None:
    """FFmpeg's pixel format `name`; None for one that f2r cannot represent."""
    if name.startswith("yuvj"):
        name = "yuv" + name[4:]
    try:
        native = av.VideoFormat(name, 256, 256)
    except ValueError:
        return None
    parts = native.components
    if not parts or native.is_bayer or name.startswith("xyz") or "msb" in name:
        return None
    colours = [part for part in parts if not part.is_alpha]
    family = Family.RGB if native.is_rgb else Family.YUV if len(colours) == 3 else Family.GRAY
    bits = parts[0].bits
    floating = "f32" in name or "f16" in name
    planar = len({part.plane for part in parts}) == len(parts) and not native.is_bit_stream
    packed = name in _INTERLEAVED or name in _YUYV or name in _SEMIPLANAR
    if not (planar or packed) or native.has_palette or bits < 8:
        return None
    if len({part.bits for part in parts}) != 1:
        return None
    chroma = colours[1] if family is Family.YUV else colours[0]
    shift = (256 // max(chroma.width, 1)).bit_length() - 1, (256 // chroma.height).bit_length() - 1
    order = ">" if native.is_big_endian else "<"
    kind = f"f{bits // 8}" if floating else f"u{1 if bits == 8 else 2}"
    return PixelFormat(
        name=name,
        family=family,
        bits=32 if floating else bits,
        log2_chroma=shift if family is Family.YUV else (0, 0),
        alpha=any(part.is_alpha for part in parts),
        planes=tuple(part.plane for part in parts) if planar else (),
        dtype=order + kind,
    )


def planar_name(layout: PlaneLayout) -> str | None:
    """FFmpeg's name for the planar format of just this layout; None where there is none."""
    chroma = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (2, 0): "411", (2, 2): "410",
              (0, 1): "440"}.get(layout.log2_chroma)  # fmt: skip
    depth = "f32le" if layout.float_samples else "" if layout.bits == 8 else f"{layout.bits}le"
    if layout.family is Family.YUV:
        name = f"yuv{'a' if layout.alpha else ''}{chroma}p{depth}"
    elif layout.family is Family.RGB:
        name = f"gbr{'a' if layout.alpha else ''}p{depth}"
    else:
        name = f"ya{depth or '8'}" if layout.alpha else f"gray{depth}"
    return name if pixel_format(name) else None


def widened(name: str) -> str | None:
    """The format to which FFmpeg widens `name` without loss, for those f2r cannot hold as is."""
    return _WIDENED.get(name)


def read_planes(frame: av.VideoFrame) -> tuple[PixelFormat, tuple[Plane, ...]]:
    """Copy the samples of a decoded frame into planes of their own.

    Raises InputError for a pixel format that f2r cannot hold without loss.
    """
    name = frame.format.name
    form = pixel_format(name)
    if form is None:
        wider = widened(name) or ""
        form = pixel_format(wider)
        if form is None:
            raise InputError(
                f"the pixel format {name} is not supported.",
                hint="Convert it first, e.g. ffmpeg -i IN -pix_fmt yuv444p16le -c:v ffv1 OUT.mkv.",
            )
        frame = frame.reformat(format=wider)
    if frame.planes[0].line_size < 0:  # stored bottom up: let FFmpeg turn it over
        frame = Filter("copy").apply(frame)
    return form, _planes(frame, form)


def _planes(frame: av.VideoFrame, form: PixelFormat) -> tuple[Plane, ...]:
    if form.name in _INTERLEAVED:
        kind, step, places = _INTERLEAVED[form.name]
        pixels = _view(frame, 0, kind, frame.width * step).reshape(frame.height, -1, step)
        return tuple(_own(pixels[:, :, place]) for place in places)
    if form.name in _YUYV:
        kind, luma, cb, cr, unused = _YUYV[form.name]
        line = _view(frame, 0, kind, (frame.width + 1) // 2 * 4)
        picked = (line[:, luma::2][:, : frame.width], line[:, cb::4], line[:, cr::4])
        return tuple(_own(part) >> unused if unused else _own(part) for part in picked)
    if form.name in _SEMIPLANAR:
        swapped, unused = _SEMIPLANAR[form.name]
        width = -(-frame.width >> form.log2_chroma[0])
        pairs = _view(frame, 1, form.dtype, 2 * width)
        chroma = (pairs[:, 1::2], pairs[:, 0::2]) if swapped else (pairs[:, 0::2], pairs[:, 1::2])
        picked = (_view(frame, 0, form.dtype, frame.width), *chroma)
        return tuple(_own(part) >> unused if unused else _own(part) for part in picked)
    return tuple(
        _own(_view(frame, index, form.dtype, frame.planes[index].width)) for index in form.planes
    )


def _view(frame: av.VideoFrame, index: int, dtype: str, width: int) -> Plane:
    """The samples of one stored plane, `width` per line, in place."""
    plane = frame.planes[index]
    kind = np.dtype(dtype)
    lines = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height]
    samples: Plane = lines.reshape(plane.height, plane.line_size)[:, : width * kind.itemsize]
    return samples.view(kind)


def _own(samples: Plane) -> Plane:
    """A contiguous copy in the machine's byte order; halves become singles."""
    kind: Any = np.float32 if samples.dtype.kind == "f" else samples.dtype.newbyteorder("=")
    return np.array(samples, dtype=kind, order="C")


def make_frame(planes: tuple[Plane, ...], form: PixelFormat) -> av.VideoFrame:
    """A fresh picture of `form` that holds `planes`, whose samples fit it already."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, form.name)
    fill_frame(frame, planes, form)
    return frame


def fill_frame(frame: av.VideoFrame, planes: tuple[Plane, ...], form: PixelFormat) -> None:
    """Put `planes` into a picture of `form`, in place."""
    height, width = planes[0].shape
    if form.name in _INTERLEAVED:
        kind, step, places = _INTERLEAVED[form.name]
        pixels = _view(frame, 0, kind, width * step).reshape(height, width, step)
        if len(places) < step:
            pixels[:] = np.iinfo(kind).max  # the unused byte of rgb0 and its like
        for place, plane in zip(places, planes, strict=True):
            pixels[:, :, place] = plane
    elif form.planes:
        for index, plane in zip(form.planes, planes, strict=True):
            _view(frame, index, form.dtype, plane.shape[1])[:] = plane
    else:
        raise ValueError(f"{form.name}: f2r reads this pixel format but does not write it")


def writable(form: PixelFormat) -> bool:
    """Whether `make_frame` can make pictures of this format."""
    return bool(form.planes) or form.name in _INTERLEAVED
