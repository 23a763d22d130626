"""An array and the same stack in a file give the same samples, whatever door they come through."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

import f2rcli
from f2rcli.cli.app import run
from f2rcli.engine import dim, stream
from f2rcli.io import open_reader
from f2rcli.io.base import read_provenance
from tests.video import write_video

FRAMES, SIDE = 4, 40


def light(channels: int = 1) -> NDArray[np.float64]:
    """A drifting ramp with a bright spot (T, H, W, channels), 5 to 45 photons."""
    ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)) % 40 + 5.0
    moved = np.stack([np.roll(ramp, 2 * number, 1) for number in range(FRAMES)])
    return np.stack([np.roll(moved, 5 * channel, 2) for channel in range(channels)], axis=-1)


def counts(dtype: str, gain: float, offset: float, channels: int = 1) -> NDArray[Any]:
    photons = np.random.default_rng(0).poisson(light(channels)).astype(np.float64)
    codes = offset + gain * photons
    rounded = codes if np.dtype(dtype).kind == "f" else np.rint(codes)
    return rounded.astype(dtype)


def uint16() -> NDArray[np.uint16]:
    """Counts with a hot pixel and a saturated corner."""
    stack = counts("u2", 6, 100)[..., 0]
    stack[:, 20, 9] = 4000
    stack[:, :6, :6] = 4095
    return stack


def few_photons() -> NDArray[np.uint16]:
    """Counts that are restored in sums of frames."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    still = 1 + 0.8 * np.sin(columns / 3) * np.cos(rows / 4)
    photons = np.random.default_rng(1).poisson(np.repeat(still[None], 8, 0))
    return (100 + 8 * photons).astype(np.uint16)


STACKS: dict[str, tuple[NDArray[Any], str]] = {
    "uint16": (uint16(), "TYX"),
    "uint8": (counts("u1", 4, 10)[..., 0], "TYX"),
    "float32": (counts("f4", 0.02, -0.3)[..., 0], "TYX"),
    "uint8 rgb": (counts("u1", 4, 10, 3), "TYXS"),
    "a photon or two": (few_photons(), "TYX"),
    "two channels": (np.moveaxis(counts("u2", 6, 100, 2), 3, 1), "TCYX"),
}


def by_command(stack: NDArray[Any], axes: str, folder: Path, *options: str) -> NDArray[Any]:
    """What `f2r denoise` makes of a stack in a TIFF file."""
    source, target = folder / "stack.tif", folder / "clean.tif"
    colour = "rgb" if "S" in axes else "minisblack"
    tifffile.imwrite(source, stack, photometric=colour, metadata={"axes": axes})
    assert run(["denoise", str(source), "-o", str(target), "-q", *options]) == 0
    done: NDArray[Any] = tifffile.imread(target)
    return done


@pytest.mark.parametrize("kind", STACKS)
def test_an_array_gives_what_the_command_gives_byte_for_byte(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of few photons by sums of frames, through both."""
    sums = []
    monkeypatch.setattr(
        stream, "restored_in_sums", lambda *given: sums.append(1) or dim.restored_in_sums(*given)
    )
    stack, axes = STACKS[kind]
    by_file = by_command(stack, axes, tmp_path)
    guessed = axes in ("TYX", "TYXS")
    by_array = f2rcli.denoise(stack) if guessed else f2rcli.denoise(stack, axes=axes)
    assert by_array.dtype == stack.dtype
    assert by_array.tobytes() == by_file.tobytes()
    assert not np.array_equal(by_array, stack)
    assert len(sums) == (2 if kind == "a photon or two" else 0)


def test_colours_of_eight_bits_are_restored_as_those_of_a_film(tmp_path: Path) -> None:
    """Strong noise cut off at white makes a bright picture darker; counts would keep that mean. Of
    so small a picture 0.2 to 0.4 of it is left, as chance has it."""
    rng = np.random.default_rng(0)
    clean = np.repeat(235 - 40 * (light()[..., :1] > 30), 3, -1)
    stack = (clean + rng.normal(0, 45, clean.shape)).clip(0, 255).astype(np.uint8)
    film = write_video(tmp_path / "film.mkv", stack, "bgr0")
    done = tmp_path / "done.mkv"
    assert run(["denoise", str(film), "-o", str(done), "-q", "--lossless"]) == 0
    with av.open(str(done)) as container:
        by_file = [one.to_ndarray(format="rgb24") for one in container.decode(video=0)]
    by_array = f2rcli.denoise(stack)
    assert abs(by_array.mean() - clean.mean()) < 0.5 * abs(stack.mean() - clean.mean())
    assert by_array.tobytes() == np.stack(by_file).tobytes()


def test_a_file_tells_how_it_was_made_through_either_door(tmp_path: Path) -> None:
    pictures, told = STACKS["uint8"][0][:3], []
    source = write_video(tmp_path / "clip.mkv", pictures, "gray", given="gray")
    f2rcli.denoise(source, tmp_path / "a.mkv", sigma=8.0)
    assert run(["denoise", str(source), "-o", str(tmp_path / "b.mkv"), "-q", "--sigma", "8"]) == 0
    for name in ("a.mkv", "b.mkv"):
        with open_reader(tmp_path / name) as reader:
            told.append(read_provenance(reader))
    assert told[0] == told[1]
    assert told[0] is not None
    assert told[0]["settings"] == {"sigma": 8.0}
