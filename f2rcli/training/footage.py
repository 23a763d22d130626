"""Clips to learn from, decoded once into a memory-mapped file each: (T, C, H, W) float16.

For F2R a clip is its file's own planes, packed (`f2rcli.planes`), for other methods RGB pictures,
gray ones or a mosaic's four colours. Float16 holds 8- and 10-bit codes to within an eighth of an
8-bit step; nothing is clipped. Lanes of a stack (channels, depths, series) and the fields of
interlaced video are clips of their own: they differ in noise, levels and maybe in size. An entry
lies in a folder named by a fingerprint of the files it was made from; it is built beside its place
and renamed once it is complete.
"""

import hashlib
import itertools
import json
import math
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.engine.planes_store import Packing
from f2rcli.errors import InputError, OutputError
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, PlaneLayout, Singles
from f2rcli.io import ReadOptions, open_reader
from f2rcli.io.files import disk_errors, replacing, sweep
from f2rcli.planes import Layout, packing, unpack
from f2rcli.training.config import ClipSource, clip_sources, fingerprint
from f2rcli.training.folder import ELSEWHERE, Event, EventKind, OnEvent, said
from f2rcli.units import size
from f2rcli.weights import CHANNELS
from f2rcli.window import same_shot, tee_releasing, thumbnail
from f2rcli.yuv import joined, parted, planes_of, to_rgb

if TYPE_CHECKING:
    from f2rcli.noise.synthesis.spec import NoiseSpec

SPARE = 1 << 28  # bytes of free disk that are never taken
RUN = 32  # frames in a row, where only a part of a clip is taken
LANES = 12  # of a stack that has more of them, drawn at random: channels and depths alike
FLAT = 2 / 255  # a clip whose samples differ by less shows nothing
OPENING = 6  # frames that lines are looked for in
ROUNDED = 1e-3  # of the range: what half precision leaves of black, white and a rotation


@dataclass(frozen=True)
class Footage:
    """A clip on disk and its shots."""

    name: str
    space: Family
    path: Path
    shape: tuple[int, int, int, int]  # (T, C, H, W)
    shots: tuple[range, ...]  # of two or more frames each; frames outside have no neighbours
    clean: Path | None = None  # the same without the noise that was added to it
    sensor: bool = False  # samples count light, and are seen through a working space
    levels: tuple[float, float] | None = None  # of a stack, black and white: light may begin above
    coded: bool = False  # see ClipInfo.coded
    stated: tuple[tuple[float, float], ...] | None = None  # see ClipInfo.noise_profile
    form: PlaneLayout | None = None  # of the file whose planes are packed; None: pictures

    @property
    def packed(self) -> Layout | None:
        """How its planes are packed; None: they are channels of pictures."""
        return None if self.form is None else packing(self.form)

    @property
    def cell(self) -> int:
        """Pixels along a side of what lies at one place."""
        return 1 if self.form is None else 2

    @property
    def kind(self) -> str:
        """What networks see of it, in a word."""
        return self.space.value if self.packed is None else self.packed.name

    @property
    def channels(self) -> int:
        """Of its pictures."""
        return CHANNELS[self.space]

    @cached_property
    def array(self) -> NDArray[Any]:
        """Every picture, (T, C, H, W) float16, read-only; 0 = black and 1 = white."""
        return self._mapped(self.path)

    @cached_property
    def reference(self) -> NDArray[Any] | None:
        """The clean pictures, where they are known."""
        return None if self.clean is None else self._mapped(self.clean)

    def planes(self, frame: int) -> list[NDArray[np.float32]]:
        """The planes (H, W) of one picture: the file's own, or channels."""
        one = np.asarray(self.array[frame], np.float32)
        return list(one) if self.packed is None else unpack(self.packed, one)

    def picture(self, frame: int) -> NDArray[np.float32]:
        """One picture (C, H, W): RGB, gray, or a mosaic's four colours."""
        planes = self.planes(frame)
        if self.form is None or self.form.family is not Family.YUV:
            return np.stack(planes)
        across, down = (planes[0].shape[n] // planes[1].shape[n] for n in (1, 0))
        stored = replace(self.form, log2_chroma=(across // 2, down // 2))  # as it is packed
        return np.ascontiguousarray(joined(planes, stored))

    def _mapped(self, path: Path) -> NDArray[Any]:
        try:
            return np.memmap(path, np.float16, "r", shape=self.shape)
        except (OSError, ValueError) as error:
            what = f"{self.name}: its pictures are gone from the run folder ({error})."
            hint = "Start again with resume=True, which decodes what is missing."
            raise InputError(what, hint=hint) from error


def is_clipped(clip: Footage, frames: range) -> bool:
    """Whether some frames' noise is clipped at black and white: in integer files, unless they count
    light. What is packed is off by less than ROUNDED."""
    some = map(clip.picture, frames)
    inside = all(one.min() >= -ROUNDED and one.max() <= 1 + ROUNDED for one in some)
    return not clip.sensor and inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    frames: int | None = None  # of each file at most so many, in runs that are spread over it
    read: ReadOptions = field(default_factory=ReadOptions)
    noise: "NoiseSpec | None" = None  # added to clean clips; None: they are noisy already
    seed: int = 0  # of that noise
    packed: bool = False  # whether networks see the file's planes


def open_footage(
    paths: Sequence[Path], cache: Path, how: Decoding, report: OnEvent = lambda event: None
) -> list[Footage]:
    """Clips of every file and folder, decoded into `cache` unless they are there.

    Frames that are exact copies, damaged, or stand in for lost ones are left out; so are lines and
    bands of noisy footage, as they are before `f2r denoise` looks at it.

    Raises InputError for a named clip that cannot be used, for a folder without any that can (one
    among others is reported and left out), and for gray and colour clips together; OutputError
    where the disk is too small or becomes full: what is complete by then stays for the next run.
    """
    cache.mkdir(parents=True, exist_ok=True)
    sweep(cache)
    footage: list[Footage] = []
    refused: list[InputError] = []
    for item in clip_sources(paths):
        try:
            footage += _clips(item, cache, how, report)
        except InputError as error:
            if not item.found:
                raise
            refused.append(error)
            report(said(f"left out: {error}"))
    if not footage:
        if len(refused) == 1:
            raise refused[0]
        what = f"none of {len(refused)} clips can be used."
        raise InputError(what, hint=f"The first: {refused[0]}")
    for one, other in itertools.pairwise(footage):
        if one.kind != other.kind:
            kinds = f"{one.name} is {one.kind}, {other.name} is {other.kind}"
            hint = "Train on each kind separately."
            raise InputError(f"{kinds}: one run trains on one kind.", hint=hint)
    return footage


def _clips(item: ClipSource, cache: Path, how: Decoding, report: OnEvent) -> list[Footage]:
    """The clips of one source, decoded unless they are there."""
    try:
        noise = None if how.noise is None else (how.noise.name, how.seed)
        key = fingerprint(item.files, "footage", how.frames, how.read, noise, how.packed)
    except OSError as error:
        raise InputError(f"{item.name}: {error.strerror}.") from error
    entry = cache / key
    if not entry.exists():
        copies = _decode(item, entry, how, report)
        more = f", {copies} copies left out" if copies else ""
        report(said(f"read {item.name}{more}"))
    try:
        facts = json.loads((entry / "facts.json").read_text(encoding="utf-8"))
        return [_footage(entry, strip) for strip in facts]
    except (OSError, ValueError, KeyError, TypeError) as error:
        shutil.rmtree(entry, ignore_errors=True)
        what = f"{item.name}: what was decoded of it is damaged."
        raise InputError(what, hint="Start again: it is removed.") from error


def _footage(entry: Path, strip: dict[str, Any]) -> Footage:
    """The clip that facts describe; ValueError for one that lost bytes, as by a crash."""
    stated, clean, form, levels = (strip[key] for key in ("stated", "clean", "form", "levels"))
    known = strip | {
        "space": Family(strip["space"]),
        "path": entry / strip["path"],
        "shape": tuple(strip["shape"]),
        "shots": tuple(range(*shot) for shot in strip["shots"]),
        "clean": clean and entry / clean,
        "stated": stated and tuple(map(tuple, stated)),
        "levels": levels and tuple(levels),
    }
    if form is not None:
        family, chroma, matrix = Family(form[0]), tuple(form[1]), Matrix(form[2])
        known["form"] = PlaneLayout(family=family, bits=8, log2_chroma=chroma, matrix=matrix)
    clip = Footage(**known)
    if clip.path.stat().st_size != math.prod(clip.shape) * np.float16().itemsize:
        raise ValueError(clip.path)
    return clip


def _decode(item: ClipSource, entry: Path, how: Decoding, report: OnEvent) -> int:
    """Decode a file into its entry; returns how many frames were dropped as copies.

    Lanes that teach nothing are left out beside others. Raises InputError where none teaches
    anything, and OutputError for a full disk.
    """
    with (
        open_reader(item.source, how.read) as reader,
        disk_errors(entry.parent, ELSEWHERE),
        replacing(entry) as part,
    ):
        part.mkdir()
        info = reader.info
        _check_space(entry.parent, info, how)
        noisy, frames = _noised(_chosen(reader, info, how.frames), info, how)
        form = (noisy if noisy.coded else info).layout if how.packed else None
        writers = _writers(part, info, form, noisy=how.noise is None)
        every = list(itertools.chain(*writers.values()))
        total = info.expected_frames or 0
        total = min(total, how.frames) if how.frames and total else total
        frames = _told(frames, f"reading {item.name}", total, report)
        try:
            for lane, taken in itertools.groupby(frames, key=lambda frame: frame.lane):
                branches = tee_releasing(taken, len(writers[lane]))
                pairs = zip(writers[lane], branches, strict=True)
                for _ in itertools.zip_longest(*(writer.written(one) for writer, one in pairs)):
                    pass  # two fields, picture by picture
        finally:
            for writer in every:
                writer.close()
        kept = _teaching(every)
        facts = [writer.facts(noisy) for writer in kept]
        (part / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return sum(writer.copies for writer in kept)


def _told(frames: Iterator[Frame], stage: str, total: int, report: OnEvent) -> Iterator[Frame]:
    """The frames; about once a second it is told how many there were."""
    spoke = time.monotonic()
    for count, one in enumerate(frames, 1):
        yield one
        if time.monotonic() - spoke >= 1:
            spoke, steps = time.monotonic(), max(total, count)
            report(Event(kind=EventKind.PROGRESS, stage=stage, step=count, steps=steps))


def _check_space(cache: Path, info: ClipInfo, how: Decoding) -> None:
    """Raise OutputError where the decoded clip would not fit the disk."""
    count = info.expected_frames or 0
    samples = info.width * info.height * (3 if info.layout.space is Family.RGB else 1)
    needed = 2 * samples * (min(count, how.frames) if how.frames else count)
    needed *= 1 if how.noise is None else 2
    if needed > (free := shutil.disk_usage(cache).free - SPARE):
        what = f"{info.name} needs {size(needed)} of disk; {cache} has {size(max(free, 0))} free."
        hint = f"Pass a shorter part of it (start=, end=, frames=), or {ELSEWHERE}."
        raise OutputError(what, hint=hint)


def _noised(
    frames: Iterator[Frame], info: ClipInfo, how: Decoding
) -> tuple[ClipInfo, Iterator[Frame]]:
    """What a clip is with its noise, and its frames: where noise was added, the clean one is the
    source of each."""
    if how.noise is None:
        return info, frames
    clean = (replace(frame, source=frame) for frame in frames)
    return how.noise.add(clean, info, seed=how.seed, clipped=True)


def _writers(
    part: Path, info: ClipInfo, form: PlaneLayout | None, *, noisy: bool
) -> dict[int, list["LaneWriter"]]:
    """Writers for each lane that is decoded. noisy: whether its noise is its own."""
    if info.interlaced and info.height >= 4:
        fields = enumerate(f"{info.name} ({which} field)" for which in ("top", "bottom"))
        return {0: [LaneWriter(part / f"{n}.f16", name, noisy, form, n) for n, name in fields]}
    if len(info.lanes) == 1:
        return {0: [LaneWriter(part / "0.f16", info.name, noisy, form)]}
    lanes = ((n, f"{info.name} ({info.lanes[n]})") for n in _lanes(info))
    return {n: [LaneWriter(part / f"{n}.f16", name, noisy, form)] for n, name in lanes}


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


class LaneWriter:
    """The pictures of a clip, of a lane or of one of its fields, on their way to a file."""

    def __init__(
        self, path: Path, name: str, noisy: bool, form: PlaneLayout | None, first: int | None = None
    ) -> None:
        """form: whose planes are packed; None: pictures are written. first: of every other row that
        is taken; None: all."""
        self.path, self.name, self.first = path, name, first
        self.form, self.noisy = form, noisy
        self.file = path.open("wb")
        self.clean: IO[bytes] | None = None
        self.shape: tuple[int, int, int] = (0, 0, 0)
        self.count = self.copies = self.rows = 0
        self.starts: list[int] = []  # of shots
        self.low, self.high = math.inf, -math.inf
        self.layout: PlaneLayout | None = None
        self._seen: set[bytes] = set()
        self._before: tuple[int, Singles] | None = None

    def written(self, frames: Iterable[Frame]) -> Iterator[None]:
        """Write the frames, a picture at a time, without copies of earlier ones."""
        different = self._different(frames)
        for frame in without_lines(different) if self.noisy else different:
            self._write(frame.index or 0, self._picture(frame, self.rows, frame.width))
            yield

    def _different(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Frames that show something new, numbered without the others. Copies that a codec wrote
        again have the noise of their originals, which would be learnt as scene."""
        from f2rcli.engine.pictures import with_copies  # brings torch

        own = map(self._field, frames)
        for frame, copied in with_copies(own) if self.noisy else zip(own, itertools.repeat(False)):
            clean = None if self.noisy else self._field(frame.source)
            self.layout, source = frame.layout, clean or frame
            look = hashlib.blake2b(digest_size=16)
            for plane in source.planes[: source.layout.colour_planes]:
                look.update(np.ascontiguousarray(plane).data)
            if copied or look.digest() in self._seen:
                self.copies += 1
                continue
            self._seen.add(look.digest())
            if clean is not None and not frame.layout.counts_light:
                self.clean = self.clean or self.path.with_suffix(".clean").open("wb")
                height, width = frame.planes[0].shape  # a codec may want even sizes
                self.clean.write(self._picture(clean, height, width).astype(np.float16).tobytes())
            yield replace(frame, index=(frame.index or 0) - self.copies)

    def _picture(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        """A frame's upper left part as networks see it, (C, H, W)."""
        if self.form is not None:
            return packed_picture(frame, self.form)[:, : height // 2, : width // 2]
        return _finite(to_rgb(frame), frame)[:, :height, :width]

    def close(self) -> None:
        """Nothing is written after this."""
        self.file.close()
        if self.clean is not None:
            self.clean.close()

    def _field(self, frame: Frame) -> Frame:
        self.rows = frame.height
        if self.first is None:
            return frame
        self.rows //= 2  # as many in either field
        return replace(frame, planes=tuple(p[self.first :: 2] for p in frame.planes))

    def _write(self, index: int, picture: NDArray[np.float32]) -> None:
        self.shape = picture.shape
        bright = picture if self.form is None else picture[:4]  # luma, or red
        small = thumbnail(bright.mean(0))
        before = self._before
        if before is None or index != before[0] + 1 or not same_shot(before[1], small):
            self.starts.append(self.count)
        self._before = (index, small)
        self.low = min(self.low, float(bright.min()))
        self.high = max(self.high, float(bright.max()))
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
            few = f"{self.count} distinct picture{'s'[: self.count != 1]}{copied}"
            hint = "Training needs at least two frames that differ, in a row."
            raise InputError(f"{name}: has only {few}.", hint=hint)
        if self.high - self.low < FLAT:
            shade = "black" if self.high < 0.1 else "of one colour"
            raise InputError(f"{name}: is {shade} throughout ({many}).", hint="Leave it out.")
        if not self.shots:
            why = f"is cut after every frame ({many}): no frame has a neighbour."
            need = "Training needs two frames in a row of one scene."
            raise InputError(f"{name}: {why}", hint=need)

    def facts(self, info: ClipInfo) -> dict[str, Any]:
        """The clip's entry in `facts.json`."""
        layout, form = self.layout, self.form
        return {
            "name": self.name,
            "space": info.space.value,
            "stated": info.noise_profile,
            "coded": info.coded,
            "path": self.path.name,
            "clean": None if self.clean is None else Path(self.clean.name).name,
            "shape": (self.count, *self.shape),
            "shots": self.shots,
            "sensor": layout is not None and layout.counts_light,
            "levels": layout and layout.levels,
            "form": form and (form.family.value, form.log2_chroma, form.matrix.value),
        }


def without_lines(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Different frames of a lane, in order, without the lines and bands that its first ones show,
    as networks see them."""
    from f2rcli.engine.rows import LineRemover, lines_of  # brings torch

    opening = list(itertools.islice(frames, OPENING))
    whole = ([frame] for frame in itertools.chain(opening, frames))
    return (frame for frame, *_ in LineRemover(lines_of(opening)).corrected(whole))


def _chosen(frames: Any, info: ClipInfo, limit: int | None) -> Iterator[Frame]:
    """Frames of the chosen lanes, numbered: all, or a share of `limit` from each lane; none that is
    damaged or stands in for a lost one."""
    wanted = _lanes(info)
    total, share = (info.expected_frames or 0) // len(info.lanes), None
    if limit is not None:
        share = limit if len(wanted) == 1 else max(limit // len(wanted), RUN)
    for number, lane in itertools.groupby(frames, key=lambda frame: frame.lane):
        if number in wanted:
            chosen = in_runs(total, share)
            for index, frame in enumerate(lane):
                if (chosen is None or index in chosen) and not (frame.held or frame.corrupt):
                    yield replace(frame, index=index)
                if chosen is not None and index >= chosen[-1]:
                    break
        if number >= wanted[-1]:
            return


def in_runs(total: int, limit: int | None) -> list[int] | None:
    """Of `total` frames (0: unknown) the `limit` to take, in runs of RUN, spread; None: all."""
    if limit is None or 0 < total <= limit:
        return None
    runs, length = max(limit // RUN, 1), min(limit, RUN)
    gap = max(total - length, 0) / max(runs - 1, 1) if total and runs > 1 else length
    firsts = [round(run * gap) for run in range(runs)]
    return sorted({first + step for first in firsts for step in range(length)})


def packed_picture(frame: Frame, form: PlaneLayout) -> NDArray[np.float32]:
    """A frame as packed planes (C, h, w) of a file of this form, which noise may have made RGB."""
    if form.family is Family.YUV and frame.layout.family is Family.RGB:
        planes = parted(to_rgb(frame), form, averaged=True)
    else:
        planes = planes_of(frame)
    tensors = [torch.from_numpy(np.ascontiguousarray(_finite(p, frame))) for p in planes]
    return np.asarray(Packing(form).packed(tensors)[0].numpy())


def _finite(picture: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """What float16 can hold: files of floats may hold anything."""
    if not frame.layout.float_samples:
        return picture
    limits = np.finfo(np.float16)
    return np.asarray(np.nan_to_num(picture).clip(limits.min, limits.max))
