"""Zeiss CZI, through the package czifile."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from f2rcli.io.microscopy.image import Image, Opened, Where, damage_of, unsupported
from f2rcli.io.microscopy.passport import Facts, Part, Passport, micrometres, ome_colour, timed

_TO_MICROMETRES = 1e6
_NANOSECONDS = 1e-9
_ZSTD, _ZSTD_HEADED = 5, 6  # compressions that czifile does not know
_SPLIT = "Split it into files in ZEN, or export it as OME-TIFF."
_SECTIONS = {"Information", "Scaling", "Image", "Instrument"}  # that are read
# What is read of the parts of a description, or says how samples are stored.
_READ = {
    "the image": {"AcquisitionDateAndTime", "ComponentBitCount", "Dimensions", "ObjectiveSettings",
                  "PixelType", *(f"Size{axis}" for axis in "XYZCTSBMHVR"),
                  "OriginalCompressionMethod", "OriginalEncodingQuality"},
    "the dimensions": {"Channels", "T", "X", "Y", "Z", "M"},
    "channels": {"ExcitationWavelength", "EmissionWavelength", "Color", "ExposureTime",
                 "PixelType", "ComponentBitCount"},
    "the instrument": {"Microscopes", "Detectors", "Objectives"},
    "detectors": {"Manufacturer"},
    "the objective": {"Manufacturer", "LensNA", "NominalMagnification", "Immersion"},
    "scaling": {"Items"},
}  # fmt: skip
_CHANNEL = {  # of CZI and OME alike
    "Fluor": None,
    "AcquisitionMode": {"WideField", "LaserScanningConfocalMicroscopy", "SpinningDiskConfocal",
                        "SlitScanConfocal", "TIRF", "StructuredIllumination", "SPIM",
                        "SingleMoleculeImaging", "FluorescenceLifetime",
                        "MultiPhotonMicroscopy"},
    "ContrastMethod": {"Brightfield", "Phase", "DIC", "HoffmanModulation", "ObliqueIllumination",
                       "PolarizedLight", "Darkfield", "Fluorescence"},
    "IlluminationType": {"Transmitted", "Epifluorescence", "Oblique", "NonLinear"},
}  # fmt: skip


def open_czi(library: Any, path: Path) -> Opened:
    """An image per scene, its tiles joined. Views and phases are refused."""
    file = library.CziFile(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files without metadata or attachments
            return Opened(file, list(_images(file, path)))
    except BaseException:
        file.close()
        raise


def _images(file: Any, path: Path) -> Iterator[Image]:
    axes = file.axes if isinstance(file.axes, str) else file.axes.decode()
    sizes = dict(zip(axes, (int(n) for n in file.shape), strict=True))
    odd = [a for a, n in sizes.items() if n > 1 and a not in "SMBTZCYX0"]
    if odd:
        raise unsupported(path, f"axis {odd[0]} of a CZI is", _SPLIT)
    scenes: dict[int, list[Subblock]] = {}
    for entry in file.filtered_subblock_directory:
        if tuple(entry.stored_shape) == tuple(entry.shape):  # others are smaller copies
            tile = Subblock.of(entry, axes, file.start)
            scenes.setdefault(tile.at.get("S", 0), []).append(tile)
    for number, tiles in sorted(scenes.items()):
        name = f"scene {number + 1}" if len(scenes) > 1 else path.stem
        yield _image(file, name, sizes, tiles)


@dataclass(frozen=True, slots=True)
class Subblock:
    """A picture as it is stored: a whole plane, or a tile of a mosaic."""

    entry: Any
    at: dict[str, int]  # by axis; Y and X of its upper left pixel
    height: int
    width: int

    @classmethod
    def of(cls, entry: Any, axes: str, start: Any) -> "Subblock":
        """The tile of an entry of the file's directory."""
        begin = (int(a - b) for a, b in zip(entry.start, start, strict=True))
        height, width = (int(entry.shape[axes.index(a)]) for a in "YX")
        return cls(entry, dict(zip(axes, begin, strict=True)), height, width)

    def samples(self, count: int) -> Any:
        """Its picture (height, width, count)."""
        part = self.entry.data_segment()
        if self.entry.compression in (_ZSTD, _ZSTD_HEADED):
            headed = self.entry.compression == _ZSTD_HEADED
            whole = _unpacked(part.data(raw=True), self.entry.dtype, headed=headed)
            whole = whole.reshape(self.height, self.width, count)
            return whole[..., [2, 1, 0, 3][:count]] if count > 1 else whole  # blue comes first
        return np.asarray(part.data(resize=False)).reshape(self.height, self.width, count)


def _unpacked(data: bytes, dtype: str, *, headed: bool) -> Any:
    """Samples as Zstandard holds them; a header of one or three bytes tells whether all low bytes
    stand before all high ones (ZEISS, libCZI: "ZStd compression")."""
    from imagecodecs import zstd_decode  # takes a while

    header = data[: data[0]] if headed else b""
    whole = np.frombuffer(zstd_decode(data[len(header) :]), np.uint8)
    if len(header) > 2 and header[2] & 1:
        whole = np.ascontiguousarray(whole.reshape(2, -1).T)
    return np.frombuffer(whole, np.dtype(dtype[-2:]).newbyteorder("<"))


def _image(file: Any, name: str, sizes: dict[str, int], tiles: list[Subblock]) -> Image:
    """The image of a scene: tiles lie where the file places them, later ones above."""
    top, left = (min(tile.at[axis] for tile in tiles) for axis in "YX")
    height = max(tile.at["Y"] + tile.height for tile in tiles) - top
    width = max(tile.at["X"] + tile.width for tile in tiles) - left
    count = sizes.get("0", 1)
    own = {a: sizes[a] for a in "TZC" if a in sizes} | {"Y": height, "X": width, "S": count}
    planes: dict[tuple[int, ...], list[Subblock]] = {}
    for tile in tiles:
        planes.setdefault(tuple(tile.at.get(a, 0) for a in "TZC"), []).append(tile)

    def read(where: Where) -> Any:
        found = planes[tuple(where.get(a, 0) for a in "TZC")]
        whole = np.zeros((height, width, count), file.dtype)
        for tile in found:
            row, column = tile.at["Y"] - top, tile.at["X"] - left
            there = np.s_[row : row + tile.height, column : column + tile.width]
            whole[there] = tile.samples(count)
        return whole

    most = max(map(len, planes.values()))
    remark = (
        "" if most == 1 else f"{name}: a mosaic of {most} tiles, joined as the file places them"
    )
    return Image(name, own, file.dtype, read, _passport(file, own), remark=remark)


def _passport(file: Any, sizes: dict[str, int]) -> Passport:
    attachments = _attachments(file)
    with suppress(*damage_of(file)):
        document = ElementTree.fromstring(file.metadata()).find("Metadata")
        if document is not None:
            return _described(document, sizes, attachments)
    return Passport(lost=("the XML metadata",))


def _described(document: Any, sizes: dict[str, int], attachments: dict[str, Any]) -> Passport:
    image = document.find("Information/Image")
    image = ElementTree.Element("Image") if image is None else image
    channels = image.findall("Dimensions/Channels/Channel")
    channels = channels if len(channels) == sizes.get("C", 1) else []
    times = _times(image, sizes, attachments)
    sections = [str(child.tag) for parent in (document, document.find("Information"))
                for child in (() if parent is None else parent)
                if len(child) and child.tag not in _SECTIONS]  # fmt: skip
    others = [f"attachment {name}" for name in attachments if name != "TimeStamps"]
    return Passport(
        pixels=timed(_pixels(document, image), times),
        channels=[_channel(channel) for channel in channels],
        planes=_planes(sizes, times, channels),
        instrument=tuple(_instrument(document, image)),
        medium=_numbers(image, {"RefractiveIndex": "ObjectiveSettings/RefractiveIndex"}),
        lost=(*sections, *_unread(document, image), *others),
    )


def _unread(document: Any, image: Any) -> Iterator[str]:
    """Names of what the parts of a description hold beside what is read of them, each once."""
    parts = {
        "the image": [image],
        "the dimensions": image.findall("Dimensions"),
        "channels": image.findall("Dimensions/Channels/Channel"),
        "the instrument": document.findall("Information/Instrument"),
        "detectors": document.findall("Information/Instrument/Detectors/Detector"),
        "the objective": document.findall("Information/Instrument/Objectives/Objective"),
        "scaling": document.findall("Scaling"),
    }
    for whole, elements in parts.items():
        found = (child for element in elements for child in element
                 if child.tag not in _READ[whole] and not child.tag.endswith("Ref"))  # fmt: skip
        told = [child.tag for child in found if _says(child) and not _is_channels(child)]
        yield from (f"{tag} of {whole}" for tag in dict.fromkeys(told))


def _says(element: Any) -> bool:
    return bool(len(element) or element.attrib or (element.text or "").strip())


def _is_channels(element: Any) -> bool:
    """Whether OME's channels have a place for it."""
    allowed = _CHANNEL.get(element.tag, ())
    return allowed is None or element.text in allowed


def _attachments(file: Any) -> dict[str, Any]:
    with suppress(*damage_of(file)):
        return {str(one.attachment_entry.name): one for one in file.attachments()}
    return {"that cannot be read": None}


def _pixels(document: Any, image: Any) -> Facts:
    steps = {}
    for distance in document.findall("Scaling/Items/Distance"):
        metres = float(distance.findtext("Value") or 0)
        steps[distance.get("Id", "")] = metres * _TO_MICROMETRES
    facts = micrometres(**{axis: steps[axis] for axis in "XYZ" if axis in steps})
    facts |= {name: int(value) for name, value in
              _numbers(image, {"SignificantBits": "ComponentBitCount"}).items()}  # fmt: skip
    date = image.findtext("AcquisitionDateAndTime") or ""
    if date:
        facts["AcquisitionDate"] = date
    return facts


def _times(image: Any, sizes: dict[str, int], attachments: dict[str, Any]) -> list[float]:
    """Seconds of each frame from the first: as measured, else as planned."""
    count, stamps = sizes.get("T", 1), attachments.get("TimeStamps")
    values: list[float] = []
    if stamps is not None:
        with suppress(*damage_of(stamps)):
            values = [float(value) for value in stamps.data()]
    if len(values) != count:
        text = image.findtext("Dimensions/T/Positions/List/Offsets") or ""
        values = [float(word) for word in text.split()]
    return [value - values[0] for value in values] if len(values) == count else []


def _channel(channel: Any) -> Facts:
    facts: Facts = {"Name": channel.get("Name")} if channel.get("Name") else {}
    for name, allowed in _CHANNEL.items():
        value = channel.findtext(name)
        if value and (allowed is None or value in allowed):
            facts[name] = value
    for name in ("ExcitationWavelength", "EmissionWavelength"):
        if float(channel.findtext(name) or 0) > 0:
            facts |= {name: float(channel.findtext(name)), f"{name}Unit": "nm"}
    colour = (channel.findtext("Color") or "").removeprefix("#")
    if len(colour) == 8:  # alpha comes first
        facts["Color"] = ome_colour(int(colour[2:] + colour[:2], 16))
    return facts


def _planes(sizes: dict[str, int], times: list[float], channels: list[Any]) -> list[Facts]:
    """Time and exposure of each picture, in the order T, Z, C."""
    exposures = [float(one.findtext("ExposureTime") or 0) * _NANOSECONDS for one in channels]
    if not times and not any(exposures):
        return []
    planes = []
    for t, _, c in np.ndindex(sizes.get("T", 1), sizes.get("Z", 1), sizes.get("C", 1)):
        plane: Facts = {"DeltaT": times[t], "DeltaTUnit": "s"} if times else {}
        if exposures and exposures[c] > 0:
            plane |= {"ExposureTime": exposures[c], "ExposureTimeUnit": "s"}
        planes.append(plane)
    return planes


def _instrument(document: Any, image: Any) -> Iterator[Part]:
    instrument = document.find("Information/Instrument")
    if instrument is None:
        return
    for microscope in instrument.findall("Microscopes/Microscope")[:1]:
        yield "Microscope", {"Manufacturer": "Zeiss", "Model": microscope.get("Name", "")}
    for detector in instrument.findall("Detectors/Detector"):
        model = detector.findtext("Manufacturer/Model") or detector.get("Name", "")
        yield "Detector", {"Model": model}
    used = image.find("ObjectiveSettings/ObjectiveRef")
    for objective in instrument.findall("Objectives/Objective"):
        if used is None or objective.get("Id") == used.get("Id"):
            model = objective.findtext("Manufacturer/Model") or objective.get("Name", "")
            facts = {"Manufacturer": "Zeiss", "Model": model} | _numbers(
                objective, {"LensNA": "LensNA", "NominalMagnification": "NominalMagnification"}
            )
            if objective.findtext("Immersion") in ("Oil", "Water", "Air", "Glycerol", "Multi"):
                facts["Immersion"] = objective.findtext("Immersion")
            yield "Objective", facts
            return


def _numbers(element: Any, names: dict[str, str]) -> Facts:
    found = {ome: float(element.findtext(path) or 0) for ome, path in names.items()}
    return {ome: value for ome, value in found.items() if value > 0}
