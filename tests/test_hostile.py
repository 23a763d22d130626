"""Files from strangers: whatever they hold, f2r says what is wrong in its own words."""

import contextlib
import json
import logging
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from f2rcli import methods, weights
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_BUG, EXIT_OK, F2RError, UsageError, WeightsError
from f2rcli.models.layers import padded
from f2rcli.settings import LARGEST, read_text
from f2rcli.system import MOST_THREADS, asked_threads, cache_folder
from f2rcli.training.config import TrainConfig, from_table, read_config
from f2rcli.weights import Header, Weights
from tests.test_weights import SOURCES

FEW = settings(
    max_examples=30, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
DEEP = "[" * 100_000
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = st.sampled_from([*Header.__slots__, "unknown"])
SMALL = [name for name in weights.available() if "full" not in name]  # built as the large ones are
WHOLE = {name: weights.load(name) for name in SMALL}
WELL: dict[str, dict[str, Any]] = {
    name: json.loads(whole.header.to_json()) for name, whole in WHOLE.items()
}


def config_changes(config: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The tables of a header's networks with one leaf changed."""
    key = st.sampled_from(sorted(config))
    return key.flatmap(
        lambda name: (
            VALUES | config_changes(config[name]) if isinstance(config[name], dict) else VALUES
        ).map(lambda value: config | {name: value})
    )


@FEW
@given(name=st.sampled_from(sorted(WELL)), changes=st.dictionaries(FIELDS, VALUES, max_size=3))
def test_headers_are_refused_or_describe_networks(name: str, changes: dict[str, Any]) -> None:
    built(name, WELL[name] | changes)


@FEW
@given(data=st.data(), name=st.sampled_from(sorted(WELL)))
def test_networks_no_header_should_ask_for_are_refused(name: str, data: st.DataObject) -> None:
    built(name, WELL[name] | {"config": data.draw(config_changes(WELL[name]["config"]))})


def built(name: str, header: dict[str, Any]) -> None:
    """Build networks of a header with the tensors of well-made weights; F2RErrors are fine."""
    with contextlib.suppress(F2RError):
        parsed = Header.from_json(json.dumps(header), "odd")
        odd = Weights("odd", parsed, WHOLE[name].tensors)
        methods.load(parsed.method).from_weights(odd, padded, SOURCES[parsed.space])


@pytest.mark.parametrize(
    "changes",
    [{"length": 4}, {"length": True}, {"length": -1}, {"channels": -1}, {"channels": 1},
     {"config": None}, {"config": {"coarse": {"widths": [1 << 30]}}}, {"space": []},
     {"estimate": {}}, {"trained_on": "x" * 5000}, {"method": "../x"}, {"format": "1"}],
)  # fmt: skip
def test_headers_that_nobody_wrote_in_good_faith(changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="header"):
        Header.from_json(json.dumps(WELL["f2r-lite"] | changes), "odd")


@pytest.mark.parametrize("text", [DEEP, "9" * 5000, "[]", "null", '"', "{}", " " * (LARGEST + 1)])
def test_headers_that_are_no_table(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"f2r": text})
    with pytest.raises(WeightsError, match="header"):
        weights.load(str(path))


@pytest.mark.parametrize("text", [DEEP, "9" * 5000, "a", "\x00", "[]", " " * (LARGEST + 1)])
def test_files_of_runs_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not the file of a training run"):
        read_config(path)


RUN = [*(field.name for field in fields(TrainConfig)), "stage", "unknown"]


@settings(FEW, max_examples=60)
@given(table=st.dictionaries(st.sampled_from(RUN), VALUES | SCALARS))
@example({"inputs": 5})
@example({"inputs": None})
def test_a_training_of_any_settings_is_refused_or_planned(table: dict[str, Any]) -> None:
    with contextlib.suppress(F2RError):
        read = from_table({"output": "a.safetensors", **table})
        again = from_table(json.loads(read.to_json()))
        assert again.inputs == read.located.inputs


@FEW
@given(name=st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"])))
def test_any_name_may_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    # pytest reports what was logged, and pytest-xdist cannot pass such names on.
    monkeypatch.setattr(logging.getLogger("f2rcli"), "propagate", False)
    raw = os.fsdecode(name.encode()[:200] + b"\xff")  # need not be text
    for given_name in (f"n{name[:60]}.mp4", f"n{raw}.tif", f"n{name}"):
        assert run(["info", given_name]) not in (EXIT_OK, EXIT_BUG)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_a_file_without_end_is_not_read_to_it() -> None:
    with pytest.raises(ValueError, match="more than"):
        read_text(Path("/dev/zero"))


@FEW
@given(told=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_any_number_of_threads_may_be_asked_for(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert asked_threads() is None or 1 <= asked_threads() <= MOST_THREADS


ENVIRONMENT = [
    "COLUMNS", "F2R_DEBUG", "FORCE_COLOR", "HOME", "LANG", "LC_ALL", "LINES",
    "NO_COLOR", "OMP_NUM_THREADS", "SVT_LOG", "TERM", "TMPDIR",
    "XDG_CACHE_HOME",
]  # fmt: skip
TOLD = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])) | st.integers()


@settings(FEW, max_examples=8)
@given(variables=st.dictionaries(st.sampled_from(ENVIRONMENT), TOLD.map(str), max_size=4))
@example({"COLUMNS": "\N{SUPERSCRIPT TWO}"})
@example({"COLUMNS": "9" * 30})
@example({"HOME": "here", "XDG_CACHE_HOME": ""})
def test_an_environment_of_anything_is_no_bug(tmp_path: Path, variables: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        assert run(["denoise", "--help"]) == EXIT_OK
        out = str(tmp_path / "out.safetensors")
        for words in (["info", "none.mp4"], ["train", "none.mp4", "-o", out]):
            assert run(words) not in (EXIT_OK, EXIT_BUG)
        folder = cache_folder("adapted")
        assert folder is None or folder.is_absolute()


def test_users_without_a_home_have_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert cache_folder("adapted") is None
