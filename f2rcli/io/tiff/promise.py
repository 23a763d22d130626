"""The pictures that a TIFF file's description promises, where tifffile does not find them there.

Where the list of pages breaks off early, tifffile gives up: it returns the first page alone, or
pages without axes. The pictures that can be found go to the places that the description gives them;
the others are absent. Of ScanImage's files it reads the axes of some only.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import tifffile

from f2rcli.io.tiff.chain import pages_like
from f2rcli.io.tiff.library import DAMAGE, quiet_tifffile

_MOST = 1 << 24  # pictures; a description that promises more is itself damaged
_ENTRIES = (12, 20)  # bytes of a tag in TIFF and BigTIFF
_CHUNK = 1 << 20  # bytes read at a time
_OUTER = 6  # axes of pictures that a description may have


@dataclass(frozen=True, slots=True)
class Promise:
    """An array by its description: a letter and a size per axis, slowest first."""

    axes: str
    shape: tuple[int, ...]
    kind: str  # as tifffile calls it

    def pictures(self, page: Any) -> int:
        """The number of pictures of a page's shape in it; 0 if they do not make it up."""
        share, rest = divmod(prod(self.shape), max(prod(page.shape), 1))
        return 0 if rest or share > _MOST else share


def as_promised(file: tifffile.TiffFile, arrays: list[Any], listed: int) -> list[Any]:
    """A file's arrays, the last with the pictures its description promises; None: missing ones.
    listed: its number of pages."""
    last = arrays[-1]
    promise = _promise(file, last.keyframe)
    if promise is None:
        return arrays
    wanted = promise.pictures(last.keyframe)
    if wanted <= 1 or prod(last.shape) >= prod(promise.shape):
        return arrays
    return [*arrays[:-1], _array(file, last.keyframe, promise, wanted, listed)]


def as_scanned(file: tifffile.TiffFile, array: Any) -> Any:
    """An array of ScanImage's, its channels and volumes told apart, whatever version wrote it.

    Channels alternate page by page; then come the frames of a slice, the slices, the volumes.
    """
    frames = (file.scanimage_metadata or {}).get("FrameData") or {}
    first = file.pages.first
    lines = re.findall(r"(?m)^(?:scanimage\.)?([\w.]+) *= *(.*?)\s*$",
                       f"{first.software}\n{first.description}".replace("\r", "\n"))  # fmt: skip
    said = dict(lines) | {str(name): str(value) for name, value in frames.items()}
    pages = prod(array.shape) // max(prod(first.shape), 1)
    sizes = _scanned(said, pages)
    outer = {axis: size for axis, size in sizes.items() if size > 1}
    if not outer.keys() - {"T"}:
        return array
    shape, axes = (*outer.values(), *first.shape), "".join(outer) + first.axes
    found = [array.pages[place] for place in range(prod(outer.values()))]
    return tifffile.TiffPageSeries(found, shape, array.dtype, axes, kind=array.kind, squeeze=False)


def _scanned(said: dict[str, str], pages: int) -> dict[str, int]:
    """Letters and sizes of the axes that count pages, slowest first.

    said: names and values of a header: `state.acq.` of version 3, `SI4.`, `SI.` from 5 on.
    """

    def number(*names: str) -> int:
        """The first of some values that is a number above 0; 1 without one."""
        values = (said.get(name, "") for name in names)
        return next((int(value) for value in values if value.isdecimal() and int(value)), 1)

    def on(*names: str) -> bool:
        return any(said.get(name, "").lower() in ("1", "true") for name in names)

    saved = next((said[name] for name in _CHANNELS if name in said), "")
    channels = len(re.findall(r"\d+", saved)) or number("state.acq.numberOfChannelsSave")
    fast = on("SI.hFastZ.enable", "SI4.fastZEnable")  # a volume per sweep, flyback frames included
    off = "SI.hStackManager.enable" in said and not on("SI.hStackManager.enable") and not fast
    slices = 1 if off else number(*(_SWEEP if fast else ()), *_SLICES)
    frames = 1 if fast or on("state.acq.averaging") else number(*_FRAMES)
    pages //= channels
    if slices == 1 or pages == 0:
        return {"T": pages, "C": channels}
    frames = min(frames, pages)
    slices = min(slices, pages // frames)
    volumes = pages // (slices * frames)
    if volumes == 1:
        return {"Z": slices, "T": frames, "C": channels}
    return {"T": volumes, "Z": slices, "Q": frames, "C": channels}  # Q: has no name


_CHANNELS = ("SI.hChannels.channelSave", "SI4.channelsSave")
_SWEEP = ("SI.hStackManager.numFramesPerVolumeWithFlyback", "SI.hFastZ.numFramesPerVolume")
_SLICES = ("SI.hStackManager.actualNumSlices", "SI.hStackManager.slicesPerAcq",
           "SI4.stackNumSlices", "state.acq.numberOfZSlices")  # fmt: skip
_FRAMES = ("SI.hStackManager.framesPerSlice", "SI4.acqNumFrames", "state.acq.numberOfFrames")


def _promise(file: tifffile.TiffFile, page: Any) -> Promise | None:
    if page.shaped_description is not None:
        return _of_json(page)
    return _of_imagej(file.imagej_metadata or {}, page) if page.index == 0 else None


def _of_json(page: Any) -> Promise | None:
    """Of tifffile: {"shape": [8, 64, 64], "axes": "TYX"}."""
    with suppress(ValueError, TypeError, AttributeError):
        said = json.loads(page.shaped_description)
        shape = tuple(int(size) for size in said["shape"])
        count = len(shape) - len(page.axes)
        axes = str(said.get("axes") or "")
        if len(axes) != len(shape):
            axes = "Q" * count + page.axes
        if 0 < count <= _OUTER and shape[count:] == tuple(page.shape) and min(shape) > 0:
            return Promise(axes, shape, "shaped")
    return None


def _of_imagej(said: dict[str, Any], page: Any) -> Promise | None:
    """Of ImageJ: images=24 channels=2 slices=3 frames=4."""
    with suppress(ValueError, TypeError):
        sizes = {a: int(said.get(name, 1)) for a, name in _IMAGEJ.items()}
        axes = str(said.get("order", "czt"))[::-1].upper()
        images = int(said.get("images", 1))
        if images == prod(sizes.values()) and sorted(axes) == sorted(sizes):
            letters = [a for a in axes if sizes[a] > 1]
            shape = tuple(sizes[a] for a in letters)
            return Promise("".join(letters) + page.axes, shape + tuple(page.shape), "imagej")
        if images > 1 and prod(sizes.values()) == 1:
            return Promise("I" + page.axes, (images, *page.shape), "imagej")
    return None


_IMAGEJ = {"T": "frames", "Z": "slices", "C": "channels"}


def _array(
    file: tifffile.TiffFile, keyframe: Any, promise: Promise, wanted: int, listed: int
) -> Any:
    pages = pages_like(file, keyframe, min(keyframe.index + wanted, listed))
    after = keyframe.dataoffsets[0] + keyframe.nbytes if len(keyframe.dataoffsets) else 0
    adjacent = len(pages) == 1 or pages[1].dataoffsets[:1] == (after,)
    together = keyframe.is_final and adjacent and promise.kind == "imagej"
    return tifffile.TiffPageSeries(
        [keyframe] if together else pages + [None] * (wanted - len(pages)),
        promise.shape, keyframe.dtype, promise.axes, kind=promise.kind, squeeze=False,
        truncated=together,
    )  # fmt: skip


def unlisted_pages(file: tifffile.TiffFile, listed: int) -> int:
    """Headers behind the listed pages with the first one's width and height: the list ended early.
    Only for files without a description."""
    pages = []
    for index in range(listed):
        with quiet_tifffile(), suppress(*DAMAGE):  # a header that is damaged itself
            pages.append(file.pages[index])
    first = file.pages.first
    width, height = (first.tags.get(code) for code in (256, 257))
    if width is None or height is None:
        return 0
    entry = height.offset - width.offset
    last = max((page.offset for page in pages), default=0) + width.offset - first.offset + 2 * entry
    handle = file.filehandle
    handle.seek(width.offset)
    wanted = handle.read(2 * entry)
    return _occurrences(handle, last, wanted) if entry in _ENTRIES else 0


def _occurrences(handle: Any, start: int, wanted: bytes) -> int:
    handle.seek(start)
    found, before = 0, b""
    while data := handle.read(_CHUNK):
        found += (before + data).count(wanted)
        before = data[-len(wanted) + 1 :]
    return found
