"""OME-Zarr output: one image with its levels, each half the size of the one before.

Version 0.4 in Zarr 2, which most programs read; 0.5 in Zarr 3 where the source is.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import OutputError, UsageError
from f2rcli.frames import Plane
from f2rcli.io.atomic import PartFolder, lock_path
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.disk_errors import exists_error, misread_error
from f2rcli.io.locks import unlock
from f2rcli.io.microscopy.image import package
from f2rcli.io.microscopy.ome_zarr import PROVENANCE, RELATIVE, UNITS, is_zarr, window_of
from f2rcli.io.microscopy.passport import Facts, Passport
from f2rcli.io.microscopy.reader import MicroscopyFile
from f2rcli.io.microscopy.stacks import passport_of
from f2rcli.io.microscopy.writer import as_written, left_out
from f2rcli.io.targets import check_place
from f2rcli.io.tiff.axes import Series
from f2rcli.io.tiff.levels import averaged
from f2rcli.io.tiff.plan import StackDetail, check_options
from f2rcli.io.tiff.reader import StackReader
from f2rcli.io.tiff.writer import StackWriter, digest_of
from f2rcli.units import count

SUFFIX = ".zarr"
_ORDER = "TCZYX"  # of axes: time, channels, space (specification 0.4, "axes" metadata)
_CHUNK, _SMALLEST = 1024, 256  # pixels a side of a chunk at most, and of the last level
_UNITLESS = (RELATIVE, "pixel")  # units of OME-XML that are a scale without one
_FACTS = {"T": "TimeIncrement", "Z": "PhysicalSizeZ", "Y": "PhysicalSizeY", "X": "PhysicalSizeX"}


def is_target(target: str) -> bool:
    """Whether a target's name asks for OME-Zarr."""
    return Path(target).suffix.lower() == SUFFIX


def plan_zarr(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan an OME-Zarr folder. Raises UsageError or OutputError for what cannot be done."""
    if not isinstance(reader, StackReader):
        raise UsageError(
            f"{Path(target).name}: f2r writes OME-Zarr from stacks only.",
            hint="Write a video, or numbered .png pictures.",
        )
    check_options(reader, options)
    _check_place(Path(target), reader.paths(), overwrite=options.overwrite)
    series = _only(reader, Path(target))
    whole = passport_of(reader.stack, series.number)
    own = _carried(whole, _arranged(series))
    return WritePlan(
        target=target,
        container="ome-zarr",
        encoder="zstd",
        pix_fmt=str(series.dtype),
        kept=(f"axes {_arranged(series).words}", *own.kept),
        dropped=tuple(dict.fromkeys((*_rest(whole, own).kept, *whole.lost, *left_out(reader)))),
        notes=tuple(_notes(reader, series)),
        detail=StackDetail(folder=True),
    )


def _notes(reader: StackReader, series: Series) -> Iterator[str]:
    if isinstance(reader.stack, MicroscopyFile) and (
        own := reader.stack.images[series.number].note
    ):
        yield own
    if "S" in series.axes:
        yield "colours become channels"


def _check_place(target: Path, sources: list[Path], *, overwrite: bool) -> None:
    package("zarr", f"{target.name}: writing OME-Zarr", UsageError)
    check_place(target, sources)
    if target.exists():
        if not overwrite:
            raise exists_error(target)
        if not (target.is_dir() and is_zarr(target)):
            raise OutputError(
                f"{target.name}: is not a Zarr folder; f2r does not replace it.",
                hint="Choose another name with output=.",
            )


def _only(reader: StackReader, target: Path) -> Series:
    """The one series to write. Raises UsageError for several, and axes that OME-Zarr lacks."""
    if len(reader.chosen) > 1:
        raise UsageError(
            f"{target.name}: OME-Zarr holds one image, {reader.info.name} has "
            f"{len(reader.chosen)} series.",
            hint="Choose one with series=.",
        )
    series = as_written(reader, reader.chosen[0])
    if not set(series.axes) <= set(_ORDER + "S") or {"C", "S"} <= set(series.axes):
        raise UsageError(
            f"{target.name}: OME-Zarr has no place for the axes {series.axes}.",
            hint="Name an .ome.tif file with output=.",
        )
    return series


def _arranged(series: Series) -> Series:
    """A series in OME-Zarr's order of axes, colours as channels."""
    sizes = dict(zip(series.axes.replace("S", "C"), series.shape, strict=True))
    axes = "".join(axis for axis in _ORDER if axis in sizes)
    return replace(series, axes=axes, shape=tuple(sizes[axis] for axis in axes), colour=False)


def _carried(passport: Passport, series: Series) -> Passport:
    """The part of a passport that OME-Zarr holds: of axes that are there, in units it knows."""
    pixels: Facts = {}
    for axis, name in _FACTS.items():
        unit = passport.pixels.get(f"{name}Unit", "s" if axis == "T" else "µm")  # OME-XML's own
        if axis in series.axes and name in passport.pixels and unit in (*UNITS, *_UNITLESS):
            pixels |= {name: passport.pixels[name], f"{name}Unit": unit}
    channels: list[Facts] = [{name: one[name] for name in ("Name", "Color") if name in one}
                for one in passport.channels]  # fmt: skip
    count = dict(zip(series.axes, series.shape, strict=True)).get("C", 1)
    return Passport(pixels=pixels, channels=channels if len(channels) == count else [])


def _rest(whole: Passport, part: Passport) -> Passport:
    kept = {name for one in part.channels for name in one}
    channels = [{name: one[name] for name in one if name not in kept} for one in whole.channels]
    pixels = {name: fact for name, fact in whole.pixels.items() if name not in part.pixels}
    return replace(whole, pixels=pixels, channels=channels)


class PartTree(PartFolder):
    """A folder with folders in it, that takes its target's place as a whole."""

    def _place(self) -> Path:
        return self.target.with_name(f".{self.target.name}.part")

    def _begin(self) -> int:
        descriptor = super()._begin()
        self._clear()
        if self.target.exists() and not self.overwrite:  # as it was before the killed run
            shutil.rmtree(self.path, ignore_errors=True)
            unlock(lock_path(self.target), descriptor)
            raise exists_error(self.target)
        return descriptor

    @property
    def _before(self) -> Path:
        """What was at the target, while the new folder takes its place."""
        return self.path.with_name(f"{self.path.name}.old")

    def _clear(self) -> None:
        """Finish what a run did not that was killed while it published."""
        if not self.target.exists() and self._before.exists():
            os.replace(self._before, self.target)
        shutil.rmtree(self._before, ignore_errors=True)

    def _move(self) -> None:
        if not self.overwrite:  # it appeared during the run
            raise exists_error(self.target)
        os.replace(self.target, self._before)
        os.replace(self.path, self.target)
        shutil.rmtree(self._before, ignore_errors=True)  # it is out of the way at any rate


class ZarrWriter(StackWriter):
    """Fills the arrays of a new OME-Zarr folder."""

    copies = False

    def _new_part(self) -> PartFolder:
        return PartTree(self.target, overwrite=self.plan.overwrite, keep=self.plan.keep_partial)

    def _begin(self) -> None:
        self.numbers = self.reader.chosen
        self.series = as_written(self.reader, self.numbers[0])
        self.arranged = _arranged(self.series)
        stack = self.reader.stack
        three = isinstance(stack, MicroscopyFile) and stack.zarr_format == 3
        zarr = package("zarr", "writing OME-Zarr", UsageError)
        group = zarr.open_group(str(self._part.path), mode="w", zarr_format=3 if three else 2)
        self.levels = [self._level(group, three, number, size)
                       for number, size in enumerate(_sizes(self.arranged))]  # fmt: skip
        self._passport = _carried(passport_of(stack, self.numbers[0]), self.arranged)
        name = self.series.name or self.reader.info.name
        attributes = _metadata(self.arranged, self._passport, name)
        version = {"version": "0.5"} if three else {}
        if not three:
            attributes["multiscales"][0]["version"] = "0.4"
        self._group = group
        group.attrs.update({"ome": attributes | version} if three else attributes)
        self._fill()

    def _level(self, group: Any, three: bool, number: int, size: tuple[int, int]) -> Any:
        outer = self.arranged.shape[:-2]
        more: Facts = {"dimension_names": list(self.arranged.axes.lower())} if three else {}
        return group.create_array(
            str(number), shape=(*outer, *size), dtype=self.arranged.dtype,
            chunks=(*(1 for _ in outer), *(min(side, _CHUNK) for side in size)),
            chunk_key_encoding={"name": "default" if three else "v2", "separator": "/"}, **more,
        )  # fmt: skip

    def _put(self, series: Series, place: int, picture: Plane) -> None:
        planes = [picture] if picture.ndim == 2 else list(np.moveaxis(picture, -1, 0))
        for sample, plane in enumerate(planes):
            index = self._index(place, sample)
            for level in self.levels:
                level[index] = _shrunk(plane, level.shape[-2:])

    def _index(self, place: int, sample: int) -> tuple[int, ...]:
        outer = self.series.outer
        numbers = np.unravel_index(place, [n for _, n in outer] or [1])
        at = {axis: int(i) for (axis, _), i in zip(outer, numbers, strict=False)}
        if "S" in self.series.axes:
            at["C"] = sample
        return tuple(at[axis] for axis in self.arranged.axes if axis not in "YX")

    def _tell(self) -> None:
        if self._provenance:
            self._group.attrs[PROVENANCE] = json.loads(self._provenance)

    def _verify(self) -> tuple[tuple[str, ...], list[str]]:
        again = MicroscopyFile(self._part.path)
        wrong = [one.words for one in again.series] != [self.arranged.words] or any(
            digest_of(self._read(place)) != digest for (_, place), digest in self._written.items()
        )
        if wrong:
            raise misread_error(self.target.name)
        lost = self._passport.without(again.passport(0))
        return (f"{count(len(self._written), 'picture')}, each read back",), lost

    def _read(self, place: int) -> Plane:
        """A picture as its source has it: (Y, X) or (Y, X, S)."""
        samples = range(self.series.samples)
        planes = [self.levels[0][self._index(place, sample)] for sample in samples]
        picture: Plane = planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)
        return picture


def _sizes(series: Series) -> list[tuple[int, int]]:
    sizes = [(series.height, series.width)]
    while max(sizes[-1]) > _SMALLEST and min(sizes[-1]) > 1:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def _shrunk(plane: Plane, size: tuple[int, int]) -> Plane:
    """A picture in the size of a level: means, rounded where samples are whole numbers."""
    if plane.shape == size:
        return plane
    small = averaged(plane.astype(np.float64), size)
    rounded: Plane = (np.rint(small) if plane.dtype.kind != "f" else small).astype(plane.dtype)
    return rounded


def _metadata(series: Series, passport: Passport, name: str) -> dict[str, Any]:
    """The attributes of version 0.4: axes with units, the scale of each level, channels."""
    axes = [_axis(axis, passport.pixels) for axis in series.axes.lower()]
    steps = [float(passport.pixels.get(_FACTS.get(axis, ""), 1.0)) for axis in series.axes]
    datasets = []
    for number, (height, width) in enumerate(_sizes(series)):
        grown = [*(1.0 for _ in steps[:-2]), series.height / height, series.width / width]
        scale = [step * factor for step, factor in zip(steps, grown, strict=True)]
        datasets.append({"path": str(number), "coordinateTransformations": [
            {"type": "scale", "scale": scale}]})  # fmt: skip
    found: dict[str, Any] = {
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets, "type": "mean"}]
    }
    if passport.channels:
        window = window_of(series.dtype)
        found["omero"] = {"channels": [_channel(one, window) for one in passport.channels]}
    return found


def _axis(axis: str, pixels: Facts) -> Facts:
    kind = {"t": "time", "c": "channel"}.get(axis, "space")
    unit = UNITS.get(str(pixels.get(f"{_FACTS.get(axis.upper(), '')}Unit")))
    return {"name": axis, "type": kind} | ({} if unit is None else {"unit": unit})


def _channel(one: Facts, window: Facts) -> Facts:
    colour = f"{int(one.get('Color', -1)) & 0xFFFFFFFF:08X}"[:6]
    return {"label": str(one.get("Name", "")), "color": colour, "active": True, "window": window}
