"""Weights: verified, rebuilt from their header, and never a pickle."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from f2rcli import methods, weights
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import WeightsError
from f2rcli.frames import Family, Mosaic, PlaneLayout
from f2rcli.methods.f2r import F2R
from f2rcli.models.layers import padded
from f2rcli.weights import Header

MOSAIC = Mosaic(pattern="RGGB", black=(0.0,) * 4, white=(1.0,) * 4)
SOURCES = {
    Family.RGB: PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1)),
    Family.GRAY: PlaneLayout(family=Family.GRAY, bits=8),
    Family.BAYER: PlaneLayout(family=Family.BAYER, bits=12, mosaic=MOSAIC),
}


def test_weights_for_other_footage_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"for yuv420, .*, and the clip is mosaic"):
        F2R.from_weights(weights.load("f2r-full"), padded, SOURCES[Family.BAYER])


def test_every_bundled_file_is_what_the_manifest_says_and_rebuilds_its_network() -> None:
    assert weights.available()
    for name in weights.available():
        loaded = weights.load(name)
        source = SOURCES[loaded.header.space]
        methods.load(loaded.header.method).from_weights(loaded, padded, source)
        entry = weights.manifest()[name]
        assert loaded.header.method == entry["method"]
        assert loaded.header.space.value == entry["space"]


def test_networks_are_rebuilt_once_without_torchs_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    loaded = weights.load("f2r-full")
    source = SOURCES[Family.RGB]
    first, second = (methods.load("f2r").from_weights(loaded, padded, source) for _ in range(2))
    assert first.networks is second.networks
    assert "torch._dynamo" not in sys.modules  # a second of every start
    filled = first.networks.state_dict()
    assert all(torch.equal(filled[name], kept.float()) for name, kept in loaded.tensors.items())


def test_the_default_is_chosen_by_method_and_space() -> None:
    assert weights.choose("f2r", Family.RGB) == "f2r-full"
    assert weights.choose("f2r", Family.BAYER) == "f2r-full-mosaic"
    assert weights.choose("f2r", Family.BAYER, "lite") == "f2r-lite-mosaic"
    assert EngineSettings().size(Family.BAYER, processor=True) == "full"  # unless it is asked for
    assert weights.choose("blind2sound", Family.GRAY) == "blind2sound-gray-small"
    with pytest.raises(WeightsError, match="no bundled weights"):
        weights.choose("nlmeans", Family.RGB)


def saved(path: Path, **changes: object) -> Path:
    source = weights.load("f2r-full")
    fields = json.loads(source.header.to_json()) | changes
    save_file(source.tensors, path, metadata={"f2r": json.dumps(fields)})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"format": 99}, "format 99"), ({"space": "smell"}, "header"), ({"extra": 1}, "header")],
)
def test_wrong_headers_are_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        weights.load(str(saved(tmp_path / "odd.safetensors", **changes)))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"weight": [1.0]}))
    with pytest.raises(WeightsError, match="not a safetensors file"):
        weights.load(str(path))


def test_safetensors_of_others_and_truncated_ones_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    with pytest.raises(WeightsError, match="no f2r header"):
        weights.load(str(foreign))
    whole = saved(tmp_path / "cut.safetensors")
    whole.write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        weights.load(str(whole))


def test_saving_and_loading_keeps_header_and_tensors(tmp_path: Path) -> None:
    header = Header(method="f2r", space=Family.GRAY, channels=1, length=5, config={"a": [1, 2]})
    path = tmp_path / "w.safetensors"
    digest = weights.save(path, header, {"x": torch.full((2,), 0.5)})
    loaded = weights.load(str(path))
    assert (loaded.header, loaded.sha256) == (header, digest)
    assert loaded.tensors["x"].tolist() == [0.5, 0.5]


def test_what_a_run_killed_while_it_saved_left_goes_with_the_next(tmp_path: Path) -> None:
    there = saved(tmp_path / "w.safetensors")
    code = """import os, pathlib, sys
from f2rcli import weights
there, new = map(pathlib.Path, sys.argv[1:])
loaded = weights.load(str(there))
os.replace = lambda *_: os._exit(9)
weights.save(new, loaded.header, loaded.tensors)"""
    assert subprocess.run([sys.executable, "-c", code, there, tmp_path / "new"]).returncode == 9
    assert (tmp_path / ".new.part").exists()
    loaded = weights.load(str(there))
    weights.save(tmp_path / "new", loaded.header, loaded.tensors)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "w.safetensors"}
