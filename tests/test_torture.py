"""The torture bench judges as it should; .ci/run has it judge the real engine."""

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCH = Path(__file__).parent.parent / "benchmarks" / "torture"
FAKES = Path(__file__).with_name("torture_on_fakes.py")


def module(name: str) -> ModuleType:
    spec = spec_from_file_location(f"torture_{name}", BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_mutants_are_damaged_and_the_same_for_a_seed() -> None:
    mutants, data = module("mutants"), bytes(range(256)) * 8
    made = [mutants.mutant(data, np.random.default_rng((0, n))) for n in range(200)]
    assert made == [mutants.mutant(data, np.random.default_rng((0, n))) for n in range(200)]
    assert sum(damaged != data for damaged, _ in made) > 190
    assert {name for _, how in made for name in how.split("+")} == set(mutants.MUTATIONS)


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    """What the bench found with each fault, and without one; CI runs it on the real engine."""
    done = subprocess.run([sys.executable, FAKES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    reports: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return reports


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_few_mutants_and_kills_end_as_they_should(found: dict[str, dict[str, Any]]) -> None:
    code, *parts = found[""].values()
    assert code == 0
    assert [sum(part.values()) for part in parts] == [3, 0, 1, 1, 3, 2, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("fault", "part", "kinds"),
    [
        ("bug", "mutants", {"mkv exit 70"}),
        ("crash", "mutants", {"mp4 crash"}),
        ("short", "mutants", {"mkv short, not reported"}),
        ("beside", "mutants", {"mp4 left behind"}),
        ("harm", "mutants", {"mkv input changed"}),
        ("one noisy", "mutants", {"TIFF left noisy, not reported"}),
        ("random", "kills", {"denoise broken", "denoise other result"}),
        ("random", "races", {"denoise other result"}),
        ("mess", "kills", {"denoise left behind"}),
    ],
)
def test_a_fault_is_found_and_called_by_its_name(
    found: dict[str, dict[str, Any]], fault: str, part: str, kinds: set[str]
) -> None:
    assert found[fault]["code"] == 1
    assert list(found[fault][part].values()) == [1]
    assert kinds.issuperset(found[fault][part])
