"""Arrays of any kind: what their axes mean, their samples, and their lanes through the engine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from f2rcli.api.call import Call, Options
from f2rcli.engine.settings import changes_nothing
from f2rcli.errors import InputError, UsageError
from f2rcli.frames import ClipInfo, Frame, Plane
from f2rcli.io.stacks.stack import LETTER_OF, Lane, Pictures, check_samples, lanes_along
from f2rcli.samples.defects import no_numbers, unreal_line
from f2rcli.samples.lanes import LaneStatistics, Taken, lane_layout, measure_lane, surveyed
from f2rcli.system import load_torch

COLOURS = (3, 4)  # samples of a pixel: RGB, and RGB with alpha
LETTERS = "T time, Y rows, X columns, S colours, C channels, Z depth; others are lanes of their own"
Place = tuple[int | slice, ...]  # of a picture in its array


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid(Pictures):
    """The pictures of an array, and the lanes they make, as those of a stack in a file."""

    along: str = "T"  # the axis along which pictures are each other's neighbours

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: str | None, *, frame: bool = False) -> "Grid":
        """The grid of an array, or of one frame of an iterable.

        axes: the user's letters; None: taken from the shape where that leaves no doubt. Raises
        UsageError where it does, or where the letters do not fit.
        """
        letters = _guessed(shape, frame=frame) if axes is None else _named(shape, axes, frame)
        grid = cls(axes=letters, shape=shape)
        grid = grid if frame else replace(grid, along=grid.sequence)
        if 0 in (grid.height, grid.width):
            what = f"an array of shape {shape}: has no rows and columns."
            raise InputError(what, hint="Pass (T, H, W).")
        return grid if grid.colour else replace(grid, axes=letters.replace("S", "s"))  # lanes

    @property
    def lanes(self) -> list[Lane]:
        """Every combination of the axes along which pictures are not neighbours."""
        return list(lanes_along(self, self.along))

    def place(self, lane: Lane, frame: int) -> Place:
        """The place of a picture of a lane."""
        at = self.at(lane.frames[frame])
        return tuple(slice(None) if letter in "YXS" else at[letter] for letter in self.axes)

    def in_order(self, stored: Plane) -> Plane:
        """A picture as it is stored -> (H, W) or (H, W, S)."""
        return stored.transpose(self._order)

    def stored(self, picture: Plane) -> Plane:
        """The reverse of `in_order`."""
        return picture.transpose(np.argsort(self._order))

    @property
    def _order(self) -> list[int]:
        kept = [letter for letter in self.axes if letter in "YXS"]
        return [kept.index(letter) for letter in "YXS" if letter in kept]


def letters_of(dims: tuple[Any, ...]) -> str:
    """The letters of named dimensions. Raises UsageError for names that say nothing."""
    letters = [LETTER_OF.get(str(dim).lower(), "") for dim in dims]
    strange = [str(dim) for dim, letter in zip(dims, letters, strict=True) if not letter]
    if strange or len(set(letters)) < len(letters):
        what = f"dimensions {', '.join(map(str, dims))}: which axes are they?"
        raise UsageError(what, hint=f"Pass axes=, one letter for each: {LETTERS}.")
    return "".join(letters)


def _guessed(shape: tuple[int, ...], *, frame: bool) -> str:
    """The letters of a shape that can mean one thing only."""
    time, last = "" if frame else "T", shape[-1] if shape else 0
    inner = len(shape) - len(time)
    if inner == 2 and (frame or last not in COLOURS):
        return f"{time}YX"
    if inner == 3 and last in (1, *COLOURS):
        return f"{time}YX{'C' if last == 1 else 'S'}"
    if len(shape) == 2:
        return "YX"
    if len(shape) < 2:
        raise InputError(f"an array of shape {shape}: not a clip.", hint="Pass (T, H, W).")
    known = {3: "YXS", 4: "TCYX"}.get(len(shape), "TZCYX")
    what = f"{_what(frame)} of shape {shape}: what are its axes?"
    raise UsageError(what, hint=f"Name them, for example axes={known!r}: {LETTERS}.")


def _what(frame: bool) -> str:
    return "a frame" if frame else "an array"


def _named(shape: tuple[int, ...], axes: str, frame: bool) -> str:
    letters, wrong = axes.upper(), ""
    if len(letters) != len(shape) or len(set(letters)) != len(letters) or not letters.isalpha():
        wrong = "each axis needs its own letter"
    elif not {"Y", "X"} <= set(letters):
        wrong = "Y and X are the picture"
    elif frame and "T" in letters:
        wrong = "frames arrive in order of time and have no T axis"
    if wrong:
        what = f"axes={axes!r}: {_what(frame)} has shape {shape}; {wrong}."
        raise UsageError(what, hint=f"Letters: {LETTERS}.")
    return letters


# --- Pictures of any kind of array as NumPy arrays, and results as arrays of that kind -----------


def kind_of(frames: Any) -> str:
    """The library that an object's type comes from."""
    return type(frames).__module__.partition(".")[0]


def is_array(frames: Any) -> bool:
    """Whether something has a shape, samples of a type, and places."""
    return all(hasattr(frames, name) for name in ("shape", "dtype", "__getitem__"))


def values_of(picture: Any) -> Plane:
    """A picture's samples in NumPy, bfloat16 as float32. Raises InputError for no intensities."""
    if kind_of(picture) == "torch":
        tensor = picture.detach().cpu()
        values = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    elif np.ma.isMaskedArray(picture):
        hint = "Pass .astype('float32').filled(numpy.nan): what is no number stays in place."
        raise InputError("a masked array: networks would see what the mask hides.", hint=hint)
    elif is_array(picture):
        values = np.asarray(picture)
    else:
        hint = "Pass NumPy arrays or torch tensors."
        raise InputError(f"a frame of type {type(picture).__name__}: not an array.", hint=hint)
    check_samples(values.dtype, "array")
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def copy_of(picture: Any) -> Any:
    """A copy of the same kind; what cannot be copied (h5py) is no memory of the caller's."""
    if kind_of(picture) == "torch":
        return picture.detach().clone()
    return picture.copy() if hasattr(picture, "copy") else picture


def empty_like(frames: Any) -> Any:
    """A new array of the same shape and type: a tensor for tensors, else NumPy's."""
    if kind_of(frames) == "torch":
        return frames.new_empty(frames.shape)
    return np.empty(frames.shape, frames.dtype)


def is_writable(out: Any) -> bool:
    """Whether an array takes samples, as far as its library tells."""
    if kind_of(out) == "h5py":
        return bool(out.file.mode != "r")
    flags = getattr(out, "flags", None)  # NumPy's
    return not getattr(out, "read_only", False) and bool(getattr(flags, "writeable", True))


# --- Whole arrays, lane by lane, through the functions that stacks in files go through -----------


TIME_BASE = Fraction(1)  # arrays say nothing of time, and nothing depends on it
UNKNOWN = LaneStatistics((0.0, 1.0))  # of a lane that nothing looks at


def put_back(out: Any, restored: Frame, grid: Grid) -> None:
    """Write a restored picture, with what is no light as it was, to where `Taken` found it."""
    taken: Taken = restored.source
    values: Any = grid.stored(taken.kept(restored))
    if kind_of(out) == "torch":
        import torch

        values = torch.from_numpy(np.ascontiguousarray(values)).to(out.device, out.dtype)
    out[taken.place] = values


def statistics_of(
    stored: Iterable[Any], grid: Grid, options: Options, more: Iterable[Any] = ()
) -> LaneStatistics:
    """A lane's statistics from some of its pictures in arrays, and `more`, read one by one."""
    if changes_nothing(options):
        return UNKNOWN
    pictures, others = ((grid.in_order(values_of(one)) for one in some) for some in (stored, more))
    found = measure_lane(list(pictures), others)
    return found if options.levels is None else replace(found, levels=options.levels)


def array_info(grid: Grid, dtype: np.dtype[Any]) -> ClipInfo:
    return ClipInfo(
        name="array", width=grid.width, height=grid.height, frames=grid.frames,
        lanes=tuple(lane.label for lane in grid.lanes),
        layout=lane_layout(dtype, grid.samples, UNKNOWN.levels),
        duration=None, rate=None, time_base=TIME_BASE,
    )  # fmt: skip


def denoise_array(array: Any, call: Call, output: Any) -> Any:
    """An array like the one given, or `output`, with every picture restored."""
    grid = Grid.of(tuple(array.shape), call.options.axes)
    load_torch()
    from f2rcli.engine.stream import denoise_stream, load_engine  # brings torch

    out = empty_like(array) if output is None else output
    report = call.report
    if 0 in grid.shape:
        return out
    call.check()
    if grid.along != "T":
        report.note(grid.sequence_note)
    info = array_info(grid, values_of(array[grid.place(grid.lanes[0], 0)]).dtype)
    engine = load_engine(call.options, info)
    engine.check = call.own_check()
    frames = denoise_stream(lane_frames(array, grid, call), info, engine)
    for frame in call.counted(frames, info.frames):
        put_back(out, frame, grid)
    report.take_in(engine, info)
    return out


def lane_frames(array: Any, grid: Grid, call: Call) -> Iterator[Frame]:
    """The frames of the first lane in their order, then those of the next, whose statistics are of
    frames spread over each."""

    def stored(lane: Lane, numbers: Iterable[int]) -> Iterator[Any]:
        for number in numbers:
            call.check()
            yield copy_of(array[grid.place(lane, number)])  # results may be written over it

    for number, lane in enumerate(grid.lanes):
        count = len(lane.frames)
        some, more = (stored(lane, surveyed(count, between=rest)) for rest in (False, True))
        seen, unreal = statistics_of(some, grid, call.options, more), 0
        before = f"{lane.label}: " if lane.label else ""
        call.report.note(*(before + line for line in seen.lines()))
        for index, picture in enumerate(stored(lane, range(count))):
            taken = Taken(grid.in_order(values_of(picture)), seen, grid.place(lane, index))
            unreal += no_numbers(taken.picture)
            yield taken.frame(pts=index, time_base=TIME_BASE, lane=number, index=index)
        if unreal:
            call.report.note(before + unreal_line(unreal))
