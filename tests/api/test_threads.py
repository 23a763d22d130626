"""Beside other programs: waiting threads sleep, and the caller's environment is as it was."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
import numpy as np, f2rcli
before = {{**os.environ}}
{call}
print(os.environ.get("OMP_WAIT_POLICY"))
assert os.environ == before, {{*os.environ.items()}} ^ {{*before.items()}}
"""
CALLS = [
    "f2rcli.denoise(np.zeros((2, 16, 16), np.uint8), strength=0)",
    "next(f2rcli.denoise(iter(np.zeros((2, 16, 16), np.uint8)), strength=0))",
    "f2rcli.Denoiser(strength=0).push(np.zeros((16, 16), np.uint8))",
    "f2rcli.judge",
    "f2rcli.denoise(np.random.default_rng(0).integers(0, 255, (2, 32, 32)).astype(np.uint8))",
]


def told(call: str, **environment: str) -> tuple[str, str]:
    """The environment after a call, and what OpenMP says of itself as it is loaded."""
    known = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(call=call)],
        env=known | {"OMP_DISPLAY_ENV": "TRUE"} | environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip(), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another OpenMP")
@pytest.mark.parametrize("call", CALLS)
def test_waiting_threads_sleep_and_the_environment_is_as_it_was(call: str) -> None:
    after, openmp = told(call)
    assert after == "None"
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in openmp


def test_the_callers_own_wish_counts() -> None:
    after, openmp = told(CALLS[0], OMP_WAIT_POLICY="ACTIVE")
    assert after == "ACTIVE"
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in openmp
