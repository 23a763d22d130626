"""Stacks written as a copy of the source in which pictures are replaced as they come."""

import shutil
import tempfile
from array import array
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import IO

import numpy as np

from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Frame, Plane
from f2rcli.io.atomic import PartFile, PartFolder
from f2rcli.io.base import Reader, Receipt, WritePlan, Writer
from f2rcli.io.disk_errors import disk_errors, misread_error
from f2rcli.io.tiff.axes import Series
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.folder import open_stack
from f2rcli.io.tiff.levels import changed_level, read_level
from f2rcli.io.tiff.patch import PatchedFile, same_elsewhere
from f2rcli.io.tiff.plan import OTHERS, PYRAMID, TAGS
from f2rcli.io.tiff.provenance import put_provenance
from f2rcli.io.tiff.reader import StackFrame, StackReader
from f2rcli.io.tiff.stack import Stack
from f2rcli.samples.lanes import picture_kept
from f2rcli.units import count


class StackWriter(Writer):
    """Copies the source's files, and puts restored pictures into the copies."""

    copies = True  # what does not change is there already

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        assert isinstance(reader, StackReader)  # as the plan's maker saw to
        self.reader, self.plan = reader, plan
        self.target = Path(plan.target)
        self.count = 0
        self._provenance = ""  # how it is made
        self._written: dict[tuple[int, int], bytes] = {}  # digests, by series and place
        self._smaller: dict[tuple[int, int, int], bytes] = {}  # of smaller copies, by level too
        self._unchanged: list[StackFrame] = []  # pictures that keep their bytes
        self._recoded: set[int] = set()  # series of which pictures got another coding
        self._runs: dict[Path, array[int]] = {}  # what was written into each copy
        self._files: dict[Path, PatchedFile] = {}
        self._scratch: dict[int, IO[bytes]] = {}
        self.numbers = [series.number for series in reader.stack.series]  # those in the file
        self.places: Stack = reader.stack  # where pictures lie in the file that is written
        self._part = self._new_part()
        try:
            with disk_errors(self.target):
                self._begin()
        except BaseException:
            self.abandon()
            raise

    def _new_part(self) -> PartFile | PartFolder:
        part = PartFolder if self.plan.detail.folder else PartFile
        return part(self.target, overwrite=self.plan.overwrite, keep=self.plan.keep_partial)

    def _begin(self) -> None:
        for path in self._sources():
            shutil.copyfile(path, self._part.file(path.name))

    def _sources(self) -> list[Path]:
        if not self.reader.stack.divisible:
            return self.reader.paths()
        return [self.reader.stack.paths[place] for place in self.reader.places]

    def _copy(self, path: Path) -> Path:
        return self._part.path / path.name if self.plan.detail.folder else self._part.path

    def write(self, frame: Frame) -> None:
        """Put one picture where it came from; one that has not changed keeps its very bytes."""
        if not self.count:
            self._provenance = self.plan.provenance_text()
        with disk_errors(self.target):
            self._write(frame.source, frame.planes)
        self.count += 1

    def _write(self, taken: StackFrame, planes: tuple[Plane, ...]) -> None:
        stack = self.reader.stack
        original = stack.read(taken.series, taken.picture)
        if taken.sample is None:
            picture = picture_kept(original, planes, taken.statistics)
        else:
            plane = picture_kept(original[..., taken.sample], planes, taken.statistics)
            whole = self._gathered(taken, plane, original)
            if whole is None:
                return
            picture = whole
        series = stack.series[taken.series]
        self._written[taken.series, taken.picture] = digest_of(picture)
        if not self.copies:
            self._put(series, taken.picture, picture)
        elif picture.tobytes() != original.tobytes():
            self._put(series, taken.picture, picture)
            self._write_levels(taken, original, picture)
        else:
            self._unchanged.append(taken)

    def _recode(self) -> None:
        """Recode unchanged pictures like changed ones: readers expect series to be stored alike."""
        stack = self.reader.stack
        for taken in () if stack.divisible else self._unchanged:
            if taken.series in self._recoded:
                original = stack.read(taken.series, taken.picture)
                self._put(stack.series[taken.series], taken.picture, original)
                self._write_levels(taken, original, original)

    def _put(self, series: Series, place: int, picture: Plane) -> None:
        spot = self.places.spot(self.numbers.index(series.number), place)
        if spot is None:
            raise InputError(
                f"{self.reader.info.name}: changed while it was read.",
                hint="Run it again once nothing writes to it.",
            )
        if spot.path not in self._files:
            if self.plan.detail.folder:
                self._close_files()  # one at a time: there may be thousands
            file = PatchedFile(self._copy(spot.path), self._beyond(series.number))
            self._files[spot.path] = file
        self._files[spot.path].write_picture(spot, _as_stored(picture, series))
        if self._files[spot.path].recoded:
            self._recoded.add(series.number)

    def _fill(self) -> None:
        """Pictures that are not stored keep the value that their source reads as."""
        stack = self.reader.stack
        for number in self.numbers:
            for place in stack.absent[number]:
                self._put(stack.series[number], place, stack.read(number, place))

    def _beyond(self, number: int) -> int:
        """Where the absent pictures of a series would end, where the file's size allows it."""
        stack = self.reader.stack
        if not isinstance(stack, TiffStack) or not stack.absent[number]:
            return 0
        series = stack.series[number]
        most = stack.path.stat().st_size + series.frames * series.picture_bytes
        ends = (stack.end(number, place) for place in stack.absent[number])
        return max((end for _, end in filter(None, ends) if end <= most), default=0)

    def _gathered(self, taken: StackFrame, plane: Plane, original: Plane) -> Plane | None:
        """Samples of a pixel come lane by lane: a picture is whole with the last of them."""
        samples, size = original.shape[-1], plane.nbytes
        assert taken.sample is not None  # asked only for those
        if taken.series not in self._scratch:
            self._scratch[taken.series] = tempfile.TemporaryFile(dir=self.target.resolve().parent)  # noqa: SIM115  # closed in _close_files
        scratch = self._scratch[taken.series]
        scratch.seek((taken.picture * samples + taken.sample) * size)
        scratch.write(np.ascontiguousarray(plane).tobytes())
        if taken.sample < samples - 1:
            return None
        scratch.seek(taken.picture * samples * size)
        gathered = np.frombuffer(scratch.read(samples * size), plane.dtype)
        return np.ascontiguousarray(np.moveaxis(gathered.reshape(samples, *plane.shape), 0, -1))

    def _write_levels(self, taken: StackFrame, original: Plane, picture: Plane) -> None:
        """Add the averaged change of a picture to its smaller copies."""
        levels = self.reader.stack.levels(taken.series)
        if not levels:
            return
        with np.errstate(invalid="ignore"):  # infinity less itself is no change
            change = np.nan_to_num(picture.astype(np.float64) - original)
        for number, level in enumerate(levels):
            changed = changed_level(level, taken.picture, original, change)
            self._smaller[taken.series, taken.picture, number] = b""
            if changed is None:  # it stays; the pyramid is lost
                continue
            spot = self.reader.stack.spot(taken.series, taken.picture)
            assert spot is not None  # its largest level was just written
            at = type(spot)(spot.path, level.pages[taken.picture])
            self._files[spot.path].write_picture(at, changed)
            self._smaller[taken.series, taken.picture, number] = digest_of(changed)

    def finish(self) -> Receipt:
        """Read back what was written, and put it in its place."""
        if self.count + self.reader.skipped != self.reader.info.frames:
            raise OutputError(
                f"{self.target.name}: {self.reader.info.frames} frames were read, but {self.count} "
                "were written.",
                hint="Nothing was written to the target.",
            )
        with disk_errors(self.target):
            self._recode()
            self._close_files()
            self._tell()
            verified, lost = self._verify()
            size = self._part.publish()
        seconds = self.reader.info.duration or 0.0
        return self.plan.receipt(
            frames=self.count, seconds=seconds, size=size, verified=verified, lost=lost
        )

    def _tell(self) -> None:
        """Put how it was made where a changed copy tells how its source was."""
        for path in self._sources() if self._runs else ():
            copy = self._copy(path)
            self._runs.setdefault(copy, array("q")).extend(put_provenance(copy, self._provenance))

    def _verify(self) -> tuple[tuple[str, ...], list[str]]:
        """Facts verified, in words, and the parts of the plan that were not written."""
        source = self.reader.stack
        folder = self.plan.detail.folder and not source.path.is_file()
        written = self._part.path if folder else self._copy(source.path.resolve())
        with closing(open_stack(str(written))) as again:
            wrong = self._differing(again)
            lost = [] if wrong else self._lost(again)
        if wrong:
            raise misread_error(self.target.name, f"{wrong} when it is read back")
        return (f"{count(len(self._written), 'picture')}, each read back",), lost

    def _lost(self, again: Stack) -> list[str]:
        same = all(
            same_elsewhere(path, self._copy(path), self._runs.get(self._copy(path), array("q")))
            for path in self._sources()
        )
        levels = all(
            (small := read_level(again.levels(number)[level], place)) is not None
            and digest_of(small) == digest
            for (number, place, level), digest in self._smaller.items()
        )
        lost = {TAGS: not same, OTHERS: not same, PYRAMID: not levels}
        return [what for what in self.plan.kept if lost.get(what, False)]

    def _differing(self, again: Stack) -> str:
        """The first difference between what was written and what is read, in words."""
        expected = [self._stored(number).words for number in self.numbers]
        if [one.words for one in again.series] != expected:
            return "its axes differ"
        for (number, place), digest in self._written.items():
            own = self.numbers.index(number)
            if place in again.absent[own] or digest_of(again.read(own, place)) != digest:
                return f"picture {place + 1} differs"
        return ""

    def _stored(self, number: int) -> Series:
        one = self.reader.stack.series[number]
        if not self.reader.stack.divisible:
            return one
        return replace(one, shape=(len(self.reader.places), *one.shape[1:]))

    def _close_files(self) -> None:
        for path, file in self._files.items():
            file.close()
            self._runs.setdefault(self._copy(path), array("q")).extend(file.written)
        for scratch in self._scratch.values():
            scratch.close()
        self._files.clear()
        self._scratch.clear()
        if self.places is not self.reader.stack:
            self.places.close()

    def abandon(self) -> None:
        with ExitStack() as closing_all:  # a full disk refuses what is pending of each file
            closing_all.callback(self._part.discard)
            closes = [file.close for file in self._files.values()]
            closes += [scratch.close for scratch in self._scratch.values()]
            for close in closes:
                closing_all.enter_context(suppress(OSError))
                closing_all.callback(close)
        self._files.clear()
        self._scratch.clear()
        self._close_files()


def digest_of(picture: Plane) -> bytes:
    """A digest of a picture's samples."""
    return blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=16).digest()


def _as_stored(picture: Plane, series: Series) -> Plane:
    """(Y, X, S) as (S, Y, X) where pages are stored plane by plane."""
    planar = "S" in series.axes and series.axes.index("S") < series.axes.index("Y")
    return np.ascontiguousarray(np.moveaxis(picture, -1, 0)) if planar else picture
