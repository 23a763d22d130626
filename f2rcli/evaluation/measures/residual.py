"""A method's removed signal: noise if all is well, and the picture's detail where it is not.

Spectrum and correlation come from patches spread over the frame, structure from whole frames.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from f2rcli.evaluation.result import Residual
from f2rcli.frames import Floats, Picture, in_cells

PATCH = 32  # pixels per side
MOST_PATCHES = 64  # per frame
REACH = 5  # pixels of autocorrelation
DETAIL = 1.5  # pixels: what a blur of this sigma takes away is detail


def patches(plane: Floats) -> Floats:
    """Up to MOST_PATCHES patches (N, PATCH, PATCH) spread over a plane (H, W); none if small."""
    each = in_cells(plane, PATCH).swapaxes(1, 2).reshape(-1, PATCH, PATCH)
    count = len(each)
    return np.asarray(each[np.linspace(0, count - 1, min(count, MOST_PATCHES)).round().astype(int)])


def power(each: Floats) -> Floats:
    """Mean power spectrum (PATCH, PATCH) of patches without their means; zero frequency first."""
    flat = each - each.mean((1, 2), keepdims=True)
    return np.asarray(np.square(np.abs(np.fft.fft2(flat))).mean(0))


def covariance(each: Floats) -> Floats:
    """Autocovariance of patches at lags -REACH..REACH in rows and columns, (0, 0) in the middle."""
    size = (2 * PATCH, 2 * PATCH)
    flat = each - each.mean((1, 2), keepdims=True)
    sums = np.fft.ifft2(np.square(np.abs(np.fft.fft2(flat, size))).mean(0)).real
    pairs = np.fft.ifft2(np.square(np.abs(np.fft.fft2(np.ones((PATCH, PATCH)), size)))).real
    middle = np.fft.fftshift(sums / np.maximum(pairs.round(), 1))
    return np.asarray(middle[PATCH - REACH : PATCH + REACH + 1, PATCH - REACH : PATCH + REACH + 1])


def flatness(spectrum: Floats) -> float:
    """Geometric over arithmetic mean of a power spectrum without its zero frequency: 1 is white."""
    values = spectrum.ravel()[1:]
    if not values.any():
        return float("nan")
    return float(np.exp(np.log(np.maximum(values, 1e-12 * values.max())).mean()) / values.mean())


def detail(picture: Picture) -> Picture:
    """The detail that a small blur removes from every channel."""
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), DETAIL) for plane in picture])
    return np.asarray(picture - blurred, np.float32)


@dataclass(slots=True)
class Products:
    """Sums for the correlation of the residual's detail with the estimate's."""

    both: float = 0.0
    removed: float = 0.0
    kept: float = 0.0

    def add(self, removed: Picture, estimate: Picture) -> float:
        """Take in a frame; returns its own correlation."""
        a, b = detail(removed).astype(np.float64), detail(estimate).astype(np.float64)
        frame = Products(float((a * b).sum()), float((a * a).sum()), float((b * b).sum()))
        self.both += frame.both
        self.removed += frame.removed
        self.kept += frame.kept
        return frame.correlation()

    def correlation(self) -> float:
        """The correlation, -1 to 1; 0 where either has no detail at all."""
        size = (self.removed * self.kept) ** 0.5
        return self.both / size if size > 0 else 0.0


@dataclass(slots=True)
class ResidualMeter:
    """Gathers what a method takes out of a clip, frame by frame, in a few small sums."""

    frames: int = 0
    mean: Floats = field(default_factory=lambda: np.zeros(0))
    square: Floats = field(default_factory=lambda: np.zeros(0))
    powers: Floats = field(default_factory=lambda: np.zeros((PATCH, PATCH)))
    lags: Floats = field(default_factory=lambda: np.zeros((2 * REACH + 1, 2 * REACH + 1)))
    products: Products = field(default_factory=Products)

    def add(self, noisy: Picture, estimate: Picture) -> None:
        """Take in the next frame."""
        removed = noisy - estimate
        exact = removed.astype(np.float64)
        if not self.frames:
            self.mean, self.square = np.zeros(len(removed)), np.zeros(len(removed))
        self.frames += 1
        self.mean += exact.mean((1, 2))
        self.square += np.square(exact).mean((1, 2))
        for plane in exact:
            each = patches(plane)
            if len(each):
                self.powers += power(each)
                self.lags += covariance(each)
        self.products.add(removed, estimate)

    def finish(self) -> Residual | None:
        """The sums; None for no frames."""
        if not self.frames:
            return None
        mean, square = self.mean / self.frames, self.square / self.frames
        spread = np.sqrt(np.maximum(square - mean**2, 0))
        middle, level = self.lags[REACH, REACH], self.powers.mean()
        lags = self.lags / middle if middle > 0 else self.lags
        powers = self.powers / level if level > 0 else self.powers
        return Residual(
            sigma8=tuple(255 * spread), mean8=tuple(255 * mean), autocorrelation=_rows(lags),
            spectrum=_rows(powers), structure=self.products.correlation(),
        )  # fmt: skip


def _rows(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
