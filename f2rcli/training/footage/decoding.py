"""Decode one file into the cache: pictures as the network sees them, and their shots.

Lanes of a stack (channels, depths, series) and fields of interlaced video are clips of their own:
they differ in noise, levels and maybe in size.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame, PlaneLayout, Space
from f2rcli.io import ReadOptions, open_reader
from f2rcli.sensor import lowest, to_planes
from f2rcli.training.footage.cache import building
from f2rcli.training.footage.lines import LineFilter
from f2rcli.units import size
from f2rcli.yuv import to_rgb

RUN = 32  # frames in a row, where only a part of a clip is taken
LANES = 12  # of a stack that has more of them, drawn at random: channels and depths alike
_FIELDS = ("top field", "bottom field")
WORKING_COPIES = 4  # of a float32 picture, while one is decoded
SMALL = 32  # pixels per side below which noise alone may look like a cut
FLAT = 2 / 255  # a clip whose samples differ by less shows nothing


@dataclass(frozen=True, slots=True)
class DecodingJob:
    """A clip to be decoded, and where its pictures go."""

    source: str
    entry: Path
    frames: int | None = None  # at most this many, in runs that are spread over the clip
    memory: int = 1 << 31  # bytes that the pictures in work may take
    read: ReadOptions = field(default_factory=ReadOptions)
    noisy: bool = True  # lines and bands are taken out, as they are at run time


@dataclass(frozen=True, slots=True)
class ClipSize:
    """Kind of a clip, and memory and disk space it will need, before it is decoded."""

    name: str
    space: Space
    picture: int  # bytes in memory while one picture is decoded
    disk: int  # bytes


def measure(job: DecodingJob) -> ClipSize:
    """What decoding a clip takes; an unknown number of frames counts as none. Raises InputError."""
    with open_reader(job.source, job.read) as reader:
        info = reader.info
    # a mosaic's four planes have a quarter of its size each
    samples = info.width * info.height * (3 if info.layout.space is Space.RGB else 1)
    picture = 4 * WORKING_COPIES * samples
    if picture > job.memory:
        raise InputError(
            f"{info.name}: pictures of {info.width}x{info.height} take {size(picture)} while "
            f"they are decoded; the memory budget is {size(job.memory)}.",
            hint="Raise the budget, or crop the clip first.",
        )
    count = _expected(info) * len(_lanes(info)) // len(info.lanes)
    # of lanes of other sizes nothing is known yet: this is the first one's
    return ClipSize(info.name, info.space, picture, 2 * samples * min(count, job.frames or count))


def decode(job: DecodingJob) -> int:
    """Decode a file into its cache entry; returns how many frames were dropped as copies.

    The entry holds, for every lane, or for either field of an interlaced clip, `<n>.f16`, float16
    pictures (T, H, W, C) as networks see them, and `facts.json`. Lanes that teach nothing are left
    out beside others. Raises InputError where none teaches anything, and OutputError for a full
    disk.
    """
    with open_reader(job.source, job.read) as reader, building(job.entry) as part:
        info = reader.info
        writers = _writers(part, info)
        every = list(itertools.chain(*writers.values()))
        for writer in every:
            writer.lines.active = job.noisy
        try:
            for index, frame in _chosen(reader, info, job.frames):
                if not (frame.held or frame.corrupt):
                    for writer in writers.get(frame.lane, ()):
                        writer.add(index, frame)
            for writer in every:
                writer.end()
        finally:
            for writer in every:
                writer.file.close()
        kept = _teaching(every)
        facts = {
            "name": info.name,
            "space": info.space.value,
            "stated": info.noise_profile,
            "coded": info.coded,
            "strips": [writer.facts() for writer in kept],
        }
        (part / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return sum(writer.copies for writer in kept)


def _writers(part: Path, info: ClipInfo) -> dict[int, list["LaneWriter"]]:
    """Writers for each lane that is decoded."""
    lanes = _lanes(info)
    if info.interlaced and info.height >= 4:
        names = [f"{info.name} ({name})" for name in _FIELDS]
        return {0: [LaneWriter(part / f"{n}.f16", name, n) for n, name in enumerate(names)]}
    if len(info.lanes) == 1:
        return {0: [LaneWriter(part / "0.f16", info.name)]}
    return {n: [LaneWriter(part / f"{n}.f16", f"{info.name} ({info.lanes[n]})")] for n in lanes}


def _lanes(info: ClipInfo) -> list[int]:
    """The lanes that are learnt from, always the same of a file."""
    count = len(info.lanes)
    if count <= LANES:
        return list(range(count))
    return sorted(np.random.default_rng(0).choice(count, LANES, replace=False).tolist())


def _teaching(writers: list["LaneWriter"]) -> list["LaneWriter"]:
    """Writers with usable footage; raises the first one's InputError if there are none."""
    found, refused = [], []
    for writer in writers:
        try:
            writer.check()
            found.append(writer)
        except InputError as error:
            refused.append(error)
            writer.path.unlink()
    if not found:
        raise refused[0]
    return found


@dataclass
class LaneWriter:
    """The pictures of a clip, of a lane or of one of its fields, on their way to a file."""

    path: Path
    name: str  # for messages
    parity: int | None = None  # of the rows that are taken; None: all
    lines: LineFilter = field(default_factory=LineFilter)
    file: IO[bytes] = field(init=False)
    shape: tuple[int, int, int] | None = None
    count: int = 0
    copies: int = 0
    starts: list[int] = field(default_factory=list)  # of shots
    low: float = np.inf
    high: float = -np.inf
    layout: PlaneLayout | None = None

    def __post_init__(self) -> None:
        self.file = self.path.open("wb")
        self._seen: set[bytes] = set()
        self._before: tuple[int, Thumbnail] | None = None
        self._rows = 0  # of a picture

    def add(self, index: int, frame: Frame) -> None:
        """Take the frame with this number in the clip; copies of earlier ones are left out."""
        self._rows = frame.height
        if self.parity is not None:
            self._rows //= 2  # as many in either field
            frame = replace(frame, planes=tuple(p[self.parity :: 2] for p in frame.planes))
        self.layout = frame.layout
        look = hashlib.blake2b(digest_size=16)
        for plane in frame.planes[: frame.layout.colour_planes]:
            look.update(np.ascontiguousarray(plane).data)
        if look.digest() in self._seen:
            self.copies += 1
            return
        self._seen.add(look.digest())
        for number, ready in self.lines.take(index - self.copies, frame):
            self._write(number, _picture(ready)[: self._rows])

    def end(self) -> None:
        """Take what still waits for frames after it."""
        for number, ready in self.lines.rest():
            self._write(number, _picture(ready)[: self._rows])

    def _write(self, index: int, picture: NDArray[np.float32]) -> None:
        self.shape = picture.shape
        small = thumbnail(picture.mean(-1))
        before = self._before
        if before is None or index != before[0] + 1 or not same_shot(before[1], small):
            self.starts.append(self.count)
        self._before = (index, small)
        self.low = min(self.low, float(picture.min()))
        self.high = max(self.high, float(picture.max()))
        self.file.write(picture.astype(np.float16).tobytes())
        self.count += 1

    @property
    def shots(self) -> list[tuple[int, int]]:
        """(first, one beyond the last) of every run of two or more frames."""
        ends = [*self.starts[1:], self.count]
        return [(a, b) for a, b in zip(self.starts, ends, strict=True) if b - a >= 2]

    def check(self) -> None:
        """Raise InputError where there is nothing to learn from."""
        name = self.name
        many = f"{self.count + self.copies} frames"
        if self.count < 2:
            copied = f" ({many}, all alike)" if self.copies else ""
            raise InputError(
                f"{name}: has only {self.count} distinct picture{'s'[: self.count != 1]}{copied}.",
                hint="Training needs at least two frames that differ, in a row.",
            )
        if self.high - self.low < FLAT:
            shade = "black" if self.high < 0.1 else "of one colour"
            raise InputError(f"{name}: is {shade} throughout ({many}).", hint="Leave it out.")
        if not self.shots:
            height, width = (self.shape or (0, 0))[:2]
            why = f"is cut after every frame ({many}): no frame has a neighbour."
            if min(height, width) < SMALL:
                why = f"{width}x{height} pixels are too few to tell scenes apart."
            need = f"Training needs two frames in a row of one scene, of {SMALL}x{SMALL} pixels."
            raise InputError(f"{name}: {why}", hint=need)

    def facts(self) -> dict[str, Any]:
        """The clip's entry in `facts.json`."""
        shape = (self.count, *(self.shape or ()))
        layout = self.layout
        mosaic = None if layout is None else layout.mosaic
        return {
            "name": self.name,
            "file": self.path.name,
            "shape": shape,
            "shots": self.shots,
            "floor": 0.0 if mosaic is None else lowest(mosaic),
            "sensor": layout is not None and layout.counts_light,
            "dark": layout is not None and layout.levels is not None,
        }


def _chosen(frames: Any, info: ClipInfo, limit: int | None) -> Iterator[tuple[int, Frame]]:
    """Numbered frames of the chosen lanes: all, or a share of `limit` from each lane."""
    wanted = _lanes(info)
    total, share = _expected(info) // len(info.lanes), None
    if limit is not None:
        share = limit if len(wanted) == 1 else max(limit // len(wanted), RUN)
    for number, lane in itertools.groupby(frames, key=lambda frame: frame.lane):
        if number in wanted:
            yield from _spread(lane, total, share)
        if number >= wanted[-1]:
            return


def _spread(frames: Iterator[Frame], total: int, limit: int | None) -> Iterator[tuple[int, Frame]]:
    """Numbered frames: all, or `limit` of them in evenly spread runs; total 0: unknown."""
    if limit is None or 0 < total <= limit:
        yield from enumerate(frames)
        return
    runs = max(limit // RUN, 1)
    length = min(limit, RUN)
    gap = max(total - length, 0) / max(runs - 1, 1) if total and runs > 1 else length
    firsts = [round(run * gap) for run in range(runs)]
    wanted = {first + step for first in firsts for step in range(length)}
    last = max(wanted)
    for index, frame in enumerate(frames):
        if index in wanted:
            yield index, frame
        if index >= last:
            return


def _picture(frame: Frame) -> NDArray[np.float32]:
    planes = to_planes(frame) if frame.layout.space is Space.BAYER else to_rgb(frame)
    picture = np.ascontiguousarray(planes.transpose(1, 2, 0))
    if frame.layout.float_samples:  # such files may hold anything
        limits = np.finfo(np.float16)
        np.clip(np.nan_to_num(picture, copy=False), limits.min, limits.max, out=picture)
    return picture


def _expected(info: ClipInfo) -> int:
    """Number of frames of a clip; 0 if unknown."""
    if info.frames is not None:
        return info.frames
    return round(info.duration * info.rate) if info.duration and info.rate else 0
