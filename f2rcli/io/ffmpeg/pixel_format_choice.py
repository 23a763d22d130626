"""The pixel format for an encoder, and the losses that come with it."""

import av

from f2rcli.frames import Family, PlaneLayout
from f2rcli.io.ffmpeg.colour import FULL, LIMITED, ColourTags
from f2rcli.io.ffmpeg.pixel_formats import PixelFormat, pixel_format, writable

# Raw video is whatever its container says; these are what ours do.
_RAW = ["yuv420p", "yuv422p", "yuv444p", "yuv411p", "gray", "yuv420p10le", "yuv422p10le",
        "yuv444p10le", "yuv420p12le", "yuv422p12le", "yuv444p12le", "gray10le", "gray12le",
        "gray16le", "yuv420p16le", "yuv422p16le", "yuv444p16le", "rgb24", "rgba", "rgb48le",
        "rgba64le"]  # fmt: skip
_LIMITED = ("prores_ks", "dnxhd", "cfhd", "v210")  # encoders whose streams are never full range


def formats_of(encoder: str) -> list[PixelFormat]:
    """The pixel formats an encoder takes and f2r can fill, in the encoder's order."""
    names = [form.name for form in av.Codec(encoder, "w").video_formats or []]
    if encoder == "rawvideo":
        names = _RAW
    forms = [pixel_format(name) for name in names]
    unique = {form.name: form for form in forms if form is not None and writable(form)}
    if encoder == "libx265":  # alpha goes into a second layer that hardly any decoder reads
        return [form for form in unique.values() if not form.alpha]
    return list(unique.values())


def losses(form: PixelFormat, layout: PlaneLayout) -> list[str]:
    """Properties of a layout that a pixel format cannot hold, in words; empty if lossless."""
    lost = []
    if form.family is not layout.family and layout.family is not Family.GRAY:
        lost.append(f"{layout.family.value.upper()} ({form.family.value.upper()} instead)")
    if form.bits < layout.bits:
        lost.append(f"{layout.bits} bits ({form.bits} instead)")
    if any(a > b for a, b in zip(form.log2_chroma, layout.log2_chroma, strict=True)):
        lost.append("chroma's full size (subsampled instead)")
    if layout.alpha and not form.alpha:
        lost.append("alpha")
    return lost


def closest_format(encoder: str, layout: PlaneLayout) -> PixelFormat | None:
    """The encoder's pixel format that loses least of a layout and adds least to it."""

    def rank(form: PixelFormat) -> tuple[int, bool, int, int, bool]:
        extra = sum(b - a for a, b in zip(form.log2_chroma, layout.log2_chroma, strict=True))
        lost = losses(form, layout)
        return (
            100 * len(lost) + max(0, layout.bits - form.bits),
            form.family is not layout.family,
            abs(extra),
            abs(form.bits - layout.bits),
            form.alpha is not layout.alpha,
        )

    return min(formats_of(encoder), key=rank, default=None)


def coding_for(encoder: str, form: PixelFormat, layout: PlaneLayout) -> PlaneLayout:
    """The layout of the pictures an encoder gets: the source's coding as far as it can be."""
    limited = form.family is Family.YUV and encoder in _LIMITED
    return form.layout(
        full_range=layout.full_range and not limited, matrix=layout.matrix, siting=layout.siting
    )


def colour_for(coding: PlaneLayout, tags: ColourTags) -> ColourTags:
    """The colour tags to write: the source's, with what the pictures' coding itself decides."""
    matrix = tags.matrix
    if coding.family is Family.RGB:
        matrix = 0
    elif matrix == 0:
        matrix = 2  # RGB's number has no meaning for the Y'CbCr that a user asked for
    said = FULL if coding.full_range else LIMITED
    return ColourTags(
        primaries=tags.primaries,
        transfer=tags.transfer,
        matrix=matrix,
        range=said if tags.range or coding.full_range else 0,
    )
