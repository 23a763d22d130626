"""Every example runs as its page says, in this process: another would load torch again."""

import importlib
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import pytest
import tifffile

from tests.video import write_video

EXAMPLES = Path(__file__).parent.parent / "examples"
FRAMES = 7


@pytest.fixture
def script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run an example as `python examples/NAME ARGUMENTS` does; what it prints."""

    def call(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return call


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The upper left of the example clip's first frames."""
    path = tmp_path_factory.mktemp("clip") / "noisy.mp4"
    with av.open(str(EXAMPLES / "noisy_path.mp4")) as source:
        frames = islice(source.decode(video=0), FRAMES)
        pictures = [frame.to_ndarray(format="rgb24")[:64, :96] for frame in frames]
    return write_video(path, pictures, "yuv420p", "libx264")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The upper left of the example stack's first frames."""
    path = tmp_path_factory.mktemp("stack") / "noisy.tif"
    pages = tifffile.imread(EXAMPLES / "calcium_noisy.tif")[:FRAMES, :64, :64]
    tifffile.imwrite(path, pages, imagej=True, metadata={"axes": "TYX"})
    return path


@pytest.fixture(scope="module")
def burst(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example burst's first three exposures."""
    folder = tmp_path_factory.mktemp("burst")
    for path in sorted((EXAMPLES / "raw_burst").iterdir())[:3]:
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize(
    "name", sorted({path.name for path in EXAMPLES.glob("*.py")} - {"onnx_denoise.py"})
)
def test_without_arguments_examples_say_what_to_pass(script: Callable[..., str], name: str) -> None:
    with pytest.raises(SystemExit, match=rf"(?m)^python examples/{name} \S"):
        script(name)


def test_denoise_video_keeps_frames(script: Callable[..., str], clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "clean.mp4"
    assert f"{FRAMES} frames" in script("denoise_video.py", clip, target)
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_denoise_live_gives_back_every_frame(script: Callable[..., str], clip: Path) -> None:
    said = script("denoise_live.py", clip)
    assert f"{FRAMES} frames pushed, {FRAMES} given" in said


def test_denoise_array_tells_the_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stack: Path
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    importlib.import_module("denoise_array").main(str(stack))
    said = capsys.readouterr().out
    assert f"{FRAMES} of {FRAMES} frames" in said
    slope = float(re.search(r"variance ([\d.]+) x", said)[1])  # type: ignore[index]
    assert slope == pytest.approx(5.77, rel=0.2)  # of the whole stack


def test_denoise_stack_draws_it(script: Callable[..., str], stack: Path, tmp_path: Path) -> None:
    target, picture = tmp_path / "clean.tif", tmp_path / "look.png"
    said = script("denoise_stack.py", stack, target, picture)
    assert f"{FRAMES} frames in all" in said
    assert tifffile.imread(target).shape == (FRAMES, 64, 64)
    assert picture.stat().st_size > 1000


def test_training_ends_in_words(script: Callable[..., str], clip: Path, tmp_path: Path) -> None:
    assert "none written: " in script("train_on_own_footage.py", clip, tmp_path / "w.safetensors")
