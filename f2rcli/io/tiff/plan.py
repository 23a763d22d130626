"""The output plan for a stack: the same file with other pixels."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from f2rcli.errors import InputError, UsageError
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.targets import check_folder, check_target
from f2rcli.io.tiff.axes import Series
from f2rcli.io.tiff.compression import SegmentCoding, can_rewrite, compression_name
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.folder import STACK_SUFFIXES
from f2rcli.io.tiff.reader import StackReader
from f2rcli.io.tiff.stack import Spot, Stack
from f2rcli.io.time_range import TimeRange

# What a copy keeps, in words.
TAGS, OTHERS, PYRAMID = (
    "every tag and description", "other series as they are", "pyramid, each level changed alike",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDetail:
    """The writer's part of the plan."""

    folder: bool  # several files, into a folder


def plan_stack(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan a stack. Raises UsageError or OutputError for what cannot be done."""
    if not isinstance(reader, StackReader):
        raise UsageError(
            f"{Path(target).name}: f2r writes TIFF stacks from TIFF stacks only.",
            hint="Write a video, or numbered .png pictures.",
        )
    several = len(reader.paths()) > 1 or reader.source.is_dir()
    check_options(reader, options, folder=reader.stack.divisible)
    _check_place(reader, Path(target), several, options)
    _check_shared(reader.stack)
    codings, notes = _codings(reader)
    series = reader.stack.series
    facts = [*_words(reader), TAGS]
    if len(reader.chosen) < len(series):
        facts.append(OTHERS)
    if any(reader.stack.levels(one.number) for one in series):
        facts.append(PYRAMID)
    return WritePlan(
        target=target,
        container="tiff",
        encoder=codings[0],
        pix_fmt=str(series[reader.chosen[0]].dtype),
        kept=tuple(facts),
        notes=tuple(notes),
        detail=StackDetail(folder=several),
    )


def _words(reader: StackReader) -> tuple[str, str]:
    """The kind of file and its axes, of the frames that are written."""
    flavour, series = reader.stack.flavour, reader.stack.series[reader.chosen[0]]
    if reader.stack.divisible:
        count = len(reader.places)
        flavour = f"{count} TIFF file{'s' if count > 1 else ''}"
        series = replace(series, shape=(count, *series.shape[1:]))
    absent = len(reader.stack.absent[series.number])
    there = f" ({series.frames - absent} of its {series.frames} pictures)" if absent else ""
    return flavour, f"axes {series.words}{there}"


def check_options(reader: StackReader, options: WriteOptions, *, folder: bool = False) -> None:
    """Raise UsageError for options without meaning for a stack; folder: one file per frame."""
    options.refuse_encoding("a stack, which is stored as its source is")
    if not TimeRange.of(reader.options).whole and not folder:
        raise UsageError(
            f"{reader.info.name}: a stack can only be written whole.",
            hint="Leave out start=, end= and frames=; --preview 0 shows the first.",
        )


def _check_place(reader: StackReader, target: Path, several: bool, options: WriteOptions) -> None:
    suffix = target.suffix.lower()
    if several:
        if suffix and not target.is_dir():
            raise UsageError(
                f"{target.name}: is a single file, but the stack has {len(reader.paths())}.",
                hint="Name a folder with output=; the files keep their names in it.",
            )
        check_folder(target, reader.paths(), overwrite=options.overwrite)
        return
    if suffix not in STACK_SUFFIXES:
        raise UsageError(
            f"{target.name}: a TIFF stack is written as TIFF.",
            hint="Name a .tif file with output=.",
        )
    check_target(target, reader.paths(), overwrite=options.overwrite)


def _check_shared(stack: Stack) -> None:
    """Raise InputError where two pictures are the same bytes: one would overwrite the other."""
    seen: dict[tuple[Path, int], int] = {}
    for series in stack.series if isinstance(stack, TiffStack) else ():
        for place in set(range(series.frames)) - stack.absent[series.number]:
            spot = stack.spot(series.number, place)
            if spot is None or spot.plane:
                continue
            start = spot.page.dataoffsets[0] if spot.offset is None else spot.offset
            first = seen.setdefault((spot.path, start), place)
            if first != place:
                raise InputError(
                    f"{stack.name}: pictures {first + 1} and {place + 1} share their samples.",
                    hint="Save it again, each page with samples of its own.",
                )


def _codings(reader: StackReader) -> tuple[list[str], list[str]]:
    """Compression of each chosen series in words, and notes on changes."""
    words, notes = [], []
    for series in (reader.stack.series[number] for number in reader.chosen):
        spot = _first_spot(reader.stack, series)
        page = spot.page.keyframe
        coding = SegmentCoding.of(page)
        words.append(compression_name(coding.compression))
        if spot.offset is None and not can_rewrite(page):
            before = series.codec
            bits = page.bitspersample
            if bits != 8 * np.dtype(page.dtype).itemsize:
                before = f"{bits}-bit samples"
            notes.append(f"{before}: f2r cannot write that; changed pages become {words[-1]}")
    return words, notes


def _first_spot(stack: Stack, series: Series) -> Spot:
    """The place of the first picture of a series that is there. Raises InputError for none."""
    refused = InputError(f"{stack.name}: has no whole picture of {series.words}.")
    for place in range(series.frames):
        try:
            spot = stack.spot(series.number, place)
        except InputError as error:
            refused = error
            continue
        if spot is not None and place not in stack.absent[series.number]:
            return spot
    raise refused
