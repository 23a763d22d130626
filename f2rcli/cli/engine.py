"""The engine as commands use it: its choices and findings in words and values, and what a run will
take on this machine, told before its wait.

That goes by the last run of its kind and size, which a file in the user's cache folder remembers,
or roughly by one of another size. A machine on which f2r has not run yet gets a guess by how fast
its processor multiplies, and is told that it is one. All of it is kept as without other programs,
and told as beside those of the moment.
"""

import json
import math
import platform
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from f2rcli import __version__, methods, weights
from f2rcli.cli.console import Console
from f2rcli.cli.progress import FrameMeter
from f2rcli.engine.settings import LITE, EngineSettings
from f2rcli.frames import ClipInfo
from f2rcli.io import ReadOptions
from f2rcli.io.files import write_text
from f2rcli.settings import read_table
from f2rcli.system import cache_folder, keep_memory, threads_for
from f2rcli.units import size, span
from f2rcli.window import LEAD_IN

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine


def load(settings: EngineSettings, info: ClipInfo, console: Console) -> "Engine":
    """The engine for a clip; its notes are said."""
    from f2rcli.engine.stream import load_engine  # brings torch

    keep_memory()
    engine = load_engine(settings, info)
    console.remark(*engine.found.notes)
    engine.found.notes.clear()
    return engine


def summary(engine: "Engine") -> str:
    tiles = "whole frames" if engine.tile is None else f"tiles of {engine.tile} pixels"
    return "{method}, weights {weights}, {device}, {precision}, ".format_map(engine.choices) + tiles


def sigma_of(model: Any) -> float | None:
    """The one number of a noise: its standard deviation, mean of the channels, of 255."""
    return None if model is None else round(float(sum(model.sigma8) / len(model.sigma8)), 1)


def noise_words(model: Any, levels: tuple[float, float] | None = None) -> str:
    """A noise in words; levels: black and white of a stack, whose own units it is told in."""
    return "too little to measure" if model is None else str(model.words(levels))


# --- What a run will take on this machine, in time and memory ------------------------------------


LEAST = 8  # frames that a run must have had to be believed
KEPT = 64  # kinds of runs
OPENING = 2.0, 3.0  # seconds that a run takes before its first frame, and frames' worth
BASE = 0.5e9  # bytes that a run takes whatever the picture, and a pixel of it
PER_PIXEL = 870
# What a clip of one frame, which has no neighbours, takes of a frame's time, and bytes a sample: of
# JPEGs of 6 and 24 megapixels 147 and 122, of RGB in PNG and TIFF 100 to 131 and 113.
ALONE, ALONE_SAMPLE = 0.5, 130
STILL = " still"  # of the kind of such runs, which are remembered by themselves
# What a pixel of a frame costs, networks, flow and all, as multiplications: measured as seconds of
# one thread with AVX2 (3.3 to 3.6 a megapixel), times what that thread multiplied in a second.
WORK = 145e3
# What a frame takes whatever its size, as so many pixels: two threads take 0.104, 0.35, 0.70 and
# 1.48 s for 424x240, 854x480, 1280x720 and 1920x1080 (`lite`, H.264).
FRAME = 48_000
# The matrices that are multiplied to learn how fast this machine is: so small that BLAS begins no
# threads, whose waiting beside busy programs made this guess seven times too long.
SIDE, STACK, ROUNDS = 64, 64, 4
# Of Linux: the nanoseconds that this thread ran, and that it waited for a processor.
SCHEDULED = Path("/proc/thread-self/schedstat")
TOLD = 1.15  # times as long: estimates are to be true to 15 %


class Estimate(NamedTuple):
    """What a frame of a clip will take, and the whole run."""

    frames: int | None  # of the clip, as far as they are known
    seconds: float | None  # for a frame; None: not to be guessed
    opening: float  # seconds before the first one
    peak_bytes: float
    basis: str  # what it rests on
    rough: bool = True
    before: int = 0  # frames that are restored before them, and not written

    @property
    def whole(self) -> float | None:
        if self.frames is None or self.seconds is None:
            return None
        return self.opening + (self.before + self.frames) * self.seconds

    def values(self) -> dict[str, object]:
        return {
            "frames": self.frames, "seconds_per_frame": self.seconds, "seconds": self.whole,
            "peak_bytes": self.peak_bytes, "basis": self.basis, "rough": self.rough,
        }  # fmt: skip

    def words(self) -> str:
        room = f"{size(self.peak_bytes)} of memory here"
        if self.seconds is None:
            return f"about {room}; how long it takes is known after the first frames"
        takes = f"{float(f'{self.seconds:.2g}'):g} s per frame"  # never 1.8e+02
        takes += f", {self.before} before these as well" if self.before else ""
        takes = takes if self.whole is None else f"{span(self.whole)} ({takes})"
        return f"{'roughly' if self.rough else 'about'} {takes} and {room}, {self.basis}"


def estimated(
    settings: EngineSettings, info: ClipInfo, read: ReadOptions = ReadOptions()
) -> Estimate:
    """By the last run of this kind here, or else by a guess; loads nothing that takes time. read:
    the part of the clip."""
    pixels, own, alone = info.width * info.height, _size(info), _alone(info, read)
    known, kind = _known(), _kind(settings, info)
    share = ALONE if alone else 1.0  # of what a frame of a clip takes
    if alone and any(one.startswith(f"{kind}{STILL}") for one in known):
        kind, share = f"{kind}{STILL}", 1.0
    nearest = min(range(64), key=lambda size: (f"{kind} {size}" not in known, abs(size - own)))
    taken, exact = known.get(f"{kind} {nearest}"), nearest == own and share == 1
    pace: float | None
    if taken is None:
        basis = "guessed from this processor's speed"
        quick = _size_used(settings, info) == LITE
        work = WORK / (float(_lite(info)["full_takes"]) if quick else 1.0)
        speed = _multiplications() * threads_for(settings.threads)
        pace = None if _elsewhere(settings) else work * (pixels + FRAME) / speed
        opening = room = 0.0
    else:
        basis = "as the last run of this kind took" if exact else "by a run of another size"
        pace, opening, room = (pixels * one for one in taken)
        if not exact:
            pace *= (1 + FRAME / pixels) / (1 + FRAME / 2**nearest)
    pace = pace and share * pace
    if rough := taken is None or not exact:  # small pictures tell little of memory
        samples = 1 + (info.layout.colour_planes - 1) / 2 ** sum(info.layout.log2_chroma)
        room = ALONE_SAMPLE * samples * pixels if alone else max(room, PER_PIXEL * pixels)
        opening = OPENING[0] + (0.0 if alone else OPENING[1] * (pace or 0.0))
    slow = slowdown(settings)
    pace, opening = pace and slow * pace, slow * opening
    if slow > TOLD:  # now: that may change
        rough, basis = True, f"{basis}; other programs make it {slow:.2g} times as long"
    led = LEAD_IN if info.rate is None else min(LEAD_IN, round(read.begins * info.rate))
    led *= len(info.lanes) if read.begins else 0
    return Estimate(info.expected_frames, pace, opening, BASE + room, basis, rough, led)


def remember(
    settings: EngineSettings, info: ClipInfo, meter: FrameMeter, most_bytes: int | None,
    read: ReadOptions = ReadOptions(),
) -> tuple[str, ...]:  # fmt: skip
    """Keep what a run took; most_bytes: of memory, None where that is not known. Gives a remark on
    a folder that cannot be written, which is no reason to fail."""
    folder, pixels, alone = cache_folder("pace"), info.width * info.height, _alone(info, read)
    enough = meter.done - meter.replayed - meter.copies >= LEAST and meter.pace
    if folder is None or not (enough or alone):
        return ()
    pace = (meter.pace or 0.0) * (1 - meter.copies / meter.done)  # copies take no time
    pace = 1 / max(meter.opening - OPENING[0], 0.1) if alone else pace
    key, known = f"{_kind(settings, info)}{STILL if alone else ''} {_size(info)}", _known()
    *_, room = known.pop(key, [PER_PIXEL])
    if most_bytes is not None:
        room = max((most_bytes - BASE) / pixels, 1)
    opening = OPENING[0] if alone else max(meter.opening - meter.led / pace, 1.0)
    slow = slowdown(settings)
    taken = [1 / pace / pixels / slow, opening / pixels / slow, room]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        runs = [*known.items()][1 - KEPT :]
        write_text(folder / "runs.json", json.dumps(dict(runs) | {key: taken}))
    except OSError as error:
        return (f"{folder}: {error.strerror}; the time of this run is not kept for the next",)
    return ()


def other_model(settings: EngineSettings, info: ClipInfo) -> str:
    """Which `--model` would be quicker or better, and by how much; empty where there is no other.
    The manifest knows it of the quick one."""
    used, lite = _size_used(settings, info), _lite(info)
    if used is None or _size_used(replace(settings, model=LITE), info) != LITE:
        return ""
    takes, gains = float(lite["full_takes"]), float(lite["full_gains"])
    if used == LITE:
        return f"--model full: {gains:.1f} dB better, {takes:.1f} times as long"
    return f"--model lite: {takes:.1f} times as fast, {gains:.1f} dB worse"


def _lite(info: ClipInfo) -> dict[str, Any]:
    """The manifest's entry of f2r's quick networks for such pictures."""
    return weights.manifest()[weights.choose(methods.DEFAULT, info.space, LITE)]


def _size_used(settings: EngineSettings, info: ClipInfo) -> str | None:
    """The size of the bundled networks of f2r that a run takes; None: it takes others."""
    if settings.weights is not None or settings.method != methods.DEFAULT:
        return None
    size = settings.size(info.space, processor=not _elsewhere(settings))
    name = weights.choose(settings.method, info.space, size)
    return str(weights.manifest()[name]["size"])


def _alone(info: ClipInfo, read: ReadOptions) -> bool:
    """Whether a clip is one frame, without neighbours."""
    return info.expected_frames == 1 and not (read.begins or read.frames or read.end)


def _kind(settings: EngineSettings, info: ClipInfo) -> str:
    """What decides how long a pixel takes, but for the size: small pictures take longer."""
    facts = (
        __version__, platform.node(), info.layout.family.value, settings.method,
        _size_used(settings, info), settings.weights, settings.device, settings.precision,
        settings.tile, threads_for(settings.threads),
    )  # fmt: skip
    return " ".join(map(str, facts))


def _size(info: ClipInfo) -> int:
    """Twice as many pixels are one more."""
    return round(math.log2(info.width * info.height))


def _known() -> dict[str, list[float]]:
    """What the last run of each kind and size took, for a pixel: seconds for a frame and before the
    first one, and bytes."""
    folder = cache_folder("pace")
    found = {} if folder is None else read_table(folder / "runs.json")
    threes = ((k, one) for k, one in found.items() if isinstance(one, list) and len(one) == 3)
    return {k: one for k, one in threes if all(isinstance(n, int | float) and n > 0 for n in one)}


def _elsewhere(settings: EngineSettings) -> bool:
    """Whether a run may be on a GPU, as far as can be told without loading torch."""
    there = sys.platform == "darwin" or shutil.which("nvidia-smi") is not None
    return settings.device not in ("auto", "cpu") or (settings.device == "auto" and there)


def slowdown(settings: EngineSettings) -> float:
    """How many times as long as without other programs this thread has taken so far; 1 where
    nothing counts that, or a GPU does the work."""
    ran, waited = 1, 0
    if not _elsewhere(settings):
        with suppress(OSError, ValueError):
            ran, waited, _ = map(int, SCHEDULED.read_text().split())
    return 1 + waited / max(ran, 1)


@cache
def _multiplications() -> float:
    """What a thread multiplies and adds in a second, by the quickest of a few trials."""
    matrices = np.ones((STACK, SIDE, SIDE), np.float32)
    taken = []
    for _ in range(ROUNDS):
        began = time.thread_time()  # beside busy programs, a clock would mostly show theirs
        np.matmul(matrices, matrices)
        taken.append(time.thread_time() - began)
    return STACK * SIDE**3 / max(min(taken), 1e-6)
