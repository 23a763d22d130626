"""What is known of a stream's noise: told, or measured at its start and refreshed slowly."""

from torch import Tensor

from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.engine.loaded import Engine
from f2rcli.methods.base import Method, Prepared
from f2rcli.noise import NoiseModel, NoiseSamples, blend, single_frame_sigma
from f2rcli.window import Window, windows

REFRESH_EVERY = 48  # unique frames between measurements of the noise
REFRESH_SHARE = 0.3  # of a new measurement in the running one


class NoiseWatch:
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
        if self.engine.stated is not None:
            self.told = True
            self._know(_stated_model(self.engine.stated, pictures[0]))
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


def _stated_model(stated: tuple[tuple[float, float], ...], picture: Tensor) -> NoiseModel:
    """The law that a file states, its sigma as it is on this picture (1, C, H, W)."""
    means = picture.clamp_min(0).mean((0, 2, 3)).tolist()
    gain, read = tuple(g for g, _ in stated), tuple(v**0.5 for _, v in stated)
    sigma = tuple((g * m + v) ** 0.5 for (g, v), m in zip(stated, means, strict=True))
    return NoiseModel(gain, read, sigma)


def _add(samples: NoiseSamples, method: Method, view: Window[Prepared]) -> None:
    pair = method.independent_pair(view)
    if pair is not None:
        samples.add(view.centre.noisy, *pair)
