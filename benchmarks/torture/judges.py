"""Second opinions on files: other libraries alone, without any code of f2r."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import tifffile
from children import forked

STACKS = (".tif", ".tiff", ".dng", ".btf", ".lsm")
RUINED = 25.0  # codes of 8 bits: RMS change that no noise of the seeds (8 codes) explains


def frames(path: Path, folder: Path) -> int | None:
    """The number of frames another reader finds in a file or folder, in a child; None for none."""
    return _asked(lambda: sum(page is not None for page in _pages(path)), folder)


def untouched(before: Path, after: Path, folder: Path) -> tuple[int, int]:
    """Of readable pictures with some noise: how many are unchanged, and how many changed."""

    def count() -> int:
        pairs = zip(_pages(before), _pages(after), strict=False)
        same = [np.array_equal(one, other) for one, other in pairs if _noisy(one)]
        return sum(same) << 16 | len(same) - sum(same)

    return divmod(_asked(count, folder) or 0, 1 << 16)


def ruined(before: Path, after: Path, folder: Path) -> int:
    """The number of pictures that differ by more than noise."""

    def count() -> int:
        pairs = zip(_pages(before), _pages(after), strict=False)
        return sum(float(np.std(_gray(one) - _gray(other))) > RUINED for one, other in pairs)

    return _asked(count, folder) or 0


def lossless(path: Path) -> bool:
    """Whether pictures that did not change can be told by their samples."""
    return path.is_dir() or path.suffix in (*STACKS, ".h5")


def _noisy(page: Any) -> bool:
    return page is not None and page.size > 0 and bool(np.any(page != page.flat[0]))


def _gray(frame: Any) -> Any:
    return frame.to_ndarray(format="gray").astype(float)


def _asked(count: Callable[[], int], folder: Path) -> int | None:
    """A number that another reader finds, in a child; None where it fails."""
    report = folder.parent / "judge.json"
    report.unlink(missing_ok=True)

    def work() -> int:
        report.write_text(json.dumps(int(count())))
        return 0

    ended = forked(work, folder)
    return int(json.loads(report.read_text())) if ended.code == 0 else None


def _pages(path: Path) -> list[Any]:
    """Every picture in its place; None for one that cannot be read."""
    reader = _zarr if path.suffix == ".zarr" else READERS.get(path.suffix, _video)
    if path.is_dir() and path.suffix != ".zarr":
        return [next(iter(_pages(file)), None) for file in sorted(path.glob("f*"))]
    found: list[Any] = []
    with contextlib.suppress(Exception):  # what comes then cannot be read
        found.extend(reader(path))
    return found


def _video(path: Path) -> Iterator[Any]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        for packet in container.demux(video):
            with contextlib.suppress(av.FFmpegError):
                yield from packet.decode()


def _tiff(path: Path) -> Iterator[Any]:
    with tifffile.TiffFile(path) as file:  # the list may break off
        for page in file.pages:
            if not page.subfiletype & 1:  # a small copy stays as it is
                yield _tried(page.asarray)


def _zarr(path: Path) -> Iterator[Any]:
    import zarr

    array: Any = zarr.open_group(path, mode="r")["0"]
    for index in range(array.shape[0]):
        yield _tried(lambda index=index: array[index])


def _hdf5(path: Path) -> Iterator[Any]:
    import h5py

    with h5py.File(path) as file:
        array: Any = file["movie"]
        for index in range(array.shape[0]):
            yield _tried(lambda index=index: array[index])


def _nd2(path: Path) -> Iterator[Any]:
    import nd2

    with nd2.ND2File(path) as file:
        for index in range(len(file.loop_indices)):
            frame = _tried(lambda index=index: file.read_frame(index))
            yield from [None] if frame is None else frame.reshape(-1, *frame.shape[-2:])


def _lif(path: Path) -> Iterator[Any]:
    """Of the first image, as f2r reads it with --series 1."""
    import liffile

    with liffile.LifFile(path) as file:
        values = file.images[0].asarray()
        yield from values.reshape(-1, *values.shape[-2:])


def _czi(path: Path) -> Iterator[Any]:
    import czifile

    with czifile.CziFile(path) as file:
        values = file.asarray()[..., 0]
        yield from values.reshape(-1, *values.shape[-2:])


def _tried(read: Callable[[], Any]) -> Any:
    """None whatever fails: that picture cannot be read."""
    with contextlib.suppress(Exception):
        return read()
    return None


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    **dict.fromkeys(STACKS, _tiff), ".zarr": _zarr, ".h5": _hdf5, ".nd2": _nd2, ".lif": _lif,
    ".czi": _czi,
}  # fmt: skip
