"""Without numba, or with one that is too old or broken, the reference runs, and says so."""

import sys
from functools import cache
from importlib import metadata

import pytest
import torch

from f2rcli.engine.self_test import CLIP
from f2rcli.engine.settings import EngineSettings
from f2rcli.engine.stream import load_engine
from f2rcli.fast import support
from f2rcli.models.large.codes import coded

PICTURE = torch.zeros(1, 3, 256, 256)


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found in a test is forgotten after it."""
    monkeypatch.setattr(support, "_found", cache(support._found.__wrapped__))


def installed(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    def ask(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", ask)


def test_without_numba_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, None)
    assert not support.serve(PICTURE)
    assert support.note() is None


@pytest.mark.parametrize("version", ["0.9", "0.67.0"])
def test_a_numba_that_is_too_old_is_left_out(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    installed(monkeypatch, version)
    assert not support.serve(PICTURE)
    assert "oldest" in (support.note() or "")


def test_a_broken_numba_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "0.99.1")
    monkeypatch.setitem(sys.modules, "f2rcli.fast.check", None)  # importing it raises ImportError
    assert not support.serve(PICTURE)
    assert "numba 0.99.1 cannot be used" in (support.note() or "")


def test_a_numba_that_cannot_be_imported_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unfit:
        """Finds a numba that raises as it is loaded."""

        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == "numba":
                raise ImportError("Numba needs NumPy 2.0 or less")

    installed(monkeypatch, "0.70.0")
    for name in [*sys.modules]:  # what was loaded before
        if name.partition(".")[0] == "numba" or name == "f2rcli.fast.check":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Unfit(), *sys.meta_path])
    assert not support.works()
    note = support.note() or ""
    assert "numba 0.70.0 cannot be used (Numba needs NumPy 2.0 or less)" in note


def test_kernels_that_go_wrong_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    from f2rcli.fast import check

    monkeypatch.setattr(check, "check", lambda _: 1 / 0)
    assert not support.works()
    assert "division" in (support.note() or "")


def test_codes_are_left_out_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    from f2rcli.fast import check

    monkeypatch.setattr(check, "check", lambda codes: 1 / (not codes))
    assert support.serve(PICTURE)
    assert not support.serve(coded(PICTURE))


def test_a_run_says_once_that_kernels_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "found", lambda *_: support.Found("0.1", "it is too old"))
    monkeypatch.setattr(support, "SMALLEST", 1)
    engine = load_engine(EngineSettings(device="cpu"), CLIP)
    assert [line for line in engine.notes if "numba 0.1" in line] == [support.note()]
    monkeypatch.setattr(support, "SMALLEST", 2**40)  # it would not have been used
    assert not load_engine(EngineSettings(device="cpu"), CLIP).notes


def test_kernels_run_where_numba_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    assert support.works()
    assert support.serve(PICTURE)
    for other in (PICTURE[..., :255, :], PICTURE.double(), PICTURE.mT[..., :, :].contiguous().mT):
        assert not support.serve(other)
    assert not support.serve(torch.zeros(1, 3, 256, 256, requires_grad=True))
