"""Every example runs as its page says."""

import importlib
import subprocess
import sys
from pathlib import Path

import av
import pytest
import tifffile

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_OK

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_denoise_video_writes_a_video_with_every_frame(tmp_path: Path) -> None:
    target = tmp_path / "clean.mp4"
    command = [sys.executable, EXAMPLES / "denoise_video.py", EXAMPLES / "noisy_path.mp4", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "32 frames" in done.stdout
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 32


def test_denoise_live_gives_back_every_frame() -> None:
    command = [sys.executable, EXAMPLES / "denoise_live.py", EXAMPLES / "noisy_path.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "32 frames pushed, 32 given" in done.stdout


def test_denoise_array_tells_the_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    importlib.import_module("denoise_array").main(str(EXAMPLES / "calcium_noisy.tif"))
    said = capsys.readouterr().out
    assert "24 of 24 frames" in said
    assert "variance 5.8" in said


def test_denoise_stack_writes_a_stack_and_a_picture(tmp_path: Path) -> None:
    target, picture = tmp_path / "clean.tif", tmp_path / "look.png"
    command = [sys.executable, EXAMPLES / "denoise_stack.py", EXAMPLES / "calcium_noisy.tif"]
    done = subprocess.run([*command, target, picture], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "24 frames in all" in done.stdout
    assert tifffile.imread(target).shape == (24, 96, 96)
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("part", "pictures"), [("stack", {"_stack.png", "_trace.png"}), ("raw", {"_raw.png"})]
)
def test_the_walk_through_makes_its_pictures(
    part: str, pictures: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if part == "raw" and not any(e["space"] == "bayer" for e in weights.manifest().values()):
        pytest.skip("no weights for mosaics are shipped yet")
    monkeypatch.syspath_prepend(EXAMPLES)
    walk = importlib.import_module("walkthrough")

    def here(*arguments: object) -> None:
        assert run([str(argument) for argument in arguments]) == EXIT_OK

    monkeypatch.setattr(walk, "f2r", here)  # in this process: it costs no start
    monkeypatch.setattr(sys, "argv", ["walkthrough.py", str(tmp_path), "--only", part])
    walk.main()
    assert {p.name.removeprefix("walkthrough") for p in tmp_path.iterdir()} == pictures
    assert min(p.stat().st_size for p in tmp_path.iterdir()) > 1000
