"""Noise that takes long to make, rendered in the background while training goes on.

A rendition is a run of frames of a clean clip as a camera and a codec would have left it, with the
same frames as they would be without noise and coding. Which camera, codec, frames and noise is
determined by the seed, the clip's name and the rendition's number alone.
"""

import json
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import F2RError
from f2rcli.frames import Space
from f2rcli.noise.codec import coded, to_codes, to_unit, uncoded
from f2rcli.noise.synthesis.camera import Camera
from f2rcli.noise.synthesis.corruption import Law, draw_law
from f2rcli.noise.synthesis.synthetic import REALISTIC
from f2rcli.training.footage.cache import building, check_space, fingerprint, sweep, sweep_own
from f2rcli.training.footage.clips import Rendition
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.worker_pool import WorkerPool, WorkerSettings

Codes = NDArray[np.uint8]

SIDE = 640  # pixels; larger clips are cropped at random
CODINGS: tuple[tuple[str, tuple[str, ...], tuple[str | None, ...], tuple[int, int]], ...] = (
    # encoder, presets, tunings, range of crf
    ("libx264", ("ultrafast", "veryfast", "fast", "medium"), (None,), (16, 32)),
    ("libx264", ("veryfast", "medium"), (None,), (19, 27)),
    ("libx264", ("superfast", "fast"), ("zerolatency",), (18, 30)),
    ("libx265", ("ultrafast", "superfast", "veryfast"), (None,), (18, 32)),
)
SMALLEST = 128  # pixels per side of what is coded
MACROBLOCK = 16  # x264 repeats itself exactly on whole ones only, and not on small pictures
UNCODED = 0.25  # share of realistic renditions that no codec touches


@dataclass(frozen=True, slots=True)
class Order:
    """One rendition to be made."""

    clip: Footage
    number: int
    seed: int
    frames: int
    cache: Path
    kind: str = REALISTIC  # one of synthetic.RENDERED

    @property
    def entry(self) -> Path:
        """Its place in the cache."""
        clip = self.clip
        source = (clip.path.parent.name, clip.path.name, clip.name, clip.shape)
        key = fingerprint([], self.kind, source, self.number, self.seed, self.frames)
        return self.cache / key

    def most_bytes(self) -> int:
        """What it can take at most."""
        _, height, width, channels = self.clip.shape
        return 2 * self.frames * min(height, SIDE) * min(width, SIDE) * channels

    def load(self) -> Rendition:
        """The finished rendition, memory-mapped for as long as it is held."""
        facts = json.loads((self.entry / "facts.json").read_text(encoding="utf-8"))
        noisy, clean = (
            np.memmap(self.entry / f"{part}.u8", np.uint8, "r", shape=tuple(facts["shape"]))
            for part in ("noisy", "clean")
        )
        return Rendition(noisy, clean, facts["sigma"])


@dataclass(frozen=True, slots=True)
class Coding:
    """How a rendition is compressed."""

    encoder: str
    preset: str
    crf: int
    tune: str | None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Coding":
        """A codec at random."""
        encoder, presets, tunings, (low, high) = CODINGS[rng.integers(len(CODINGS))]
        preset, tune = presets[rng.integers(len(presets))], tunings[rng.integers(len(tunings))]
        return cls(encoder, preset, int(rng.integers(low, high + 1)), tune)


def render(order: Order) -> None:
    """Make a rendition and put it into the cache, unless it is there."""
    if order.entry.exists():
        return
    rng = np.random.default_rng([order.seed, zlib.crc32(order.clip.name.encode()), order.number])
    coding = Coding.draw(rng)
    scenes = _run(order, rng)
    noise: Camera | Law = Camera.draw(rng) if order.kind == REALISTIC else draw_law(rng)
    if isinstance(noise, Camera):
        noisy = [noise.shoot(scene, rng) for scene in scenes]
        clean = [noise.quiet.shoot(scene, rng) for scene in scenes]
    else:
        noisy = [to_codes(noise.add(to_unit(scene), rng)) for scene in scenes]
        clean = scenes
    facts: dict[str, Any] = {order.kind: asdict(noise)}
    free = order.kind == REALISTIC and rng.random() < UNCODED
    if not free and min(scenes[0].shape[:2]) >= SMALLEST:
        gray = order.clip.space is Space.GRAY
        noisy = [_like(p, gray) for p in coded((_coloured(p) for p in noisy), **asdict(coding))]
        clean = [_like(uncoded(_coloured(p)), gray) for p in clean]
        facts |= asdict(coding)
    _store(order, np.stack(noisy), np.stack(clean), facts)


def _store(order: Order, noisy: Codes, clean: Codes, facts: dict[str, Any]) -> None:
    error = noisy.astype(np.float32) - clean
    sigma = float(np.sqrt(np.mean(error**2)) / 255)
    with building(order.entry) as part:
        (part / "noisy.u8").write_bytes(noisy.tobytes())
        (part / "clean.u8").write_bytes(clean.tobytes())
        facts |= {"shape": noisy.shape, "sigma": sigma, "number": order.number, "seed": order.seed}
        (part / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _run(order: Order, rng: np.random.Generator) -> list[Codes]:
    """Frames in a row of one shot, cropped to whole macroblocks or, if small, to even sizes."""
    shots = order.clip.shots
    lengths = np.array([len(shot) for shot in shots])
    shot = shots[rng.choice(len(shots), p=lengths / lengths.sum())]
    count = min(order.frames, len(shot))
    first = shot.start + int(rng.integers(len(shot) - count + 1))
    rows, columns = (_stretch(size, rng) for size in order.clip.shape[1:3])
    return [to_codes(order.clip.read(t, rows, columns)) for t in range(first, first + count)]


def _stretch(size: int, rng: np.random.Generator) -> slice:
    step = MACROBLOCK if size >= SMALLEST else 2
    length = min(size, SIDE) // step * step
    first = int(rng.integers(size - length + 1))
    return slice(first, first + length)


def _coloured(picture: Codes) -> Codes:
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _like(picture: Codes, gray: bool) -> Codes:
    return picture[..., 1:2] if gray else picture


class Renderer:
    """Renders noise in processes of low priority from entering until leaving.

    Training takes what is ready; the set is fixed, so once all of it is ready draws depend on
    their generator alone. Finished renditions stay in the cache, for a resumed run to find.
    """

    def __init__(
        self,
        clips: Sequence[Footage],
        cache: Path,
        *,
        seed: int = 0,
        per_clip: int = 8,
        kinds: Sequence[str] = (REALISTIC,),
        frames: int = 16,
        jobs: int = 1,
        disk: int = 8 << 30,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        """kinds: of noise, in turn; disk: bytes that renditions may take, which bounds how many."""
        self.cache, self.jobs, self.report = cache, jobs, report
        self.orders: list[Order] = []
        space = 0
        for number in range(per_clip):
            for index, clip in enumerate(clips):
                kind = kinds[(number + index) % len(kinds)]
                order = Order(clip, number, seed, frames, cache, kind)
                space += order.most_bytes()
                if space <= disk or not self.orders:
                    self.orders.append(order)
        self._ready: set[int] = set()
        self._failure: F2RError | None = F2RError("the renderer is not running.")
        self._news = threading.Condition()
        self._crew: WorkerPool[Order, None] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start; returns at once. Raises OutputError where the disk is too small."""
        self.cache.mkdir(parents=True, exist_ok=True)
        sweep(self.cache)
        places = {order.entry: index for index, order in enumerate(self.orders)}
        self._failure = None
        self._ready = {index for entry, index in places.items() if entry.exists()}
        missing = [o for index, o in enumerate(self.orders) if index not in self._ready]
        needed = sum(order.most_bytes() for order in missing)
        check_space(self.cache, needed, needed, f"{len(missing)} noisy renditions")
        if missing:
            manners = WorkerSettings(nice=19, farewell=partial(sweep_own, self.cache))
            self._crew = WorkerPool(render, missing, self.jobs, manners)
            self._thread = threading.Thread(
                target=self._collect, args=(self._crew, places), daemon=True
            )
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the workers and remove what they had not finished."""
        if self._crew is not None and self._thread is not None:
            self._crew.stop()
            self._thread.join()
            sweep(self.cache)

    @property
    def count(self) -> int:
        """How many renditions are ready, of `len(orders)`."""
        return len(self._ready)

    def take(self, rng: np.random.Generator) -> Rendition:
        """A rendition that is ready; the first one is waited for."""
        self.wait(1)
        with self._news:
            ready = sorted(self._ready)
        return self.orders[ready[rng.integers(len(ready))]].load()

    def get(self, index: int) -> Rendition:
        """The rendition with this number in `orders`, waited for: the same at any time."""
        self._until(lambda: index in self._ready)
        return self.orders[index].load()

    def wait(self, count: int | None = None) -> None:
        """Wait until so many are ready, or all. Raises the error that stopped rendering."""
        wanted = len(self.orders) if count is None else min(count, len(self.orders))
        self._until(lambda: len(self._ready) >= wanted)

    def _until(self, met: Callable[[], bool]) -> None:
        with self._news:
            self._news.wait_for(lambda: met() or self._failure is not None)
            if not met() and self._failure is not None:
                raise self._failure

    def _collect(self, crew: WorkerPool[Order, None], places: dict[Path, int]) -> None:
        for order, result in crew.results():
            if crew.stopped:
                break
            with self._news:
                if isinstance(result, F2RError):
                    self._failure = result
                else:
                    self._ready.add(places[order.entry])
                self._news.notify_all()
            if isinstance(result, F2RError):
                self.report(f"rendering stopped: {result}")
                break
        with self._news:
            self._failure = self._failure or F2RError("the renderer was closed.")
            self._news.notify_all()
