"""f2r's methods as contestants, and the stopwatch that times every contestant."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.evaluation.base import Contestant
from f2rcli.evaluation.result import MethodFacts
from f2rcli.frames import ClipInfo, Frame

T = TypeVar("T")


@dataclass
class MethodContestant(Contestant):
    """One of f2r's methods, run blind by the engine: it does not know the noise that was added."""

    name: str
    settings: EngineSettings
    weights: dict[str, str] = field(default_factory=dict)  # name -> sha256, of every clip
    settled: dict[str, str] = field(default_factory=dict)

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        """Raises F2RError where no weights suit the clip."""
        engine = load_engine(self.settings, info)
        self.weights[engine.weights.name] = engine.weights.sha256
        self.settled = {"device": engine.device, "precision": engine.precision}
        return denoise_stream(frames, info, engine)

    def facts(self) -> MethodFacts:
        chosen = {k: v for k, v in asdict(self.settings).items() if v is not None}
        return MethodFacts(
            name=self.name, title=self.name, kind="method",
            weights=", ".join(self.weights), weights_sha256=", ".join(self.weights.values()),
            settings=chosen | self.settled,
        )  # fmt: skip


@dataclass
class Stopwatch:
    """Times an iterator, without the time that its own input takes."""

    seconds: float = 0.0

    def source(self, items: Iterable[T]) -> Iterator[T]:
        """The items; the time it takes to get them does not count."""
        iterator = iter(items)
        while True:
            began = time.perf_counter()
            item = next(iterator, None)
            self.seconds -= time.perf_counter() - began
            if item is None:
                return
            yield item

    def draw(self, items: Iterator[T]) -> T | None:
        """The next item, or None at the end; the time it takes counts."""
        began = time.perf_counter()
        item = next(items, None)
        self.seconds += time.perf_counter() - began
        return item
