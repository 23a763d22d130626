"""Stacks made on the spot: arrays, files of many kinds, and a denoiser that knows no frames."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from f2rcli.io import ReadOptions, Receipt, WriteOptions, open_reader
from tests.io.through import copied

Array = NDArray[Any]


def movie(shape: tuple[int, ...], dtype: str = "u2", seed: int = 0) -> Array:
    """Noise around a gradient, offset and negative where the dtype allows it."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(20, 180, shape[-1])
    values = ramp + rng.normal(0, 12, shape) - (90 if np.dtype(dtype).kind != "u" else 0)
    low = 0 if np.dtype(dtype).kind == "u" else -4e3
    return np.clip(values, low, 255).astype(dtype)


def smoothed(plane: Array) -> Array:
    """What stands for denoising: means of three samples along a row, rounded to the dtype."""
    wide = plane.astype(np.float64)
    wide[:, 1:-1] = (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3
    return (
        wide.astype(plane.dtype) if plane.dtype.kind == "f" else np.rint(wide).astype(plane.dtype)
    )


def each_smoothed(array: Array) -> Array:
    """The same for every plane (..., Y, X)."""
    planes = array.reshape(-1, *array.shape[-2:])
    return np.stack([smoothed(plane) for plane in planes]).reshape(array.shape)


def passed(source: Path, target: Path, change: bool, **options: Any) -> Receipt:
    """A stack through reader and writer, smoothed or as it is, of which nothing is lost."""
    receipt = written(source, target, change, **options)
    assert not receipt.lost
    return receipt


def written(
    source: Path, target: Path, change: bool = True, overwrite: bool = False, **options: Any
) -> Receipt:
    """A stack through reader and writer, smoothed or as it is."""
    with open_reader(source, ReadOptions(**options)) as reader:
        return copied(reader, target, WriteOptions(overwrite=overwrite), *[smoothed] * change)


def write_kind(kind: str, path: Path) -> Array:
    """A small stack of a kind; returns it as tifffile reads it."""
    array, options = KINDS[kind]
    if kind == "one page holds all":  # as ImageJ writes beyond 4 GB
        with tifffile.TiffWriter(path, imagej=True) as writer:
            writer.write(array, truncate=True, metadata={"axes": "TCYX"})
    elif kind == "pages without metadata":
        with tifffile.TiffWriter(path) as writer:
            for page in array:
                writer.write(page, metadata=None, contiguous=False)
    else:
        tifffile.imwrite(path, array, **options)
    return tifffile.imread(path)


GRAY = {"photometric": "minisblack"}
KINDS: dict[str, tuple[Array, dict[str, Any]]] = {
    "plain u16": (movie((6, 20, 30)), GRAY | {"metadata": {"axes": "TYX"}}),
    "pages without metadata": (movie((5, 20, 30)), {}),
    "u8 deflate": (movie((5, 20, 30), "u1"), GRAY | {"compression": "zlib"}),
    "big endian": (movie((5, 20, 30)), GRAY | {"byteorder": ">"}),
    "int16": (movie((5, 20, 30), "i2"), GRAY | {"metadata": {"axes": "TYX"}}),
    "uint32": (movie((5, 20, 30), "u4"), GRAY | {"metadata": {"axes": "TYX"}}),
    "float32 predictor": (movie((4, 20, 30), "f4"), GRAY | {"compression": "lzma"}),
    "float64": (movie((4, 20, 30), "f8"), GRAY),
    "float16 big endian": (movie((4, 20, 30), "f2"), GRAY | {"byteorder": ">"}),
    "tiles": (movie((4, 40, 50)), GRAY | {"tile": (16, 32)}),
    "tiles deflate predictor": (
        movie((4, 40, 50)), GRAY | {"tile": (32, 16), "compression": "zlib", "predictor": True}
    ),
    "strips": (movie((4, 20, 30)), GRAY | {"rowsperstrip": 7, "compression": "zlib"}),
    "lzw predictor": (
        movie((4, 20, 30)), GRAY | {"compression": "lzw", "predictor": True, "rowsperstrip": 8}
    ),
    "packbits": (movie((3, 20, 30)) // 16, GRAY | {"compression": "packbits"}),
    "zstd float predictor": (
        movie((3, 20, 30), "f4"), GRAY | {"compression": "zstd", "predictor": True}
    ),
    "bigtiff": (movie((4, 20, 30)), GRAY | {"bigtiff": True}),
    "imagej tzcyx": (
        movie((4, 3, 2, 20, 30)),
        {
            "imagej": True,
            "resolution": (3.5, 3.5),
            "metadata": {
                "axes": "TZCYX", "unit": "um", "spacing": 0.5, "finterval": 0.2,
                "Labels": [f"plane {i}" for i in range(24)],
                "LUTs": [np.arange(768, dtype=np.uint8).reshape(3, 256)] * 2,
            },
        },
    ),
    "one page holds all": (movie((5, 2, 20, 30)), {}),
    "ome tczyx": (
        movie((4, 2, 3, 20, 30)),
        {
            "ome": True,
            "metadata": {
                "axes": "TCZYX", "PhysicalSizeX": 0.2, "TimeIncrement": 0.05,
                "TimeIncrementUnit": "s", "Channel": {"Name": ["green", "red"]},
            },
        },
    ),
    "ome ctyx": (movie((2, 5, 20, 30)), {"ome": True, "metadata": {"axes": "CTYX"}}),
    "rgb": (
        movie((4, 20, 30, 3), "u1"), {"photometric": "rgb", "metadata": {"axes": "TYXS"}}
    ),
    "rgb16 planes": (
        movie((4, 3, 20, 30)),
        {"photometric": "rgb", "planarconfig": "separate", "metadata": {"axes": "TSYX"}},
    ),
}  # fmt: skip
