"""Arrays as frames and back, in the caller's own type, shape and units."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.api.options import Options
from f2rcli.errors import InputError, UsageError
from f2rcli.frames import ClipInfo, Family, Frame, PlaneLayout
from f2rcli.tee import tee_releasing

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine

TIME_BASE = Fraction(1, 25)  # arrays say nothing of time, and nothing depends on it
HARDLY_WHITE = 4.0  # floats beyond it do not range from 0 to 1
DEFAULT_WHITE = {"uint8": 255.0, "uint16": 65535.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form that all pictures of a clip share."""

    torch: bool
    dtype: Any  # NumPy's or torch's
    shape: tuple[int, ...]  # of one picture: (H, W), (H, W, C) or (C, H, W)
    first: bool  # channels come before rows
    lanes: int  # channels that are denoised apart; 1 where they are one picture
    black: float
    white: float

    @classmethod
    def of(cls, picture: Any, options: Options) -> "Form":
        """The form of a clip by its first picture.

        Raises InputError for anything but a picture, UsageError for options that do not fit it.
        """
        values = _values(picture)
        if values.ndim not in (2, 3) or 0 in values.shape:
            raise InputError(
                f"a picture of shape {tuple(values.shape)}: has no rows and columns.",
                hint="Pass (T, H, W) or (T, H, W, C); frames of iterables lack the T.",
            )
        first = options.layout == "TCHW" and values.ndim == 3
        channels = 1 if values.ndim == 2 else values.shape[0 if first else 2]
        return cls(
            torch=_is_tensor(picture),
            dtype=picture.dtype,
            shape=tuple(values.shape),
            first=first,
            lanes=_lanes(channels, values.shape, options),
            black=options.black or 0.0,
            white=options.white if options.white is not None else _default_white(values),
        )

    @property
    def span(self) -> float:
        """From black to white, in the arrays' own units."""
        return self.white - self.black

    @property
    def channels(self) -> int:
        return 1 if len(self.shape) == 2 else self.shape[0 if self.first else 2]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.shape[1:] if self.first else self.shape[:2]
        return rows, columns

    def info(self) -> ClipInfo:
        """The clip's facts, for the engine."""
        return ClipInfo(
            name="array", width=self.size[1], height=self.size[0], layout=self._layout(),
            frames=None, duration=None, rate=None, time_base=TIME_BASE,
        )  # fmt: skip

    def _layout(self) -> PlaneLayout:
        colour = self.lanes == 1 and self.channels >= 3
        family = Family.RGB if colour else Family.GRAY
        return PlaneLayout(family=family, bits=32, alpha=colour and self.channels == 4)

    def frame(self, picture: Any, lane: int, number: int) -> Frame:
        """One lane of a picture, as float32 from 0, black, to 1, white."""
        values = _values(picture)
        if tuple(values.shape) != self.shape or picture.dtype != self.dtype:
            raise InputError(
                f"frame {number}: is {tuple(values.shape)} {picture.dtype}, "
                f"the first was {self.shape} {self.dtype}.",
                hint="A clip has one size and dtype.",
            )
        planes = [(plane - self.black) / self.span for plane in self._planes(values, lane)]
        if not all(np.isfinite(plane).all() for plane in planes):
            raise InputError(
                f"frame {number}: holds values that are not finite.", hint="Replace them first."
            )
        return Frame(
            planes=tuple(plane.astype(np.float32) for plane in planes),
            layout=self._layout(), pts=number, duration=1, time_base=TIME_BASE, source=picture,
        )  # fmt: skip

    def _planes(self, values: NDArray[Any], lane: int) -> list[NDArray[np.float64]]:
        """The planes of a lane, as numbers that subtract well."""
        if values.ndim == 2:
            planes = [values]
        else:
            planes = list(values if self.first else np.moveaxis(values, 2, 0))
        return [
            plane.astype(np.float64) for plane in (planes if self.lanes == 1 else [planes[lane]])
        ]

    def picture(self, restored: tuple[Frame, ...], before: tuple[Frame, ...]) -> Any:
        """A picture of the caller's kind from its restored lanes; rounded once, if at all."""
        original = restored[0].source
        out = _values(original).astype(np.float64)
        view = out[None] if out.ndim == 2 else out if self.first else np.moveaxis(out, 2, 0)
        for lane, (after, noisy) in enumerate(zip(restored, before, strict=True)):
            for place in range(after.layout.colour_planes):
                change = after.planes[place].astype(np.float64) - noisy.planes[place]
                view[lane + place] += self.span * change
        return self._typed(out, original)

    def _typed(self, out: NDArray[np.float64], original: Any) -> Any:
        if not self.torch:
            return _rounded(out, np.dtype(self.dtype))
        import torch

        kind = _values(original).dtype
        return torch.from_numpy(_rounded(out, kind)).to(original.device, self.dtype)


def restored(pictures: Iterable[Any], form: Form, engine: "Engine") -> Iterator[Any]:
    """One picture for each that comes in, in order, holding a window of them.

    Lanes go through the engine side by side, each with its own noise.
    """
    from f2rcli.engine.stream import denoise_stream  # brings torch

    info = form.info()
    branches = tee_releasing(enumerate(pictures), form.lanes)
    before: list[dict[int, Frame]] = [{} for _ in branches]

    def frames(branch: Iterator[tuple[int, Any]], lane: int) -> Iterator[Frame]:
        for number, picture in branch:
            before[lane][number] = frame = form.frame(picture, lane, number)
            yield frame

    streams = [denoise_stream(frames(b, lane), info, engine) for lane, b in enumerate(branches)]
    for number, done in enumerate(zip(*streams, strict=True)):
        yield form.picture(done, tuple(held.pop(number) for held in before))


def _is_tensor(picture: Any) -> bool:
    return type(picture).__module__.partition(".")[0] == "torch"


def _values(picture: Any) -> NDArray[Any]:
    """The numbers of a picture, as NumPy has them; bfloat16, which it has not, as float32."""
    if not _is_tensor(picture):
        if not isinstance(picture, np.ndarray):
            raise InputError(
                f"a frame of type {type(picture).__name__}: not an array.",
                hint="Pass NumPy arrays or torch tensors.",
            )
        values = picture
    else:
        tensor = picture.detach().cpu()
        values = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    if values.dtype.kind not in "uif" or (values.dtype.kind in "ui" and values.dtype.itemsize > 4):
        raise InputError(
            f"arrays of {values.dtype}: not pictures.",
            hint="Pass integers up to 32 bits or floats.",
        )
    return values


def _lanes(channels: int, shape: tuple[int, ...], options: Options) -> int:
    if options.space == "gray":
        return channels
    if options.space == "rgb" and channels not in (3, 4):
        raise UsageError(f"space='rgb': the pictures have {channels} channels.")
    if channels in (1, 3, 4):
        return 1
    other = "TCHW" if options.layout == "THWC" else "THWC"
    raise UsageError(
        f"pictures of shape {tuple(shape)}: {channels} channels are not colours.",
        hint=f"Pass layout={other!r}, or space='gray' to denoise every channel on its own.",
    )


def _default_white(values: NDArray[Any]) -> float:
    if values.dtype.kind == "f":
        reach = float(np.nanmax(np.abs(values)))
        if reach > HARDLY_WHITE:
            raise UsageError(
                f"floats that reach {reach:g}: which value is white?",
                hint="Floats are taken to be from 0 to 1; pass white= (and black=).",
            )
        return 1.0
    if values.dtype.name not in DEFAULT_WHITE:
        raise UsageError(
            f"arrays of {values.dtype}: which values are black and white?",
            hint="Pass black= and white=, in the arrays' own units.",
        )
    return DEFAULT_WHITE[values.dtype.name]


def _rounded(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
