"""Microscopy as FMD lays it out: noisy captures of one field of view, and their mean.

Captures are not frames of a video: each is a picture of its own, or their mean would be the
reference.
"""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from f2rcli.errors import InputError
from f2rcli.evaluation.base import Case
from f2rcli.evaluation.benchmarks.benchmark import Benchmark
from f2rcli.evaluation.clips.datasets import file_facts, pictures, single_pictures
from f2rcli.frames import Family, Plane, PlaneLayout

GRAY = PlaneLayout(family=Family.GRAY, bits=8)


def cases(benchmark: Benchmark, root: Path, frames: int | None) -> list[Case]:
    """A case per kind of microscopy that is there."""
    kinds = [kind for kind in benchmark.layout["kinds"] if (root / kind).is_dir()]
    return [_case(benchmark, root, kind, frames) for kind in kinds]


def _case(benchmark: Benchmark, root: Path, kind: str, frames: int | None) -> Case:
    clean, folder = (root / kind / benchmark.layout[role] for role in ("clean", "noisy"))
    if not clean.is_file():
        raise benchmark.wrong(root, f"{clean.relative_to(root)} is missing")
    count = min(frames or 0, benchmark.frames or 0)
    noisy = list(single_pictures(folder).values())[:count] if folder.is_dir() else []
    if not noisy:
        raise benchmark.wrong(root, f"{folder.relative_to(root)} holds no pictures")
    read = partial(_picture, hint=benchmark.hint)
    height, width = read(clean).shape
    whole = partial(pictures, layout=GRAY, size=(height, width), apart=True)
    return Case(
        name=kind,
        group=kind,
        reference=whole(f"{kind} {clean.stem}", read=[partial(read, clean)] * len(noisy)),
        noisy=whole(f"{kind} raw", read=[partial(read, path) for path in noisy]),
        files=(file_facts("clean", clean), file_facts("noisy", folder)),
    )


def _picture(path: Path, hint: str) -> Plane:
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if codes is None or codes.dtype != np.uint8 or codes.ndim != 2:
        raise InputError(f"{path}: is not an 8-bit gray picture.", hint=hint)
    return np.asarray(codes)
