"""Bundled weights are what the manifest's SHA-256 says, chosen by their marks, and whole."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from f2rcli import weights
from f2rcli.errors import WeightsError
from f2rcli.frames import Family
from f2rcli.weights import Header, Weights

HEADER = Header(method="f2r", space=Family.GRAY, channels=1, length=5, config={"a": [1]})
MANIFEST = """
[one]
file = "one.safetensors"
sha256 = "{one}"
method = "f2r"
space = "rgb"
size = "quick"
[two]
file = "two.safetensors"
sha256 = "{two}"
method = "f2r"
space = "rgb"
default = true
[light]
file = "two.safetensors"
sha256 = "{two}"
method = "other"
space = "gray"
"""


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights with a manifest of its own."""
    digests = {
        name: weights.save(tmp_path / f"{name}.safetensors", HEADER, {"x": torch.full((2,), value)})
        for name, value in (("one", 0.25), ("two", 0.5))
    }
    (tmp_path / "manifest.toml").write_text(MANIFEST.format(**digests))
    monkeypatch.setattr(weights, "folder", lambda: tmp_path)
    return tmp_path


def test_weights_whose_bytes_are_not_the_manifests_are_refused(bundle: Path) -> None:
    """A file that loads well but holds other numbers, as after a bad copy or a swap."""
    assert weights.load("one").tensors["x"].tolist() == [0.25, 0.25]
    shutil.copy(bundle / "two.safetensors", bundle / "one.safetensors")
    with pytest.raises(WeightsError, match=r"one\.safetensors: SHA-256 differs") as error:
        weights.load("one")
    assert error.value.hint == "Reinstall f2r."
    loaded = weights.load(str(bundle / "one.safetensors"))  # by path: a file of the user's own
    assert loaded.tensors["x"].tolist() == [0.5, 0.5]


def test_every_shipped_file_has_the_manifests_sha256() -> None:
    for name, entry in weights.manifest().items():
        data = (weights.folder() / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], name


def test_what_is_loaded_knows_its_name_and_digest(bundle: Path) -> None:
    digest = hashlib.sha256((bundle / "two.safetensors").read_bytes()).hexdigest()
    by_name, by_path = weights.load("two"), weights.load(str(bundle / "one.safetensors"))
    assert (by_name.name, by_name.sha256, by_name.header) == ("two", digest, HEADER)
    assert by_path.name == "one"
    assert not list(bundle.glob("*.part"))
    assert (bundle / "one.safetensors").stat().st_mode & 0o044 == 0o044  # others may read it


def test_weights_are_chosen_by_their_marks(bundle: Path) -> None:
    assert weights.available() == ["light", "one", "two"]
    assert weights.choose("f2r", Family.RGB) == "two"  # the default, not the first
    assert weights.choose("other", Family.GRAY) == "light"
    assert weights.choose("f2r", Family.GRAY) == "two"  # through those for colours
    assert weights.choose("f2r", Family.RGB, "quick") == "one"
    for method, space in (("f2r", Family.BAYER), ("other", Family.RGB)):
        with pytest.raises(WeightsError, match=f"method {method} and {space.value}"):
            weights.choose(method, space)


def test_the_first_is_chosen_where_none_is_the_default(bundle: Path) -> None:
    text = (bundle / "manifest.toml").read_text()
    (bundle / "manifest.toml").write_text(text.replace("default = true", "default = false"))
    assert weights.choose("f2r", Family.RGB) == "one"
    (bundle / "manifest.toml").unlink()
    assert (weights.manifest(), weights.available()) == ({}, [])


def test_an_unknown_name_says_what_is_bundled(bundle: Path) -> None:
    with pytest.raises(WeightsError, match="nope") as error:
        weights.load("nope")
    assert "light, one, two" in str(error.value.hint)


def test_a_bundled_file_that_is_not_there_is_said_to_be_missing(bundle: Path) -> None:
    (bundle / "one.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"one\.safetensors: .*missing") as error:
        weights.load("one")
    assert error.value.hint == "Reinstall f2r."


def test_a_header_comes_back_with_its_types() -> None:
    header = Header(
        method="m", space=Family.RGB, channels=3, length=7, config={}, size="large",
    )  # fmt: skip
    again = Header.from_json(header.to_json(), "x")
    assert again == header
    assert isinstance(again.space, Family)
    plain = Header(method="m", space=Family.RGB, channels=3, length=7, config={})
    assert (plain.size, plain.format, plain.trained_on) == ("small", 1, "")
    for text in ("[]", "{", json.dumps({"format": 1})):
        with pytest.raises(WeightsError, match="header is not"):
            Header.from_json(text, "x")


@pytest.mark.parametrize("wrong", ["missing", "unknown", "shape"])
def test_tensors_fill_a_network_only_if_all_of_them_fit(wrong: str) -> None:
    tensors = {"weight": torch.tensor([[1.0, 2.0]]).half(), "bias": torch.tensor([3.0]).half()}
    network = Weights("x", HEADER, tensors).network(lambda: nn.Linear(2, 1))
    assert network(torch.ones(2)).item() == 6
    assert network.weight.dtype == torch.float32
    if wrong == "missing":
        del tensors["bias"]
    elif wrong == "unknown":
        tensors["bias2"] = tensors["bias"]
    else:
        tensors["bias"] = torch.zeros(2)
    with pytest.raises(WeightsError, match=r"tensor 'bias2?' does not fit"):
        Weights("x", HEADER, tensors).network(lambda: nn.Linear(2, 1))


def test_a_mark_tells_weights_apart_by_what_they_are(bundle: Path) -> None:
    digests = {name: str(entry["sha256"]) for name, entry in weights.manifest().items()}
    assert weights.mark("one") == digests["one"] != weights.mark("two")
    path = bundle / "one.safetensors"
    assert weights.mark(str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.mark("nobody") == "nobody"
    assert weights.mark(None) == ",".join(sorted(digests.values()))


def test_networks_without_first_values_are_otherwise_as_ever() -> None:
    with weights._nothing_drawn():
        layer = nn.Conv2d(2, 3, 3)
        filled = torch.zeros(3).normal_()
        other = torch.add(input=torch.ones(2), other=torch.ones(2))
        named = nn.init.kaiming_uniform_(tensor=torch.zeros(2, 2))
    assert layer.weight.shape == (3, 2, 3, 3)
    assert not filled.any()
    assert not named.any()
    assert other.tolist() == [2, 2]
    assert torch.zeros(3).normal_().any()


def test_a_network_is_built_once_with_values_of_its_own() -> None:
    built = []

    def build() -> nn.Linear:
        built.append(torch.empty(0).device.type)
        return nn.Linear(2, 1)

    tensors = {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])}
    stored = Weights("x", HEADER, tensors)
    network = stored.network(build)
    assert stored.network(build) is network
    assert built == ["meta"]  # takes no memory, whatever size a header asks for
    assert network(torch.ones(2)).item() == 6
    with torch.no_grad():
        network.weight.zero_()
    assert tensors["weight"].tolist() == [[1.0, 2.0]]
    assert "Linear" not in repr(stored)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError]
)
def test_what_no_network_can_be_built_of_is_said_in_a_line(error: type[Exception]) -> None:
    def build() -> nn.Linear:
        raise error("some\n  " + 200 * "x")

    with pytest.raises(WeightsError, match=r"x: .*describes no networks: ") as told:
        Weights("x", HEADER, {}).network(build)
    message = str(told.value)
    assert error.__name__ in message
    assert 40 < message.count("x") < 101
    assert "\n" not in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    tensors = {"weight": torch.tensor([[1.0, value]]), "bias": torch.zeros(1)}
    with pytest.raises(WeightsError, match="tensor 'weight' holds values that are not finite"):
        Weights("x", HEADER, tensors).network(lambda: nn.Linear(2, 1))


def test_a_network_that_is_built_in_a_run_can_be_followed_backwards_later() -> None:
    tensors = {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])}
    with torch.inference_mode():
        network = Weights("x", HEADER, tensors).network(lambda: nn.Linear(2, 1))
    picture = torch.ones(1, 2, requires_grad=True)
    network(picture).sum().backward()
    assert picture.grad is not None
    assert picture.grad.tolist() == [[1.0, 2.0]]
