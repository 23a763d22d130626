"""How noise is drawn for a whole clip: laws that turn clean signals into noisy ones, in order.

Signals are (H, W, C) float64 in units of white - black; nothing is clipped. Each law draws in an
order of its own that is part of its definition: the same generator gives the same noise.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]  # (H, W, C), 0 = black, 1 = white
Law = Callable[[Iterable[Signal], np.random.Generator], Iterator[Signal]]

IMPULSES = 0.1  # of all pixels, half of them black, half white (FITVNet, 3.1)
MIXED_SIGMA = 25.5 / 255


def gaussian(sigma: float) -> Law:
    """White noise of this standard deviation."""
    return partial(_each, lambda signal, rng: signal + rng.normal(0, sigma, signal.shape))


def poisson_gaussian(gain: float, read: float) -> Law:
    """White noise of variance gain x + read^2 (Foi et al., TIP 2008), Gaussian at every level."""

    def draw(signal: Signal, rng: np.random.Generator) -> Signal:
        level = np.sqrt(gain * np.clip(signal, 0, 1) + read**2)
        return signal + rng.normal(0, 1, signal.shape) * level

    return partial(_each, draw)


def mix(signals: Iterable[Signal], rng: np.random.Generator) -> Iterator[Signal]:
    """FITVNet's mixed noise: white Gaussian, then pixels that are black or white altogether."""
    held, shape = _hold(signals)
    later = np.random.Generator(np.random.PCG64())
    later.bit_generator.state = rng.bit_generator.state
    for _ in held:  # impulses are drawn after the Gaussian noise of the whole clip
        later.normal(0, MIXED_SIGMA, shape)
    for signal in _released(held):
        noisy = signal + rng.normal(0, MIXED_SIGMA, shape)
        chance = later.random(shape[:2])
        noisy[chance < IMPULSES / 2] = 0
        noisy[chance > 1 - IMPULSES / 2] = 1
        yield noisy


def correlated(sigma: float, blur: float) -> Law:
    """White noise blurred by a Gaussian of `blur` pixels, what demosaicking and scaling leave,
    and scaled so that the clip's noise has this standard deviation."""

    def draw(signals: Iterable[Signal], rng: np.random.Generator) -> Iterator[Signal]:
        held, shape = _hold(signals)
        ahead = np.random.Generator(np.random.PCG64())
        ahead.bit_generator.state = rng.bit_generator.state
        first = second = 0.0
        for _ in held:
            noise = blurred(ahead.normal(0, 1, shape), blur)
            first += float(noise.sum())
            second += float(np.square(noise).sum())
        count = max(1, len(held) * int(np.prod(shape)))
        spread = np.sqrt(second / count - (first / count) ** 2)
        for signal in _released(held):
            yield signal + blurred(rng.normal(0, 1, shape), blur) / spread * sigma

    return draw


def blurred(noise: Signal, blur: float) -> Signal:
    """Separable Gaussian blur of (H, W, C), mirrored at the borders; variance falls."""
    radius = int(4 * blur + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / blur) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        around = [(radius, radius) if axis == a else (0, 0) for a in range(3)]
        padded = np.moveaxis(np.pad(noise, around, mode="symmetric"), axis, 0)
        size = noise.shape[axis]
        total = np.zeros_like(padded[:size])
        for first, tap in enumerate(taps):
            total += tap * padded[first : first + size]
        noise = np.moveaxis(total, 0, axis)
    return noise


def _each(
    draw: Callable[[Signal, np.random.Generator], Signal],
    signals: Iterable[Signal],
    rng: np.random.Generator,
) -> Iterator[Signal]:
    return (draw(signal, rng) for signal in signals)


def _hold(signals: Iterable[Signal]) -> tuple[list[NDArray[np.generic]], tuple[int, ...]]:
    """Every signal, as bytes where they are 8-bit codes, and the shape of one."""
    held: list[NDArray[np.generic]] = []
    shape: tuple[int, ...] = (0, 0, 0)
    for signal in signals:
        codes = np.rint(255 * signal)
        exact = bool(np.array_equal(codes / 255, signal)) and 0 <= codes.min() <= codes.max() < 256
        held.append(codes.astype(np.uint8) if exact else signal.astype(np.float32))
        shape = signal.shape
    return held, shape


def _released(held: list[NDArray[np.generic]]) -> Iterator[Signal]:
    held.reverse()
    while held:
        values = held.pop()
        signal = values.astype(np.float64)
        yield signal / 255 if values.dtype == np.uint8 else signal
