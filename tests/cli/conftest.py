"""Tiny clips, the command line in this process, and the same in a process of its own."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

import f2rcli
from f2rcli import weights
from f2rcli.cli.app import run

PACKAGE = Path(f2rcli.__file__).parent
FAKE = Path(__file__).parent / "fake_engine.py"
FAKE_SESSION = Path(__file__).parent / "fake_session.py"


class Done(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


class Clock:
    """A clock that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def rgb(path: Path) -> np.ndarray:
    """The pictures of a video, (T, H, W, 3) codes."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def write_clip(
    path: Path, frames: int = 6, size: tuple[int, int] = (64, 48), **options: str
) -> Path:
    """A noisy drifting gradient; the codec follows the suffix."""
    codecs = {".y4m": "rawvideo", ".mkv": "ffv1", ".png": "png"}
    codec = codecs.get(path.suffix, "libx264")
    pix_fmt = "rgb24" if codec == "png" else "yuv420p"
    rng = np.random.default_rng(3)
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        for index in range(frames):
            ramp = np.add.outer(np.arange(height), np.arange(width) + 2 * index) % 200 + 20
            picture = np.repeat(ramp[..., None], 3, axis=2) + rng.normal(0, 10, (height, width, 3))
            frame = av.VideoFrame.from_ndarray(
                picture.clip(0, 255).astype(np.uint8), format="rgb24"
            ).reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(autouse=True)
def _read_once(weights_read_once: None) -> None:
    pass


@pytest.fixture(autouse=True)
def _quick_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run will cost is told by a window of a few pixels."""
    monkeypatch.setattr("f2rcli.engine.engine.PROBE_SIZE", 16)


@pytest.fixture
def clip_writer() -> Callable[..., Path]:
    return write_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("fake_engine", FAKE)
    assert spec is not None
    assert spec.loader is not None
    fake = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fake_engine", fake)  # dataclasses look themselves up
    spec.loader.exec_module(fake)
    monkeypatch.setitem(sys.modules, "f2rcli.engine.stream", fake.module())
    monkeypatch.setattr(weights, "available", lambda: ["fake"])


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run a command line in this process."""

    def call(*arguments: object) -> Done:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return call


@pytest.fixture
def f2r(fake_engine: None, command: Callable[..., Done]) -> Callable[..., Done]:
    """The same with an engine that only darkens."""
    return command


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Started:
    """`f2r` in a process of its own, with the fake engine."""

    def __init__(
        self, *arguments: object, delay: float = 0.0, hold: str = "", **options: object
    ) -> None:
        """delay: seconds a frame; hold: stop clips so named at a frame, until `go_on`."""
        self._folder = tempfile.TemporaryDirectory(prefix="f2r-held-")
        self._mark = Path(self._folder.name) / "held"
        told = {"F2R_FAKE_DELAY": str(delay), "PYTHONPATH": str(PACKAGE.parent)}
        if hold:
            told["F2R_FAKE_HOLD"] = f"{hold}:{self._mark}"
        self.process = subprocess.Popen(
            [sys.executable, str(FAKE), *map(str, arguments)],
            stderr=subprocess.PIPE,
            env=os.environ | told,
            **{"stdout": subprocess.PIPE, "preexec_fn": listen_to_signals, **options},
        )

    def wait_until_held(self) -> None:
        """Until the first frame is written; however long a busy machine takes."""
        while not self._mark.exists():
            assert self.process.poll() is None, self.end().err
            time.sleep(0.02)

    def go_on(self) -> None:
        self._mark.unlink()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> Done:
        out, err = self.process.communicate(timeout=240)
        self.clean_up()
        return Done(self.process.returncode, (out or b"").decode("utf-8", "replace"), err.decode())

    def clean_up(self) -> None:
        """Close what is open of the pipes and remove the folder; the process may have ended."""
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()


def listen_to_signals() -> None:
    """A test run in the background ignores SIGINT, and its children would inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    """Start `f2r` processes; none of them outlives the test."""
    every: list[Started] = []

    def begin(*arguments: object, **options: object) -> Started:
        every.append(Started(*arguments, **options))  # type: ignore[arg-type]  # as Started's are
        return every[-1]

    yield begin
    for one in every:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.clean_up()


@pytest.fixture
def y4m(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.y4m")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A Matroska file that ends in mid-stream, without a word of it in the container."""
    whole = write_clip(tmp_path / "whole.mkv", frames=24)
    data = whole.read_bytes()
    whole.unlink()
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch):
    """Stands in for f2rcli.training.session; remembers what it was asked."""
    spec = importlib.util.spec_from_file_location("fake_session", FAKE_SESSION)
    assert spec is not None
    assert spec.loader is not None
    fakes = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fake_session", fakes)  # dataclasses look themselves up
    spec.loader.exec_module(fakes)
    fake = fakes.Session()
    monkeypatch.setattr(import_module("f2rcli.training.session"), "train", fake.train)
    return fake
