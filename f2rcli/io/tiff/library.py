"""tifffile: its log gathered, its exceptions listed, its errors in our words."""

import logging
import lzma
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import tifffile

from f2rcli.errors import InputError

# What tifffile and its codecs raise on damaged files.
DAMAGE = (
    tifffile.TiffFileError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    struct.error, OSError, OverflowError, ZeroDivisionError, RuntimeError, MemoryError, zlib.error,
    lzma.LZMAError, AssertionError, ImportError,
)  # fmt: skip

# Tags that say how and where samples are stored, not what they show.
STORAGE = frozenset({
    *range(254, 260), 262, 263, 266, 273, *range(277, 282), 284, 292, 293, 317, 320,
    *range(322, 326), 330, 338, 339, 340, 341, 347, 512, 513, 514, *range(529, 533),
})  # fmt: skip
_MILLISECONDS = 1e-6  # of NumPy's times, which count nanoseconds here
_EVEN = 0.1  # steps of time are one interval as long as they differ by less from their mean


@contextmanager
def quiet_tifffile(said: list[str] | None = None) -> Iterator[list[str]]:
    """Gather tifffile's log messages, behind those that were `said`, instead of printing them."""
    said = [] if said is None else said
    logger, own = logging.getLogger("tifffile"), threading.get_ident()

    def listen(record: logging.LogRecord) -> bool:
        if record.thread != own:  # of another file, which somebody else is reading
            return True
        said.append(record.getMessage())
        return False

    logger.addFilter(listen)
    try:
        yield said
    finally:
        logger.removeFilter(listen)


@contextmanager
def opened(page: Any) -> Iterator[None]:
    """tifffile closes all files of a set but the first; each is open for as long as it is read."""
    handle = page.parent.filehandle
    closed = handle.closed
    if closed:
        handle.open()
    try:
        yield
    finally:
        if closed:
            handle.close()


def check_head(path: Path) -> None:
    """Raise InputError unless the first bytes are those of a TIFF file."""
    try:
        with path.open("rb") as handle:
            head = handle.read(4)
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}.", hint="Check the path.") from error
    if not head:
        raise InputError(f"{path.name}: is empty (0 bytes).", hint="Copy or record it again.")
    if head[:2] not in (b"II", b"MM", b"EP"):
        raise InputError(f"{path.name}: is not a TIFF file.", hint="Check that the file is whole.")


def file_at(path: Path) -> tifffile.TiffFile:
    """A TiffFile; classic ScanImage page by page: tifffile misses its last page otherwise."""
    file = tifffile.TiffFile(path)
    for companion in companions_of(path, file):
        file.close()
        return tifffile.TiffFile(path, omexml=companion.read_text(encoding="utf-8"))
    if not file.is_scanimage or file.is_bigtiff:
        return file
    file.close()
    return tifffile.TiffFile(path, is_scanimage=False)


def companions_of(path: Path, file: tifffile.TiffFile) -> list[Path]:
    """The file beside an OME-TIFF set that has its OME-XML, if that is no TIFF: one or none."""
    text = file.pages.first.description if file.is_ome else ""
    match = re.search(r'<(?:\w+:)?BinaryOnly\s[^>]*MetadataFile="([^"/\\]+)"', text)
    found = [path.resolve().with_name(match[1])] if match else []
    return [one for one in found if one.is_file() and one.suffix.lower() not in (".tif", ".tiff")]


def created_every(facts: dict[str, Any]) -> float | None:
    """Milliseconds from plane to plane of MetaMorph's, where they are even."""
    times = [int(time) * _MILLISECONDS for time in facts.get("DatetimeCreated", ())]
    steps = [after - before for before, after in pairwise(times)]
    mean = sum(steps) / len(steps) if steps else 0.0
    even = all(abs(step - mean) <= _EVEN * mean for step in steps)
    return mean if mean > 0 and even else None


def one_piece(page: Any) -> int | None:
    """Where a page's uncompressed samples begin, if contiguous, whatever length the page states."""
    whole = page.keyframe.is_final and len(page.dataoffsets) == 1
    return int(page.dataoffsets[0]) or None if whole else None


def unreadable(name: str, error: BaseException) -> InputError:
    """The error for a file that tifffile gave up on."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "imagecodecs" in text or isinstance(error, ImportError):
        return InputError(
            f"{name}: its compression needs a codec that imagecodecs lacks here ({text[:80]}).",
            hint="Reinstall it: pip install --force-reinstall imagecodecs.",
        )
    if isinstance(error, MemoryError):
        return InputError(
            f"{name}: does not fit into memory.",
            hint="Free memory, or its header claims more than it holds.",
        )
    unknown = "not supported" in text
    hint = "Save it again uncompressed, or as Deflate." if unknown else "The file is damaged."
    return InputError(f"{name}: cannot be decoded ({text[:160]}).", hint=hint)
