"""What is known of a stream's noise: told, or measured at its start and refreshed slowly."""

from collections.abc import Callable

from torch import Tensor

from f2rcli import methods
from f2rcli.engine.loaded import Engine
from f2rcli.engine.looking import Eyes, evidence
from f2rcli.engine.strength import allowance
from f2rcli.frames import PlaneLayout
from f2rcli.methods.base import Method, Prepared
from f2rcli.noise import NoiseModel, NoiseSamples, blend, single_frame_sigma
from f2rcli.noise.stabilising import Stabiliser
from f2rcli.window import Window

REFRESH_EVERY = 48  # unique frames between measurements of the noise
REFRESH_SHARE = 0.3  # of a new measurement in the running one
LOOKED_AT = 6  # frames that a first look at sensor values takes
LEAST_SIGMA = 1e-4  # of that look


class NoiseWatch:
    """What is known of a stream's noise: told, or measured at its start and refreshed slowly.

    Sensor values go to networks through a `Stabiliser` for the noise that was found, and their
    noise is not measured again: a sensor's law stays as it is while brightness changes.
    """

    def __init__(self, engine: Engine, layout: PlaneLayout) -> None:
        self.engine = engine
        self.excess = max(allowance(engine.settings, layout))
        self.sensor = layout.counts_light
        self.dark = layout.levels is not None
        self.told = engine.settings.sigma is not None
        self.measured: NoiseModel | None = None
        self.space: Stabiliser | None = None
        if engine.settings.sigma is not None:
            channels = engine.weights.header.channels
            self._know(NoiseModel.gaussian(engine.settings.sigma / 255, channels))

    @property
    def model(self) -> NoiseModel | None:
        """What networks are told: strength above 1 claims that much more noise."""
        known = self.measured if self.space is None else self.space.model
        return None if known is None else known.scaled(self.excess)

    def into(self, picture: Tensor) -> Tensor:
        """A picture as networks see it."""
        return picture if self.space is None else self.space.into(picture)

    def back(self, estimate: Tensor) -> Tensor:
        """What networks made of it, in the picture's own units."""
        return estimate if self.space is None else self.space.back(estimate)

    def measure_opening(self, pictures: list[Tensor]) -> None:
        """Measure on the first frames, with a method of its own that is told nothing."""
        if self.told or not pictures:
            return
        if self.engine.stated is not None:
            self.told = True
            self._know(stated_model(self.engine.stated, pictures[0]))
            return
        new_measurer = self.engine.new_measurer
        space = sensor_space(pictures, new_measurer, dark=self.dark) if self.sensor else None
        model = _opening_noise(pictures, new_measurer(), space, dark=self.dark)
        if model is None:
            sigma = min(single_frame_sigma(picture) for picture in pictures)
            model = NoiseModel.gaussian(sigma, pictures[0].shape[1])
            self.engine.note("too few frames to compare: noise estimated from single frames")
        self._know(model)
        if methods.load(self.engine.method_name).wants_sigma:
            sigma = sum(model.sigma8) / len(model.sigma8)
            self.engine.note(f"no --sigma: the noise was estimated, {sigma:.1f} of 255")

    def refresh(self, method: Method, view: Window[Prepared], missed: int = 0) -> None:
        """Now and then, measure again and move towards it; once for as many times as were missed
        before an excerpt."""
        due = missed or (view.centre.index and view.centre.index % REFRESH_EVERY == 0)
        sees = method.measures and view.before and view.after
        if self.told or self.sensor or not due or not sees:
            return
        samples = NoiseSamples.empty(view.centre.noisy.shape[1])
        pair = method.independent_pair(view)
        if pair is not None:
            samples.add(view.centre.noisy, *pair)
        model = samples.model()
        if model is not None and self.measured is not None:
            share = 1 - (1 - REFRESH_SHARE) ** max(missed, 1)
            self._know(blend(self.measured, model, share))

    def _know(self, model: NoiseModel) -> None:
        self.measured = self.engine.noise = model
        if self.sensor:
            self.space = Stabiliser.of(model, self.engine.device_)


def sensor_space(
    pictures: list[Tensor], new_measurer: Callable[[], Method | None], *, dark: bool
) -> Stabiliser | None:
    """The space to look at sensor values (1, C, H, W) through, close enough to measure them in.

    dark: whether their light may begin above 0. None where there is too little to see.
    """
    sigma = min(single_frame_sigma(picture) for picture in pictures)
    rough = NoiseModel.gaussian(max(sigma, LEAST_SIGMA), pictures[0].shape[1])
    space = Stabiliser.of(rough, pictures[0].device)
    model = _opening_noise(pictures[:LOOKED_AT], new_measurer(), space, dark=dark)
    return None if model is None else Stabiliser.of(model, pictures[0].device)


def _opening_noise(
    pictures: list[Tensor], method: Method | None, space: Stabiliser | None, *, dark: bool
) -> NoiseModel | None:
    """The noise of pictures in a row by two windows in their middle, looked at through a space;
    None where there is too little evidence."""
    if method is None:
        return None
    eyes = Eyes(method, space, pictures)
    inner = [view for view in eyes.views() if view.before and view.after]
    chosen = inner[len(inner) // 2 - 1 :][:2] if len(inner) > 1 else inner
    seen = [one for view in chosen if (one := eyes.look(view))]
    return evidence(seen, pictures[0].shape[1], dark=dark).model()


def stated_model(stated: tuple[tuple[float, float], ...], picture: Tensor) -> NoiseModel:
    """The law that a file states, its sigma as it is on this picture (1, C, H, W)."""
    means = picture.clamp_min(0).mean((0, 2, 3)).tolist()
    gain, read = tuple(g for g, _ in stated), tuple(v**0.5 for _, v in stated)
    sigma = tuple((g * m + v) ** 0.5 for (g, v), m in zip(stated, means, strict=True))
    return NoiseModel(gain, read, sigma)
