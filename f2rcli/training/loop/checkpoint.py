"""A run on disk: written whole or not at all, tensors and JSON, never a pickle.

`STAGE.last.safetensors` holds all that is needed to go on: the learner's tensors, the same once
more under good/ as they were at the last good state (left out where that is the present one), and
the numbers in the header. `STAGE.best.safetensors` holds the averaged weights alone.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from f2rcli.documents import parse_json
from f2rcli.errors import OutputError, WeightsError
from f2rcli.io.atomic import replacing
from f2rcli.io.disk_errors import FULL
from f2rcli.training.loop.divergence import DivergenceGuard

GOOD = "good/"
DIGEST, HEADER = "sha256", "header"


@dataclass(slots=True)
class RunState:
    """The numbers of a run; its tensors are the learner's."""

    step: int = 0
    elapsed: float = 0.0  # seconds, over all sessions
    optimiser: str = ""  # whose moments were saved
    guard: DivergenceGuard = field(default_factory=DivergenceGuard)
    best: float | None = None  # lowest validation
    best_step: int = 0
    stale: int = 0  # validations since the best one
    curve: list[tuple[int, float]] = field(default_factory=list)  # step, validation
    scaler: dict[str, Any] = field(default_factory=dict)  # of fp16's loss scaling
    pending: list[tuple[float, float]] = field(default_factory=list)  # loss, norm: not logged yet

    def copy(self) -> "RunState":
        """An independent copy."""
        return RunState.from_json(self.to_json())

    def to_json(self) -> str:
        """For a header; numbers come back exactly."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "RunState":
        """Raises TypeError or ValueError for what to_json did not write."""
        numbers = parse_json(text)
        numbers["guard"]["spikes"] = [(at, loss) for at, loss in numbers["guard"]["spikes"]]
        numbers["guard"] = DivergenceGuard(**numbers["guard"])
        for name in ("curve", "pending"):
            numbers[name] = [(a, b) for a, b in numbers[name]]
        return cls(**numbers)


@dataclass(slots=True)
class LastGood:
    """The one copy of a run that it can step back to."""

    state: RunState
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, state: RunState, tensors: dict[str, Tensor]) -> "LastGood":
        """Copy a run as it is now."""
        return cls(state.copy(), {name: tensor.clone() for name, tensor in tensors.items()})

    def refresh(self, state: RunState, tensors: dict[str, Tensor]) -> None:
        """Copy a run as it is now, into the same memory."""
        self.state = state.copy()
        for name, tensor in tensors.items():
            if name in self.tensors:
                self.tensors[name].copy_(tensor)
            else:  # moments, which exist from the first update on
                self.tensors[name] = tensor.clone()


def save_run(path: Path, state: RunState, tensors: dict[str, Tensor], good: LastGood) -> None:
    """Write `last`; raises OutputError when that is impossible, with the file before left as is."""
    header = {"step": str(state.step), "elapsed": str(state.elapsed), "state": state.to_json()}
    if good.state.step != state.step:
        tensors = tensors | {GOOD + name: tensor for name, tensor in good.tensors.items()}
        header["good"] = good.state.to_json()
    write(path, tensors, header)


def load_run(path: Path) -> tuple[RunState, dict[str, Tensor], LastGood | None]:
    """Read `last`. Raises WeightsError for a file that is damaged or not a run's."""
    header, stored = read(path)
    try:
        state = RunState.from_json(header["state"])
        behind = RunState.from_json(header["good"]) if "good" in header else None
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a checkpoint of a training run ({error}).",
            hint="Choose another run folder, or delete the file to begin again.",
        ) from error
    tensors = {name: value for name, value in stored.items() if not name.startswith(GOOD)}
    kept = {n.removeprefix(GOOD): value for n, value in stored.items() if n.startswith(GOOD)}
    return state, tensors, LastGood(behind, kept) if behind and kept else None


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors; raises WeightsError for a file that is damaged or missing."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
            header = json.loads((file.metadata() or {})[HEADER])
        if header.pop(DIGEST) != _digest(tensors, header):
            raise SafetensorError("its content has changed since it was written")
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{path}: not a safetensors file, or damaged ({error}).",
            hint="Choose another run folder, or delete the file to begin again.",
        ) from error
    return header, tensors


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a file beside its place, and put it there once it is on the disk. The header is one
    entry: safetensors writes several in an order of its own, anew each time."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as part:
            described = json.dumps(header | {DIGEST: _digest(plain, header)})
            save_file(plain, part, metadata={HEADER: described})
    except (SafetensorError, OSError) as error:
        raise OutputError(
            f"{path}: cannot write the checkpoint ({_reason(error)}).",
            hint="Free some space; the previous checkpoint is intact, and resume=True continues.",
        ) from error


def _digest(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    """SHA-256 of all that a file holds, in hex."""
    whole = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _reason(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in FULL
    return "the disk is full" if full or "No space left" in str(error) else str(error)
