"""A run folder that cannot be written is one clear line, and leaves what was there."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from f2rcli.errors import ConfigError, InputError, OutputError
from f2rcli.io.atomic import write_text
from f2rcli.io.disk_errors import disk_errors
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import check_run, record_result, running


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    (tmp_path / "a.mp4").write_bytes(b"")
    return TrainConfig(inputs=(str(tmp_path / "a.mp4"),), output=str(tmp_path / "a.safetensors"))


def test_a_full_disk_leaves_the_file_before_and_no_half_one(tmp_path, monkeypatch) -> None:
    path = tmp_path / "report.md"
    write_text(path, "before")
    monkeypatch.setattr(Path, "write_text", _no_space)
    full = pytest.raises(OutputError, match=r"report\.md: cannot be written: the disk is full")
    with full, disk_errors(path):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def _no_space(self: Path, *_: object, **__: object) -> int:
    self.touch()
    raise OSError(errno.ENOSPC, "No space left on device", str(self))


def test_checking_touches_nothing(config, tmp_path) -> None:
    check_run(config)
    assert not config.folder.exists()
    with running(config):
        pass
    with pytest.raises(OutputError, match="holds an unfinished run"):
        check_run(config)


@pytest.mark.parametrize("begun", [False, True])
def test_clips_that_teach_nothing_leave_no_run_in_the_way_of_the_next(config, begun) -> None:
    def gather(folder: Path) -> None:
        (folder / "footage").mkdir()
        if begun:
            (folder / "anchor.last.safetensors").touch()
        raise InputError("a.mp4: has only 1 distinct picture.")

    with pytest.raises(InputError), running(config) as folder:
        gather(folder)
    assert config.folder.exists() == begun


def test_starting_afresh_keeps_clips_and_output_that_lie_in_the_run_folder(tmp_path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "a.png").write_bytes(b"clip")
    config = TrainConfig(
        inputs=(str(run / "a.png"),), output=str(run / "a.safetensors"), run=str(run)
    )
    write_text(run / "config.toml", 'inputs = ["x"]\noutput = "y.safetensors"\n')
    (run / "old.csv").write_text("1")
    (run / "a.safetensors").write_bytes(b"weights")
    with running(replace(config, overwrite=True)):
        pass
    assert {path.name for path in run.iterdir()} == {"a.png", "a.safetensors", "config.toml"}


def test_a_foreign_config_toml_protects_its_folder(config, tmp_path) -> None:
    config.folder.mkdir()
    (config.folder / "config.toml").write_text("[project]\nname = 'mine'\n")
    (config.folder / "data.csv").write_text("precious")
    with (
        pytest.raises(ConfigError, match="unknown key 'project'"),
        running(replace(config, overwrite=True)),
    ):
        pass
    assert (config.folder / "data.csv").exists()


def test_the_result_names_the_file_it_wrote(config, tmp_path) -> None:
    with running(config) as folder:
        Path(config.output).write_bytes(b"weights")
        record_result(folder, Path(config.output), {"kept": True})
    facts = json.loads((config.folder / "result.json").read_text())
    assert len(facts["sha256"]) == 64
    check_run(replace(config, resume=True))  # its own output may be replaced


def test_two_runs_do_not_work_in_one_folder(config) -> None:
    again = replace(config, resume=True)
    with (
        running(config),
        pytest.raises(OutputError, match="another f2r train is using it"),
        running(again),
    ):
        pass
    with running(again) as folder:
        assert {path.name for path in folder.iterdir()} > {"config.toml"}
    assert {path.name for path in folder.iterdir()} == {"config.toml"}
