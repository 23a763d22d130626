"""Clips to learn from, decoded once into memory-mapped pictures of the footage as it is.

Float16 holds 8- and 10-bit codes to within an eighth of an 8-bit step; nothing is clipped.
"""

import itertools
import json
import math
import mmap
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import F2RError, InputError
from f2rcli.frames import Space
from f2rcli.io import ReadOptions
from f2rcli.io.atomic import sweep
from f2rcli.training.footage.cache import check_space, fingerprint
from f2rcli.training.footage.decoding import ClipSize, DecodingJob, decode, measure
from f2rcli.training.footage.sources import ClipSource, find_sources
from f2rcli.training.footage.worker_pool import spread

Result = TypeVar("Result")

BUDGET = 2 << 30  # bytes of pictures in memory
DISK = 64 << 30  # bytes of decoded pictures
READ_AHEAD = 1 << 16  # bytes around a page that Linux maps along with it


@dataclass
class Budget:
    """Bounds how many bytes of mapped files count as this process's memory.

    Pages that were read stay mapped until the kernel wants them back, and look like memory in
    use. Once `limit` bytes were touched, all are handed back; they stay in the kernel's own cache,
    so reading them again costs a page fault, not a disk access.
    """

    limit: int = BUDGET
    touched: int = 0
    maps: list[mmap.mmap] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Budget"], tuple[int]]:
        return Budget, (self.limit,)  # in another process: its own maps, the same limit

    def touch(self, count: int) -> None:
        """Note that `count` more bytes are about to be read."""
        with self._lock:
            self.touched += count
            if self.touched <= self.limit:
                return
            self.touched = count
            for mapped in self.maps:
                if hasattr(mapped, "madvise"):  # Windows trims working sets on its own
                    mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class Footage:
    """A cached clip and its shots, picklable; `read` keeps to the memory budget, `array` maps all
    of it."""

    name: str
    space: Space
    path: Path
    shape: tuple[int, int, int, int]  # (T, H, W, C)
    shots: tuple[range, ...]  # of two or more frames each; frames outside have no neighbours
    floor: float = 0.0  # the lowest value that a sample can take; raw files reach below black
    sensor: bool = False  # samples count light, and are seen through a working space
    dark: bool = False  # black may lie above 0
    coded: bool = False  # see ClipInfo.coded
    stated: tuple[tuple[float, float], ...] | None = None  # see ClipInfo.noise_profile
    budget: Budget = field(default_factory=Budget, compare=False)

    @property
    def channels(self) -> int:
        return self.shape[3]

    @cached_property
    def array(self) -> NDArray[Any]:
        """Every picture, (T, H, W, C) float16, read-only; 0 = black and 1 = white."""
        try:
            with self.path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise InputError(
                f"{self.name}: its pictures are gone from the cache ({error.strerror}).",
                hint="Start again with resume=True, which decodes what is missing.",
            ) from error
        self.budget.maps.append(mapped)
        return np.frombuffer(mapped, np.float16, math.prod(self.shape)).reshape(self.shape)

    def read(
        self, frames: int | slice, rows: slice = slice(None), columns: slice = slice(None)
    ) -> NDArray[np.float32]:
        """A copy of one picture (H, W, C) or several (T, H, W, C), or of a crop of them."""
        part = self.array[frames, rows, columns]
        pictures = part.shape[0] if part.ndim == 4 else 1
        span = part.shape[-3] * self.shape[2] * self.shape[3] * part.itemsize
        self.budget.touch(pictures * (span + READ_AHEAD))
        return part.astype(np.float32)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "array"}


def open_footage(
    paths: Sequence[Path],
    cache: Path,
    *,
    budget: int = BUDGET,
    jobs: int = 1,
    report: Callable[[str], None] = lambda line: None,
    frames: int | None = None,
    disk: int = DISK,
    read: ReadOptions | None = None,
    noisy: bool = True,
) -> list[Footage]:
    """Clips of every file and folder, decoded by `jobs` processes into `cache` unless there.

    budget: bytes of pictures in memory, while decoding and later while reading; disk: bytes that
    decoding may write; frames: at most so many of each file, in runs of 32 spread evenly over it;
    read: which part of the files, and how a stack's axes are meant; noisy: whether they may have
    lines and bands, which are taken out as at run time. Lanes of a stack and the fields of an
    interlaced clip are clips of their own, as at run time. Frames that are exact copies, damaged,
    or stand in for lost ones are left out. `report` gets a line per clip.

    Raises InputError for a named clip that cannot be used, for a folder without any that can (one
    among others is reported and left out), and for gray and colour clips together; OutputError
    where the disk is too small or becomes full: what is complete by then stays for the next run.
    """
    cache.mkdir(parents=True, exist_ok=True)
    sweep(cache)
    entries = _CacheEntries(cache, report, frames, budget, read or ReadOptions(), noisy)
    for item in find_sources(paths):
        entries.place(item)
    entries.fill(jobs, disk)
    shared = Budget(budget)
    footage = [clip for key in entries.places for clip in _load(cache / key, shared)]
    if not footage:
        raise entries.refusal()
    return footage


@dataclass
class _CacheEntries:
    """The entries of the cache that are wanted, by their keys, and what could not be used."""

    cache: Path
    report: Callable[[str], None]
    frames: int | None
    memory: int
    read: ReadOptions
    noisy: bool
    places: dict[str, ClipSource] = field(default_factory=dict)
    refused: list[F2RError] = field(default_factory=list)

    def place(self, item: ClipSource | F2RError) -> None:
        """Give a clip its place; a file that is there twice gets one."""
        if isinstance(item, F2RError):
            self._leave_out(item)
            return
        try:
            key = fingerprint(item.files, "footage", self.frames, self.read, self.noisy)
        except OSError as error:
            self._refuse(item, InputError(f"{item.name}: {error.strerror}."))
        else:
            self.places.setdefault(key, item)

    def fill(self, jobs: int, disk: int) -> None:
        """Decode what is missing, once it is known that it fits."""
        sizes = [size for _, size in self._run(measure, self._missing(), jobs) if size]
        kept = [clip for key in self.places for clip in _load(self.cache / key, Budget())]
        _check_spaces([*kept, *sizes])
        needed = sum(size.disk for size in sizes)
        check_space(self.cache, needed, disk, f"{len(sizes)} decoded clips")
        largest = max((size.picture for size in sizes), default=1)
        missing = self._missing()
        for count, (key, copies) in enumerate(
            self._run(decode, missing, min(jobs, max(self.memory // largest, 1))), 1
        ):
            if copies is not None:
                note = f", {copies} copies left out" if copies else ""
                self.report(f"decoded {self.places[key].name}{note} ({count} of {len(missing)})")

    def refusal(self) -> F2RError:
        """The error for footage of which nothing is left."""
        if len(self.refused) == 1:
            return self.refused[0]
        return InputError(
            f"none of {len(self.refused)} clips can be used.", hint=f"The first: {self.refused[0]}"
        )

    def _missing(self) -> list[DecodingJob]:
        return [
            DecodingJob(
                source.source, self.cache / key, self.frames, self.memory, self.read, self.noisy
            )
            for key, source in self.places.items()
            if not _whole(self.cache / key)
        ]

    def _run(
        self, function: Callable[[DecodingJob], Result], items: list[DecodingJob], jobs: int
    ) -> Iterator[tuple[str, Result | None]]:
        for item, result in spread(function, items, jobs):
            key = item.entry.name
            if isinstance(result, F2RError):
                self._refuse(self.places[key], result)
                del self.places[key]
                yield key, None
            else:
                yield key, result

    def _refuse(self, source: ClipSource, error: F2RError) -> None:
        if type(error) is F2RError:  # a worker's death, which knows no name
            error = F2RError(f"{source.name}: {error}", hint=error.hint)
        if not (source.found and isinstance(error, InputError)):
            raise error
        self._leave_out(error)

    def _leave_out(self, error: F2RError) -> None:
        self.refused.append(error)
        self.report(f"left out: {error}")


def _whole(entry: Path) -> bool:
    """Whether an entry is there; one that lost bytes, by a crash of the machine, is removed."""
    if not entry.exists():
        return False
    try:
        for clip in _load(entry, Budget()):
            if clip.path.stat().st_size != math.prod(clip.shape) * np.float16().itemsize:
                raise ValueError(clip.path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        shutil.rmtree(entry, ignore_errors=True)
        return False
    return True


def _load(entry: Path, budget: Budget) -> list[Footage]:
    if not entry.exists():
        return []
    facts = json.loads((entry / "facts.json").read_text(encoding="utf-8"))
    stated = facts["stated"] and tuple((gain, variance) for gain, variance in facts["stated"])
    return [
        Footage(
            name=strip["name"],
            space=Space(facts["space"]),
            path=entry / strip["file"],
            shape=tuple(strip["shape"]),
            shots=tuple(range(*shot) for shot in strip["shots"]),
            floor=strip["floor"],
            sensor=strip["sensor"],
            dark=strip["dark"],
            coded=facts["coded"],
            stated=stated,
            budget=budget,
        )
        for strip in facts["strips"]
    ]


def _check_spaces(clips: Sequence[Footage | ClipSize]) -> None:
    for first, clip in itertools.pairwise(clips):
        if clip.space is not first.space:
            raise InputError(
                f"{first.name} is {first.space.value}, {clip.name} is {clip.space.value}: "
                "one run trains on one kind.",
                hint="Train on each kind separately.",
            )
