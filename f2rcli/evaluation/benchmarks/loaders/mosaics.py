"""Raw video as CRVD lays it out: a folder per scene and ISO value, a TIFF per frame."""

import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from f2rcli.errors import InputError
from f2rcli.evaluation.base import Case
from f2rcli.evaluation.benchmarks.benchmark import Benchmark
from f2rcli.evaluation.clips.datasets import PictureClip, file_facts, pictures
from f2rcli.evaluation.clips.pairing import File
from f2rcli.frames import Mosaic, Plane
from f2rcli.io import ReadOptions
from f2rcli.sensor import bayer_layout

PAIR = re.compile(r"(?P<name>.+)_iso(?P<iso>\d+)_noisy\.tiff?", re.IGNORECASE)


def cases(benchmark: Benchmark, root: Path, frames: int | None) -> list[Case]:
    """A case per scene and ISO value; pairs of stacks, <name>_iso<ISO>_noisy.tif and _clean.tif,
    count too."""
    layout, folder = benchmark.layout, benchmark.layout["noisy"][0]
    if (root / folder).is_dir():
        every = [(scene, iso) for iso in layout["isos"] for scene in layout["scenes"]]
        return [_scene(benchmark, root, *each, frames) for each in every]
    pairs = [(p, found) for p in sorted(root.iterdir()) if (found := PAIR.fullmatch(p.name))]
    if not pairs:
        raise benchmark.wrong(root, f"has no folder {folder}")
    return [_pair(benchmark, path, found["name"], found["iso"], frames) for path, found in pairs]


def _scene(benchmark: Benchmark, root: Path, scene: int, iso: int, frames: int | None) -> Case:
    length = min(frames or 0, benchmark.frames or 0)
    sides, facts = [], []
    for role in ("clean", "noisy"):
        base, name = benchmark.layout[role]
        folder = _folder(root / base, scene, iso)
        files = [folder / name.format(i) for i in range(1, length + 1)]
        missing = next((file for file in files if not file.is_file()), None)
        if missing is not None:
            raise benchmark.wrong(root, f"{missing.relative_to(root)} is missing")
        sides.append(_clip(benchmark, f"scene{scene} ISO{iso} {role}", files))
        facts.append(file_facts(role, folder))
    return Case(
        name=f"scene{scene}", group=f"ISO {iso}", reference=sides[0], noisy=sides[1],
        files=tuple(facts),
    )  # fmt: skip


def _pair(benchmark: Benchmark, noisy: Path, name: str, iso: str, frames: int | None) -> Case:
    clean = noisy.with_name(re.sub("_noisy", "_clean", noisy.name, flags=re.IGNORECASE))
    if not clean.is_file():
        raise benchmark.wrong(noisy.parent, f"{clean.name} is missing")
    options = ReadOptions(frames=frames)
    return Case(
        name=name, group=f"ISO {iso}", reference=File(clean, options), noisy=File(noisy, options),
        files=(file_facts("clean", clean), file_facts("noisy", noisy)),
    )  # fmt: skip


def _folder(base: Path, scene: int, iso: int) -> Path:
    """The folder of a scene; the download unpacks to one folder more per scene."""
    inner = Path(f"scene{scene}") / f"ISO{iso}"
    nested = base / f"{base.name}_scene{scene}" / inner
    return nested if nested.is_dir() else base / inner


def _clip(benchmark: Benchmark, name: str, files: list[Path]) -> PictureClip:
    sensor = benchmark.layout["sensor"]
    black, white = ((float(sensor[level]),) * 4 for level in ("black", "white"))
    mosaic = Mosaic(pattern=sensor["pattern"], black=black, white=white)
    layout = bayer_layout(mosaic, sensor["bits"], sensor["name"])
    reads = [partial(_mosaic, file, benchmark.hint) for file in files]
    height, width = reads[0]().shape
    return pictures(name, layout, (height, width), reads)


def _mosaic(path: Path, hint: str) -> Plane:
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if codes is None or codes.ndim != 2 or codes.dtype != np.uint16:
        raise InputError(f"{path}: is not a 16-bit mosaic.", hint=hint)
    return np.asarray(codes)
