"""Read one clip's reference, noisy input and estimates in step, frame by frame.

Each frame is seen once and released: memory is that of a few frames.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

from f2rcli.errors import F2RError, InputError
from f2rcli.evaluation.base import Case, ClipFacts, Contestant
from f2rcli.evaluation.baselines import Stopwatch
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.reading import (
    Reading,
    check_alike,
    clean_frames,
    clean_layout,
    counts_differ,
)
from f2rcli.evaluation.result import CLEAN, NOISY
from f2rcli.frames import ClipInfo, Frame, Picture
from f2rcli.window import tee_releasing


@dataclass
class DenoiserRun:
    """One side of a case on its way through a clip: a file, or an estimate made here."""

    name: str
    info: ClipInfo
    frames: Iterator[Frame] | None  # None once it failed
    watch: Stopwatch | None = None  # None for what is not made here
    optional: bool = False  # whether the others go on without it
    failed: str | None = None
    drawn: int = 0

    def next(self) -> Frame | None:
        """The next frame, or None at the end or after a failure."""
        if self.frames is None:
            return None
        try:
            frame = self.watch.draw(self.frames) if self.watch else next(self.frames, None)
        except F2RError as error:
            if not self.optional:
                raise
            self.failed = str(error)
            self.frames = None  # and with it the frames that wait for it
            return None
        self.drawn += frame is not None
        return frame

    @property
    def seconds_per_frame(self) -> float | None:
        """Time per frame of an estimate that was made here, else None."""
        if self.watch is None or not self.drawn or self.failed:
            return None
        return max(self.watch.seconds, 0.0) / self.drawn


class Lockstep:
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
        self.reading = Reading(levels=self.first.layout.levels)
        # The reference first, then the noisy input, then estimates.
        self.sides = {name: DenoiserRun(name, c.info, iter(c)) for name, c in clips.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for side in self.sides.values():
            side.frames = None
        self.stack.close()

    @property
    def runs(self) -> list[DenoiserRun]:
        """The estimates."""
        return [side for name, side in self.sides.items() if name not in (CLEAN, NOISY)]

    def make_noise(self, *, seed: int, clipped: bool) -> None:
        """Make the noisy input, as the case says, of a second branch of the reference."""
        noise, clean = self.case.noise, self.sides.get(CLEAN)
        if noise is None or clean is None or clean.frames is None:
            return
        self.made_floats = not clipped
        clean.frames, branch = tee_releasing(clean.frames, 2)
        info = replace(self.first, layout=clean_layout(self.first.layout), noise_profile=None)
        frames = clean_frames(branch)
        made, noisy = noise.add(frames, info, seed=seed, clipped=clipped)
        self.sides = {CLEAN: clean, NOISY: DenoiserRun(NOISY, made, noisy)}
        size = made.height, made.width
        if size != (info.height, info.width):
            self.reading = replace(self.reading, size=size)
            self.remarks.append(
                f"{info.name}: compared at {size[1]}x{size[0]}, the size that {noise.name} gives"
            )

    def enter(self, contestants: list[Contestant], optional: frozenset[str]) -> None:
        """Give the noisy input to all contestants. Those that are `optional` may fail."""
        if not contestants:
            return
        noisy = self.sides.get(NOISY)
        if noisy is None or noisy.frames is None:
            raise InputError(
                f"{self.case.name}: no noisy input for {contestants[0].name}.",
                hint="Pass noisy=, or clean= and noise=.",
            )
        noisy.frames, *branches = tee_releasing(noisy.frames, len(contestants) + 1)
        sigma8 = getattr(self.case.noise, "sigma8", None)
        for contestant, branch in zip(contestants, branches, strict=True):
            name, watch = contestant.name, Stopwatch()
            frames = contestant.denoise(watch.source(branch), noisy.info, sigma8)
            self.sides[name] = DenoiserRun(name, noisy.info, frames, watch, name in optional)

    def setting(self, device: str, threads: int | None) -> ClipFacts:
        """The facts of the clip that metrics need."""
        return ClipFacts(
            space=self.first.space, mosaic=self.first.layout.mosaic, device=device, threads=threads,
        )  # fmt: skip

    def frame_sets(self) -> Iterator[FrameSet]:
        """Every frame with all estimates of it. Raises InputError where clips differ in length."""
        before: FrameSet | None = None
        lane = 0
        for index in count():
            drawn = {name: side.next() for name, side in self.sides.items()}
            frames = {name: frame for name, frame in drawn.items() if frame is not None}
            if not frames:
                return
            self._check_length(frames, index)
            frame_set = self._frame_set(index, frames)
            first = next(iter(frames.values()))
            frame_set.follow(before if first.lane == lane else None)
            lane = first.lane
            yield frame_set
            before = frame_set

    def _frame_set(self, index: int, frames: dict[str, Frame]) -> FrameSet:
        clean, noisy = frames.get(CLEAN), frames.get(NOISY)
        made = [run.name for run in self.runs if run.name in frames]
        return FrameSet(
            index=index,
            reference=None if clean is None else self._shown(clean),
            noisy=None if noisy is None else self._shown(noisy, clamp=not self.made_floats),
            estimates={name: self._shown(frames[name]) for name in made},
            files=frames,
        )

    def _shown(self, frame: Frame, *, clamp: bool = True) -> Picture:
        return self.reading.picture(frame, clamp=clamp)

    def _check_length(self, frames: dict[str, Frame], index: int) -> None:
        short = [s for s in self.sides.values() if s.failed is None and s.name not in frames]
        if short:
            long = self.sides[next(iter(frames))]
            raise counts_differ(short[0].info, long.info, index, None)
