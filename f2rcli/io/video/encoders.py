"""Video encoders: names, defaults, pixel formats, options, and a trial without writing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import UsageError, closest
from f2rcli.frames import ClipInfo, Family, PlaneLayout
from f2rcli.io.base import WriteOptions
from f2rcli.io.video.colour import FULL, LIMITED, ColourTags
from f2rcli.io.video.pixels import PixelFormat, pixel_format, writable
from f2rcli.io.video.source import SourceMetadata
from f2rcli.system.assembly import x264_assembly, x265_assembly

# Encoders of a family, best first.
_ENCODERS = {
    "h264": ("libx264", "libx264rgb"), "hevc": ("libx265",), "av1": ("libsvtav1",),
    "vp9": ("libvpx-vp9",), "vp8": ("libvpx-vp9",), "prores": ("prores_ks",), "gif": ("apng",),
}  # fmt: skip
_ALIASES = {
    "avc": "h264", "x264": "h264", "h265": "hevc", "x265": "hevc", "svtav1": "av1",
    "vp09": "vp9", "raw": "rawvideo", "y4m": "rawvideo", "jpeg": "mjpeg",
}  # fmt: skip
# Families that come back as themselves by an encoder of the same name.
_SAME = ("ffv1", "mjpeg", "apng", "png", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "magicyuv",
         "v210", "cfhd", "dnxhd", "qtrle")  # fmt: skip
_TASKS = Path("/proc/self/task")  # Linux; elsewhere nothing is to be done
_LOSSLESS = ("rawvideo", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "v210", "png", "apng",
             "bitpacked", "qtrle", "lagarith", "r210", "v410", "ljpeg", "bmp", "dpx", "exr",
             "targa", "ppm", "pgm", "tiff")  # fmt: skip
# Alternatives where the family's own encoders cannot hold the samples or do not exist.
_OTHERS = ("libx264", "libx264rgb", "libsvtav1", "libx265", "libvpx-vp9", "prores_ks", "ffv1",
           "apng", "rawvideo")  # fmt: skip
_CRF = {"libx264": 17, "libx264rgb": 17, "libx265": 19, "libsvtav1": 20, "libvpx-vp9": 20}
_WORST_CRF = {"libx264": 51, "libx264rgb": 51, "libx265": 51}
_PRESET = {"libx264": "medium", "libx264rgb": "medium", "libx265": "medium", "libsvtav1": "6"}
_PRESETS = dict.fromkeys(
    ("libx264", "libx264rgb", "libx265"),
    ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
     "veryslow", "placebo"),
) | {"libsvtav1": tuple(str(speed) for speed in range(-1, 14))}  # fmt: skip
_PRORES = {"Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "4444": "4444",
           "XQ": "4444xq", "4444 XQ": "4444xq"}  # fmt: skip
_FIELD_FLAGS = {"libx264": "+ildct+ilme", "prores_ks": "+ildct", "mpeg2video": "+ildct+ilme",
                "mpeg4": "+ildct+ilme", "dnxhd": "+ildct"}  # fmt: skip
# Those whose streams say of themselves which field comes first; FFV1 does so without being asked.
FIELDERS = (*_FIELD_FLAGS, "ffv1")
CAPTIONERS = ("libx264", "libx265")  # encoders that write closed captions
# Matrices that a codec has a code for, where it lacks some; ITU-T H.273.
_MATRICES = {"mjpeg": (2, 5, 6), "libvpx-vp9": (0, 1, 2, 5, 6, 7, 9)}
# Raw video is whatever its container says; these are what ours do.
_RAW = ["yuv420p", "yuv422p", "yuv444p", "yuv411p", "gray", "yuv420p10le", "yuv422p10le",
        "yuv444p10le", "yuv420p12le", "yuv422p12le", "yuv444p12le", "gray10le", "gray12le",
        "gray16le", "yuv420p16le", "yuv422p16le", "yuv444p16le", "rgb24", "rgba", "rgb48le",
        "rgba64le"]  # fmt: skip
_NEVER_FULL = ("prores_ks", "dnxhd", "cfhd", "v210")  # encoders whose streams are never full range
LAMBDA = 118  # FFmpeg's quantiser unit (FF_QP2LAMBDA)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSetup:
    """All settings that an encoder is opened with."""

    encoder: str
    form: PixelFormat
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    tags: ColourTags
    pixel_aspect: Fraction | None
    coding: PlaneLayout  # range, matrix and siting of the pictures that go in
    field_order: int  # FFmpeg's AVFieldOrder: 1 progressive, 2 top first, 3 bottom first
    codec_tag: str
    options: tuple[tuple[str, str], ...]

    def apply(self, context: VideoCodecContext) -> None:
        """Configure a new encoder."""
        context.width, context.height = self.width, self.height
        context.pix_fmt = self.form.name
        context.time_base = self.time_base
        context.framerate = self.rate
        self.tag(context)
        context.field_order = self.field_order
        if self.pixel_aspect is not None:
            context.sample_aspect_ratio = self.pixel_aspect
        if self.codec_tag:
            context.codec_tag = self.codec_tag
        context.options = dict(self.options)
        if self.encoder == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # it prints a page of settings otherwise

    def describe(self, copied: VideoCodecContext, encoder: VideoCodecContext) -> None:
        """Let the copy of a source's stream say what an open encoder writes into it."""
        self.tag(copied)
        copied.pix_fmt = self.form.name
        copied.field_order = self.field_order
        if self.pixel_aspect is not None:
            copied.sample_aspect_ratio = self.pixel_aspect
        copied.codec_tag = self.codec_tag or encoder.codec_tag
        copied.extradata = encoder.extradata

    def tag(self, picture: av.VideoFrame | VideoCodecContext) -> None:
        """Tag a picture like the stream: some encoders (ProRes) read tags from pictures only."""
        picture.color_primaries = self.tags.primaries
        picture.color_trc = self.tags.transfer
        picture.colorspace = self.tags.matrix
        picture.color_range = self.tags.range

    def trial(self) -> str | None:
        """Open the encoder once without writing; returns its reason to refuse, or None."""
        context = av.CodecContext.create(self.encoder, "w")
        assert isinstance(context, VideoCodecContext)  # see `is_encoder`
        self.apply(context)
        level = av.logging.get_level()
        try:
            with ordinary_scheduling(), av.logging.Capture(local=False) as lines:
                av.logging.set_level(av.logging.WARNING)
                context.open()
        except (av.FFmpegError, ValueError) as error:
            said = [text.strip() for _, _, text in lines if text.strip()]
            return said[0].rstrip(".") if said else str(error)
        finally:
            av.logging.set_level(level)
        doubts = [t.strip() for _, _, t in lines if "parsing option" in t or "nknown option" in t]
        return doubts[0].rstrip(".") if doubts else None


def says_matrix(encoder: str, matrix: int) -> bool:
    """Whether an encoder's streams have a code for a colour matrix."""
    return matrix in _MATRICES.get(encoder, (matrix,))


def family_name(codec: str) -> str:
    """The codec family that a user's name for it stands for."""
    return _ALIASES.get(codec.lower(), codec.lower())


def family_of_encoder(encoder: str) -> str:
    """The codec family an encoder writes."""
    return av.Codec(encoder, "w").canonical_name


def encoders_for(family: str) -> tuple[str, ...]:
    """The available encoders of a family, best first."""
    names = _ENCODERS.get(family) or ((family,) if family in _SAME else ())
    return tuple(name for name in names if is_encoder(name))


def named_encoders(codec: str) -> tuple[str, ...]:
    """The encoders that `codec` names: a family or one encoder. Raises UsageError."""
    found = encoders_for(family_name(codec))
    if found:
        return found
    if is_encoder(codec):
        return (codec,)
    known = sorted({*_ENCODERS, *_SAME, *_ALIASES, "libx264", "libx265", "libsvtav1"})
    raise UsageError(
        f"codec={codec!r}: this FFmpeg has no such video encoder.",
        hint=closest(codec.lower(), known) or "Try h264, hevc, av1, vp9, prores, ffv1.",
    )


def other_encoders(family: str) -> tuple[str, ...]:
    """Encoders to fall back on, most widely played first; after a lossless family FFV1 first."""
    first = ("ffv1",) if family in _LOSSLESS else ()
    return tuple(name for name in (*first, *_OTHERS) if is_encoder(name))


def is_encoder(name: str, kind: str = "video") -> bool:
    """Whether this FFmpeg has an encoder of this name, for video or audio."""
    try:
        return av.Codec(name, "w").type == kind
    except ValueError:
        return False


def quality(encoder: str, options: WriteOptions) -> tuple[float | None, str | None]:
    """The crf and preset an encoder runs at. Raises UsageError for options it lacks."""
    for name, value in (("crf", options.crf), ("preset", options.preset)):
        if value is not None and name not in option_names(encoder):
            raise UsageError(
                f"{name}={value!r}: {encoder} has no {name}.",
                hint="ffmpeg -h encoder=NAME lists those for encoder_options=.",
            )
    presets = _PRESETS.get(encoder, (options.preset,))
    if options.preset is not None and options.preset not in presets:
        raise UsageError(  # x264 itself would print its complaint past us
            f"preset={options.preset!r}: {encoder} has no such preset.",
            hint=f"It has {', '.join(_PRESETS[encoder])}.",
        )
    worst = _WORST_CRF.get(encoder, 63)
    if options.crf is not None and not 0 <= options.crf <= worst:
        raise UsageError(
            f"crf={options.crf:g}: {encoder} takes 0 to {worst}.",
            hint="Lower is better quality and a larger file; 17 to 23 is usual.",
        )
    crf = options.crf if options.crf is not None else _CRF.get(encoder)
    return crf, options.preset or _PRESET.get(encoder)


@cache
def option_names(encoder: str) -> frozenset[str]:
    """Every option an encoder knows."""
    known = av.CodecContext.create(encoder, "w").supported_options
    return frozenset(option.name for option in (*known.generic, *known.private))


def encoder_options(
    encoder: str, form: PixelFormat, info: ClipInfo, source: SourceMetadata, options: WriteOptions,
    *, in_order: bool,
) -> dict[str, str]:  # fmt: skip
    """The options an encoder is opened with; the user's come last and win.

    in_order: the container stores no display times, so pictures must come out as they went in.
    Raises UsageError for an option that the encoder does not know.
    """
    crf, preset = quality(encoder, options)
    chosen = {} if crf is None else {"crf": f"{crf:g}"}
    if preset:
        chosen["preset"] = preset
    own = _OWN.get(encoder)
    chosen |= own(form, info, source) if own else {}
    if in_order and "bf" in option_names(encoder):
        chosen["bf"] = "0"
    if info.interlaced and encoder in _FIELD_FLAGS:
        chosen["flags"] = chosen.get("flags", "") + _FIELD_FLAGS[encoder]
    location = source.colour.chroma_location
    if location and form.log2_chroma != (0, 0) and encoder != "mjpeg":
        chosen["chroma_sample_location"] = location
    return _with_users(encoder, chosen, options)


def _x264(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    parameters = [x264_assembly()]
    if info.interlaced and not info.top_field_first:
        parameters.append("bff=1")  # flags alone order the pictures, not the stream
    if source.facts.mastering:
        parameters += source.facts.mastering.x264()
    said = ":".join(filter(None, parameters))
    # Threads race for fields: the stream would differ each time.
    return ({"x264-params": said} if said else {}) | ({"threads": "1"} if info.interlaced else {})


def _x265(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    parameters = ["log-level=error", *x265_assembly(info.width)]
    if source.single_fields:
        parameters.append(f"interlace={'tff' if source.facts.top_field_first else 'bff'}")
    if source.facts.mastering:
        parameters += source.facts.mastering.x265()
    return {"x265-params": ":".join(parameters), "forced-idr": "1"}


def _svtav1(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    mastering = source.facts.mastering
    return {"svtav1-params": ":".join(mastering.svtav1())} if mastering else {}


def _vp9(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    speed = {"b": "0", "row-mt": "1", "cpu-used": "2"}
    return speed | ({"auto-alt-ref": "0"} if form.alpha else {})


def _ffv1(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    if min(info.width, info.height) < 8:
        return {"level": "1", "g": "1"}  # later levels need room for four slices
    return {"level": "3", "slicecrc": "1", "g": "1"}


def _prores(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    best = "4444" if form.log2_chroma == (0, 0) else "hq"
    named = _PRORES.get(source.profile, best)
    fits = named.startswith("4444") == best.startswith("4444")
    return {"profile": named if fits else best, "vendor": "apl0"}


def _mjpeg(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    unusual = {} if info.layout.full_range else {"strict": "-1"}
    return unusual | {"flags": "+qscale", "global_quality": str(2 * LAMBDA)}


def _dnxhd(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    if form.log2_chroma == (0, 0):
        return {"profile": "dnxhr_444"}
    return {"profile": "dnxhr_hqx" if form.bits > 8 else "dnxhr_hq"}


def _cfhd(form: PixelFormat, info: ClipInfo, source: SourceMetadata) -> dict[str, str]:
    return {"quality": "film3+"}


# What an encoder needs to hear beside quality, by its name.
_OWN = {
    "libx264": _x264, "libx264rgb": _x264, "libx265": _x265, "libsvtav1": _svtav1,
    "libvpx-vp9": _vp9, "ffv1": _ffv1, "prores_ks": _prores, "mjpeg": _mjpeg, "dnxhd": _dnxhd,
    "cfhd": _cfhd,
}  # fmt: skip
MASTERED = ("libx264", "libx264rgb", "libx265", "libsvtav1")  # streams that hold HDR10 metadata


def _with_users(encoder: str, chosen: dict[str, str], options: WriteOptions) -> dict[str, str]:
    known = option_names(encoder)
    for name, value in options.encoder_options:
        if name not in known:
            raise UsageError(
                f"encoder option {name}: {encoder} has no such option.",
                hint=closest(name, known) or f"See ffmpeg -h encoder={encoder}.",
            )
        joined = name.endswith("-params") and name in chosen
        chosen[name] = f"{chosen[name]}:{value}" if joined else value
    return chosen


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
    limited = form.family is Family.YUV and encoder in _NEVER_FULL
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


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Put every thread of this process back under the policy the calling one had before.

    SVT-AV1, run by root, puts itself and the thread that opened it under SCHED_FIFO: everything
    else on the machine waits for it, and torch's threads may wait for each other for ever.
    """
    if not hasattr(os, "sched_getscheduler") or not _TASKS.is_dir():
        yield
        return
    before = os.sched_getscheduler(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before == os.SCHED_OTHER:
            for task in _TASKS.iterdir():
                with suppress(ProcessLookupError, PermissionError):  # it ended meanwhile
                    os.sched_setscheduler(int(task.name), before, os.sched_param(0))
