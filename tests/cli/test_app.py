"""However a run ends, it ends in one line and a documented code."""

import errno
import gc
from collections.abc import Iterable

import pytest
import typer

from f2rcli import errors
from f2rcli.cli import app
from f2rcli.cli.app import COMMANDS, ExitHandler, command_line
from f2rcli.cli.signals import Terminated
from f2rcli.cli.terminal.console import Console


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.F2RError("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.ConfigError("x"), 2),
        (errors.InputError("x", hint="y"), 3),
        (errors.OutputError("x"), 1),
        (errors.WeightsError("x"), 1),
        (errors.DeviceError("x"), 1),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
        (MemoryError(), 1),
        (OutOfMemoryError("CUDA out of memory"), 1),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 1),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), 1),
        (OSError(errno.ENOSPC, "No space left on device"), 1),
        (ZeroDivisionError("two\nlines"), 70),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_its_code_and_one_line(error, code, capsys) -> None:
    ending = ExitHandler(Console())
    with ending:
        raise error
    assert ending.code == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert all(line.startswith("hint: ") for line in lines[1:])


@pytest.mark.parametrize(
    ("command", "name", "begun", "offered"),
    [
        ("train", "method", "f2", {"f2r"}),
        ("train", "init", "f2r-rgb-s", {"f2r-rgb-small"}),
        ("train", "noise", "gaussian:5-55+m", {"gaussian:5-55+mixture"}),
        ("eval", "noise", "cor", {"correlated:30,0.8"}),
        ("export", "weights", "f2r-rgb-bl", {"f2r-rgb-blind"}),
    ],
)
def test_tab_offers_the_values_of_every_option_that_has_some(
    command: str, name: str, begun: str, offered: set[str]
) -> None:
    one = typer.main.get_command(command_line([command])).commands[command]  # type: ignore[attr-defined]
    param = next(param for param in one.params if param.name == name)
    items = param.shell_complete(typer.Context(one), begun)
    assert {item.value for item in items} == offered


@pytest.mark.parametrize("columns", ["40", "60", "80"])
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_whole_names_of_options_in_any_terminal(
    name: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert app.run([name, "--help"]) == 0
    said = capsys.readouterr().out
    one = typer.main.get_command(command_line([name])).commands[name]  # type: ignore[attr-defined]
    assert not [
        flag
        for param in one.params
        for flag in (*param.opts, *param.secondary_opts)
        if flag.startswith("--") and flag not in said
    ]


def test_an_orderly_exit_passes_through() -> None:
    ending = ExitHandler(Console())
    with pytest.raises(SystemExit), ending:
        raise SystemExit(0)


def test_a_command_loads_itself_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def known(names: Iterable[str]) -> typer.Typer:
        asked.append(list(names))
        return command_line(asked[-1])

    monkeypatch.setattr(app, "command_line", known)
    for words in (["doctor", "--help"], ["--help"], []):
        app.run(words)
    assert asked == [["doctor"], list(COMMANDS), list(COMMANDS)]
    assert [one.name for one in command_line(["eval"]).registered_commands] == ["eval"]


def test_garbage_is_looked_for_rarely_while_modules_are_loaded() -> None:
    usual = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)  # Python's own
        app.collect_rarely()
        assert gc.isenabled()
        assert gc.get_threshold()[0] >= 10_000
    finally:
        gc.set_threshold(*usual)
