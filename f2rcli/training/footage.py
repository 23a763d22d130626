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
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli import methods
from f2rcli.engine.pictures import one_field, with_copies
from f2rcli.engine.planes_store import Packing
from f2rcli.engine.rows import LineRemover, lines_of
from f2rcli.errors import InputError, OutputError
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, Mosaic, PlaneLayout, Singles
from f2rcli.io import open_reader
from f2rcli.io.files import disk_errors, replacing, sweep
from f2rcli.noise.synthesis.spec import parse
from f2rcli.planes import Layout, packing, unpack
from f2rcli.training.config import ClipSource, TrainConfig, clip_sources, fingerprint
from f2rcli.training.folder import ELSEWHERE, Event, EventKind, OnEvent, said
from f2rcli.units import size
from f2rcli.weights import CHANNELS
from f2rcli.window import same_shot, tee_releasing, thumbnail
from f2rcli.yuv import parted, planes_of, to_rgb, unpack_mosaic

SPARE = 1 << 28  # bytes of free disk that are never taken
RUN = 32  # frames in a row, where only a part of a clip is taken
LANES = 12  # of a stack that has more of them, drawn at random: channels and depths alike
ADAPT_FRAMES = 480  # of a file, in runs all over it: more than an adaptation sees
OPENING = 6  # frames that lines are looked for in
ROUNDED = 1e-3  # of the range: what half precision leaves of black, white and a rotation
MOSAIC = Mosaic(pattern="RGGB", black=(0.0,) * 4, white=(1.0,) * 4)


@dataclass(frozen=True)
class Footage:
    """A clip on disk and its shots."""

    name: str
    path: Path
    shape: tuple[int, int, int, int]  # (T, C, H, W)
    shots: tuple[range, ...]  # of two or more frames each; frames outside have no neighbours
    layout: PlaneLayout  # of its frames: floats
    packed: Layout | None  # how their planes are packed; None: they are channels of pictures
    clean: Path | None = None  # the same without the noise that was added to it
    # Of a stack, black and white in its own codes; light may begin above black.
    levels: tuple[float, float] | None = None
    coded: bool = False  # see ClipInfo.coded
    stated: tuple[tuple[float, float], ...] | None = None  # see ClipInfo.noise_profile

    @property
    def sensor(self) -> bool:
        """Whether samples count light, and are seen through a working space."""
        return self.layout.counts_light

    @property
    def cell(self) -> int:
        """Pixels along a side of what lies at one place."""
        return 1 if self.packed is None else 2

    @property
    def kind(self) -> str:
        """What networks see of it, in a word."""
        return self.layout.space.value if self.packed is None else self.packed.name

    @property
    def channels(self) -> int:
        """Of its pictures."""
        return CHANNELS[self.layout.space]

    @cached_property
    def array(self) -> NDArray[Any]:
        """Every picture, (T, C, H, W) float16, read-only; 0 = black and 1 = white."""
        return self._mapped(self.path)

    @cached_property
    def reference(self) -> NDArray[Any] | None:
        """The clean pictures, where they are known."""
        return None if self.clean is None else self._mapped(self.clean)

    def frame(self, number: int) -> Frame:
        """One picture, in the planes of its layout."""
        one = np.asarray(self.array[number], np.float32)
        planes = list(one) if self.packed is None else unpack(self.packed, one)
        if self.layout.mosaic is not None:
            whole = tuple(2 * side for side in planes[0].shape)
            planes = [unpack_mosaic(np.stack(planes), self.layout.mosaic.pattern, whole)]
        return Frame(planes=tuple(planes), layout=self.layout)

    def _mapped(self, path: Path) -> NDArray[Any]:
        try:
            return np.memmap(path, np.float16, "r", shape=self.shape)
        except (OSError, ValueError) as error:
            what = f"{self.name}: its pictures are gone from the run folder ({error})."
            hint = "Start again with resume=True, which decodes what is missing."
            raise InputError(what, hint=hint) from error


def is_clipped(clip: Footage, frames: Iterable[int]) -> bool:
    """Whether some frames' noise is clipped at black and white: in integer files, unless they count
    light. What is packed is off by less than ROUNDED."""
    some = (to_rgb(clip.frame(number)) for number in frames)
    return not clip.sensor and all(
        one.min() >= -ROUNDED and one.max() <= 1 + ROUNDED for one in some
    )


def open_footage(config: TrainConfig, report: OnEvent = lambda event: None) -> list[Footage]:
    """Clips of every file and folder, decoded into the run's folder unless they are there.

    Frames that are exact copies, damaged, or stand in for lost ones are left out; so are lines and
    bands of noisy footage, as they are before `f2r denoise` looks at it.

    Raises InputError for a named clip that cannot be used, for a folder without any that can (one
    among others is reported and left out), and for gray and colour clips together; OutputError
    where the disk is too small or becomes full: what is complete by then stays for the next run.
    """
    cache = config.folder / "footage"
    cache.mkdir(parents=True, exist_ok=True)
    sweep(cache)
    footage: list[Footage] = []
    refused: list[InputError] = []
    for item in clip_sources(config.inputs):
        try:
            footage += _clips(item, cache, config, report)
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


def _clips(item: ClipSource, cache: Path, config: TrainConfig, report: OnEvent) -> list[Footage]:
    """The clips of one source, decoded unless they are there."""
    try:
        noise = config.noise and (config.noise, config.seed)
        facts = _most(config), config.read, noise, config.method == methods.DEFAULT
        entry = cache / fingerprint(item.files, "footage", *facts)
    except OSError as error:
        raise InputError(f"{item.name}: {error.strerror}.") from error
    if not entry.exists():
        copies = _decode(item, entry, config, report)
        more = f", {copies} copies left out" if copies else ""
        report(said(f"read {item.name}{more}"))
    try:
        found = json.loads((entry / "facts.json").read_text(encoding="utf-8"))
        return [_footage(entry, lane) for lane in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        shutil.rmtree(entry, ignore_errors=True)
        what = f"{item.name}: what was decoded of it is damaged."
        raise InputError(what, hint="Start again: it is removed.") from error


def _most(config: TrainConfig) -> int | None:
    """Frames that are taken of each file, in runs that are spread over it; None: all."""
    return ADAPT_FRAMES if config.adapt else None


def _footage(entry: Path, known: dict[str, Any]) -> Footage:
    """The clip that facts describe; ValueError for one that lost bytes, as by a crash."""
    family, clean, stated, levels = (
        known[name] for name in ("family", "clean", "stated", "levels")
    )
    counts = Family(family) is Family.GRAY and levels
    layout = PlaneLayout(
        family=Family(family), bits=32, log2_chroma=tuple(known["log2_chroma"]),
        matrix=Matrix(known["matrix"]), levels=(0.0, 1.0) if counts else None,
        mosaic=MOSAIC if Family(family) is Family.BAYER else None,
    )  # fmt: skip
    clip = Footage(
        name=known["name"], path=entry / known["path"], shape=tuple(known["shape"]),
        shots=tuple(range(*shot) for shot in known["shots"]), layout=layout,
        packed=packing(layout) if known["packed"] else None, clean=clean and entry / clean,
        levels=levels and tuple(levels), coded=known["coded"],
        stated=stated and tuple(map(tuple, stated)),
    )  # fmt: skip
    if clip.path.stat().st_size != math.prod(clip.shape) * np.float16().itemsize:
        raise ValueError(clip.path)
    return clip


def _decode(item: ClipSource, entry: Path, config: TrainConfig, report: OnEvent) -> int:
    """Decode a file into its entry; returns how many frames were dropped as copies.

    Lanes that teach nothing are left out beside others. Raises InputError where none teaches
    anything, and OutputError for a full disk.
    """
    with (
        open_reader(item.source, config.read) as reader,
        disk_errors(entry.parent, ELSEWHERE),
        replacing(entry) as part,
    ):
        part.mkdir()
        info, most = reader.info, _most(config)
        total = info.expected_frames or 0
        total = min(total, most) if most and total else total
        _check_space(entry.parent, info, total, 1 if config.noise is None else 2)
        noisy, frames = info, _chosen(reader, info, most)
        if config.noise is not None:  # the clean frame is the source of each
            clean = (replace(frame, source=frame) for frame in frames)
            noise = parse(config.noise)
            noisy, frames = noise.add(clean, info, seed=config.seed, clipped=True)
        form = None
        if config.method == methods.DEFAULT:
            form = (noisy if noisy.coded else info).layout
        writers = list[LaneWriter]()
        told = _told(frames, f"reading {item.name}", total, report)
        for lane, taken in itertools.groupby(told, key=lambda frame: frame.lane):
            own = _writers(part, info, lane, form, noisy=config.noise is None)
            pairs = zip(own, tee_releasing(taken, len(own)), strict=True)
            for _ in itertools.zip_longest(*(writer.written(one) for writer, one in pairs)):
                pass  # two fields, picture by picture
            writers += own
        facts, refused = [], []
        for writer in writers:
            try:
                facts.append(writer.facts(noisy))
            except InputError as error:
                refused.append(error)
                writer.path.unlink()
        if not facts:
            none = InputError(f"{info.name}: has no whole frames.", hint="Pass longer clips.")
            raise refused[0] if refused else none
        (part / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return sum(writer.copies for writer in writers)


def _told(frames: Iterator[Frame], stage: str, total: int, report: OnEvent) -> Iterator[Frame]:
    """The frames; about once a second it is told how many there were."""
    spoke = time.monotonic()
    for count, one in enumerate(frames, 1):
        yield one
        if time.monotonic() - spoke >= 1:
            spoke, steps = time.monotonic(), max(total, count)
            report(Event(kind=EventKind.PROGRESS, stage=stage, step=count, steps=steps))


def _check_space(cache: Path, info: ClipInfo, frames: int, times: int) -> None:
    """Raise OutputError where so many decoded frames, so many times, would not fit the disk."""
    samples = info.width * info.height * (3 if info.layout.space is Family.RGB else 1)
    needed = np.float16().itemsize * samples * frames * times
    if needed > (free := shutil.disk_usage(cache).free - SPARE):
        what = f"{info.name} needs {size(needed)} of disk; {cache} has {size(max(free, 0))} free."
        hint = f"Pass a shorter part of it (start=, end=, frames=), or {ELSEWHERE}."
        raise OutputError(what, hint=hint)


def _writers(
    part: Path, info: ClipInfo, lane: int, form: PlaneLayout | None, *, noisy: bool
) -> list["LaneWriter"]:
    """Writers for a lane, or for both of its fields. noisy: whether its noise is its own."""
    if info.interlaced and info.height >= 4:
        fields = enumerate(f"{info.name} ({which} field)" for which in ("top", "bottom"))
        return [LaneWriter(part / f"{n}.f16", name, noisy, form, n) for n, name in fields]
    name = f"{info.name} ({info.lanes[lane]})" if len(info.lanes) > 1 else info.name
    return [LaneWriter(part / f"{lane}.f16", name, noisy, form)]


def _lanes(info: ClipInfo) -> list[int]:
    """The lanes that are learnt from, always the same of a file."""
    count = len(info.lanes)
    if count <= LANES:
        return list(range(count))
    return sorted(np.random.default_rng(0).choice(count, LANES, replace=False).tolist())


class LaneWriter:
    """The pictures of a clip, of a lane or of one of its fields, on their way to a file."""

    def __init__(
        self, path: Path, name: str, noisy: bool, form: PlaneLayout | None, field: int | None = None
    ) -> None:
        """form: whose planes are packed; None: pictures are written. field: that is taken, of both;
        None: whole frames."""
        self.path, self.name, self.noisy, self.form, self.field = path, name, noisy, form, field
        self.clean: Path | None = None
        self.shape: tuple[int, ...] = ()
        self.layout: PlaneLayout | None = None
        self.count = self.copies = 0
        self.starts: list[int] = []  # of shots

    def written(self, frames: Iterable[Frame]) -> Iterator[None]:
        """Write the frames, a picture at a time, without copies of earlier ones."""
        before: tuple[int, Singles] | None = None
        different = self._different(map(self._own, frames))
        with ExitStack() as files:
            file = files.enter_context(self.path.open("wb"))
            for frame in without_lines(different) if self.noisy else different:
                picture, index = self._picture(frame, frame), frame.index or 0
                small = thumbnail((picture if self.form is None else picture[:4]).mean(0))
                if before is None or index != before[0] + 1 or not same_shot(before[1], small):
                    self.starts.append(self.count)
                before = index, small
                file.write(picture.astype(np.float16).tobytes())
                if not self.noisy and not frame.layout.counts_light:
                    if self.clean is None:
                        self.clean = self.path.with_suffix(".clean")
                        clean = files.enter_context(self.clean.open("wb"))
                    known = self._picture(self._own(frame.source), frame)
                    clean.write(known.astype(np.float16).tobytes())
                self.count, self.shape, self.layout = self.count + 1, picture.shape, frame.layout
                yield

    def _own(self, frame: Frame) -> Frame:
        return frame if self.field is None else one_field(self.field, frame)

    def _different(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Frames that show something new, numbered without the others. Copies that a codec wrote
        again have the noise of their originals, which would be learnt as scene."""
        seen = set[bytes]()
        pairs = with_copies(frames) if self.noisy else zip(frames, itertools.repeat(False))
        for frame, copied in pairs:
            shown, look = frame if self.noisy else frame.source, hashlib.blake2b(digest_size=16)
            for plane in shown.planes[: shown.layout.colour_planes]:
                look.update(np.ascontiguousarray(plane).data)
            if copied or look.digest() in seen:
                self.copies += 1
                continue
            seen.add(look.digest())
            yield replace(frame, index=(frame.index or 0) - self.copies)

    def _picture(self, frame: Frame, like: Frame) -> NDArray[np.float32]:
        """A frame as networks see it, (C, H, W): as much of it as another, which a codec may have
        made even, has."""
        if self.form is None:
            return _finite(to_rgb(frame), frame)[:, : like.height, : like.width]
        return packed_picture(frame, self.form)[:, : like.height // 2, : like.width // 2]

    def facts(self, info: ClipInfo) -> dict[str, Any]:
        """The clip's entry in `facts.json`. Raises InputError where there is nothing to learn."""
        name, many = self.name, f"{self.count + self.copies} frames"
        ends = [*self.starts[1:], self.count]
        shots = [(a, b) for a, b in zip(self.starts, ends, strict=True) if b - a >= 2]
        if self.count < 2:
            copied = f" ({many}, all alike)" if self.copies else ""
            few = f"{self.count} distinct picture{'s'[: self.count != 1]}{copied}"
            hint = "Training needs at least two frames that differ, in a row."
            raise InputError(f"{name}: has only {few}.", hint=hint)
        if not shots:
            why = f"is cut after every frame ({many}): no frame has a neighbour."
            need = "Training needs two frames in a row of one scene."
            raise InputError(f"{name}: {why}", hint=need)
        assert self.layout is not None  # of the frames
        stored = self.form or PlaneLayout(family=info.space, bits=32)
        rows, columns = packing(stored).planes[-1]
        return {
            "name": name,
            "path": self.path.name,
            "clean": self.clean and self.clean.name,
            "shape": (self.count, *self.shape),
            "shots": shots,
            "packed": self.form is not None,
            "family": stored.family.value,
            "log2_chroma": (2 - columns, 2 - rows),  # as planes are packed
            "matrix": stored.matrix.value,
            "levels": self.layout.levels if self.layout.counts_light else None,
            "coded": info.coded,
            "stated": info.noise_profile,
        }


def without_lines(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Different frames of a lane, in order, without the lines and bands that its first ones show,
    as networks see them."""
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
