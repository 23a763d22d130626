"""Colour and other picture facts: matrix, range, siting, HDR mastering, display matrix, fields."""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

import av
from av.sidedata.sidedata import Type
from av.video.codeccontext import VideoCodecContext

from f2rcli.frames import Family, Matrix

UNSPECIFIED = 2  # ITU-T H.273, for primaries, transfer and matrix alike
LIMITED, FULL = 1, 2  # FFmpeg's AVColorRange
HD_LINES = 720  # from here up an unspecified matrix is taken as BT.709

# ITU-T H.273 MatrixCoefficients
_MATRICES = {
    1: Matrix.BT709,
    4: Matrix.FCC,
    5: Matrix.BT601,
    6: Matrix.BT601,
    7: Matrix.SMPTE240M,
    8: Matrix.YCGCO,
    9: Matrix.BT2020,
}
_SITINGS = {
    "left": (0.0, 0.5),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.5, 0.0),
    "bottomleft": (0.0, 1.0),
    "bottom": (0.5, 1.0),
}
_NAMES = {
    "primaries": {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m",
                  8: "film", 9: "bt2020", 10: "xyz", 11: "p3-dci", 12: "p3-d65"},
    "transfer": {1: "bt709", 4: "gamma2.2", 5: "gamma2.8", 6: "smpte170m", 7: "smpte240m",
                 8: "linear", 13: "srgb", 14: "bt2020-10", 15: "bt2020-12", 16: "pq", 18: "hlg"},
    "matrix": {0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m",
               8: "ycgco", 9: "bt2020nc", 10: "bt2020c", 14: "ictcp"},
    "range": {1: "limited", 2: "full"},
}  # fmt: skip


SPHERICAL, STEREO = "360-degree projection", "stereoscopic layout"
DOLBY = "Dolby Vision metadata"
_EXTRAS = {
    Type.DOVI_METADATA: DOLBY,
    Type.DOVI_RPU_BUFFER: DOLBY,
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.SPHERICAL: SPHERICAL,
    Type.STEREO3D: STEREO,
    Type.ICC_PROFILE: "ICC profile",
    Type.AFD: "active format description",
}


_MASTERING = {  # what encoders' libraries call the display and the light levels
    "x264": ("mastering-display", "cll"), "x265": ("master-display", "max-cll"),
    "svtav1": ("mastering-display", "content-light"),
}  # fmt: skip


class Filter:
    """One filter with its arguments, for pictures of one size and format: one out for each in."""

    def __init__(self, name: str, arguments: str = "") -> None:
        self.name, self.arguments = name, arguments
        self._graph: av.filter.Graph | None = None

    def apply(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture, filtered."""
        graph = self._graph
        if graph is None:
            graph = self._graph = av.filter.Graph()
            source = graph.add_buffer(
                width=picture.width, height=picture.height, format=picture.format,
                time_base=picture.time_base or Fraction(1, 1000),
            )  # fmt: skip
            step = graph.add(self.name, self.arguments)
            graph.link_nodes(source, step, graph.add("buffersink")).configure()
        graph.push(picture)
        filtered = graph.pull()
        assert isinstance(filtered, av.VideoFrame)  # pictures went in
        return filtered


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourTags:
    """The colour description a stream carries, as ITU-T H.273 numbers."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = 0  # 0 unspecified, else LIMITED or FULL
    chroma_location: str = ""  # "left", "center", "topleft", ...; "" where unspecified

    def named(self) -> dict[str, str]:
        """The specified tags, by name."""
        known = {
            "primaries": self.primaries, "transfer": self.transfer,
            "matrix": self.matrix, "range": self.range,
        }  # fmt: skip
        said = {
            key: _NAMES[key].get(value, str(value))
            for key, value in known.items()
            if value != (0 if key == "range" else UNSPECIFIED)
        }
        return said | ({"chroma_location": self.chroma_location} if self.chroma_location else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mastering:
    """HDR10 static metadata: the mastering display and the content's light levels."""

    display: tuple[Fraction, ...] = ()  # Rx Ry Gx Gy Bx By Wx Wy in CIE xy, then min, max in cd/m2
    light: tuple[int, int] | None = None  # MaxCLL, MaxFALL in cd/m2

    def options(self, library: str) -> list[str]:
        """The colour facts as parameters of x264, x265 or SVT-AV1."""
        display, light = _MASTERING[library]
        chosen = ["hdr10=1", "hdr10-opt=1", "repeat-headers=1"] if library == "x265" else []
        if self.display:
            texts = [str(code) for code in self.codes]
            if library == "svtav1":
                texts = [f"{float(v):.{5 if n < 8 else 4}f}" for n, v in enumerate(self.display)]
            r, g, b, w = (",".join(texts[i : i + 2]) for i in (0, 2, 4, 6))
            chosen.append(f"{display}=G({g})B({b})R({r})WP({w})L({texts[9]},{texts[8]})")
        if self.light:
            chosen.append(f"{light}={self.light[0]},{self.light[1]}")
        return chosen

    @property
    def codes(self) -> list[int]:
        """The display in steps of 0.00002, then of 0.0001 cd/m2 (SMPTE ST 2086)."""
        return [round(v * (50000 if n < 8 else 10000)) for n, v in enumerate(self.display)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """Facts that only a decoded picture has."""

    pixel_aspect: Fraction | None = None
    chroma_location: str = ""
    interlaced: bool = False
    top_field_first: bool = True
    mastering: Mastering | None = None
    display_matrix: tuple[int, ...] = ()  # nine integers, FFmpeg's order; () for none
    captions: bool = False  # CEA-608 or 708, within the pictures
    extras: tuple[str, ...] = ()  # what else is attached to pictures, in words; no one carries it


def colour_tags(
    frame: av.VideoFrame, context: av.VideoFrame | VideoCodecContext, location: str
) -> ColourTags:
    """The colour description of a decoded picture, or else of its decoder."""
    spoken = "yuvj" in frame.format.name  # the old way to say full range
    return ColourTags(
        primaries=_said(int(frame.color_primaries), int(context.color_primaries)),
        transfer=_said(int(frame.color_trc), int(context.color_trc)),
        matrix=_said(int(frame.colorspace), int(context.colorspace)),
        range=FULL if spoken else int(frame.color_range) or int(context.color_range),
        chroma_location=location,
    )


def _said(first: int, second: int) -> int:
    """The first number, or the second where the first is unspecified."""
    return first if first != UNSPECIFIED else second


def siting(tags: ColourTags) -> tuple[float, float]:
    """The siting of chroma samples, as in `PlaneLayout.siting`; "left" where it is not tagged."""
    return _SITINGS.get(tags.chroma_location, _SITINGS["left"])


def full_range(tags: ColourTags, family: Family) -> bool:
    """Whether samples span the whole range: as tagged, else limited for Y'CbCr only."""
    return tags.range == FULL if family is Family.YUV else tags.range != LIMITED


def choose_matrix(tags: ColourTags, family: Family, height: int) -> tuple[Matrix, str | None]:
    """The Y'CbCr matrix to work in, and a note where it had to be assumed."""
    guess = Matrix.BT709 if height >= HD_LINES else Matrix.BT601
    if family is not Family.YUV:
        return guess, None
    if tags.matrix in (0, UNSPECIFIED, 3):
        return guess, f"no colour matrix is tagged; {guess.value} assumed for a height of {height}"
    if tags.matrix in _MATRICES:
        return _MATRICES[tags.matrix], None
    named = _NAMES["matrix"].get(tags.matrix, f"number {tags.matrix}")
    near = Matrix.BT2020 if tags.matrix in (10, 14) else guess
    return near, (
        f"the colour matrix {named} is processed as {near.value}; unchanged samples "
        "stay exact and the tag is kept"
    )


def picture_facts(frame: av.VideoFrame) -> PictureFacts:
    """Read what PyAV has no property for: chroma siting, field order, HDR, display matrix."""
    shown = _showinfo(frame)
    place = re.search(r"\bcl:(\w+)", shown)
    fields = re.search(r"\bi:([PTB])", shown)
    location = place.group(1) if place else ""
    aspect = re.search(r"\bsar:(\d+)/(\d+)", shown)
    known = aspect is not None and int(aspect.group(1)) > 0 and int(aspect.group(2)) > 0
    return PictureFacts(
        pixel_aspect=Fraction(int(aspect[1]), int(aspect[2])) if aspect and known else None,
        chroma_location=location if location in _SITINGS and subsampled(frame) else "",
        interlaced=frame.interlaced_frame,
        top_field_first=fields is None or fields.group(1) != "B",
        mastering=_mastering(frame),
        display_matrix=_display_matrix(frame),
        captions=has_captions(frame),
        extras=tuple(
            dict.fromkeys(word for kind, word in _EXTRAS.items() if side_data(frame, kind))
        ),
    )


def has_captions(frame: av.VideoFrame) -> bool:
    """Whether closed captions are attached to a picture."""
    return bool(side_data(frame, Type.A53_CC))


def subsampled(frame: av.VideoFrame) -> bool:
    """Whether a picture has fewer chroma than luma samples."""
    parts = frame.format.components
    return any(
        part.is_chroma and (part.width, part.height) != (parts[0].width, parts[0].height)
        for part in parts
    )


def _showinfo(frame: av.VideoFrame) -> str:
    """The report of FFmpeg's showinfo filter: the only way to a picture's siting and fields."""
    level = av.logging.get_level()
    try:
        with av.logging.Capture() as lines:
            av.logging.set_level(av.logging.INFO)
            Filter("showinfo", "checksum=0").apply(frame)
    finally:
        av.logging.set_level(level)
    return "".join(text for _, _, text in lines)


def _mastering(frame: av.VideoFrame) -> Mastering | None:
    display: tuple[Fraction, ...] = ()
    light = None
    for data in side_data(frame, Type.MASTERING_DISPLAY_METADATA):
        numbers = struct.unpack_from("<20i2i", data)
        if all(numbers[1:20:2]) and all(numbers[20:]):
            display = tuple(Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2))
    for data in side_data(frame, Type.CONTENT_LIGHT_LEVEL):
        light = struct.unpack_from("<2I", data)
    return Mastering(display=display, light=light) if display or light else None


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    for data in side_data(frame, Type.DISPLAYMATRIX):
        matrix = struct.unpack_from("<9i", data)
        if matrix != (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30):
            return matrix
    return ()


def side_data(frame: av.VideoFrame, kind: Type) -> list[bytes]:
    """All side data of one kind of a decoded picture."""
    try:
        container: Any = frame.side_data
    except ValueError:  # of a kind that FFmpeg knows and PyAV does not, EXIF for one
        Type._missing_ = classmethod(_unknown_kind)  # type: ignore[assignment]  # a method indeed
        container = frame.side_data
    return [bytes(item) for item in _every(container) if item.type is kind]


def _every(container: Any) -> Iterator[Any]:
    """The side data by their places: from PyAV 19 on, iterating gives kinds."""
    with suppress(IndexError):
        for place in count():
            yield container[place]


def _unknown_kind(cls: type[Type], value: object) -> Type:
    """A stand-in for a number that has no name among PyAV's kinds of side data."""
    kind: Any = object.__new__(cls)
    kind._name_, kind._value_ = f"KIND_{value}", value
    known: Type = kind
    return known
