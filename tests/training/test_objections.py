"""Reasons not to train on a clip, against their rules in plain words."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import minimum_filter

from f2rcli.errors import InputError
from f2rcli.frames import Space
from f2rcli.noise.measurement.independence import Temporal
from f2rcli.noise.measurement.spectrum import Spectrum
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.report import Confidence, NoiseReport
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.objections import (
    check_noise,
    cut_off,
    objection,
    objections,
    without_unfit,
)

SHAPE = 12, 20, 24  # frames, of which ten are looked at; rows, columns
APART = np.arange(32)


def report(
    rng: np.random.Generator, channels: int, sigma: float, *, spectrum: bool = True
) -> NoiseReport:
    """Of noise whose every property lies around its limit or far below it."""

    def around(limit: float, less: float = 0.5) -> float:
        return (
            limit * (1 + rng.choice([-0.02, 0.02]) * rng.uniform(0.5, 1))
            if rng.random() < 1 - less
            else 0.0
        )

    power = np.ones((channels, 32, 32))
    for at, limit in ((1, 0.2), (2, 0.2), (3, 0.3), (5, 0.3), (6, 0.1), (7, 0.3)):
        wave = 2 * around(limit, 0.6) * np.cos(2 * np.pi * APART * at / 32)
        power[rng.integers(channels)] += wave[:, None] if rng.random() < 0.5 else wave
    rho = tuple(rng.choice([0.0, 0.2, -0.2], channels))
    share = rng.choice([0.0, 0.69, 0.71, 0.985, 0.995], p=[0.3, 0.3, 0.1, 0.1, 0.2])
    mixed = share + (1 - share) * np.eye(channels)
    found = Spectrum(power, rho, (0.0,) * channels, mixed) if spectrum else None
    time = Temporal(
        *(rng.choice([-1, 1]) * around(0.12) if rng.random() < 0.7 else None for _ in "ab")
    )
    model, sure = NoiseModel.gaussian(sigma, channels), Confidence(5, ())
    return NoiseReport(model, ((),) * channels, found, time, 0, 0, (sigma,), 9, sure)


def clip(path: Path, rng: np.random.Generator) -> Footage:
    """With or without colours, and with noise that black or white cuts off here and there."""
    channels, frames = int(rng.choice([1, 3])), SHAPE[0]
    pictures = rng.uniform(0.2, 0.8, (*SHAPE, 1)) + np.zeros(channels)
    if channels == 3:
        tint = rng.choice([1.9, 2.1, 20]) / 255 if rng.random() < 0.7 else 0
        pictures[frames // 2, ..., 0] += tint
        pictures[frames // 2, ..., 1] -= tint
    cut = rng.random(SHAPE) < rng.choice([0.0, 0.095, 0.105])
    pictures[cut] = rng.choice([0.0, 1.0])
    if rng.random() < 0.3:
        pictures[:, :8] = 1  # all around
    if rng.random() < 0.1:
        pictures[1, 1, 1] = 1.1  # floats that nothing cuts off
    path.write_bytes(pictures.astype(np.float16).tobytes())
    flags = {"coded": bool(rng.random() < 0.15), "sensor": bool(rng.random() < 0.3)}
    return Footage("a", Space.RGB, path, pictures.shape, (range(frames),), **flags)


def cut_by_definition(one: Footage) -> float:
    """The share of samples on black or white of which not all eight around are there as well."""
    pictures = one.array[:10].astype(float)
    if one.sensor or pictures.min() < 0 or pictures.max() > 1:
        return 0.0
    there = (pictures == 0) | (pictures == 1)
    inside = minimum_filter(there, (1, 3, 3, 1), mode="nearest")
    return float((there & ~inside).mean())


def correlation(power: np.ndarray, *apart: int) -> float:
    """By the sum of cosines."""
    found = []
    for channel in power:
        for at in apart:
            wave = np.cos(2 * np.pi * APART * at / 32)
            found += [(channel * way).sum() / channel.sum() for way in (wave, wave[:, None])]
    return max(found)


def by_definition(one: Footage, seen: NoiseReport | None) -> str:
    """What is said first; nothing where the clip is fit."""
    if seen is None:
        return "could not be measured"
    if max(seen.model.sigma) < 1 / 255:
        return "no measurable noise"
    middle = one.array[SHAPE[0] // 2].astype(float)
    colours = (middle.max(-1) - middle.min(-1)).mean() > 4 / 255
    spectrum, share = seen.spectrum, 0.0
    if spectrum is not None and one.channels > 1:
        share = float(spectrum.mixed[0, 1])
        if 0.7 < share < 0.99 or (share >= 0.99 and (one.coded or colours)):
            return "channels share"
    elif one.coded:
        return "channels share"
    white = spectrum is None or max(map(abs, spectrum.rho_x)) < 0.05
    if spectrum is not None and not white and correlation(spectrum.power, 6) > 0.1:
        return "pixels 6 apart"
    if not one.sensor and one.channels > 1 and colours:
        if spectrum is None:
            return "too small to tell"
        if correlation(spectrum.power, 1, 2) > 0.2:
            return "neighbouring pixels"
    if cut_by_definition(one) > 0.1:
        return f"{100 * cut_by_definition(one):.0f} % of its samples"
    worst = max((abs(rho), rho) for rho in (*seen.temporal, 0.0) if rho is not None)[1]
    return f"(correlation {worst:.2f})" if abs(worst) > 0.12 else ""


def test_clips_are_refused_by_the_first_reason_that_holds(tmp_path: Path) -> None:
    said: Counter[str] = Counter()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        one = clip(tmp_path / "a", rng)
        sigma = rng.choice([0.99, 1.01, 20], p=[0.05, 0.25, 0.7]) / 255
        seen = report(rng, one.channels, sigma, spectrum=rng.random() < 0.8)
        wanted, found = by_definition(one, seen), objection(one, seen)
        assert (found is None) == (not wanted), (seed, wanted, found)
        assert wanted in (found or "")
        assert cut_off(one) == pytest.approx(cut_by_definition(one))
        said[wanted.partition(" ")[0]] += 1
    assert len(said) > 7
    assert min(said[word] for word in ("", "no", "channels", "pixels", "(correlation")) > 20


@pytest.mark.parametrize(("apart", "fit"), [(3.992, True), (4.008, False)])
def test_pictures_have_colours_from_four_codes_on(tmp_path: Path, apart: float, fit: bool) -> None:
    """Noise that all channels share is a codec's then, and a gray picture's otherwise."""
    pictures = np.full((*SHAPE, 3), 0.04, np.float16)
    pictures[..., 1] += apart / 255
    (tmp_path / "a").write_bytes(pictures.tobytes())
    one = Footage("a", Space.RGB, tmp_path / "a", pictures.shape, (range(SHAPE[0]),))
    white = Spectrum(np.ones((3, 32, 32)), (0.0,) * 3, (0.0,) * 3, np.ones((3, 3)))
    model, sure = NoiseModel.gaussian(0.1, 3), Confidence(5, ())
    seen = NoiseReport(model, ((),) * 3, white, Temporal(0, 0), 0, 0, (0.1,), 9, sure)
    assert (objection(one, seen) is None) is fit


def test_without_noise_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    one = clip(tmp_path / "a", rng)
    noisy, clean = (report(rng, one.channels, sigma / 255) for sigma in (2, 0.5))
    check_noise([one] * 3, [None, clean, noisy])
    with pytest.raises(InputError, match=r"^a: its noise cannot be measured"):
        check_noise([one, one], [None, None])
    with pytest.raises(InputError, match=r"\(sigma 0\.50 of 255\)"):
        check_noise([one] * 2, [None, clean])


@pytest.mark.parametrize(
    ("unfit", "note"),
    [
        (0, None),
        (1, "left out: 0: N"),
        (2, "left out: 0: N; 1: N"),
        (3, "left out: 0: N; 1: N; and 1 more"),
        (4, "left out: 0: N; 1: N; and 2 more"),
        (5, None),  # the caller refuses
    ],
)
def test_unfit_clips_are_left_out_beside_fit_ones(
    tmp_path: Path, unfit: int, note: str | None
) -> None:
    pictures = np.random.default_rng(1).uniform(0.2, 0.8, (*SHAPE, 1)).astype(np.float16)
    (tmp_path / "a").write_bytes(pictures.tobytes())
    clips = [
        Footage(str(at), Space.GRAY, tmp_path / "a", (*SHAPE, 1), (range(12),)) for at in range(5)
    ]
    model, white = (
        NoiseModel.gaussian(0.1, 1),
        Spectrum(np.ones((1, 32, 32)), (0,), (0,), np.eye(1)),
    )
    fit = NoiseReport(
        model, ((),), white, Temporal(0.0, 0.0), 0, 0, (0.1,), 9, Confidence(5, ())
    )  # fmt: skip
    for bad, adapting, reason in (
        (None, True, "its noise could not be measured reliably"),
        (None, False, "its noise could not be measured reliably"),
        (report(np.random.default_rng(2), 1, 0.0), True, "no measurable noise"),
    ):
        noise = [bad] * unfit + [fit] * (5 - unfit)
        notes: list[str] = []
        kept = without_unfit(clips, noise, notes, adapting=adapting)
        assert notes == ([note.replace("N", reason)] if note else [])
        first = unfit if note else 0
        assert kept == (clips[first:], noise[first:])
        assert objections(clips, noise) == [f"{at}: {reason}" for at in range(unfit)]
    clean = [report(np.random.default_rng(2), 1, 0.0)] * unfit + [fit] * (5 - unfit)
    assert without_unfit(clips, clean, [], adapting=False) == (clips, clean)
