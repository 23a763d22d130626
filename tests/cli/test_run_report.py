"""`f2r denoise --report`: a page beside a complete output, and never at its cost."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import f2rcli.cli.commands.denoise as denoise_command
from f2rcli.cli import engine as cli_engine
from f2rcli.cli import run_report
from f2rcli.cli.engine import returned_lines, returned_values
from f2rcli.engine.contract.returned import Returned
from f2rcli.engine.self_test import CLIP
from f2rcli.errors import OutputError
from f2rcli.evaluation import report
from f2rcli.frames import Family, PlaneLayout
from f2rcli.noise.model import NoiseModel
from tests.cli.conftest import Done, write_clip

pytestmark = pytest.mark.usefixtures("noise_measured_once")
OPTIONS = ("--device", "cpu", "--threads", "1")
QUICK = ("--sigma", 20)  # nothing is measured


@pytest.fixture
def denoise(command: Callable[..., Done], coarse_alone: None) -> Callable[..., Done]:
    """`f2r denoise` with the shipped weights, as far as pages need them."""
    return lambda *arguments: command("denoise", *arguments, *OPTIONS)


@pytest.fixture(scope="module")
def grainy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("report") / "grainy.mkv", size=(96, 64), frames=5)


def test_a_page_on_the_run_lies_beside_the_output(
    denoise: Callable[..., Done], grainy: Path, tmp_path: Path
) -> None:
    output, page = tmp_path / "out.mkv", tmp_path / "page.html"
    done = denoise(grainy, "-o", output, "--report", page, "--strength", "0.9")
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "page.html"]
    text = page.read_text(encoding="utf-8")
    for words in ("Denoising run", "Noise left", "5 frames", "grainy.mkv", "out.mkv", "0.9"):
        assert words in text, words
    assert len(re.findall(r"\b[0-9a-f]{64}\b", text)) == 3  # two files and the weights
    assert "report: " in done.err


def test_a_report_that_fails_leaves_the_output_and_says_so(
    denoise: Callable[..., Done], grainy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("page.html: cannot be written: the disk is full.", hint="Free some.")

    monkeypatch.setattr(report, "write_report", full)
    output = tmp_path / "out.mkv"
    done = denoise(grainy, "-o", output, "--report", tmp_path / "page.html", "--frames", 3, *QUICK)
    assert done.code == 1
    assert "disk is full" in done.err
    assert done.err.count("error:") == 1
    assert "3 frames" in done.err  # the receipt
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def returned(share: float) -> Returned:
    """What a contract that gives `share` of all energy back keeps account of."""
    found = Returned()
    taken = np.ones((64, 96), np.float32)
    for plane in range(3):
        found.add(plane, taken, taken * np.float32(1 - share**0.5))
    return found


def test_a_receipt_and_a_page_say_when_much_was_given_back(
    denoise: Callable[..., Done], grainy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (cli_engine, denoise_command, run_report):
        monkeypatch.setattr(module, "returned_of", lambda engine: returned(0.234))
    output, page = tmp_path / "out.mkv", tmp_path / "page.html"
    done = denoise(grainy, "-o", output, "--report", page, "--frames", 3, "--json", *QUICK)
    event = [json.loads(line) for line in done.out.splitlines()][-1]
    assert event["event"] == "result"
    assert event["given_back"]["share"] == pytest.approx(0.234, abs=1e-3)
    assert len(event["given_back"]["by_plane"]) == 3
    assert "23 % of what the networks took out was put back" in event["notes"][0]
    text = page.read_text(encoding="utf-8")
    assert "23.4% of what was taken out (Y 23.4%, Cb 23.4%, Cr 23.4%)" in text
    again = denoise(grainy, "-o", output, "--frames", 1, "--sigma", 10, "--overwrite")
    assert again.err.splitlines()[-1].startswith("23 % of what the networks took out")


def ran(share: float, sigma8: float) -> Any:
    """An engine that measured `sigma8` and whose contract gave `share` back."""
    noise = NoiseModel.gaussian(sigma8 / 255, 3)
    return SimpleNamespace(returned=returned(share), noise=noise)


def test_a_receipt_is_silent_where_little_was_given_back() -> None:
    assert returned_lines(ran(0.08, 5.0), CLIP) == []
    assert returned_lines(None, CLIP) == []
    assert returned_values(None) is None
    assert len(returned_lines(ran(0.12, 5.0), CLIP)) == 1


def test_a_receipt_is_silent_where_there_was_hardly_any_noise() -> None:
    assert returned_lines(ran(0.9, 0.29), CLIP) == []
    assert len(returned_lines(ran(0.9, 0.31), CLIP)) == 1
    counts = replace(CLIP, layout=PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 99.0)))
    assert counts.layout.counts_light
    assert returned_lines(ran(1.0, 0.0), counts) == []  # a stack of one code holds no texture
    assert len(returned_lines(ran(0.9, 0.1), counts)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-o", "-", "--report", "page.html"), 2, "pipe"),
        (("-o", "out.mkv", "--report", "out.mkv"), 2, "another file of this run"),
        (("-o", "out.mkv", "--report", "none/page.html"), 1, "does not exist"),
        (("-o", "out.mkv", "--report", "there.html"), 1, "already exists"),
        (("--report", "page.html", "--preview", 1), 2, "--report --preview"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    denoise: Callable[..., Done],
    grainy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").write_text("mine")
    done = denoise(grainy, *arguments)
    assert done.code == code, done.err
    assert words in done.err
    assert "frames/s" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["there.html"]
    assert (tmp_path / "there.html").read_text() == "mine"


def test_the_input_is_never_written(denoise: Callable[..., Done], grainy: Path) -> None:
    before = grainy.read_bytes()
    done = denoise(grainy, "--report", grainy, "--overwrite")
    assert done.code == 2
    assert grainy.read_bytes() == before


def test_a_batch_has_a_hint_instead(denoise: Callable[..., Done], tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{name}.mkv", frames=2) for name in "ab"]
    done = denoise(*clips, "-o", tmp_path / "out", "--report", tmp_path / "page.html")
    assert done.code == 2
    assert "f2r eval" in done.err
