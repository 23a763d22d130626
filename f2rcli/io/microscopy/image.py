"""An image of a microscope maker's file, as the modules beside this one describe it."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from xml.etree import ElementTree

from f2rcli.errors import F2RError, InputError
from f2rcli.io.microscopy.passport import Passport
from f2rcli.io.tiff.library import DAMAGE

Where = dict[str, int]  # axis -> index

_FREE = "ERPAHQ"  # letters that OME-TIFF has for axes beyond its five, wavelength first
_HELD = frozenset("TZCYXSI" + _FREE)  # I: not named by the file


@dataclass(frozen=True, slots=True)
class Image:
    """One array of a file; read(where) gives its picture (Y, X) or (Y, X, S) there."""

    name: str
    sizes: dict[str, int]  # by the file's letter, slowest first; the picture's own axes last
    dtype: Any
    read: Callable[[Where], Any]
    passport: Passport = field(default_factory=Passport)  # at least the interval of frames
    complete: Callable[[], Passport] | None = None  # all of it, where that takes time
    lacking: int = 0  # chunks that are not stored; they read as `fill`
    fill: Any = 0
    remark: str = ""  # worth saying of how its pictures are made

    @property
    def note(self) -> str:
        """A note on unusual axes; "" for none."""
        rows = rows_of(self.sizes)
        return (
            "" if rows == "Y" else f"scanned along X and {rows}: rows (Y) of the output are {rows}"
        )


def damage_of(library: Any) -> tuple[type[BaseException], ...]:
    """The exceptions that a library (its module, or an object of it) raises on damaged files."""
    module = library if isinstance(library, ModuleType) else sys.modules[type(library).__module__]
    own = (one for one in vars(module).values() if isinstance(one, type))
    return (
        *DAMAGE, ElementTree.ParseError, NotImplementedError, EOFError,
        *(one for one in own if issubclass(one, Exception)),
    )  # fmt: skip


class Opened(NamedTuple):
    """A file as its library opened it."""

    file: Any  # closed in the end, where it can be
    images: Iterable[Image]


Opener = Callable[[Any, Path], Opened]  # the library, the file


def package(name: str, what: str, refusal: type[F2RError]) -> Any:
    """A package of the extra, imported; what: needs it. Raises `refusal` where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        hint = "Install it: pip install 'f2rcli[microscopy]'."
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
