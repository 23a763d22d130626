"""Every f2r command in the README runs as it stands there."""

import re
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from f2rcli.errors import EXIT_OK

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The command lines that begin with f2r, out of the fenced blocks, in order, once each."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    parts = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    stripped = (part.split("#")[0].strip() for part in parts)
    return list(dict.fromkeys(line for line in stripped if line.startswith("f2r ")))


@pytest.fixture
def workplace(tmp_path: Path, clip_writer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds what the README's commands name."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "examples" / "calcium_noisy.tif", tmp_path / "stack.tif")
    shutil.copytree(ROOT / "examples" / "raw_burst", tmp_path / "burst")
    for name in ("input.mp4", "input.mkv", "input.mov"):
        clip_writer(tmp_path / name, frames=9)
    for folder in ("frames", "clean", "takes"):
        (tmp_path / folder).mkdir()
    clip_writer(tmp_path / "takes" / "one.mkv")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clip_writer(tmp_path / "frames" / "%05d.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_shows_how_to_run_it() -> None:
    assert len(commands()) >= 5


# test_info.py and test_eval.py run these; training takes minutes: tests/training.
ELSEWHERE = ("f2r noise", "f2r eval", "f2r train")


@pytest.mark.usefixtures("only_measured")
@pytest.mark.parametrize(
    "line",
    [line for line in commands() if not line.startswith(ELSEWHERE) and "--adapt" not in line],
)
def test_a_command_of_the_readme_runs(f2r, workplace, line, monkeypatch) -> None:
    """Several at a time in threads here: each process would load torch."""
    monkeypatch.setattr("f2rcli.batch.ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    part = ["--frames", "3"] if "examples/" in line else []  # the rest is more of the same
    done = f2r(*shlex.split(line)[1:], *part)
    assert done.code == EXIT_OK, done.err
