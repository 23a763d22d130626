"""The law of synthetic noise: signal-dependent, blurred, with impulses.

The same law noises single pictures for training and whole clips for evaluation. A clip's noise is
part of its definition: the same generator gives the same noise.
"""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Signal = NDArray[Any]  # (H, W, C) float32 or float64, 0 = black, 1 = white


@dataclass(frozen=True, slots=True)
class Law:
    """Noise with variance gain * x + read^2, blurred by `blur` pixels and scaled back.

    gain: variance per unit of signal (Foi et al., TIP 2008), Gaussian at every level; read:
    standard deviation in units of white; blur: standard deviation of a Gaussian in pixels, 0 for
    white noise (demosaicking and scaling leave 0.5-1); impulses: the share of pixels that are black
    or white instead, half of them each (FITVNet, 3.1).
    """

    gain: float
    read: float
    blur: float = 0.0
    impulses: float = 0.0

    def level(self, clean: Signal) -> Signal:
        """Standard deviation at every sample, impulses apart."""
        if not self.gain:
            return np.full_like(clean, self.read)
        return np.sqrt(self.gain * np.clip(clean, 0, 1) + self.read**2)

    def add(self, clean: Signal, rng: np.random.Generator) -> Signal:
        """clean (H, W, C) -> noisy, unclipped, of the same dtype."""
        noisy = clean + self.sample(clean.shape, rng, clean.dtype) * self.level(clean)
        return self._with_impulses(noisy, rng) if self.impulses else noisy

    def add_to_clip(self, clip: Iterable[Signal], rng: np.random.Generator) -> Iterator[Signal]:
        """Noisy float64 pictures of a clip, in order. White noise streams.

        Blurred noise has exactly this law's standard deviation over the whole clip, and impulses
        are drawn after the Gaussian noise of the whole clip, so the clip is held for both.
        """
        if not (self.blur or self.impulses):
            yield from (self.add(signal, rng) for signal in clip)
            return
        held, shape = _hold(clip)
        ahead = copy.deepcopy(rng)
        spread = self._spread(len(held), shape, ahead)
        for signal in _released(held):
            noisy = signal + self.sample(shape, rng, np.float64) / spread * self.level(signal)
            yield self._with_impulses(noisy, ahead) if self.impulses else noisy

    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any = np.float32
    ) -> Signal:
        """Noise of unit variance with this law's correlations."""
        noise = rng.standard_normal(shape, dtype=dtype)
        if self.blur:
            radius = int(4 * self.blur + 0.5)
            taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / self.blur) ** 2)
            taps /= np.sqrt(np.sum(taps**2))
            blurred = cv2.sepFilter2D(noise, -1, taps, taps, borderType=cv2.BORDER_REFLECT)
            noise = np.asarray(blurred, dtype).reshape(shape)  # OpenCV drops a single channel
        return noise

    def _spread(self, count: int, shape: tuple[int, ...], rng: np.random.Generator) -> float:
        """The standard deviation of the noise of `count` pictures; 1 unless it is blurred."""
        first = second = 0.0
        for _ in range(count):
            noise = self.sample(shape, rng, np.float64)
            first += float(noise.sum())
            second += float(np.square(noise).sum())
        samples = max(1, count * int(np.prod(shape)))
        return float(np.sqrt(second / samples - (first / samples) ** 2)) if self.blur else 1.0

    def _with_impulses(self, noisy: Signal, rng: np.random.Generator) -> Signal:
        chance = rng.random(noisy.shape[:2])
        noisy[chance < self.impulses / 2] = 0
        noisy[chance > 1 - self.impulses / 2] = 1
        return noisy


def _hold(clip: Iterable[Signal]) -> tuple[list[Signal], tuple[int, ...]]:
    """Every picture, as bytes where they are 8-bit codes, and the shape of one."""
    held: list[Signal] = []
    shape: tuple[int, ...] = (0, 0, 0)
    for signal in clip:
        codes = np.rint(255 * signal)
        exact = bool(np.array_equal(codes / 255, signal)) and 0 <= codes.min() <= codes.max() < 256
        held.append(codes.astype(np.uint8) if exact else signal.astype(np.float32))
        shape = signal.shape
    return held, shape


def _released(held: list[Signal]) -> Iterator[Signal]:
    held.reverse()
    while held:
        values = held.pop()
        yield values.astype(np.float64) / (255 if values.dtype == np.uint8 else 1)
