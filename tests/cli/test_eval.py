"""`f2r eval`: three ways to evaluate, where results go, and one clear line for what is wrong."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from f2rcli.errors import EXIT_DAMAGED, EXIT_INPUT, EXIT_OK, EXIT_USAGE
from f2rcli.evaluation import metrics
from tests.cli.conftest import Done, write_clip

Eval = Callable[..., Done]
PSNR = ("--metrics", "psnr")
OPTIONS = ("--device", "cpu", "--threads", "1")


@pytest.fixture
def evaluate(command: Callable[..., Done]) -> Eval:
    """`f2r eval` with the shipped weights."""
    return lambda *arguments: command("eval", *arguments, *OPTIONS)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `clean.mkv`, and `lossy.mp4`, which is near it."""
    folder = tmp_path_factory.mktemp("eval")
    write_clip(folder / "clean.mkv", frames=4)
    write_clip(folder / "lossy.mp4", frames=4)
    return folder


def values(path: Path) -> dict[str, dict[str, float | str | None]]:
    """The means of a JSON file by method."""
    return {row["method"]: row["values"] for row in json.loads(path.read_text())["means"]}


def test_denoised_against_clean_prints_a_table_and_writes_csv_and_json(
    evaluate: Eval, clips: Path, tmp_path: Path
) -> None:
    targets = ("--csv", tmp_path / "e.csv", "--json-file", tmp_path / "e.json")
    done = evaluate(clips / "lossy.mp4", "--clean", clips / "clean.mkv", *targets)
    assert done.code == EXIT_OK, done.err
    means = values(tmp_path / "e.json")["lossy"]
    assert set(means) == set(metrics.WITH_REFERENCE)
    assert f"{means['psnr']:.2f}" in done.out
    with (tmp_path / "e.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["metric"] == "psnr" and r["channel"] == "all"]
    assert [row["frame"] for row in rows] == ["mean", "0", "1", "2", "3"]
    frames = [float(row["value"]) for row in rows[1:]]
    assert float(rows[0]["value"]) == pytest.approx(sum(frames) / 4)


def test_methods_run_on_noise_that_is_made_here(
    evaluate: Eval, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "e.json"
    noise = ("--noise", "gaussian:25", "--noise", "salt-pepper", "--frames", "3", "--seed", "4")
    done = evaluate("--clean", clips / "clean.mkv", *noise, *PSNR, "--json-file", out)
    assert done.code == EXIT_OK, done.err
    assert "gaussian:25: 1 clip" in done.out
    assert "8-bit, clipped, seed 4" in done.out
    read = json.loads(out.read_text())
    found = {(row["group"], row["method"]): row["values"]["psnr"] for row in read["means"]}
    assert found["gaussian:25", "f2r"] > found["gaussian:25", "none"] + 3
    assert len({group for group, _ in found}) == 2
    (method,) = (method for method in read["methods"] if method["name"] == "f2r")
    assert len(method["weights_sha256"]) == 64
    assert read["clips"][0]["methods"][1]["seconds_per_frame"] > 0


def test_without_any_reference_there_is_what_can_be_told(
    evaluate: Eval, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "e.json"
    done = evaluate(
        f"mine={clips / 'lossy.mp4'}", "--noisy", clips / "clean.mkv", "--json-file", out,
        "--metrics", "drift,warping",
    )  # fmt: skip
    assert done.code == EXIT_OK, done.err
    read = json.loads(out.read_text())
    assert read["kind"] == "blind"
    (noisy, mine) = read["clips"][0]["methods"]
    assert (noisy["method"], mine["method"]) == ("none", "mine")
    assert mine["residual"]["sigma8"][0] > 0
    assert values(out)["mine"]["drift"] is not None
    files = {file["role"]: file["stored"] for file in read["clips"][0]["files"]}
    assert files == {"noisy": "Y'CbCr 4:2:0, 8 bits", "denoised": "Y'CbCr 4:2:0, 8 bits"}


def test_identical_files_have_an_infinite_psnr(evaluate: Eval, clips: Path) -> None:
    done = evaluate(clips / "clean.mkv", "--clean", clips / "clean.mkv", "--metrics", "psnr,ssim")
    assert done.code == EXIT_OK
    assert "inf" in done.out
    assert "1.0000" in done.out


def test_json_or_csv_on_standard_output_is_alone_there(evaluate: Eval, clips: Path) -> None:
    sides = (clips / "lossy.mp4", "--clean", clips / "clean.mkv")
    assert json.loads(evaluate(*sides, *PSNR, "--json").out)["kind"] == "reference"
    assert evaluate(*sides, *PSNR, "--csv", "-").out.startswith("clip,group,method,")


def test_quiet_prints_nothing(evaluate: Eval, clips: Path) -> None:
    sides = (clips / "lossy.mp4", "--clean", clips / "clean.mkv")
    assert evaluate(*sides, *PSNR, "--quiet") == Done(0, "", "")


def test_results_are_not_overwritten_and_that_is_known_before_the_work(
    evaluate: Eval, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "e.csv"
    out.write_text("mine")
    sides = (clips / "lossy.mp4", "--clean", clips / "clean.mkv", *PSNR, "--csv", out)
    done = evaluate(*sides)
    assert done.code == 1
    assert "--csv: e.csv: already exists." in done.err
    assert done.out == ""
    assert out.read_text() == "mine"
    assert evaluate(*sides, "--overwrite").code == EXIT_OK
    assert out.read_text().startswith("clip,")


def test_a_missing_pair_is_told_and_the_rest_is_evaluated(
    evaluate: Eval, clips: Path, tmp_path: Path
) -> None:
    for name in ("clean/a.mkv", "clean/b.mkv", "done/a_f2r.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(clips / "clean.mkv", tmp_path / name)
    done = evaluate(tmp_path / "done", "--clean", tmp_path / "clean", *PSNR)
    assert done.code == EXIT_OK
    assert "warning: b: no done clip of this name; left out" in done.err
    assert "inf" in done.out


def test_damaged_input_is_told_and_ends_with_its_own_code(
    evaluate: Eval, damaged: Path, tmp_path: Path
) -> None:
    whole = write_clip(tmp_path / "whole.mkv", frames=24)
    done = evaluate(damaged, "--clean", whole, *PSNR, "--frames", "4", "--json")
    assert done.code in (EXIT_OK, EXIT_DAMAGED)
    done = evaluate(damaged, "--clean", whole, *PSNR)
    assert done.code == EXIT_INPUT
    assert "frame counts differ" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), EXIT_USAGE, "nothing to evaluate"),
        (("lossy.mp4",), EXIT_USAGE, "lossy.mp4: nothing to compare it with"),
        (("gone.mp4", "--clean", "clean.mkv"), EXIT_INPUT, "no such file or folder"),
        (("lossy.mp4", "--clean", "."), EXIT_USAGE, "Name files or folders, not both"),
        (("empty", "--clean", "."), EXIT_INPUT, "empty: has no clips"),
        (("--clean", "clean.mkv", "--noise", "gausian:30"), EXIT_USAGE, "not a kind of noise"),
        (("--clean", "clean.mkv", "--noise", "salt-pepper", "--methods", "f3r"), EXIT_USAGE, "f3r"),
        (("--noise", "salt-pepper"), EXIT_USAGE, "--noise: is made on clean clips"),
        (("lossy.mp4", "--clean", "clean.mkv", "--metrics", "pnsr"), EXIT_USAGE, "mean psnr?"),
        (("lossy.mp4", "--noisy", "clean.mkv", "--metrics", "psnr"), EXIT_USAGE, "needs a clean"),
        (("--benchmark", "set8"), EXIT_USAGE, "--benchmark and --root: go together"),
        (("--benchmark", "set8", "--root", "."), EXIT_INPUT, "clips of Set8 are missing"),
        (("lossy.mp4", "--clean", "clean.mkv", "--any-clips"), EXIT_USAGE, "a --benchmark takes"),
        (("--benchmark", "set9", "--root", "."), EXIT_USAGE, "--benchmark set9: no such choice"),
        (("--benchmark", "set8", "--root", "gone"), EXIT_INPUT, "no such folder"),
        (("--clean", "clean.mkv", "--noise", "g9", "--baselines", "x"), EXIT_USAGE, "s x:"),
        (("none=lossy.mp4", "--clean", "clean.mkv"), EXIT_USAGE, "the label none is taken"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_line(
    evaluate: Eval, clips: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], code: int, words: str,
) -> None:  # fmt: skip
    (clips / "empty").mkdir(exist_ok=True)
    monkeypatch.chdir(clips)
    done = evaluate(*arguments)
    assert done.code == code, done.err
    assert words in done.err
    assert done.out == ""
    lines = done.err.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 2


def test_a_typing_mistake_costs_no_wait_for_torch(clips: Path) -> None:
    script = (
        "import sys; from f2rcli.cli.app import run\n"
        f"code = run(['eval', {str(clips / 'lossy.mp4')!r}, '--clean', 'x', '--metrics', 'pnsr'])\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == [str(EXIT_USAGE), "False"], done.stderr
