"""A run's configuration checks itself, survives its own TOML, and knows what it may change."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.errors import EXIT_USAGE, ConfigError, UsageError
from f2rcli.training.methods.base import StageSpec, overridden
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import MAY_CHANGE, differences
from f2rcli.training.run.overrides import StageOverrides, stages_from
from f2rcli.training.run.quantities import size_in_bytes, span_in_seconds
from f2rcli.training.run.toml import from_table, located, read_config, to_toml

PLAIN = TrainConfig(inputs=("/clips/a.mp4",), output="/out/my.safetensors")


@pytest.mark.parametrize(
    "config",
    [
        PLAIN,
        replace(PLAIN, init="rgb", threads=3, jobs=0, time_limit="1h30m"),
        replace(PLAIN, stages={"s1": StageOverrides(steps=0, lr=1e-5), "a b": StageOverrides()}),
        replace(PLAIN, inputs_are_clean=True, noise="mixture", recipe="supervised", size="8,16,24"),
        replace(PLAIN, adapt="full", memory="500MB", seed=2**62),
    ],
)  # fmt: skip
def test_a_run_comes_back_from_its_own_toml(config: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config))
    assert read_config(path) == config


def test_a_run_is_repeated_in_a_folder_of_its_own() -> None:
    table = tomllib.loads(to_toml(replace(PLAIN, run="/out/my.run")))
    again = from_table(table | {"output": "/out/other.safetensors"}, name="config.toml")
    assert again == replace(PLAIN, output="/out/other.safetensors")
    assert again.folder == Path("/out/other.run")


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_any_file_name_survives_the_toml(name: str) -> None:
    config = located(replace(PLAIN, inputs=(name,)))
    assert from_table(tomllib.loads(to_toml(config)), name="config.toml") == config


def test_a_name_that_is_not_text_survives_the_file(tmp_path: Path) -> None:
    config = replace(PLAIN, inputs=("/clips/caf\udce9.mp4",))
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8", errors="surrogateescape")
    assert read_config(path) == config


def test_paths_mean_the_same_from_any_folder(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = located(TrainConfig(inputs=("a.mp4",), output="my.safetensors", init="rgb"))
    assert config.inputs == (str(tmp_path / "a.mp4"),)
    assert config.init == "rgb"
    assert config.folder == tmp_path / "my.run"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"length": 4}, "must be odd"),
        ({"length": 1}, "between 3 and"),
        ({"method": "f3r"}, "method='f3r'"),
        ({"recipe": "publised"}, "recipe='publised'"),
        ({"init": "rgg"}, "init='rgg'"),
        ({"adapt": "quick"}, "adapt='quick'"),
        ({"size": "medium"}, "size='medium'"),
        ({"variant": "mse"}, "variant='mse': no such choice"),
        ({"size": "0,8"}, "size='0,8'"),
        ({"output": "my.pt"}, ".safetensors"),
        ({"inputs_are_clean": True}, "which noise"),
        ({"noise": "gaussian:5"}, "only for clean"),
        ({"recipe": "supervised"}, "needs clean clips"),
        ({"adapt": "full", "inputs_are_clean": True, "noise": "gaussian:5"}, "no noise"),
        ({"adapt": "full", "recipe": "published"}, "choose one"),
        ({"inputs": ()}, "no clip"),
        ({"memory": "lots"}, "not a size"),
        ({"memory": "1KB"}, "must be 64MiB or more"),
        ({"time_limit": "soon"}, "not a time"),
        ({"time_limit": "0s"}, "longer than 0 s"),
        ({"device": "gpu"}, "device='gpu'"),
        ({"seed": -1}, "seed"),
        ({"minutes": 0}, "minutes"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_it(wrong: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        replace(PLAIN, **wrong)
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("table", "said", "hint"),
    [
        ({"stepz": 3}, "unknown key 'stepz'", "Did you mean steps?"),
        ({"crop": 40}, "stage.anchor.crop=40: must be a multiple", None),
        ({"steps": "many"}, "stage.anchor.steps='many'", None),
        ({"steps": 1.5}, "stage.anchor.steps=1.5: must be a whole number", None),
        ({"lr": True}, "stage.anchor.lr", None),
        ({"minutes": 0}, "stage.anchor.minutes", None),
        ({"clips": 2.5}, "stage.anchor.clips", None),
        ({"lr": float("nan")}, "stage.anchor.lr", None),
    ],
)
def test_a_stages_mistake_names_the_stage_and_the_key(table, said, hint) -> None:
    with pytest.raises(ConfigError, match=said.replace("[", r"\[")) as caught:
        StageOverrides.of("anchor", table)
    assert hint is None or str(caught.value.hint).startswith(hint)


def test_unknown_keys_of_a_run_file_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: unknown key 'recipee'") as caught:
        from_table({"inputs": ["a"], "output": "b.safetensors", "recipee": "x"}, name="config.toml")
    assert "Did you mean recipe?" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="length='5'"):
        from_table({"inputs": ["a"], "output": "b.safetensors", "length": "5"}, name="c.toml")
    with pytest.raises(ConfigError, match="output=3: must be text"):
        from_table({"inputs": ["a"], "output": 3}, name="c.toml")
    with pytest.raises(ConfigError, match="must be tables"):
        stages_from({"anchor": 3}, name="config.toml")


def test_overrides_of_a_stage_that_the_recipe_lacks_are_an_error() -> None:
    config = replace(PLAIN, stages={"ancor": StageOverrides(steps=3)})
    with pytest.raises(ConfigError, match=r"stage\.ancor") as caught:
        config.check_stages(["anchor", "refiner"])
    assert "Did you mean anchor?" in str(caught.value.hint)


def test_stages_left_open_share_the_minutes_that_others_leave() -> None:
    specs = [StageSpec(name=name, share=share) for name, share in (("a", 1), ("b", 3), ("c", 1))]
    config = replace(PLAIN, minutes=10, stages={"c": StageOverrides(minutes=2)})
    assert [spec.minutes for spec in overridden(specs, config)] == [2, 6, 2]
    config = replace(PLAIN, minutes=10, stages={"b": StageOverrides(steps=7)})
    assert [(s.minutes, s.steps == 7) for s in overridden(specs, config)] == [
        (5, False), (None, True), (5, False)
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="minutes=2: stages with"):
        overridden(specs, replace(PLAIN, minutes=2, stages={"c": StageOverrides(minutes=2)}))


def test_only_what_changes_the_result_forbids_to_go_on() -> None:
    assert (
        differences(PLAIN, replace(PLAIN, time_limit="5m", threads=1, output="/x.safetensors"))
        == []
    )
    assert differences(PLAIN, replace(PLAIN, seed=1, length=3)) == ["length", "seed"]
    assert {f.name for f in fields(TrainConfig)} >= MAY_CHANGE


@pytest.mark.parametrize(
    ("text", "value"), [("2GiB", 2**31), ("500MB", 5 * 10**8), ("1.5 kib", 1536), ("1000", 1000)]
)
def test_sizes_are_read_as_written(text: str, value: int) -> None:
    assert size_in_bytes("memory", text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("25m", 1500), ("1h30m", 5400), ("90s", 90), ("90", 90),
     ("1h 2m 3.5s", 3723.5)],
)  # fmt: skip
def test_times_are_read_as_written(text: str, value: float) -> None:
    assert span_in_seconds("time_limit", text) == value
