"""`f2r` with an engine that halves every sample and loads in no time; run as a script or imported.

The command line does not care what the engine does to pictures; torch takes seconds to load and
weights minutes to make. F2R_FAKE_DELAY: seconds per frame. F2R_FAKE_GATE: a run leaves a file
GATE.PID and waits until GATE is there. Real runs are in test_end_to_end.py.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from f2rcli.engine.settings import EngineSettings


class Noise(NamedTuple):
    sigma8: tuple[float, ...] = (10.0, 12.0, 14.0)

    def in_codes(self, levels: Any) -> str:
        return "sigma 10"


class Prediction(NamedTuple):
    seconds_per_frame: float = 0.5
    peak_bytes: int = 1_500_000_000


class Engine:
    method_name = "f2r"
    weights_name = "fake"
    weights_sha256 = "0" * 64
    device = "cpu"
    precision = "fp32"
    tile = None
    noise: Noise | None = None
    compression: None = None

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.notes = ["a fake engine"]
        self.lines: dict[str, Any] = {}

    def predict(self, info: Any, method: Any = None) -> Prediction:
        return Prediction()


def load_engine(settings: EngineSettings, info: Any) -> Engine:
    return Engine(settings)


class NoiseTracker:
    measured = Noise()

    def new_method(self) -> None:
        pass


def looked_ahead(
    frames: Iterable[Any], info: Any, engine: Engine, lanes: Any = None
) -> NoiseTracker:
    list(frames)
    return NoiseTracker()


def denoise_stream(
    frames: Iterable[Any], info: Any, engine: Engine, opening: Any = None, lanes: Any = None
) -> Iterator[Any]:
    delay = float(os.environ.get("F2R_FAKE_DELAY", "0"))
    holding, _, mark = os.environ.get("F2R_FAKE_HOLD", "").partition(":")
    if "crash" in info.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    held: list[Any] = []
    _wait_at(os.environ.get("F2R_FAKE_GATE", ""))
    for frame in frames:
        if frame.context:
            continue
        held.append(frame)
        if len(held) > 2:  # the latency of a window
            time.sleep(delay)
            yield _restored(held.pop(0), engine)
            if mark and holding in info.name:  # one frame is written: tell, and wait for leave
                Path(mark).touch()
                while Path(mark).exists():
                    time.sleep(0.02)
                mark = ""
    for frame in held:
        yield _restored(frame, engine)


def _wait_at(gate: str) -> None:
    """Tell that this process is at the gate, and wait until it opens."""
    if gate:
        Path(f"{gate}.{os.getpid()}").touch()
    while gate and not Path(gate).exists():
        time.sleep(0.02)


def _restored(frame: Any, engine: Engine) -> Any:
    engine.noise = Noise()
    if os.environ.get("F2R_FAKE_BUG"):
        raise ZeroDivisionError("a planted bug")
    if engine.settings.strength == 0:
        return frame
    planes = tuple(plane // 2 + plane // 4 for plane in frame.planes)
    return replace(frame, planes=planes)


class RunRecord:
    """Keeps nothing: a run of less than a minute has no record, and the real one loads torch."""

    def __init__(self, *told: object) -> None:
        self.finished = False

    def __enter__(self) -> "RunRecord":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def open(self) -> None:
        pass

    def reading(self, reader: Any) -> Any:
        return reader

    def keeping(self, frames: Iterable[Any]) -> Iterable[Any]:
        return frames


def record_module() -> ModuleType:
    """What stands in for f2rcli.engine.resuming.record in a process of its own."""
    fake = ModuleType("f2rcli.engine.resuming.record")
    names = {"RunRecord": RunRecord, "forget": lambda target: None, "identity_of": lambda *told: {}}
    vars(fake).update(names)
    return fake


def module() -> ModuleType:
    """What stands in for f2rcli.engine.stream."""
    fake = ModuleType("f2rcli.engine.stream")
    for name in ("Engine", "load_engine", "looked_ahead", "denoise_stream"):
        setattr(fake, name, globals()[name])
    return fake


if __name__ == "__main__":
    sys.modules["f2rcli.engine.stream"] = module()
    sys.modules["f2rcli.engine.resuming.record"] = record_module()
    from f2rcli.cli import child, fork_server
    from f2rcli.cli.app import main
    from f2rcli.cli.commands import batch

    batch.COMMAND = (sys.executable, __file__, "--child")
    if "--child" in sys.argv:
        sys.argv.remove("--child")
        fork_server.LOADED = (
            "f2rcli.cli.commands.denoise", "f2rcli.io.video.reader", "f2rcli.io.video.writer",
            "pydantic.type_adapter",
        )  # fmt: skip
        child.begin()
    main()
