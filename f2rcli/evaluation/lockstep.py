"""One clip, everyone side by side: the reference, the noisy input and every estimate of a frame
are there at the same time, seen once, and let go. Memory is that of a few frames."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

from f2rcli.errors import F2RError, InputError
from f2rcli.evaluation.base import Case, Clip, ClipOpener, Contestant, Setting
from f2rcli.evaluation.clips.reading import (
    Reading,
    check_alike,
    converted,
    converted_layout,
    counts_differ,
)
from f2rcli.evaluation.contestants import Stopwatch
from f2rcli.evaluation.frame_set import FrameSet, Picture
from f2rcli.evaluation.result import CLEAN, NOISY
from f2rcli.frames import ClipInfo, Frame
from f2rcli.tee import tee_releasing

Estimates = dict[str, Picture]


@dataclass
class DenoiserRun:
    """One estimate's way through a clip."""

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
        """What an estimate took; None where it was not made here."""
        if self.watch is None or not self.drawn or self.failed:
            return None
        return max(self.watch.seconds, 0.0) / self.drawn


class Lockstep:
    """An open case: its runs, and its frame sets, which can be read once."""

    def __init__(self, case: Case, reading: Reading) -> None:
        """Open the clips; raises InputError where they do not belong together."""
        self.case = case
        self.remarks: list[str] = []
        self.opened: list[Clip] = []
        self.stack = ExitStack()
        self.made_floats = False
        try:
            reference, noisy = self._opened(case.reference), self._opened(case.noisy)
            given = {label: self._opened(source) for label, source in case.given.items()}
            infos = [clip.info for clip in self.opened]
            if not infos:
                raise InputError(f"{case.name}: nothing to compare.")
            self.remarks += check_alike(infos)
        except BaseException:
            self.stack.close()
            raise
        self.first = infos[0]
        self.reading = replace(reading, levels=self.first.layout.levels)
        self.reference: Iterator[Frame] | None = None if reference is None else iter(reference)
        self.noisy: Iterator[Frame] | None = None if noisy is None else iter(noisy)
        self.noisy_info = None if noisy is None else noisy.info
        self.runs = [
            DenoiserRun(name, c.info, iter(c)) for name, c in given.items() if c is not None
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self.runs:
            run.frames = None
        self.stack.close()

    def _opened(self, source: ClipOpener | None) -> Clip | None:
        if source is None:
            return None
        clip = self.stack.enter_context(source())
        self.opened.append(clip)
        return clip

    def make_noise(self, *, seed: int, clipped: bool) -> None:
        """Make the noisy input, as the case says, of a second branch of the reference."""
        noise = self.case.noise
        if noise is None or self.reference is None:
            return
        self.made_floats = not clipped
        self.reference, clean = tee_releasing(self.reference, 2)
        layout = converted_layout(self.first.layout, self.reading.conversion)
        info = replace(self.first, layout=layout, noise_profile=None)
        frames = converted(clean, self.reading.conversion)
        self.noisy_info, self.noisy = noise.add(frames, info, seed=seed, clipped=clipped)
        size = self.noisy_info.height, self.noisy_info.width
        if size != (info.height, info.width):
            self.reading = replace(self.reading, size=size)
            self.remarks.append(
                f"{info.name}: compared on {size[1]}x{size[0]}: so says {noise.name}"
            )

    def enter(self, contestants: list[Contestant], optional: frozenset[str]) -> None:
        """Let everybody have the noisy input. Those that are `optional` may fail."""
        if not contestants:
            return
        if self.noisy is None or self.noisy_info is None:
            raise InputError(f"{self.case.name}: no noisy input for {contestants[0].name}.")
        self.noisy, *branches = tee_releasing(self.noisy, len(contestants) + 1)
        sigma8 = getattr(self.case.noise, "sigma8", None) or self.case.sigma8
        for contestant, branch in zip(contestants, branches, strict=True):
            name, watch = contestant.name, Stopwatch()
            run = DenoiserRun(name, self.noisy_info, None, watch, name in optional)
            try:
                run.frames = contestant.denoise(watch.source(branch), self.noisy_info, sigma8)
            except F2RError as error:
                if not run.optional:
                    raise
                run.failed = str(error)
            self.runs.append(run)

    def setting(self, device: str, threads: int | None) -> Setting:
        """What metrics are told of the clip."""
        rate = self.first.rate
        return Setting(
            space=self.first.space, rate=None if rate is None else float(rate),
            mosaic=self.first.layout.mosaic, device=device, threads=threads,
        )  # fmt: skip

    def frame_sets(self) -> Iterator[tuple[FrameSet, Estimates]]:
        """Every frame with all estimates of it. Raises InputError where clips differ in length."""
        before: FrameSet | None = None
        lane = 0
        for index in count():
            reference = None if self.reference is None else next(self.reference, None)
            noisy = None if self.noisy is None else next(self.noisy, None)
            estimates = {run.name: run.next() for run in self.runs}
            alive = {run.name for run in self.runs if run.failed is None}
            there = self._there(reference, noisy, {n: estimates[n] for n in alive})
            if not any(there.values()):
                return
            self._check_length(there, index)
            frame = reference or noisy or next(iter(estimates.values()))
            frame_set = self._frame_set(index, frame, reference, noisy)
            sides = {CLEAN: reference, NOISY: noisy, **estimates}
            frame_set.files = {name: side for name, side in sides.items() if side is not None}
            if frame is not None:
                frame_set.follow(before if frame.lane == lane else None)
                lane = frame.lane
            yield (
                frame_set,
                {
                    name: self._estimate(estimate)
                    for name, estimate in estimates.items()
                    if estimate
                },
            )
            before = frame_set

    def _frame_set(
        self, index: int, frame: Frame | None, reference: Frame | None, noisy: Frame | None
    ) -> FrameSet:
        seconds = None
        if frame is not None and frame.pts is not None:
            seconds = float(frame.pts * frame.time_base)
        return FrameSet(
            index=index, seconds=seconds,
            reference=None if reference is None else self.reading.picture(reference, clamp=True),
            noisy=None
            if noisy is None
            else self.reading.picture(noisy, clamp=not self.made_floats),
        )  # fmt: skip

    def _estimate(self, frame: Frame) -> Picture:
        return self.reading.picture(frame, clamp=True)

    def _there(
        self, reference: Frame | None, noisy: Frame | None, estimates: dict[str, Frame | None]
    ) -> dict[str, bool]:
        """Which clips still have frames, by name."""
        there = {name: frame is not None for name, frame in estimates.items()}
        if self.reference is not None:
            there["reference"] = reference is not None
        if self.noisy is not None:
            there["noisy"] = noisy is not None
        return there

    def _check_length(self, there: dict[str, bool], index: int) -> None:
        if all(there.values()):
            return
        infos = {run.name: run.info for run in self.runs} | {"reference": self.first}
        if self.noisy_info is not None:
            infos["noisy"] = self.noisy_info
        short = next(name for name, has in there.items() if not has)
        long = next(name for name, has in there.items() if has)
        raise counts_differ(infos[short], infos[long], index, None)
