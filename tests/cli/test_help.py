"""--help is a page that a person reads; --help-all has every option."""

import re
import shlex

import pytest
import typer

from f2rcli.cli.app import command_line
from f2rcli.errors import EXIT_OK
from tests.cli.conftest import Run

COMMANDS = ("denoise", "info", "noise", "train", "eval", "export")


def options_of(command: str) -> list:
    group = typer.main.get_command(command_line())
    return [p for p in group.commands[command].params if p.param_type_name == "option"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen_and_begins_with_examples(
    f2r: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = f2r(command, "--help")
    assert done.code == EXIT_OK
    lines = done.out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert 2 <= sum(line.startswith("f2r ") for line in lines[:7]) <= 3
    assert "--help-all" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_all_names_every_option_with_its_words(f2r: Run, command: str) -> None:
    everything = f2r(command, "--help-all").out
    for option in options_of(command):
        assert max(option.opts, key=len) in everything
        assert option.help


def test_denoise_has_at_most_32_options() -> None:
    known = [one for one in options_of("denoise") if one.name != "help_all"]
    assert len(known) <= 32
    assert sum(not one.hidden for one in known) <= 20


def test_an_option_means_one_thing_in_every_command() -> None:
    said: dict[str, set[str]] = {}
    for command in COMMANDS:
        for option in options_of(command):
            said.setdefault(max(option.opts, key=len), set()).add(option.metavar or "")
    own = {"--output", "--noise"}  # a file of another kind; one kind of noise or several
    assert {flag: words for flag, words in said.items() if len(words) > 1 and flag not in own} == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_the_examples_exist(f2r: Run, command: str) -> None:
    known = {word for option in options_of(command) for word in option.opts}
    for line in f2r(command, "--help").out.splitlines():
        if line.startswith("f2r "):
            words = shlex.split(line.split("   ")[0])
            assert words[1] == command
            assert {w for w in words if re.match("--?[a-z]", w)} <= known


def test_the_first_page_names_the_commands(f2r: Run) -> None:
    done = f2r("--help")
    assert done.code == EXIT_OK
    for command in COMMANDS[:-1]:
        assert re.search(rf"^  {command} +\w", done.out, re.MULTILINE)
    assert "..." not in "".join(line for line in done.out.splitlines() if line.startswith("  "))
    assert f2r().out == done.out
    assert re.search(r"^ *f2r denoise ", done.out, re.MULTILINE)
