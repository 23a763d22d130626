"""The choice of encoder and pixel format: the input's codec family, without loss if possible."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from f2rcli.errors import UsageError
from f2rcli.frames import Family, PlaneLayout
from f2rcli.io.base import Reader, WriteOptions
from f2rcli.io.video.containers import Container
from f2rcli.io.video.encoders import (
    FIELDERS,
    EncoderSetup,
    closest_format,
    coding_for,
    colour_for,
    encoder_options,
    encoders_for,
    family_name,
    family_of_encoder,
    formats_of,
    losses,
    named_encoders,
    other_encoders,
)
from f2rcli.io.video.pixels import PixelFormat
from f2rcli.io.video.source import metadata_of

_LOSSLESS = "ffv1"


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """The chosen encoder, its losses, and why others were refused."""

    setup: EncoderSetup
    lost: tuple[str, ...]
    refusals: dict[str, str]  # by encoder, the first reason it gave


def check_options(container: Container, options: WriteOptions) -> None:
    """Raise UsageError for options that exclude each other."""
    if options.lossless and options.crf is not None:
        raise UsageError("crf= and lossless=True: choose one.", hint="Leave out crf=.")
    if options.lossless and options.codec and family_name(options.codec) != _LOSSLESS:
        raise UsageError(
            f"codec={options.codec!r} and lossless=True: lossless means FFV1.",
            hint="Leave out codec= or lossless=.",
        )
    if options.lossless and _LOSSLESS not in container.families:
        raise UsageError(
            f"lossless=True: {container.name} cannot hold FFV1.",
            hint="Name an .mkv file with output=.",
        )


def choose_encoder(reader: Reader, container: Container, options: WriteOptions) -> EncoderChoice:
    """The first encoder, in order of preference, that loses nothing; else what loses least.

    Tables put them in order; the first that opens is taken, which is the first one nearly always.
    """
    layout = reader.info.layout
    encoders = _candidates(reader, container, options)
    pairs = [
        (encoder, form) for encoder in encoders for form in _forms(encoder, container, options)
    ]

    def regret(pair: tuple[str, PixelFormat]) -> tuple[int, int, bool]:
        encoder, form = pair
        if not losses(form, layout) or _tolerated(encoder, form, reader):
            return 0, 0, form != closest_format(encoder, layout)
        return len(losses(form, layout)), max(0, layout.bits - form.bits), False

    refusals: dict[str, str] = {}
    for encoder, form in sorted(pairs, key=regret):  # stable: the encoders' order otherwise
        setup, reason = _tried(reader, container, encoder, form, options)
        if reason is None:
            return EncoderChoice(setup, tuple(_losses(reader, setup)), refusals)
        refusals.setdefault(encoder, reason)
    reasons = [f"{encoder}: {reason}" for encoder, reason in refusals.items()]
    raise UsageError(
        f"{reader.info.name}: cannot be encoded for {container.name}: "
        f"{reasons[0] if reasons else 'no encoder fits'}.",
        hint="Try another codec=, pix_fmt= or container; .mkv with lossless=True holds everything.",
    )


def _losses(reader: Reader, setup: EncoderSetup) -> Iterator[str]:
    tolerated = _tolerated(setup.encoder, setup.form, reader)
    yield from tolerated
    if not tolerated:
        for what in losses(setup.form, reader.info.layout):
            yield f"{what} ({setup.encoder})"
    if reader.info.layout.full_range and not setup.coding.full_range:
        yield f"full range (limited instead) ({setup.encoder})"


def _tried(
    reader: Reader, container: Container, encoder: str, form: PixelFormat, options: WriteOptions
) -> tuple[EncoderSetup, str | None]:
    """An encoder set up, and why it refuses. Raises UsageError if the user's options are why."""
    setup = _setup(reader, container, encoder, form, options)
    reason = setup.trial()
    bare = replace(options, encoder_options=(), preset=None, crf=None)
    if reason is None or options == bare:
        return setup, reason
    if _setup(reader, container, encoder, form, bare).trial() is None:
        raise UsageError(
            f"{encoder} refuses its options: {reason}.",
            hint="Check encoder_options=, preset= and crf=.",
        )
    return setup, reason


def _candidates(reader: Reader, container: Container, options: WriteOptions) -> list[str]:
    if options.lossless:
        names: tuple[str, ...] = (_LOSSLESS,)
    elif options.codec:
        names = named_encoders(options.codec)
    else:
        family = metadata_of(reader).family
        own, others = encoders_for(family), other_encoders(family)
        if reader.info.interlaced:
            others = tuple(name for name in others if says_fields(container, name))
        names = own + tuple(name for name in others if name not in own)
    fitting = [name for name in names if family_of_encoder(name) in container.families]
    if not fitting and options.codec is None:
        raise UsageError(
            f"{container.name} files cannot say that their pictures are interlaced.",
            hint="Write .mkv, .mp4 or .mov, or choose codec= yourself.",
        )
    if not fitting:
        raise UsageError(
            f"codec={options.codec!r}: {container.name} files cannot hold it.",
            hint=f"{container.name} holds {', '.join(container.families)}; .mkv holds most.",
        )
    if options.pix_fmt:
        taking = [n for n in fitting if any(f.name == options.pix_fmt for f in formats_of(n))]
        if not taking:
            names_ = " ".join(form.name for form in formats_of(fitting[0]))
            raise UsageError(
                f"pix_fmt={options.pix_fmt!r}: {fitting[0]} does not take it.",
                hint=f"It takes {names_}.",
            )
        return taking
    return fitting


def _forms(encoder: str, container: Container, options: WriteOptions) -> Iterator[PixelFormat]:
    """Formats of an encoder, as far as the container carries them; VP9's alpha travels beside."""
    beside = encoder == "libvpx-vp9" and container.name not in ("matroska", "webm")
    for form in formats_of(encoder):
        wanted = options.pix_fmt in (None, form.name) and not (beside and form.alpha)
        plain = form.family is not Family.RGB and not form.alpha
        if wanted and (plain or container.name != "y4m"):
            yield form


def _tolerated(encoder: str, form: PixelFormat, reader: Reader) -> tuple[str, ...]:
    """ProRes 4444 decodes to 12 bits, of which its only free encoder takes 10: still the family."""
    lost = losses(form, reader.info.layout)
    own = encoder == "prores_ks" and metadata_of(reader).family == "prores"
    if own and lost == ["12 bits (10 instead)"]:
        return ("12 bits (10 instead: the ProRes encoder takes no more)",)
    return ()


def says_fields(container: Container, encoder: str) -> bool:
    """Whether a file of interlaced pictures says which field comes first."""
    return container.name in ("matroska", "mov", "y4m") or encoder in FIELDERS


def one_rate(container: Container, encoder: str) -> bool:
    """Whether frame times are rounded to multiples of one duration."""
    return not container.variable_rate or encoder in ("mpeg2video", "mpeg4", "dvvideo")


def reason_for_another(
    container: Container, choice: EncoderChoice, family: str, info_layout: PlaneLayout
) -> str:
    """Why a clip of a codec family is written in another; "" where it is not."""
    own = encoders_for(family)
    if not family or choice.setup.encoder in own:
        return ""
    if not own:
        return f"f2r cannot write {family}"
    if not any(family_of_encoder(name) in container.families for name in own):
        return f"{container.name} files cannot hold {family}"
    alpha = " with alpha" if info_layout.alpha else ""
    samples = f"{info_layout.bits}-bit {info_layout.family.value}{alpha}"
    takes = f"does not take {samples} at {choice.setup.width}x{choice.setup.height}"
    return f"the {family} encoder {choice.refusals.get(own[0], takes)}"


def _setup(
    reader: Reader, container: Container, encoder: str, form: PixelFormat, options: WriteOptions
) -> EncoderSetup:
    info, source = reader.info, metadata_of(reader)
    rate = info.rate or Fraction(25)
    chosen = encoder_options(
        encoder, form, info, source, options, in_order=not container.variable_rate
    )
    coding = coding_for(encoder, form, info.layout)
    order = 1 if not info.interlaced else 2 if info.top_field_first else 3
    hevc = family_of_encoder(encoder) == "hevc" and container.name in ("mp4", "mov")
    return EncoderSetup(
        encoder=encoder,
        form=form,
        width=info.width,
        height=info.height,
        rate=rate,
        time_base=1 / rate if one_rate(container, encoder) else info.time_base,
        tags=colour_for(coding, source.colour),
        coding=coding,
        pixel_aspect=source.pixel_aspect,
        field_order=order,
        codec_tag="hvc1" if hevc else "",  # QuickTime plays no other
        options=tuple(chosen.items()),
    )
