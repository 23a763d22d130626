"""`f2r doctor`: versions, devices, codecs, weights, and a self-test of about ten seconds."""

import platform
import sys
from collections.abc import Iterator
from fractions import Fraction
from importlib import metadata
from typing import NamedTuple

import numpy as np
import typer

from f2rcli import __version__, weights
from f2rcli.cli.console import Console
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options.engine import EngineChoice
from f2rcli.errors import EXIT_FAILURE, EXIT_OK, F2RError, WeightsError
from f2rcli.frames import ClipInfo, Family, Frame, PlaneLayout

LIBRARIES = ("torch", "av", "numpy", "opencv-python-headless", "rawpy", "tifffile", "safetensors")
ENCODERS = ("libx264", "libx264rgb", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks",
            "mjpeg", "png")  # fmt: skip
DECODERS = ("h264", "hevc", "av1", "vp9", "ffv1", "prores", "mjpeg", "dvvideo", "mpeg2video",
            "mpeg4")  # fmt: skip
LEVEL = 20.0  # sigma of the self-test's noise, 8-bit units
FRAMES, HEIGHT, WIDTH = 7, 80, 112


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
    debug: opt.Debug = False,
) -> int:
    """Print what is installed and whether it works: the first thing to send with a bug report."""
    console: Console = ctx.obj
    console.configure(json=json, debug=debug)
    choice = EngineChoice(device=device, threads=threads, precision=precision)
    good = True
    for finding in examine(choice, console):
        good &= finding.good
        console.event("finding", **finding._asdict())
        if not json:
            console.data(f"{finding.topic:<10} {'' if finding.good else 'FAILED: '}{finding.text}")
    return EXIT_OK if good else EXIT_FAILURE


def examine(choice: EngineChoice, console: Console) -> Iterator[Finding]:
    """All findings, the quick ones first."""
    yield from versions()
    yield from codecs()
    yield from devices()
    yield from shipped_weights()
    try:
        yield from self_test(choice, console)
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
    """Which encoders and decoders that f2r knows are in this FFmpeg."""
    for topic, names, mode in (("encoders", ENCODERS, "w"), ("decoders", DECODERS, "r")):
        there = [name for name in names if _has(name, mode)]
        absent = [name for name in names if name not in there]
        yield Finding(
            topic, ", ".join(there) + (f"; not here: {', '.join(absent)}" if absent else "")
        )


def _has(name: str, mode: str) -> bool:
    import av

    try:
        av.Codec(name, "w" if mode == "w" else "r")
    except ValueError:
        return False
    return True


def devices() -> Iterator[Finding]:
    """Where torch can compute."""
    import torch

    yield Finding("device", f"cpu, {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        what = torch.cuda.get_device_properties(index)
        yield Finding("device", f"cuda:{index}, {what.name}, {what.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        yield Finding("device", "mps")


def shipped_weights() -> Iterator[Finding]:
    """The bundled weights, each checked against the manifest's SHA-256."""
    for name, entry in weights.manifest().items():
        try:
            digest = weights.load(name).sha256
        except WeightsError as error:
            yield Finding("weights", f"{name}: {error}", good=False)
        else:
            what = f"{name}: {entry['method']}, {entry['space']}"
            yield Finding("weights", f"{what}, sha256 {digest[:16]} as in the manifest")
    if not weights.available():
        yield Finding("weights", f"none bundled in {weights.folder().name}", good=False)


def self_test(choice: EngineChoice, console: Console) -> Iterator[Finding]:
    """Denoise a made clip: how much better it gets, and that strength 0 changes nothing."""
    from dataclasses import replace

    from f2rcli.engine.stream import denoise_stream

    clean, noisy = made_clip()
    clip = clip_info()
    engine = choice.load(clip, console)
    restored = list(denoise_stream(noisy, clip, engine))
    gained = psnr(restored, clean) - psnr(noisy, clean)
    text = f"{FRAMES} frames at sigma {LEVEL:g}: {psnr(noisy, clean):.1f} dB, {gained:+.1f} dB"
    yield Finding("self-test", f"{text} ({engine.device}, {engine.precision})", good=gained > 3.0)
    idle = replace(choice, strength=0.0).load(clip, console)
    untouched = list(denoise_stream(noisy, clip, idle))
    same = len(untouched) == len(noisy) and all(
        np.array_equal(a, b)
        for one, two in zip(noisy, untouched, strict=True)
        for a, b in zip(one.planes, two.planes, strict=True)
    )
    yield Finding("identity", "strength 0 gives back every sample" if same else "samples differ",
                  good=same)  # fmt: skip


def clip_info() -> ClipInfo:
    """What there is to know of the made clip."""
    return ClipInfo(
        name="self-test",
        width=WIDTH,
        height=HEIGHT,
        layout=PlaneLayout(family=Family.RGB, bits=8),
        frames=FRAMES,
        duration=FRAMES / 25,
        rate=Fraction(25),
        time_base=Fraction(1, 25),
    )


def made_clip() -> tuple[list[Frame], list[Frame]]:
    """A drifting picture of soft waves, clean and with white noise; (H, W) uint8 planes."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    clean, noisy = [], []
    for index in range(FRAMES):
        x, y = columns + 1.5 * index, rows + 0.5 * index
        waves = [np.sin(x / a) * np.cos(y / b) for a, b in ((9.0, 13.0), (17.0, 7.0), (11.0, 23.0))]
        picture = [np.clip(128 + 70 * wave, 0, 255) for wave in waves]
        noise = [rng.normal(0.0, LEVEL, plane.shape) for plane in picture]
        clean.append(_frame(picture, index))
        noisy.append(_frame([p + n for p, n in zip(picture, noise, strict=True)], index))
    return clean, noisy


def _frame(picture: list[np.ndarray], index: int) -> Frame:
    planes = tuple(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in picture)
    return Frame(
        planes=planes, layout=clip_info().layout, pts=index, duration=1, time_base=Fraction(1, 25)
    )


def psnr(frames: list[Frame], truth: list[Frame]) -> float:
    """Peak signal to noise ratio over all samples, in dB, peak 255."""
    errors = [
        np.mean((a.astype(np.float64) - b) ** 2)
        for one, two in zip(frames, truth, strict=True)
        for a, b in zip(one.planes, two.planes, strict=True)
    ]
    return float(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-9)))
