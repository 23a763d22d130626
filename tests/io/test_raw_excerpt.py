"""Hot pixels of a raw burst are the same in an excerpt as in the whole run."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli.frames import Frame, Plane
from f2rcli.io import ReadOptions, open_reader
from f2rcli.samples import defects
from f2rcli.window import LEAD_IN, LEAD_OUT
from tests.io.raw_files import tags

FRAMES, HEIGHT, WIDTH = 108, 64, 96


@pytest.fixture(scope="module")
def burst(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texture that moves by a pixel a frame, and faint hot pixels, half of them since frame 60."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:HEIGHT, : WIDTH + FRAMES]
    scene = 900 + sum(
        60 * np.sin(2 * np.pi * (x * a + y * b) + c) for a, b, c in rng.random((9, 3)) / 3
    )
    hot = rng.permutation(HEIGHT * WIDTH)[:40]
    folder = tmp_path_factory.mktemp("burst")
    for index in range(FRAMES):
        light = scene[:, index : index + WIDTH] + rng.normal(0, 30, (HEIGHT, WIDTH))
        light.flat[hot[: 40 if index >= 60 else 20]] += 300
        codes = np.rint(light).astype(np.uint16)
        path = folder / f"{index:03d}.dng"
        tifffile.imwrite(path, codes, photometric="cfa", metadata=None, extratags=tags())
    return folder


Repaired = list[tuple[Plane, Plane]]  # frames, and the places that were repaired in them


def repaired(source: Path, start: float | None = None, frames: int | None = None) -> Repaired:
    options = ReadOptions(start=start, frames=frames, lead=LEAD_IN, trail=LEAD_OUT)
    with open_reader(source, options) as reader:
        return [_seen(frame) for frame in defects.without_defects(reader) if not frame.context]


def _seen(frame: Frame) -> tuple[Plane, Plane]:
    found = frame.aside[0].repaired if frame.aside else np.zeros(0)
    return frame.planes[0], found


@pytest.fixture(scope="module")
def whole(burst: Path) -> Repaired:
    return repaired(burst)


@pytest.mark.parametrize("start", [26, 97, 99])
def test_an_excerpt_repairs_what_the_whole_run_does(
    burst: Path, whole: Repaired, start: int
) -> None:
    part = repaired(burst, start=start / 25, frames=6)
    there = whole[start : start + 6]
    assert len(part) == 6
    assert sum(places.size for _, places in there) > 20
    for (mine, _), (theirs, _) in zip(part, there, strict=True):
        apart = mine.astype(float) - theirs
        assert float(np.sqrt(np.mean(apart**2))) < 0.3
