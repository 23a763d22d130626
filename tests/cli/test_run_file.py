"""A run file sets options by their long names; what it cannot set, it says."""

from pathlib import Path

import pytest

from f2rcli.cli.options.run_file import settings_from
from f2rcli.documents import read_run_file
from f2rcli.errors import EXIT_USAGE, ConfigError

FLAGS = {"strength": False, "encoder_opt": False, "overwrite": True, "pix_fmt": False}


def test_names_may_be_written_either_way() -> None:
    table = {"pix-fmt": "yuv420p", "overwrite": True, "strength": 1}
    assert settings_from(table, FLAGS, name="run.toml") == {
        "pix_fmt": "yuv420p",
        "overwrite": True,
        "strength": 1,
    }


def test_an_unknown_key_names_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="unknown key 'strenght'") as caught:
        settings_from({"strenght": 1}, FLAGS, name="run.toml")
    assert caught.value.hint == "Did you mean strength?"
    assert caught.value.exit_code == EXIT_USAGE


def test_a_key_like_no_other_lists_them_all() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from({"qqq": 1}, FLAGS, name="run.toml")
    assert "encoder_opt, overwrite, pix_fmt, strength" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("key", "value"),
    [("overwrite", "yes"), ("overwrite", 1), ("strength", True), ("strength", [1]),
     ("strength", {"a": 1}), ("encoder_opt", "tune=grain"), ("encoder_opt", [1])],
)  # fmt: skip
def test_values_of_the_wrong_kind_are_errors(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        settings_from({key: value}, FLAGS, name="run.toml")


def test_encoder_options_are_a_table_or_a_list() -> None:
    assert settings_from({"encoder-opt": {"tune": "grain", "me": 3}}, FLAGS, name="r") == {
        "encoder_opt": ["tune=grain", "me=3"]
    }
    assert settings_from({"encoder_opt": ["a=1"]}, FLAGS, name="r") == {"encoder_opt": ["a=1"]}


def test_what_is_not_toml_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    with pytest.raises(ConfigError, match="No such file"):
        read_run_file(path)
    path.write_text("strength = = 1")
    with pytest.raises(ConfigError, match="not TOML"):
        read_run_file(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not TOML"):
        read_run_file(path)
