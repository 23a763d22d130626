"""What a run will take on this machine, in time and memory: told before its wait.

By the last run of its kind and size, which a file in the user's cache folder remembers, or roughly
by one of another size. A machine on which f2r has not run yet gets a guess by how fast its
processor multiplies, and is told that it is one.
"""

import json
import math
import platform
import shutil
import sys
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from f2rcli import __version__, methods, weights
from f2rcli.documents import parse_json, read_text
from f2rcli.engine.settings import FULL, LITE, EngineSettings
from f2rcli.frames import ClipInfo
from f2rcli.io.files import write_text
from f2rcli.system import asked_threads, cache_folder, processors
from f2rcli.units import size, span

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine

LEAST = 8  # frames that a run must have had to be believed
KEPT = 64  # kinds of runs
OPENING = 2.0, 3.0  # seconds that a run takes before its first frame, and frames' worth
BASE = 0.5e9  # bytes that a run takes whatever the picture, and a pixel of it
PER_PIXEL = 870
# What a pixel of a frame costs, networks, flow and all, as multiplications: measured as seconds of
# one thread with AVX2 (3.3 to 3.6 a megapixel), times what that thread multiplied in a second.
WORK = 145e3
# The matrices that are multiplied to learn how fast this machine is: so small that BLAS begins no
# threads, whose waiting beside busy programs made this guess seven times too long.
SIDE, STACK, ROUNDS = 64, 64, 4


class Estimate(NamedTuple):
    """What a frame will take, and the whole run."""

    seconds: float | None  # for a frame; None: not to be guessed
    opening: float  # seconds before the first one
    peak_bytes: float
    basis: str  # what it rests on
    rough: bool = True

    def whole(self, frames: int | None) -> float | None:
        """Seconds for a clip of so many frames."""
        known = frames is not None and self.seconds is not None
        return self.opening + frames * self.seconds if known else None  # type: ignore[operator]

    def words(self, frames: int | None) -> str:
        """In one line."""
        room, whole = f"{size(self.peak_bytes)} of memory here", self.whole(frames)
        if self.seconds is None:
            return f"about {room}; how long it takes is known after the first frames"
        takes = f"{self.seconds:.2g} s a frame" if whole is None else span(whole)
        return f"{'roughly' if self.rough else 'about'} {takes} and {room}, {self.basis}"


def estimated(settings: EngineSettings, info: ClipInfo) -> Estimate:
    """By the last run of this kind here, or else by a guess; loads nothing that takes time."""
    pixels, kept, kind = info.width * info.height, _read(), _kind(settings, info)
    sizes = [(abs(other - _size(info)), other) for other in range(64)]  # the nearest first
    for apart, other in sorted(sizes):
        known = kept.get(f"{kind} {other}")
        if isinstance(known, list) and len(known) == 3 and all(map(_positive, known)):
            basis = "by a run of another size" if apart else "as the last run of this kind took"
            pace, opening, room = (pixels * one for one in known)
            return Estimate(pace, opening, BASE + room, basis, rough=bool(apart))
    work = WORK / (float(_lite()["full_takes"]) if _size_used(settings) == LITE else 1.0)
    speed = _multiplications() * _threads(settings)
    seconds = None if _elsewhere(settings) else work * pixels / speed
    opening = OPENING[0] + OPENING[1] * (seconds or 0.0)
    return Estimate(
        seconds, opening, BASE + PER_PIXEL * pixels, "guessed from this processor's speed"
    )


def remember(
    engine: "Engine", info: ClipInfo, frames: int, per_second: float | None, opening: float
) -> None:
    """Keep what a run of so many frames took; opening: seconds before the first. A folder that
    cannot be written is no reason to fail."""
    folder, pixels = cache_folder("pace"), info.width * info.height
    if frames < LEAST or not per_second or folder is None:
        return
    key = f"{_kind(engine.settings, info)} {_size(info)}"
    room = max(engine.peak_bytes(info) - BASE, 0) / pixels or PER_PIXEL
    others = [(name, one) for name, one in _read().items() if name != key]
    kept = dict([*others[1 - KEPT :], (key, [1 / per_second / pixels, opening / pixels, room])])
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "runs.json", json.dumps(kept))


def other_model(settings: EngineSettings) -> str:
    """Which `--model` would be quicker or better, and by how much; empty where there is no other.
    The manifest knows it of the quick one."""
    used, lite = _size_used(settings), _lite()
    if not lite or used is None:
        return ""
    takes, gains = float(lite["full_takes"]), float(lite["full_gains"])
    if used == LITE:
        return f"--model full: {gains:.1f} dB better, {takes:.1f} times as long"
    return f"--model lite: {takes:.1f} times as fast, {gains:.1f} dB worse"


def _lite() -> dict[str, Any]:
    """The manifest's entry of f2r's quick networks; empty without any."""
    found = weights.manifest().values()
    return next((e for e in found if (e["method"], e.get("size")) == (methods.DEFAULT, LITE)), {})


def _size_used(settings: EngineSettings) -> str | None:
    """The size of the bundled networks of f2r that a run takes; None: it takes others."""
    if settings.weights is not None or settings.method != methods.DEFAULT:
        return None
    return settings.model or FULL


def cost_values(engine: "Engine", info: ClipInfo, method: Any) -> dict[str, Any]:
    """The cost of denoising a clip on this machine, in seconds and bytes, by a trial."""
    cost, (frames, _) = engine.predict(info, method), expected_frames(info)
    pace = cost.seconds_per_frame
    opening = OPENING[0] + OPENING[1] * pace
    return {
        "frames": frames, "seconds_per_frame": pace, "peak_bytes": cost.peak_bytes,
        "seconds": None if frames is None else opening + frames * pace,
    }  # fmt: skip


def cost_words(cost: dict[str, Any]) -> str:
    """The same in one line."""
    seconds, memory = cost["seconds"], size(cost["peak_bytes"])
    total = "length not known" if seconds is None else f"about {span(seconds)} in all"
    return f"{cost['seconds_per_frame']:.2g} s per frame, {total}, about {memory} of memory"


def expected_frames(info: ClipInfo) -> tuple[int | None, bool]:
    """The number of frames a clip should have, and whether its container counts them; otherwise
    duration times rate, a guess at varying rates."""
    if info.frames is not None:
        return info.frames, True
    if info.duration is None or info.rate is None:
        return None, False
    return max(round(info.duration * float(info.rate)), 1), False


def _kind(settings: EngineSettings, info: ClipInfo) -> str:
    """What decides how long a pixel takes, but for the size: small pictures take longer."""
    kind, threads = info.layout.family.value, _threads(settings)
    bundled = _size_used(settings)
    how = (settings.method, bundled, settings.weights, settings.ensemble, settings.device)
    return " ".join(
        map(
            str,
            (__version__, platform.node(), kind, *how, settings.precision, settings.tile, threads),
        )
    )


def _threads(settings: EngineSettings) -> int:
    return settings.threads or asked_threads() or processors()


def _size(info: ClipInfo) -> int:
    """Twice as many pixels are one more."""
    return round(math.log2(info.width * info.height))


def _read() -> dict[str, Any]:
    folder = cache_folder("pace")
    try:
        found = {} if folder is None else parse_json(read_text(folder / "runs.json"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0


def _elsewhere(settings: EngineSettings) -> bool:
    """Whether a run may be on a GPU, as far as can be told without loading torch."""
    there = sys.platform == "darwin" or shutil.which("nvidia-smi") is not None
    return settings.device not in ("auto", "cpu") or (settings.device == "auto" and there)


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
