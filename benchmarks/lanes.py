"""Noise laws of a stack's lanes, each by itself and shared: a table in docs/microscopy.md.

python benchmarks/lanes.py [lanes|even|dim [STACKS]]    (six)
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import f2rcli
from f2rcli.api.report import LaneNoise
from f2rcli.engine import stream
from f2rcli.noise.photons.line import photon_line

Floats = NDArray[np.float64]

OFFSET, READ = 100.0, 4.0  # codes
SIDE, CELLS = 96, 8
STACKS: dict[str, tuple[Sequence[float], Sequence[float], int]] = {  # electrons, gains, stacks
    "six depths of 2 to 50 electrons": ((2, 5, 10, 20, 35, 50), (8,) * 6, 4),
    "six depths of 0.5 to 4": ((0.5, 0.7, 1, 1.5, 2, 4), (8,) * 6, 4),
    "six depths of 20": ((20,) * 6, (8,) * 6, 4),
    "two channels, 15 and 30": ((15, 30), (8, 8), 8),
    "the same, gains 8 and 10": ((15, 30), (8, 10), 8),
    "the same, gains 8 and 16": ((15, 30), (8, 16), 8),
    "2 x 3 lanes, gains 8 and 12": ((10, 20, 30) * 2, (8,) * 3 + (12,) * 3, 4),
}


def light_of(electrons: float, rng: np.random.Generator) -> Floats:
    """Cells on a texture, (SIDE, SIDE)."""
    texture = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 4)
    light = electrons * np.clip(1 + 0.5 * texture / texture.std(), 0.1, None)
    rows, columns = np.ogrid[:SIDE, :SIDE]
    for row, column in rng.uniform(0, SIDE, (CELLS, 2)):
        far = np.hypot(rows - row, columns - column)
        light += electrons * 3 * rng.uniform(0.3, 1) / (1 + np.exp((far - 5) / 0.8))
    return light


def psnr(estimate: Floats, light: Floats) -> float:
    peak = np.percentile(light, 99.9) - light.min()
    return float(10 * np.log10(peak**2 / np.mean((estimate - light) ** 2)))


def off(law: LaneNoise, gain: float, light: Floats) -> tuple[float, float]:
    """Relative errors of the gain and of the standard deviation at the median light."""
    middle = float(np.median(light))
    sigma = np.sqrt(gain**2 * middle + READ**2)
    zero = law.offset[0] if law.gain else 0.0
    found = np.sqrt(law.gain[0] * (OFFSET + gain * middle - zero)) if law.gain else law.sigma[0]
    return (law.gain[0] / gain if law.gain else 0.0) - 1, found / sigma - 1


def trial(seed: int, photons: Sequence[float], gains: Sequence[float]) -> Iterator[Floats]:
    """Errors of gain and sigma, and PSNR of every lane: alone, then shared."""
    rng = np.random.default_rng(100 + seed)
    light = np.stack([light_of(one, rng) for one in photons])
    counts = rng.poisson(light, (6, *light.shape)) * np.array(gains)[:, None, None]
    codes = np.rint(counts + OFFSET + rng.normal(0, READ, counts.shape)).astype(np.uint16)
    for compared in (False, True):
        with patch.object(stream, "compare_lanes", stream.compare_lanes if compared else nothing):
            done, report = f2rcli.denoise(codes, axes="TCYX", threads=1, return_report=True)
        yield np.array([
            (*off(law, gain, one), psnr((done[:, n] - OFFSET) / gain, one))
            for n, (law, gain, one) in enumerate(zip(report.noise, gains, light, strict=True))
        ])  # fmt: skip


def nothing(*_: object) -> None:
    """In place of the comparison."""


def even() -> None:
    """The gain of even light of a few photons, from the shape of its noise."""
    counted(lambda electrons, rng: np.full((128, 128), electrons))


def dim() -> None:
    """The gain of cells in dim light, from the line of their variance and the shape of noise."""
    counted(lambda electrons, rng: light_of(electrons / 1.16, rng))  # their mean


def counted(light: Callable[[float, np.random.Generator], Floats]) -> None:
    """A row for every sensor and brightness, of stacks of six frames: root mean squares of the
    errors and of the standard errors that are stated."""
    stacks = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    for gain, electrons, read in product((1.0, 2.0, 8.0), (0.1, 0.3, 0.5, 1.0, 2.0), (0.0, 0.5)):
        errors, stated = [], []
        for seed in range(stacks):
            rng = np.random.default_rng(seed)
            shown = light(electrons, rng)
            counts = rng.poisson(shown, (6, *shown.shape))
            counts = counts + rng.normal(0, read, counts.shape)
            line = photon_line(list(np.rint(gain * counts + OFFSET).astype(np.float32)))
            errors.append(np.nan if line is None or not line.sure else line.gain / gain - 1)
            stated.append(np.nan if line is None or not line.sure else line.unsure / gain)
        rms, said = (np.sqrt(np.nanmean(np.square(some))) for some in (errors, stated))
        most = np.nanmax(np.abs(errors))
        none = f", {np.isnan(errors).sum()} unseen" if np.isnan(errors).any() else ""
        print(f"gain {gain:g}, {electrons:g} electrons, read noise {read:g}: "
              f"{100 * rms:.1f} %, at most {100 * most:.0f} %, stated {100 * said:.1f} %{none}",
              flush=True)  # fmt: skip


def lanes() -> None:
    """A row for every kind of stack."""
    for name, (photons, gains, count) in STACKS.items():
        both = np.array([list(trial(seed, photons, gains)) for seed in range(count)])
        (gain, sigma), (gain2, sigma2) = (
            100 * np.sqrt(np.square(one[..., :2]).mean((0, 1))) for one in np.moveaxis(both, 1, 0)
        )
        more = both[:, 1, :, 2] - both[:, 0, :, 2]
        print(
            f"| {name} | {gain:.1f} % | {gain2:.1f} % | {sigma:.1f} % | {sigma2:.1f} % | "
            f"{more.mean():+.2f} dB ({more.min():+.2f} to {more.max():+.2f}) |", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    {"even": even, "dim": dim, "lanes": lanes}[(*sys.argv[1:2], "lanes")[0]]()
