"""`f2r eval`: three ways to evaluate, where results go, and one clear line for what is wrong."""

import csv
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from f2rcli.errors import EXIT_FAILURE, EXIT_INPUT, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Done, Run, rgb, write_clip

PSNR = ("--metrics", "psnr")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `clean.mkv`, and `lossy.mp4`, which is near it."""
    folder = tmp_path_factory.mktemp("eval")
    write_clip(folder / "clean.mkv", frames=4)
    write_clip(folder / "lossy.mkv", frames=4, sigma=14)
    return folder


@pytest.fixture
def evaluate(f2r: Run) -> Run:
    return lambda *words: f2r("eval", *words, "--threads", 1)


def found(done: Done) -> dict:
    (values,) = [json.loads(line) for line in done.out.splitlines() if '"evaluation"' in line]
    return values


def means(done: Done) -> dict[tuple[str, str], dict[str, float]]:
    return {(row["group"], row["method"]): row["values"] for row in found(done)["means"]}


def test_denoised_against_clean_is_the_formula(evaluate: Run, clips: Path, tmp_path: Path) -> None:
    """Even --quiet prints the table, and nothing else."""
    sides = (clips / "lossy.mkv", "--clean", clips / "clean.mkv", *PSNR)
    done = evaluate(*sides, "--csv", tmp_path / "e.csv", "-q")
    assert (done.code, done.err) == (EXIT_OK, "")
    assert "lossy" in done.out
    assert "PSNR" in done.out
    apart = rgb(clips / "lossy.mkv").astype(float) - rgb(clips / "clean.mkv")
    wanted = 10 * np.log10(255**2 / (apart**2).mean((1, 2, 3)))
    assert f"{wanted.mean():.2f}" in done.out
    with (tmp_path / "e.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "psnr"]
    frames = [float(row["value"]) for row in rows if row["frame"].isdigit()]
    np.testing.assert_allclose(frames[:4], wanted, atol=1e-3)


def test_what_a_clip_is_taken_for_is_said_once(evaluate: Run, tmp_path: Path) -> None:
    for name in ("0.png", "1.png"):
        cv2.imwrite(str(tmp_path / name), np.full((32, 32), 99, np.uint8))
    words = ("--noise", "g10", "--noise", "g30", "--methods", "none", *PSNR)
    done = evaluate("--clean", tmp_path / "%d.png", *words)
    assert done.err.count("carry no time") == 1


def test_a_stacks_decibels_say_their_black_and_white(evaluate: Run, tmp_path: Path) -> None:
    noisy, clean = tmp_path / "noisy.tif", tmp_path / "clean.tif"
    codes = np.random.default_rng(0).normal(300, 12, (4, 48, 64)).round().astype(np.uint16)
    tifffile.imwrite(noisy, codes, photometric="minisblack")
    wave = np.zeros_like(codes) + np.arange(268, 332, dtype=np.uint16)
    tifffile.imwrite(clean, wave, photometric="minisblack")
    done = evaluate(noisy, "--clean", clean, *PSNR)
    told = re.search(r"note: clean.tif: dB .* black (.+) to white (.+) of its", done.err)
    assert told, done.err
    apart = (codes.astype(float) - wave) / (float(told[2]) - float(told[1]))
    wanted = -10 * np.log10((apart**2).mean((1, 2)))
    assert f"{wanted.mean():.2f}" in done.out


def test_methods_run_on_noise_that_is_made_here(evaluate: Run, clips: Path) -> None:
    words = ("--noise", "gaussian:25", "--frames", 3, "--seed", 4, *PSNR, "--json")
    values = means(evaluate("--clean", clips / "clean.mkv", *words))
    assert values["gaussian:25", "f2r"]["psnr"] > values["gaussian:25", "none"]["psnr"] + 2


def test_what_is_identical_has_an_infinite_psnr(evaluate: Run, clips: Path, tmp_path: Path) -> None:
    for number, frame in enumerate(rgb(clips / "clean.mkv")):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
    for one, two in ((clips / "clean.mkv", clips / "clean.mkv"), (tmp_path / "%d.png", tmp_path)):
        assert "inf" in evaluate(one, "--clean", two, *PSNR).out


def test_a_report_is_one_page(evaluate: Run, clips: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"  # of clips without a reference
    sides = (f"mine={clips / 'lossy.mkv'}", "--noisy", clips / "clean.mkv", "--frames", 3)
    done = evaluate(*sides, "--report", page, "--json", "--metrics", "all")
    assert done.code == EXIT_OK, done.err
    assert found(done)["kind"] == "blind"
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_results_replace_nothing_unasked(evaluate: Run, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.csv"
    out.write_text("mine")
    sides = (clips / "lossy.mkv", "--clean", clips / "clean.mkv", *PSNR)
    done = evaluate(*sides, "--csv", out)
    assert (done.code, done.out) == (EXIT_FAILURE, "")
    assert "e.csv: already exists." in done.err
    assert "or another name with --csv." in done.err
    assert out.read_text() == "mine"
    assert evaluate(*sides, "--csv", out, "-y").code == EXIT_OK
    done = evaluate(*sides, "--csv", clips / "lossy.mkv", "-y")
    assert (done.code, "another file of this run" in done.err) == (EXIT_USAGE, True)
    done = evaluate(*sides, "--csv", "-", "-y")
    assert (done.code, "--csv -: is a file" in done.err) == (EXIT_USAGE, True)
    assert not Path("-").exists()


def test_folders_are_matched_by_name(evaluate: Run, clips: Path, tmp_path: Path) -> None:
    for name in ("clean/a.mkv", "clean/b.mkv", "done/a_f2r.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(clips / "clean.mkv", tmp_path / name)
    done = evaluate(tmp_path / "done", "--clean", tmp_path / "clean", *PSNR)
    assert done.code == EXIT_OK
    assert "warning: b: no done clip of this name; left out" in done.err


def test_damaged_input_is_told(evaluate: Run, damaged: Path, tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", frames=24)
    done = evaluate(damaged, "--clean", whole, *PSNR)
    assert (done.code, "frame counts differ" in done.err) == (EXIT_INPUT, True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("lossy.mkv",), EXIT_USAGE, "lossy.mkv: nothing to compare it with"),
        (("gone.mp4", "--clean", "clean.mkv"), EXIT_INPUT, "no such file or folder"),
        (("lossy.mkv", "--clean", "."), EXIT_USAGE, "Name files or folders, not both"),
        (("--clean", "clean.mkv", "--noise", "gausian:30"), EXIT_USAGE, "not a kind of noise"),
        (("--clean", "clean.mkv", "--noise", "gaussian:9", "--methods", "f3r"), EXIT_USAGE, "f3r"),
        (("--noise", "gaussian:9"), EXIT_USAGE, "--noise: is made on clean clips"),
        (("lossy.mkv", "--clean", "clean.mkv", "--metrics", "pnsr"), EXIT_USAGE, "psnr"),
        (("lossy.mkv", "--noisy", "clean.mkv", "--metrics", "psnr"), EXIT_USAGE, "needs a clean"),
        (("--benchmark", "set8"), EXIT_USAGE, "--benchmark and --root: go together"),
        (("--benchmark", "set9", "--root", "."), EXIT_USAGE, "set9"),
        (("--benchmark", "set8", "--root", "gone"), EXIT_INPUT, "no such folder"),
        (("none=lossy.mkv", "--clean", "clean.mkv"), EXIT_USAGE, "the label none is taken"),
        (("clean=lossy.mkv", "--noisy", "clean.mkv"), EXIT_USAGE, "error: lossy.mkv: the label"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_line(
    evaluate: Run, clips: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(clips)
    done = evaluate(*words)
    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) <= 2
