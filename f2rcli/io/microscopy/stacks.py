"""Stacks of every kind, for those who read single pictures: microscopes' formats and TIFF."""

from pathlib import Path

from f2rcli.io.microscopy.hdf5 import split_path
from f2rcli.io.microscopy.passport import Passport
from f2rcli.io.microscopy.reader import MicroscopyFile, format_of
from f2rcli.io.microscopy.tiff_facts import tiff_passport
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.folder import open_stack as open_tiff
from f2rcli.io.tiff.stack import Stack


def open_stack(source: str) -> Stack:
    """A stack by its suffix or content. Raises InputError for what cannot be read."""
    name, inside = split_path(source)
    unknown = format_of(path := Path(name)) is None
    return open_tiff(source) if unknown else MicroscopyFile(path, inside or "")


def passport_of(stack: Stack, number: int) -> Passport:
    """The metadata of a series, of a stack of any format."""
    if isinstance(stack, MicroscopyFile):
        return stack.passport(number)
    return tiff_passport(stack, number) if isinstance(stack, TiffStack) else Passport()
