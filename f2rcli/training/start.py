"""The weights that a run begins from: those that its clips are denoised with."""

from collections import Counter
from itertools import chain

from f2rcli import weights
from f2rcli.engine.stream import EngineSettings, estimate_noise, load_engine
from f2rcli.errors import F2RError
from f2rcli.io import open_reader
from f2rcli.training.config import COLOURS, TrainConfig
from f2rcli.training.sources import clip_sources
from f2rcli.weights import KINDS, Weights

ASKED = 5  # clips, of many


def suited(start: Weights, config: TrainConfig) -> Weights:
    """The weights that `f2r denoise` would take for most of a run's clips in place of these, as
    the footage's kind has it; these where there are no others.

    The engine itself decides, by the beginning of each clip. What is fitted to clips must beat
    those weights, not their fellows. Of many clips some are asked, all over their order.
    """
    named = None if config.init in (None, *COLOURS) else config.init
    if not any(weights.beside(start.name, kind, named=named is not None) for kind in KINDS):
        return start
    settings = EngineSettings(
        method=config.method, weights=named, device=config.device, precision=config.precision,
        threads=config.threads,
    )  # fmt: skip
    sources = [one.source for one in clip_sources(config.inputs)]
    asked = sources[:: -(-len(sources) // ASKED)]
    found = Counter(_used(source, settings, start.name, config) for source in asked)
    del found[None]
    name = max(found, key=lambda one: (found[one], one == start.name), default=start.name)
    return weights.load(name) if name and name != start.name else start


def _used(source: str, settings: EngineSettings, start: str, config: TrainConfig) -> str | None:
    """The name of the weights that a clip is denoised with, `start` if these are for other colours;
    None where it cannot be read, which opening the footage has told of."""
    try:
        with open_reader(source, config.read) as reader:
            engine = load_engine(settings, reader.info)
            if engine.weights.name != start:
                return start
            frames = chain(reader.opening(), reader)
            estimate_noise(frames, reader.info, engine)
            return engine.weights_name
    except F2RError:
        return None
