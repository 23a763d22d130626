"""The torture bench works, and a few of its mutants a run: `python benchmarks/torture` has more."""

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCH = Path(__file__).parent.parent / "benchmarks" / "torture"


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


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_few_mutants_and_kills_end_as_they_should(tmp_path: Path) -> None:
    counts = tmp_path / "counts.json"
    command = [sys.executable, str(BENCH), "--mutants", "3", "--kills", "1", "--full", "1"]
    command += ["--jobs", "denoise", "--races", "1", "--denied", "1"]
    done = subprocess.run([*command, "--json", str(counts)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(counts.read_text())
    assert [sum(part.values()) for part in found.values()] == [3, 0, 1, 3, 3, 2, 0]
