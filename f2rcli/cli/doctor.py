"""`f2r doctor`: versions, encoders, devices and weights, to be sent with a bug report."""

import platform
import sys
from collections.abc import Iterator
from importlib import metadata

import typer

from f2rcli import __version__, weights
from f2rcli.cli import options as opt
from f2rcli.errors import EXIT_OK
from f2rcli.units import count

LIBRARIES = ("torch", "av", "numpy", "opencv-python-headless", "rawpy", "tifffile", "safetensors")
ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks")


def doctor(ctx: typer.Context, json: opt.Json = False, help_all: opt.HelpAll = False) -> int:
    """Print what is installed: send it with a bug report.

    f2r doctor
    f2r doctor --json
    """
    console = opt.begin(ctx, json=json)
    for topic, text in examine():
        console.event("finding", topic=topic, text=text)
        if not json:
            console.rows([f"{topic:<9} {text}"])
    return EXIT_OK


def examine() -> Iterator[tuple[str, str]]:
    """Topic and words of each finding. Raises WeightsError for bundled weights that are damaged."""
    import av
    import torch

    from f2rcli.engine.device import choose_precision

    yield "f2r", __version__
    yield "python", f"{sys.version.split()[0]}, {platform.platform()}"
    yield "library", ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    parts = (f"{name} {'.'.join(map(str, number))}" for name, number in av.library_versions.items())
    yield "ffmpeg", ", ".join(parts)
    yield "encoders", ", ".join(name for name in ENCODERS if name in av.codecs_available)
    precision = choose_precision("auto", torch.device("cpu"))
    yield "device", f"cpu, {count(torch.get_num_threads(), 'thread')}, {precision}"
    for index in range(torch.cuda.device_count()):
        what = torch.cuda.get_device_properties(index)
        yield "device", f"cuda:{index}, {what.name}, {what.total_memory / 1e9:.0f} GB"
    if torch.backends.mps.is_available():
        yield "device", "mps"
    for name in weights.manifest():
        yield "weights", f"{name}, sha256 {weights.load(name).sha256[:16]}"
