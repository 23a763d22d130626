"""TIFF through tifffile, and what libraries raise on damaged files: for stacks and camera raw."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import tifffile

from f2rcli.errors import F2RError, InputError


class refusals:
    """Turn what a library raises in the block into InputError about `name`.

    Damaged files make libraries raise anything: TypeError, KeyError, exceptions of their own. An
    error that a line of f2r itself raises is a mistake in f2r, or in its way to call the library:
    it passes, but for what the disk and the memory refuse.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, F2RError):
            return
        while trace is not None and trace.tb_next is not None:  # to the innermost line
            trace = trace.tb_next
        module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
        if isinstance(error, OSError | MemoryError) or module.partition(".")[0] != "f2rcli":
            raise unreadable(self.name, error) from error


def unreadable(name: str, error: BaseException) -> InputError:
    """The error for a file, or a picture of it, that its library gave up on."""
    said = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    words = said.decode("ascii", "replace") if isinstance(said, bytes) else said  # LibRaw's: bytes
    text = " ".join(words.split()) or type(error).__name__
    text = re.sub(rf"(?:[A-Za-z]:)?[/\\].*[/\\](?={re.escape(name)})", "", text)  # its folders
    if isinstance(error, MemoryError):
        return InputError(
            f"{name}: does not fit into memory.",
            hint="Free memory, or its header claims more than it holds.",
        )
    return InputError(
        f"{name}: cannot be decoded ({text[:160]}).",
        hint="The file is damaged, or of a kind that its library does not read.",
    )


@contextmanager
def quiet(library: str = "tifffile") -> Iterator[None]:
    """Keep a library's complaints about this thread's file from being printed."""
    logger, own = logging.getLogger(library), threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != own

    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)


def compression_name(scheme: int) -> str:
    """TIFF's compression, in tifffile's word."""
    name = next((one.name for one in tifffile.COMPRESSION if one == scheme), f"number {scheme}")
    return "uncompressed" if name == "NONE" else str(name).removeprefix("ADOBE_")


def first_description(file: Any) -> str:
    """The description of a tifffile.TiffFile's first page; "" where it has none."""
    return str(file.pages.first.description or "")
