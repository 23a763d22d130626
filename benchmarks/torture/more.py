"""The other kinds of files that f2r reads: pictures, folders, raw, arrays, weights, settings."""

import json
import shutil
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import tifffile
from children import command, forked
from kills import TAUGHT, briefly, keep_cache_in
from seeds import FRAMES, MEASURE, SIZE, TELL, Seed, of_file, pictures, video

from f2rcli.cli.app import run
from f2rcli.engine.resuming import record
from f2rcli.io.files import file_digest
from f2rcli.io.video.writer import VideoWriter

# Name -> encoder, its pixel format.
VIDEOS = {
    "flv.flv": ("flv", "yuv420p"), "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "wmv2.wmv": ("wmv2", "yuv420p"), "mpeg2.mxf": ("mpeg2video", "yuv420p"),
    "vp9.ivf": ("libvpx-vp9", "yuv420p"), "mpeg4.3gp": ("mpeg4", "yuv420p"),
    "anim.apng": ("apng", "gray"), "raw.h264": ("libx264", "yuv420p"),
    "raw.hevc": ("libx265", "yuv420p"), "mjpeg.avi": ("mjpeg", "yuvj420p"),
}  # fmt: skip
PICTURES = {
    "one.png": ("png", "gray"), "one.jpg": ("mjpeg", "yuvj420p"),
    "one.webp": ("libwebp", "yuv420p"), "one.bmp": ("bmp", "bgr24"),
    "one.tga": ("targa", "bgr24"), "one.ppm": ("ppm", "rgb24"), "one.exr": ("exr", "gbrpf32le"),
    "one.dpx": ("dpx", "rgb24"), "one.jp2": ("jpeg2000", "rgb24"),
}  # fmt: skip
CLIP = "clip.mkv"
WEIGHTS = Path(__file__).parents[2] / "weights"


def more(room: Path) -> list[Seed]:
    """Every other kind that this machine's libraries write."""
    seeds = []
    for names, kind, out, frames in (
        (VIDEOS, "other videos", ".mkv", FRAMES), (PICTURES, "picture", ".png", 1),
    ):  # fmt: skip
        for name, how in names.items():
            seed = of_file(name, out, kind)
            (room / name).mkdir()
            with_encoder = _made(lambda at=room / name / seed.source, how=how, count=frames:
                                 video(at, *how, frames=count))  # fmt: skip
            seeds += [seed] if with_encoder else []
    makers = (_shot, _burst, _pages, _big, _lsm, _pngs, _jpegs, _arrays, _hdf5, _of_a_clip)
    for make in makers:
        seeds += make(room)
    return seeds


def _made(write: Callable[[], None]) -> bool:
    try:
        write()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _folder(room: Path, *names: str) -> Path:
    folder = room.joinpath(*names)
    folder.mkdir(parents=True)
    return folder


def _stills(room: Path, name: str, write: Callable[[Path, Any], object]) -> list[Seed]:
    """A folder of numbered files."""
    suffix = f".{name.rpartition('.')[2]}"
    folder = _folder(room, name, "in")
    for index, picture in enumerate(pictures()):
        write(folder / f"f{index:04d}{suffix}", picture)
    return [Seed(name, "raw" if write is _dng else "folder", "in", "out", f"in/*{suffix}")]


def _pngs(room: Path) -> list[Seed]:
    return _stills(room, "folder.png", lambda path, picture: cv2.imwrite(str(path), picture))


def _jpegs(room: Path) -> list[Seed]:
    return _stills(room, "folder.jpg", lambda path, picture: cv2.imwrite(str(path), picture))


def _pages(room: Path) -> list[Seed]:
    return _stills(
        room, "folder.tif",
        lambda path, picture: tifffile.imwrite(path, picture, compression="deflate"),
    )  # fmt: skip


def _dng(path: Path, picture: Any) -> None:
    """A camera's raw file: a mosaic, and the tags that say so."""
    matrix = [part for value in (3.2, -1.5, -0.5, -1, 1.9, 0.04, 0.05, -0.2, 1.05) for part in
              (round(value * 10000), 10000)]  # fmt: skip
    tags = [
        (50706, 1, 4, b"\1\4\0\0", True), (50708, 2, 0, "Foo Bar", True),
        (33421, 3, 2, (2, 2), True), (33422, 1, 4, b"\0\1\1\2", True),
        (50710, 1, 3, b"\0\1\2", True), (50711, 3, 1, 1, True), (50714, 3, 1, 64, True),
        (50717, 3, 1, 4095, True), (50721, 10, 9, matrix, True), (50778, 3, 1, 21, True),
        (50728, 5, 3, (5263, 10000, 1, 1, 6250, 10000), True), (34855, 3, 1, 800, True),
    ]  # fmt: skip
    values = picture.astype(np.uint16) * 8 + 64
    tifffile.imwrite(path, values, photometric="cfa", metadata=None, extratags=tags)


def _shot(room: Path) -> list[Seed]:
    _dng(_folder(room, "one.dng") / "in.dng", pictures()[0])
    return [of_file("one.dng", ".dng", "raw")]


def _burst(room: Path) -> list[Seed]:
    return _stills(room, "folder.dng", _dng)


def _big(room: Path) -> list[Seed]:
    path = _folder(room, "big.btf") / "in.btf"
    tifffile.imwrite(path, pictures(), bigtiff=True, photometric="minisblack", compression="zlib")
    return [of_file("big.btf", ".tif", "TIFF")]


def _lsm(room: Path) -> list[Seed]:
    """A stack of Zeiss: a structure of its own, and a small copy behind every page."""
    facts = (67127628, 500, SIZE, SIZE, 1, 1, FRAMES, 2, 8, 8, 1e-7, 1e-7, 5e-7, 0.0, 0.0, 0.0, 3)
    info = struct.pack("<IiiiiiiiiiddddddH", *facts).ljust(500, b"\0")
    form: dict[str, Any] = {"photometric": "minisblack", "metadata": None, "contiguous": False}
    with tifffile.TiffWriter(_folder(room, "zeiss.lsm") / "in.lsm") as writer:
        for number, page in enumerate(pictures()):
            tags = [(34412, 1, 500, info, True)] if not number else []
            writer.write(page, extratags=tags, **form)
            writer.write(page[::2, ::2], subfiletype=1, **form)
    return [of_file("zeiss.lsm", ".lsm", "TIFF")]


def _arrays(room: Path) -> list[Seed]:
    """OME-Zarr of both versions."""
    if not find_spec("zarr"):
        return []
    import zarr

    seeds = []
    for version in (2, 3):
        name = f"zarr{version}"
        group = zarr.open_group(_folder(room, name) / "in.zarr", mode="w", zarr_format=version)
        group.create_array("0", data=pictures(), chunks=(1, SIZE, SIZE))
        axes = [{"name": "t", "type": "time"}] + [{"name": a, "type": "space"} for a in "yx"]
        scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
        told = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}],
                 "version": "0.4"}]  # fmt: skip
        group.attrs.update({"ome": {"version": "0.5", "multiscales": told}} if version == 3
                           else {"multiscales": told})  # fmt: skip
        seeds.append(Seed(name, "OME-Zarr", "in.zarr", "out.ome.tif", "in.zarr/**/*"))
    return seeds


def _hdf5(room: Path) -> list[Seed]:
    if not find_spec("h5py"):
        return []
    import h5py

    with h5py.File(_folder(room, "array.h5") / "in.h5", "w") as file:
        chunks = {"chunks": (1, SIZE, SIZE), "compression": "gzip", "fletcher32": True}
        file.create_dataset("movie", data=pictures(), **chunks)
    return [Seed("array.h5", "HDF5", "in.h5", "out.ome.tif", "in.h5")]


def _of_a_clip(room: Path) -> list[Seed]:
    """A whole clip, beside which something else is damaged."""
    seeds = [
        Seed("weights", "weights", CLIP, "out.mkv", "*.safetensors",
             ("--method", "udvd", "--weights", "in.safetensors")),
        Seed("record", "record", CLIP, "out.mkv", ".out.mkv.resume/*", wanted="wanted.mkv"),
        Seed("fitted", "fitted weights", CLIP, "out.mkv", "cache/f2r/adapted/*",
             ("--adapt",), wanted="wanted.mkv"),
        Seed("training", "checkpoint", CLIP, "my.safetensors", "my.run/*.safetensors",
             wanted="wanted.safetensors",
             words=("train", "--resume", "-o", "my.safetensors")),
    ]  # fmt: skip
    for seed in seeds:
        video(_folder(room, seed.name) / CLIP, "ffv1", "yuv420p")
    shutil.copy(WEIGHTS / "udvd_rgb_small.safetensors", room / "weights" / "in.safetensors")
    return seeds


def prepare(room: Path) -> None:
    """Run the commands that make what some seeds consist of."""
    command(["denoise", CLIP, "-o", "wanted.mkv", *TELL], room / "record")
    forked(_left_behind, room / "record")
    _fitted(room / "fitted")
    command(["train", CLIP, "-o", "my.safetensors", *TAUGHT], room / "training")
    (room / "training" / "my.safetensors").rename(room / "training" / "wanted.safetensors")


def _fitted(folder: Path) -> None:
    """Weights in the cache as if fitted: the bundled ones, a run's fallback."""
    words = ["denoise", CLIP, "-o", "wanted.mkv", *MEASURE, "--adapt"]
    command(words, folder, ready=lambda: in_cache(folder))
    for account in folder.glob("cache/f2r/adapted/*.json"):
        bundled = WEIGHTS / "f2r_rgb_small.safetensors"
        shutil.copy(bundled, account.with_suffix(".safetensors"))
        account.write_text(json.dumps({"sha256": file_digest(bundled)}))


def in_cache(folder: Path) -> None:
    """From now on this process keeps fitted weights in a folder, and fits them with few steps."""
    keep_cache_in(folder)
    briefly()


def _left_behind() -> int:
    """A run that ends amid its clip, and leaves its record."""
    record.FIRST, record.SHARE = -1.0, 1e9  # a state after every frame that has one
    write, written = VideoWriter.write, []

    def five(self: VideoWriter, frame: Any) -> None:
        if len(written) == FRAMES - 3:
            raise KeyboardInterrupt
        written.append(frame)
        write(self, frame)

    VideoWriter.write = five  # type: ignore[method-assign]
    return run(["denoise", CLIP, "-o", "out.mkv", *TELL])
