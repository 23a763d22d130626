"""`f2r doctor`: versions, devices, codecs, weights, and a self-test of about ten seconds."""

import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from typing import NamedTuple

import typer

from f2rcli import __version__, weights
from f2rcli.cli import options as opt
from f2rcli.cli.console import Console
from f2rcli.cli.engine import loaded
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_FAILURE, EXIT_OK, F2RError, WeightsError
from f2rcli.units import count

LIBRARIES = ("torch", "av", "numpy", "opencv-python-headless", "rawpy", "tifffile", "safetensors")
CODECS = {
    "encoders": ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks"),
    "decoders": ("h264", "hevc", "av1", "vp9", "ffv1", "prores", "mjpeg", "mpeg2video"),
}


class Finding(NamedTuple):
    """One line of the report."""

    topic: str
    text: str
    good: bool = True


def doctor(
    ctx: typer.Context,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    precision: opt.Precision = "auto",
    json: opt.Json = False,
    help_all: opt.HelpAll = False,
) -> int:
    """Print what is installed and whether it works: send it with a bug report.

    f2r doctor
    """
    console = opt.begin(ctx, json=json)
    good = True
    for finding in examine(
        EngineSettings(device=device, threads=threads, precision=precision), console
    ):
        good &= finding.good
        console.event("finding", **finding._asdict())
        if not json:
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
    import av

    for topic, names in CODECS.items():
        absent = [name for name in names if name not in av.codecs_available]
        there = ", ".join(name for name in names if name not in absent)
        yield Finding(topic, there + (f"; not here: {', '.join(absent)}" if absent else ""))


def devices() -> Iterator[Finding]:
    """The devices that torch can use."""
    import torch

    from f2rcli.engine.device import choose_precision

    precision = choose_precision("auto", torch.device("cpu"))
    yield Finding("device", f"cpu, {count(torch.get_num_threads(), 'thread')}, {precision}")
    for index in range(torch.cuda.device_count()):
        what = torch.cuda.get_device_properties(index)
        yield Finding("device", f"cuda:{index}, {what.name}, {what.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        yield Finding("device", "mps")


def shipped_weights() -> Iterator[Finding]:
    """The bundled weights, each checked against the manifest's SHA-256."""
    for name, entry in weights.manifest().items():
        try:
            found = weights.load(name)
        except WeightsError as error:
            yield Finding("weights", f"{name}: {error}", good=False)
        else:
            what = f"{name}: {entry['method']}, sha256 {found.sha256[:16]} as in the manifest"
            yield Finding("weights", what)
    if not weights.available():
        yield Finding("weights", f"none bundled in {weights.folder().name}", good=False)


def tested(settings: EngineSettings, console: Console) -> Iterator[Finding]:
    """The engine on a synthetic clip: how much better it gets, and that strength 0 is exact."""
    from f2rcli.engine.self_test import CLIP, FRAMES, LEVEL, self_test
    from f2rcli.engine.stream import denoise_stream  # brings torch

    engine = loaded(settings, CLIP, console.note)
    idle = loaded(replace(settings, strength=0.0), CLIP, console.note)
    found = self_test(
        lambda frames, strength: list(denoise_stream(frames, CLIP, engine if strength else idle))
    )
    gained = found.restored - found.noisy
    text = f"{FRAMES} frames at sigma {LEVEL:g}: {found.noisy:.1f} -> {found.restored:.1f} dB"
    yield Finding("self-test", f"{text} ({engine.device}, {engine.precision})", good=gained > 3.0)
    words = "strength 0 gives back every sample" if found.identical else "samples differ"
    yield Finding("identity", words, good=found.identical)
