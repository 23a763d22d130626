"""What a mistyped command line ends with: one line in plain words, and what to type instead."""

from collections.abc import Callable
from pathlib import Path

import pytest

from f2rcli.cli.app import run
from f2rcli.errors import EXIT_USAGE


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """The lines that a command line is refused with."""

    def call(*words: object) -> list[str]:
        assert run([*map(str, words)]) == EXIT_USAGE
        return capsys.readouterr().err.splitlines()

    return call


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("denoise", "a.mkv", "--sigma", "x"), "--sigma x: must be a number."),
        (("denoise", "a.mkv", "--frames", "1.5"), "--frames 1.5: must be a whole number."),
        (("denoise", "a.mkv", "--preview", "0"), "--preview 0: must be 1 or more."),
        (("noise", "a.mkv", "--frames", "2"), "--frames 2: must be 3 or more."),
        (("noise", "a.mkv", "--frames=49"), "--frames 49: must be 48 or less."),
    ],
)
def test_values_that_cannot_be_are_refused_in_plain_words(
    refused: Callable[..., list[str]], words: tuple[str, ...], message: str
) -> None:
    assert refused(*words)[0] == f"error: {message}"


def test_a_file_in_place_of_a_command_is_told_which(
    refused: Callable[..., list[str]], tmp_path: Path
) -> None:
    clip = tmp_path / "my clip.mp4"
    clip.touch()
    assert refused(clip)[1] == f"hint: Name a command first: f2r denoise '{clip}'."


def test_a_file_that_begins_with_a_dash_is_told_how(
    refused: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-clip.mp4").touch()
    assert refused("denoise", "-clip.mp4")[1] == "hint: If it is a file, write ./-clip.mp4."


def test_an_argument_is_called_as_the_help_calls_it(refused: Callable[..., list[str]]) -> None:
    assert refused("export", "f2r-nope", "-o", "out")[0] == (
        "error: WEIGHTS f2r-nope: no such choice."
    )


@pytest.mark.parametrize("command", ["noise", "eval"])
def test_results_for_standard_output_are_asked_for_with_json(
    refused: Callable[..., list[str]], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They went to a file named -, or nowhere."""
    monkeypatch.chdir(tmp_path)
    lines = refused(command, "a.mkv", "--json-file", "-")
    assert lines[0] == "error: --json-file -: results go to a file."
    assert lines[1] == "hint: --json prints them on standard output."
