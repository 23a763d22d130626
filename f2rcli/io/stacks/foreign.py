"""Images as other libraries show them, Nikon's ND2 and Leica's LIF among them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from f2rcli.errors import F2RError, InputError
from f2rcli.io.stacks.metadata import (
    Facts,
    Metadata,
    known_sizes,
    number_of,
    of_ome,
    ome_colour,
    parsed,
    steady,
)
from f2rcli.io.tifffiles import refusals

Where = dict[str, int]  # axis -> index

_MICROMETRES = 1e6  # of a metre
_FIRST = 32  # frames whose times give the interval
_FREE = "ERPAHQ"  # letters that OME-TIFF has for axes beyond its five, wavelength first
_HELD = frozenset("TZCYXSI" + _FREE)  # I: not named by the file
_LUTS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "cyan": (0, 255, 255),
         "magenta": (255, 0, 255), "yellow": (255, 255, 0), "gray": (255, 255, 255),
         "grey": (255, 255, 255)}  # of Leica  # fmt: skip


@dataclass(frozen=True, slots=True)
class Image:
    """One array of a file; read(where) gives its picture (Y, X) or (Y, X, S) there."""

    name: str
    sizes: dict[str, int]  # by the file's letter, slowest first; the picture's own axes last
    dtype: Any
    read: Callable[[Where], Any]
    metadata: Callable[[], Metadata] = Metadata  # all of it, which may take time
    interval: float | None = None  # of frames, in seconds
    fill: Any = None  # what samples read as that are not stored; None where all are
    remark: str = ""  # worth saying of how its pictures are made
    levels: tuple[tuple[int, int], ...] = ()  # rows and columns of its smaller copies

    @property
    def note(self) -> str:
        """A note on unusual axes; "" for none."""
        rows = rows_of(self.sizes)
        return (
            "" if rows == "Y" else f"scanned along X and {rows}: rows (Y) of the output are {rows}"
        )


def package(name: str, what: str, refusal: type[F2RError]) -> Any:
    """A package of the extra, imported; what: needs it. Raises `refusal` where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        where = name if name == "astropy" else "'f2rcli[microscopy]'"
        hint = f"Install it: pip install {where}."
        raise refusal(f"{what} needs the package {name}.", hint=hint) from error


def unsupported(path: Path, what: str, hint: str) -> InputError:
    """The error for a whole file of a kind that f2r does not read."""
    return InputError(f"{path.name}: {what} not supported.", hint=hint)


def rows_of(sizes: dict[str, int]) -> str:
    """The slower axis of a picture: Y, or in scans without it the last axis that can be one."""
    if list(sizes).index("X") and "Y" in sizes and [a for a in sizes if a != "S"][-2] == "Y":
        return "Y"
    return next((axis for axis in reversed(sizes) if axis not in "XSC"), "Y")


def upright(sizes: dict[str, int]) -> dict[str, str]:
    """The letter of OME-TIFF for each axis of a file: its own where OME has it.

    A scan without Y (XZ, XT) has the slower axis of its pictures as Y, and Y in that one's place
    where both exist. Letters that OME lacks become free ones: λ and Λ the wavelength's E.
    """
    letters = {axis: axis for axis in sizes}
    rows = rows_of(sizes)
    if rows != "Y":
        letters[rows] = "Y"
        if "Y" in sizes:
            letters["Y"] = rows
    for axis, letter in letters.items():
        if letter not in _HELD:
            taken = set(letters.values())
            letters[axis] = next((free for free in _FREE if free not in taken), letter)
    return letters


# --- Nikon ND2 -----------------------------------------------------------------------------------


def nd2_images(file: Any, path: Path) -> list[Image]:
    """An image per position of an nd2.ND2File."""
    sizes = {str(axis): int(size) for axis, size in file.sizes.items()}
    loops = [axis for axis in sizes if axis not in "CYXS"]
    places = {tuple(row[axis] for axis in loops): n for n, row in enumerate(file.loop_indices)}
    own = {axis: sizes[axis] for axis in loops if axis != "P"}
    own |= {axis: sizes[axis] for axis in "CYXS" if axis in sizes}
    root = cache(lambda: parsed(file.ome_metadata().to_xml()))  # for the first that is asked for

    def image(position: int) -> Image:
        def frame_at(where: Where) -> int:
            return places.get(tuple((where | {"P": position}).get(axis, 0) for axis in loops), 0)

        def read(where: Where) -> Any:
            frame = file.read_frame(frame_at(where))
            return frame[where.get("C", 0)] if "C" in sizes and frame.ndim > 2 else frame

        frames = [frame_at({"T": t}) for t in range(min(own.get("T", 1), _FIRST))]
        interval = steady(_nd2_times(file, frames))
        name = f"position {position + 1}" if sizes.get("P", 1) > 1 else path.stem
        return Image(
            name, own, file.dtype, read, lambda: _of_nd2(file, root(), position, own, interval),
            interval,
        )  # fmt: skip

    return [image(position) for position in range(sizes.get("P", 1))]


def _nd2_times(file: Any, frames: list[int]) -> list[float]:
    """The times of frames in seconds; none where the file does not say them."""
    with suppress(InputError), refusals("times of frames"):
        found = [file.frame_metadata(frame) for frame in frames]
        channels = [getattr(one, "channels", None) for one in found]
        return [one[0].time.relativeTimeMs / 1000 for one in channels if one]
    return []


def _of_nd2(
    file: Any, root: ElementTree.Element | None, position: int, sizes: dict[str, int],
    interval: float | None,
) -> Metadata:  # fmt: skip
    """OME-XML as the package makes it, and beside it what the program recorded, in whole."""
    outer = {axis: size for axis, size in sizes.items() if axis not in "YXS"}

    def place(t: int, z: int, c: int) -> int | None:
        at = {"T": t, "Z": z, "C": c}
        index = [at.get(axis, 0) for axis in outer]
        return int(np.ravel_multi_index(index, tuple(outer.values()))) if outer else 0

    own = "\n".join(f"{name}: {text}" for name, text in (file.text_info or {}).items())
    found = Metadata() if root is None else of_ome(root, position, place)
    voxel = file.voxel_size()
    return Metadata(
        sizes=found.sizes or known_sizes(X=voxel.x, Y=voxel.y, Z=voxel.z),
        interval=found.interval or interval, bits=found.bits, date=found.date,
        channels=found.channels, planes=found.planes, own=own, ome=found.ome, image=position,
    )  # fmt: skip


# --- Leica LIF -----------------------------------------------------------------------------------


def lif_images(file: Any, path: Path) -> list[Image]:
    """An image per image of a liffile.LifFile, but for those of single points and lines."""
    pictures = [one for one in file.images if _is_picture(one.sizes)]
    others = [f"'{one.name}'" for one in file.images if not _is_picture(one.sizes)]
    remark = f"{' and '.join(others)} hold no pictures and are left out" if others else ""
    return [_of_lif(one, "" if n else remark) for n, one in enumerate(pictures)]


def _is_picture(sizes: Any) -> bool:
    """Whether an image has columns, and an axis that can be its rows."""
    return "X" in sizes and not set(sizes) <= set("XSC")


def _of_lif(one: Any, remark: str) -> Image:
    rows = rows_of(dict(one.sizes))
    last = [rows, *(axis for axis in "XS" if axis in one.sizes)]
    outer = [axis for axis in one.sizes if axis not in last]
    sizes = {axis: int(one.sizes[axis]) for axis in (*outer, *last)}

    def read(where: Where) -> Any:
        if list(one.sizes) == list(sizes):
            return one.frame(**{axis: where.get(axis, 0) for axis in outer})
        index = tuple(where.get(axis, 0) if axis in outer else slice(None) for axis in one.sizes)
        return one.asarray()[index]  # lines of all channels in turn: never large

    times = [float(time) for time in one.coords.get("T", [])]
    interval = steady(times) if rows != "T" else None
    return Image(
        str(one.name), sizes, one.dtype, read, lambda: _lif_metadata(one, sizes, interval),
        interval, remark=remark,
    )  # fmt: skip


def _lif_metadata(one: Any, sizes: dict[str, int], interval: float | None) -> Metadata:
    rows, element = rows_of(sizes), one.xml_element
    letters = {"X": "X", rows: "Y", "Z" if rows == "Y" else "Y": "Z"}
    steps = {}
    for axis, letter in letters.items():
        values = one.coords.get(axis) if axis in "ZYX" else None
        if values is not None and len(values) > 1:
            steps[letter] = float(abs(values[1] - values[0])) * _MICROMETRES
    stamps = _lif_stamps(one, sizes)
    described = element.findall("./Data/Image/ImageDescription/Channels/*")
    bits = max((int(number_of(one.get("Resolution")) or 0) for one in described), default=0)
    known = len(described) == sizes.get("C", 1)
    return Metadata(
        sizes=known_sizes(**steps),
        interval=interval,
        bits=bits if 0 < bits < 8 * np.dtype(one.dtype).itemsize else None,
        date=f"{stamps[0]}Z" if len(stamps) else "",
        channels=[_lif_channel(*pair) for pair in enumerate(described)] if known else [],
        planes=[{"DeltaT": time / np.timedelta64(1, "s"), "DeltaTUnit": "s"}
                for time in stamps - stamps[:1]],
        own=ElementTree.tostring(element, encoding="unicode"),
    )  # fmt: skip


def _lif_stamps(one: Any, sizes: dict[str, int]) -> Any:
    """A time per picture; none where there are others."""
    outer = [n for axis, n in sizes.items() if axis != "S"][:-2]
    stamps = one.timestamps
    if stamps is None or len(stamps) != int(np.prod(outer, dtype=np.int64)):
        return np.zeros(0, "datetime64[ms]")
    stamps = np.asarray(stamps).astype("datetime64[ms]")
    # Stamps come in the order of acquisition: the order of storage, if they never go back.
    return stamps if (np.diff(stamps).astype(np.int64) >= 0).all() else stamps[:0]


def _lif_channel(number: int, channel: Any) -> Facts:
    own = {p.findtext("Key"): p.findtext("Value") for p in channel.findall("ChannelProperty")}
    lut = str(channel.get("LUTName", ""))
    facts: Facts = {"Name": own.get("DyeName") or lut or f"channel {number + 1}"}
    if own.get("DyeName"):
        facts["Fluor"] = own["DyeName"]
    if lut.lower() in _LUTS:
        facts["Color"] = ome_colour(*_LUTS[lut.lower()])
    return facts
