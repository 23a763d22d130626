"""An FFmpeg program for VMAF and FFmpeg's denoising filters, most of which PyAV's wheel lacks.

The system's own if it has the filter, else that of the package imageio-ffmpeg (extra `eval`).
"""

import importlib
import shutil
import subprocess
from functools import cache

EXTRA = "pip install 'f2rcli[eval]' installs one."


@cache
def program_with(filter_name: str) -> str | None:
    """The path of an FFmpeg program that has a filter, or None."""
    return next((path for path in programs() if filter_name in filters_of(path)), None)


@cache
def programs() -> tuple[str, ...]:
    """FFmpeg programs of this machine, the one that is preferred first."""
    found = [shutil.which("ffmpeg"), _packaged()]
    return tuple(path for path in found if path is not None)


def _packaged() -> str | None:
    """The program of imageio-ffmpeg; None where the package is not installed or brings none."""
    try:
        package = importlib.import_module("imageio_ffmpeg")
        return str(package.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


@cache
def filters_of(path: str) -> frozenset[str]:
    """The names of a program's filters; none where it does not run."""
    lines = _said(path, "-hide_banner", "-filters").splitlines()
    return frozenset(line.split()[1] for line in lines if "->" in line)


@cache
def version_of(path: str | None) -> str:
    """A program's own name: "ffmpeg version 7.1"; "" if it is None or does not run."""
    return "" if path is None else " ".join(_said(path, "-version").split()[:3])


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
