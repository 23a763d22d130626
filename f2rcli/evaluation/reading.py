"""Turn a clip's frames into the pictures that are compared, and check that clips match."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from f2rcli import sensor, yuv
from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Family, Frame, Picture, PlaneLayout, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The conversion of frames to pictures, the same for all clips that are compared."""

    levels: tuple[float, float] | None = None  # codes of black and white of a stack's reference
    size: tuple[int, int] | None = None  # rows and columns, from the upper left; None: all

    def picture(self, frame: Frame, *, clamp: bool) -> Picture:
        """A frame's picture (C, H, W).

        clamp: to 0..1, as a player would show it; never for mosaics and stacks, whose samples
        below black and above white are measurements.
        """
        if frame.layout.space is Space.BAYER:
            return self._cut(sensor.to_planes(frame), scale=2)
        if self.levels is not None and frame.layout.levels is not None:
            frame = replace(frame, layout=replace(frame.layout, levels=self.levels))
            return self._cut(yuv.to_rgb(frame))
        picture = yuv.to_rgb(frame)
        return self._cut(np.clip(picture, 0, 1) if clamp else picture)

    def _cut(self, picture: Picture, scale: int = 1) -> Picture:
        if self.size is None:
            return picture
        rows, columns = (-(-side // scale) for side in self.size)
        return picture[:, :rows, :columns]


def clean_frames(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Clean frames as noise is added to them: as they are compared, clamped to 0..1."""
    for frame in frames:
        layout = clean_layout(frame.layout)
        if layout is frame.layout:
            yield frame
        else:
            picture = np.clip(yuv.to_rgb(frame), 0, 1)
            yield replace(frame, planes=tuple(picture), layout=layout)


def clean_layout(layout: PlaneLayout) -> PlaneLayout:
    """The layout of `clean_frames`: floats; mosaics, stacks and samples that span their whole range
    stay as they are."""
    if layout.family is Family.YUV:
        return PlaneLayout(family=Family.RGB, bits=32)
    if layout.full_range or layout.family is Family.BAYER or layout.levels is not None:
        return layout
    return PlaneLayout(family=layout.family, bits=32)


def check_alike(clips: list[ClipInfo]) -> list[str]:
    """Remarks on clips to be compared with the first. Raises InputError if they cannot be."""
    first, remarks = clips[0], []
    for other in clips[1:]:
        pair = f"{other.name} and {first.name}"
        sizes = [f"{clip.width}x{clip.height}" for clip in (other, first)]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{pair}: sizes differ, {sizes[0]} and {sizes[1]}.",
                hint="Only pictures of the same size can be compared; do not scale them for it.",
            )
        if other.space is not first.space:
            raise InputError(
                f"{pair}: {other.space.value} and {first.space.value} pictures.",
                hint="Compare clips of the same kind.",
            )
        if None not in (other.frames, first.frames) and other.frames != first.frames:
            raise counts_differ(other, first, other.frames, first.frames)
        if None not in (other.rate, first.rate) and other.rate != first.rate:
            rates = [f"{float(clip.rate or 0):.4g}" for clip in (other, first)]
            remarks.append(
                f"{pair}: rates differ, {rates[0]} and {rates[1]} frames/s; "
                "frames are compared by number"
            )
    return remarks


def counts_differ(
    other: ClipInfo, first: ClipInfo, counted: int | None, wanted: int | None
) -> InputError:
    """The error for clips of different lengths."""
    numbers = [f"{n}" if n is not None else "more" for n in (counted, wanted)]
    known = [n for n in (counted, wanted) if n is not None]
    return InputError(
        f"{other.name} and {first.name}: frame counts differ, {numbers[0]} and {numbers[1]}.",
        hint=f"If their first frames match, pass frames={min(known)}."
        if known and min(known) > 0
        else "One of them has no frames.",
    )
