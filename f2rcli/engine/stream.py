"""The whole story: frames in, denoised frames out, one for one, in bounded memory."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice, tee
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from f2rcli import methods, weights, yuv
from f2rcli.engine.cuts import Thumbnail, same_shot, thumbnail
from f2rcli.engine.device import choose_device, choose_precision, use_threads
from f2rcli.engine.tiles import Runner, parse_tile, tile_size
from f2rcli.errors import UsageError, WeightsError
from f2rcli.frames import ClipInfo, Frame, Space
from f2rcli.methods.base import Method, Prepared, Restored
from f2rcli.models.layers import channels_last
from f2rcli.noise import NoiseModel, NoiseSamples, blend, single_frame_sigma
from f2rcli.weights import Weights
from f2rcli.window import Window, windows

PREROLL = 6  # unique frames looked at before the first is written
REFRESH_EVERY = 48  # unique frames between measurements of the noise
REFRESH_SHARE = 0.3  # of a new measurement in the running one
LONGEST_REPEAT = 64  # copies of one picture that wait for the next; more start a shot of their own
BASE_BYTES = 420_000_000  # torch, PyAV and their libraries
BYTES_PER_PIXEL = 640  # of a frame: ring of frames and flows, warped neighbours, activations
PROBE_SIZE = 192  # pixels per side of the frames that speed is predicted from


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What the user may choose. Values check themselves when the engine is loaded."""

    method: str = "f2r"
    weights: str | None = None  # a bundled name or a path; None: the bundled default
    strength: float = 1.0  # of the estimated noise; below 1 keeps grain
    sigma: float | None = None  # 8-bit units; None: measured
    device: str = "auto"
    precision: str = "auto"
    tile: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.strength) and 0 <= self.strength <= 4):
            raise UsageError(f"--strength {self.strength:g}: must be from 0 to 4.")
        if self.sigma is not None and not (math.isfinite(self.sigma) and 0 <= self.sigma <= 255):
            raise UsageError(f"--sigma {self.sigma:g}: must be from 0 to 255, in 8-bit units.")


class Prediction(NamedTuple):
    """What a run is expected to cost here."""

    seconds_per_frame: float
    peak_bytes: int


@dataclass
class Engine:
    """A loaded method on a device, ready for clips of one space."""

    settings: EngineSettings
    weights: Weights
    device_: torch.device
    precision: str
    tile: int | None
    noise: NoiseModel | None = None  # what is known of the clip's noise by now
    notes: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)  # how often each stage ran

    @property
    def method_name(self) -> str:
        return self.settings.method

    @property
    def weights_name(self) -> str:
        return self.weights.name

    @property
    def device(self) -> str:
        return str(self.device_)

    def new_method(self) -> Method:
        """The method with its networks, for one clip (or one field of an interlaced one)."""
        run = Runner(self.device_, self.precision, self.tile)
        method = methods.load(self.settings.method).from_weights(self.weights, run)
        channels_last(method.networks.eval().to(self.device_))
        return method

    def to_tensor(self, frame: Frame) -> Tensor:
        """The frame's picture, (1, C, H, W) float32; gray is repeated for RGB weights."""
        picture = torch.from_numpy(yuv.to_rgb(frame))[None].to(self.device_)
        return picture.expand(-1, self.weights.header.channels, -1, -1).contiguous()

    def to_frame(self, source: Frame, change: Tensor) -> Frame:
        """The source frame with a change (1, C, H, W) of its picture added."""
        if source.layout.space is Space.GRAY:
            change = change.mean(1, keepdim=True)
        return replace(source, planes=yuv.add_residual(source, change[0].cpu().numpy()))

    def predict(self, info: ClipInfo) -> Prediction:
        """Time one small window here, and scale by pixels. Memory by a measured constant."""
        rng = np.random.default_rng(0)
        size = (1, self.weights.header.channels, PROBE_SIZE, PROBE_SIZE)
        noise = NoiseModel.gaussian(0.1, size[1])
        times = []
        for _ in range(2):  # the first round warms up
            method, started = self.new_method(), time.monotonic()
            frames = [
                method.prepare(
                    i, torch.from_numpy(rng.random(size, np.float32)).to(self.device_), noise
                )
                for i in range(method.length)
            ]
            middle = method.length // 2
            window = Window(frames[middle], tuple(frames[:middle]), tuple(frames[middle + 1 :]))
            method.restore(window, noise)
            # one window prepares `length` frames; a stream prepares one, and flows are shared
            times.append((time.monotonic() - started) / 2)
        pixels = info.width * info.height
        seconds = times[-1] * pixels / PROBE_SIZE**2
        held = min(pixels, self.tile**2) if self.tile else pixels
        return Prediction(seconds, BASE_BYTES + BYTES_PER_PIXEL * (pixels // 2 + held // 2))


def load_engine(settings: EngineSettings, info: ClipInfo) -> Engine:
    """Choose weights, device, precision and tile for a clip.

    Raises UsageError, WeightsError or DeviceError, each with what to do about it.
    """
    methods.load(settings.method)
    use_threads(settings.threads)
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    tile = tile_size(parse_tile(settings.tile), info.height, info.width)
    chosen = weights.load(settings.weights or _bundled(settings.method, info.space))
    header = chosen.header
    if header.method != settings.method:
        raise WeightsError(
            f"{chosen.name}: weights for method {header.method}, not {settings.method}.",
            hint=f"Pass --method {header.method}, or other weights.",
        )
    if header.space is not info.space and not (
        header.space is Space.RGB and info.space is Space.GRAY
    ):
        raise WeightsError(
            f"{chosen.name}: weights for {header.space.value} pictures, "
            f"{info.name} holds {info.space.value}.",
            hint="Leave --weights out, or pass weights of the clip's own kind.",
        )
    engine = Engine(settings, chosen, device, precision, tile)
    if header.space is not info.space:
        engine.notes.append("gray pictures go through RGB weights")
    engine.new_method()  # a file that does not fit its own header fails here, before any work
    return engine


def _bundled(method: str, space: Space) -> str:
    try:
        return weights.choose(method, space)
    except WeightsError:
        if space is not Space.GRAY:
            raise
        return weights.choose(method, Space.RGB)


def denoise_stream(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> Iterator[Frame]:
    """Restore every frame, yielding one for each that comes in, in order, with its own time.

    Holds one window of frames, two at most for interlaced clips, whose fields go separate ways.
    """
    if engine.settings.strength == 0:
        yield from frames
    elif not info.interlaced or info.height < 4:
        yield from (frame for frame, _ in restore_stream(frames, engine))
    else:
        first, second = tee(frames)
        top = restore_stream((_field(frame, 0) for frame in first), engine)
        bottom = restore_stream((_field(frame, 1) for frame in second), engine)
        for (upper, _), (lower, _) in zip(top, bottom, strict=True):
            yield _woven(upper, lower)


def restore_stream(
    frames: Iterable[Frame], engine: Engine
) -> Iterator[tuple[Frame, Restored | None]]:
    """Every frame restored, with all estimates of it (None for copies of a frame before)."""
    method = engine.new_method()
    pictures = _unique(frames)
    opening = list(islice(pictures, PREROLL))
    noise = _Noise(engine)
    noise.measure_opening([engine.to_tensor(copies[0]) for copies in opening])
    strength = min(engine.settings.strength, 1.0)
    for window in windows(
        _ready(chain(opening, pictures), method, engine, noise), method.length, _joined
    ):
        entry = window.centre
        view = Window(
            entry.prepared,
            tuple(item.prepared for item in window.before),
            tuple(item.prepared for item in window.after),
        )
        restored = method.restore(view, noise.model)
        noise.refresh(method, view)
        change = strength * (restored.refined - entry.prepared.noisy)
        done = engine.to_frame(entry.copies[0], change)
        yield done, restored
        for copy in entry.copies[1:]:
            yield replace(copy, planes=done.planes), None


def estimate_noise(frames: Iterable[Frame], info: ClipInfo, engine: Engine) -> NoiseModel | None:
    """The noise of a clip from its first frames; None where they hold too little evidence."""
    if info.interlaced and info.height >= 4:
        frames = (_field(frame, 0) for frame in frames)
    noise = _Noise(engine)
    noise.measure_opening([engine.to_tensor(c[0]) for c in islice(_unique(frames), PREROLL)])
    return noise.model


class _Entry(NamedTuple):
    """A picture in the window: every frame that shows it, and what was prepared of it."""

    copies: list[Frame]
    prepared: Prepared
    look: Thumbnail
    fresh: bool  # False: the same picture as the entry before, after too many copies


def _joined(before: _Entry, after: _Entry) -> bool:
    return after.fresh and same_shot(before.look, after.look)


def _unique(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Runs of frames with the same samples, as lists. A copy has its original's noise: it teaches
    nothing as a neighbour, and gets its original's result."""
    run: list[Frame] = []
    for frame in frames:
        if run and len(run) < LONGEST_REPEAT and _same_samples(run[0], frame):
            run.append(replace(frame, planes=run[0].planes))
            continue
        if run:
            yield run
        run = [frame]
    if run:
        yield run


def _same_samples(a: Frame, b: Frame) -> bool:
    return all(
        p is q or (p.shape == q.shape and bool(np.array_equal(p, q)))
        for p, q in zip(a.planes, b.planes, strict=True)
    )


def _ready(
    pictures: Iterable[list[Frame]], method: Method, engine: Engine, noise: "_Noise"
) -> Iterator[_Entry]:
    previous: Frame | None = None
    for index, copies in enumerate(pictures):
        fresh = previous is None or not _same_samples(previous, copies[0])
        prepared = method.prepare(index, engine.to_tensor(copies[0]), noise.model)
        engine.calls["coarse"] = engine.calls.get("coarse", 0) + 1
        yield _Entry(copies, prepared, thumbnail(prepared.luma), fresh)
        previous = copies[0]


class _Noise:
    """What is known of a stream's noise: told, or measured at its start and refreshed slowly."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.told = engine.settings.sigma is not None
        self.measured: NoiseModel | None = None
        if engine.settings.sigma is not None:
            channels = engine.weights.header.channels
            self._know(NoiseModel.gaussian(engine.settings.sigma / 255, channels))

    @property
    def model(self) -> NoiseModel | None:
        """What networks are told: strength above 1 claims that much more noise."""
        excess = max(self.engine.settings.strength, 1.0)
        return None if self.measured is None else self.measured.scaled(excess)

    def measure_opening(self, pictures: list[Tensor]) -> None:
        """Measure on the first frames, with a method of its own that is told nothing."""
        if self.told or not pictures:
            return
        method = self.engine.new_method()
        ready = [method.prepare(i, picture, None) for i, picture in enumerate(pictures)]
        looks = {p.index: thumbnail(p.luma) for p in ready}
        views = windows(
            ready, method.length, lambda a, b: same_shot(looks[a.index], looks[b.index])
        )
        samples = NoiseSamples.empty(pictures[0].shape[1])
        inner = [view for view in views if view.before and view.after] or []
        for view in inner[len(inner) // 2 - 1 :][:2] if len(inner) > 1 else inner:
            _add(samples, method, view)
        model = samples.model()
        if model is None:
            sigma = min(single_frame_sigma(picture) for picture in pictures)
            model = NoiseModel.gaussian(sigma, pictures[0].shape[1])
            self.engine.notes.append(
                "too few frames to compare: noise estimated from single frames"
            )
        self._know(model)

    def refresh(self, method: Method, view: Window[Prepared]) -> None:
        """Now and then, measure again and move towards it."""
        due = view.centre.index and view.centre.index % REFRESH_EVERY == 0
        if self.told or not due or not (view.before and view.after):
            return
        samples = NoiseSamples.empty(view.centre.noisy.shape[1])
        _add(samples, method, view)
        model = samples.model()
        if model is not None and self.measured is not None:
            self._know(blend(self.measured, model, REFRESH_SHARE))

    def _know(self, model: NoiseModel) -> None:
        self.measured = self.engine.noise = model


def _add(samples: NoiseSamples, method: Method, view: Window[Prepared]) -> None:
    pair = method.independent_pair(view)
    if pair is not None:
        samples.add(view.centre.noisy, *pair)


def _field(frame: Frame, parity: int) -> Frame:
    """Every second row of a frame, starting with row `parity`: one of the two moments it holds."""
    return replace(frame, planes=tuple(plane[parity::2] for plane in frame.planes))


def _woven(upper: Frame, lower: Frame) -> Frame:
    """A frame from its two fields."""
    planes = []
    for top, bottom in zip(upper.planes, lower.planes, strict=True):
        plane = np.empty((top.shape[0] + bottom.shape[0], top.shape[1]), top.dtype)
        plane[0::2], plane[1::2] = top, bottom
        planes.append(plane)
    return replace(upper, planes=tuple(planes))
