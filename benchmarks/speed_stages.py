"""What each stage of a stream costs in CPU time, arithmetic and traffic, and what is possible here.

Times are those of the process on one thread, without what the stages inside took; arithmetic is
counted in a second pass by torch's own counter. Traffic is what a stage is given and gives back,
once: the least that it has to move.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import cost
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from f2rcli.engine.device import autocast, choose_precision
from f2rcli.engine.stream import EngineSettings, load_engine, restore_stream
from f2rcli.engine.tiles import Runner
from f2rcli.io import open_reader

# What is timed: a label, and where the function is found by whoever calls it.
STAGES = (
    ("opening: lines", "f2rcli.engine.stream", "remover_for"),
    ("opening: noise", "f2rcli.engine.noise.tracking", "opening_noise"),
    ("noise, measured again", "f2rcli.engine.noise.tracking.NoiseTracker", "refresh"),
    ("flow (DIS)", "f2rcli.methods.flows.FlowBook", "_found"),
    ("composition and consistency", "f2rcli.methods.flows.Flows", "rated"),
    ("warps", "f2rcli.methods.f2r", "warped"),
    ("photometric agreement", "f2rcli.methods.f2r", "placed"),
    ("long memory", "f2rcli.methods.f2r.F2R", "remember"),
    ("level maps", "f2rcli.methods.f2r.F2R", "_maps"),
    ("contract, change to planes", "f2rcli.engine.engine.Engine", "to_frame"),
)
REST = "all else"
DECODING = "decoding"
AHEAD = 3  # frames that windows look ahead


class Cost(NamedTuple):
    """Of a stage, per frame."""

    seconds: float
    gmac: float
    gigabytes: float


class Roof(NamedTuple):
    """What one thread does here at best."""

    gmac_per_second: float  # of a 3x3 convolution of 64 channels, in the precision of networks
    gigabytes_per_second: float  # read and written by copies of 64 MB


def roof() -> Roof:
    """The roofs of this machine now: the best of several tries, since others may be at work."""
    device = torch.device("cpu")
    layer = nn.Conv2d(64, 64, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
    x = torch.rand(1, 64, 180, 320).to(memory_format=torch.channels_last)
    with torch.inference_mode(), autocast(device, choose_precision("auto", device)):
        best = min(cpu_seconds(lambda: layer(x)) for _ in range(12))
    source, target = np.ones(2**23), np.zeros(2**23)
    copying = min(cpu_seconds(lambda: np.copyto(target, source)) for _ in range(12))
    return Roof(64 * 64 * 9 * 180 * 320 / best / 1e9, 2 * source.nbytes / copying / 1e9)


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time of this process for some work."""
    started = time.process_time()
    work()
    return time.process_time() - started


@dataclass
class Account:
    """Who is at work, and what everybody has used so far."""

    counter: FlopCounterMode | None
    used: dict[str, list[float]]
    inside: list[list[float]]  # what stages within those at work took: seconds, multiply-adds

    @contextmanager
    def at(self, label: str) -> Iterator[None]:
        """Charge a stage for what is used meanwhile, and not those around it."""
        began = self._spent()
        self.inside.append([0.0, 0.0])
        try:
            yield
        finally:
            within = self.inside.pop()
            spent = [now - then for now, then in zip(self._spent(), began, strict=True)]
            for place in range(2):
                self.used[label][place] += spent[place] - within[place]
                if self.inside:
                    self.inside[-1][place] += spent[place]

    def _spent(self) -> list[float]:
        flops = 0 if self.counter is None else self.counter.get_total_flops()
        return [time.process_time(), flops / 2]

    def watched(self, label: str | None, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, charged to a label, or to the network that it is given second."""

        def run(*given: Any, **named: Any) -> Any:
            name = label or type(getattr(given[1], "network", given[1])).__name__
            with self.at(name):
                result = function(*given, **named)
                if isinstance(result, Iterator):  # of a generator the work is in its steps
                    result = list(result)
            self.used[name][2] += _bytes((given, named, result))
            return result

        return run


def _bytes(values: Any) -> float:
    """Of all arrays in some values."""
    if isinstance(values, torch.Tensor | np.ndarray):
        return float(values.nbytes)
    if isinstance(values, dict):
        return _bytes(tuple(values.values()))
    if is_dataclass(values) and not isinstance(values, type):
        shown = (getattr(values, field.name, None) for field in fields(values))
        return _bytes(tuple(value for value in shown if not callable(value)))
    return sum(map(_bytes, values)) if isinstance(values, list | tuple) else 0.0


def stage_costs(clip: Path, first: int = 8) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """The opening's stages in all, and every stage's cost per frame after the `first` frames."""
    timed = _pass(clip, first, None)
    with cost.counter() as counter:
        counted = _pass(clip, first, counter)
    return tuple(  # type: ignore[return-value]  # two
        {
            name: Cost(used[0], counts.get(name, used)[1] / 1e9, used[2] / 1e9)
            for name, used in times.items()
        }
        for times, counts in zip(timed, counted, strict=True)
    )


def _pass(
    clip: Path, first: int, counter: FlopCounterMode | None
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    account = Account(counter, defaultdict(lambda: [0.0, 0.0, 0.0]), [])
    torch.set_num_threads(1)
    with ExitStack() as patched, open_reader(clip) as reader:
        for label, where, name in STAGES:
            patched.enter_context(_watching(account, label, where, name))
        run = account.watched(None, Runner.__call__)
        patched.enter_context(patch.object(Runner, "__call__", run))
        engine = load_engine(EngineSettings(threads=1), reader.info)
        frames = restore_stream(_decoded(reader, account), engine)
        seen: list[dict[str, list[float]]] = []
        done: Any = True
        while done is not None:
            with account.at(REST):
                done = next(frames, None)
            seen.append({name: list(used) for name, used in account.used.items()})
    begin, end = seen[first - 1], seen[-AHEAD - 2]  # later frames find their neighbours made ready
    count = len(seen) - AHEAD - 1 - first
    early = {name: used for name, used in end.items() if name.startswith("opening")}
    steady = {
        name: [(now - then) / count for now, then in zip(
            used, begin.get(name, [0.0] * 3), strict=True)]
        for name, used in end.items() if name not in early
    }  # fmt: skip
    return early, steady


def _watching(account: Account, label: str, where: str, name: str) -> Any:
    module, _, owner = where.rpartition(".")
    held = getattr(import_module(module), owner) if owner[:1].isupper() else import_module(where)
    return patch.object(held, name, account.watched(label, getattr(held, name)))


def _decoded(frames: Iterable[Any], account: Account) -> Iterator[Any]:
    source = iter(frames)
    while True:
        with account.at(DECODING):
            frame = next(source, None)
        if frame is None:
            return
        yield frame
