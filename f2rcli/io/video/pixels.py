"""Decoded pictures: their planes as NumPy arrays, and back, and what they state beside samples.

FFmpeg's swscale takes packed formats to planes and back, which is exact; it converts no colours,
which would not be. Every picture is copied out of the decoder's buffers once, so that frames own
their planes.

Outputs that cannot hold the input's own layout get another one (`converted`): exact wherever it
holds every sample (more depth, finer chroma, opaque alpha, gray as Y'CbCr), else rounded once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

from f2rcli.errors import InputError
from f2rcli.frames import Family, Frame, Matrix, Plane, PlaneLayout
from f2rcli.yuv import LUMA_WEIGHTS, code_span, parted, planes_of, to_rgb

UNSPECIFIED = 2  # ITU-T H.273, for primaries, transfer and matrix alike
LIMITED, FULL = 1, 2  # FFmpeg's AVColorRange
HD_LINES = 720  # from here up an unspecified matrix is taken as BT.709

# ITU-T H.273 MatrixCoefficients
_MATRICES = {
    1: Matrix.BT709, 4: Matrix.FCC, 5: Matrix.BT601, 6: Matrix.BT601, 7: Matrix.SMPTE240M,
    8: Matrix.YCGCO, 9: Matrix.BT2020,
}  # fmt: skip
SITINGS = {
    "left": (0.0, 0.5), "center": (0.5, 0.5), "topleft": (0.0, 0.0), "top": (0.5, 0.0),
    "bottomleft": (0.0, 1.0), "bottom": (0.5, 1.0),
}  # fmt: skip


def filtered(name: str, arguments: str, *pictures: av.VideoFrame) -> list[av.VideoFrame]:
    """Pictures of one size and format through one of FFmpeg's filters that gives one for each."""
    graph, first = av.filter.Graph(), pictures[0]
    source = graph.add_buffer(
        width=first.width, height=first.height, format=first.format,
        time_base=first.time_base or Fraction(1, 1000),
    )  # fmt: skip
    graph.link_nodes(source, graph.add(name, arguments), graph.add("buffersink")).configure()
    for picture in (*pictures, None):  # None ends what a filter keeps back
        graph.vpush(picture)
    return [graph.vpull() for _ in pictures]


@contextmanager
def overheard(level: int, *, local: bool = True) -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg says within the block, down to a level; local: in this thread."""
    before = av.logging.get_level()
    try:
        with av.logging.Capture(local=local) as said:
            av.logging.set_level(level)
            yield said
    finally:
        av.logging.set_level(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourTags:
    """The colour description a stream carries, as ITU-T H.273 numbers."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = 0  # 0 unspecified, else LIMITED or FULL
    chroma_location: str = ""  # "left", "center", "topleft", ...; "" where unspecified

    @classmethod
    def of(cls, frame: av.VideoFrame, shown: str) -> "ColourTags":
        """Of a decoded picture. shown: by FFmpeg's `showinfo`, the only way to its siting."""
        place, form = re.search(r"\bcl:(\w+)", shown), pixel_format(frame.format.name)
        subsampled = form is not None and form.samples.log2_chroma != (0, 0)
        full = "yuvj" in frame.format.name  # the old way to say so
        return cls(
            primaries=int(frame.color_primaries), transfer=int(frame.color_trc),
            matrix=int(frame.colorspace), range=FULL if full else int(frame.color_range),
            chroma_location=place[1] if place and place[1] in SITINGS and subsampled else "",
        )  # fmt: skip

    def written(self, coding: PlaneLayout) -> "ColourTags":
        """The same for pictures that are written, with what their coding itself decides."""
        full, matrix = coding.full_range, UNSPECIFIED if self.matrix == 0 else self.matrix
        return replace(
            self, matrix=0 if coding.family is Family.RGB else matrix, chroma_location="",
            range=(FULL if full else LIMITED) if self.range or full else 0,
        )  # fmt: skip

    def named(self) -> dict[str, str]:
        """The specified tags, by FFmpeg's names."""
        said = {
            "primaries": _name_of(ColorPrimaries, self.primaries),
            "transfer": _name_of(ColorTrc, self.transfer),
            "range": {LIMITED: "limited", FULL: "full"}.get(self.range, ""),
            "chroma_location": self.chroma_location,
        }
        return {key: name for key, name in said.items() if name}


def _name_of(kinds: Any, number: int) -> str:
    names = {int(kind): str(kind.name).lower() for kind in kinds} | {UNSPECIFIED: ""}
    return names.get(number, str(number))


def side_data(frame: av.VideoFrame, kind: Type) -> Any:
    """The side data of one kind of a decoded picture; None where it has none. Not for PNGs with a
    colour profile: PyAV frees its name, which FFmpeg frees, too."""
    # Not by `frame.side_data`: a picture that keeps a container, which keeps the picture, stays in
    # memory until Python looks for circles; 250 pictures of 1080p took 1.1 GB so.
    wrapped: Any = SideDataContainer
    # Of kinds that FFmpeg knows and PyAV does not, EXIF for one.
    Type._missing_ = classmethod(_unknown_kind)  # type: ignore[assignment]  # a method indeed
    return wrapped(frame).get(kind.name)


def _unknown_kind(cls: type[Type], value: object) -> Type:
    """A stand-in for a number that has no name among PyAV's kinds of side data."""
    kind: Any = object.__new__(cls)
    kind._name_, kind._value_ = f"KIND_{value}", value
    known: Type = kind
    return known


# --- Planes ---------------------------------------------------------------------------------------
CHROMA = {(1, 1): 420, (1, 0): 422, (0, 0): 444, (2, 0): 411, (2, 2): 410, (0, 1): 440}


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """Properties of an FFmpeg pixel format that reading and writing its samples needs."""

    name: str
    planar: str  # the format with a plane for each channel, to which FFmpeg takes it exactly
    samples: PlaneLayout  # full range, as long as nothing says more
    order: tuple[int, ...]  # the stored plane of each channel: R, G, B [, A], Y or Y, U, V [, A]
    writable: bool  # whether FFmpeg takes the planes back exactly, too

    def layout_tagged(self, tags: ColourTags, height: int) -> tuple[PlaneLayout, str | None]:
        """The layout by a stream's colour tags, and a note where the matrix had to be assumed. Of
        untagged ones Y'CbCr has limited range and chroma at the left, others have full range."""
        yuv, note = self.samples.family is Family.YUV, None
        guess = Matrix.BT709 if height >= HD_LINES else Matrix.BT601
        matrix = _MATRICES.get(tags.matrix, guess) if yuv else guess
        if yuv and tags.matrix in (0, UNSPECIFIED, 3):
            note = f"no colour matrix is tagged; {guess.value} assumed for a height of {height}"
        elif yuv and tags.matrix not in _MATRICES:
            matrix = Matrix.BT2020 if tags.matrix in (10, 14) else guess
            told = f"the colour matrix {tags.matrix} of H.273 is processed as {matrix.value}"
            note = f"{told}; unchanged samples stay exact and the tag is kept"
        full = tags.range == FULL if yuv else tags.range != LIMITED
        place = SITINGS.get(tags.chroma_location, SITINGS["left"])
        return replace(self.samples, full_range=full, matrix=matrix, siting=place), note


@cache
def pixel_format(name: str) -> PixelFormat | None:
    """FFmpeg's pixel format `name`; None for one that f2r cannot represent. Channels of less than
    eight bits are widened, and gray with alpha becomes RGB with alpha."""
    name = f"yuv{name[4:]}" if name.startswith("yuvj") else name
    native = av.VideoFormat(name, 256, 256)
    parts = native.components
    if not parts or native.is_bayer or name.startswith("xyz") or "msb" in name:
        return None
    colours = [part for part in parts if not part.is_alpha]
    alpha = native.has_palette or len(colours) < len(parts)
    rgb = native.is_rgb or native.has_palette or (alpha and len(colours) == 1)
    family = Family.RGB if rgb else Family.YUV if len(colours) == 3 else Family.GRAY
    kind, floating = max(8, *(part.bits for part in parts)), "f32" in name or "f16" in name
    chroma = colours[1] if family is Family.YUV else colours[0]
    shift = (256 // max(chroma.width, 1)).bit_length() - 1, (256 // chroma.height).bit_length() - 1
    shape = f"yuv{'a' * alpha}{CHROMA.get(shift, '')}p" if family is Family.YUV else "gray"
    shape = f"gbr{'a' * alpha}p" if rgb else shape
    planar = f"{shape}{'f' * floating}{'' if kind == 8 else f'{kind}le'}"
    own = name == planar
    try:
        stored = av.VideoFormat(planar, 256, 256).components
    except ValueError:
        return None
    if (floating and not own) or (kind == 32 and not floating) or (rgb and native.is_bit_stream):
        return None  # FFmpeg rounds them, or does not convert them
    same = {part.bits for part in parts} == {kind} and len(parts) == len(stored)
    samples = PlaneLayout(
        family=family, bits=32 if floating else kind, alpha=alpha,
        log2_chroma=shift if family is Family.YUV else (0, 0),
    )  # fmt: skip
    order = tuple(part.plane for part in stored)
    back = own or (same and family is not Family.YUV)
    return PixelFormat(name=name, planar=planar, samples=samples, order=order, writable=back)


def read_planes(frame: av.VideoFrame) -> tuple[PixelFormat, tuple[Plane, ...]]:
    """A decoded frame's samples as planes of its own. Raises InputError for unsupported formats."""
    form = pixel_format(frame.format.name)
    if form is None:
        hint = "Convert it first, e.g. ffmpeg -i IN -pix_fmt yuv444p16le -c:v ffv1 OUT.mkv."
        raise InputError(f"the pixel format {frame.format.name} is not supported.", hint=hint)
    if form.samples.family is Family.RGB and min(part.bits for part in frame.format.components) < 8:
        frame = frame.reformat(format="rgb24")  # which is exact, and straight to planes is not
    if form.planar != form.name:
        frame = filtered("format", form.planar, frame)[0]
    elif frame.planes[0].line_size < 0:  # stored bottom up: let FFmpeg turn it over
        frame = filtered("copy", "", frame)[0]
    kind = np.float32 if form.samples.bits == 32 else None  # halves become singles
    return form, tuple(np.array(plane, dtype=kind, order="C") for plane in _samples(frame, form))


def _samples(frame: av.VideoFrame, form: PixelFormat) -> Iterator[Plane]:
    """The samples of each channel of a planar picture, in place."""
    kind = np.dtype("<f2" if "f16" in form.planar else _dtype(form.samples.bits))
    for number, stored in enumerate(form.order):
        chroma = form.samples.family is Family.YUV and number in (1, 2)
        width = -(-frame.width >> form.samples.log2_chroma[0]) if chroma else frame.width
        plane = frame.planes[stored]
        lines = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height]
        yield lines.reshape(plane.height, -1)[:, : width * kind.itemsize].view(kind)


def make_frame(planes: tuple[Plane, ...], form: PixelFormat) -> av.VideoFrame:
    """A fresh picture of `form` that holds `planes`, whose samples fit it already."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, form.planar)
    for samples, plane in zip(_samples(frame, form), planes, strict=True):
        samples[:] = plane
    # By a graph, whose pictures begin where FFmpeg's code for this processor wants them: of PyAV's
    # own, widths like 34 had eight samples of luma overwritten, one time in thirty.
    return frame if form.planar == form.name else filtered("format", form.name, frame)[0]


def fits(layout: PlaneLayout, other: PlaneLayout) -> bool:
    """Whether planes of this layout are planes of the other as they are, but for their meaning."""
    same = (layout.family, layout.bits, layout.alpha) == (other.family, other.bits, other.alpha)
    return same and layout.log2_chroma == other.log2_chroma


def stays(layout: PlaneLayout, target: PlaneLayout) -> bool:
    """Whether samples of this layout are written as they are."""
    same = (layout.full_range, layout.matrix) == (target.full_range, target.matrix)
    return fits(layout, target) and (same or layout.family is Family.RGB)


def converted(frame: Frame, target: PlaneLayout) -> tuple[Plane, ...]:
    """A frame's planes in another layout, rounded once."""
    layout = frame.layout
    if stays(layout, target):
        return frame.planes
    values = _values(frame, target)
    planes = [_codes(v, *code_span(target, n), target.bits) for n, v in enumerate(values)]
    if target.alpha:
        top, new_top = (1.0 if bits == 32 else 2.0**bits - 1 for bits in (layout.bits, target.bits))
        alpha = frame.planes[-1] / top if layout.alpha else np.ones_like(values[0])
        planes.append(_codes(alpha, 0.0, new_top, target.bits))
    return tuple(planes)


def _values(frame: Frame, target: PlaneLayout) -> list[NDArray[np.float32]]:
    """The colour planes on a target's grids, in units of its planes (see `planes_of`): through RGB
    only where its matrix or coarser chroma asks for that, or where one of them is RGB."""
    layout, values, families = frame.layout, planes_of(frame), {frame.layout.family, target.family}
    rows, columns = values[0].shape
    x, y = target.log2_chroma
    if families == {Family.GRAY, Family.YUV}:
        neutral = np.zeros((-(-rows >> y), -(-columns >> x)), np.float32)
        return [values[0], neutral, neutral][: target.colour_planes]
    finer = layout.log2_chroma[0] >= x and layout.log2_chroma[1] >= y
    mixed = target.family is Family.YUV and layout.matrix is not target.matrix
    if len(families) == 1 and finer and not mixed:
        for axis, size in enumerate((rows, columns)):  # a finer grid: every sample is repeated
            have, want = layout.log2_chroma[1 - axis], target.log2_chroma[1 - axis]
            places = np.arange(-(-size >> want)) >> (have - want)
            values[1:] = [np.take(plane, places, axis) for plane in values[1:]]
        return values
    picture = to_rgb(frame)
    if target.family is Family.GRAY:
        red, blue = LUMA_WEIGHTS[Matrix.BT709]
        weights = np.array((red, 1 - red - blue, blue), np.float32)
        return [np.tensordot(weights, picture, axes=1)]
    picture = np.broadcast_to(picture, (3, rows, columns))
    return parted(picture, target)


def _codes(values: Plane, zero: float, span: float, bits: int) -> Plane:
    """Codes of values in units of a plane; float32 where they have 32 bits."""
    codes = values * span + zero
    return (codes if bits == 32 else np.clip(np.rint(codes), 0, 2**bits - 1)).astype(_dtype(bits))


def _dtype(bits: int) -> type[np.generic]:
    return np.float32 if bits == 32 else np.uint8 if bits == 8 else np.uint16
