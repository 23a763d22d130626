"""The positions of streams of frames between two pictures, as arrays and JSON values, and back.

Decoding, defects, copies and lines are gone through again from the clip's first frame, which takes
little; what the networks and the contract carry along is kept, bit for bit.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.engine.contract.account import Returned
from f2rcli.engine.contract.memory import Memory
from f2rcli.engine.contract.points import PointLosses
from f2rcli.engine.contract.residual import Past
from f2rcli.engine.contract.shares import NoiseShares
from f2rcli.methods.base import Method, Prepared
from f2rcli.noise.measurement.blocking import Blocking
from f2rcli.noise.measurement.compression import Compression
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from f2rcli.noise.told import Told
from f2rcli.window import Window

if TYPE_CHECKING:
    from f2rcli.engine.engine import Engine
    from f2rcli.engine.level import NoiseTracker

Arrays = dict[str, NDArray[np.float32]]
JsonValues = dict[str, Any]


class Mark:
    """The position of one stream; `kept`: that of an earlier run, from which it continues."""

    def __init__(self, kept: JsonValues | None = None, arrays: Arrays | None = None) -> None:
        self.kept = kept
        self.left = 0  # frames of the last picture that are not given out yet
        self.ahead = 0  # windows that are begun and not finished
        self.past = Past()
        self.begin = 0  # index of the stream's first picture
        self.first = self.done = -1  # of the last window: its first picture, its centre
        self._arrays = arrays or {}
        self._known: dict[int, Told | None] = {}  # of each picture, as networks had it
        self._method: Method | None = None
        self._noise: NoiseTracker | None = None
        if kept is not None:
            self.begin, self.first, self.done = (kept[n] for n in ("begin", "first", "done"))

    @property
    def count(self) -> int:
        """Windows that the resumed run had done."""
        return 0 if self.kept is None else self.done - self.begin + 1

    @property
    def passed(self) -> int:
        """Pictures that need not even be prepared again."""
        return 0 if self.kept is None else self.first - self.begin

    def set_out(self, method: Method, noise: "NoiseTracker", shares: NoiseShares | None) -> Past:
        """Begin, with the noise of the resumed run. Returns what the contract carries from there;
        shares: those of a stream that begins."""
        self._method, self._noise = method, noise
        if self.kept is None:
            points = PointLosses() if noise.layout.counts_light else None
            return Past(points=points, shares=shares)
        model, points, learnt = (self.kept[name] for name in ("model", "points", "shares"))
        if model is not None:
            noise.blocking = _blocking(self.kept["blocking"])
            errors, noise.era = self.kept["compression"], self.kept["era"]
            noise.know(
                _model(model), _plane_noise(self.kept["planes"]),
                None if errors is None else _compression(errors),
            )  # fmt: skip
            now = self.kept["now"]
            noise.now = None if now is None else _plane_noise(now)
        self._known = {i: None if m is None else _told(m) for i, m in self.kept["told"]}
        return Past(
            _memory(_part(self._arrays, "shown"), noise.engine.torch_device),
            None if points is None else PointLosses.of(points),
            None if learnt is None else NoiseShares(**learnt),
        )

    def conditioned(self, index: int, model: Told | None) -> Told | None:
        """The noise that networks are told of for a picture: `model`, unless they had it before."""
        return self._known.setdefault(index, model)

    def before(self, view: Window[Prepared]) -> bool:
        """Whether the resumed run had done a window's centre."""
        if self.kept is None or view.centre.index > self.done:
            return False
        if view.centre.index == self.done and self._method is not None:
            self._method.recall(view, self.kept["memory"], _part(self._arrays, "memory"))
        return True

    def stand(self, view: Window[Prepared], past: Past, left: int, ahead: int) -> None:
        """A window is done; `left` frames that show its centre are to be given out, and so many
        windows `ahead` are begun."""
        self.first = view.items[0].index
        self.done, self.past, self.left, self.ahead = view.centre.index, past, left, ahead
        self._known = {i: model for i, model in self._known.items() if i >= self.first}

    def taken(self) -> tuple[JsonValues, Arrays] | None:
        """All of it; None amid the copies of a picture, where another is begun, or before the first
        is done."""
        if self.left or self.ahead or self.done < 0 or self._method is None or self._noise is None:
            return None
        model, planes = self._noise.own or (None, None)
        blocking, errors = self._noise.blocking, self._noise.compression
        points, shares = self.past.points, self.past.shares
        memory, kept = self._method.remembered()
        arrays = {
            f"shown.{part}.{kind}": group.cpu().numpy()
            for part, groups in self.past.memory._asdict().items()
            for kind, group in enumerate(groups)
        }
        arrays |= {f"memory.{name}": values for name, values in kept.items()}
        facts = {
            "begin": self.begin, "first": self.first, "done": self.done,
            "points": None if points is None else points.values(),
            "shares": None if shares is None else shares.values(),
            "model": None if model is None else asdict(model),
            "planes": None if planes is None else asdict(planes),
            "blocking": None if blocking is None else asdict(blocking),
            "compression": None if errors is None else asdict(errors),
            "era": self._noise.era,
            "now": None if self._noise.now is None else asdict(self._noise.now),
            "told": [[i, None if m is None else asdict(m)] for i, m in self._known.items()],
            "memory": memory,
        }  # fmt: skip
        return facts, arrays

    def end(self) -> None:
        """End the stream and release what it carried along."""
        self.past, self._arrays = Past(), {}
        if self._method is not None:
            self._method.forget()


class Marks:
    """The marks of all streams of a run, in the order in which they begin."""

    def __init__(self, past: JsonValues | None = None, arrays: Arrays | None = None) -> None:
        """Raises KeyError, TypeError or ValueError for what `taken` never gave."""
        self.wanted = False  # whether a record waits until all that is begun is finished
        self.marks: list[Mark] = []
        self._past: list[JsonValues] = [] if past is None else list(past["streams"])
        self._arrays = arrays or {}
        self._account: tuple[Returned, dict[str, int]] | None = None  # what receipts are made of
        if past is not None:
            aside = {name: int(count) for name, count in past["aside"].items()}
            self._account = Returned(**past["returned"]), aside

    def stream(self, engine: "Engine") -> Mark:
        """The mark of the next stream that begins."""
        number = len(self.marks)
        if not number and self._account is not None:
            engine.contract.returned, account = self._account
            for name, value in account.items():
                setattr(engine.aside, name, value)
        past = self._past[number] if number < len(self._past) else None
        self.marks.append(Mark(past, _part(self._arrays, str(number))))
        return self.marks[-1]

    def taken(self, engine: "Engine") -> tuple[JsonValues, Arrays] | None:
        """The state of all streams; None if they cannot be left at this moment."""
        each = [mark.taken() for mark in self.marks]
        whole = [one for one in each if one is not None]
        self.wanted = not whole or len(whole) < len(each)
        if self.wanted:
            return None
        facts = {
            "streams": [facts for facts, _ in whole], "returned": engine.contract.returned.values(),
            "aside": asdict(engine.aside),
        }  # fmt: skip
        return facts, {
            f"{number}.{name}": values
            for number, (_, arrays) in enumerate(whole) for name, values in arrays.items()
        }  # fmt: skip


def _part(arrays: Arrays, name: str) -> Arrays:
    return {k.removeprefix(f"{name}."): v for k, v in arrays.items() if k.startswith(f"{name}.")}


def _memory(arrays: Arrays, device: torch.device) -> Memory:
    """What every place had shown."""
    parts: dict[str, list[Tensor]] = {}
    for name, values in sorted(arrays.items()):
        part, _ = name.split(".")
        parts.setdefault(part, []).append(torch.from_numpy(values).to(device))
    return Memory(**parts)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _model(fields: JsonValues) -> NoiseModel:
    return NoiseModel(**{name: _tuples(value) for name, value in fields.items()})


def _blocking(fields: JsonValues | None) -> Blocking | None:
    return None if fields is None else Blocking(**fields)


def _compression(fields: JsonValues) -> Compression:
    even, blocking = _tuples(fields["even"]), _blocking(fields["blocking"])
    return Compression(fields["sigma"], even, blocking)


def _plane_noise(fields: JsonValues) -> PlaneNoise:
    models = tuple(_model(one) for one in fields["models"])
    rest = {name: _tuples(value) for name, value in fields.items() if name != "models"}
    return PlaneNoise(models, **rest)


def _told(fields: JsonValues) -> Told:
    planes, channels = _plane_noise(fields["planes"]), _model(fields["channels"])
    return Told(planes, channels, bool(fields["errors"]))
