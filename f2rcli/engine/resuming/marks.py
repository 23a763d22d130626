"""Where the streams of a run stand between two frames, and how another run goes on from there.

Decoding, defects, copies and lines are gone through again from the clip's first frame, which takes
little; what networks and the contract carry along is kept, bit for bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

from f2rcli.engine.contract.memory import Memory
from f2rcli.engine.contract.points import PointLight
from f2rcli.engine.contract.residual import Past, Returned
from f2rcli.engine.contract.shares import NoiseShares
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import SeenLately
from f2rcli.engine.pictures import Copies, given, wanted
from f2rcli.engine.window_loop import Restorer, StreamState
from f2rcli.frames import Frame
from f2rcli.noise.coding import Blocking, Compression
from f2rcli.noise.model import NoiseModel, PlaneNoise, Told
from f2rcli.samples.defects import SetAside


class RunState(NamedTuple):
    """What the frames to come of a run depend on, and what its receipt counts."""

    streams: list[StreamState]
    returned: Returned
    aside: SetAside

    def save(self, path: Path) -> None:
        """Write it to a file. Raises OSError or RuntimeError."""
        torch.save(self, path)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "RunState":
        """What was saved, or an error of many kinds; nothing in the file is executed."""
        with torch.serialization.safe_globals(KNOWN):
            found = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(found, cls):
            raise TypeError(f"{path.name}: no state of a run")
        return found


# What a file of a state may hold beside tensors and plain values.
KNOWN: list[Any] = [
    Blocking, Compression, Memory, NoiseModel, NoiseShares, Past, PlaneNoise, PointLight, Returned,
    RunState, SeenLately, SetAside, StreamState, Told,
]  # fmt: skip


@dataclass
class _Stream:
    clip: Restorer
    left: int = 0  # frames of the last picture that are not given out yet
    ended: bool = False

    def state(self) -> StreamState | None:
        """See `Restorer.state`; None amid the copies of a picture as well."""
        if self.ended:
            clip = self.clip
            return StreamState(clip.seen, clip.seen, {}, clip.noise.seen_lately, Past(), (None, {}))
        return None if self.left else self.clip.state()


class Marks:
    """Where all streams of a run stand, in the order in which they begin."""

    def __init__(self, before: RunState | None = None) -> None:
        """before: the state that an earlier run left."""
        self._before = before
        self._streams: list[_Stream] = []

    def restored(self, clip: Restorer, pictures: Iterator[Copies]) -> Iterator[Frame]:
        """The frames of the next stream that begins; those that the earlier run has restored come
        as they were read."""
        engine, before, stream = clip.engine, self._before, _Stream(clip)
        if before is not None and not self._streams:
            engine.contract.returned, engine.found.aside = before.returned, before.aside
        begun = before is not None and len(self._streams) < len(before.streams)
        self._streams.append(stream)
        found = clip.windows(pictures)
        if before is not None and begun:
            state = before.streams[len(self._streams) - 1]
            clip.expect(state)
            for copies in islice(pictures, state.first):
                clip.pass_by(copies)
                yield from wanted(copies)
            for window in islice(found, state.done - state.first):
                if clip.is_last(state, window):
                    clip.recall(state, window)
                yield from wanted(window.centre.copies)
        for restored in clip.restored(clip.excerpt(found, begun=begun)):
            frames = list(given(restored, engine.found.aside))
            for stream.left in reversed(range(len(frames))):
                yield frames[-1 - stream.left]
        stream.ended = True

    def taken(self, engine: Engine) -> RunState | None:
        """The state of all streams; None if they cannot be left at this moment, but soon."""
        states = [stream.state() for stream in self._streams]
        whole = [state for state in states if state is not None]
        waits = not whole or len(whole) < len(states)
        for stream in self._streams:
            stream.clip.hurry = waits
        return None if waits else RunState(whole, engine.contract.returned, engine.found.aside)
