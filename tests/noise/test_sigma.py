"""Sigma that cannot be fooled: hard cases of known noise, within what is stated of each."""

import sys
from pathlib import Path

import pytest

from tests.fidelity import footage

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import sigma  # found by the path above

SIZE, FRAMES = 96, 7
# Random texture that is new in every frame, drawings under noise, and noise half of which white
# has cut off.
MISREAD = ("soft texture moving", "graphics 10", "clipped white")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[sigma.Case]:
    folder = tmp_path_factory.mktemp("clips")
    for seed in (1, 2, 3):  # leaves that move apart, twice, and leaves below a smooth sky
        clip = footage.leaves(SIZE, 4 * SIZE // 3, FRAMES, seed=seed, sky=seed == 2)
        footage.write(folder / f"leaves{seed}.mkv", clip)
    return [case for n, case in enumerate(sigma.cases(folder, SIZE, FRAMES)) if n % 4 != 3]


@pytest.mark.parametrize("part", range(12))
def test_sigma_lies_within_what_is_stated(part: int, cases: list[sigma.Case]) -> None:
    """Of sixty of the benchmark's cases, at least: four in five of these small ones; none lies
    beyond three times that but those MISREAD."""
    engines: dict[sigma.PlaneLayout, sigma.Engine] = {}
    assert 0.8 * len(cases) >= 60
    rows = [sigma.measure(case, engines) for case in cases[part::12]]
    outside = [row for row in rows if not row.within]
    told = "\n".join(f"{row.name}: {row.estimate:.2f} of {row.truth:.2f}" for row in outside)
    assert len(outside) <= len(rows) / 5, told
    for row in outside:
        allowed = max(row.percent / 100 * row.estimate, sigma.FLOOR)
        misread = row.name.startswith(MISREAD)
        assert misread or abs(row.estimate - row.truth) <= 3 * allowed, told
