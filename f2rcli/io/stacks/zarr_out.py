"""OME-Zarr output: one image with its levels, each half the size of the one before.

Version 0.4 in Zarr 2, which every program for OME-Zarr reads.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import OutputError, UsageError
from f2rcli.frames import Plane
from f2rcli.io.files import PartFolder, check_place, exists_error
from f2rcli.io.stacks.library import is_zarr, package
from f2rcli.io.stacks.metadata import PROVENANCE, SOURCE, Facts, Metadata, colour_of
from f2rcli.io.stacks.stack import Series, Stack
from f2rcli.io.stacks.tiff_out import Output, StackOutput, shrunk

_ORDER = "TCZYX"  # of axes: time, channels, space (specification 0.4, "axes" metadata)
_CHUNK = 1024  # pixels a side of a chunk at most
_SMALLEST = 256  # pixels a side at most, of the last level


def check_zarr_target(target: Path, sources: list[Path], *, overwrite: bool) -> None:
    """Raise for a target that cannot be written, or that f2r does not replace."""
    package("zarr", f"{target.name}: writing OME-Zarr", UsageError)
    check_place(target, sources)
    if target.exists() and not overwrite:
        raise exists_error(target)
    if target.exists() and not is_zarr(target):
        what = f"{target.name}: is not a Zarr folder; f2r does not replace it."
        raise OutputError(what, hint="Choose another name with output=.")


def arranged(series: Series, target: Path) -> Series:
    """A series in OME-Zarr's order of axes, colours as channels. Raises UsageError for others."""
    if not set(series.axes) <= set(_ORDER + "S") or {"C", "S"} <= set(series.axes):
        what = f"{target.name}: OME-Zarr has no place for the axes {series.axes}."
        raise UsageError(what, hint="Name an .ome.tif file with output=.")
    sizes = replace(series, axes=series.axes.replace("S", "C")).sizes
    axes = "".join(axis for axis in _ORDER if axis in sizes)
    return replace(series, axes=axes, shape=tuple(sizes[axis] for axis in axes))


def zarr_metadata(said: Metadata, series: Series) -> Metadata:
    """The part of metadata that OME-Zarr holds, for the axes of a series (see `arranged`)."""
    channels: list[Facts] = [{k: c[k] for k in ("Name", "Color") if k in c} for c in said.channels]
    count = series.sizes.get("C", 1)
    return Metadata(
        sizes={axis: size for axis, size in said.sizes.items() if axis in series.axes},
        relative={axis: size for axis, size in said.relative.items() if axis in series.axes},
        interval=said.interval if "T" in series.axes else None,
        channels=channels if len(channels) == count and any(channels) else [],
        own=said.own,
    )


class PartTree(PartFolder):
    """A folder with folders in it, that takes its target's place as a whole."""

    place = staticmethod(lambda target: target.with_name(f".{target.name}.part"))

    def _begin(self) -> None:
        # Finish what a run did not that was killed while it published.
        if not self.target.exists() and self._before.exists():
            os.replace(self._before, self.target)
        shutil.rmtree(self._before, ignore_errors=True)
        super()._begin()

    @property
    def _before(self) -> Path:
        """What was at the target, while the new folder takes its place."""
        return self.path.with_name(f"{self.path.name}.old")

    def _join(self, folder: Path) -> None:
        if not self.overwrite:  # it appeared during the run
            raise exists_error(folder)
        os.replace(folder, self._before)
        os.replace(self.path, folder)
        shutil.rmtree(self._before, ignore_errors=True)  # it is out of the way at any rate


class ZarrOutput(StackOutput):
    """A folder of arrays."""

    part = PartTree
    container, codec = "ome-zarr", "zstd"

    def __init__(self, stack: Stack, outputs: Sequence[Output], target: Path) -> None:
        if len(outputs) > 1:
            raise UsageError(
                f"{target.name}: OME-Zarr holds one image, {stack.name} has {len(outputs)} series.",
                hint="Choose one with series=.",
            )
        whole = outputs[0]
        self.arranged = arranged(whole.series, target)
        output = replace(whole, metadata=zarr_metadata(whole.metadata, self.arranged))
        super().__init__(stack, [output], target)
        self.stored = [self.arranged]
        words = output.metadata.words()
        self.kept = list(words)
        self.kept += ["its own metadata in whole, as an attribute"] if output.metadata.own else []
        self.lost = [word for word in whole.metadata.words() if word not in words]
        self.notes = ["colours become channels"] if "S" in whole.series.axes else []
        self.series, self.metadata = output.series, output.metadata
        self.name = self.series.name or stack.name
        size = (self.series.height, self.series.width)
        self.sizes = [size]
        while max(size) > _SMALLEST and min(size) > 1:
            size = (size[0] // 2, size[1] // 2)
            self.sizes.append(size)

    def begin(self, path: Path, provenance: str) -> None:
        super().begin(path, provenance)
        zarr = package("zarr", "writing OME-Zarr", UsageError)
        group = zarr.open_group(str(path), mode="w", zarr_format=2)
        outer = self.arranged.shape[:-2]
        self.levels = [
            group.create_array(
                str(number), shape=(*outer, *size), dtype=self.arranged.dtype,
                chunks=(*(1 for _ in outer), *(min(side, _CHUNK) for side in size)),
                chunk_key_encoding={"name": "v2", "separator": "/"},
            ) for number, size in enumerate(self.sizes)
        ]  # fmt: skip
        attributes = self._attributes()
        if self.metadata.own:
            attributes[SOURCE] = self.metadata.own
        if provenance:
            attributes[PROVENANCE] = provenance
        group.attrs.update(attributes)

    def put(self, number: int, index: int, picture: Plane) -> None:
        planes = [picture] if picture.ndim == 2 else list(np.moveaxis(picture, -1, 0))
        for place, plane in zip(self._places(index), planes, strict=True):
            for level, size in zip(self.levels, self.sizes, strict=True):
                level[place] = shrunk(plane, size)

    def read(self, written: Stack, number: int, index: int) -> Plane:
        planes = [np.asarray(self.levels[0][place]) for place in self._places(index)]
        return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)

    def _places(self, index: int) -> list[tuple[int, ...]]:
        """The place in the arrays of each sample of a picture: colours are channels."""
        at = self.series.at(index)
        every = [at] if self.series.samples == 1 else [
            at | {"C": sample} for sample in range(self.series.samples)
        ]  # fmt: skip
        return [tuple(one[axis] for axis in self.arranged.axes[:-2]) for one in every]

    def _attributes(self) -> dict[str, Any]:
        """The attributes of version 0.4: axes with units, the scale of each level, channels."""
        said, letters = self.metadata, self.arranged.axes
        units = {axis: {"unit": "micrometer"} for axis in said.sizes}
        units |= {"T": {"unit": "second"}} if said.interval is not None else {}
        kinds = {axis: {"name": axis.lower(), "type": "space"} for axis in letters}
        kinds |= {"T": {"name": "t", "type": "time"}, "C": {"name": "c", "type": "channel"}}
        axes = [kinds[axis] | units.get(axis, {}) for axis in letters]
        steps = {**said.relative, **said.sizes, "T": said.interval or 1.0}
        datasets = []
        for number, size in enumerate(self.sizes):
            grown = {"Y": self.series.height / size[0], "X": self.series.width / size[1]}
            scale = [float(steps.get(axis, 1.0)) * grown.get(axis, 1.0) for axis in letters]
            transforms = [{"type": "scale", "scale": scale}]
            datasets.append({"path": str(number), "coordinateTransformations": transforms})
        scales = {"version": "0.4", "name": self.name, "axes": axes, "datasets": datasets,
                  "type": "mean"}  # fmt: skip
        found: dict[str, Any] = {"multiscales": [scales]}
        if said.channels:
            dtype: Any = self.series.dtype
            high = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
            window = {"min": 0, "max": high, "start": 0, "end": high}
            found["omero"] = {"channels": [
                {"label": str(one.get("Name", "")), "color": (colour_of(one) or "ffffff").upper(),
                 "active": True, "window": window} for one in said.channels
            ]}  # fmt: skip
        return found
