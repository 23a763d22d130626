"""SIDD's validation blocks in raw: 40 pictures of five telephones, 32 blocks of each."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.base import Benchmark, Case
from f2rcli.evaluation.clips.datasets import (
    Layout,
    Pictures,
    file_facts,
    pictures,
    published,
    refuse_noise,
)
from f2rcli.evaluation.clips.matlab import read_array
from f2rcli.evaluation.result import BenchmarkFacts
from f2rcli.frames import Mosaic, Plane
from f2rcli.sensor import bayer_layout

SHAPE = (40, 32, 256, 256)  # pictures, blocks, rows, columns
TOP = 65535  # codes of white; the file holds 0..1
NOISY, CLEAN = "ValidationNoisyBlocksRaw", "ValidationGtBlocksRaw"

# The telephone of each picture, in the order of the file, and how its sensor is laid out.
PATTERNS = {"GP": "BGGR", "IP": "RGGB", "S6": "GRBG", "N6": "BGGR", "G4": "BGGR"}
TELEPHONES = (
    "S6", "GP", "N6", "G4", "IP", "GP", "IP", "G4", "N6", "S6", "N6", "G4", "S6", "GP",
    "IP", "N6", "G4", "S6", "GP", "IP", "N6", "G4", "S6", "GP", "IP", "N6", "G4", "S6",
    "GP", "IP", "N6", "G4", "S6", "GP", "IP", "N6", "G4", "S6", "GP", "IP",
)  # fmt: skip

LAYOUT = Layout(
    expects=f"{NOISY}.mat and {CLEAN}.mat",
    where="the authors publish SIDD's validation data at www.eecs.yorku.ca/~kamel/sidd",
)


class SIDD:
    """The validation blocks; a `Benchmark`. Blocks are no frames: each is a picture by itself."""

    name = "sidd"
    title = "SIDD validation, raw"
    metrics: tuple[str, ...] = ("psnr", "ssim")
    clipped = True
    frames: int | None = None

    def cases(self, root: Path, noises: tuple[str, ...], frames: int | None = None) -> list[Case]:
        """See Benchmark. frames: fewer blocks of each picture than 32."""
        refuse_noise(self.name, noises)
        LAYOUT.check(root)
        blocks = {}
        for name in (NOISY, CLEAN):
            path = root / f"{name}.mat"
            if not path.is_file():
                raise LAYOUT.wrong(root, f"{path.name} is missing")
            blocks[name] = self._codes(root, path, name)
        if blocks[NOISY].shape != blocks[CLEAN].shape:
            raise LAYOUT.wrong(root, "the two files hold different numbers of blocks")
        files = tuple(
            file_facts(role, root / f"{name}.mat")
            for role, name in (("clean", CLEAN), ("noisy", NOISY))
        )
        return [
            Case(
                name=f"{index + 1:02d} {TELEPHONES[index]}",
                reference=_clip(index, blocks[CLEAN][index][:frames]),
                noisy=_clip(index, blocks[NOISY][index][:frames]),
                files=files,
            )
            for index in range(len(blocks[NOISY]))
        ]

    def _codes(self, root: Path, path: Path, name: str) -> NDArray[np.uint16]:
        values = read_array(path, name)
        if values.ndim != 4 or len(values) > SHAPE[0] or values.dtype.kind != "f":
            shape = "x".join(map(str, values.shape))
            raise LAYOUT.wrong(root, f"{path.name} holds {shape} {values.dtype}, not 40x32x256x256")
        codes: NDArray[np.uint16] = np.rint(np.clip(values, 0, 1) * TOP).astype(np.uint16)
        return codes

    def facts(self, cases: list[Case]) -> BenchmarkFacts:
        """See Benchmark."""
        sizes = [c.reference.info.frames for c in cases if isinstance(c.reference, Pictures)]
        return BenchmarkFacts(
            name=self.name,
            title=self.title,
            protocol=(
                "40 pictures of five telephones, 32 blocks of 256x256 of each, one by one: no "
                "method sees more than one block.",
                "Normalised mosaics, black 0, white 1, held and written with 16 bits.",
                "PSNR and SSIM of the four packed planes, no border cut; mean over a picture's "
                "blocks, then over pictures.",
            ),
            complete=sizes == [SHAPE[1]] * SHAPE[0],
            published=published(self.name),
        )


def _clip(index: int, blocks: NDArray[np.uint16]) -> Pictures:
    pattern = PATTERNS[TELEPHONES[index]]
    mosaic = Mosaic(pattern=pattern, black=(0.0,) * 4, white=(float(TOP),) * 4)
    layout = bayer_layout(mosaic, 16, "SIDD")
    size = (blocks.shape[1], blocks.shape[2])
    reads = [partial(_block, blocks, number) for number in range(len(blocks))]
    return pictures(f"picture {index + 1}", layout, size, reads, apart=True)


def _block(blocks: NDArray[np.uint16], number: int) -> Plane:
    return np.ascontiguousarray(blocks[number])


BENCHMARK: Benchmark = SIDD()
