"""Hot pixels of a raw burst are the same in an excerpt as in the whole run."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli.cli.app import run
from f2rcli.errors import EXIT_FAILURE, EXIT_OK
from f2rcli.frames import Plane
from f2rcli.io import ReadOptions, open_reader, raw
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


def shown(source: Path, start: float | None = None, frames: int | None = None) -> list[Plane]:
    options = ReadOptions(start=start, frames=frames, lead=LEAD_IN, trail=LEAD_OUT)
    with open_reader(source, options) as reader:
        return [frame.planes[0] for frame in reader if not frame.context]


@pytest.fixture(scope="module")
def whole(burst: Path) -> list[Plane]:
    return shown(burst)


def test_the_same_pixels_are_repaired_everywhere_and_told(burst: Path, whole: list[Plane]) -> None:
    with open_reader(burst) as reader:
        stored = [frame.source.place[1] for frame in reader]
        (line,) = (one for one in reader.ledger.lines() if "hot" in one)
    changed = [np.flatnonzero(a != b).tolist() for a, b in zip(stored, whole, strict=True)]
    assert len(set().union(*changed)) > 3
    assert line.startswith(f"{len(set().union(*changed))} pixels are hot or dead in every frame")


@pytest.mark.parametrize("start", [26, 97, 99])
def test_an_excerpt_repairs_what_a_run_does(burst: Path, whole: list[Plane], start: int) -> None:
    part = shown(burst, start=start / 25, frames=6)
    assert len(part) == 6
    for mine, theirs in zip(part, whole[start : start + 6], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_look_at_a_burst_reads_a_few_of_its_exposures(
    burst: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`f2r info` had read the 33 that a run looks for hot pixels in."""
    read, known = list[Path](), raw.read_raw

    def noted(path: Path) -> object:
        read.append(path)
        return known(path)

    monkeypatch.setattr(raw, "read_raw", noted)
    assert run(["info", str(burst)]) == EXIT_OK
    assert "108 frames" in capsys.readouterr().out
    assert len(set(read)) < 20


def test_facts_precede_missing_networks(burst: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(burst), "--method", "fitvnet"]) == EXIT_FAILURE
    told = capsys.readouterr()
    assert "108 frames" in told.out
    assert "error: no bundled weights for method fitvnet and bayer pictures." in told.err
