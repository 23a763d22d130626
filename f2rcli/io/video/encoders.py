"""Video encoders: the choice of one for a clip, with its pixel format, quality and options.

The input's codec family is kept, and every sample it has where an encoder takes it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from math import log2
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import UsageError
from f2rcli.frames import ClipInfo, Family, Matrix, PlaneLayout
from f2rcli.io.base import Reader, WriteOptions
from f2rcli.io.video.pixels import ColourTags, PixelFormat, overheard, pixel_format
from f2rcli.io.video.source import DOLBY, MASTERING, STEREO, WIDENED, SourceMetadata
from f2rcli.io.video.streams import CONTAINERS, Container, Fate, container_for, is_encoder, turns
from f2rcli.system import svt_threads, x264_assembly, x265_assembly

# Encoders of a family, best first; some have its name.
_ENCODERS = {
    "h264": ("libx264", "libx264rgb"), "hevc": ("libx265",), "av1": ("libsvtav1",),
    "vp9": ("libvpx-vp9",), "vp8": ("libvpx-vp9",), "prores": ("prores_ks",),
} | {name: (name,) for name in ("ffv1", "mjpeg", "png", "rawvideo", "v210", "cfhd", "dnxhd",
                                "qtrle")}  # fmt: skip
_ALIASES = {
    "avc": "h264", "x264": "h264", "h265": "hevc", "x265": "hevc", "svtav1": "av1",
    "vp09": "vp9", "raw": "rawvideo", "y4m": "rawvideo", "jpeg": "mjpeg",
}  # fmt: skip
# Alternatives where the family's own encoders cannot hold the samples or do not exist.
_OTHERS = ("libx264", "libx264rgb", "libsvtav1", "libx265", "libvpx-vp9", "prores_ks", "ffv1",
           "rawvideo")  # fmt: skip
# At which encoders put back little of what went. Of 27 filmed clips, coded with noise of 1 to 9, 17
# ended below the noisy input in luma or a colour at 17, 19 and 18, at 0.7 times the bytes, 11 here.
_CRF = {"libx264": 14, "libx264rgb": 14, "libx265": 15, "libsvtav1": 12, "libvpx-vp9": 12}
# The step (of 255) of most pictures by x264 at crf 18, 9 to 12 of filmed clips: where a source was
# rounded more finely, the result is as well, and as many QPs below it (six halve the step). At 14
# clips of crf 6 and 10 with noise of 1 and 3 came out with 42.1 and 40.2 dB of luma, 46.5 and 41.8
# by this; they went in with 46.4 and 38.4, in 1.1 and 2 times the bytes.
_USUAL_STEP8 = 10.0
# What is added to chroma's QP (six halve the step), at any crf, in 4:4:4, 4:2:2 and 4:2:0. Chroma
# is a mean over pixels there, with that much less noise for f2r to remove: by their own choice the
# encoders put back as much error. x264 begins at -2 (psy-rd), both at 6 more in 4:4:4, x265 only
# where it is given no number. SVT-AV1's offsets (4.1) help no colour, libvpx's FFmpeg has not.
_CHROMA_QP = {"libx264": (-4, -4, -6), "libx265": (2, -4, -8)}
_PRESET = {"libx264": "medium", "libx264rgb": "medium", "libx265": "medium", "libsvtav1": "4"}
_FIELD_FLAGS = {"libx264": "+ildct+ilme", "prores_ks": "+ildct", "mpeg2video": "+ildct+ilme",
                "mpeg4": "+ildct+ilme", "dnxhd": "+ildct"}  # fmt: skip
# Matrices that a codec has a code for, where it lacks some; ITU-T H.273.
_MATRICES = {"mjpeg": (2, 5, 6), "libvpx-vp9": (0, 1, 2, 5, 6, 7, 9)}
# Raw video is whatever its container says; these are what y4m says.
_RAW = ["yuv411p", *(f"{kind}{bits}" for bits in ("", "10le", "12le", "16le")
                     for kind in ("yuv420p", "yuv422p", "yuv444p", "gray"))]  # fmt: skip
# Encoders whose streams never say that they are full range; not every container says it for them.
_NEVER_FULL = ("prores_ks", "dnxhd", "cfhd", "v210", "mpeg4", "mpeg2video")
_IN_STREAM = ("libx264", "libx264rgb", "libx265", "mpeg4")  # that hold any shape of pixels
_MPEG2_SHAPES = (Fraction(4, 3), Fraction(16, 9), Fraction(221, 100))  # of whole pictures


@dataclass(frozen=True)
class EncoderSetup:
    """An encoder for the pictures of a clip in a container, and all that it is opened with."""

    encoder: str
    form: PixelFormat
    info: ClipInfo
    source: SourceMetadata
    container: Container
    wishes: WriteOptions
    piped: bool  # to standard output, which cannot be gone back to

    @cached_property
    def family(self) -> str:
        return av.Codec(self.encoder, "w").canonical_name

    @property
    def one_rate(self) -> bool:
        """Whether frame times are rounded to multiples of one duration."""
        one = self.encoder in ("mpeg2video", "mpeg4", "dvvideo")
        return one or self.container.only_pictures

    @property
    def rate(self) -> Fraction:
        """Frames per second, where a file has to say them."""
        return self.info.rate or Fraction(25)

    @property
    def time_base(self) -> Fraction:
        """Seconds in a tick of the encoder's clock."""
        return 1 / self.rate if self.one_rate else self.info.time_base

    @cached_property
    def coding(self) -> PlaneLayout:
        """Range, matrix and siting of the pictures that go in."""
        layout, own = self.info.layout, self.form.samples
        if self.container.muxer == "image2":  # JPEG files have one matrix, and chroma in the middle
            matrix = Matrix.BT601 if self.encoder == "mjpeg" else layout.matrix
            return replace(own, full_range=True, matrix=matrix, siting=(0.5, 0.5))
        limited = own.family is Family.YUV and self.encoder in _NEVER_FULL
        full = layout.full_range and not limited
        return replace(own, full_range=full, matrix=layout.matrix, siting=layout.siting)

    @cached_property
    def tags(self) -> ColourTags:
        """The source's, with what the pictures' coding itself decides."""
        return self.source.colour.written(self.coding)

    def apply(self, context: VideoCodecContext) -> None:
        context.width, context.height = self.info.width, self.info.height
        context.time_base = self.time_base
        context.framerate = self.rate
        self.describe(context)
        context.options = self.options.copy()
        if self.encoder == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # it prints a page of settings otherwise

    def describe(self, context: VideoCodecContext) -> None:
        """Let an encoder, or the copy of a source's stream, say what pictures are written."""
        self.tag(context)
        context.pix_fmt = self.form.name
        # FFmpeg's AVFieldOrder: 1 progressive, 2 top first, 3 bottom first
        order = 2 if self.info.top_field_first else 3
        context.field_order = order if self.info.interlaced else 1
        if self.source.pixel_aspect is not None:
            context.sample_aspect_ratio = self.source.pixel_aspect
        if self.family == "hevc" and self.container.movie:
            context.codec_tag = "hvc1"  # QuickTime plays no other

    def tag(self, picture: av.VideoFrame | VideoCodecContext) -> None:
        """Tag a picture like the stream: some encoders (ProRes) read tags from pictures only."""
        picture.color_primaries = self.tags.primaries
        picture.color_trc = self.tags.transfer
        picture.colorspace = self.tags.matrix
        picture.color_range = self.tags.range

    @cached_property
    def template(self) -> av.VideoStream | None:
        """The source's stream, where its copy states in the file's header what PyAV has no call for
        (cropping, 360-degree and stereoscopic layouts, HDR10 metadata) and what is written is of
        the same kind. It would not say the rate: time codes need that."""
        source = self.source
        layouts = (self.container.holds_layout(extra, source.stereo) for extra in source.extras)
        stated = source.mastering or any(source.crop) or any(layouts)
        same = source.pix_fmt.replace("yuvj", "yuv") == self.form.name
        alike = same and self.family == source.family
        # A layer of Dolby Vision is not written.
        if not (stated and alike and self.container.described) or DOLBY in source.extras:
            return None
        return None if source.stream and "timecode" in source.stream.metadata else source.stream

    @cached_property
    def stereo(self) -> bool:
        """Whether the file says that its pictures are for two eyes."""
        source = self.source
        return any(source.stereo[:1]) and self.container.holds_layout(STEREO, source.stereo)

    @cached_property
    def display(self) -> tuple[int, int] | None:
        """The display size to write into a finished Matroska file: for pixels that are not square,
        for cropping that comes over with the template, for stereoscopy."""
        source, info = self.source, self.info
        cropped = any(source.crop) and self.template is not None
        stated = cropped or source.shaped or self.stereo
        never = self.stereo and source.stereo[0] not in WIDENED  # FFmpeg writes none
        if self.piped or not self.container.matroska or not stated or never:
            return None
        left_out = source.crop if cropped else (0, 0)
        seen = Fraction(info.width - left_out[0], info.height - left_out[1])
        shape = (seen * (source.pixel_aspect or 1)).limit_denominator(1 << 15)
        scale = max(1, info.height // shape.denominator)
        return shape.numerator * scale, shape.denominator * scale

    def fates(self) -> Iterator[Fate]:
        """What becomes of that which the picture and the file state beside samples and tags."""
        source, container, encoder, info = self.source, self.container, self.encoder, self.info
        none, copied = f"{container.name} holds none", self.template is not None
        unstored = f"{encoder} in {container.name} does not store it"
        if source.chapters:
            yield f"{len(source.chapters)} chapters", "" if container.described else none
        if matrix := source.display_matrix:
            words = "rotation" if turns(matrix) else "rotation and flip"
            yield words, "" if container.holds_matrix(matrix) else none
        if source.mastering is not None:
            stated = copied and source.family not in ("h264", "hevc", "av1")
            why = f"{encoder} cannot carry it; hevc and av1 can"
            yield "HDR10 mastering metadata", "" if stated or encoder in MASTERING else why
        tags = source.stream.metadata if source.stream and container.matroska else {}
        for extra in source.extras:
            said = copied or (extra == STEREO and "stereo_mode" in tags)
            held = said and container.holds_layout(extra, source.stereo)
            yield extra, "" if held else "f2r cannot carry it"
        if any(source.crop):
            why = "pictures are written whole, and the file does not say what to hide"
            yield "cropping", "" if copied else why
        if source.shaped:
            shape = Fraction(info.width, info.height) * (source.pixel_aspect or 1)
            coded = encoder in _IN_STREAM or (encoder == "mpeg2video" and shape in _MPEG2_SHAPES)
            stated = coded or container.movie or container.only_pictures or self.display is not None
            yield f"pixel aspect {source.pixel_aspect}", "" if stated else unstored
        if info.interlaced:
            yield "field order", "" if says_fields(container, encoder) else unstored
        if source.single_fields:
            yield "marks of single fields", "" if encoder == "libx265" else f"{encoder} has none"
        same = self.coding.matrix is info.layout.matrix
        if same and self.tags.matrix not in _MATRICES.get(encoder, (self.tags.matrix,)):
            yield "colour matrix", f"{encoder} has no code for it"
        rgb = self.coding.family is Family.RGB
        named = self.tags.primaries != 2 or (self.tags.transfer != 2 and not rgb)
        if named and container.only_pictures:
            yield "colour tags but the range", none
        elif named or (self.coding.full_range and info.layout.full_range and not rgb):
            yield "colour tags", ""

    def notes(self) -> Iterator[str]:
        """What else is to be known of it before a run."""
        source, container = self.source, self.container
        ours = {container.muxer for container in CONTAINERS}
        if source.container and not ours & {*source.container.split(",")}:
            yield f"written as {container.name}: f2r does not write {source.container}"
        if source.family not in ("", self.family) and not self.wishes.codec:
            fits = f"fits {container.name} and these pictures"
            yield f"written as {self.family}: no encoder of {source.family} that f2r uses {fits}"
        if self.one_rate and source.container != "yuv4mpegpipe":
            what = container.name if container.only_pictures else self.encoder
            yield f"{what} has one frame rate, {float(self.rate):g}: frame times are rounded"

    def losses(self) -> list[str]:
        """What it loses of the samples, in words."""
        lost = losses(self.form.samples, self.info.layout)
        if self.info.layout.full_range and not self.coding.full_range:
            lost.append("full range (limited instead)")
        return [f"{what} ({self.encoder})" for what in lost]

    def trial(self) -> str | None:
        """Open the encoder once without writing; returns its reason to refuse, or None. Raises
        UsageError for options that it does not know."""
        context = av.Codec(self.encoder, "w").create("video")
        self.apply(context)
        try:
            with ordinary_scheduling(), overheard(av.logging.WARNING, local=False) as lines:
                context.open()
        except (av.FFmpegError, ValueError) as error:
            said = [text.strip() for _, _, text in lines if text.strip()]
            return said[0].rstrip(".") if said else str(error)
        if context.options:  # where FFmpeg leaves what it does not know
            what = f"{self.encoder} has no option {', '.join(context.options)}."
            raise UsageError(what, hint=f"See ffmpeg -h encoder={self.encoder}.")
        doubts = [t.strip() for _, _, t in lines if "parsing option" in t or "nknown option" in t]
        return doubts[0].rstrip(".") if doubts else None

    @property
    def _crf(self) -> float | None:
        """The quality that suits the source; None for encoders without this number. 0 is lossless,
        which few players take."""
        usual, finer = _CRF.get(self.encoder), self.source.step8() / _USUAL_STEP8
        return max(round(usual + 6 * log2(finer)), 1) if usual and 0 < finer < 1 else usual

    @cached_property
    def options(self) -> dict[str, str]:
        """What it is opened with; the user's wishes come last and win."""
        encoder, wanted = self.encoder, self.wishes.crf
        crf = self._crf if wanted is None else wanted
        chosen = {} if crf is None else {"crf": f"{crf:g}"}
        if encoder in _PRESET:
            chosen["preset"] = _PRESET[encoder]
        chosen |= self._own_options()
        if self.info.interlaced and encoder in _FIELD_FLAGS:
            chosen["flags"] = chosen.get("flags", "") + _FIELD_FLAGS[encoder]
        location = self.source.colour.chroma_location
        if location and self.form.samples.log2_chroma != (0, 0) and encoder != "mjpeg":
            chosen["chroma_sample_location"] = location
        for name, value in self.wishes.encoder_options:
            joined = name.endswith("-params") and name in chosen
            chosen[name] = f"{chosen[name]}:{value}" if joined else value
        return chosen

    def _own_options(self) -> dict[str, str]:
        """What it needs to hear beside quality and preset."""
        form, info, source = self.form, self.info, self.source
        mastering, whole_chroma = source.mastering, form.samples.log2_chroma == (0, 0)
        coloured = form.samples.family is Family.YUV and self.encoder in _CHROMA_QP
        offset = _CHROMA_QP[self.encoder][sum(form.samples.log2_chroma)] if coloured else 0
        match self.encoder:
            case "libx264" | "libx264rgb":
                parameters = [x264_assembly()]
                if info.interlaced and not info.top_field_first:
                    parameters.append("bff=1")  # flags alone order the pictures, not the stream
                said = ":".join(filter(None, parameters))
                # Threads race for fields, and in 10 bits for mbtree (x264 165), where one stream in
                # twenty was another, and up to half larger.
                alone = {"threads": "1"} if info.interlaced or form.samples.bits > 8 else {}
                colour = {"chromaoffset": f"{offset}"} if offset else {}
                return ({"x264-params": said} if said else {}) | alone | colour
            case "libx265":
                parameters = ["log-level=error", *x265_assembly(info.width)]
                if source.single_fields:
                    parameters.append(f"interlace={'tff' if source.top_field_first else 'bff'}")
                parameters += mastering.options("libx265") if mastering else []
                parameters += [f"cbqpoffs={offset}", f"crqpoffs={offset}"] if offset else []
                return {"x265-params": ":".join(parameters), "forced-idr": "1"}
            case "libsvtav1":
                parameters = [*svt_threads(info.width, info.height)]
                parameters += mastering.options("libsvtav1") if mastering else []
                return {"svtav1-params": ":".join(parameters)} if parameters else {}
            case "libvpx-vp9":
                speed = {"b": "0", "row-mt": "1", "cpu-used": "2"}
                return speed | ({"auto-alt-ref": "0"} if form.samples.alpha else {})
            case "ffv1" if min(info.width, info.height) < 32:
                return {"level": "1", "g": "1"}  # FFmpeg finds no slices for 8x23 and some others
            case "ffv1":
                return {"level": "3", "slicecrc": "1", "g": "1"}
            case "prores_ks":
                return {"vendor": "apl0"}
            case "mjpeg":
                unusual = {} if info.layout.full_range else {"strict": "-1"}
                # FF_QP2LAMBDA; a file of its own has no comment of FFmpeg's
                flags = f"+qscale{'+bitexact' * (self.container.muxer == 'image2')}"
                return unusual | {"flags": flags, "global_quality": "118", "qmin": "1"}
            case "dnxhd":
                deep = "dnxhr_hqx" if form.samples.bits > 8 else "dnxhr_hq"
                return {"profile": "dnxhr_444" if whole_chroma else deep}
            case "cfhd":
                return {"quality": "film3+"}
        return {}


def holder(target: Path, codec: str) -> Path:
    """The target, with a suffix that holds the codec: `clip_f2r.mkv` for `clip_f2r.mp4` in FFV1."""
    families = {av.Codec(name, "w").canonical_name for name in _encoders(codec)}
    own = container_for(str(target), "", None)
    usual = (own, *(container for container in CONTAINERS if container.described))
    found = next((one for one in usual if families & {*one.families}), own)
    return target if found is own else target.with_suffix(found.suffixes[0])


def _encoders(codec: str) -> tuple[str, ...]:
    """Those that a wish names, a family or one encoder."""
    names = _ENCODERS.get(_ALIASES.get(codec.lower(), codec.lower()), (codec,))
    return tuple(filter(is_encoder, names))


def choose_encoder(
    reader: Reader, container: Container, options: WriteOptions, *, piped: bool
) -> EncoderSetup:
    """The first encoder that opens, in the tables' order, of what loses nothing, else least. Raises
    UsageError."""
    layout, source = reader.info.layout, reader.metadata

    def regret(pair: tuple[str, PixelFormat]) -> tuple[int, bool]:
        encoder, form = pair
        # ProRes 4444 decodes to 12 bits, of which its only free encoder takes 10.
        own = encoder == "prores_ks" and source.family == "prores"
        fits = own and losses(form.samples, layout) == ["12 bits (10 instead)"]
        least = 0 if fits else _unlike(form.samples, layout)[0]
        return least, form != closest_format(encoder, layout)

    refused = ""  # the first reason
    pairs = sorted(_candidates(reader, container, options), key=regret)
    for encoder, form in pairs:  # of several that lose as little in the encoders' order
        setup = EncoderSetup(encoder, form, reader.info, source, container, options, piped)
        reason = setup.trial()
        if reason is None:
            return setup
        if options.encoder_options:  # which are this encoder's
            hint = f"See ffmpeg -h encoder={encoder}."
            raise UsageError(f"{encoder} refuses its options: {reason}.", hint=hint)
        refused = refused or f"{encoder}: {reason}"
    what = f"cannot be encoded for {container.name}: {refused or 'no encoder fits'}"
    hint = "Try another codec=, crf=, pix_fmt= or file; .mkv with codec='ffv1' holds everything."
    raise UsageError(f"{reader.info.name}: {what}.", hint=hint)


def _candidates(
    reader: Reader, container: Container, options: WriteOptions
) -> list[tuple[str, PixelFormat]]:
    """Encoders for a container, best first, and formats that they take: those that `codec` names, a
    family or one encoder; else the input's own, and others. Raises UsageError where wishes exclude
    all."""
    codec, family = options.codec, reader.metadata.family
    if codec is None:
        lossless = ("ffv1",) * (not av.Codec(family, "r").lossy)
        names = tuple(filter(is_encoder, dict.fromkeys((*_ENCODERS.get(family, ()), *(
            name for name in lossless + _OTHERS
            if not reader.info.interlaced or says_fields(container, name)
        )))))  # fmt: skip
    else:
        names = _encoders(codec)
    fitting = [name for name in names if av.Codec(name, "w").canonical_name in container.families]
    taking = [(n, f) for n in fitting for f in formats_of(n) if options.pix_fmt in (None, f.name)]
    if taking:  # VP9's alpha travels beside its pictures, in Matroska alone
        apart = "" if container.matroska else "libvpx-vp9"
        return [(name, form) for name, form in taking if name != apart or not form.samples.alpha]
    if fitting:
        hint = f"It takes {' '.join(form.name for form in formats_of(fitting[0]))}."
        raise UsageError(f"pix_fmt={options.pix_fmt!r}: {fitting[0]} does not take it.", hint=hint)
    if codec is None:
        what = f"{container.name} files cannot say that their pictures are interlaced."
        raise UsageError(what, hint="Write .mkv, .mp4 or .mov, or choose codec= yourself.")
    if names:
        hint = f"{container.name} holds {', '.join(container.families)}; .mkv holds most."
        raise UsageError(f"codec={codec!r}: {container.name} files cannot hold {codec}.", hint=hint)
    hint = "Try h264, hevc, av1, vp9, prores, ffv1."
    raise UsageError(f"codec={codec!r}: this FFmpeg has no such video encoder.", hint=hint)


def says_fields(container: Container, encoder: str) -> bool:
    """Whether a file of interlaced pictures says which field comes first."""
    by_codec = encoder == "ffv1" or encoder in _FIELD_FLAGS
    return by_codec or container.name in ("matroska", "mov", "y4m")


def formats_of(encoder: str) -> list[PixelFormat]:
    """The pixel formats an encoder takes and f2r can fill, in the encoder's order."""
    named = [form.name for form in av.Codec(encoder, "w").video_formats or []]
    forms = [pixel_format(name) for name in (_RAW if encoder == "rawvideo" else named)]
    unique = {form.name: form for form in forms if form is not None and form.writable}
    layered = encoder == "libx265"  # alpha goes into a second layer that hardly any decoder reads
    return [form for form in unique.values() if not (layered and form.samples.alpha)]


def losses(form: PlaneLayout, layout: PlaneLayout) -> list[str]:
    """Properties of a layout that a format of pixels cannot hold, in words; empty if lossless."""
    lost = []
    if form.family is not layout.family and layout.family is not Family.GRAY:
        lost.append(f"{layout.family.value.upper()} ({form.family.value.upper()} instead)")
        if form.family is Family.GRAY:
            lost.append("colour")
    if form.bits < layout.bits:
        lost.append(f"{layout.bits} bits ({form.bits} instead)")
    if any(a > b for a, b in zip(form.log2_chroma, layout.log2_chroma, strict=True)):
        lost.append("chroma's full size (subsampled instead)")
    if layout.alpha and not form.alpha:
        lost.append("alpha")
    return lost


@lru_cache(maxsize=256)  # a plan asks of every encoder, and finding out takes most of its time
def closest_format(encoder: str, layout: PlaneLayout) -> PixelFormat | None:
    """The encoder's pixel format that loses least of a layout and adds least to it."""
    return min(formats_of(encoder), key=lambda form: _unlike(form.samples, layout), default=None)


def _unlike(form: PlaneLayout, layout: PlaneLayout) -> tuple[int, bool, int, int, bool]:
    """What a pixel format loses of a layout, then how else it differs."""
    extra = sum(b - a for a, b in zip(form.log2_chroma, layout.log2_chroma, strict=True))
    lost = 100 * len(losses(form, layout)) + max(0, layout.bits - form.bits)
    unlike, depth = form.family is not layout.family, abs(form.bits - layout.bits)
    return lost, unlike, abs(extra), depth, form.alpha is not layout.alpha


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Put every thread of this process back under the calling one's policy: SVT-AV1, run by root,
    puts itself and the thread that opened it under SCHED_FIFO; all else on the machine waits for
    it, and torch's threads may wait for each other for ever."""
    policy = getattr(os, "sched_getscheduler", lambda _: 0)  # macOS and Windows tell none
    before = policy(0)
    try:
        yield
    finally:
        changed = policy(0) != before
        for task in Path("/proc/self/task").iterdir() if changed else ():
            with suppress(ProcessLookupError, PermissionError):  # it ended meanwhile
                os.sched_setscheduler(int(task.name), before, os.sched_param(0))
