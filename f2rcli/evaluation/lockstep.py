"""Read one clip's reference, noisy input and estimates in step, frame by frame.

Each frame is seen once and released: memory is that of a few frames.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from f2rcli import yuv
from f2rcli.errors import F2RError, InputError
from f2rcli.evaluation.base import Case
from f2rcli.evaluation.baselines import Contestant
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import CLEAN, NOISY
from f2rcli.frames import ClipInfo, Family, Frame, Picture
from f2rcli.window import tee_releasing


@dataclass
class DenoiserRun:
    """One side of a case on its way through a clip: a file, or an estimate made here."""

    name: str
    info: ClipInfo
    frames: Iterator[Frame] | None = None  # None once it failed
    contestant: Contestant | None = None  # who makes it here, of the frames of `source`
    failed: str | None = None
    drawn: int = 0
    seconds: float = 0.0  # that drawing them took, but for what `source` had to wait

    def source(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames; the time it takes to get them does not count."""
        stream = iter(frames)
        while True:
            began = time.perf_counter()
            frame = next(stream, None)
            self.seconds -= time.perf_counter() - began
            if frame is None:
                return
            yield frame

    def next(self) -> Frame | None:
        """The next frame, or None at the end or after a failure."""
        if self.frames is None:
            return None
        began = time.perf_counter()
        try:
            frame = next(self.frames, None)
        except F2RError as error:
            if self.contestant is None or not self.contestant.optional:
                raise
            self.failed = str(error)
            self.frames = None  # and with it the frames that wait for it
            return None
        self.seconds += time.perf_counter() - began
        self.drawn += frame is not None
        return frame

    @property
    def seconds_per_frame(self) -> float | None:
        """Time per frame of an estimate that was made here, else None."""
        if self.contestant is None or not self.drawn or self.failed:
            return None
        return max(self.seconds, 0.0) / self.drawn


class Lockstep(AbstractContextManager["Lockstep"]):
    """An open case: its sides, and its frame sets, which can be read once."""

    def __init__(self, case: Case) -> None:
        """Open the clips; raises InputError where they do not belong together."""
        self.case = case
        self.stack = ExitStack()
        self.made_floats = False
        openers = {CLEAN: case.reference, NOISY: case.noisy, **case.given}
        try:
            clips = {n: self.stack.enter_context(o()) for n, o in openers.items() if o is not None}
            if not clips:
                raise InputError(f"{case.name}: nothing to compare.")
            self.opened = list(clips.values())
            self.remarks = check_alike([clip.info for clip in self.opened])
        except BaseException:
            self.stack.close()
            raise
        self.first = self.opened[0].info
        self.size: tuple[int, int] | None = None  # rows and columns, from the upper left
        # The reference first, then the noisy input, then estimates.
        self.sides = {name: DenoiserRun(name, c.info, iter(c)) for name, c in clips.items()}

    def __exit__(self, *_: object) -> None:
        for side in self.sides.values():
            side.frames = None
        self.stack.close()

    @property
    def runs(self) -> list[DenoiserRun]:
        return [side for name, side in self.sides.items() if name not in (CLEAN, NOISY)]

    def make_noise(self, *, seed: int, clipped: bool) -> None:
        """Make the noisy input, as the case says, of a second branch of the reference."""
        noise, clean = self.case.noise, self.sides.get(CLEAN)
        if noise is None or clean is None or clean.frames is None:
            return
        self.made_floats = not clipped
        clean.frames, branch = tee_releasing(clean.frames, 2)
        made, noisy = noise.add(branch, self.first, seed=seed, clipped=clipped)
        self.sides = {CLEAN: clean, NOISY: DenoiserRun(NOISY, made, noisy)}
        size = made.height, made.width
        if size != (self.first.height, self.first.width):
            self.size = size
            told = f"compared at {size[1]}x{size[0]}, the size that {noise.name} gives"
            self.remarks.append(f"{self.first.name}: {told}")

    def enter(self, contestants: list[Contestant]) -> None:
        """Give the noisy input to all contestants."""
        if not contestants:
            return
        noisy = self.sides.get(NOISY)
        if noisy is None or noisy.frames is None:
            what = f"{self.case.name}: no noisy input for {contestants[0].name}."
            raise InputError(what, hint="Pass noisy=, or clean= and noise=.")
        noisy.frames, *branches = tee_releasing(noisy.frames, len(contestants) + 1)
        sigma8 = getattr(self.case.noise, "sigma8", None)
        for contestant, branch in zip(contestants, branches, strict=True):
            run = DenoiserRun(contestant.name, noisy.info, contestant=contestant)
            run.frames = contestant.denoise(run.source(branch), noisy.info, sigma8)
            self.sides[run.name] = run

    def frame_sets(self) -> Iterator[FrameSet]:
        """Every frame with all estimates of it. Raises InputError where clips differ in length."""
        before: FrameSet | None = None
        lane = 0
        for index in count():
            drawn = {name: side.next() for name, side in self.sides.items()}
            frames = {name: frame for name, frame in drawn.items() if frame is not None}
            if not frames:
                return
            if short := [s for n, s in self.sides.items() if s.failed is None and n not in frames]:
                long = self.sides[next(iter(frames))]
                raise counts_differ(short[0].info, long.info, index, None)
            first = next(iter(frames.values()))
            before, lane = before if first.lane == lane else None, first.lane
            order = sorted(frames, key=lambda name: (name == CLEAN, name != NOISY))
            levels = first.layout.levels
            if levels is not None and not index:
                scale = "from black {:.6g} to white {:.6g} of its first lane".format(*levels)
                self.remarks.append(f"{self.first.name}: dB and /255 {scale}")
            sides = {name: self._picture(name, frames[name], levels) for name in order}
            before = FrameSet(index, sides, before)
            yield before

    def _picture(self, name: str, frame: Frame, levels: tuple[float, float] | None) -> Picture:
        """A side's picture (C, H, W), read as those of all others. levels: codes of black and white
        of a stack's reference, in this lane.

        From 0 to 1, as a player would show it; but not of mosaics and stacks, whose samples below
        black and above white are measurements.
        """
        if frame.layout.space is Family.BAYER:
            return self._cut(yuv.to_rgb(frame), scale=2)
        if levels is not None and frame.layout.levels is not None:
            own = replace(frame, layout=replace(frame.layout, levels=levels))
            return self._cut(yuv.to_rgb(own))
        picture, free = yuv.to_rgb(frame), name == NOISY and self.made_floats
        return self._cut(picture if free else np.clip(picture, 0, 1))

    def _cut(self, picture: Picture, scale: int = 1) -> Picture:
        if self.size is None:
            return picture
        rows, columns = (-(-side // scale) for side in self.size)
        return picture[:, :rows, :columns]


# --- How clips are read to be compared -----------------------------------------------------------


def check_alike(clips: list[ClipInfo]) -> list[str]:
    """Remarks on clips to be compared with the first. Raises InputError if they cannot be."""
    first, remarks = clips[0], []
    for other in clips[1:]:
        pair = f"{other.name} and {first.name}"
        sizes = [f"{clip.width}x{clip.height}" for clip in (other, first)]
        if sizes[0] != sizes[1]:
            hint = "Only pictures of the same size can be compared; do not scale them for it."
            raise InputError(f"{pair}: sizes differ, {sizes[0]} and {sizes[1]}.", hint=hint)
        if other.space is not first.space:
            what = f"{pair}: {other.space.value} and {first.space.value} pictures."
            raise InputError(what, hint="Compare clips of the same kind.")
        if None not in (other.frames, first.frames) and other.frames != first.frames:
            raise counts_differ(other, first, other.frames, first.frames)
        if None not in (other.rate, first.rate) and other.rate != first.rate:
            rates = " and ".join(f"{float(clip.rate or 0):.4g}" for clip in (other, first))
            told = f"rates differ, {rates} frames/s; frames are compared by number"
            remarks.append(f"{pair}: {told}")
    return remarks


def counts_differ(other: ClipInfo, first: ClipInfo, *counts: int | None) -> InputError:
    numbers = " and ".join("more" if n is None else f"{n}" for n in counts)
    least = min(n for n in counts if n is not None)
    what = f"{other.name} and {first.name}: frame counts differ, {numbers}."
    part = f"If their first frames match, pass frames={least}."
    return InputError(what, hint=part if least > 0 else "One of them has no frames.")
