"""Noise for supervised pre-training: white, signal-dependent, spatially correlated."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # (H, W, C), 0 = black, 1 = white


@dataclass(frozen=True, slots=True)
class Law:
    """Noise with variance gain * x + read^2, blurred by `blur` pixels and scaled back.

    gain: variance per unit of signal; read: standard deviation in units of white; blur: standard
    deviation of a Gaussian in pixels, 0 for white noise (demosaicking and scaling leave 0.5-1);
    shared: the part of the variance that all channels have in common (luma noise of Y'CbCr files);
    impulses: the share of samples that are black or white instead, whatever the picture is.
    """

    gain: float
    read: float
    blur: float
    shared: float = 0.0
    impulses: float = 0.0

    def level(self, clean: Picture) -> Picture:
        """The noise's standard deviation at every sample, but for impulses."""
        return np.sqrt(self.gain * np.clip(clean, 0, 1) + self.read**2).astype(np.float32)

    def add(self, clean: Picture, rng: np.random.Generator) -> Picture:
        """clean (H, W, C) -> noisy, unclipped."""
        noisy = clean + self.sample(clean.shape, rng) * self.level(clean)
        if self.impulses:
            fate = rng.random(clean.shape, np.float32)
            noisy[fate < self.impulses] = 1
            noisy[fate < self.impulses / 2] = 0
        return noisy

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Picture:
        """Noise of unit variance with this law's spatial correlation."""
        noise = rng.standard_normal(shape, dtype=np.float32)
        if self.shared:
            common = rng.standard_normal((*shape[:-1], 1), dtype=np.float32)
            noise = np.sqrt(1 - self.shared, dtype=np.float32) * noise
            noise += np.sqrt(self.shared, dtype=np.float32) * common
        if self.blur:
            radius = int(4 * self.blur + 0.5)
            taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / self.blur) ** 2)
            taps /= np.sqrt(np.sum(taps**2))
            blurred = cv2.sepFilter2D(noise, -1, taps, taps, borderType=cv2.BORDER_REFLECT)
            noise = np.asarray(blurred, np.float32).reshape(shape)  # OpenCV drops a single channel
        return noise


def draw_law(rng: np.random.Generator) -> Law:
    """A law from the pre-training mix: 40 % white, 25 % Poisson-Gaussian, 35 % correlated;
    in a fifth of them the channels share part of their noise."""
    shared = rng.uniform(0.2, 1.0) if rng.random() < 0.2 else 0.0
    kind = rng.random()
    if kind < 0.40:
        return Law(0.0, rng.uniform(0, 55) / 255, 0.0, shared)
    if kind < 0.65:
        gain = float(np.exp(rng.uniform(np.log(0.001), np.log(0.04))))
        return Law(gain, rng.uniform(0, 15) / 255, 0.0, shared)
    return Law(0.0, rng.uniform(3, 50) / 255, rng.uniform(0.4, 1.3), shared)


def luma(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brightness of an RGB picture (..., 3), BT.601: (..., 1). Gray pictures stay as they are."""
    if picture.shape[-1] == 1:
        return picture
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray((picture * weights).sum(-1, keepdims=True), np.float32)


def as_gray(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A gray picture in as many channels: what gray clips look like to RGB weights."""
    return np.broadcast_to(picture.mean(-1, keepdims=True), picture.shape)


def recolour(picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Swap channels and strengthen colours of (..., H, W, C): camera footage alone teaches that
    strong, abrupt colour is noise, which graphics and stage light are not."""
    swapped = picture[..., rng.permutation(picture.shape[-1])]
    gray = swapped.mean(-1, keepdims=True)
    strengthened = gray + np.float32(rng.uniform(1.0, 3.0)) * (swapped - gray)
    return np.clip(strengthened, 0, 1).astype(np.float32)
