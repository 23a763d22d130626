"""Every signal that ends programs ends every command: one line, its exit code, nothing behind."""

import importlib.metadata
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from f2rcli import weights
from f2rcli.cli.app import COMMANDS, run
from f2rcli.cli.signals import Stopper
from f2rcli.errors import EXIT_INTERRUPTED, EXIT_TERMINATED
from tests.cli.conftest import write_clip

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")

# Command -> its words, and what it calls amid its work.
CALLS: dict[str, tuple[list[str], tuple[Any, str]]] = {
    "denoise": (["clip.mp4"], (av, "open")),
    "denoise --adapt": (["clip.mp4", "--adapt"], (av, "open")),
    "train": (["clip.mp4", "-o", "my.safetensors"], (av, "open")),
    "info": (["clip.mp4"], (av, "open")),
    "noise": (["clip.mp4", "--plot", "noise.svg"], (av, "open")),
    "eval": (
        ["--clean", "clip.mp4", "--noise", "gaussian:20", "--csv", "out.csv"], (av, "open")
    ),
    "export": (["f2r-rgb-small", "-o", "nets"], (weights, "load")),
    "doctor": ([], (importlib.metadata, "version")),
}  # fmt: skip


@pytest.fixture
def stopper() -> Iterator[Stopper]:
    """Signals are handled as `main` has it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    ours = Stopper()
    ours.install()
    yield ours
    ours.remove()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_every_command_is_here() -> None:
    assert {name.split()[0] for name in CALLS} == set(COMMANDS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", CALLS)
@pytest.mark.usefixtures("stopper")
def test_a_signal_ends_a_command_amid_its_work(
    command: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_clip(tmp_path / "clip.mp4", 2)
    words, (holder, name) = CALLS[command]
    called: list[str] = []

    def interrupted(*_: object, **__: object) -> None:
        called.append(name)
        signal.raise_signal(number)

    monkeypatch.setattr(holder, name, interrupted)
    code = run([command.split()[0], *words])
    said = capfd.readouterr().err.strip()
    assert called == [name]
    assert code == (EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_TERMINATED)
    assert said.count("error: ") == 1, said
    left = {path.name for path in tmp_path.iterdir()} - {"cache", "my.run"}  # to go on with
    assert left == {"clip.mp4"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("becomes", [SystemError("error return"), OSError(5, "I/O"), ValueError()])
def test_a_signal_that_a_library_turns_into_another_error_is_no_bug_and_no_damage(
    stopper: Stopper, number: int, becomes: Exception, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_clip(tmp_path / "clip.mp4", 2)

    def turned(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(number)
        except BaseException as error:
            raise becomes from error

    monkeypatch.setattr(av, "open", turned)
    code = run(["denoise", str(tmp_path / "clip.mp4")], stopper)
    said = capfd.readouterr().err.strip()
    assert code == (EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_TERMINATED), said
    assert said.count("error: ") == 1
    assert ("interrupted; " if number == signal.SIGINT else "terminated; ") in said
