"""Options come from dataclasses: defaults, help, completion and values are those of the fields."""

import inspect
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from f2rcli.cli.app import command_line
from f2rcli.cli.options.derived import Fields, completing, with_options
from f2rcli.engine.settings import EngineSettings
from f2rcli.settings import pairs, setting, settings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    level: float = setting(1.5, "A level.", group="G", low=0)
    kind: str = setting("a", "A kind.", choices=("a", "bc"))
    extra: tuple[tuple[str, str], ...] = setting((), "More.", typed=list[str], parse=pairs)
    on: bool = setting(False, "A switch.")
    inner: int = 7


def options(command: Any) -> dict[str, Any]:
    return {
        name: parameter.annotation.__metadata__[0]
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "ctx"
    }


def test_a_field_is_an_option_with_its_help_default_and_choices() -> None:
    def command(*, sample: Sample) -> int:
        return 0

    found = options(with_options(command))
    assert list(found) == ["level", "kind", "extra", "on"]
    assert found["level"].help == "A level."
    assert found["level"].rich_help_panel == "G"
    assert found["kind"].metavar == "a|bc"
    assert "--on/--no-on" in str(vars(found["on"]))


def test_part_of_a_dataclass_becomes_options() -> None:
    def command(*, sample: Annotated[Sample, Fields("on")]) -> int:
        return 0

    def rest(*, sample: Annotated[Sample, Fields(without=("on",))]) -> int:
        return 0

    assert list(options(with_options(command))) == ["on"]
    assert list(options(with_options(rest))) == ["level", "kind", "extra"]


def test_words_complete_the_last_of_a_list() -> None:
    complete = completing(lambda: ["psnr", "ssim", "structure"])
    assert complete("s") == ["ssim", "structure"]
    assert complete("psnr,st") == ["psnr,structure"]


@pytest.mark.parametrize("command", ["denoise", "eval", "noise", "info", "explain"])
def test_commands_take_the_engines_options(command: str) -> None:
    group = typer.main.get_command(command_line())
    known = {param.name: param for param in group.commands[command].params}  # type: ignore[attr-defined]
    engine = settings_of(EngineSettings)
    assert "device" in known
    assert "weights" in known
    for name in engine.keys() & known.keys():
        if command != "noise":  # which counts frames its own way
            assert known[name].help == engine[name].help
