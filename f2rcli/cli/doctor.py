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
ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks")


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
    f2r doctor --device cuda
    """
    console, good = opt.begin(ctx, json=json), True
    settings = EngineSettings(device=device, threads=threads, precision=precision)
    for finding in examine(settings, console):
        good &= finding.good
        console.event("finding", **finding._asdict())
        if not json:
            failed = "" if finding.good else "FAILED: "
            console.rows([f"{finding.topic:<9} {failed}{finding.text}"])
    return EXIT_OK if good else EXIT_FAILURE


def examine(settings: EngineSettings, console: Console) -> Iterator[Finding]:
    """All findings, the quick ones first."""
    yield from _installed()
    yield from _devices()
    for name, entry in weights.manifest().items():
        try:
            digest = weights.load(name).sha256[:16]
            yield Finding("weights", f"{name}: {entry['method']}, sha256 {digest} as it should be")
        except WeightsError as error:
            yield Finding("weights", f"{name}: {error}", good=False)
    try:
        yield from _tested(settings, console)
    except F2RError as error:
        yield Finding("self-test", f"{error} {error.hint or ''}".strip(), good=False)


def _installed() -> Iterator[Finding]:
    """f2r, Python, the libraries, and FFmpeg's inside PyAV with its encoders."""
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
    yield Finding("encoders", ", ".join(name for name in ENCODERS if name in av.codecs_available))


def _devices() -> Iterator[Finding]:
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


def _tested(settings: EngineSettings, console: Console) -> Iterator[Finding]:
    """The engine on a synthetic clip: how much better it gets, and that strength 0 is exact."""
    from f2rcli.engine.self_test import CLIP, FRAMES, LEVEL, self_test
    from f2rcli.engine.stream import denoise_stream  # brings torch

    engine = loaded(settings, CLIP, console.note)
    idle = loaded(replace(settings, strength=0.0), CLIP, console.note)
    found = self_test(
        lambda frames, strength: list(denoise_stream(frames, CLIP, engine if strength else idle))
    )
    text = f"{FRAMES} frames at sigma {LEVEL:g}: {found.noisy:.1f} -> {found.restored:.1f} dB"
    good = found.restored - found.noisy > 3.0
    yield Finding("self-test", f"{text} ({engine.device}, {engine.precision})", good=good)
    words = "strength 0 gives back every sample" if found.identical else "samples differ"
    yield Finding("identity", words, good=found.identical)
