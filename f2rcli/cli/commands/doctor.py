"""`f2r doctor`: versions, devices, codecs, weights, and a self-test of about ten seconds."""

import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, NamedTuple

from f2rcli import __version__, weights
from f2rcli.cli.engine import loaded
from f2rcli.cli.options.derived import Fields, with_options
from f2rcli.cli.terminal.console import Console
from f2rcli.engine.self_test import CLIP, FRAMES, LEVEL, self_test
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_FAILURE, EXIT_OK, F2RError, WeightsError
from f2rcli.units import count

if TYPE_CHECKING:
    from f2rcli.fast.support import Found

LIBRARIES = ("torch", "av", "numpy", "opencv-python-headless", "rawpy", "tifffile", "safetensors")
ENCODERS = ("libx264", "libx264rgb", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks",
            "mjpeg", "png")  # fmt: skip
DECODERS = ("h264", "hevc", "av1", "vp9", "ffv1", "prores", "mjpeg", "dvvideo", "mpeg2video",
            "mpeg4")  # fmt: skip


class Finding(NamedTuple):
    """One line of the report."""

    topic: str
    text: str
    good: bool = True


@with_options
def doctor(
    *,
    engine: Annotated[EngineSettings, Fields("device", "threads", "precision")],
    console: Annotated[Console, Fields("json", "debug")],
) -> int:
    """Print what is installed and whether it works: the first thing to send with a bug report."""
    good = True
    for finding in examine(engine, console):
        good &= finding.good
        console.event("finding", **finding._asdict())
        if console.events is None:
            failed = "" if finding.good else "FAILED: "
            console.rows([f"{finding.topic:<9} {failed}{finding.text}"])
    return EXIT_OK if good else EXIT_FAILURE


def examine(settings: EngineSettings, console: Console) -> Iterator[Finding]:
    """All findings, the quick ones first."""
    yield from versions()
    yield from codecs()
    yield from devices()
    yield from shipped_weights()
    try:
        yield from tested(settings, console)
    except F2RError as error:
        yield Finding("self-test", f"{error} {error.hint or ''}".strip(), good=False)


def versions() -> Iterator[Finding]:
    """f2r, Python, the libraries, and FFmpeg's inside PyAV."""
    import av

    yield Finding("f2r", __version__)
    yield Finding("python", f"{sys.version.split()[0]}, {platform.platform()}")
    for name in LIBRARIES:
        try:
            yield Finding("library", f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Finding("library", f"{name} is not installed", good=False)
    parts = (f"{name} {'.'.join(map(str, number))}" for name, number in av.library_versions.items())
    yield Finding("ffmpeg", ", ".join(parts))


def codecs() -> Iterator[Finding]:
    """Encoders and decoders, of those f2r uses, that this FFmpeg has."""
    for topic, names, mode in (("encoders", ENCODERS, "w"), ("decoders", DECODERS, "r")):
        there = [name for name in names if _has(name, mode)]
        absent = ", ".join(name for name in names if name not in there)
        yield Finding(topic, ", ".join(there) + (f"; not here: {absent}" if absent else ""))


def _has(name: str, mode: str) -> bool:
    import av

    try:
        av.Codec(name, "w" if mode == "w" else "r")
    except ValueError:
        return False
    return True


def devices() -> Iterator[Finding]:
    """The devices that torch can use, and how networks run on the processor."""
    import torch

    from f2rcli.engine.device import DTYPES, autocast, choose_precision
    from f2rcli.fast import support
    from f2rcli.models.convolutions.fused import works

    precision = choose_precision("auto", torch.device("cpu"))
    how = "in one pass" if works(DTYPES[precision]) else "step by step, which is slower"
    threads = torch.get_num_threads()
    yield Finding("device", f"cpu, {count(threads, 'thread')}, {precision}, convolutions {how}")
    with autocast(torch.device("cpu"), precision):
        yield Finding("loops", loops(support.found()))
    for index in range(torch.cuda.device_count()):
        what = torch.cuda.get_device_properties(index)
        yield Finding("device", f"cuda:{index}, {what.name}, {what.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        yield Finding("device", "mps")


def loops(found: "Found") -> str:
    """Whether kernels of the extra `fast` run."""
    if found.version is None:
        return "one by one; the extra fast, which brings numba, fuses them"
    if found.trouble is None:
        return f"fused, by numba {found.version}"
    return f"one by one, which is slower: numba {found.version} cannot be used ({found.trouble})"


def shipped_weights() -> Iterator[Finding]:
    """The bundled weights, each checked against the manifest's SHA-256."""
    for name, entry in weights.manifest().items():
        try:
            found = weights.load(name)
        except WeightsError as error:
            yield Finding("weights", f"{name}: {error}", good=False)
        else:
            what = f"{name}: {entry['method']}, {entry['space']}"
            yield Finding("weights", f"{what}, sha256 {found.sha256[:16]} as in the manifest")
    if not weights.available():
        yield Finding("weights", f"none bundled in {weights.folder().name}", good=False)


def tested(settings: EngineSettings, console: Console) -> Iterator[Finding]:
    """The engine on a synthetic clip: how much better it gets, and that strength 0 is exact."""
    from f2rcli.engine.stream import denoise_stream  # brings torch

    engine = loaded(settings, CLIP, console)
    idle = loaded(replace(settings, strength=0.0), CLIP, console)
    found = self_test(
        lambda frames, strength: list(denoise_stream(frames, CLIP, engine if strength else idle))
    )
    gained = found.restored - found.noisy
    text = f"{FRAMES} frames at sigma {LEVEL:g}: {found.noisy:.1f} -> {found.restored:.1f} dB"
    yield Finding("self-test", f"{text} ({engine.device}, {engine.precision})", good=gained > 3.0)
    words = "strength 0 gives back every sample" if found.identical else "samples differ"
    yield Finding("identity", words, good=found.identical)
