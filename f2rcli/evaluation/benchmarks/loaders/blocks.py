"""Raw photographs as SIDD lays them out: blocks of mosaics in MATLAB files.

Blocks are not frames of a video: each is a picture of its own.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.base import Case
from f2rcli.evaluation.benchmarks.benchmark import Benchmark
from f2rcli.evaluation.clips.datasets import PictureClip, file_facts, pictures
from f2rcli.evaluation.clips.matlab import read_array
from f2rcli.frames import Mosaic
from f2rcli.sensor import bayer_layout

WHITE = 65535  # the code of white; the file holds 0..1

BlockCodes = NDArray[np.uint16]  # (pictures, blocks, rows, columns)


def cases(benchmark: Benchmark, root: Path, frames: int | None) -> list[Case]:
    """A case per picture."""
    clean, noisy = (_codes(benchmark, root, benchmark.layout[role]) for role in ("clean", "noisy"))
    if clean.shape != noisy.shape:
        raise benchmark.wrong(root, "the two files hold different numbers of blocks")
    telephones = benchmark.layout["telephones"]
    files = tuple(
        file_facts(role, root / f"{benchmark.layout[role]}.mat") for role in ("clean", "noisy")
    )
    return [
        Case(
            name=f"{index + 1:02d} {telephones[index]}",
            reference=_clip(benchmark, index, clean[index][:frames]),
            noisy=_clip(benchmark, index, noisy[index][:frames]),
            files=files,
        )
        for index in range(len(clean))
    ]


def _codes(benchmark: Benchmark, root: Path, name: str) -> BlockCodes:
    path = root / f"{name}.mat"
    if not path.is_file():
        raise benchmark.wrong(root, f"{path.name} is missing")
    values, most = read_array(path, name), len(benchmark.layout["telephones"])
    if values.ndim != 4 or len(values) > most or values.dtype.kind != "f":
        shape = "x".join(map(str, values.shape))
        raise benchmark.wrong(root, f"{path.name} holds {shape} {values.dtype}, not 40x32x256x256")
    codes: BlockCodes = np.rint(np.clip(values, 0, 1) * WHITE).astype(np.uint16)
    return codes


def _clip(benchmark: Benchmark, index: int, blocks: NDArray[np.uint16]) -> PictureClip:
    pattern = benchmark.layout["patterns"][benchmark.layout["telephones"][index]]
    mosaic = Mosaic(pattern=pattern, black=(0.0,) * 4, white=(float(WHITE),) * 4)
    reads = [partial(np.ascontiguousarray, block) for block in blocks]
    layout, size = bayer_layout(mosaic, 16, "SIDD"), (blocks.shape[1], blocks.shape[2])
    return pictures(f"picture {index + 1}", layout, size, reads, apart=True)
